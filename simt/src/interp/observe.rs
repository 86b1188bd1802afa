//! What a checked run tells the checker before each instruction.

use std::cell::Cell;

use naga::Span;

use super::exec::Run;
use super::lanes::Row;
use super::vector;
use crate::check::{Beyond, Checker, How, Touch};
use crate::ir::{Atomic, Inst, Len, NOWHERE, Op, Place, Root};
use crate::layout::Scalar;

impl Run<'_> {
    /// Runs `tell` with the checker, if the run is checked.
    pub(super) fn told(&self, tell: impl FnOnce(&mut Checker<'_>)) {
        if let Some(check) = &self.check {
            tell(&mut check.borrow_mut());
        }
    }

    /// Counts the instructions so far for the lanes that took them.
    pub(super) fn pay(&mut self) {
        let steps = std::mem::take(&mut self.unpaid);
        let mask = &self.state.mask[..self.lanes as usize];
        self.told(|check| check.spend(steps, mask, self.full()));
    }

    /// Tells of a loop in which somebody has used up the budget.
    pub(super) fn over_budget(&self, at: Span) -> bool {
        let Some(check) = &self.check else { return false };
        let mut check = check.borrow_mut();
        let over = check.over(&self.state.mask[..self.lanes as usize]);
        if let Some(lane) = over {
            check.over_budget(at, lane);
        }
        over.is_some()
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
            Op::Index { dst, base, index, stride, len } => {
                let len = match len {
                    Len::Fixed(len) => *len,
                    Len::Runtime(slot) => self.context.lengths[*slot as usize],
                };
                let row = &self.state.file.row(*index)[..self.lanes as usize];
                let most = vector::run(self.state.file.vector, || row.iter().map(Cell::get).max());
                let bases = base.map(|base| self.state.file.row(base));
                let of = |lane: usize| Beyond {
                    base: bases.map_or(0, |row| row[lane].get()),
                    index: row[lane].get(),
                    stride: *stride,
                    len,
                };
                let beyond: Option<&dyn Fn(usize) -> Beyond> =
                    if most.is_some_and(|most| most >= len) { Some(&of) } else { None };
                self.told(|check| check.index(*dst, *base, beyond));
            }
            Op::Load { ty, place, .. } | Op::LoadUniform { ty, place, .. } => {
                let how = if place.atomic { How::AtomicLoad } else { How::Read };
                self.accesses(inst.at, place, *ty, how);
            }
            Op::Store { ty, place, .. } => {
                let how = if place.atomic { How::AtomicStore } else { How::Write };
                self.accesses(inst.at, place, *ty, how);
            }
            Op::Atomic { op: Atomic::Exchange, ty, place, .. } | Op::CompareExchange { ty, place, .. } => {
                self.accesses(inst.at, place, *ty, How::AtomicExchange);
            }
            Op::Atomic { ty, place, .. } => {
                self.accesses(inst.at, place, *ty, How::AtomicCombine);
            }
            _ => {}
        }
    }

    fn accesses(&self, at: Span, place: &Place, ty: Scalar, how: How) {
        let lanes = self.lanes as usize;
        let mask = &self.state.mask[..lanes];
        let row = place.addr.map(|addr| &self.state.file.row(addr)[..lanes]);
        let (nowhere, same) = match row {
            Some(row) => vector::run(self.state.file.vector, || outline(row, mask)),
            None => (false, true),
        };
        self.told(|check| {
            let addr = |lane: usize| row.map_or(0, |row| row[lane].get());
            if nowhere {
                for lane in self.active_lanes().filter(|&lane| addr(lane) == NOWHERE) {
                    check.out_of_bounds(at, place, lane, how);
                }
            }
            match place.root {
                Root::Local => {}
                Root::Workgroup => check.workgroup((at, place), ty, how, (row, mask), same && self.full() && !nowhere),
                Root::Binding(slot) if check.is_harmless(slot) => {}
                Root::Binding(_) => {
                    let site = check.site(at);
                    for lane in self.active_lanes().filter(|&lane| addr(lane) != NOWHERE) {
                        let address = u64::from(addr(lane)) + u64::from(place.offset);
                        check.access((at, site), place, ty, how, Touch { lane, address });
                    }
                }
            }
        });
    }
}

/// Whether an active lane has an address out of bounds, and whether all lanes have the same.
#[inline(always)]
fn outline(row: Row<'_>, mask: Row<'_>) -> (bool, bool) {
    let first = row[0].get();
    let (mut nowhere, mut differs) = (0, 0);
    for (addr, mask) in row.iter().zip(mask) {
        nowhere |= if addr.get() == NOWHERE { mask.get() } else { 0 };
        differs |= addr.get() ^ first;
    }
    (nowhere != 0, differs == 0)
}
