//! What the tests know of a machine, and what they do to it.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use super::{
    hold::{BATCHED, BELL},
    outcomes::Outcomes,
    program::{BUFFERS, QUEUES, Step},
};
use crate::{
    backend::{Lane, MemId, Region, Token},
    dma::{
        doorbell::Doorbell,
        hazard::{Access, Part, Touch},
        label::Label,
        machine::Machine,
        model::{CancelOutcome, Event, FailPolicy, Kind, Limits, Offer, Priority, QueueId},
        slab::Fault,
    },
    error::Refusal,
};

const LANES: [Lane; 3] = [Lane::Upload, Lane::Compute, Lane::Download];
const ACCESSES: [Access; 3] = [Access::Read, Access::Overwrite, Access::ReadWrite];

/// Of a buffer.
const BYTES: u64 = 64;

/// Two halves of a buffer, their middle, and all of it twice as often.
fn part(number: usize) -> Part {
    let of = |offset, bytes| Part::of(Region { mem: MemId(0), offset, bytes }, BYTES);
    match number {
        0 => of(0, 32),
        1 => of(32, 32),
        2 => of(16, 32),
        _ => Part::WHOLE,
    }
}
pub(super) const MAX_IN_DRIVER: usize = 7;
pub(super) const MAX_JOINED: usize = 3;

/// What the harness knows of an unresolved message.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) order: u64,
    pub(super) queue: usize,
    pub(super) lane: Option<Lane>,
    pub(super) uses: Vec<Touch>,
    /// Earlier messages that it must not overtake.
    pub(super) needs: Vec<Token>,
    pub(super) bytes: u64,
    pub(super) moves: u64,
    pub(super) sent: u64,
    pub(super) begun: bool,
    /// Bytes that have arrived, up to the first chunk that has not.
    pub(super) arrived: u64,
    pub(super) broke: bool,
    pub(super) deadline: Option<Instant>,
    pub(super) unsignaled: bool,
    /// What it was told when it was cancelled, by its owner or by the clock.
    pub(super) told: Option<CancelOutcome>,
}

impl Known {
    pub(super) fn all_sent(&self) -> bool {
        self.begun && self.sent == self.moves
    }
}

/// A queue, for as long as it has messages.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) id: QueueId,
    pub(super) limits: Limits,
    pub(super) last: Option<u64>,
    pub(super) gates: Vec<Token>,
    /// A message that nobody is told of has failed since the last signal.
    pub(super) untold: bool,
}

#[derive(Debug)]
pub(super) struct Running {
    pub(super) command: Token,
    pub(super) message: Token,
    pub(super) bytes: u64,
    pub(super) lane: Lane,
}

pub(super) struct Harness {
    pub(super) machine: Machine,
    pub(super) buffers: Vec<Token>,
    pub(super) known: HashMap<Token, Known>,
    pub(super) fences: Vec<Token>,
    /// Promises that are open.
    pub(super) promises: Vec<Token>,
    /// With the driver, in order of submission.
    pub(super) running: Vec<Running>,
    pub(super) past: Vec<Token>,
    /// Every name the driver was ever given.
    pub(super) names: HashSet<Token>,
    pub(super) queues: Vec<Open>,
    /// The queues that have a handle, as places in `queues`.
    pub(super) held: [usize; QUEUES],
    pub(super) now: Instant,
    pub(super) lost: bool,
    pub(super) accepted: u64,
    pub(super) resolved: u64,
    pub(super) broken: HashSet<Token>,
    pub(super) broken_promises: HashSet<Token>,
    pub(super) outcomes: Outcomes,
}

fn limits(queue: usize) -> Limits {
    let doorbell = if queue == BATCHED { BELL } else { Doorbell::Immediate };
    let limit = |depth, bytes, window, chunk, priority, policy| Limits {
        depth,
        bytes,
        window,
        chunk,
        priority,
        policy,
        doorbell,
    };
    match queue {
        0 => limit(8, 200, 4, 16, Priority::High, FailPolicy::FailStop),
        1 => limit(4, 60, 2, 8, Priority::Low, FailPolicy::Continue),
        2 => limit(16, 1000, 8, 16, Priority::Normal, FailPolicy::Continue),
        _ => limit(12, 500, 8, 12, Priority::Low, FailPolicy::FailStop),
    }
}

pub(super) fn chunk_on(limits: &Limits, lane: Lane) -> u64 {
    if lane == Lane::Compute { 16 * limits.chunk } else { limits.chunk }
}

impl Harness {
    pub(super) fn new(fault: Option<Fault>) -> Self {
        let mut machine = Machine::new("test".into(), MAX_IN_DRIVER as u32, MAX_JOINED as u32);
        if let Some(fault) = fault {
            machine.plant(fault);
        }
        let open = |i: usize| Open {
            id: machine.open_queue(format!("q{i}").into(), limits(i)),
            limits: limits(i),
            last: None,
            gates: Vec::new(),
            untold: false,
        };
        let queues = (0..QUEUES).map(open).collect();
        let buffers = (0..BUFFERS).map(|_| machine.register("buffer".into(), BYTES)).collect();
        Self {
            machine,
            buffers,
            known: HashMap::new(),
            fences: Vec::new(),
            promises: Vec::new(),
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
            broken_promises: HashSet::new(),
            outcomes: Outcomes::default(),
        }
    }

    pub(super) fn step(&mut self, step: &Step) {
        match step {
            Step::Send { queue, lane, bytes, whole, uses, deadline, unsignaled } => {
                let accesses: Vec<Touch> = uses
                    .iter()
                    .map(|&(buffer, access, of)| {
                        let (buffer, access) = (self.buffers[buffer], ACCESSES[access]);
                        Touch { buffer, access, part: part(of) }
                    })
                    .collect();
                let moves = if *whole { 0 } else { *bytes };
                let deadline = deadline.map(|after| self.now + Duration::from_secs(after));
                self.offer(*queue, Kind::Work(LANES[*lane]), (*bytes, moves), &accesses, (deadline, *unsignaled));
            }
            Step::Burst { queue, uploads } => {
                for &(bytes, buffer) in uploads {
                    let touch = Touch { buffer: self.buffers[buffer], access: Access::Overwrite, part: Part::WHOLE };
                    self.take_in(*queue, Kind::Work(Lane::Upload), (bytes, bytes), &[touch], (None, false));
                }
                self.event(Event::Pump);
            }
            Step::Fence { queue } => {
                if let Some(token) = self.offer(*queue, Kind::Fence, (0, 0), &[], (None, false)) {
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
            Step::Promise => self.promise(),
            Step::Keep { pick, fails } => self.keep(*pick, *fails),
            Step::Flush { queue } => self.flush(*queue),
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
            Step::Resume { queue } => {
                self.event(Event::Resume(self.queues[self.held[*queue]].id));
            }
            Step::Close { queue } => self.event(Event::Close(self.queues[self.held[*queue]].id)),
            Step::Abort { queue } => {
                let place = self.held[*queue];
                self.told_by(|known| known.queue == place);
                self.event(Event::Abort(self.queues[place].id, "enough".into()));
            }
            Step::Reopen { queue } => self.reopen(*queue),
            Step::Drop { buffer } => {
                let old = std::mem::replace(&mut self.buffers[*buffer], self.machine.register("buffer".into(), BYTES));
                self.event(Event::Release(old));
            }
            Step::Lose => {
                self.lost = true;
                self.event(Event::Lost("pulled".into()));
                assert!(self.known.is_empty() && self.promises.is_empty(), "a loss resolves everything");
            }
        }
        self.check();
    }

    pub(super) fn offer(
        &mut self,
        queue: usize,
        kind: Kind,
        sizes: (u64, u64),
        accesses: &[Touch],
        how: (Option<Instant>, bool),
    ) -> Option<Token> {
        let token = self.take_in(queue, kind, sizes, accesses, how)?;
        self.event(Event::Pump);
        Some(token).filter(|token| self.known.contains_key(token))
    }

    /// The same, and nothing goes to the driver yet.
    fn take_in(
        &mut self,
        queue: usize,
        kind: Kind,
        (bytes, moves): (u64, u64),
        accesses: &[Touch],
        (deadline, unsignaled): (Option<Instant>, bool),
    ) -> Option<Token> {
        let place = self.held[queue];
        let id = self.queues[place].id;
        let before = self.machine.level(id);
        // As on a device: what is small goes one way.
        let joins = kind == Kind::Work(Lane::Upload) && bytes <= 8 && moves == bytes;
        let offer = Offer { queue: id, kind, bytes, moves, accesses, label: &Label::None, deadline, unsignaled, joins };
        match self.machine.accept(&offer) {
            Ok((token, _)) => {
                let lane = if let Kind::Work(lane) = kind { Some(lane) } else { None };
                let conflicts = |m: &Known| {
                    let both = |a: &Touch, b: &Touch| {
                        let written = a.access.writes() || b.access.writes();
                        a.buffer == b.buffer && written && a.part.overlap(b.part).is_some()
                    };
                    accesses.iter().any(|a| m.uses.iter().any(|b| both(a, b)))
                };
                let gates = &self.queues[place].gates;
                let needs = self.known.iter().filter(|(t, m)| conflicts(m) || gates.contains(t)).map(|(t, _)| *t);
                let needs = needs.chain(self.promises.iter().copied().filter(|promise| gates.contains(promise)));
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
                    unsignaled,
                    told: None,
                };
                assert!(self.known.insert(token, known).is_none(), "a token names one message");
                self.accepted += 1;
                self.hold(token);
                return Some(token);
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

    /// Those that are `taken` back are told what becomes of them, unless they were told before.
    fn told_by(&mut self, taken: impl Fn(&Known) -> bool) {
        for known in self.known.values_mut() {
            if taken(known) && known.lane.is_some() && !known.all_sent() {
                let outcome = if known.begun { CancelOutcome::Partial } else { CancelOutcome::NotStarted };
                known.told.get_or_insert(outcome);
            }
        }
    }

    fn tick(&mut self, passed: u64) {
        self.now += Duration::from_secs(passed);
        let now = self.now;
        self.told_by(|known| known.deadline.is_some_and(|at| at <= now));
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
        self.queues.push(Open { id, limits: limits(queue), last: None, gates: Vec::new(), untold: false });
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
