//! Expressions of every type whose value WGSL defines to the last bit.

use crate::generator::{Gen, MOST_COST};
use crate::ty::{Class, Expr, F32, I32, Scalar, Ty, U32, is_float, is_signed};

pub(crate) const COMPARE: &[&str] = &["==", "!=", "<", "<=", ">", ">="];
pub(crate) const LOGIC: &[&str] = &["&&", "||", "!", "logical &", "logical |", "logical ==", "any", "all"];
pub(crate) const ARITHMETIC: &[&str] = &["+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>"];
pub(crate) const INTEGER: &[&str] = &[
    "min",
    "max",
    "clamp",
    "abs",
    "sign",
    "negate",
    "~",
    "countOneBits",
    "countLeadingZeros",
    "countTrailingZeros",
    "reverseBits",
    "firstLeadingBit",
    "firstTrailingBit",
    "extractBits",
    "insertBits",
];
/// Functions from or to words.
pub(crate) const PACKED: &[&str] = &[
    "dot of integers",
    "dot4U8Packed",
    "pack4xI8",
    "pack4xU8",
    "pack4xI8Clamp",
    "pack4xU8Clamp",
    "pack4x8snorm",
    "pack4x8unorm",
    "pack2x16snorm",
    "pack2x16unorm",
    "pack2x16float",
    "arrayLength",
];
pub(crate) const UNPACKED: &[&str] = &["dot4I8Packed", "frexp exponent", "dot of integers", "unpack4xI8", "unpack4xU8"];
pub(crate) const GENERAL: &[&str] =
    &["select", "call", "construct", "swizzle", "splat", "convert", "bitcast", "short circuit around a call"];

impl Gen<'_> {
    /// Any expression of a type, at most so deep.
    pub(crate) fn expr(&mut self, ty: Ty, depth: u32) -> Expr {
        if !self.grows(depth) {
            return self.leaf(ty);
        }
        match self.choices.below(16) {
            0..3 => self.leaf(ty),
            3 => self.select(ty, depth - 1),
            4 => self.call(ty, depth - 1).unwrap_or_else(|| self.leaf(ty)),
            5 | 6 if matches!(ty, Ty::Vector(..)) => self.construct(ty, depth - 1),
            7 if matches!(ty, Ty::Scalar(_) | Ty::Vector(..)) => self.convert(ty, depth - 1),
            _ => match ty {
                Ty::Matrix(..) => self.matrix(ty, depth - 1),
                _ if ty.scalar() == Scalar::Bool => self.logic(ty, depth - 1),
                _ if is_float(ty.scalar()) => self.float(ty, depth - 1),
                _ => self.integer(ty, depth - 1),
            },
        }
    }

    /// Operands that are not all constant.
    pub(crate) fn operands<const N: usize>(&mut self, types: [Ty; N], depth: u32) -> [Expr; N] {
        let mut all = types.map(|ty| self.expr(ty, depth));
        if all.iter().all(|operand| operand.constant) {
            all[0] = self.runtime(types[0], 1);
        }
        all
    }

    fn select(&mut self, ty: Ty, depth: u32) -> Expr {
        self.count("select");
        let cond = match ty {
            Ty::Vector(n, _) if self.choices.chance(50) => Ty::Vector(n, Scalar::Bool),
            // naga selects no matrices.
            Ty::Matrix(..) => return self.leaf(ty),
            _ => Ty::Scalar(Scalar::Bool),
        };
        let [cond, a, b] = self.operands([cond, ty, ty], depth);
        Expr::new(format!("select({}, {}, {})", a.text, b.text, cond.text), ty, a.class.join(b.class))
    }

    /// A call, if there is a function of this type and time for it.
    fn call(&mut self, ty: Ty, depth: u32) -> Option<Expr> {
        let times = self.times;
        let left = MOST_COST.saturating_sub(self.cost);
        let fitting: Vec<usize> = (0..self.functions.len())
            .filter(|&i| {
                let function = &self.functions[i];
                function.result == ty && function.pointer.is_none() && times * function.cost < left
            })
            .collect();
        if fitting.is_empty() {
            return None;
        }
        let at = self.choices.pick(&fitting);
        let (name, types) = (self.functions[at].name.clone(), self.functions[at].args.clone());
        self.cost += times * self.functions[at].cost;
        self.count("call");
        let args: Vec<String> = types.into_iter().map(|ty| self.tamed(ty, depth.min(1)).text).collect();
        let call = format!("{name}({})", args.join(", "));
        if ty == Ty::Scalar(Scalar::Bool) {
            self.count("short circuit around a call");
            let (cond, op) = (self.condition(0), self.choices.pick(&["&&", "||"]));
            return Some(Expr::new(format!("({cond} {op} {call})"), ty, Class::UNIT));
        }
        Some(Expr::new(call, ty, Class::tame(ty.scalar())))
    }

    fn construct(&mut self, ty: Ty, depth: u32) -> Expr {
        let Ty::Vector(n, scalar) = ty else {
            return self.leaf(ty);
        };
        let one = Ty::Scalar(scalar);
        let pick = self.choices.below(3);
        if pick == 0 {
            self.count("splat");
            let value = self.expr(one, depth);
            return Expr { text: format!("vec{n}<{scalar}>({})", value.text), ty, ..value };
        }
        if pick == 1 {
            self.count("swizzle");
            let from = self.choices.pick(&[2, 3, 4]);
            let [value] = self.operands([Ty::Vector(from, scalar)], depth);
            let letters = self.choices.pick(&["xyzw", "rgba"]).as_bytes();
            let pattern: String = (0..n).map(|_| char::from(letters[self.choices.below(from as usize)])).collect();
            return Expr::new(format!("{}.{pattern}", value.text), ty, value.class);
        }
        self.count("construct");
        let parts = if n > 2 && self.choices.chance(50) {
            vec![
                self.expr(Ty::Vector(2, scalar), depth),
                self.expr(if n == 3 { one } else { Ty::Vector(2, scalar) }, depth),
            ]
        } else {
            (0..n).map(|_| self.expr(one, depth)).collect()
        };
        let class = parts.iter().fold(Class::UNIT, |class, part| class.join(part.class));
        let constant = parts.iter().all(|part| part.constant);
        let parts: Vec<String> = parts.into_iter().map(|part| part.text).collect();
        Expr { constant, ..Expr::new(format!("vec{n}<{scalar}>({})", parts.join(", ")), ty, class) }
    }

    fn convert(&mut self, ty: Ty, depth: u32) -> Expr {
        let to = ty.scalar();
        let from = self.scalar();
        if is_float(to) {
            return self.convert_to_float(ty, from, depth);
        }
        let [value] = self.operands([ty.of(from)], depth);
        if matches!((from, to), (Scalar::I32, Scalar::U32) | (Scalar::U32, Scalar::I32)) && self.choices.chance(50) {
            self.count("bitcast");
            return Expr::new(format!("bitcast<{}>({})", ty.name(), value.text), ty, Class::UNIT);
        }
        self.count("convert");
        Expr::new(format!("{}({})", ty.name(), value.text), ty, Class::UNIT)
    }

    fn logic(&mut self, ty: Ty, depth: u32) -> Expr {
        let make = |text: String| Expr::new(text, ty, Class::UNIT);
        if self.choices.chance(60) {
            let scalar = loop {
                let scalar = self.scalar();
                if scalar != Scalar::Bool {
                    break scalar;
                }
            };
            let of = ty.of(scalar);
            let [a, b] = self.operands([of, of], depth);
            let op = self.choose(COMPARE);
            return make(format!("({} {op} {})", a.text, b.text));
        }
        if matches!(ty, Ty::Scalar(_)) && self.choices.chance(40) {
            let n = self.choices.pick(&[2, 3, 4]);
            let [value] = self.operands([Ty::Vector(n, Scalar::Bool)], depth);
            let op = self.choose(&["any", "all"]);
            return make(format!("{op}({})", value.text));
        }
        let [a, b] = self.operands([ty, ty], depth);
        let op = if matches!(ty, Ty::Scalar(_)) { self.choose(&LOGIC[..6]) } else { self.choose(&LOGIC[2..6]) };
        match op.strip_prefix("logical ") {
            Some(op) => make(format!("({} {op} {})", a.text, b.text)),
            None if op == "!" => make(format!("!({})", if a.constant { b.text } else { a.text })),
            None => make(format!("({} {op} {})", a.text, b.text)),
        }
    }

    fn integer(&mut self, ty: Ty, depth: u32) -> Expr {
        if self.choices.chance(45) {
            return self.arithmetic(ty, depth);
        }
        if self.choices.chance(35) && (ty == U32 || ty == I32 || matches!(ty, Ty::Vector(4, Scalar::I32 | Scalar::U32)))
        {
            return self.packed(ty, depth);
        }
        let make = |text: String| Expr::new(text, ty, Class::UNIT);
        let scalar = ty.scalar();
        let word = matches!(scalar, Scalar::I32 | Scalar::U32);
        let op = self.choices.pick(if word { INTEGER } else { &INTEGER[..7] });
        let op = if is_signed(scalar) || !matches!(op, "sign" | "negate") { op } else { "max" };
        self.count(op);
        match op {
            "min" | "max" => {
                let [a, b] = self.operands([ty, ty], depth);
                make(format!("{op}({}, {})", a.text, b.text))
            }
            "clamp" => {
                // The lower bound must not be above the upper one: devices differ there.
                let [x, a, b] = self.operands([ty, ty, ty], depth.min(1));
                let (a, b) = (self.unfolded(a), b.text);
                make(format!("clamp({}, min({a}, {b}), max({a}, {b}))", x.text))
            }
            "insertBits" => {
                let [x, y, at, count] = self.operands([ty, ty, U32, U32], depth.min(2));
                let (at, count) = (self.unfolded(at), self.unfolded(count));
                make(format!("insertBits({}, {}, {at}, {count})", x.text, y.text))
            }
            "extractBits" => {
                let [x, at, count] = self.operands([ty, U32, U32], depth.min(2));
                let (at, count) = (self.unfolded(at), self.unfolded(count));
                make(format!("extractBits({}, {at}, {count})", x.text))
            }
            "negate" | "~" => {
                let [x] = self.operands([ty], depth);
                make(format!("({}({}))", if op == "~" { "~" } else { "-" }, x.text))
            }
            _ => {
                let [x] = self.operands([ty], depth);
                make(format!("{op}({})", x.text))
            }
        }
    }

    /// The expression, or a variable in its place where a constant out of range would be rejected; naga
    /// looks at each component of a vector.
    fn unfolded(&mut self, value: Expr) -> String {
        let looked_into = value.constant || matches!(value.ty, Ty::Vector(..));
        if looked_into { self.runtime(value.ty, 1).text } else { value.text }
    }

    fn arithmetic(&mut self, ty: Ty, depth: u32) -> Expr {
        let op = self.choose(ARITHMETIC);
        let make = |text: String| Expr::new(text, ty, Class::UNIT);
        if matches!(op, "<<" | ">>") {
            let [x, by] = self.operands([ty, ty.of(Scalar::U32)], depth);
            return make(format!("({} {op} {})", x.text, self.unfolded(by)));
        }
        // A vector and a scalar go together too.
        let other = match ty {
            Ty::Vector(_, scalar) if matches!(op, "+" | "-" | "*" | "/" | "%") && self.choices.chance(25) => {
                Ty::Scalar(scalar)
            }
            _ => ty,
        };
        let [a, b] = self.operands([ty, other], depth);
        let b = if matches!(op, "/" | "%") { self.unfolded(b) } else { b.text };
        make(format!("({} {op} {b})", a.text))
    }

    /// Functions between words and vectors.
    fn packed(&mut self, ty: Ty, depth: u32) -> Expr {
        let make = |text: String| Expr::new(text, ty, Class::UNIT);
        if let Ty::Vector(_, scalar) = ty {
            let [word] = self.operands([U32], depth);
            let op = if scalar == Scalar::I32 { "unpack4xI8" } else { "unpack4xU8" };
            self.count(op);
            return make(format!("{op}({})", word.text));
        }
        if ty == I32 {
            return match self.choose(&UNPACKED[..3]) {
                "dot4I8Packed" => {
                    let [a, b] = self.operands([U32, U32], depth);
                    make(format!("dot4I8Packed({}, {})", a.text, b.text))
                }
                "frexp exponent" => {
                    let [x] = self.operands([F32], depth);
                    make(format!("frexp({}).exp", x.text))
                }
                _ => self.dot(ty, depth),
            };
        }
        let op = self.choose(PACKED);
        match op {
            "dot of integers" => self.dot(ty, depth),
            "dot4U8Packed" => {
                let [a, b] = self.operands([U32, U32], depth);
                make(format!("dot4U8Packed({}, {})", a.text, b.text))
            }
            "pack4xI8" | "pack4xI8Clamp" | "pack4xU8" | "pack4xU8Clamp" => {
                let scalar = if op.contains("xI8") { Scalar::I32 } else { Scalar::U32 };
                let [x] = self.operands([Ty::Vector(4, scalar)], depth);
                make(format!("{op}({})", x.text))
            }
            "pack2x16float" => {
                let x = self.tamed(Ty::Vector(2, Scalar::F32), depth);
                // The sign of a zero is nobody's promise.
                make(format!("pack2x16float(abs({}))", if x.constant { "vec2(f32(lane % 8u))" } else { &x.text }))
            }
            "pack4x8snorm" | "pack4x8unorm" | "pack2x16snorm" | "pack2x16unorm" => {
                // Quarters that are no halves: scaled by 127 or 255 none of them is a tie.
                let n = if op.contains("4x8") { 4 } else { 2 };
                let x = self.runtime(Ty::Vector(n, Scalar::F32), depth);
                let x = self.tame(x);
                make(format!("{op}(floor({}) * 0.5 + 0.25)", x.text))
            }
            _ => make("arrayLength(&words)".to_owned()),
        }
    }

    fn dot(&mut self, ty: Ty, depth: u32) -> Expr {
        let of = Ty::Vector(self.choices.pick(&[2, 3, 4]), ty.scalar());
        let [a, b] = self.operands([of, of], depth);
        Expr::new(format!("dot({}, {})", a.text, b.text), ty, Class::UNIT)
    }
}
