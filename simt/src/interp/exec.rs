//! Control flow: which lanes are active, and what they run.

use std::cell::{Cell, RefCell};
use std::sync::atomic::Ordering;

use super::Context;
use super::lanes::Row;
use super::state::State;
use super::vector;
use crate::check::Checker;
use crate::dispatch::Halt;
use crate::ir::{Input, Inst, Label, Node, Op, Reg};

/// A thread that runs workgroups of a dispatch.
pub(super) struct Run<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) state: &'a mut State,
    /// How many lanes are active.
    pub(super) active: u32,
    /// Invocations of a workgroup.
    pub(super) lanes: u32,
    /// Instructions since the active lanes were last other ones.
    pub(super) unpaid: u64,
    /// Present in a checked run.
    pub(super) check: Option<RefCell<Checker<'a>>>,
    /// Told of everything that runs.
    #[cfg(test)]
    pub(super) watch: Option<&'a dyn super::watch::Watch>,
}

impl<'a> Run<'a> {
    pub(super) fn new(context: &'a Context<'a>, state: &'a mut State) -> Self {
        let lanes = context.kernel.lanes;
        for &(reg, input) in &context.kernel.inputs {
            match input {
                Input::NumWorkgroups(axis) => state.file.fill(reg, context.groups[usize::from(axis)]),
                Input::Length(slot) => state.file.fill(reg, context.lengths[slot as usize]),
                _ => {}
            }
        }
        Self {
            context,
            state,
            active: 0,
            lanes,
            unpaid: 0,
            check: None,
            #[cfg(test)]
            watch: None,
        }
    }

    /// Runs one workgroup from beginning to end.
    pub(super) fn workgroup(&mut self, group: [u32; 3]) -> Result<(), Halt> {
        self.unpaid = 0;
        self.told(|check| check.start(group));
        self.state.workgroup.iter().for_each(|word| word.set(0));
        let lanes = self.lanes as usize;
        self.state.mask[..lanes].iter().for_each(|lane| lane.set(u32::MAX));
        self.state.mask[lanes..].iter().for_each(|lane| lane.set(0));
        self.active = self.lanes;
        let size = self.context.kernel.workgroup;
        for &(reg, input) in &self.context.kernel.inputs {
            match input {
                Input::WorkgroupId(axis) => self.state.file.fill(reg, group[usize::from(axis)]),
                Input::GlobalId(axis) => {
                    let axis = usize::from(axis);
                    let start = group[axis].wrapping_mul(size[axis]);
                    for (local, cell) in self.state.local[axis].iter().zip(self.state.file.row(reg)) {
                        cell.set(start.wrapping_add(*local));
                    }
                }
                _ => {}
            }
        }
        self.block(&self.context.kernel.body)
    }

    fn block(&mut self, body: &[Node]) -> Result<(), Halt> {
        for node in body {
            self.unpaid += 1;
            #[cfg(test)]
            self.watched(node, false);
            match node {
                Node::Inst(inst) => {
                    if self.check.is_some() {
                        self.observe(inst);
                    }
                    self.inst(inst)?;
                    #[cfg(test)]
                    self.watched(node, true);
                    continue;
                }
                Node::Barrier { scope, at } => {
                    if !scope.subgroup_only && self.active != self.lanes {
                        self.diverged(*at);
                        return Err(Halt::Diverged { at: *at, arrived: self.active });
                    }
                    self.told(|check| check.barrier(*scope, &self.state.mask));
                    continue;
                }
                Node::If { cond, accept, reject, .. } => self.branch(*cond, accept, reject)?,
                Node::Scope { label, body } => self.scope(*label, body)?,
                Node::Loop { body, at } => {
                    while self.active > 0 {
                        if self.context.stop.load(Ordering::Relaxed) {
                            return Err(Halt::Stopped);
                        }
                        self.block(body)?;
                        self.pay();
                        if self.over_budget(*at) {
                            return Err(Halt::Stopped);
                        }
                    }
                }
                Node::Exit(label) => self.exit(*label),
            }
            if self.active == 0 {
                break;
            }
        }
        Ok(())
    }

    fn scope(&mut self, label: Label, body: &[Node]) -> Result<(), Halt> {
        let label = label as usize;
        self.state.counts[label] = 0;
        self.block(body)?;
        if self.state.counts[label] > 0 {
            self.pay();
            each(&self.state.mask, &self.state.exited[label], |mask, left| mask | left);
            self.active += self.state.counts[label];
        }
        Ok(())
    }

    fn exit(&mut self, label: Label) {
        self.pay();
        let label = label as usize;
        let left = &self.state.exited[label];
        if self.state.counts[label] == 0 {
            each(left, &self.state.mask, |_, mask| mask);
        } else {
            each(left, &self.state.mask, |left, mask| left | mask);
        }
        self.state.counts[label] += self.active;
        self.state.mask.iter().for_each(|lane| lane.set(0));
        self.active = 0;
    }

    /// Runs one side, or both one after the other with the lanes that belong there.
    fn branch(&mut self, cond: Reg, accept: &[Node], reject: &[Node]) -> Result<(), Halt> {
        let (mask, cond_row) = (&self.state.mask, self.state.file.row(cond));
        let taken: u32 = vector::run(self.state.file.vector, || {
            mask.iter().zip(cond_row).map(|(mask, cond)| mask.get() & cond.get() & 1).sum()
        });
        if taken == self.active {
            return self.block(accept);
        }
        if taken == 0 {
            return self.block(reject);
        }
        self.pay();
        let others = self.spare();
        let (mask, cond_row) = (&self.state.mask, self.state.file.row(cond));
        for ((others, mask), cond) in others.iter().zip(mask).zip(cond_row) {
            others.set(mask.get() & !cond.get());
            mask.set(mask.get() & cond.get());
        }
        let other_count = self.active - taken;
        self.active = taken;
        self.block(accept)?;
        self.pay();
        if reject.is_empty() {
            each(&self.state.mask, &others, |mask, others| mask | others);
            self.active += other_count;
        } else {
            // What is left of the first side waits in `others` while the second runs.
            for (mask, others) in self.state.mask.iter().zip(&others) {
                let first = mask.get();
                mask.set(others.get());
                others.set(first);
            }
            let first_count = std::mem::replace(&mut self.active, other_count);
            self.block(reject)?;
            self.pay();
            each(&self.state.mask, &others, |mask, first| mask | first);
            self.active += first_count;
        }
        self.state.spare.push(others);
        Ok(())
    }

    fn spare(&mut self) -> Vec<Cell<u32>> {
        self.state.spare.pop().unwrap_or_else(|| vec![Cell::new(0); self.state.mask.len()])
    }

    /// The active lanes.
    pub(super) fn active_lanes(&self) -> impl Iterator<Item = usize> + use<'_, 'a> {
        self.state.mask.iter().enumerate().filter(|(_, mask)| mask.get() != 0).map(|(lane, _)| lane)
    }

    /// Whether every invocation is active.
    pub(super) fn full(&self) -> bool {
        self.active == self.lanes
    }

    pub(super) fn inst(&mut self, inst: &Inst) -> Result<(), Halt> {
        let file = &self.state.file;
        match &inst.op {
            Op::Copy { dst, src, words } => each(file.rows(*dst, *words), file.rows(*src, *words), |_, b| b),
            Op::Set { dst, src, words } => {
                let (to, from) = (file.rows(*dst, *words), file.rows(*src, *words));
                if self.full() {
                    each(to, from, |_, new| new);
                } else {
                    let lanes = file.lanes();
                    for (to, from) in to.chunks(lanes).zip(from.chunks(lanes)) {
                        for ((to, from), mask) in to.iter().zip(from).zip(&self.state.mask) {
                            to.set(if mask.get() != 0 { from.get() } else { to.get() });
                        }
                    }
                }
            }
            Op::Unary { op, ty, dst, a } => self.unary(*op, *ty, *dst, *a),
            Op::Convert { from, to, dst, a } => self.convert(*from, *to, *dst, *a),
            Op::Binary { op, ty, dst, a, b } => self.binary(*op, *ty, *dst, *a, *b),
            Op::Select { ty, dst, cond, yes, no } => {
                for word in 0..ty.words() {
                    let (yes, no) = (file.row(yes + word), file.row(no + word));
                    let sides = yes.iter().zip(no).zip(file.row(*cond));
                    for (to, ((yes, no), cond)) in file.row(dst + word).iter().zip(sides) {
                        to.set(if cond.get() != 0 { yes.get() } else { no.get() });
                    }
                }
            }
            Op::Index { dst, base, index, stride, len, .. } => {
                self.index(*dst, *base, *index, *stride, *len);
            }
            Op::Load { dst, ty, place } => self.load(*dst, *ty, place),
            Op::LoadUniform { dst, ty, place } => {
                if let Some(addr) = place.addr {
                    let row = self.state.file.row(addr);
                    if row[..self.lanes as usize].iter().any(|cell| cell.get() != row[0].get()) {
                        self.told(|check| check.not_uniform(inst.at, place));
                        return Err(Halt::NotUniform { at: inst.at });
                    }
                }
                self.load(*dst, *ty, place);
            }
            Op::Store { src, ty, place } => self.store(*src, *ty, place),
            Op::Atomic { op, ty, dst, place, value } => self.atomic(*op, *ty, *dst, place, *value),
            Op::CompareExchange { ty, old, exchanged, place, compare, value } => {
                self.compare_exchange(*ty, *old, *exchanged, place, *compare, *value);
            }
            Op::Ballot { dst, cond } => self.ballot(*dst, *cond),
            Op::Gather { mode, ty, dst, value, index } => self.gather(*mode, *ty, *dst, *value, *index),
            Op::Collective { op, how, ty, dst, value } => self.collective(*op, *how, *ty, *dst, *value),
        }
        Ok(())
    }
}

/// `a = f(a, b)` for each pair.
fn each(a: Row<'_>, b: Row<'_>, f: impl Fn(u32, u32) -> u32) {
    for (a, b) in a.iter().zip(b) {
        a.set(f(a.get(), b.get()));
    }
}
