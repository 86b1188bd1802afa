//! The checker: what the interpreter is about to do, held against what was done before.

mod bindings;
mod epoch;
mod name;
mod order;
mod shadow;
mod steps;
mod tell;

use std::cell::Cell;
use std::collections::HashMap;

use naga::Span;

use crate::finding::Budget;
use crate::ir::{BarrierScope, Kernel, Lane, NOWHERE, Place, Reg, Root, SUBGROUP};
use crate::layout::Scalar;
use crate::lower::shape::words;
use crate::memory::Memory;
use crate::reflect::Slot;
use bindings::Bindings;
use epoch::{Entry, Epoch, Who};
use shadow::{Access, Sort, Table};
use steps::Steps;
use tell::Report;

/// Lanes that are looked at together.
const BLOCK: usize = 16;

/// How memory is accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum How {
    Read,
    Write,
    AtomicLoad,
    AtomicStore,
    /// Adds to what is there, or the like.
    AtomicCombine,
    /// Puts something there and takes what was.
    AtomicExchange,
}

impl How {
    fn sort(self) -> Sort {
        match self {
            Self::Read => Sort::Read,
            Self::Write => Sort::Write,
            _ => Sort::Atomic,
        }
    }

    fn reads(self) -> bool {
        !matches!(self, Self::Write | Self::AtomicStore)
    }

    fn writes(self) -> bool {
        !matches!(self, Self::Read | Self::AtomicLoad)
    }

    fn verb(self) -> &'static str {
        match self {
            Self::Read => "reads",
            Self::Write => "writes",
            Self::AtomicLoad => "atomically reads",
            Self::AtomicStore => "atomically writes",
            Self::AtomicCombine | Self::AtomicExchange => "atomically changes",
        }
    }
}

/// A lane that accesses memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Touch {
    pub lane: usize,
    /// In the unit of the root.
    pub address: u64,
}

/// An index that is not below its array's length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beyond {
    /// The part of the array's address that is known only when running.
    pub base: u32,
    pub index: u32,
    pub stride: u32,
    pub len: u32,
}

/// Everything a checked run remembers.
#[derive(Debug)]
pub(crate) struct Checker<'a> {
    kernel: &'a Kernel,
    source: &'a str,
    workgroup: Table,
    /// By variable; those that do not lie in workgroup memory have none.
    epochs: Vec<Epoch>,
    bindings: Bindings,
    group: [u32; 3],
    groups: [u32; 3],
    /// The workgroup's number plus one.
    number: u32,
    workgroup_epoch: u32,
    storage_epoch: u32,
    /// Subgroup barriers that each subgroup has passed.
    turns: Vec<u16>,
    /// For an address register with lanes out of bounds: what took each there.
    beyond: HashMap<Reg, Vec<Option<Beyond>>>,
    report: Report,
    steps: Steps,
    budget: Budget,
}

impl<'a> Checker<'a> {
    pub(crate) fn new(
        kernel: &'a Kernel,
        slots: &'a [Slot],
        args: &[Memory<'_>],
        groups: [u32; 3],
        source: &'a str,
        budget: Budget,
    ) -> Self {
        let lanes = kernel.lanes;
        Self {
            kernel,
            source,
            // Reads of what nobody wrote are noticed as they happen.
            workgroup: Table::new(kernel.workgroup_words as usize, 1, true),
            epochs: kernel.variables.iter().map(|_| Epoch::default()).collect(),
            bindings: Bindings::new(slots, args),
            group: [0; 3],
            groups,
            number: 0,
            workgroup_epoch: 0,
            storage_epoch: 0,
            turns: vec![0; lanes.div_ceil(SUBGROUP) as usize],
            beyond: HashMap::new(),
            report: Report::default(),
            steps: Steps::new(lanes as usize, budget.max_steps),
            budget,
        }
    }

    pub(crate) fn start(&mut self, group: [u32; 3]) {
        self.group = group;
        self.number += 1;
        self.workgroup_epoch = 0;
        self.storage_epoch = 0;
        self.steps.start();
        self.workgroup.clear();
        for (variable, epoch) in self.kernel.variables.iter().zip(&mut self.epochs) {
            if variable.root == Root::Workgroup {
                epoch.start(words(&variable.layout).unwrap_or(0) as usize);
            }
        }
    }

    /// The workgroup is done.
    pub(crate) fn finish(&mut self) {
        self.look_into_all();
    }

    /// Counts instructions that the lanes in `mask` took.
    pub(crate) fn spend(&mut self, steps: u64, mask: &[Cell<u32>], full: bool) {
        self.steps.spend(steps, mask, full);
    }

    /// A lane in `mask` whose budget is used up.
    pub(crate) fn over(&mut self, mask: &[Cell<u32>]) -> Option<usize> {
        self.steps.over(mask)
    }

    /// The invocations in `mask` pass a barrier.
    pub(crate) fn barrier(&mut self, scope: BarrierScope, mask: &[Cell<u32>]) {
        if scope.subgroup_only {
            return self.subgroup_barrier(mask);
        }
        if scope.workgroup {
            self.look_into_all();
            self.workgroup_epoch += 1;
        }
        self.storage_epoch += u32::from(scope.storage);
    }

    /// What was noted before it is looked into now, as it is ordered for some and not for others.
    fn subgroup_barrier(&mut self, mask: &[Cell<u32>]) {
        for var in 0..self.epochs.len() {
            if self.epochs[var].entries.is_empty() {
                continue;
            }
            self.look_for_order(var);
            self.look_into(var);
            self.epochs[var].begun = true;
        }
        for (turn, mask) in self.turns.iter_mut().zip(mask.chunks(SUBGROUP as usize)) {
            if mask.iter().any(|lane| lane.get() != 0) {
                *turn = turn.wrapping_add(1);
            }
        }
    }

    /// Notes which lanes an index takes out of bounds. `base` is the register that may already be; `beyond`
    /// tells of a lane, where there may be any.
    pub(crate) fn index(&mut self, dst: Reg, base: Option<Reg>, beyond: Option<&dyn Fn(usize) -> Beyond>) {
        let inherited = base.and_then(|base| self.beyond.get(&base)).cloned();
        if inherited.is_none() && beyond.is_none() {
            self.beyond.remove(&dst);
            return;
        }
        let lanes = self.kernel.lanes;
        let mut all = inherited.unwrap_or_else(|| vec![None; lanes as usize]);
        if let Some(beyond) = beyond {
            for (lane, known) in all.iter_mut().enumerate() {
                *known = known.or(Some(beyond(lane)).filter(|found| found.index >= found.len));
            }
        }
        self.beyond.insert(dst, all);
    }

    /// Whether accesses to a binding cannot be wrong while they are in bounds.
    pub(crate) fn is_harmless(&self, slot: u32) -> bool {
        self.bindings.is_harmless(slot)
    }

    /// Lanes access workgroup memory: `row` has their addresses, `mask` says who is there, and `same` that
    /// all are and mean one address.
    pub(crate) fn workgroup(
        &mut self,
        (at, place): (Span, &Place),
        ty: Scalar,
        how: How,
        (row, mask): (Option<&[Cell<u32>]>, &[Cell<u32>]),
        same: bool,
    ) {
        let var = place.var as usize;
        if !self.epochs[var].is_written() {
            self.first_writes(at, place, ty, how, (row, mask));
        }
        let who = Who::Row(0);
        self.epochs[var].note(Entry { at, place: *place, ty, how, who }, row, mask, same);
        if self.epochs[var].is_full() {
            self.look_into(var);
            self.epochs[var].begun = true;
        }
    }

    /// Notes what is written, and reports reads of what is not.
    fn first_writes(
        &mut self,
        at: Span,
        place: &Place,
        ty: Scalar,
        how: How,
        (row, mask): (Option<&[Cell<u32>]>, &[Cell<u32>]),
    ) {
        let base = self.kernel.variables[place.var as usize].base;
        let addr = |lane: usize| row.map_or(0, |row| row[lane].get());
        let words = |addr: u32| {
            let word = (addr + place.offset - base) as usize;
            word..word + Lane::of(ty).words() as usize
        };
        for (block, mask) in mask.chunks(BLOCK).enumerate() {
            let start = block * BLOCK;
            let epoch = &mut self.epochs[place.var as usize];
            // Where neighbours read one word that is written, one look does for all.
            let first = addr(start);
            let same = (start..start + mask.len()).fold(0, |all, lane| all | (addr(lane) ^ first)) == 0;
            if how == How::Read && same && first != NOWHERE && epoch.holds(words(first)) {
                continue;
            }
            for (lane, _) in (start..).zip(mask).filter(|(_, mask)| mask.get() != 0) {
                if addr(lane) == NOWHERE {
                    continue;
                }
                let epoch = &mut self.epochs[place.var as usize];
                let words = words(addr(lane));
                let held = if how.writes() { epoch.write(words) } else { epoch.holds(words) };
                if how.reads() && !held {
                    let address = u64::from(addr(lane)) + u64::from(place.offset);
                    self.uninitialised(at, place, Touch { lane, address });
                }
            }
        }
    }

    fn look_into_all(&mut self) {
        let lanes = self.kernel.lanes;
        for var in 0..self.epochs.len() {
            self.look_for_order(var);
            if self.epochs[var].may_race(self.kernel.variables[var].base, lanes as usize) {
                self.look_into(var);
            }
            self.epochs[var].clear();
        }
    }

    fn look_for_order(&mut self, var: usize) {
        for unordered in order::unordered(&self.epochs[var], self.kernel.lanes as usize) {
            self.unordered(&unordered);
        }
    }

    /// Holds the accesses to a variable of workgroup memory against each other.
    fn look_into(&mut self, var: usize) {
        let mut epoch = std::mem::take(&mut self.epochs[var]);
        let lanes = self.kernel.lanes;
        for entry in epoch.entries.drain(..) {
            let site = self.site(entry.at);
            let Entry { at, place, ty, how, .. } = entry;
            let touch = |lane: usize, addr: u32| Touch { lane, address: u64::from(addr) + u64::from(place.offset) };
            match entry.who {
                Who::Same { lanes, address } => {
                    for lane in lanes {
                        self.access((at, site), &place, ty, how, touch(lane as usize, address));
                    }
                }
                Who::Row(start) => {
                    for (lane, &addr) in epoch.rows[start..start + lanes as usize].iter().enumerate() {
                        if addr != NOWHERE {
                            self.access((at, site), &place, ty, how, touch(lane, addr));
                        }
                    }
                }
            }
        }
        epoch.rows.clear();
        self.epochs[var] = epoch;
    }

    /// An active lane accesses memory that is there.
    pub(crate) fn access(&mut self, (at, site): (Span, u16), place: &Place, ty: Scalar, how: How, touch: Touch) {
        // A workgroup has far fewer invocations.
        let access = Access { lane: u16::try_from(touch.lane + 1).unwrap_or(u16::MAX), site };
        let turn = self.turns[touch.lane / SUBGROUP as usize];
        let (table, start, racing, epoch, bytes) = match place.root {
            Root::Workgroup => (&mut self.workgroup, 0, true, self.workgroup_epoch, Lane::of(ty).words()),
            Root::Binding(slot) => {
                let (table, start, racing) = self.bindings.of(slot);
                (table, start, racing, self.storage_epoch, ty.bytes())
            }
            Root::Local => return,
        };
        let (mut conflict, mut unwritten) = (None, false);
        let mut cell = start + touch.address as usize;
        let end = cell + bytes as usize;
        while cell < end {
            let Some(shadow) = table.at(cell) else { break };
            unwritten |= how.reads() && !shadow.written;
            shadow.written |= how.writes();
            if racing {
                conflict = conflict.or(shadow.touch(how.sort(), access, (self.number, epoch), turn));
            }
            cell += table.unit as usize;
        }
        if unwritten {
            self.uninitialised(at, place, touch);
        }
        if let Some(conflict) = conflict {
            self.race(at, place, how, touch, conflict);
        }
    }
}
