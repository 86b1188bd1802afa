//! A driver that finishes commands in any order it may, and a check of every promise after every step.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use super::program::{BUFFERS, QUEUES, Step};
use crate::{
    backend::{After, Lane, Token},
    dma::{
        hazard::Access,
        machine::Machine,
        model::{Action, CancelOutcome, Event, FailPolicy, Kind, Limits, Offer, Priority, QueueId, Submit},
        slab::Fault,
    },
    error::{FailureKind, Refusal, TransferError},
};

const LANES: [Lane; 3] = [Lane::Upload, Lane::Compute, Lane::Download];
const ACCESSES: [Access; 4] = [Access::Read, Access::Overwrite, Access::WritePart, Access::ReadWrite];
const MAX_IN_DRIVER: usize = 7;

/// What the harness knows of an unresolved message.
#[derive(Debug)]
pub(super) struct Known {
    order: u64,
    queue: usize,
    lane: Option<Lane>,
    uses: Vec<(Token, Access)>,
    /// Earlier messages that it must not overtake.
    needs: Vec<Token>,
    bytes: u64,
    moves: u64,
    sent: u64,
    begun: bool,
    /// Bytes that have arrived, up to the first chunk that has not.
    arrived: u64,
    broke: bool,
    deadline: Option<Instant>,
    /// What it was told when it was cancelled, by its owner or by the clock.
    told: Option<CancelOutcome>,
}

impl Known {
    fn all_sent(&self) -> bool {
        self.begun && self.sent == self.moves
    }
}

/// A queue, for as long as it has messages.
#[derive(Debug)]
struct Open {
    id: QueueId,
    limits: Limits,
    last: Option<u64>,
    gates: Vec<Token>,
}

#[derive(Debug)]
struct Running {
    command: Token,
    message: Token,
    bytes: u64,
    lane: Lane,
}

/// How often each kind of outcome occurred.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Outcomes {
    pub(super) ok: u64,
    pub(super) ok_in_chunks: u64,
    pub(super) failed: u64,
    pub(super) failed_midway: u64,
    pub(super) not_started: u64,
    pub(super) partial: u64,
    pub(super) too_late: u64,
    pub(super) deadline: u64,
    pub(super) upstream: u64,
    pub(super) aborted: u64,
    pub(super) lost: u64,
    pub(super) full: u64,
    pub(super) closed: u64,
    pub(super) refused_failed: u64,
    pub(super) late_reports: u64,
    pub(super) overtaken: u64,
}

pub(super) struct Harness {
    pub(super) machine: Machine,
    pub(super) buffers: Vec<Token>,
    pub(super) known: HashMap<Token, Known>,
    fences: Vec<Token>,
    /// With the driver, in order of submission.
    running: Vec<Running>,
    past: Vec<Token>,
    /// Every name the driver was ever given.
    names: HashSet<Token>,
    queues: Vec<Open>,
    /// The queues that have a handle, as places in `queues`.
    held: [usize; QUEUES],
    now: Instant,
    lost: bool,
    accepted: u64,
    resolved: u64,
    pub(super) broken: HashSet<Token>,
    pub(super) outcomes: Outcomes,
}

fn limits(queue: usize) -> Limits {
    let limit = |depth, bytes, window, chunk, priority, policy| Limits {
        depth,
        bytes,
        window,
        chunk,
        priority,
        policy,
        ..Limits::DEFAULT
    };
    match queue {
        0 => limit(8, 200, 4, 16, Priority::High, FailPolicy::FailStop),
        1 => limit(4, 60, 2, 8, Priority::Low, FailPolicy::Continue),
        2 => limit(16, 1000, 8, 16, Priority::Normal, FailPolicy::Continue),
        _ => limit(12, 500, 8, 12, Priority::Low, FailPolicy::FailStop),
    }
}

fn chunk_on(limits: &Limits, lane: Lane) -> u64 {
    if lane == Lane::Compute { 16 * limits.chunk } else { limits.chunk }
}

impl Harness {
    pub(super) fn new(fault: Option<Fault>) -> Self {
        let mut machine = Machine::new("test".into(), MAX_IN_DRIVER as u32);
        if let Some(fault) = fault {
            machine.plant(fault);
        }
        let open = |i: usize| Open {
            id: machine.open_queue(format!("q{i}").into(), limits(i)),
            limits: limits(i),
            last: None,
            gates: Vec::new(),
        };
        let queues = (0..QUEUES).map(open).collect();
        let buffers = (0..BUFFERS).map(|_| machine.register()).collect();
        Self {
            machine,
            buffers,
            known: HashMap::new(),
            fences: Vec::new(),
            running: Vec::new(),
            past: Vec::new(),
            names: HashSet::new(),
            queues,
            held: std::array::from_fn(|i| i),
            now: Instant::now(),
            lost: false,
            accepted: 0,
            resolved: 0,
            broken: HashSet::new(),
            outcomes: Outcomes::default(),
        }
    }

    pub(super) fn event(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.machine.step(event, &mut actions);
        self.machine.step(Event::Pump, &mut actions);
        for action in actions {
            match action {
                Action::Submit(submit) => self.submitted(&submit),
                Action::Resolve { token, result, in_driver } => {
                    self.resolved(token, result.err().as_deref(), in_driver)
                }
                Action::Kept { .. } => unreachable!("nothing was promised"),
                Action::Free(buffer) => {
                    assert!(!self.buffers.contains(&buffer), "a buffer with an owner is not freed");
                    let used = self.known.values().any(|m| m.uses.iter().any(|&(b, _)| b == buffer));
                    assert!(!used, "a buffer in use is not freed");
                }
            }
        }
    }

    fn resolved(&mut self, token: Token, error: Option<&TransferError>, in_driver: bool) {
        let known = self.known.remove(&token).expect("resolved once, and accepted before");
        let queue = &mut self.queues[known.queue];
        assert!(queue.last < Some(known.order), "resolved in order of acceptance");
        queue.last = Some(known.order);
        self.resolved += 1;
        let with_driver = self.running.iter().any(|r| r.message == token);
        assert_eq!(in_driver, with_driver, "says whether the driver still has some of it");
        self.running.retain(|r| r.message != token);
        self.fences.retain(|&t| t != token);
        if error.is_some() {
            self.broken.insert(token);
        }
        self.count(&known, error);
        match error.map(|e| &e.kind) {
            None => {
                assert!(known.lane.is_none() || known.all_sent(), "it went well, and was never sent");
                assert!(!known.broke, "it went well, and a chunk of it failed");
                assert!(!matches!(known.told, Some(CancelOutcome::NotStarted | CancelOutcome::Partial)));
            }
            Some(FailureKind::Cancelled | FailureKind::Deadline) => {
                assert_eq!(known.told == Some(CancelOutcome::NotStarted), !known.begun, "told what was so");
                assert!(!known.all_sent() && !in_driver, "cancelled in time, and quiet");
                assert_eq!(error.expect("an error").bytes_done, known.arrived, "the residue is right");
            }
            Some(FailureKind::Backend(_)) => {
                assert!(known.broke, "somebody else's failure");
                assert_eq!(error.expect("an error").bytes_done, known.arrived, "the residue is right");
            }
            Some(FailureKind::DeviceLost(_)) => assert!(self.lost),
            Some(_) => assert!(error.expect("an error").bytes_done <= known.arrived),
        }
        if matches!(error.map(|e| &e.kind), Some(FailureKind::Deadline)) {
            assert!(known.deadline.is_some_and(|at| at <= self.now), "before its deadline");
        }
        if known.told == Some(CancelOutcome::TooLate) && !known.begun && known.lane.is_some() {
            assert!(error.is_some(), "too late to cancel what had not begun, and yet it ran");
        }
    }

    fn count(&mut self, known: &Known, error: Option<&TransferError>) {
        let n = &mut self.outcomes;
        let in_chunks = known.lane.is_some_and(|lane| known.moves > chunk_on(&self.queues[known.queue].limits, lane));
        match error.map(|e| &e.kind) {
            None if in_chunks => n.ok_in_chunks += 1,
            None => n.ok += 1,
            Some(FailureKind::Cancelled) if known.begun => n.partial += 1,
            Some(FailureKind::Cancelled) => n.not_started += 1,
            Some(FailureKind::Deadline) => n.deadline += 1,
            Some(FailureKind::Upstream { .. }) => n.upstream += 1,
            Some(FailureKind::Aborted { .. }) => n.aborted += 1,
            Some(FailureKind::DeviceLost(_)) => n.lost += 1,
            Some(_) if !known.all_sent() => n.failed_midway += 1,
            Some(_) => n.failed += 1,
        }
    }

    /// The running commands that finish before `command` does: its edges, what its lane has before it,
    /// and theirs in turn.
    fn before(&self, command: Token, lane: Lane) -> HashSet<Token> {
        let (mut found, mut open) = (HashSet::new(), vec![(command, lane)]);
        while let Some((next, lane)) = open.pop() {
            let place = self.running.iter().position(|r| r.command == next).unwrap_or(self.running.len());
            let earlier = self.running[..place].iter().filter(|r| r.lane == lane).map(|r| (r.command, r.lane));
            let edges = self.machine.after(next);
            let edges = self.running.iter().filter(|r| edges.iter().any(|on| on == r.command));
            let edges: Vec<_> = edges.map(|r| (r.command, r.lane)).collect();
            open.extend(earlier.chain(edges).filter(|&(c, _)| found.insert(c)).collect::<Vec<_>>());
        }
        found
    }

    /// Everything the message needs is finished, or is with the driver and ordered before it.
    fn submitted(&mut self, submit: &Submit) {
        let &Submit { message: token, command, .. } = submit;
        assert!(self.names.insert(command), "a name that the driver has seen before");
        let me = &self.known[&token];
        let lane = me.lane.expect("only work is submitted");
        let part = submit.part.clone().unwrap_or(0..me.moves);
        let bytes = part.end - part.start;
        let limits = &self.queues[me.queue].limits;
        assert_eq!(part.start, me.sent, "chunks come in order, each once");
        assert!(part.end <= me.moves && bytes <= chunk_on(limits, lane), "a chunk is too long");
        assert_eq!(submit.part.is_none(), part == (0..me.moves), "says whether it is all");
        assert!(!me.broke, "goes on after a chunk that failed");
        assert!(me.told.is_none_or(|told| told == CancelOutcome::TooLate), "goes on after it was cancelled");
        let ahead: u64 = self.running.iter().filter(|r| r.lane == lane).map(|r| r.bytes).sum();
        assert!(ahead == 0 || ahead + bytes <= 2 * chunk_on(limits, lane), "the lane has too much before it");
        let before = self.before(command, lane);
        for (other, known) in self.known.iter().filter(|(_, known)| known.order < me.order) {
            if known.queue == me.queue {
                assert!(known.lane.is_none() || known.all_sent() || self.is_doomed(*other), "overtakes in its queue");
            }
            if me.needs.contains(other) {
                assert!(!self.machine.is_unsent(*other), "has an edge to what the driver does not know");
                let running: Vec<_> = self.running.iter().filter(|r| r.message == *other).collect();
                let kept = running.iter().all(|r| before.contains(&r.command));
                assert!(kept, "{token:?} does not wait for {other:?}, which touches the same buffer");
            }
        }
        for (other, known) in &self.known {
            let theirs = &self.queues[known.queue].limits;
            if theirs.priority > limits.priority && known.lane == Some(lane) && self.may_go(*other) {
                panic!("{token:?} goes before {other:?} of higher priority");
            }
        }
        let midway = me.sent > 0;
        let me = self.known.get_mut(&token).expect("known");
        me.begun = true;
        me.sent = part.end;
        let order = me.order;
        if self.known.values().any(|m| m.order < order && m.lane == Some(lane) && m.sent > 0 && !m.all_sent()) {
            self.outcomes.overtaken += u64::from(!midway);
        }
        self.running.push(Running { command, message: token, bytes, lane });
        assert!(self.running.len() <= MAX_IN_DRIVER, "the driver has too much");
    }

    /// It waits for nothing but to be over: it was doomed while it waited.
    fn is_doomed(&self, token: Token) -> bool {
        !self.machine.is_unsent(token)
    }

    /// Nothing keeps this message, or its next chunk, from the driver but room on its lane.
    fn may_go(&self, token: Token) -> bool {
        let me = &self.known[&token];
        let first = !self.known.values().any(|m| m.queue == me.queue && m.order < me.order && !m.all_sent());
        let needs: Vec<_> = me.needs.iter().filter_map(|t| self.known.get(t).map(|m| (t, m))).collect();
        let known = needs.iter().all(|(_, m)| m.all_sent()) && needs.len() <= After::MOST / 2;
        let running = self.running.iter().filter(|r| self.known[&r.message].queue == me.queue).count();
        let window = running < self.queues[me.queue].limits.window as usize;
        let wanted = me.told.is_none() && !me.broke && !self.machine.is_doomed(token);
        me.lane.is_some() && !me.all_sent() && first && known && window && wanted
    }

    pub(super) fn step(&mut self, step: &Step) {
        match step {
            Step::Send { queue, lane, bytes, whole, uses, deadline } => {
                let mut accesses: Vec<(Token, Access)> = Vec::new();
                for &(buffer, access) in uses {
                    if accesses.iter().all(|&(b, _)| b != self.buffers[buffer]) {
                        accesses.push((self.buffers[buffer], ACCESSES[access]));
                    }
                }
                let moves = if *whole { 0 } else { *bytes };
                let deadline = deadline.map(|after| self.now + Duration::from_secs(after));
                self.offer(*queue, Kind::Work(LANES[*lane]), (*bytes, moves), &accesses, deadline);
            }
            Step::Fence { queue } => {
                if let Some(token) = self.offer(*queue, Kind::Fence, (0, 0), &[], None) {
                    self.fences.push(token);
                }
            }
            Step::Gate { queue, fence } => {
                if !self.fences.is_empty() {
                    let fence = self.fences[fence % self.fences.len()];
                    let queue = &mut self.queues[self.held[*queue]];
                    self.machine.gate(queue.id, fence);
                    queue.gates.push(fence);
                }
            }
            Step::Finish { pick, fails } => self.finish(*pick, *fails),
            Step::Late { pick } => {
                if !self.past.is_empty() {
                    self.report_again(self.past[pick % self.past.len()]);
                }
            }
            Step::Cancel { pick } => {
                let mut unresolved: Vec<_> = self.known.iter().map(|(t, m)| (m.order, *t)).collect();
                unresolved.sort_unstable();
                if !unresolved.is_empty() {
                    self.cancel(unresolved[pick % unresolved.len()].1);
                }
            }
            Step::Tick { passed } => self.tick(*passed),
            Step::Resume { queue } => self.event(Event::Resume(self.queues[self.held[*queue]].id)),
            Step::Close { queue } => self.event(Event::Close(self.queues[self.held[*queue]].id)),
            Step::Reopen { queue } => self.reopen(*queue),
            Step::Drop { buffer } => {
                let old = std::mem::replace(&mut self.buffers[*buffer], self.machine.register());
                self.event(Event::Release(old));
            }
            Step::Lose => {
                self.lost = true;
                self.event(Event::Lost("pulled".into()));
                assert!(self.known.is_empty(), "a loss resolves everything");
            }
        }
        self.check();
    }

    pub(super) fn offer(
        &mut self,
        queue: usize,
        kind: Kind,
        (bytes, moves): (u64, u64),
        accesses: &[(Token, Access)],
        deadline: Option<Instant>,
    ) -> Option<Token> {
        let place = self.held[queue];
        let id = self.queues[place].id;
        let before = self.machine.level(id);
        let offer = Offer { queue: id, kind, bytes, moves, accesses, label: None, deadline };
        match self.machine.accept(&offer) {
            Ok((token, _)) => {
                let lane = if let Kind::Work(lane) = kind { Some(lane) } else { None };
                let conflicts = |m: &Known| {
                    let both =
                        |&(b, a): &(Token, Access)| m.uses.iter().any(|&(c, o)| b == c && (a.writes() || o.writes()));
                    accesses.iter().any(both)
                };
                let gates = &self.queues[place].gates;
                let needs = self.known.iter().filter(|(t, m)| conflicts(m) || gates.contains(t)).map(|(t, _)| *t);
                let known = Known {
                    order: self.accepted,
                    queue: place,
                    lane,
                    uses: accesses.to_vec(),
                    needs: needs.collect(),
                    bytes,
                    moves,
                    sent: 0,
                    begun: false,
                    arrived: 0,
                    broke: false,
                    deadline,
                    told: None,
                };
                assert!(self.known.insert(token, known).is_none(), "a token names one message");
                self.accepted += 1;
                self.event(Event::Pump);
                return Some(token).filter(|token| self.known.contains_key(token));
            }
            Err(Refusal::Full { free_ops, free_bytes, .. }) => {
                assert!(free_ops == 0 || bytes > free_bytes, "refused with room");
                self.outcomes.full += 1;
            }
            Err(Refusal::Closed) => self.outcomes.closed += 1,
            Err(_) => self.outcomes.refused_failed += 1,
        }
        assert_eq!(self.machine.level(id), before, "a refusal changes nothing");
        None
    }

    fn cancel(&mut self, token: Token) {
        let outcome = self.machine.cancel(token);
        let known = self.known.get_mut(&token).expect("unresolved");
        self.outcomes.too_late += u64::from(outcome == CancelOutcome::TooLate);
        match outcome {
            CancelOutcome::NotStarted => assert!(!known.begun && known.lane.is_some()),
            CancelOutcome::Partial => assert!(known.begun && !known.all_sent()),
            CancelOutcome::TooLate => {}
        }
        // Asked again it says the same, while nothing has happened.
        assert_eq!(self.machine.cancel(token), outcome);
        self.known.get_mut(&token).expect("unresolved").told.get_or_insert(outcome);
        self.event(Event::Pump);
    }

    fn tick(&mut self, passed: u64) {
        self.now += Duration::from_secs(passed);
        for known in self.known.values_mut() {
            let due = known.deadline.is_some_and(|at| at <= self.now) && known.lane.is_some() && !known.all_sent();
            if due {
                let outcome = if known.begun { CancelOutcome::Partial } else { CancelOutcome::NotStarted };
                known.told.get_or_insert(outcome);
            }
        }
        self.event(Event::Tick(self.now));
        assert!(self.machine.next_deadline().is_none_or(|at| at > self.now), "what is due is done");
    }

    fn reopen(&mut self, queue: usize) {
        let old = self.held[queue];
        self.event(Event::Retire(self.queues[old].id));
        let id = self.machine.open_queue(format!("q{queue}").into(), limits(queue));
        let taken = |place: usize| self.queues[place].id == id && self.known.values().any(|m| m.queue == place);
        assert!(!(0..self.queues.len()).any(taken), "a place is not free while it has messages");
        self.held[queue] = self.queues.len();
        self.queues.push(Open { id, limits: limits(queue), last: None, gates: Vec::new() });
    }

    /// Finishes one command that the driver's lanes allow to finish.
    fn finish(&mut self, pick: usize, fails: bool) {
        let may: Vec<usize> = (0..self.running.len())
            .filter(|&i| {
                let me = &self.running[i];
                let first = self.running[..i].iter().all(|other| other.lane != me.lane);
                first && self.machine.after(me.command).iter().all(|on| self.running.iter().all(|r| r.command != on))
            })
            .collect();
        assert!(self.running.is_empty() || !may.is_empty(), "the driver can always go on");
        if may.is_empty() {
            return;
        }
        let place = may[pick % may.len()];
        self.report(place, fails);
    }

    fn report(&mut self, place: usize, fails: bool) {
        let Running { command, message, bytes, .. } = self.running.remove(place);
        let known = self.known.get_mut(&message).expect("unresolved while it runs");
        known.broke |= fails;
        known.arrived += if known.broke { 0 } else { bytes };
        let result = if fails { Err(FailureKind::Backend("broke".into())) } else { Ok(()) };
        self.event(Event::Over(command, result));
        self.past.push(command);
        self.report_again(command);
    }

    /// A command is reported that is over: nothing may happen.
    fn report_again(&mut self, command: Token) {
        let state = |own: &Self| {
            let levels: Vec<_> = own.held.iter().map(|&place| own.machine.level(own.queues[place].id)).collect();
            levels
        };
        let (before, mut actions) = (state(self), Vec::new());
        self.machine.step(Event::Over(command, Ok(())), &mut actions);
        assert!(actions.is_empty() && before == state(self), "a late report does nothing");
        self.outcomes.late_reports += 1;
    }

    /// Finishes the running command of this message.
    pub(super) fn end(&mut self, message: Token, fails: bool) {
        let place = self.running.iter().position(|r| r.message == message).expect("it runs");
        self.report(place, fails);
    }

    fn check(&self) {
        assert_eq!(self.accepted, self.resolved + self.known.len() as u64, "nothing is lost");
        for &place in &self.held {
            let Open { id, limits, .. } = self.queues[place];
            let level = self.machine.level(id);
            let mine: Vec<&Known> = self.known.values().filter(|known| known.queue == place).collect();
            assert_eq!(level.unresolved as usize, mine.len());
            assert_eq!(level.free_ops, limits.depth - level.unresolved);
            let bytes: u64 = mine.iter().map(|m| m.bytes).sum();
            let largest = mine.iter().map(|m| m.bytes).max().unwrap_or(0);
            assert_eq!(level.free_bytes, limits.bytes.saturating_sub(bytes));
            assert!(bytes <= limits.bytes.max(largest), "the byte credits hold");
            let running = self.running.iter().filter(|r| self.known[&r.message].queue == place).count();
            assert_eq!(level.in_driver as usize, running);
            assert!(running <= limits.window as usize, "the window holds");
        }
        for (token, known) in &self.known {
            let empty = self.running.iter().all(|r| Some(r.lane) != known.lane);
            let room = empty && self.running.len() < MAX_IN_DRIVER;
            assert!(!(room && self.may_go(*token)), "{token:?} could run and is left behind: {known:?}");
            assert!(self.machine.wait_of(*token).is_some(), "what is unresolved waits for something");
        }
    }

    pub(super) fn drain(&mut self) {
        while !self.running.is_empty() {
            self.finish(0, false);
        }
        self.event(Event::Pump);
        assert!(self.known.is_empty(), "everything resolves: {:?}", self.known);
        self.check();
    }

    /// The whole program, to its end.
    pub(super) fn run(mut self, steps: &[Step]) -> Outcomes {
        for step in steps {
            self.step(step);
        }
        self.drain();
        self.outcomes
    }
}

// `QUEUES` queues have limits.
const _: () =
    assert!(QUEUES == 4 && LANES.len() == super::program::LANES && ACCESSES.len() == super::program::ACCESSES);
