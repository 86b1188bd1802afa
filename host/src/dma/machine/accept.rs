//! What a message that comes in has to wait for.

use std::sync::Arc;

use super::{Machine, root_of};
use crate::{
    backend::Token,
    dma::{
        MessageId,
        doorbell::Doorbell,
        hazard::{Access, Cause, Edge, Part, Touch},
        model::{Offer, Queue, State},
    },
    error::{FailureKind, TransferError},
};

impl Machine {
    /// Accepts a message whose credits were reserved, into a queue that [accepts](Self::accepts) any.
    pub(crate) fn accept_paid(&mut self, offer: &Offer<'_>) -> (Token, MessageId) {
        let id = self.next_id;
        self.next_id += 1;
        let (token, message) = self.messages.take();
        message.begin(id, offer.queue, offer.kind);
        (message.bytes, message.moves, message.timed) = (offer.bytes, offer.moves, offer.deadline.is_some());
        (message.unsignaled, message.joins) = (offer.unsignaled, offer.joins);
        message.label.clone_from(offer.label);
        // They are few: one by one costs less than what is made for many.
        for &touch in offer.accesses {
            message.accesses.push(touch);
        }
        // Out of its slot, as the other messages must be reached beside it; it goes back with its memory.
        let mut edges = std::mem::take(&mut message.edges);
        let inherited = self.find_edges(token, &mut edges, offer);
        let Counts { unsent, unended, across, failed } = self.count_edges(token, offer, &edges);
        if let Some(at) = offer.deadline {
            self.deadlines.push(at, token, |t| self.messages.get(t).is_some());
        }
        let message = self.messages.get_mut(token).expect("just taken");
        message.doom = inherited.or(failed).map(|error| FailureKind::Upstream { root: root_of(error) });
        message.edges = edges;
        (message.unsent, message.unended, message.across) = (unsent, unended, across);
        let queue = &mut self.queues[offer.queue];
        queue.waiting.push_back(token);
        queue.order.push_back(token);
        self.wake(offer.queue);
        (token, MessageId(id))
    }

    /// Whether a message would find nothing before it: nothing that it has to wait for, that fails it, or of which it
    /// would have to tell. Only where nothing is unresolved.
    pub(crate) fn is_clear_for(&self, offer: &Offer<'_>) -> bool {
        let Queue { limits, gates, gate_failure, untold, order, .. } = &self.queues[offer.queue];
        debug_assert!(order.is_empty(), "nothing is unresolved");
        let overwrites = |touch: &Touch| touch.access == Access::Overwrite;
        gates.is_empty()
            && gate_failure.is_none()
            && untold.is_none()
            && limits.doorbell == Doorbell::Immediate
            && offer.deadline.is_none()
            && offer.accesses.iter().all(overwrites)
    }

    /// Accepts a message whose credits were reserved, for which the machine [is clear](Self::is_clear_for), and that
    /// is done: it is resolved as it is accepted. Its name is dead.
    pub(crate) fn pass(&mut self, offer: &Offer<'_>) -> (Token, MessageId) {
        let id = self.next_id;
        self.next_id += 1;
        let (token, _) = self.messages.take();
        self.messages.free(token);
        for touch in offer.accesses {
            self.resources.get_mut(touch.buffer).expect("the buffer's owner is alive").overwrite(id, touch.part);
        }
        let queue = &mut self.queues[offer.queue];
        (queue.ops, queue.bytes) = (queue.ops - 1, queue.bytes - offer.bytes);
        (token, MessageId(id))
    }

    /// Fills in what the message waits for; gives the failure that it inherits.
    fn find_edges(&mut self, token: Token, edges: &mut Vec<Edge>, offer: &Offer<'_>) -> Option<Arc<TransferError>> {
        let (messages, resources, id) = (&self.messages, &mut self.resources, self.next_id - 1);
        let mut inherited = None;
        for &touch in offer.accesses {
            let resource = resources.get_mut(touch.buffer).expect("the buffer's owner is alive");
            resource.last = Some(id);
            let poison = resource.record(token, touch, edges, |t| messages.get(t).is_some());
            inherited = inherited.or(poison);
        }
        let queue = &mut self.queues[offer.queue];
        if !queue.gates.is_empty() {
            queue.gates.retain(|&gate| messages.get(gate).is_some());
            let fence = |&on: &Token| Edge { on, cause: Cause::Fence, buffer: None, part: Part::WHOLE };
            edges.extend(queue.gates.iter().map(fence));
        }
        inherited.or_else(|| queue.gate_failure.clone())
    }

    /// Counts what the message waits for, and has it told when that happens.
    fn count_edges(&mut self, token: Token, offer: &Offer<'_>, edges: &[Edge]) -> Counts {
        let lane = offer.kind.lane();
        let mut counts = Counts::default();
        for edge in edges {
            let earlier = self.messages.get_mut(edge.on).expect("edges lead to live messages");
            // Queue and lane keep the order of their own, and that is all which is asked for.
            let kept = !edge.cause.is_data() && earlier.queue == offer.queue && earlier.lane() == lane;
            if kept {
                continue;
            }
            if let State::Over(result) = &earlier.state {
                // It waits for its turn to resolve.
                if let (Err(error), None, true) = (result, &counts.failed, edge.cause.is_data()) {
                    counts.failed = Some(error.clone());
                }
                continue;
            }
            earlier.dependants.push((token, edge.cause.is_data()));
            counts.unsent += u32::from(earlier.state != State::Submitted);
            counts.unended += 1;
            counts.across += u32::from(earlier.lane().is_some_and(|other| Some(other) != lane));
        }
        counts
    }
}

/// How many messages one waits for.
#[derive(Default)]
struct Counts {
    unsent: u32,
    unended: u32,
    across: u32,
    /// The failure of the first whose data it needs, and that is over.
    failed: Option<Arc<TransferError>>,
}
