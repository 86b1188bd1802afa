//! Floats that each implementation may round in its own way, with a bound on how far from the truth.
//!
//! Source: WGSL, "Floating Point Accuracy". Bounds are absolute and hold for all values of the operands;
//! a function's error is what WGSL allows it plus what the error of its operand makes of it.

use crate::generator::Gen;
use crate::ty::{BOOL, Expr, F32, Scalar, Ty, U32};

/// A rounded float: its text, how large it may be, how far from the exact result.
pub(crate) struct Real {
    pub(crate) text: String,
    most: f64,
    pub(crate) error: f64,
}

/// So many units in the last place of a number of this size.
fn ulps(count: f64, most: f64) -> f64 {
    count * most * 2.0_f64.powi(-23) + 2.0_f64.powi(-126)
}

/// A function of one argument: its name, how the argument is brought into its domain, the largest result
/// there, the largest slope, and WGSL's error.
type Row = (&'static str, fn(&str) -> String, f64, f64, f64);

const ULP: f64 = 1.0 / 8_388_608.0;

fn near(x: &str) -> String {
    format!("clamp({x}, -3.0, 3.0)")
}
fn unit(x: &str) -> String {
    format!("clamp({x}, -1.0, 1.0)")
}
fn half(x: &str) -> String {
    format!("clamp({x}, -0.5, 0.5)")
}
fn positive(x: &str) -> String {
    format!("(abs({x}) + 0.25)")
}
fn whole(x: &str) -> String {
    x.to_owned()
}
fn above(x: &str) -> String {
    format!("(abs({x}) + 2.0)")
}

/// Larger arguments than this are cut off first.
const MOST: f64 = 64.0;

const FUNCTIONS: [Row; 19] = [
    // |x| <= pi: absolute 2^-11.
    ("sin", near, 1.0, 1.0, 1.0 / 2048.0),
    ("cos", near, 1.0, 1.0, 1.0 / 2048.0),
    // sin / cos, where cos >= 0.54: (e + tan e) / (0.54 - e), and a division.
    ("tan", unit, 1.56, 3.43, 4.8 / 2048.0),
    // atan2(x, sqrt(1 - x x)) at 4096 ulp, or absolute 6.77e-5; the slope holds on [-0.5, 0.5].
    ("asin", half, 0.53, 1.16, 4096.0 * 0.53 * ULP),
    ("acos", half, 2.1, 1.16, 4096.0 * 2.1 * ULP),
    ("atan", near, 1.25, 1.0, 4096.0 * 1.25 * ULP),
    // (exp(x) - exp(-x)) / 2: both terms at 3 + 2 |x| ulp.
    ("sinh", near, 10.1, 10.1, 10.0 * 20.2 * ULP),
    ("cosh", near, 10.1, 10.1, 10.0 * 20.2 * ULP),
    // sinh / cosh, or absolute 1e-5.
    ("tanh", unit, 1.0, 1.0, 5e-5),
    // log(x + sqrt(x x + 1)): absolute 2^-21 near 1, the root within a few ulp.
    ("asinh", positive, 5.0, 1.0, 4e-6),
    // log(x + sqrt(x x - 1)), x >= 2: the root loses at most a factor of 4/3.
    ("acosh", above, 5.0, 0.58, 4e-6),
    // log((1 + x) / (1 - x)) / 2
    ("atanh", half, 0.55, 1.34, 2e-6),
    // 3 + 2 |x| ulp
    ("exp", near, 20.1, 20.1, 9.0 * 20.1 * ULP),
    ("exp2", near, 8.0, 5.6, 9.0 * 8.0 * ULP),
    // 3 ulp, or absolute 2^-21 on [0.5, 2].
    ("log", positive, 4.2, 4.0, 4.2 * 3.0 * ULP),
    ("log2", positive, 6.1, 5.8, 6.1 * 3.0 * ULP),
    // 1 / inverseSqrt(x)
    ("sqrt", positive, 8.1, 1.0, 5.0 * 8.1 * ULP),
    ("inverseSqrt", positive, 2.0, 4.0, 2.0 * 2.0 * ULP),
    ("degrees", whole, 3700.0, 57.3, 2.0 * 3700.0 * ULP),
];

pub(crate) const ROUNDED: &[&str] = &[
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "asinh",
    "acosh",
    "atanh",
    "exp",
    "exp2",
    "log",
    "log2",
    "sqrt",
    "inverseSqrt",
    "degrees",
    "radians",
    "float /",
    "pow",
    "atan2",
    "smoothstep",
    "length",
    "distance",
    "normalize",
    "refract",
    "determinant",
    "unpack4x8snorm",
    "unpack4x8unorm",
    "unpack2x16snorm",
    "unpack2x16unorm",
    "rounded +",
    "rounded -",
    "rounded *",
    "rounded select",
];

impl Gen<'_> {
    pub(crate) fn real(&mut self, depth: u32) -> Real {
        if !self.grows(depth) {
            let value = self.tamed(F32, 1);
            return Real { text: self.not_constant(value), most: MOST, error: 0.0 };
        }
        let depth = depth - 1;
        match self.choices.below(10) {
            0..4 => {
                let (name, domain, most, slope, error) = self.choices.pick(&FUNCTIONS);
                self.count(name);
                let x = self.small(depth);
                let text = format!("{name}({})", domain(&x.text));
                // The domain's own rounding, of numbers up to 66.
                let moved = if x.error == 0.0 { 0.0 } else { x.error + ulps(1.0, 66.0) };
                Real { text, most, error: error + slope * moved + ulps(1.0, most) }
            }
            4 => self.join(depth),
            5 | 6 => self.vectors(depth),
            7 => self.unpacked(),
            _ => self.pairs(depth),
        }
    }

    fn not_constant(&mut self, value: Expr) -> String {
        if value.constant { self.runtime(F32, 0).text } else { value.text }
    }

    /// A number of at most [`MOST`].
    fn small(&mut self, depth: u32) -> Real {
        let x = self.real(depth);
        if x.most <= MOST {
            return x;
        }
        Real { text: format!("clamp({}, -64.0, 64.0)", x.text), most: MOST, ..x }
    }

    fn join(&mut self, depth: u32) -> Real {
        let (a, b) = (self.real(depth), self.real(depth));
        let most = a.most + b.most;
        match self.choose(&["rounded +", "rounded -", "rounded *", "rounded select"]) {
            "rounded +" => {
                Real { text: format!("({} + {})", a.text, b.text), most, error: a.error + b.error + ulps(1.0, most) }
            }
            "rounded -" => {
                Real { text: format!("({} - {})", a.text, b.text), most, error: a.error + b.error + ulps(1.0, most) }
            }
            "rounded *" => {
                let most = a.most * b.most;
                let error = a.error * b.most + b.error * a.most + a.error * b.error + ulps(1.0, most);
                Real { text: format!("({} * {})", a.text, b.text), most, error }
            }
            _ => {
                let [cond] = self.operands([BOOL], 2);
                let text = format!("select({}, {}, {})", a.text, b.text, cond.text);
                Real { text, most: a.most.max(b.most), error: a.error.max(b.error) }
            }
        }
    }

    /// Functions of two and three numbers.
    fn pairs(&mut self, depth: u32) -> Real {
        let a = self.small(depth);
        match self.choose(&["float /", "pow", "atan2", "smoothstep", "radians"]) {
            "float /" => {
                // 2.5 ulp; the divisor is at least 1/4.
                let by = self.tamed(F32, 1);
                let text = format!("({} / {})", a.text, positive(&by.text));
                Real { text, most: 256.0, error: 4.0 * a.error + ulps(2.5, 256.0) }
            }
            "pow" => {
                // exp2(y log2(x)) of x in [1/4, 4.25] and |y| <= 2: |y log2(x)| <= 4.2.
                let (x, y) = (self.tamed(F32, 1), self.tamed(F32, 1));
                let text = format!("pow(min({}, 4.25), clamp({}, -2.0, 2.0))", positive(&x.text), self.not_constant(y));
                let log = 2.0 * (2.0_f64.powi(-21) + ulps(3.0, 2.1)) + ulps(1.0, 4.2);
                Real { text, most: 18.1, error: 18.1 * std::f64::consts::LN_2 * log + ulps(3.0 + 8.4, 18.1) }
            }
            "atan2" => {
                // 4096 ulp; x is at least 1/4.
                let (y, x) = (self.tamed(F32, 1), self.tamed(F32, 1));
                let text = format!("atan2({}, {})", y.text, positive(&self.not_constant(x)));
                Real { text, most: 1.58, error: ulps(4096.0, 1.58) }
            }
            "smoothstep" => {
                let text = format!("smoothstep(-8.0, 24.0, {})", a.text);
                Real { text, most: 1.0, error: 1.5 * (a.error + ulps(1.0, 88.0)) / 32.0 + ulps(12.0, 1.0) }
            }
            _ => {
                let most = MOST * 0.0175;
                Real { text: format!("radians({})", a.text), most, error: 0.0175 * a.error + ulps(2.0, most) }
            }
        }
    }

    /// Functions of vectors and matrices, of exact operands.
    fn vectors(&mut self, depth: u32) -> Real {
        let n = self.choices.pick(&[2, 3, 4]);
        let vector = Ty::Vector(n, Scalar::F32);
        let at = self.choices.pick(&["x", "y"]);
        let depth = depth.min(1);
        let [a, b] = self.operands([vector, vector], depth);
        let (a, b) = (self.tame(a), self.tame(b));
        // A component of 1/4 at least keeps lengths away from zero.
        let away = |x: &Expr| format!("(abs({}) + 0.25)", x.text);
        match self.choose(&["length", "distance", "normalize", "refract", "determinant"]) {
            "length" => Real { text: format!("length({})", a.text), most: 128.0, error: ulps(7.0, 128.0) },
            "distance" => {
                Real { text: format!("distance({}, {})", a.text, b.text), most: 256.0, error: ulps(7.0, 256.0) }
            }
            "normalize" => Real { text: format!("normalize({}).{at}", away(&a)), most: 1.01, error: ulps(12.0, 1.01) },
            "refract" => {
                // With eta <= 1/2 the root is of 3/4 at least.
                let text = format!("refract(normalize({}), normalize({}), 0.5).{at}", away(&a), away(&b));
                Real { text, most: 3.0, error: ulps(150.0, 3.0) }
            }
            _ => {
                // WGSL sets no bound at all; cofactors of numbers up to 4 stay within this one.
                let matrix = self.tamed(Ty::Matrix(n, n), depth);
                let scaled = if matrix.constant { self.runtime(matrix.ty, 1) } else { matrix };
                let scaled = self.tame(scaled);
                let most = 24.0 * 4.0_f64.powi(4);
                Real { text: format!("determinant({} * 0.0625)", scaled.text), most, error: ulps(8.0, most) }
            }
        }
    }

    /// 3 ulp each.
    fn unpacked(&mut self) -> Real {
        let op = self.choose(&["unpack4x8snorm", "unpack4x8unorm", "unpack2x16snorm", "unpack2x16unorm"]);
        let word = self.runtime(U32, 1).text;
        Real { text: format!("{op}({word}).{}", self.choices.pick(&["x", "y"])), most: 1.0, error: ulps(3.0, 1.0) }
    }
}
