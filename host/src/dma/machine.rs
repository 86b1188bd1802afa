//! The queue contract as one state machine without threads, clocks or drivers.
//!
//! It holds ids, credits, order and edges; host buffers, operations and waiters live beside it in
//! the driver's cells. Whoever drives it calls [`Machine::accept`] for a message and
//! [`Machine::step`] for everything else, and carries out the [`Action`]s that come back.
//!
//! Rules it keeps:
//! - accepted messages resolve exactly once, in order of acceptance within their queue;
//! - a message is submitted only after every message it has an edge to was submitted, so that a
//!   backend never sees a name it does not know, and never waits for something yet to come;
//! - a failure travels along data edges before anything that read the data is resolved;
//! - credits return when a message is resolved.
//!
//! It cannot dead-lock: edges lead to messages accepted earlier, so the earliest message that is
//! not submitted always may be.

use std::{collections::VecDeque, sync::Arc};

use super::{
    MessageId,
    hazard::{Edge, Resource},
    model::{Action, Event, FailPolicy, Kind, Level, Limits, Message, Offer, Queue, QueueId, State},
    slab::Slab,
};
use crate::{
    backend::{After, Token},
    error::{FailureKind, Refusal, TransferError},
};

#[derive(Debug)]
pub(crate) struct Machine {
    device: Arc<str>,
    max_in_driver: u32,
    in_driver: u32,
    queues: Vec<Queue>,
    messages: Slab<Message>,
    resources: Slab<Resource>,
    next_id: u64,
    lost: Option<Arc<str>>,
}

impl Machine {
    pub(crate) fn new(device: Arc<str>, max_in_driver: u32) -> Self {
        Self {
            device,
            max_in_driver,
            in_driver: 0,
            queues: Vec::new(),
            messages: Slab::new(),
            resources: Slab::new(),
            next_id: 0,
            lost: None,
        }
    }

    pub(crate) fn open_queue(&mut self, name: Arc<str>, limits: Limits) -> QueueId {
        let failed = self.lost.clone().map(|cause| self.lost_error(cause, &name));
        self.queues.push(Queue {
            name,
            limits,
            ops: 0,
            bytes: 0,
            in_driver: 0,
            waiting: VecDeque::new(),
            order: VecDeque::new(),
            gates: Vec::new(),
            failed,
            fence_failure: None,
            closed: false,
        });
        self.queues.len() - 1
    }

    /// What a queue of a lost device refuses messages with.
    fn lost_error(&self, cause: Arc<str>, queue: &Arc<str>) -> Arc<TransferError> {
        Arc::new(TransferError {
            kind: FailureKind::DeviceLost(cause),
            device: self.device.clone(),
            queue: queue.clone(),
            id: MessageId(self.next_id),
            label: None,
            bytes: 0,
        })
    }

    /// A new buffer.
    pub(crate) fn register(&mut self) -> Token {
        let token = self.resources.take();
        self.resources.get_mut(token).expect("just taken").reset();
        token
    }

    /// Accepts the message or says why not; in that case nothing has changed.
    pub(crate) fn accept(&mut self, offer: &Offer<'_>) -> Result<(Token, MessageId), Refusal> {
        self.admit(offer)?;
        let token = self.messages.take();
        let (messages, resources) = (&mut self.messages, &mut self.resources);
        let mut message = std::mem::take(messages.get_mut(token).expect("just taken"));
        message.edges.clear();
        message.accesses.clear();
        message.accesses.extend_from_slice(offer.accesses);
        let mut inherited = None;
        for &(resource, access) in offer.accesses {
            let resource = resources.get_mut(resource).expect("the buffer's owner is alive");
            let alive = |t| messages.get(t).is_some();
            let poison = resource.record(token, access, &mut message.edges, alive);
            inherited = inherited.or(poison);
        }
        let queue = &mut self.queues[offer.queue];
        queue.gates.retain(|&gate| messages.get(gate).is_some());
        message.edges.extend(queue.gates.iter().map(|&on| Edge { on, data: true }));
        inherited = inherited.or_else(|| {
            // An edge to a message that is over, has failed, and waits for its turn to resolve.
            message.edges.iter().filter(|edge| edge.data).find_map(|edge| match &messages.get(edge.on)?.state {
                State::Over(Err(error)) => Some(error.clone()),
                _ => None,
            })
        });
        message.id = self.next_id;
        message.queue = offer.queue;
        message.kind = Some(offer.kind);
        message.bytes = offer.bytes;
        message.label = offer.label.clone();
        message.state = State::Waiting;
        message.doom = inherited.map(|error| FailureKind::Upstream { root: root_of(error) });
        *messages.get_mut(token).expect("just taken") = message;
        self.next_id += 1;
        queue.ops += 1;
        queue.bytes += offer.bytes;
        queue.waiting.push_back(token);
        queue.order.push_back(token);
        Ok((token, MessageId(self.next_id - 1)))
    }

    fn admit(&self, offer: &Offer<'_>) -> Result<(), Refusal> {
        let queue = &self.queues[offer.queue];
        if queue.closed {
            return Err(Refusal::Closed);
        }
        if let Some(error) = &queue.failed {
            return Err(Refusal::Failed(error.clone()));
        }
        let level = self.level(offer.queue);
        let fits = offer.bytes <= level.free_bytes || queue.ops == 0;
        if level.free_ops == 0 || !fits {
            let Level { free_ops, free_bytes, .. } = level;
            return Err(Refusal::Full { free_ops, free_bytes, bytes: offer.bytes });
        }
        Ok(())
    }

    pub(crate) fn level(&self, queue: QueueId) -> Level {
        let queue = &self.queues[queue];
        Level {
            free_ops: queue.limits.depth - queue.ops,
            free_bytes: queue.limits.bytes.saturating_sub(queue.bytes),
            in_driver: queue.in_driver,
            unresolved: queue.ops,
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

    /// Whether the backend has this message and has not reported its end.
    pub(crate) fn is_submitted(&self, token: Token) -> bool {
        self.messages.get(token).is_some_and(|m| m.state == State::Submitted)
    }

    #[cfg(test)]
    pub(crate) fn is_waiting(&self, token: Token) -> bool {
        self.messages.get(token).is_some_and(|m| m.state == State::Waiting)
    }

    /// Takes one event and appends what is to be done.
    pub(crate) fn step(&mut self, event: Event, actions: &mut Vec<Action>) {
        match event {
            Event::Pump => self.pump(actions),
            Event::Over(token, result) => self.over(token, result, actions),
            Event::Lost(cause) => self.lose(cause, actions),
            Event::Release(resource) => {
                if let Some(state) = self.resources.get_mut(resource) {
                    state.dropped = true;
                    if state.users == 0 {
                        self.resources.free(resource);
                        actions.push(Action::Free(resource));
                    }
                }
            }
            Event::Resume(queue) => {
                if self.lost.is_none() {
                    self.queues[queue].failed = None;
                }
            }
            Event::Close(queue) => self.queues[queue].closed = true,
        }
    }

    /// The edges of a message that is being submitted which its lane does not keep by itself.
    pub(crate) fn after(&self, token: Token) -> After {
        let mut after = After::default();
        for on in self.unfinished_on_other_lanes(token) {
            let room = after.push(on);
            debug_assert!(room, "a message is submitted with more edges than fit");
        }
        after
    }

    fn unfinished_on_other_lanes(&self, token: Token) -> impl Iterator<Item = Token> + '_ {
        let message = self.messages.get(token).expect("a live message");
        message.edges.iter().map(|edge| edge.on).filter(move |&on| {
            self.messages.get(on).is_some_and(|m| m.state == State::Submitted && m.kind != message.kind)
        })
    }

    fn pump(&mut self, actions: &mut Vec<Action>) {
        // Submitting in one queue may free the front of another, so go round until nothing moves.
        let mut moved = true;
        while moved {
            moved = false;
            for queue in 0..self.queues.len() {
                while self.advance(queue, actions) {
                    moved = true;
                }
            }
        }
    }

    fn is_running_or_waiting(&self, token: Token) -> bool {
        self.messages.get(token).is_some_and(|m| !matches!(m.state, State::Over(_)))
    }

    /// Moves the first waiting message of the queue on, if it may.
    fn advance(&mut self, queue: QueueId, actions: &mut Vec<Action>) -> bool {
        let state = &self.queues[queue];
        let Some(&token) = state.waiting.front() else { return false };
        let message = self.messages.get(token).expect("a waiting message is alive");
        if let Some(doom) = message.doom.clone() {
            // It ends after what it would have waited for: who waits for it waits for that, too.
            if message.edges.iter().any(|edge| self.is_running_or_waiting(edge.on)) {
                return false;
            }
            self.queues[queue].waiting.pop_front();
            self.finish(token, Err(doom), actions);
            return true;
        }
        if message.kind == Some(Kind::Fence) {
            // A fence is over when it is the oldest: everything before it has been resolved.
            if state.order.front() != Some(&token) {
                return false;
            }
            let result = match self.queues[queue].fence_failure.take() {
                Some(error) => Err(FailureKind::Upstream { root: root_of(error) }),
                None => Ok(()),
            };
            self.queues[queue].waiting.pop_front();
            self.finish(token, result, actions);
            return true;
        }
        let room = state.in_driver < state.limits.window && self.in_driver < self.max_in_driver;
        let known = |edge: &Edge| self.messages.get(edge.on).is_none_or(|m| m.state != State::Waiting);
        let few = || self.unfinished_on_other_lanes(token).take(After::MOST + 1).count() <= After::MOST;
        if !(room && message.edges.iter().all(known) && few()) {
            return false;
        }
        self.messages.get_mut(token).expect("alive").state = State::Submitted;
        let state = &mut self.queues[queue];
        state.waiting.pop_front();
        state.in_driver += 1;
        self.in_driver += 1;
        actions.push(Action::Submit(token));
        true
    }

    fn over(&mut self, token: Token, result: Result<(), FailureKind>, actions: &mut Vec<Action>) {
        // A token that is dead, or that was never submitted, is a late or doubled report.
        let Some(message) = self.messages.get(token).filter(|m| m.state == State::Submitted) else {
            return;
        };
        let result = match &message.doom {
            Some(doom) => Err(doom.clone()),
            None => result,
        };
        self.in_driver -= 1;
        self.queues[message.queue].in_driver -= 1;
        self.finish(token, result, actions);
    }

    /// The message is over; resolves what may be resolved in its queue.
    fn finish(&mut self, token: Token, result: Result<(), FailureKind>, actions: &mut Vec<Action>) {
        let message = self.messages.get(token).expect("alive");
        let queue = message.queue;
        let result = result.map_err(|kind| {
            Arc::new(TransferError {
                kind,
                device: self.device.clone(),
                queue: self.queues[queue].name.clone(),
                id: MessageId(message.id),
                label: message.label.clone(),
                bytes: message.bytes,
            })
        });
        self.messages.get_mut(token).expect("alive").state = State::Over(result.clone());
        if let Err(error) = result {
            self.spread(token, &error);
        }
        self.settle(queue, actions);
    }

    /// Dooms what reads the failed message's data, and what stands behind it where the queue stops.
    fn spread(&mut self, failed: Token, error: &Arc<TransferError>) {
        let Message { queue, id, kind, ref accesses, .. } = *self.messages.get(failed).expect("alive");
        for &(resource, _) in accesses.iter().filter(|(_, access)| access.writes()) {
            if let Some(resource) = self.resources.get_mut(resource) {
                resource.fail(failed, error);
            }
        }
        let root = root_of(error.clone());
        let state = &mut self.queues[queue];
        // A fence only reports what failed before it.
        let own = kind != Some(Kind::Fence);
        if own {
            state.fence_failure.get_or_insert_with(|| error.clone());
        }
        let stop = own && state.limits.policy == FailPolicy::FailStop;
        if stop && state.failed.is_none() {
            state.failed = Some(error.clone());
        }
        for (_, message) in self.messages.iter_mut() {
            if matches!(message.state, State::Over(_)) || message.doom.is_some() {
                continue;
            }
            let fence = message.kind == Some(Kind::Fence);
            if message.edges.iter().any(|edge| edge.data && edge.on == failed) {
                message.doom = Some(FailureKind::Upstream { root: root.clone() });
            } else if stop && message.queue == queue && message.id > id && !fence {
                message.doom = Some(FailureKind::Aborted { after: MessageId(id) });
            }
        }
    }

    /// Resolves the oldest messages of the queue that are over.
    fn settle(&mut self, queue: QueueId, actions: &mut Vec<Action>) {
        while let Some(&token) = self.queues[queue].order.front() {
            let message = self.messages.get_mut(token).expect("an unresolved message is alive");
            let State::Over(result) = &mut message.state else { break };
            let result = std::mem::replace(result, Ok(()));
            self.resolve(token, result, false, actions);
        }
    }

    fn resolve(
        &mut self,
        token: Token,
        result: Result<(), Arc<TransferError>>,
        in_driver: bool,
        actions: &mut Vec<Action>,
    ) {
        let message = self.messages.get_mut(token).expect("alive");
        let queue = &mut self.queues[message.queue];
        queue.order.pop_front();
        queue.ops -= 1;
        queue.bytes -= message.bytes;
        message.label = None;
        message.doom = None;
        let accesses = std::mem::take(&mut message.accesses);
        actions.push(Action::Resolve { token, result, in_driver });
        for &(name, _) in &accesses {
            let Some(resource) = self.resources.get_mut(name) else { continue };
            resource.users -= 1;
            if resource.users == 0 && resource.dropped {
                self.resources.free(name);
                actions.push(Action::Free(name));
            }
        }
        // The slot keeps the list's memory for its next message.
        self.messages.get_mut(token).expect("alive").accesses = accesses;
        self.messages.free(token);
    }

    fn lose(&mut self, cause: Arc<str>, actions: &mut Vec<Action>) {
        if self.lost.is_some() {
            return;
        }
        self.lost = Some(cause.clone());
        for queue in 0..self.queues.len() {
            let name = self.queues[queue].name.clone();
            let device = self.device.clone();
            let error = |id, label, bytes| {
                let (kind, device) = (FailureKind::DeviceLost(cause.clone()), device.clone());
                Arc::new(TransferError { kind, device, queue: name.clone(), id, label, bytes })
            };
            let refusal = self.lost_error(cause.clone(), &name);
            while let Some(&token) = self.queues[queue].order.front() {
                let message = self.messages.get_mut(token).expect("alive");
                let in_driver = message.state == State::Submitted;
                let result = match std::mem::take(&mut message.state) {
                    State::Over(result) => result,
                    _ => Err(error(MessageId(message.id), message.label.take(), message.bytes)),
                };
                self.resolve(token, result, in_driver, actions);
            }
            let state = &mut self.queues[queue];
            state.waiting.clear();
            state.in_driver = 0;
            state.failed = Some(refusal);
        }
        self.in_driver = 0;
    }
}

/// The first failure of a chain.
fn root_of(error: Arc<TransferError>) -> Arc<TransferError> {
    match &error.kind {
        FailureKind::Upstream { root } => root.clone(),
        _ => error,
    }
}
