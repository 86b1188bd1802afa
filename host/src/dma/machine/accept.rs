//! What a message that comes in has to wait for.

use super::{Machine, root_of};
use crate::{
    backend::Token,
    dma::{
        MessageId,
        hazard::{Cause, Edge},
        model::{Message, Offer, State},
    },
    error::{FailureKind, TransferError},
};

impl Machine {
    /// Accepts a message whose credits were reserved, into a queue that [accepts](Self::accepts) any.
    pub(crate) fn accept_paid(&mut self, offer: &Offer<'_>) -> (Token, MessageId) {
        let token = self.messages.take();
        // Out of its slot, so that the others can be reached; its lists come with it and go back.
        let mut message = std::mem::take(self.messages.get_mut(token).expect("just taken"));
        let id = self.next_id;
        self.next_id += 1;
        let inherited = self.find_edges(token, &mut message, offer);
        let Message { edges, accesses, mut dependants, .. } = message;
        dependants.clear();
        let mut message = Message {
            id,
            queue: offer.queue,
            kind: Some(offer.kind),
            bytes: offer.bytes,
            moves: offer.moves,
            label: offer.label.clone(),
            doom: inherited.map(|error| FailureKind::Upstream { root: root_of(error) }),
            edges,
            accesses,
            dependants,
            ..Message::default()
        };
        self.count_edges(token, &mut message);
        if let Some(at) = offer.deadline {
            message.timed = true;
            self.deadlines.push(at, token, |t| self.messages.get(t).is_some());
        }
        *self.messages.get_mut(token).expect("just taken") = message;
        let queue = &mut self.queues[offer.queue];
        queue.waiting.push_back(token);
        queue.order.push_back(token);
        self.wake(offer.queue);
        (token, MessageId(id))
    }

    /// What the message waits for, and the failure that it inherits.
    fn find_edges(
        &mut self,
        token: Token,
        message: &mut Message,
        offer: &Offer<'_>,
    ) -> Option<std::sync::Arc<TransferError>> {
        let (messages, resources) = (&self.messages, &mut self.resources);
        let edges = &mut message.edges;
        edges.clear();
        message.accesses.clear();
        message.accesses.extend_from_slice(offer.accesses);
        let mut inherited = None;
        for &(name, access) in offer.accesses {
            let resource = resources.get_mut(name).expect("the buffer's owner is alive");
            let poison = resource.record(token, access, edges, |t| messages.get(t).is_some());
            inherited = inherited.or(poison);
        }
        let queue = &mut self.queues[offer.queue];
        queue.gates.retain(|&gate| messages.get(gate).is_some());
        edges.extend(queue.gates.iter().map(|&on| Edge { on, cause: Cause::Fence }));
        inherited.or_else(|| {
            // An edge to a message that is over, has failed, and waits for its turn to resolve.
            edges.iter().filter(|edge| edge.cause.is_data()).find_map(|edge| match &messages.get(edge.on)?.state {
                State::Over(Err(error)) => Some(error.clone()),
                _ => None,
            })
        })
    }

    /// Counts what the message waits for, and has itself told when that happens.
    fn count_edges(&mut self, token: Token, message: &mut Message) {
        let lane = message.lane();
        for edge in &message.edges {
            let earlier = self.messages.get_mut(edge.on).expect("edges lead to live messages");
            if matches!(earlier.state, State::Over(_)) {
                continue;
            }
            earlier.dependants.push((token, edge.cause.is_data()));
            message.unsent += u32::from(earlier.state != State::Submitted);
            message.unended += 1;
            message.across += u32::from(earlier.lane().is_some_and(|other| Some(other) != lane));
        }
    }
}
