//! Whether messages may come in: operation and byte credits, taken before and returned after.

use super::Machine;
#[cfg(test)]
use crate::dma::{MessageId, model::Offer};
use crate::{
    backend::Token,
    dma::model::{Level, QueueId, Turn},
    error::Refusal,
};

impl Machine {
    /// Accepts the message or says why not; in that case nothing has changed.
    #[cfg(test)]
    pub(crate) fn accept(&mut self, offer: &Offer<'_>) -> Result<(Token, MessageId), Refusal> {
        self.reserve(offer.queue, 1, offer.bytes, None)?;
        Ok(self.accept_paid(offer))
    }

    /// Whether the queue takes messages at all.
    pub(crate) fn accepts(&self, queue: QueueId) -> Result<(), Refusal> {
        let queue = &self.queues[queue];
        match &queue.failed {
            _ if queue.closed => Err(Refusal::Closed),
            Some(error) => Err(Refusal::Failed(error.clone())),
            None => Ok(()),
        }
    }

    /// Takes credits of the queue for messages to come, all or none. More bytes than the queue has are
    /// taken where nothing else is. Where others wait for theirs, only the first of them gets any.
    pub(crate) fn reserve(&mut self, queue: QueueId, ops: u32, bytes: u64, turn: Option<Turn>) -> Result<(), Refusal> {
        self.accepts(queue)?;
        let Level { free_ops, free_bytes, .. } = self.level(queue);
        let queue = &mut self.queues[queue];
        let first = queue.turns.front() == turn.as_ref();
        if ops > free_ops || (bytes > free_bytes && queue.ops > 0) || !first {
            return Err(Refusal::Full { free_ops, free_bytes, bytes });
        }
        if turn.is_some() {
            queue.turns.pop_front();
        }
        queue.ops += ops;
        queue.bytes += bytes;
        Ok(())
    }

    /// The oldest unresolved message of the queue.
    pub(crate) fn oldest(&self, queue: QueueId) -> Option<Token> {
        self.queues[queue].order.front().copied()
    }

    /// Whether the buffer of this name is still somebody's.
    pub(crate) fn is_owned(&self, resource: Token) -> bool {
        self.resources.get(resource).is_some_and(|resource| !resource.dropped)
    }

    /// A place among the senders that wait for credits of the queue.
    pub(crate) fn take_turn(&mut self, queue: QueueId) -> Turn {
        let turn = Turn(self.next_turn);
        self.next_turn += 1;
        self.queues[queue].turns.push_back(turn);
        turn
    }

    /// The sender waits no longer.
    pub(crate) fn leave_turn(&mut self, queue: QueueId, turn: Turn) {
        self.queues[queue].turns.retain(|&other| other != turn);
    }

    /// Takes back credits that were reserved and not spent.
    pub(crate) fn refund(&mut self, queue: QueueId, ops: u32, bytes: u64) {
        let queue = &mut self.queues[queue];
        queue.ops -= ops;
        queue.bytes -= bytes;
    }
}
