//! The checker: what the interpreter is about to do, held against what was done before.

mod bindings;
mod epoch;
mod name;
mod order;
mod shadow;
mod steps;

use std::cell::Cell;
use std::collections::HashMap;

use naga::Span;

use crate::error::Location;
use crate::finding::{Budget, Finding, Invocation, Kind, Severity};
use crate::ir::{BarrierScope, Kernel, Lane, NOWHERE, Place, Reg, Root, VarId};
use crate::layout::Scalar;
use crate::lower::shape::words;
use crate::memory::Memory;
use crate::reflect::Slot;
use bindings::Bindings;
use epoch::{Entry, Epoch, Who};
use shadow::{Access, Conflict, Sort, Table};
use steps::Steps;

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
    sites: Vec<Span>,
    site_numbers: HashMap<Option<(usize, usize)>, u16>,
    /// For an address register with lanes out of bounds: the index and length of each.
    beyond: HashMap<Reg, Vec<Option<(u32, u32)>>>,
    found: HashMap<(Kind, u16, u16, VarId), usize>,
    findings: Vec<Finding>,
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
        let lanes: u32 = kernel.workgroup.iter().product();
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
            sites: Vec::new(),
            site_numbers: HashMap::new(),
            beyond: HashMap::new(),
            found: HashMap::new(),
            findings: Vec::new(),
            steps: Steps::new(lanes as usize, budget.max_steps),
            budget,
        }
    }

    pub(crate) fn into_findings(self) -> Vec<Finding> {
        let mut findings = self.findings;
        findings.sort_by_key(|finding| (finding.severity, finding.at, finding.kind));
        findings
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

    pub(crate) fn over_budget(&mut self, at: Span, lane: usize) {
        let message = format!("no end after {} steps", self.budget.max_steps);
        let who = vec![self.invocation(self.number, lane)];
        let fix = "Give the loop a bound that every invocation reaches, or raise the number of steps.";
        self.report((Kind::Budget, Severity::Error), at, None, None, who, None, message, fix);
    }

    pub(crate) fn barrier(&mut self, scope: BarrierScope) {
        if scope.workgroup {
            self.look_into_all();
            self.workgroup_epoch += 1;
        }
        self.storage_epoch += u32::from(scope.storage);
    }

    pub(crate) fn diverged(&mut self, at: Span, arrived: usize, missing: usize, count: u32) {
        let of: u32 = self.kernel.workgroup.iter().product();
        let message = format!("only {count} of {of} invocations reach this barrier");
        let who = [arrived, missing].map(|lane| self.invocation(self.number, lane));
        let fix = "Move the barrier out of the branch or loop whose condition the invocations do not share.";
        self.report((Kind::Divergence, Severity::Error), at, None, None, who.into(), None, message, fix);
    }

    pub(crate) fn not_uniform(&mut self, at: Span, place: &Place) {
        let message = "the invocations of a workgroup load from different places".to_owned();
        let who = vec![self.invocation(self.number, 0)];
        let fix = "Pass workgroupUniformLoad a pointer that is the same for every invocation.";
        self.report((Kind::Divergence, Severity::Error), at, None, Some(place.var), who, None, message, fix);
    }

    /// Notes which lanes an index takes out of bounds: `indices` if there may be any that are not below
    /// `len`, and `base` the register that may already be out of bounds.
    pub(crate) fn index(&mut self, dst: Reg, base: Option<Reg>, len: u32, indices: Option<&[Cell<u32>]>) {
        let inherited = base.and_then(|base| self.beyond.get(&base)).cloned();
        if inherited.is_none() && indices.is_none() {
            self.beyond.remove(&dst);
            return;
        }
        let lanes: u32 = self.kernel.workgroup.iter().product();
        let mut all = inherited.unwrap_or_else(|| vec![None; lanes as usize]);
        for (known, index) in all.iter_mut().zip(indices.into_iter().flatten()) {
            *known = known.or(Some((index.get(), len)).filter(|&(index, len)| index >= len));
        }
        self.beyond.insert(dst, all);
    }

    /// An active lane uses an address that is out of bounds.
    pub(crate) fn out_of_bounds(&mut self, at: Span, place: &Place, lane: usize, how: How) {
        let known = place.addr.and_then(|addr| self.beyond.get(&addr)).and_then(|lanes| lanes[lane]);
        let name = &self.kernel.variables[place.var as usize].name;
        let name = if name.is_empty() { "value" } else { name };
        let (address, message) = match known {
            Some((index, len)) => {
                // A negative index shows as it was written.
                let index = if index > i32::MAX as u32 { i64::from(index as i32) } else { index.into() };
                let address = format!("{name}[{index}]");
                let message = format!("{} {address}, beyond its {len} elements", how.verb());
                (address, message)
            }
            None => (name.to_owned(), format!("an access beyond `{name}`")),
        };
        let who = vec![self.invocation(self.number, lane)];
        let fix = "Compare the index with the length (arrayLength for a buffer) before the access.";
        self.report((Kind::Bounds, Severity::Error), at, None, Some(place.var), who, Some(address), message, fix);
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
        for (lane, _) in mask.iter().enumerate().filter(|(_, mask)| mask.get() != 0) {
            let addr = row.map_or(0, |row| row[lane].get());
            if addr == NOWHERE {
                continue;
            }
            let address = addr + place.offset;
            let word = (address - base) as usize;
            let words = word..word + Lane::of(ty).words() as usize;
            let epoch = &mut self.epochs[place.var as usize];
            let held = if how.writes() { epoch.write(words) } else { epoch.holds(words) };
            if how.reads() && !held {
                self.uninitialised(at, place, Touch { lane, address: address.into() });
            }
        }
    }

    fn look_into_all(&mut self) {
        let lanes: u32 = self.kernel.workgroup.iter().product();
        for var in 0..self.epochs.len() {
            for unordered in order::unordered(&self.epochs[var], lanes as usize) {
                self.unordered(&unordered);
            }
            if self.epochs[var].may_race(lanes as usize) {
                self.look_into(var);
            }
            self.epochs[var].clear();
        }
    }

    /// Holds the accesses to a variable of workgroup memory against each other.
    fn look_into(&mut self, var: usize) {
        let mut epoch = std::mem::take(&mut self.epochs[var]);
        let lanes: u32 = self.kernel.workgroup.iter().product();
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
        let access = Access { lane: u16::try_from(touch.lane + 1).unwrap_or(u16::MAX), site };
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
                conflict = conflict.or(shadow.touch(how.sort(), access, self.number, epoch));
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

    fn uninitialised(&mut self, at: Span, place: &Place, touch: Touch) {
        let address = self.name(place, touch.address);
        let message = format!("reads {address} before anything is written there");
        let who = vec![self.invocation(self.number, touch.lane)];
        let fix = "Write it first; WGSL starts with zeros, CUDA does not.";
        self.report(
            (Kind::Uninitialised, Severity::Portability),
            at,
            None,
            Some(place.var),
            who,
            Some(address),
            message,
            fix,
        );
    }

    fn race(&mut self, at: Span, place: &Place, how: How, touch: Touch, conflict: Conflict) {
        let address = self.name(place, touch.address);
        let group = if conflict.group == 0 { self.number } else { conflict.group };
        let other = self.invocation(group, usize::from(conflict.access.lane) - 1);
        let who = vec![self.invocation(self.number, touch.lane), other];
        let verb = how.verb();
        let across = if conflict.group == 0 { "another invocation" } else { "another workgroup" };
        let message = format!("{verb} {address}, which {across} accesses without order");
        let fix = match (conflict.group, place.root) {
            (0, Root::Workgroup) => {
                "Put workgroupBarrier() between the two accesses; storageBarrier() does not order workgroup memory."
            }
            (0, _) => {
                "Put storageBarrier() between the two accesses; workgroupBarrier() does not order storage memory."
            }
            _ => "No barrier orders workgroups: use atomics, separate elements, or two dispatches.",
        };
        let other_site = Some(conflict.access.site);
        self.report((Kind::Race, Severity::Error), at, other_site, Some(place.var), who, Some(address), message, fix);
    }

    fn unordered(&mut self, found: &order::Unordered) {
        let (entry, other, touch) = (found.entry, found.other, found.touch);
        let address = self.name(&entry.place, touch.address);
        let who = [touch.lane, found.other_lane].map(|lane| self.invocation(self.number, lane));
        // Some do wait for a value, or look whether there is work left.
        let loads = entry.how == How::AtomicLoad || other.how == How::AtomicLoad;
        let severity = if loads { Severity::Portability } else { Severity::Error };
        let (verb, others) = (entry.how.verb(), other.how.verb());
        let message = format!("{verb} {address}, which another invocation {others}, in either order");
        let fix = "Put workgroupBarrier() between the two accesses, unless any order will do.";
        let other_site = Some(self.site(other.at));
        let var = Some(entry.place.var);
        self.report((Kind::Race, severity), entry.at, other_site, var, who.into(), Some(address), message, fix);
    }

    fn name(&self, place: &Place, address: u64) -> String {
        name::of(&self.kernel.variables[place.var as usize], address)
    }

    /// A short number for a place in the source.
    pub(crate) fn site(&mut self, at: Span) -> u16 {
        let key = at.to_range().map(|range| (range.start, range.end));
        let next = u16::try_from(self.sites.len()).unwrap_or(u16::MAX);
        let sites = &mut self.sites;
        *self.site_numbers.entry(key).or_insert_with(|| {
            if next < u16::MAX {
                sites.push(at);
            }
            next
        })
    }

    /// The invocation in a lane of the workgroup with this number.
    fn invocation(&self, number: u32, lane: usize) -> Invocation {
        let [nx, ny, _] = self.kernel.workgroup;
        let lane = lane as u32;
        let workgroup = if number == self.number {
            self.group
        } else {
            let [gx, gy, _] = self.groups;
            let index = number - 1;
            [index % gx, index / gx % gy, index / gx / gy]
        };
        Invocation { workgroup, local: [lane % nx, lane / nx % ny, lane / nx / ny] }
    }

    #[expect(clippy::too_many_arguments, reason = "each is a field of the finding")]
    fn report(
        &mut self,
        (kind, severity): (Kind, Severity),
        at: Span,
        other: Option<u16>,
        var: Option<VarId>,
        invocations: Vec<Invocation>,
        address: Option<String>,
        message: String,
        fix: &'static str,
    ) {
        let key = (kind, self.site(at), other.unwrap_or(u16::MAX), var.unwrap_or(VarId::MAX));
        if let Some(&known) = self.found.get(&key) {
            self.findings[known].count += 1;
            return;
        }
        self.found.insert(key, self.findings.len());
        let other = other.and_then(|site| self.sites.get(usize::from(site)).copied());
        self.findings.push(Finding {
            kind,
            severity,
            at: Location::of(at, self.source),
            other: other.and_then(|span| Location::of(span, self.source)),
            invocations,
            address,
            count: 1,
            message,
            fix,
        });
    }
}
