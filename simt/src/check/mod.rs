//! The checker: what the interpreter is about to do, held against what was done before.

mod name;
mod shadow;

use std::collections::HashMap;

use naga::Span;

use crate::error::Location;
use crate::finding::{Budget, Finding, Invocation, Kind, Severity};
use crate::ir::{BarrierScope, Kernel, Place, Reg, Root, VarId};
use crate::layout::Scalar;
use crate::memory::Memory;
use crate::reflect::{Access as Allowed, Slot};
use shadow::{Access, Conflict, Sort, Table};

/// How memory is accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Read,
    Write,
    AtomicLoad,
    AtomicStore,
    AtomicUpdate,
}

impl How {
    fn sort(self) -> Sort {
        match self {
            Self::Read => Sort::Read,
            Self::Write => Sort::Write,
            Self::AtomicLoad | Self::AtomicStore | Self::AtomicUpdate => Sort::Atomic,
        }
    }

    fn reads(self) -> bool {
        matches!(self, Self::Read | Self::AtomicLoad | Self::AtomicUpdate)
    }

    fn writes(self) -> bool {
        matches!(self, Self::Write | Self::AtomicStore | Self::AtomicUpdate)
    }

    fn verb(self) -> &'static str {
        match self {
            Self::Read => "reads",
            Self::Write => "writes",
            Self::AtomicLoad => "atomically reads",
            Self::AtomicStore => "atomically writes",
            Self::AtomicUpdate => "atomically changes",
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
    slots: &'a [Slot],
    source: &'a str,
    workgroup: Table,
    bindings: Vec<Table>,
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
    budget: Budget,
    steps: u64,
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
        let bindings = slots.iter().zip(args).map(|(slot, memory)| {
            let unit = if name::has_halves(&slot.layout) { 2 } else { 4 };
            Table::new(memory.len(), unit, !memory.is_fresh())
        });
        Self {
            kernel,
            slots,
            source,
            workgroup: Table::new(kernel.workgroup_words as usize, 1, false),
            bindings: bindings.collect(),
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
            budget,
            steps: 0,
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
        self.steps = 0;
        self.workgroup.clear();
    }

    /// Counts an instruction; false when the budget is used up.
    pub(crate) fn step(&mut self) -> bool {
        self.steps += 1;
        self.steps <= self.budget.max_steps
    }

    pub(crate) fn over_budget(&mut self, at: Span, lane: usize) {
        let message = format!("no end after {} steps", self.budget.max_steps);
        let who = vec![self.invocation(self.number, lane)];
        let fix = "Give the loop a bound that every invocation reaches, or raise the number of steps.";
        self.report(Kind::Budget, at, None, None, who, None, message, fix);
    }

    pub(crate) fn barrier(&mut self, scope: BarrierScope) {
        self.workgroup_epoch += u32::from(scope.workgroup);
        self.storage_epoch += u32::from(scope.storage);
    }

    pub(crate) fn diverged(&mut self, at: Span, arrived: usize, missing: usize, count: u32) {
        let of: u32 = self.kernel.workgroup.iter().product();
        let message = format!("only {count} of {of} invocations reach this barrier");
        let who = [arrived, missing].map(|lane| self.invocation(self.number, lane));
        let fix = "Move the barrier out of the branch or loop whose condition the invocations do not share.";
        self.report(Kind::Divergence, at, None, None, who.into(), None, message, fix);
    }

    pub(crate) fn not_uniform(&mut self, at: Span, place: &Place) {
        let message = "the invocations of a workgroup load from different places".to_owned();
        let who = vec![self.invocation(self.number, 0)];
        let fix = "Pass workgroupUniformLoad a pointer that is the same for every invocation.";
        self.report(Kind::Divergence, at, None, Some(place.var), who, None, message, fix);
    }

    /// Notes which lanes an index takes out of bounds. `beyond` has the index of each that is, and
    /// `base` the register that may already be out of bounds.
    pub(crate) fn index(&mut self, dst: Reg, base: Option<Reg>, len: u32, beyond: Vec<Option<u32>>) {
        let inherited = base.and_then(|base| self.beyond.get(&base)).cloned();
        if inherited.is_none() && beyond.iter().all(Option::is_none) {
            self.beyond.remove(&dst);
            return;
        }
        let mut all = inherited.unwrap_or_else(|| vec![None; beyond.len()]);
        for (known, index) in all.iter_mut().zip(beyond) {
            *known = known.or(index.map(|index| (index, len)));
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
        self.report(Kind::Bounds, at, None, Some(place.var), who, Some(address), message, fix);
    }

    /// An active lane accesses memory that is there.
    pub(crate) fn access(&mut self, (at, site): (Span, u16), place: &Place, ty: Scalar, how: How, touch: Touch) {
        let access = Access { lane: u16::try_from(touch.lane + 1).unwrap_or(u16::MAX), site };
        let (epoch, bytes) = match place.root {
            Root::Workgroup => (self.workgroup_epoch, crate::ir::Lane::of(ty).words()),
            Root::Binding(_) => (self.storage_epoch, ty.bytes()),
            Root::Local => return,
        };
        let (racing, table) = match place.root {
            Root::Binding(slot) => {
                (self.slots[slot as usize].access == Allowed::ReadWrite, &mut self.bindings[slot as usize])
            }
            _ => (true, &mut self.workgroup),
        };
        let (mut conflict, mut unwritten) = (None, false);
        let mut cell = touch.address as usize;
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
        self.report(Kind::Uninitialised, at, None, Some(place.var), who, Some(address), message, fix);
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
        self.report(Kind::Race, at, other_site, Some(place.var), who, Some(address), message, fix);
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
        kind: Kind,
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
        let severity = if kind == Kind::Uninitialised { Severity::Portability } else { Severity::Error };
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
