//! What a checked run tells the checker before each instruction.

use naga::Span;

use super::exec::Run;
use crate::check::{Checker, How, Touch};
use crate::ir::{Inst, Len, NOWHERE, Op, Place, Root};
use crate::layout::Scalar;

impl Run<'_> {
    /// Runs `tell` with the checker, if the run is checked.
    pub(super) fn told(&self, tell: impl FnOnce(&mut Checker<'_>)) {
        if let Some(check) = &self.check {
            tell(&mut check.borrow_mut());
        }
    }

    /// Tells of a barrier that not everybody reached.
    pub(super) fn diverged(&self, at: Span) {
        let lanes = &self.state.mask[..self.lanes as usize];
        let find = |active: bool| lanes.iter().position(|mask| (mask.get() != 0) == active).unwrap_or(0);
        self.told(|check| check.diverged(at, find(true), find(false), self.active));
    }

    /// Tells of an instruction. Its operands are in their registers, its result is not yet.
    pub(super) fn observe(&self, inst: &Inst) {
        match &inst.op {
            Op::Index { dst, base, index, len, .. } => {
                let len = match len {
                    Len::Fixed(len) => *len,
                    Len::Runtime(slot) => self.context.lengths[*slot as usize],
                };
                let row = &self.state.file.row(*index)[..self.lanes as usize];
                let beyond = row.iter().map(|cell| Some(cell.get()).filter(|&index| index >= len));
                let beyond = beyond.collect();
                self.told(|check| check.index(*dst, *base, len, beyond));
            }
            Op::Load { ty, place, .. } | Op::LoadUniform { ty, place, .. } => {
                let how = if place.atomic { How::AtomicLoad } else { How::Read };
                self.accesses(inst.at, place, *ty, how);
            }
            Op::Store { ty, place, .. } => {
                let how = if place.atomic { How::AtomicStore } else { How::Write };
                self.accesses(inst.at, place, *ty, how);
            }
            Op::Atomic { ty, place, .. } | Op::CompareExchange { ty, place, .. } => {
                self.accesses(inst.at, place, *ty, How::AtomicUpdate);
            }
            _ => {}
        }
    }

    fn accesses(&self, at: Span, place: &Place, ty: Scalar, how: How) {
        let row = place.addr.map(|addr| self.state.file.row(addr));
        self.told(|check| {
            let site = check.site(at);
            for lane in self.active_lanes() {
                let addr = row.map_or(0, |row| row[lane].get());
                if addr == NOWHERE {
                    check.out_of_bounds(at, place, lane, how);
                } else if place.root != Root::Local {
                    let address = u64::from(addr) + u64::from(place.offset);
                    check.access((at, site), place, ty, how, Touch { lane, address });
                }
            }
        });
    }
}
