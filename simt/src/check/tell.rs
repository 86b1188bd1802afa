//! The findings, in words.

use std::collections::HashMap;

use naga::Span;

use super::shadow::Conflict;
use super::{Checker, How, Touch, name, order};
use crate::error::Location;
use crate::finding::{Finding, Invocation, Kind, Severity};
use crate::ir::{Place, Root, VarId};

/// What was found so far; the same again is counted.
#[derive(Debug, Default)]
pub(super) struct Report {
    sites: Vec<Span>,
    site_numbers: HashMap<Option<(usize, usize)>, u16>,
    found: HashMap<(Kind, u16, u16, VarId), usize>,
    findings: Vec<Finding>,
}

impl Checker<'_> {
    pub(crate) fn into_findings(self) -> Vec<Finding> {
        let mut findings = self.report.findings;
        findings.sort_by_key(|finding| (finding.severity, finding.at, finding.kind));
        findings
    }

    pub(crate) fn over_budget(&mut self, at: Span, lane: usize) {
        let message = format!("no end after {} steps", self.budget.max_steps);
        let who = vec![self.invocation(self.number, lane)];
        let fix = "Give the loop a bound that every invocation reaches, or raise the number of steps.";
        self.add((Kind::Budget, Severity::Error), at, None, None, who, None, message, fix);
    }

    pub(crate) fn diverged(&mut self, at: Span, arrived: usize, missing: usize, count: u32) {
        let of = self.kernel.lanes;
        let message = format!("only {count} of {of} invocations reach this barrier");
        let who = [arrived, missing].map(|lane| self.invocation(self.number, lane));
        let fix = "Move the barrier out of the branch or loop whose condition the invocations do not share.";
        self.add((Kind::Divergence, Severity::Error), at, None, None, who.into(), None, message, fix);
    }

    pub(crate) fn not_uniform(&mut self, at: Span, place: &Place) {
        let message = "the invocations of a workgroup load from different places".to_owned();
        let who = vec![self.invocation(self.number, 0)];
        let fix = "Pass workgroupUniformLoad a pointer that is the same for every invocation.";
        self.add((Kind::Divergence, Severity::Error), at, None, Some(place.var), who, None, message, fix);
    }

    /// An active lane uses an address that is out of bounds.
    pub(crate) fn out_of_bounds(&mut self, at: Span, place: &Place, lane: usize, how: How) {
        let known = place.addr.and_then(|addr| self.beyond.get(&addr)).and_then(|lanes| lanes[lane]);
        let variable = &self.kernel.variables[place.var as usize];
        let (address, message) = match known {
            Some(beyond) => {
                let address = name::beyond(variable, place.offset, &beyond);
                let message = format!("{} {address}, beyond its {} elements", how.verb(), beyond.len);
                (address, message)
            }
            None => (variable.name.clone(), format!("an access beyond `{}`", variable.name)),
        };
        let who = vec![self.invocation(self.number, lane)];
        let fix = "Compare the index with the length (arrayLength for a buffer) before the access.";
        self.add((Kind::Bounds, Severity::Error), at, None, Some(place.var), who, Some(address), message, fix);
    }

    pub(super) fn uninitialised(&mut self, at: Span, place: &Place, touch: Touch) {
        let address = self.name(place, touch.address);
        let message = format!("reads {address} before anything is written there");
        let who = vec![self.invocation(self.number, touch.lane)];
        let fix = "Write it first; WGSL starts with zeros, CUDA does not.";
        self.add(
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

    pub(super) fn race(&mut self, at: Span, place: &Place, how: How, touch: Touch, conflict: Conflict) {
        let address = self.name(place, touch.address);
        let group = if conflict.group == 0 { self.number } else { conflict.group };
        let other = self.invocation(group, usize::from(conflict.access.lane) - 1);
        let who = vec![self.invocation(self.number, touch.lane), other];
        let verb = how.verb();
        let across = if conflict.group == 0 { "another invocation" } else { "another workgroup" };
        let message = format!("{verb} {address}, which {across} accesses without order");
        // Of two accesses at one place no barrier comes between, but where the place is come to again.
        let once = self.site(at) == conflict.access.site;
        let fix = match (conflict.group, place.root) {
            (0, Root::Workgroup) if once => {
                "Use atomics or separate elements; between two turns of a loop, put workgroupBarrier()."
            }
            (0, _) if once => "Use atomics or separate elements; between two turns of a loop, put storageBarrier().",
            (0, Root::Workgroup) => {
                "Put workgroupBarrier() between the two accesses; storageBarrier() does not order workgroup memory."
            }
            (0, _) => {
                "Put storageBarrier() between the two accesses; workgroupBarrier() does not order storage memory."
            }
            _ => "No barrier orders workgroups: use atomics, separate elements, or two dispatches.",
        };
        let other_site = Some(conflict.access.site);
        self.add((Kind::Race, Severity::Error), at, other_site, Some(place.var), who, Some(address), message, fix);
    }

    pub(super) fn unordered(&mut self, found: &order::Unordered) {
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
        self.add((Kind::Race, severity), entry.at, other_site, var, who.into(), Some(address), message, fix);
    }

    fn name(&self, place: &Place, address: u64) -> String {
        name::of(&self.kernel.variables[place.var as usize], address)
    }

    /// A short number for a place in the source.
    pub(crate) fn site(&mut self, at: Span) -> u16 {
        let key = at.to_range().map(|range| (range.start, range.end));
        let next = u16::try_from(self.report.sites.len()).unwrap_or(u16::MAX);
        let sites = &mut self.report.sites;
        *self.report.site_numbers.entry(key).or_insert_with(|| {
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
    fn add(
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
        if let Some(&known) = self.report.found.get(&key) {
            self.report.findings[known].count += 1;
            return;
        }
        self.report.found.insert(key, self.report.findings.len());
        let other = other.and_then(|site| self.report.sites.get(usize::from(site)).copied());
        self.report.findings.push(Finding {
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
