//! The queue contract as one state machine without threads, clocks or drivers.
//!
//! It holds ids, credits, order and edges; host buffers, operations and waiters live beside it in
//! the driver's cells. Whoever drives it calls [`Machine::reserve`] and [`Machine::accept_paid`] for
//! a message and [`Machine::step`] for everything else, and carries out the [`Action`]s that come back.
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
    hazard::Resource,
    model::{Action, Event, Level, Limits, Message, Queue, QueueId, State},
    slab::Slab,
};
use crate::backend::Token;

mod accept;
mod advance;
mod credit;
mod loss;
mod settle;

use settle::root_of;

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

    /// A new buffer.
    pub(crate) fn register(&mut self) -> Token {
        let token = self.resources.take();
        self.resources.get_mut(token).expect("just taken").reset();
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
}
