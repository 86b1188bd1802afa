//! Sending: how messages come into a queue.

use std::time::Duration;

use super::DmaQueue;
use crate::{
    dma::{
        MessageId,
        batch::Batch,
        permit::{Permit, Reserving},
        ticket::{Refused, Ticket},
        work::{Accepted, Patience},
    },
    error::Result,
    message::Message,
};

/// Sending. Each verb comes in four: refused at once where there is no credit (`try_`), waiting for it,
/// waiting for at most so long (`_timeout`), awaiting it (`_async`). None waits for the message itself.
/// What is refused comes back by value.
impl DmaQueue {
    /// Sends if there is a credit; never waits.
    ///
    /// # Errors
    /// [`Refused`] with the message: [`Error::Refused`] where the queue is full, closed or has failed,
    /// [`Error::Argument`] where the message is for another device.
    ///
    /// [`Error::Refused`]: crate::Error::Refused
    /// [`Error::Argument`]: crate::Error::Argument
    pub fn try_send<B: Send + 'static>(&self, message: Message<B>) -> Result<Ticket<B>, Refused<Message<B>>> {
        self.send_with(message, Patience::Never)
    }

    /// Sends; waits for a credit if there is none, until the message's deadline at most.
    ///
    /// # Errors
    /// As [`DmaQueue::try_send`]; it is never full, but [`Refusal::Timeout`](crate::Refusal::Timeout) where the
    /// deadline comes first.
    pub fn send<B: Send + 'static>(&self, message: Message<B>) -> Result<Ticket<B>, Refused<Message<B>>> {
        self.send_with(message, Patience::Forever)
    }

    /// Sends; waits for a credit for at most `timeout`.
    ///
    /// # Errors
    /// As [`DmaQueue::try_send`], with [`Refusal::Timeout`] in the place of [`Refusal::Full`].
    ///
    /// [`Refusal::Timeout`]: crate::Refusal::Timeout
    /// [`Refusal::Full`]: crate::Refusal::Full
    pub fn send_timeout<B: Send + 'static>(
        &self,
        message: Message<B>,
        timeout: Duration,
    ) -> Result<Ticket<B>, Refused<Message<B>>> {
        self.send_with(message, Patience::Within(timeout))
    }

    /// Sends; awaits a credit if there is none, until the message's deadline at most. Dropping the future before
    /// drops the message with it: to keep it, await [`reserve_async`](DmaQueue::reserve_async) and send with the
    /// permit.
    ///
    /// # Errors
    /// As [`DmaQueue::send`].
    pub async fn send_async<B: Send + 'static>(&self, message: Message<B>) -> Result<Ticket<B>, Refused<Message<B>>> {
        match Reserving::new(self, 1, message.bytes(), message.draft.slip.deadline).await {
            Ok(permit) => permit.send(message),
            Err(error) => Err(Refused { error, buffer: message }),
        }
    }

    /// Takes credits for messages to come, all or none, if they are there.
    ///
    /// # Errors
    /// [`Error::Refused`] where the queue is full, closed or has failed; [`Error::Argument`] where it
    /// has not so much depth.
    ///
    /// [`Error::Refused`]: crate::Error::Refused
    /// [`Error::Argument`]: crate::Error::Argument
    pub fn try_reserve(&self, ops: u32, bytes: u64) -> Result<Permit<'_>> {
        self.permit(ops, bytes, Patience::Never, None)
    }

    /// Takes credits for messages to come; waits for them. More bytes than the queue has are taken where
    /// nothing else is. Those who wait are served in the order in which they came.
    ///
    /// # Errors
    /// As [`DmaQueue::try_reserve`]; it is never full.
    pub fn reserve(&self, ops: u32, bytes: u64) -> Result<Permit<'_>> {
        self.permit(ops, bytes, Patience::Forever, None)
    }

    /// Takes credits for messages to come; waits for at most `timeout`.
    ///
    /// # Errors
    /// As [`DmaQueue::try_reserve`], with [`Refusal::Timeout`] in the place of [`Refusal::Full`].
    ///
    /// [`Refusal::Timeout`]: crate::Refusal::Timeout
    /// [`Refusal::Full`]: crate::Refusal::Full
    pub fn reserve_timeout(&self, ops: u32, bytes: u64, timeout: Duration) -> Result<Permit<'_>> {
        self.permit(ops, bytes, Patience::Within(timeout), None)
    }

    /// Takes credits for messages to come; the future gives the permit, or an error as
    /// [`DmaQueue::reserve`] does. Dropping it takes nothing.
    pub fn reserve_async(&self, ops: u32, bytes: u64) -> Reserving<'_> {
        Reserving::new(self, ops, bytes, None)
    }

    /// An empty [`Batch`] for this queue.
    pub fn batch(&self) -> Batch<'_> {
        Batch::new(self)
    }
}

/// Selective signalling: messages without a ticket.
///
/// Nobody is told of a message that was posted: it takes credits and its turn like any other, and its
/// buffer is dropped when it went well. What became of a run of them is folded into the next signal of
/// their queue: the next message that was sent with a ticket, or a [fence](DmaQueue::fence). Where one of
/// the run has failed, that message's completion says [`FailureKind::Unsignaled`] although it went well
/// itself, and the fence fails. Failures are not lost without a signal either: each is a [dead
/// letter](crate::Device::dead_letters), with its buffer. Posting half a queue's depth rings its
/// [`Doorbell`](crate::Doorbell), so that credits come back without a signal, too. On CUDA those of a run
/// share one event, as do messages whose tickets were dropped by the time they go out.
///
/// ```
/// let device = wharf::Device::open("cpu")?;
/// let queue = device.queue("samples").open();
/// let x = device.buffer::<u32>(1000)?;
/// for i in 0..1000 {
///     queue.post(device.upload(&x).at(i).message(vec![i as u32])?)?;
/// }
/// queue.fence()?.wait().expect("all thousand went well");
/// assert_eq!(device.download(&x).wait()?[999], 999);
/// # Ok::<(), wharf::Error>(())
/// ```
///
/// [`FailureKind::Unsignaled`]: crate::FailureKind::Unsignaled
impl DmaQueue {
    /// Sends without a ticket; waits for a credit if there is none.
    ///
    /// # Errors
    /// As [`DmaQueue::send`].
    pub fn post<B: Send + 'static>(&self, message: Message<B>) -> Result<MessageId, Refused<Message<B>>> {
        self.post_with(message, Patience::Forever)
    }

    /// Sends without a ticket if there is a credit; never waits.
    ///
    /// # Errors
    /// As [`DmaQueue::try_send`].
    pub fn try_post<B: Send + 'static>(&self, message: Message<B>) -> Result<MessageId, Refused<Message<B>>> {
        self.post_with(message, Patience::Never)
    }

    pub(crate) fn post_with<B: Send + 'static>(
        &self,
        mut message: Message<B>,
        patience: Patience<'_>,
    ) -> Result<MessageId, Refused<Message<B>>> {
        message.draft.slip.unsignaled = true;
        self.put(message, patience).map(|accepted| accepted.id).map_err(|mut refused| {
            refused.buffer.draft.slip.unsignaled = false;
            refused
        })
    }

    pub(crate) fn send_with<B: Send + 'static>(
        &self,
        message: Message<B>,
        patience: Patience<'_>,
    ) -> Result<Ticket<B>, Refused<Message<B>>> {
        let Accepted { cell, id, .. } = self.put(message, patience)?;
        Ok(Ticket::new(self.engine.shared.clone(), cell, id))
    }

    fn put<B: Send + 'static>(
        &self,
        mut message: Message<B>,
        patience: Patience<'_>,
    ) -> Result<Accepted, Refused<Message<B>>> {
        if let Err(error) = self.admits(&message.draft) {
            return Err(Refused { error, buffer: message });
        }
        self.engine.send(self.id, message.draft.take(), patience).map_err(|(why, slip)| {
            message.draft.slip = slip;
            Refused { error: self.refused(why), buffer: message }
        })
    }
}
