//! Arithmetic. What is done here gives the interpreter's results to the bit; the rest is left to it.

use cranelift_codegen::ir::condcodes::FloatCC;

use super::compare::comparison;
use super::value::{Kind, Val};
use super::*;
use crate::ir::{Binary, Inst, Lane, Reg, Unary};

/// The kind of a lane type that takes one word.
fn kind_of(ty: Lane) -> Option<Kind> {
    match ty {
        Lane::Bool => Some(Kind::Truth),
        Lane::I32 | Lane::U32 => Some(Kind::Bits),
        Lane::F32 => Some(Kind::Float),
        Lane::I64 | Lane::U64 | Lane::F64 => None,
    }
}

impl Emit<'_, '_> {
    pub(super) fn unary(&mut self, inst: &Inst, op: Unary, ty: Lane, dst: Reg, a: Reg) {
        let known = match (op, ty) {
            (Unary::SignExtend16 | Unary::ZeroExtend16, _) => true,
            (_, Lane::F32) => matches!(
                op,
                Unary::Negate
                    | Unary::Abs
                    | Unary::Sign
                    | Unary::Ceil
                    | Unary::Floor
                    | Unary::Round
                    | Unary::Trunc
                    | Unary::Sqrt
                    | Unary::InverseSqrt
                    | Unary::IsNan
                    | Unary::IsInf
            ),
            (Unary::Not, Lane::Bool) => true,
            (Unary::Negate | Unary::Not | Unary::Abs | Unary::Sign, Lane::I32 | Lane::U32) => true,
            _ => false,
        };
        let kind = match op {
            Unary::SignExtend16 | Unary::ZeroExtend16 => Some(Kind::Bits),
            _ => kind_of(ty),
        };
        let Some(kind) = kind.filter(|_| known) else {
            return self.call(inst);
        };
        let value = self.get(a);
        let result = match &value {
            Val::One(one) => {
                let one = self.cast_one(*one, kind);
                Val::One(self.unary_at(op, ty, one, false))
            }
            value => {
                let lanes = self.lanes_of(value, kind);
                Val::Lanes(self.each(|e, i| e.unary_at(op, ty, lanes[i], true)))
            }
        };
        self.set(dst, result, false);
    }

    /// A constant like `a`: a scalar or a vector of it.
    fn like(&mut self, vector: bool, kind: Kind, bits: u32) -> Value {
        match (vector, kind) {
            (true, _) => {
                let quad = self.quad([bits; 4]);
                self.cast_quad(quad, kind)
            }
            (false, Kind::Float) => self.b.ins().f32const(f32::from_bits(bits)),
            (false, _) => self.word(bits),
        }
    }

    /// `cond ? yes : no` of scalars or vectors.
    fn choose(&mut self, vector: bool, cond: Value, yes: Value, no: Value) -> Value {
        if !vector {
            return self.b.ins().select(cond, yes, no);
        }
        let ty = self.b.func.dfg.value_type(yes);
        let cond = self.cast_quad(cond, if ty == F32X4 { Kind::Float } else { Kind::Bits });
        self.b.ins().bitselect(cond, yes, no)
    }

    /// What the lanes in the mask have of `new`, and the others of `old`.
    pub(super) fn blend(&mut self, mask: Value, new: Value, old: Value) -> Value {
        let kind = if self.b.func.dfg.value_type(new) == F32X4 { Kind::Float } else { Kind::Bits };
        if !self.blends {
            let mask = self.cast_quad(mask, kind);
            return self.b.ins().bitselect(mask, new, old);
        }
        let [new, old] = [new, old].map(|quad| self.cast_quad(quad, Kind::Bits));
        let blend = self.b.ins().blendv(mask, new, old);
        self.cast_quad(blend, kind)
    }

    fn unary_at(&mut self, op: Unary, ty: Lane, a: Value, vector: bool) -> Value {
        match (op, ty) {
            (Unary::SignExtend16, _) => {
                let up = self.b.ins().ishl_imm_u(a, 16);
                self.b.ins().sshr_imm_u(up, 16)
            }
            (Unary::ZeroExtend16, _) => {
                let mask = self.like(vector, Kind::Bits, 0xffff);
                self.b.ins().band(a, mask)
            }
            (Unary::Not, Lane::Bool) if !vector => self.b.ins().bxor_imm_u(a, 1),
            (Unary::Not, _) => self.b.ins().bnot(a),
            (Unary::Negate, Lane::F32) => self.b.ins().fneg(a),
            (Unary::Negate, _) => self.b.ins().ineg(a),
            (Unary::Abs, Lane::F32) => self.b.ins().fabs(a),
            (Unary::Abs, Lane::I32) => self.b.ins().iabs(a),
            (Unary::Abs, _) => a,
            (Unary::Sign, Lane::F32) => {
                let [zero, one, less] =
                    [0.0_f32, 1.0, -1.0].map(|value| self.like(vector, Kind::Float, value.to_bits()));
                let above = self.b.ins().fcmp(FloatCC::GreaterThan, a, zero);
                let below = self.b.ins().fcmp(FloatCC::LessThan, a, zero);
                let rest = self.choose(vector, below, less, a);
                self.choose(vector, above, one, rest)
            }
            (Unary::Sign, Lane::I32) => {
                let (one, less) = (self.like(vector, Kind::Bits, 1), self.like(vector, Kind::Bits, u32::MAX));
                let low = self.b.ins().smin(a, one);
                self.b.ins().smax(low, less)
            }
            (Unary::Sign, _) => {
                let one = self.like(vector, Kind::Bits, 1);
                self.b.ins().umin(a, one)
            }
            (Unary::Ceil, _) => self.b.ins().ceil(a),
            (Unary::Floor, _) => self.b.ins().floor(a),
            (Unary::Round, _) => self.b.ins().nearest(a),
            (Unary::Trunc, _) => self.b.ins().trunc(a),
            (Unary::Sqrt, _) => self.b.ins().sqrt(a),
            (Unary::InverseSqrt, _) => {
                let one = self.like(vector, Kind::Float, 1.0_f32.to_bits());
                let root = self.b.ins().sqrt(a);
                self.b.ins().fdiv(one, root)
            }
            (Unary::IsNan, _) => self.b.ins().fcmp(FloatCC::Unordered, a, a),
            _ => {
                let size = self.b.ins().fabs(a);
                let infinite = self.like(vector, Kind::Float, f32::INFINITY.to_bits());
                self.b.ins().fcmp(FloatCC::Equal, size, infinite)
            }
        }
    }

    pub(super) fn convert(&mut self, inst: &Inst, from: Lane, to: Lane, dst: Reg, a: Reg) {
        let (Some(kind), Some(_)) = (kind_of(from), kind_of(to)) else {
            return self.call(inst);
        };
        let value = self.get(a);
        let result = match &value {
            Val::Line { .. } if from != Lane::F32 && matches!(to, Lane::I32 | Lane::U32) => value,
            Val::One(one) => {
                let one = self.cast_one(*one, kind);
                Val::One(self.convert_at(from, to, one, false))
            }
            value => {
                let lanes = self.lanes_of(value, kind);
                Val::Lanes(self.each(|e, i| e.convert_at(from, to, lanes[i], true)))
            }
        };
        self.set(dst, result, false);
    }

    fn convert_at(&mut self, from: Lane, to: Lane, a: Value, vector: bool) -> Value {
        let (int, float) = if vector { (I32X4, F32X4) } else { (I32, F32) };
        match (from, to) {
            (Lane::Bool, Lane::Bool) | (Lane::I32 | Lane::U32, Lane::I32 | Lane::U32) | (Lane::F32, Lane::F32) => a,
            (Lane::Bool, Lane::F32) if vector => {
                let one = self.quad([1.0_f32.to_bits(); 4]);
                let bits = self.b.ins().band(a, one);
                self.cast_quad(bits, Kind::Float)
            }
            (Lane::Bool, Lane::F32) => {
                let (one, zero) = (self.b.ins().f32const(1.0), self.b.ins().f32const(0.0));
                self.b.ins().select(a, one, zero)
            }
            (Lane::Bool, _) if vector => {
                let one = self.quad([1; 4]);
                self.b.ins().band(a, one)
            }
            (Lane::Bool, _) => self.b.ins().uextend(I32, a),
            (Lane::F32, Lane::Bool) => {
                let zero = self.like(vector, Kind::Float, 0);
                self.b.ins().fcmp(FloatCC::NotEqual, a, zero)
            }
            (_, Lane::Bool) => {
                let zero = self.like(vector, Kind::Bits, 0);
                self.b.ins().icmp(IntCC::NotEqual, a, zero)
            }
            (Lane::I32, _) => self.b.ins().fcvt_from_sint(float, a),
            (Lane::U32, _) => self.b.ins().fcvt_from_uint(float, a),
            (_, Lane::I32) => self.b.ins().fcvt_to_sint_sat(int, a),
            _ => self.b.ins().fcvt_to_uint_sat(int, a),
        }
    }

    pub(super) fn select(&mut self, ty: Lane, dst: Reg, cond: Reg, yes: Reg, no: Reg) {
        for word in 0..ty.words() {
            let kind = if ty == Lane::F32 { Kind::Float } else { Kind::Bits };
            let (chosen, a, b) = (self.get(cond), self.get(yes + word), self.get(no + word));
            let result = match (&chosen, &a, &b) {
                (Val::One(cond), Val::One(a), Val::One(b)) => {
                    let cond = self.cast_one(*cond, Kind::Truth);
                    let (a, b) = (self.cast_one(*a, kind), self.cast_one(*b, kind));
                    Val::One(self.b.ins().select(cond, a, b))
                }
                (cond, a, b) => {
                    let cond = self.lanes_of(cond, Kind::Truth);
                    let (a, b) = (self.lanes_of(a, kind), self.lanes_of(b, kind));
                    Val::Lanes(self.each(|e, i| e.choose(true, cond[i], a[i], b[i])))
                }
            };
            self.set(dst + word, result, false);
        }
    }

    pub(super) fn binary(&mut self, inst: &Inst, op: Binary, ty: Lane, dst: Reg, a: Reg, b: Reg) {
        let rare = matches!(op, Binary::Pow | Binary::Atan2 | Binary::Ldexp) || ty == Lane::F32 && op == Binary::Rem;
        let Some(kind) = kind_of(ty).filter(|_| !rare) else {
            return self.call(inst);
        };
        // Bools are compared and combined as words.
        let kind =
            if ty == Lane::Bool && !matches!(op, Binary::And | Binary::Or | Binary::Xor) { Kind::Bits } else { kind };
        let natural = comparison(op, true).is_some() && self.input.plan.shapes.is_natural(dst);
        let ty = if natural { Lane::I32 } else { ty };
        let x = self.get(a);
        let (op, y) = match (op, self.home(b)) {
            (Binary::Div, Home::Const(by)) if ty == Lane::U32 && by.is_power_of_two() => {
                (Binary::Shr, Val::One(self.word(by.trailing_zeros())))
            }
            (Binary::Rem, Home::Const(by)) if ty == Lane::U32 && by.is_power_of_two() => {
                (Binary::And, Val::One(self.word(by - 1)))
            }
            _ => (op, self.get(b)),
        };
        let result = match self.line(op, ty, &x, &y, b) {
            Some(line) => line,
            None => self.binary_of(op, ty, kind, &x, &y),
        };
        self.set(dst, result, false);
    }

    /// What stays one value plus a step for each lane, or compares that.
    fn line(&mut self, op: Binary, ty: Lane, a: &Val, b: &Val, b_reg: Reg) -> Option<Val> {
        if !matches!(ty, Lane::I32 | Lane::U32) {
            return None;
        }
        let known = match self.home(b_reg) {
            Home::Const(bits) => Some(bits),
            _ => None,
        };
        match (op, a, b) {
            (Binary::Add, Val::Line { .. }, Val::Line { .. } | Val::One(_)) => Some(self.sum(a, b)),
            (Binary::Add, Val::One(_), Val::Line { .. }) => Some(self.sum(a, b)),
            (Binary::Sub, Val::Line { base, step }, Val::One(one)) => {
                let one = self.cast_one(*one, Kind::Bits);
                Some(Val::Line { base: self.b.ins().isub(*base, one), step: *step })
            }
            (Binary::Mul, Val::Line { base, step }, _) if let Some(by) = known => {
                Some(Val::Line { base: self.b.ins().imul_imm_u(*base, i64::from(by)), step: step.wrapping_mul(by) })
            }
            (Binary::Shl, Val::Line { base, step }, _) if let Some(by) = known => {
                let by = by & 31;
                Some(Val::Line { base: self.b.ins().ishl_imm_u(*base, i64::from(by)), step: step << by })
            }
            (op, a, b) => self.compare(op, ty, a, b).map(Val::Compare),
        }
    }

    fn binary_of(&mut self, op: Binary, ty: Lane, kind: Kind, a: &Val, b: &Val) -> Val {
        match (op, a, b) {
            (_, Val::One(a), Val::One(b)) => {
                let (a, b) = (self.cast_one(*a, kind), self.cast_one(*b, kind));
                Val::One(self.binary_at(op, ty, a, b, false))
            }
            (Binary::Shl | Binary::Shr, a, Val::One(by)) => {
                let (lanes, by) = (self.lanes_of(a, Kind::Bits), self.cast_one(*by, Kind::Bits));
                Val::Lanes(self.each(|e, i| e.binary_at(op, ty, lanes[i], by, true)))
            }
            (Binary::Shl | Binary::Shr | Binary::Div | Binary::Rem, a, b) if kind == Kind::Bits => {
                let (a, b) = (self.lanes_of(a, kind), self.lanes_of(b, kind));
                Val::Lanes(self.each(|e, i| {
                    let mut quad = a[i];
                    for lane in 0..4_u8 {
                        let (x, y) = (e.b.ins().extractlane(a[i], lane), e.b.ins().extractlane(b[i], lane));
                        let one = e.binary_at(op, ty, x, y, false);
                        quad = e.b.ins().insertlane(quad, one, lane);
                    }
                    quad
                }))
            }
            (_, a, b) => {
                let (a, b) = (self.lanes_of(a, kind), self.lanes_of(b, kind));
                Val::Lanes(self.each(|e, i| e.binary_at(op, ty, a[i], b[i], true)))
            }
        }
    }

    fn binary_at(&mut self, op: Binary, ty: Lane, a: Value, b: Value, vector: bool) -> Value {
        if ty == Lane::F32 {
            return self.float_at(op, a, b, vector);
        }
        let signed = ty == Lane::I32;
        if let Some(how) = comparison(op, signed) {
            return self.b.ins().icmp(how, a, b);
        }
        if matches!(op, Binary::Div | Binary::Rem) {
            return self.divide_at(op, signed, a, b);
        }
        let ins = self.b.ins();
        match op {
            Binary::Add => ins.iadd(a, b),
            Binary::Sub => ins.isub(a, b),
            Binary::Mul => ins.imul(a, b),
            Binary::And => ins.band(a, b),
            Binary::Or => ins.bor(a, b),
            Binary::Xor => ins.bxor(a, b),
            Binary::Shl => ins.ishl(a, b),
            Binary::Shr if signed => ins.sshr(a, b),
            Binary::Shr => ins.ushr(a, b),
            Binary::Min if signed => ins.smin(a, b),
            Binary::Min => ins.umin(a, b),
            Binary::Max if signed => ins.smax(a, b),
            _ => ins.umax(a, b),
        }
    }

    /// Of scalars. By zero the quotient is the dividend, and the least number by -1 is itself.
    fn divide_at(&mut self, op: Binary, signed: bool, a: Value, b: Value) -> Value {
        let one = self.word(1);
        let zero = self.b.ins().icmp_imm_u(IntCC::Equal, b, 0);
        if !signed {
            let by = self.b.ins().select(zero, one, b);
            return match op {
                Binary::Div => self.b.ins().udiv(a, by),
                _ => self.b.ins().urem(a, by),
            };
        }
        let less = self.b.ins().icmp_imm_s(IntCC::Equal, b, -1);
        let either = self.b.ins().bor(zero, less);
        let by = self.b.ins().select(either, one, b);
        if op == Binary::Rem {
            return self.b.ins().srem(a, by);
        }
        let quotient = self.b.ins().sdiv(a, by);
        let negative = self.b.ins().ineg(a);
        self.b.ins().select(less, negative, quotient)
    }

    fn float_at(&mut self, op: Binary, a: Value, b: Value, vector: bool) -> Value {
        let compare = match op {
            Binary::Eq => Some(FloatCC::Equal),
            Binary::Ne => Some(FloatCC::NotEqual),
            Binary::Lt => Some(FloatCC::LessThan),
            Binary::Le => Some(FloatCC::LessThanOrEqual),
            Binary::Gt => Some(FloatCC::GreaterThan),
            Binary::Ge => Some(FloatCC::GreaterThanOrEqual),
            _ => None,
        };
        if let Some(compare) = compare {
            return self.b.ins().fcmp(compare, a, b);
        }
        match op {
            Binary::Add => self.b.ins().fadd(a, b),
            Binary::Sub => self.b.ins().fsub(a, b),
            Binary::Mul => self.b.ins().fmul(a, b),
            Binary::Div => self.b.ins().fdiv(a, b),
            // The first operand where they do not compare, as the interpreter has it.
            Binary::Min => {
                let less = self.b.ins().fcmp(FloatCC::LessThan, b, a);
                self.choose(vector, less, b, a)
            }
            _ => {
                let less = self.b.ins().fcmp(FloatCC::LessThan, a, b);
                self.choose(vector, less, b, a)
            }
        }
    }
}
