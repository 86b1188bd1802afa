//! Control flow of the workgroup as a whole: what holds a barrier.
//!
//! Where it is not sure that all invocations come along, the active ones are counted and marked in a row
//! of the context, and a barrier that not all reach ends the workgroup.

use super::value::Kind;
use super::*;
use crate::dispatch::Halt;
use crate::ir::{Inst, Op, Reg};
use crate::jit::plan::{Home, Stage};

/// A scope of the whole workgroup.
pub(super) struct Scope {
    pub label: Label,
    /// Where it ends.
    end: Block,
}

impl Emit<'_, '_> {
    pub(super) fn mask_row(&self) -> u32 {
        self.input.plan.rows
    }

    /// Makes every invocation active.
    pub(super) fn reset_mask(&mut self, lanes: u32, padded: u32) {
        let all = self.word(lanes);
        self.b.def_var(self.active, all);
        let at = self.row(self.mask_row());
        let (lanes, padded) = (self.word(lanes), self.word(padded));
        self.host(helper::fill as *const (), &[at, lanes, padded], false);
    }

    /// The address of a whole row.
    fn row(&mut self, row: u32) -> Value {
        let (at, offset) = self.row_address(row);
        self.b.ins().iadd_imm_s(at, i64::from(offset))
    }

    /// Runs stages in order. Answers whether anything reaches their end.
    pub(super) fn stages(&mut self, stages: &[Stage<'_>]) -> bool {
        self.ends.push(None);
        let mut live = true;
        for stage in stages {
            live = self.stage(stage);
            if !live {
                break;
            }
            if self.input.plan.partial && !matches!(stage, Stage::Once(_) | Stage::Barrier(_) | Stage::Agree(_)) {
                let active = self.b.use_var(self.active);
                let end = self.end();
                let go_on = self.b.create_block();
                self.b.ins().brif(active, go_on, &[], end, &[]);
                self.start(go_on);
            }
        }
        match self.ends.pop().flatten() {
            Some(end) => {
                if live {
                    self.b.ins().jump(end, &[]);
                }
                self.start(end);
                true
            }
            None => live,
        }
    }

    fn stage(&mut self, stage: &Stage<'_>) -> bool {
        match stage {
            Stage::Region(nodes) => self.region(nodes),
            Stage::Once(inst) => self.inst(inst),
            Stage::Agree(inst) => self.agree(inst),
            Stage::Barrier(at) => {
                if self.input.plan.partial {
                    let active = self.b.use_var(self.active);
                    let all = i64::from(self.lane_count());
                    let here = self.b.ins().icmp_imm_u(IntCC::Equal, active, all);
                    let (go_on, missing) = (self.b.create_block(), self.b.create_block());
                    self.b.set_cold_block(missing);
                    self.b.ins().brif(here, go_on, &[], missing, &[]);
                    self.start(missing);
                    self.b.ins().store(PLAIN, active, self.frame, offset_of!(Frame, arrived) as i32);
                    self.halt(Halt::Diverged { at: *at, arrived: 0 });
                    self.start(go_on);
                }
            }
            Stage::If { cond, accept, reject } => return self.whole_branch(*cond, accept, reject),
            Stage::Scope { label, body } => return self.whole_scope(*label, body),
            Stage::Loop { body } => return self.whole_loop(body),
            Stage::Exit(label) => {
                self.whole_exit(*label);
                return self.input.plan.partial;
            }
        }
        true
    }

    /// A uniform load. Everybody is here: it stands behind a barrier.
    fn agree(&mut self, inst: &Inst) {
        let Op::LoadUniform { dst, ty, place } = &inst.op else {
            return;
        };
        if let Some(addr) = place.addr
            && let Home::Row(row) | Home::Lanes(Some(row)) | Home::Line { row: Some(row), .. } | Home::Memory(row) =
                self.home(addr)
        {
            let at = self.row(row);
            let lanes = self.word(self.lane_count());
            let agree = self.host(helper::agree as *const (), &[at, lanes], true);
            let agree = agree.unwrap_or(at);
            let (go_on, differ) = (self.b.create_block(), self.b.create_block());
            self.b.set_cold_block(differ);
            self.b.ins().brif(agree, go_on, &[], differ, &[]);
            self.start(differ);
            self.halt(Halt::NotUniform { at: inst.at });
            self.start(go_on);
            // The first lane speaks for all.
            let first = self.b.ins().load(I32, PLAIN, at, 0);
            self.agreed = Some((addr, first));
        }
        self.load(inst, *dst, *ty, place);
        self.agreed = None;
    }

    fn whole_branch(&mut self, cond: Reg, accept: &[Stage<'_>], reject: &[Stage<'_>]) -> bool {
        let (yes, no, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let (Home::Row(row) | Home::Lanes(Some(row)) | Home::Line { row: Some(row), .. } | Home::Memory(row)) =
            self.home(cond)
        else {
            let cond = self.get_one(cond, Kind::Truth);
            self.fork(cond, (yes, ends_by_leaving(accept)), (no, ends_by_leaving(reject)));
            let mut live = false;
            for (block, stages) in [(yes, accept), (no, reject)] {
                self.start(block);
                if self.stages(stages) {
                    live = true;
                    self.b.ins().jump(join, &[]);
                }
            }
            if live {
                self.start(join);
            }
            return live;
        };
        // The lanes that go the other way wait in a row of their own.
        let others = self.mask_row() + 1 + self.waiting;
        let (cond, mask, others) = (self.row(row), self.row(self.mask_row()), self.row(others));
        let padded = self.word(self.input.padded);
        let taken = self.host(helper::split as *const (), &[mask, cond, others, padded], true);
        let all = self.b.use_var(self.active);
        let taken = taken.unwrap_or(all);
        let rest = self.b.ins().isub(all, taken);
        self.b.def_var(self.active, taken);
        let between = self.b.create_block();
        self.waiting += 1;
        self.b.ins().brif(taken, yes, &[], between, &[]);
        self.start(yes);
        if self.stages(accept) {
            self.b.ins().jump(between, &[]);
        }
        self.start(between);
        let first = self.b.use_var(self.active);
        self.b.def_var(self.active, rest);
        self.host(helper::swap as *const (), &[mask, others, padded], false);
        self.b.ins().brif(rest, no, &[], join, &[]);
        self.start(no);
        if self.stages(reject) {
            self.b.ins().jump(join, &[]);
        }
        self.start(join);
        self.waiting -= 1;
        self.host(helper::join as *const (), &[mask, others, padded], false);
        let second = self.b.use_var(self.active);
        let both = self.b.ins().iadd(first, second);
        self.b.def_var(self.active, both);
        true
    }

    fn whole_scope(&mut self, label: Label, body: &[Stage<'_>]) -> bool {
        let partial = self.input.plan.partial;
        let end = self.b.create_block();
        let row = match self.scope_row(label) {
            Some(row) if partial => Some(self.row(row)),
            _ => None,
        };
        let padded = self.word(self.input.padded);
        if let Some(row) = row {
            let none = self.word(0);
            self.host(helper::fill as *const (), &[row, none, padded], false);
        }
        self.whole.push(Scope { label, end });
        let live = self.stages(body);
        self.whole.pop();
        if !partial {
            if live {
                self.b.ins().jump(end, &[]);
            }
            let reached = live || body.iter().any(|stage| leaves(stage, label));
            if reached {
                self.start(end);
            }
            return reached;
        }
        if !live {
            return false;
        }
        if let Some(row) = row {
            let mask = self.row(self.mask_row());
            let count = self.host(helper::join as *const (), &[mask, row, padded], true);
            let count = count.unwrap_or(padded);
            self.b.def_var(self.active, count);
        }
        true
    }

    fn whole_loop(&mut self, body: &[Stage<'_>]) -> bool {
        let head = self.b.create_block();
        self.b.ins().jump(head, &[]);
        self.b.switch_to_block(head);
        let live = self.stages(body);
        if live {
            self.poll();
            if self.input.plan.partial {
                let active = self.b.use_var(self.active);
                let done = self.end();
                self.b.ins().brif(active, head, &[], done, &[]);
            } else {
                self.b.ins().jump(head, &[]);
            }
        }
        self.b.seal_block(head);
        false
    }

    fn whole_exit(&mut self, label: Label) {
        let Some(scope) = self.whole.iter().rev().find(|scope| scope.label == label) else {
            return;
        };
        let end = scope.end;
        if !self.input.plan.partial {
            self.b.ins().jump(end, &[]);
            return;
        }
        let Some(row) = self.scope_row(label) else {
            return;
        };
        let (mask, row) = (self.row(self.mask_row()), self.row(row));
        let padded = self.word(self.input.padded);
        self.host(helper::leave as *const (), &[mask, row, padded], false);
        let none = self.word(0);
        self.b.def_var(self.active, none);
    }
}

fn leaves(stage: &Stage<'_>, to: Label) -> bool {
    let any = |stages: &[Stage<'_>]| stages.iter().any(|stage| leaves(stage, to));
    match stage {
        Stage::Exit(label) => *label == to,
        Stage::If { accept, reject, .. } => any(accept) || any(reject),
        Stage::Scope { body, .. } | Stage::Loop { body } => any(body),
        Stage::Region(_) | Stage::Once(_) | Stage::Agree(_) | Stage::Barrier(_) => false,
    }
}

fn ends_by_leaving(stages: &[Stage<'_>]) -> bool {
    matches!(stages.last(), Some(Stage::Exit(_)))
}
