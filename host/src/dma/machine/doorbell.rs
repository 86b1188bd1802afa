//! Messages that are held back until their queue's doorbell rings.

use std::time::Instant;

use super::Machine;
use crate::{
    backend::Token,
    dma::{
        doorbell::{Bell, Doorbell},
        model::{Queue, QueueId, State},
    },
};

impl Queue {
    /// Whether the doorbell has rung for the message of this number.
    pub(super) fn is_rung(&self, id: u64) -> bool {
        self.limits.doorbell == Doorbell::Immediate || id < self.bell.rung
    }
}

impl Machine {
    /// A message was just accepted: its queue's doorbell rings, or it is held. What it has to come after
    /// in other queues is held no longer.
    #[inline]
    pub(crate) fn hold(&mut self, token: Token, queue: QueueId, now: Instant) {
        if self.holding > 0 || self.queues[queue].limits.doorbell != Doorbell::Immediate {
            self.hold_back(token, now);
        }
    }

    fn hold_back(&mut self, token: Token, now: Instant) {
        let message = self.messages.get(token).expect("just accepted");
        let (id, bytes, unsignaled) = (message.queue, message.bytes, message.unsignaled);
        let doorbell = self.queues[id].limits.doorbell;
        if self.holding > 0 {
            for place in 0..message.edges.len() {
                let on = self.messages.get(token).expect("just accepted").edges[place].on;
                if self.messages.get(on).is_some_and(|earlier| earlier.queue != id) {
                    self.ring_for(on);
                }
            }
        }
        if doorbell == Doorbell::Immediate {
            return;
        }
        let bell = &mut self.queues[id].bell;
        self.holding += usize::from(bell.ops == 0);
        bell.ops += 1;
        bell.bytes += bytes;
        if self.draining > 0 || !self.queues[id].turns.is_empty() {
            // Somebody waits for its end, or for its credits.
            self.ring(id);
            return;
        }
        let Queue { bell, limits, .. } = &mut self.queues[id];
        if unsignaled && bell.ops >= limits.depth.div_ceil(2) {
            // Nobody may ever wait for it: what it holds would be held for ever.
            self.ring(id);
            return;
        }
        let Doorbell::Batched { ops, bytes, linger } = doorbell else { return };
        if bell.ops >= ops || bell.bytes >= bytes {
            self.ring(id);
        } else if bell.due.is_none() {
            // A time that no clock will show never comes.
            bell.due = now.checked_add(linger);
            self.lingering.extend(bell.due.map(|_| id));
        }
    }

    /// A message of a queue that holds some is resolved: it may be one of them.
    pub(super) fn let_go(&mut self, id: QueueId, number: u64, bytes: u64) {
        let queue = &mut self.queues[id];
        if queue.is_rung(number) {
            return;
        }
        queue.bell.ops -= 1;
        queue.bell.bytes -= bytes;
        if queue.bell.ops == 0 {
            self.holding -= 1;
            if queue.bell.due.take().is_some() {
                self.lingering.retain(|&other| other != id);
            }
        }
    }

    /// From now on, until it is said again with `false`, nothing is held.
    pub(crate) fn drain(&mut self, begins: bool) {
        if begins {
            self.draining += 1;
            self.ring_all();
        } else {
            self.draining -= 1;
        }
    }

    /// Lets everything that the queue has accepted go. Answers whether something was held.
    pub(crate) fn ring(&mut self, id: QueueId) -> bool {
        let queue = &mut self.queues[id];
        if queue.bell.ops == 0 {
            return false;
        }
        if queue.bell.due.is_some() {
            self.lingering.retain(|&other| other != id);
        }
        queue.bell = Bell { rung: self.next_id, ..Bell::default() };
        self.holding -= 1;
        self.wake(id);
        true
    }

    /// Rings for this message, where it, or what it stands behind in its queue, is held.
    pub(crate) fn ring_for(&mut self, token: Token) -> bool {
        if self.holding == 0 {
            return false;
        }
        let Some(message) = self.messages.get(token) else { return false };
        let (queue, waits) = (message.queue, message.state == State::Waiting);
        let queued = self.queues.get(queue).is_some_and(|queue| !queue.is_rung(message.id));
        waits && queued && self.ring(queue)
    }

    pub(crate) fn ring_all(&mut self) -> bool {
        let rung = (0..self.queues.len()).filter(|&queue| self.ring(queue)).count();
        rung > 0
    }

    /// Rings where the first message has waited long enough.
    pub(super) fn ring_due(&mut self, now: Instant) {
        while let Some(&id) = self.lingering.iter().find(|&&id| self.queues[id].bell.due.is_some_and(|due| due <= now))
        {
            self.ring(id);
        }
    }

    /// When the next doorbell rings by itself.
    pub(super) fn next_ring(&self) -> Option<Instant> {
        self.lingering.iter().filter_map(|&id| self.queues[id].bell.due).min()
    }

    /// Messages that are held, and how many more ring the doorbell by themselves.
    pub(crate) fn held(&self, id: QueueId) -> (u32, Option<u32>) {
        let queue = &self.queues[id];
        let until = match queue.limits.doorbell {
            Doorbell::Batched { ops, .. } => Some(ops.max(1) - queue.bell.ops),
            Doorbell::Immediate | Doorbell::Manual => None,
        };
        (queue.bell.ops, until)
    }

    /// Nothing is held any more.
    pub(super) fn silence(&mut self) {
        self.queues.iter_mut().for_each(|queue| queue.bell = Bell::default());
        self.lingering.clear();
        self.holding = 0;
    }
}
