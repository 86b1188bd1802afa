//! Atomics: real ones on buffers, plain ones on workgroup memory, which one thread owns.

use cranelift_codegen::ir::AtomicRmwOp;

use super::value::Val;
use super::*;
use crate::ir::{Atomic, Inst, Place, Reg, Root};
use crate::layout::Scalar;

impl Emit<'_, '_> {
    pub(super) fn atomic(&mut self, inst: &Inst, op: Atomic, ty: Scalar, dst: Reg, place: &Place, value: Reg) {
        if !matches!(ty, Scalar::I32 | Scalar::U32) || place.root == Root::Local {
            return self.call(inst);
        }
        let wanted = self.input.plan.used[dst as usize];
        let value = self.get(value);
        let places = self.each_place(place, 0, true);
        if wanted {
            let zero = self.quad([0; 4]);
            self.spill(2, [zero; 4]);
        }
        self.each_lane(places, &value, false, |e, at, word, lane| {
            let old = e.update(op, ty, place.root, at, word);
            if wanted {
                e.set_spilled(2, lane, old);
            }
        });
        if wanted {
            let old = self.unspill(2);
            self.set(dst, Val::Lanes(old), false);
        }
    }

    /// Does it at one address; what lay there.
    fn update(&mut self, op: Atomic, ty: Scalar, root: Root, at: Value, value: Value) -> Value {
        let signed = ty == Scalar::I32;
        if let Root::Binding(_) = root {
            let op = match op {
                Atomic::Add => AtomicRmwOp::Add,
                Atomic::Sub => AtomicRmwOp::Sub,
                Atomic::And => AtomicRmwOp::And,
                Atomic::Or => AtomicRmwOp::Or,
                Atomic::Xor => AtomicRmwOp::Xor,
                Atomic::Exchange => AtomicRmwOp::Xchg,
                Atomic::Min if signed => AtomicRmwOp::Smin,
                Atomic::Min => AtomicRmwOp::Umin,
                Atomic::Max if signed => AtomicRmwOp::Smax,
                Atomic::Max => AtomicRmwOp::Umax,
            };
            return self.b.ins().atomic_rmw(I32, PLAIN, op, at, value);
        }
        let old = self.b.ins().load(I32, PLAIN, at, 0);
        let ins = self.b.ins();
        let new = match op {
            Atomic::Add => ins.iadd(old, value),
            Atomic::Sub => ins.isub(old, value),
            Atomic::And => ins.band(old, value),
            Atomic::Or => ins.bor(old, value),
            Atomic::Xor => ins.bxor(old, value),
            Atomic::Exchange => value,
            Atomic::Min if signed => ins.smin(old, value),
            Atomic::Min => ins.umin(old, value),
            Atomic::Max if signed => ins.smax(old, value),
            Atomic::Max => ins.umax(old, value),
        };
        self.b.ins().store(PLAIN, new, at, 0);
        old
    }
}
