//! The machine under random programs: a driver that finishes commands in any order it may, with
//! failures and loss, and a check of every promise after every step.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::{
    hazard::Access,
    machine::Machine,
    model::{Action, Event, FailPolicy, Kind, Limits, Offer, QueueId},
};
use crate::{
    backend::{Lane, Token},
    error::{FailureKind, Refusal},
};

const LANES: [Lane; 3] = [Lane::Upload, Lane::Compute, Lane::Download];
const ACCESSES: [Access; 4] = [Access::Read, Access::Overwrite, Access::WritePart, Access::ReadWrite];
const BUFFERS: usize = 3;
const QUEUES: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    Send {
        queue: QueueId,
        lane: usize,
        bytes: u64,
        uses: Vec<(usize, usize)>,
    },
    Fence {
        queue: QueueId,
    },
    Gate {
        queue: QueueId,
        fence: usize,
    },
    /// Finishes the `pick`-th of the commands that may finish.
    Finish {
        pick: usize,
        fails: bool,
    },
    Resume {
        queue: QueueId,
    },
    /// Replaces a buffer by a new one while messages may use it.
    Drop {
        buffer: usize,
    },
    Lose,
}

fn step() -> impl Strategy<Value = Step> {
    let queue = 0..QUEUES;
    let uses = prop::collection::vec((0..BUFFERS, 0..ACCESSES.len()), 0..3);
    prop_oneof![
        8 => (queue.clone(), 0..3_usize, 0..40_u64, uses)
            .prop_map(|(queue, lane, bytes, uses)| Step::Send { queue, lane, bytes, uses }),
        1 => queue.clone().prop_map(|queue| Step::Fence { queue }),
        1 => (queue.clone(), any::<usize>()).prop_map(|(queue, fence)| Step::Gate { queue, fence }),
        8 => (any::<usize>(), prop::bool::weighted(0.1)).prop_map(|(pick, fails)| Step::Finish { pick, fails }),
        1 => queue.prop_map(|queue| Step::Resume { queue }),
        1 => (0..BUFFERS).prop_map(|buffer| Step::Drop { buffer }),
    ]
}

/// What the harness knows of an accepted message.
#[derive(Debug)]
struct Known {
    order: u64,
    queue: QueueId,
    lane: Option<Lane>,
    uses: Vec<(Token, Access)>,
}

struct Harness {
    machine: Machine,
    buffers: Vec<Token>,
    known: HashMap<Token, Known>,
    fences: Vec<Token>,
    /// Given to the driver, in order of submission.
    running: Vec<Token>,
    accepted: u64,
    resolved: u64,
    last: [Option<u64>; QUEUES],
    limits: [Limits; QUEUES],
    broken: HashSet<Token>,
    outcomes: [u64; 3],
}

impl Harness {
    fn new() -> Self {
        let mut machine = Machine::new("test".into(), 6);
        let limit = |depth, bytes, window, policy| Limits { depth, bytes, window, policy };
        let limits = [
            limit(8, 100, 4, FailPolicy::FailStop),
            limit(4, 60, 1, FailPolicy::Continue),
            limit(16, 1000, 8, FailPolicy::Continue),
        ];
        for (i, limits) in limits.iter().enumerate() {
            assert_eq!(machine.open_queue(format!("q{i}").into(), *limits), i);
        }
        let buffers = (0..BUFFERS).map(|_| machine.register()).collect();
        Self {
            machine,
            buffers,
            known: HashMap::new(),
            fences: Vec::new(),
            running: Vec::new(),
            accepted: 0,
            resolved: 0,
            last: [None; QUEUES],
            limits,
            broken: HashSet::new(),
            outcomes: [0; 3],
        }
    }

    fn event(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.machine.step(event, &mut actions);
        self.machine.step(Event::Pump, &mut actions);
        for action in actions {
            match action {
                Action::Submit(token) => self.submitted(token),
                Action::Resolve { token, result, .. } => {
                    let known = self.known.remove(&token).expect("resolved once, and accepted before");
                    assert!(self.last[known.queue] < Some(known.order), "resolved in order of acceptance");
                    self.last[known.queue] = Some(known.order);
                    self.resolved += 1;
                    self.running.retain(|&t| t != token);
                    self.fences.retain(|&t| t != token);
                    let kind = result.as_ref().err().map(|e| &e.kind);
                    self.outcomes[match kind {
                        None => 0,
                        Some(FailureKind::Upstream { .. } | FailureKind::Aborted { .. }) => 2,
                        Some(_) => 1,
                    }] += 1;
                    if result.is_err() {
                        self.broken.insert(token);
                    }
                }
                Action::Free(buffer) => {
                    assert!(!self.buffers.contains(&buffer), "a buffer with an owner is not freed");
                    let used = self.known.values().any(|m| m.uses.iter().any(|&(b, _)| b == buffer));
                    assert!(!used, "a buffer in use is not freed");
                }
            }
        }
    }

    /// The running commands that finish before `token` does: its edges, what its lane has before it,
    /// and theirs in turn.
    fn before(&self, token: Token) -> HashSet<Token> {
        let (mut found, mut open) = (HashSet::new(), vec![token]);
        while let Some(next) = open.pop() {
            let place = self.running.iter().position(|&t| t == next).unwrap_or(self.running.len());
            let lane = self.known[&next].lane;
            let earlier = self.running[..place].iter().copied().filter(|t| self.known[t].lane == lane);
            let edges = self.machine.after(next);
            open.extend(earlier.chain(edges.iter()).filter(|&t| found.insert(t)).collect::<Vec<_>>());
        }
        found
    }

    /// Everything the message needs is finished, or is with the driver and ordered before it.
    fn submitted(&mut self, token: Token) {
        let before = self.before(token);
        let me = &self.known[&token];
        for (other, known) in self.known.iter().filter(|(_, known)| known.order < me.order) {
            let waiting = self.machine.is_waiting(*other);
            if known.queue == me.queue && known.lane.is_some() {
                assert!(!waiting, "{token:?} overtakes {other:?} in its queue");
            }
            let conflict =
                |&(b, a): &(Token, Access)| known.uses.iter().any(|&(c, o)| b == c && (a.writes() || o.writes()));
            if me.uses.iter().any(conflict) {
                assert!(!waiting, "{token:?} has an edge to {other:?}, which the driver does not know");
                let kept = !self.running.contains(other) || before.contains(other);
                assert!(kept, "{token:?} does not wait for {other:?}, which touches the same buffer");
            }
        }
        self.running.push(token);
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Send { queue, lane, bytes, uses } => {
                let mut accesses: Vec<(Token, Access)> = Vec::new();
                for &(buffer, access) in uses {
                    if accesses.iter().all(|&(b, _)| b != self.buffers[buffer]) {
                        accesses.push((self.buffers[buffer], ACCESSES[access]));
                    }
                }
                let lane = LANES[*lane];
                self.offer(*queue, Kind::Work(lane), *bytes, &accesses);
            }
            Step::Fence { queue } => {
                if let Some(token) = self.offer(*queue, Kind::Fence, 0, &[]) {
                    self.fences.push(token);
                }
            }
            Step::Gate { queue, fence } => {
                if !self.fences.is_empty() {
                    let fence = self.fences[fence % self.fences.len()];
                    self.machine.gate(*queue, fence);
                }
            }
            Step::Finish { pick, fails } => self.finish(*pick, *fails),
            Step::Resume { queue } => self.event(Event::Resume(*queue)),
            Step::Drop { buffer } => {
                let old = std::mem::replace(&mut self.buffers[*buffer], self.machine.register());
                self.event(Event::Release(old));
            }
            Step::Lose => self.event(Event::Lost("pulled".into())),
        }
        self.check();
    }

    fn offer(&mut self, queue: QueueId, kind: Kind, bytes: u64, accesses: &[(Token, Access)]) -> Option<Token> {
        let before = self.machine.level(queue);
        match self.machine.accept(&Offer { queue, kind, bytes, accesses, label: None }) {
            Ok((token, _)) => {
                let lane = if let Kind::Work(lane) = kind { Some(lane) } else { None };
                let known = Known { order: self.accepted, queue, lane, uses: accesses.to_vec() };
                assert!(self.known.insert(token, known).is_none(), "a token names one message");
                self.accepted += 1;
                self.event(Event::Pump);
                Some(token).filter(|token| self.known.contains_key(token))
            }
            Err(Refusal::Full { free_ops, free_bytes, .. }) => {
                assert!(free_ops == 0 || bytes > free_bytes, "refused with room");
                assert_eq!(self.machine.level(queue), before, "a refusal changes nothing");
                None
            }
            Err(_) => None,
        }
    }

    /// Finishes one command that the driver's lanes allow to finish.
    fn finish(&mut self, pick: usize, fails: bool) {
        let may: Vec<Token> = self
            .running
            .iter()
            .enumerate()
            .filter(|&(i, token)| {
                let lane = self.known[token].lane;
                let first = self.running[..i].iter().all(|other| self.known[other].lane != lane);
                first && self.machine.after(*token).iter().all(|on| !self.running.contains(&on))
            })
            .map(|(_, &token)| token)
            .collect();
        assert!(self.running.is_empty() || !may.is_empty(), "the driver can always go on");
        if may.is_empty() {
            return;
        }
        let token = may[pick % may.len()];
        self.running.retain(|&t| t != token);
        let result = if fails { Err(FailureKind::Backend("broke".into())) } else { Ok(()) };
        self.event(Event::Over(token, result.clone()));
        // The same report again, late: nothing may happen.
        let before = (self.resolved, self.running.len());
        self.event(Event::Over(token, result));
        assert_eq!(before, (self.resolved, self.running.len()), "a doubled report does nothing");
    }

    fn check(&self) {
        assert_eq!(self.accepted, self.resolved + self.known.len() as u64, "nothing is lost");
        for queue in 0..QUEUES {
            let level = self.machine.level(queue);
            let mine = self.known.values().filter(|known| known.queue == queue).count();
            assert_eq!(level.unresolved as usize, mine);
            assert_eq!(level.free_ops, self.limits[queue].depth - level.unresolved);
            assert!(level.in_driver <= self.limits[queue].window, "the window holds");
        }
    }

    fn drain(&mut self) {
        while !self.running.is_empty() {
            self.finish(0, false);
        }
        self.event(Event::Pump);
        assert!(self.known.is_empty(), "everything resolves: {:?}", self.known);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 8 } else { 2000 }, ..ProptestConfig::default() })]

    #[test]
    fn no_program_loses_doubles_or_reorders_a_completion(steps in prop::collection::vec(step(), 1..120)) {
        let mut harness = Harness::new();
        for step in &steps {
            harness.step(step);
        }
        harness.drain();
    }

    #[test]
    fn losing_the_device_resolves_everything(steps in prop::collection::vec(step(), 1..60)) {
        let mut harness = Harness::new();
        for step in &steps {
            harness.step(step);
        }
        harness.step(&Step::Lose);
        assert!(harness.known.is_empty());
        let refused = harness.machine.accept(&Offer {
            queue: 0, kind: Kind::Fence, bytes: 0, accesses: &[], label: None,
        });
        assert!(matches!(refused, Err(Refusal::Failed(_))));
    }
}

#[test]
fn a_queue_that_is_opened_after_the_loss_refuses_at_once() {
    let mut machine = Machine::new("lost".into(), 8);
    machine.step(Event::Lost("pulled".into()), &mut Vec::new());
    let limits = Limits { depth: 4, bytes: 64, window: 4, policy: FailPolicy::Continue };
    let queue = machine.open_queue("late".into(), limits);
    machine.step(Event::Resume(queue), &mut Vec::new());
    let offer = Offer { queue, kind: Kind::Work(Lane::Upload), bytes: 4, accesses: &[], label: None };
    let Err(Refusal::Failed(error)) = machine.accept(&offer) else { panic!("accepted by a lost device") };
    assert!(matches!(error.kind, FailureKind::DeviceLost(_)));
}

#[test]
fn the_random_programs_reach_every_kind_of_outcome() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut outcomes = [0; 3];
    for _ in 0..if cfg!(miri) { 20 } else { 300 } {
        let steps = prop::collection::vec(step(), 60..120).new_tree(&mut runner).expect("a program").current();
        let mut harness = Harness::new();
        steps.iter().for_each(|step| harness.step(step));
        harness.drain();
        outcomes.iter_mut().zip(harness.outcomes).for_each(|(sum, n)| *sum += n);
    }
    let least = if cfg!(miri) { 1 } else { 100 };
    assert!(outcomes.iter().all(|&n| n >= least), "ok, failed, dragged along: {outcomes:?}");
}

#[test]
fn a_message_reads_only_what_was_made() {
    let mut harness = Harness::new();
    let buffer = harness.buffers[0];
    let write = harness.offer(1, Kind::Work(Lane::Upload), 1, &[(buffer, Access::Overwrite)]).unwrap();
    let read = harness.offer(2, Kind::Work(Lane::Download), 1, &[(buffer, Access::Read)]).unwrap();
    assert_eq!(harness.machine.after(read).iter().collect::<Vec<_>>(), [write]);
    harness.running.retain(|&t| t != write);
    harness.event(Event::Over(write, Err(FailureKind::Backend("broke".into()))));
    harness.running.retain(|&t| t != read);
    harness.event(Event::Over(read, Ok(())));
    assert!(harness.broken.contains(&read), "the device said it went well; the data never was");
}
