//! Floats that nobody may round, and matrices of them. See [`Class`].

use crate::generator::Gen;
use crate::ty::{Class, Expr, F32, I32, Scalar, Ty, U32, is_float};

pub(crate) const EXACT: &[&str] = &[
    "float +",
    "float -",
    "float *",
    "float negate",
    "float abs",
    "float min",
    "float max",
    "float clamp",
    "float floor",
    "float sign",
    "float ceil",
    "float round",
    "float trunc",
    "fract",
    "saturate",
    "step",
    "fma",
    "mix",
    "ldexp",
    "modf fract",
    "modf whole",
    "frexp fract",
    "quantizeToF16",
    "float %",
    "dot",
    "bitcast to float",
    "cross",
    "faceForward",
    "reflect",
    "unpack2x16float",
    "matrix * vector",
    "vector * matrix",
    "float vector * scalar",
];
pub(crate) const MATRIX: &[&str] = &[
    "matrix of columns",
    "matrix of scalars",
    "matrix +",
    "matrix -",
    "matrix * scalar",
    "matrix * matrix",
    "transpose",
];

/// Functions that the module gets where it uses them.
pub(crate) fn helpers(text: &str) -> String {
    let mut out = String::new();
    for scalar in [Scalar::F32, Scalar::F16, Scalar::F64] {
        let (scale, most) = if scalar == Scalar::F16 { (2, 8) } else { (4, 64) };
        for n in 1..=4 {
            let name = format!("tame_{scalar}_{n}");
            if text.contains(&format!("{name}(")) || n > 1 && scalar == Scalar::F32 && text.contains(&format!("x{n}("))
            {
                let ty = if n == 1 { Ty::Scalar(scalar) } else { Ty::Vector(n, scalar) }.name();
                out += &format!(
                    "fn {name}(x: {ty}) -> {ty} {{ return clamp(floor(x * {scalar}({scale})) * {scalar}({}), {ty}({scalar}(-{most})), {ty}({scalar}({most}))); }}\n",
                    1.0 / f64::from(scale)
                );
            }
        }
    }
    for columns in 2..=4 {
        for rows in 2..=4 {
            let name = format!("tame_{columns}x{rows}");
            if text.contains(&format!("{name}(")) {
                let ty = Ty::Matrix(columns, rows).name();
                let parts: Vec<String> = (0..columns).map(|i| format!("tame_f32_{rows}(m[{i}])")).collect();
                out += &format!("fn {name}(m: {ty}) -> {ty} {{ return {ty}({}); }}\n", parts.join(", "));
            }
        }
    }
    // Zero has two signs, and which one comes out is nobody's promise.
    out + "fn bits(x: f32) -> u32 { return select(bitcast<u32>(x), 0u, x == 0.0); }\n"
}

impl Gen<'_> {
    /// The same float, cut down to what variables hold.
    pub(crate) fn tame(&mut self, value: Expr) -> Expr {
        let class = Class::tame(value.ty.scalar());
        if !is_float(value.ty.scalar()) || value.class.within(class) {
            return value;
        }
        self.count("tame");
        let name = match value.ty {
            Ty::Scalar(scalar) => format!("tame_{scalar}_1"),
            Ty::Vector(n, scalar) => format!("tame_{scalar}_{n}"),
            Ty::Matrix(columns, rows) => format!("tame_{columns}x{rows}"),
        };
        Expr { text: format!("{name}({})", value.text), class, ..value }
    }

    /// Any expression, fit to be kept in a variable.
    pub(crate) fn tamed(&mut self, ty: Ty, depth: u32) -> Expr {
        let value = self.expr(ty, depth);
        self.tame(value)
    }

    /// Two operands for which `op` is exact.
    fn fitting(&mut self, types: [Ty; 2], depth: u32, op: impl Fn(Class, Class) -> Class) -> (Expr, Expr, Class) {
        let [mut a, mut b] = self.operands(types, depth);
        if !op(a.class, b.class).fits(types[0].scalar()) {
            (a, b) = (self.tame(a), self.tame(b));
        }
        let class = op(a.class, b.class);
        (a, b, class)
    }

    pub(crate) fn float(&mut self, ty: Ty, depth: u32) -> Expr {
        let scalar = ty.scalar();
        let vector = matches!(ty, Ty::Vector(..));
        let end = match (scalar, ty) {
            (Scalar::F32, Ty::Vector(3, _)) => 33,
            (Scalar::F32, _) => 26 + 2 * usize::from(vector),
            _ => 10,
        };
        let mut op = self.choices.pick(&EXACT[..end]);
        if vector && scalar == Scalar::F32 && self.choices.chance(15) {
            op = self.choices.pick(&EXACT[27..]);
        }
        // Not every function is there for every number of components.
        op = match (op, ty) {
            ("unpack2x16float", Ty::Vector(n, _)) if n != 2 => "reflect",
            ("cross", Ty::Vector(n, _)) if n != 3 => "float *",
            ("dot", _) if vector => "float *",
            ("float vector * scalar", _) if !vector => "float *",
            ("faceForward" | "reflect", _) if !vector => "float max",
            ("cross", Ty::Scalar(_)) => "float min",
            (op, _) => op,
        };
        self.count(op);
        self.exact(op, ty, depth)
    }

    fn exact(&mut self, op: &str, ty: Ty, depth: u32) -> Expr {
        let scalar = ty.scalar();
        let made = |text: String, class: Class| Expr::new(text, ty, class);
        let name = op.strip_prefix("float ").unwrap_or(op);
        match name {
            "+" | "-" => {
                let (a, b, class) = self.fitting([ty, ty], depth, Class::sum);
                made(format!("({} {name} {})", a.text, b.text), class)
            }
            "*" => {
                let (a, b, class) = self.fitting([ty, ty], depth, Class::product);
                made(format!("({} * {})", a.text, b.text), class)
            }
            "vector * scalar" => {
                let (a, b, class) = self.fitting([ty, Ty::Scalar(scalar)], depth, Class::product);
                made(format!("({} * {})", a.text, b.text), class)
            }
            "min" | "max" => {
                let [a, b] = self.operands([ty, ty], depth);
                made(format!("{name}({}, {})", a.text, b.text), a.class.join(b.class))
            }
            "clamp" => {
                let [x, a, b] = self.operands([ty, ty, ty], depth.min(1));
                let class = x.class.join(a.class).join(b.class).join(Class::new(3, 0));
                let (low, high) = (self.runtime_if_constant(a), b.text);
                let text = format!("clamp({}, min({low}, {high}), max({low}, {high}))", x.text);
                made(text, class)
            }
            "fma" => {
                let (a, b, class) = self.fitting([ty, ty], depth, |a, b| a.product(b).sum(Class::tame(scalar)));
                let c = self.tamed(ty, depth);
                made(format!("fma({}, {}, {})", a.text, b.text, c.text), class)
            }
            "mix" => {
                let op = |a: Class, b: Class| a.join(b).product(Class::new(2, 2));
                let (a, b, class) = self.fitting([ty, ty], depth, op);
                let part = self.choices.pick(&["0.25", "0.5", "0.75"]);
                made(format!("mix({}, {}, {scalar}({part}))", a.text, b.text), class)
            }
            "%" => {
                // Half a unit away from where the quotient would jump.
                let x = self.tamed(ty, depth);
                let by = self.choices.pick(&["1", "2", "4"]);
                made(format!("((floor({}) + 0.5) % {by}.0)", self.runtime_if_constant(x)), Class::new(2, 1))
            }
            "ldexp" => {
                let x = self.tamed(ty, depth);
                let by = self.choices.below(6) as i32 - 2;
                let by_text = match ty {
                    Ty::Vector(n, _) => format!("vec{n}<i32>({by})"),
                    _ => format!("{by}i"),
                };
                let class = Class::new(x.class.most + by.max(0), x.class.grain - by.min(0));
                made(format!("ldexp({}, {by_text})", self.runtime_if_constant(x)), class)
            }
            "step" => {
                let [a, b] = self.operands([ty, ty], depth);
                made(format!("step({}, {})", a.text, b.text), Class::UNIT)
            }
            "dot" => {
                let of = Ty::Vector(self.choices.pick(&[2, 3, 4]), scalar);
                let (a, b, class) = self.fitting([of, of], depth, |a, b| a.product(b).product(Class::new(2, 0)));
                made(format!("dot({}, {})", a.text, b.text), class)
            }
            "cross" => {
                let (a, b, class) = self.fitting([ty, ty], depth, |a, b| a.product(b).product(Class::new(1, 0)));
                made(format!("cross({}, {})", a.text, b.text), class)
            }
            "faceForward" => {
                let (a, b, _) = self.fitting([ty, ty], depth, |a, b| a.product(b).product(Class::new(2, 0)));
                let c = self.tamed(ty, depth);
                let (b, c) = (self.tame(b), c.text);
                made(format!("faceForward({}, {}, {c})", a.text, b.text), a.class)
            }
            "reflect" => {
                let (a, b) = (self.tamed(ty, depth), self.runtime(ty, 1));
                let class = a.class.product(Class::new(4, 0));
                made(format!("reflect({}, sign({}))", a.text, b.text), class)
            }
            "bitcast to float" => {
                let word = self.runtime(ty.of(Scalar::U32), depth.min(1)).text;
                let splat = |word: &str| match ty {
                    Ty::Vector(n, _) => format!("vec{n}({word})"),
                    _ => word.to_owned(),
                };
                let text =
                    format!("bitcast<{}>(({word} & {}) | {})", ty.name(), splat("0x7fffffu"), splat("0x3f800000u"));
                made(text, Class::new(1, 23))
            }
            "unpack2x16float" => {
                let word = self.runtime(U32, depth.min(1)).text;
                made(format!("unpack2x16float(({word} & 0x3fff3fffu) | 0x20002000u)"), Class::new(1, 17))
            }
            "matrix * vector" | "vector * matrix" => self.matrix_vector(name, ty, depth),
            _ => self.unary(name, ty, depth),
        }
    }

    /// The text of a value that a compiler does not know.
    fn runtime_if_constant(&mut self, value: Expr) -> String {
        if value.constant {
            let other = self.runtime(value.ty, 0);
            return self.tame(other).text;
        }
        value.text
    }

    fn unary(&mut self, name: &str, ty: Ty, depth: u32) -> Expr {
        let [x] = self.operands([ty], depth);
        let Class { most, grain } = x.class;
        let (text, class) = match name {
            "negate" => (format!("(-({}))", x.text), x.class),
            "abs" => (format!("abs({})", x.text), x.class),
            "sign" => (format!("sign({})", x.text), Class::UNIT),
            "fract" => (format!("fract({})", x.text), Class::new(0, grain)),
            "saturate" => (format!("saturate({})", x.text), Class::new(0, grain)),
            "modf fract" => (format!("modf({}).fract", x.text), Class::new(0, grain)),
            "modf whole" => (format!("modf({}).whole", x.text), Class::new(most.max(0), 0)),
            "frexp fract" => (format!("frexp({}).fract", x.text), Class::new(0, (most + grain).max(0))),
            "quantizeToF16" => {
                let x = self.tame(x);
                return Expr { text: format!("quantizeToF16({})", x.text), ..x };
            }
            _ => (format!("{name}({})", x.text), Class::new(most.max(0), 0)),
        };
        Expr::new(text, ty, class)
    }

    pub(crate) fn convert_to_float(&mut self, ty: Ty, from: Scalar, depth: u32) -> Expr {
        self.count("convert");
        let to = ty.scalar();
        let name = ty.name();
        if is_float(from) {
            let value = self.tamed(ty.of(from), depth);
            let value = self.runtime_if_constant_of(value, from);
            let class = if to == Scalar::F16 { Class::new(3, 2) } else { Class::new(6, 2) };
            let text = match (to, ty) {
                (Scalar::F16, Ty::Vector(n, _)) => {
                    format!("{name}(clamp({value}, vec{n}<{from}>(-8), vec{n}<{from}>(8)))")
                }
                (Scalar::F16, _) => format!("{name}(clamp({value}, {from}(-8), {from}(8)))"),
                _ => format!("{name}({value})"),
            };
            return Expr::new(text, ty, class);
        }
        let [value] = self.operands([ty.of(from)], depth);
        if from == Scalar::Bool {
            return Expr::new(format!("{name}({})", value.text), ty, Class::UNIT);
        }
        Expr::new(format!("{name}({} % {from}(8))", value.text), ty, Class::new(3, 0))
    }

    fn runtime_if_constant_of(&mut self, value: Expr, from: Scalar) -> String {
        if value.constant { self.runtime(value.ty.of(from), 0).text } else { value.text }
    }

    fn matrix_vector(&mut self, op: &str, ty: Ty, depth: u32) -> Expr {
        let Ty::Vector(n, _) = ty else {
            return self.dot_of_matrix(op, depth);
        };
        let other = self.choices.pick(&[2, 3, 4]);
        let vector = Ty::Vector(other, Scalar::F32);
        let (matrix, text): (Ty, fn(&str, &str) -> String) = if op == "matrix * vector" {
            (Ty::Matrix(other, n), |m, v| format!("({m} * {v})"))
        } else {
            (Ty::Matrix(n, other), |m, v| format!("({v} * {m})"))
        };
        let (m, v, class) = self.fitting([matrix, vector], depth, |a, b| a.product(b).product(Class::new(2, 0)));
        Expr::new(text(&m.text, &v.text), ty, class)
    }

    /// One component of such a product.
    fn dot_of_matrix(&mut self, op: &str, depth: u32) -> Expr {
        let product = self.matrix_vector(op, Ty::Vector(2, Scalar::F32), depth);
        Expr { text: format!("{}.y", product.text), ty: F32, ..product }
    }

    pub(crate) fn matrix(&mut self, ty: Ty, depth: u32) -> Expr {
        let Ty::Matrix(columns, rows) = ty else {
            return self.leaf(ty);
        };
        let op = self.choose(MATRIX);
        let made = |text: String, class: Class| Expr::new(text, ty, class);
        match op {
            "matrix +" | "matrix -" => {
                let (a, b, class) = self.fitting([ty, ty], depth, Class::sum);
                made(format!("({} {} {})", a.text, &op[7..], b.text), class)
            }
            "matrix * scalar" => {
                let (a, b, class) = self.fitting([ty, F32], depth, Class::product);
                let turned = self.choices.chance(50);
                let (a, b) = if turned { (b, a) } else { (a, b) };
                made(format!("({} * {})", a.text, b.text), class)
            }
            "matrix * matrix" => {
                let inner = self.choices.pick(&[2, 3, 4]);
                let types = [Ty::Matrix(inner, rows), Ty::Matrix(columns, inner)];
                let (a, b, class) = self.fitting(types, depth.min(1), |a, b| a.product(b).product(Class::new(2, 0)));
                made(format!("({} * {})", a.text, b.text), class)
            }
            "transpose" => {
                let [a] = self.operands([Ty::Matrix(rows, columns)], depth);
                made(format!("transpose({})", a.text), a.class)
            }
            "matrix of columns" => {
                let parts: Vec<Expr> =
                    (0..columns).map(|_| self.expr(Ty::Vector(rows, Scalar::F32), depth.min(1))).collect();
                self.composed(ty, &parts)
            }
            _ => {
                let parts: Vec<Expr> = (0..columns * rows).map(|_| self.leaf(F32)).collect();
                self.composed(ty, &parts)
            }
        }
    }

    fn composed(&mut self, ty: Ty, parts: &[Expr]) -> Expr {
        let class = parts.iter().fold(Class::UNIT, |class, part| class.join(part.class));
        let constant = parts.iter().all(|part| part.constant);
        let texts: Vec<&str> = parts.iter().map(|part| part.text.as_str()).collect();
        Expr { constant, ..Expr::new(format!("{}({})", ty.name(), texts.join(", ")), ty, class) }
    }

    /// A number from a float, for the other scalars.
    pub(crate) fn as_word(&mut self, text: &str, scalar: Scalar) -> String {
        match scalar {
            Scalar::Bool => format!("u32({text})"),
            Scalar::U32 => text.to_owned(),
            Scalar::I32 => format!("bitcast<u32>({text})"),
            Scalar::F32 => format!("bits({text})"),
            Scalar::F16 | Scalar::F64 => format!("bits(f32({text}))"),
            Scalar::I64 | Scalar::U64 => format!("(u32({text}) ^ u32({text} >> 32u))"),
            _ => format!("u32({}({text}))", I32.name()),
        }
    }
}
