//! What has no code of its own: done by the interpreter, a block of lanes at a time.

use super::value::{Kind, Val};
use super::*;
use crate::ir::{Inst, Op, Reg, SUBGROUP, Use};

impl Emit<'_, '_> {
    /// Hands an instruction to the interpreter, on rows of its own.
    pub(super) fn call(&mut self, inst: &Inst) {
        let mut own = inst.clone();
        let (mut reads, mut writes): (Vec<Reg>, Vec<Reg>) = (Vec::new(), Vec::new());
        let mut next = 0;
        own.op.registers(&mut |reg, words, how| {
            let list = if how == Use::Read { &mut reads } else { &mut writes };
            list.extend(*reg..*reg + words);
            *reg = next;
            next += words;
        });
        let masked = matches!(
            own.op,
            Op::Store { .. }
                | Op::Atomic { .. }
                | Op::CompareExchange { .. }
                | Op::Ballot { .. }
                | Op::Gather { .. }
                | Op::Collective { .. }
        );
        let rows = self.b.ins().load(I64, FIXED, self.frame, offset_of!(Frame, rows) as i32);
        let row = |index: usize| (index * SUBGROUP as usize * 4) as i32;
        let mut uniform = !masked && !matches!(own.op, Op::Load { .. });
        for (index, &reg) in reads.iter().enumerate() {
            let value = self.get(reg);
            uniform &= matches!(value, Val::One(_));
            let lanes = self.lanes_of(&value, Kind::Bits);
            self.store_lanes(lanes, rows, row(index));
        }
        let active = match self.mask_lanes().filter(|_| masked) {
            Some(mask) => self.bits(mask),
            None => self.word(((1_u64 << self.width()) - 1) as u32),
        };
        let block = self.b.ins().load(I64, FIXED, self.frame, offset_of!(Frame, block) as i32);
        let list = self.b.ins().load(I64, FIXED, self.frame, offset_of!(Frame, calls) as i32);
        let number = self.b.ins().iconst(I64, self.out.calls.len() as i64);
        self.host(helper::interpret as *const (), &[block, list, number, active], false);
        self.out.calls.push(own);
        for (index, &reg) in writes.iter().enumerate() {
            let at = row(reads.len() + index);
            let value = if uniform {
                Val::One(self.b.ins().load(I32, PLAIN, rows, at))
            } else {
                Val::Lanes(self.each(|e, i| e.b.ins().load(I32X4, PLAIN, rows, at + 16 * i as i32)))
            };
            self.set(reg, value, false);
        }
    }
}
