//! What a message that comes in has to wait for.

use super::{Machine, root_of};
use crate::{
    backend::Token,
    dma::{
        MessageId,
        hazard::Edge,
        model::{Offer, State},
    },
    error::FailureKind,
};

impl Machine {
    /// Accepts a message whose credits were reserved, into a queue that [accepts](Self::accepts) any.
    pub(crate) fn accept_paid(&mut self, offer: &Offer<'_>) -> (Token, MessageId) {
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
        queue.waiting.push_back(token);
        queue.order.push_back(token);
        (token, MessageId(self.next_id - 1))
    }
}
