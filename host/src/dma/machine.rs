//! The queue contract as one state machine without threads, clocks or drivers.
//!
//! It holds ids, credits, order and edges; host buffers, operations and waiters live beside it in
//! the driver's cells. Whoever drives it calls [`Machine::reserve`] and [`Machine::accept_paid`] for
//! a message, [`Machine::cancel`] to take one back and [`Machine::step`] for everything else, and
//! carries out the [`Action`]s that come back.
//!
//! Rules it keeps:
//! - accepted messages resolve exactly once, in order of acceptance within their queue;
//! - a message is submitted only after every message it has an edge to was wholly submitted, so that
//!   a backend never sees a name it does not know, and never waits for something yet to come;
//! - a failure travels along data edges before anything that read the data is resolved;
//! - credits return when a message is resolved;
//! - a lane of the driver has at most a few chunks before it, and the queue of the highest priority
//!   comes next.
//!
//! It cannot dead-lock but by what the program holds back itself, by a promise or a doorbell: edges lead
//! to messages accepted earlier, so the earliest message that is not submitted always may be, once its
//! lane has room.
//!
//! What an event costs does not grow with the number of queues or messages: a queue is looked at
//! when something it waits for has happened ([`Machine::wake`]), and a message knows who waits for it.

use std::{collections::VecDeque, sync::Arc, time::Instant};

#[cfg(test)]
use super::slab::Fault;
use super::{
    doorbell::Bell,
    hazard::Resource,
    model::{Action, Command, Event, Level, Limits, Message, Priority, Queue, QueueId, State},
    slab::Slab,
};
use crate::backend::{Lane, Token};

mod accept;
mod advance;
mod cancel;
mod credit;
mod deadlines;
mod doorbell;
mod evict;
mod explain;
mod loss;
mod promise;
mod settle;

use deadlines::Deadlines;
pub use explain::{Dependency, Explanation, Wait};
use settle::root_of;

#[derive(Debug)]
pub(crate) struct Machine {
    device: Arc<str>,
    max_in_driver: u32,
    /// Messages that may travel in one command.
    max_joined: u32,
    in_driver: u32,
    /// Bytes that the driver has, by lane.
    lanes: [u64; 3],
    /// The highest place in `ready` that waits for room on a lane, in this pump.
    shut: [usize; 3],
    queues: Vec<Queue>,
    /// Places of queues that are gone.
    vacant: Vec<QueueId>,
    /// Queues that may have something to submit, by priority.
    ready: [VecDeque<QueueId>; Priority::COUNT],
    /// The highest place in `ready` that a queue has come to since the pump last looked.
    woken: usize,
    /// The last pump has stopped before it had submitted all that may be.
    cut: bool,
    messages: Slab<Message>,
    commands: Slab<Command>,
    resources: Slab<Resource>,
    /// Those that are dropped and still used.
    to_be_freed: usize,
    deadlines: Deadlines,
    /// Queues whose doorbell rings by itself.
    lingering: Vec<QueueId>,
    /// Queues that hold messages back.
    holding: usize,
    /// Threads that wait for everything to be resolved: nothing is held meanwhile.
    draining: usize,
    /// Promises that are open.
    promises: Vec<Token>,
    next_id: u64,
    next_turn: u64,
    lost: Option<Arc<str>>,
}

impl Machine {
    pub(crate) fn new(device: Arc<str>, max_in_driver: u32, max_joined: u32) -> Self {
        Self {
            device,
            max_in_driver,
            max_joined,
            in_driver: 0,
            lanes: [0; 3],
            shut: [0; 3],
            queues: Vec::new(),
            vacant: Vec::new(),
            ready: Default::default(),
            woken: 0,
            cut: false,
            messages: Slab::new(),
            commands: Slab::new(),
            resources: Slab::new(),
            to_be_freed: 0,
            deadlines: Deadlines::default(),
            lingering: Vec::new(),
            holding: 0,
            draining: 0,
            promises: Vec::new(),
            next_id: 0,
            next_turn: 0,
            lost: None,
        }
    }

    pub(crate) fn open_queue(&mut self, name: Arc<str>, limits: Limits) -> QueueId {
        let failed = self.lost.clone().map(|cause| self.lost_error(cause, &name));
        let queue = Queue {
            name,
            limits,
            ops: 0,
            bytes: 0,
            in_driver: 0,
            waiting: VecDeque::new(),
            order: VecDeque::new(),
            gates: Vec::new(),
            gate_failure: None,
            bell: Bell::default(),
            turns: VecDeque::new(),
            failed,
            fence_failure: None,
            untold: None,
            stopped: 0,
            closed: false,
            retired: false,
            ready: false,
        };
        if let Some(id) = self.vacant.pop() {
            self.queues[id] = queue;
            return id;
        }
        self.queues.push(queue);
        self.queues.len() - 1
    }

    /// The place of a queue that nobody holds any more and that is empty.
    fn vacate(&mut self, id: QueueId) {
        let queue = &mut self.queues[id];
        if queue.retired && queue.order.is_empty() {
            if std::mem::take(&mut queue.ready) {
                self.ready[queue.limits.priority.place()].retain(|&other| other != id);
            }
            self.vacant.push(id);
        }
    }

    /// A new buffer of so many bytes, which users know by this name.
    pub(crate) fn register(&mut self, name: Arc<str>, bytes: u64) -> Token {
        let (token, resource) = self.resources.take();
        resource.reset(name, bytes, self.next_id);
        token
    }

    pub(crate) fn level(&self, queue: QueueId) -> Level {
        let queue = &self.queues[queue];
        Level {
            free_ops: queue.limits.depth - queue.ops,
            free_bytes: queue.limits.bytes.saturating_sub(queue.bytes),
            in_driver: queue.in_driver,
            unresolved: queue.order.len() as u32,
        }
    }

    /// Later messages of the queue wait for this fence. `false` where it is resolved already.
    pub(crate) fn gate(&mut self, queue: QueueId, fence: Token) -> bool {
        let unresolved = self.messages.get(fence).is_some();
        if unresolved {
            self.queues[queue].gates.push(fence);
        }
        unresolved
    }

    /// The messages that a command of the backend is of, unless its end was reported.
    pub(crate) fn messages_of(&self, command: Token) -> impl Iterator<Item = Token> + '_ {
        let first = self.commands.get(command).map(|command| command.message);
        std::iter::successors(first, |&token| self.messages.get(token)?.next)
    }

    /// Bytes that a link has to move until the message is over: what its lane has been given before, and what is left
    /// of the message itself. None for work within the device, which no link bounds.
    pub(crate) fn bytes_to_move(&self, token: Token) -> u64 {
        let Some(message) = self.messages.get(token) else { return 0 };
        let Some(lane) = message.lane().filter(|&lane| lane != Lane::Compute) else { return 0 };
        let in_lane = self.lanes[lane as usize];
        match message.state {
            // What was given since comes after it.
            State::Submitted => in_lane.min(message.in_lane),
            _ => in_lane + (message.moves - message.sent),
        }
    }

    /// When [`Event::Tick`] is due, at the latest.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next().into_iter().chain(self.next_ring()).min()
    }

    /// Takes one event and appends what is to be done.
    pub(crate) fn step(&mut self, event: Event, actions: &mut Vec<Action>) {
        match event {
            Event::Pump => self.pump(actions),
            Event::Tick(now) => {
                self.tick(now);
                self.ring_due(now);
            }
            Event::Keep(promise, result) => self.keep(promise, result, actions),
            Event::Over(command, result) => self.over(command, result, actions),
            Event::Lost(cause) => self.lose(cause, actions),
            Event::Release(resource) => {
                if let Some(state) = self.resources.get_mut(resource) {
                    state.dropped = true;
                    let unused = state.users == 0;
                    #[cfg(wharf_models)]
                    let unused = unused || super::sync::has(super::sync::Bug::FreesInUse);
                    if unused {
                        self.resources.free(resource);
                        actions.push(Action::Free(resource));
                    } else {
                        self.to_be_freed += 1;
                    }
                }
            }
            Event::Resume(queue) => {
                if self.lost.is_none() {
                    self.queues[queue].failed = None;
                    self.queues[queue].gate_failure = None;
                }
            }
            Event::Close(queue) => {
                self.queues[queue].closed = true;
                self.ring(queue);
            }
            Event::Abort(queue, why) => {
                self.queues[queue].closed = true;
                self.ring(queue);
                self.abandon(queue, &why);
            }
            Event::Retire(queue) => {
                self.queues[queue].closed = true;
                self.queues[queue].retired = true;
                self.ring(queue);
                self.vacate(queue);
            }
        }
    }

    /// Something has happened that the queue may have waited for.
    fn wake(&mut self, id: QueueId) {
        let queue = &mut self.queues[id];
        if !queue.ready && !queue.waiting.is_empty() {
            queue.ready = true;
            let place = queue.limits.priority.place();
            self.ready[place].push_back(id);
            self.woken = self.woken.min(place);
        }
    }

    /// Tells those that wait for the message that it is wholly with the driver, or over, or both.
    fn announce(&mut self, token: Token, sent: bool, ended: bool) {
        let message = self.messages.get_mut(token).expect("alive");
        let lane = message.lane();
        let dependants = std::mem::take(&mut message.dependants);
        for &(name, _) in &dependants {
            // It may be over before what it waited for, where a backend reports out of order.
            let Some(dependant) = self.messages.get_mut(name) else { continue };
            dependant.unsent -= u32::from(sent);
            dependant.unended -= u32::from(ended);
            if ended && lane.is_some() && dependant.lane() != lane {
                dependant.across -= 1;
            }
            let (queue, waits) = (dependant.queue, matches!(dependant.state, State::Waiting | State::Sending));
            if waits && (dependant.unsent == 0 || dependant.unended == 0 || dependant.doom.is_some()) {
                self.wake(queue);
            }
        }
        self.messages.get_mut(token).expect("alive").dependants = dependants;
    }

    #[cfg(test)]
    pub(crate) fn plant(&mut self, fault: Fault) {
        match fault {
            Fault::Lost | Fault::Reordered => self.messages.plant(fault),
            Fault::Doubled | Fault::Stale => self.commands.plant(fault),
        }
    }

    #[cfg(test)]
    pub(crate) fn is_doomed(&self, token: Token) -> bool {
        self.messages.get(token).is_some_and(|m| m.doom.is_some())
    }

    #[cfg(test)]
    pub(crate) fn is_held(&self, token: Token) -> bool {
        let message = self.messages.get(token).filter(|m| m.state == State::Waiting);
        message.and_then(|m| Some(!self.queues.get(m.queue)?.is_rung(m.id))).unwrap_or(false)
    }

    #[cfg(test)]
    pub(crate) fn deadlines(&self) -> usize {
        self.deadlines.len()
    }

    #[cfg(test)]
    pub(crate) fn is_unsent(&self, token: Token) -> bool {
        self.messages.get(token).is_some_and(|m| matches!(m.state, State::Waiting | State::Sending))
    }
}
