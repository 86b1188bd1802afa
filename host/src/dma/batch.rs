//! Several messages, accepted together or not at all.

use std::{
    fmt,
    marker::PhantomData,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use super::{
    DmaQueue,
    permit::Reserving,
    ticket::{Refused, Ticket},
    work::{Accepted, Patience},
};
use crate::{
    error::Result,
    message::{Draft, Message},
};

/// Messages that one queue will accept together, in their order, under one lock and with one doorbell.
///
/// Nothing is sent before [`Batch::commit`] or one of its kin. Those take the credits of all messages or
/// none; where the queue refuses, the batch is as it was: try again, [`take`](Batch::take) buffers
/// out, or drop it, which drops them. A committed batch is empty and may be filled again; it keeps its
/// memory.
///
/// ```
/// let device = wharf::Device::open("cpu")?;
/// let queue = device.queue("work").open();
/// let x = device.buffer::<u32>(4)?;
///
/// let mut batch = queue.batch();
/// let up = batch.push(device.upload(&x).message(vec![1, 2, 3, 4])?)?;
/// let down = batch.push(device.download(&x).message(Vec::new())?)?;
/// let mut sent = batch.commit()?;
/// assert_eq!(sent.ticket(down).wait().ok()?, [1, 2, 3, 4]);
/// assert_eq!(sent.ticket(up).wait().ok()?, [1, 2, 3, 4], "the buffer comes back");
/// # Ok::<(), wharf::Error>(())
/// ```
#[must_use = "a batch is sent by `commit`"]
pub struct Batch<'q> {
    queue: &'q DmaQueue,
    /// Tells this filling of this batch from every other.
    round: u64,
    messages: Vec<Option<Draft>>,
    bytes: u64,
    sent: Vec<Option<Accepted>>,
}

/// A message's place in a batch: asks for its buffer before the commit, for its ticket after.
pub struct Entry<B> {
    round: u64,
    index: usize,
    buffer: PhantomData<fn() -> B>,
}

impl<B> Clone for Entry<B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for Entry<B> {}

impl<B> fmt::Debug for Entry<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("index", &self.index).finish_non_exhaustive()
    }
}

fn next_round() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Relaxed)
}

impl<'q> Batch<'q> {
    pub(super) fn new(queue: &'q DmaQueue) -> Self {
        Self { queue, round: next_round(), messages: Vec::new(), bytes: 0, sent: Vec::new() }
    }

    /// Messages in it.
    pub fn len(&self) -> usize {
        self.messages.iter().flatten().count()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that its messages carry.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds a message, which the batch owns from now on.
    ///
    /// # Errors
    /// [`Refused`] with the message: [`Error::Argument`](crate::Error::Argument) where it is for another
    /// device than the queue's, [`Refusal::Slow`](crate::Refusal::Slow) by a strict queue.
    #[inline]
    pub fn push<B: Send + 'static>(&mut self, message: Message<B>) -> Result<Entry<B>, Refused<Message<B>>> {
        if let Err(error) = self.queue.admits(&message.draft) {
            return Err(Refused { error, buffer: message });
        }
        self.bytes += message.bytes();
        self.messages.push(Some(message.untyped()));
        Ok(Entry { round: self.round, index: self.messages.len() - 1, buffer: PhantomData })
    }

    /// Adds a message without a ticket: see [`DmaQueue::post`].
    ///
    /// # Errors
    /// As [`Batch::push`].
    pub fn post<B: Send + 'static>(&mut self, message: Message<B>) -> Result<(), Refused<Message<B>>> {
        let entry = self.push(message)?;
        let draft = self.messages[entry.index].as_mut().expect("just pushed");
        draft.slip.unsignaled = true;
        Ok(())
    }

    /// Takes a message out again.
    ///
    /// # Panics
    /// Where it was taken out before, or the entry is not of this filling of this batch.
    pub fn take<B: Send + 'static>(&mut self, entry: Entry<B>) -> Message<B> {
        assert_eq!(entry.round, self.round, "an entry of another batch, or of one that was committed");
        let draft = self.messages[entry.index].take().expect("a message is taken out of its batch once");
        let message = Message::typed(draft);
        self.bytes -= message.bytes();
        message
    }

    /// Sends everything; waits for the credits if they are not there, until the first deadline among the messages
    /// at most, and never for the messages.
    ///
    /// # Errors
    /// [`Error::Refused`](crate::Error::Refused) where the queue is closed or has failed, or a deadline came first,
    /// [`Error::Argument`](crate::Error::Argument) where it has not so much depth. Then nothing was sent,
    /// and the batch is as it was.
    pub fn commit(&mut self) -> Result<Sent<'_>> {
        self.commit_with(Patience::Forever)
    }

    /// Sends everything if the credits are there now.
    ///
    /// # Errors
    /// As [`Batch::commit`], and [`Refusal::Full`](crate::Refusal::Full).
    pub fn try_commit(&mut self) -> Result<Sent<'_>> {
        self.commit_with(Patience::Never)
    }

    /// Sends everything; waits for the credits for at most `timeout`.
    ///
    /// # Errors
    /// As [`Batch::commit`], and [`Refusal::Timeout`](crate::Refusal::Timeout).
    pub fn commit_timeout(&mut self, timeout: Duration) -> Result<Sent<'_>> {
        self.commit_with(Patience::Within(timeout))
    }

    /// Sends everything; awaits the credits as [`Batch::commit`] waits for them. Where the future is dropped
    /// before, nothing was sent and the batch is as it was.
    ///
    /// # Errors
    /// As [`Batch::commit`].
    pub async fn commit_async(&mut self) -> Result<Sent<'_>> {
        let permit = Reserving::new(self.queue, self.ops(), self.bytes, self.deadline()).await?;
        self.commit_with(Patience::Paid(&permit))
    }

    fn ops(&self) -> u32 {
        u32::try_from(self.len()).unwrap_or(u32::MAX)
    }

    /// The first deadline among its messages.
    fn deadline(&self) -> Option<Instant> {
        self.messages.iter().flatten().filter_map(|draft| draft.slip.deadline).min()
    }

    pub(crate) fn commit_with(&mut self, patience: Patience<'_>) -> Result<Sent<'_>> {
        let (queue, ops) = (self.queue, self.ops());
        queue.can_ever(ops)?;
        self.sent.clear();
        let deadline = self.deadline();
        let slips = self.messages.iter_mut().map(|message| message.as_mut().map(Draft::take));
        let total = (ops, self.bytes);
        queue
            .engine
            .send_all(queue.id, total, slips, patience, deadline, &mut self.sent)
            .map_err(|why| queue.refused(why))?;
        self.messages.clear();
        self.bytes = 0;
        let round = std::mem::replace(&mut self.round, next_round());
        Ok(Sent { queue, sent: &mut self.sent, round })
    }
}

impl fmt::Debug for Batch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("queue", &self.queue.name())
            .field("messages", &self.len())
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// The tickets of a batch that was accepted. Dropping it detaches the messages whose tickets were not
/// taken.
#[must_use = "messages whose tickets are not taken are detached"]
pub struct Sent<'b> {
    queue: &'b DmaQueue,
    sent: &'b mut Vec<Option<Accepted>>,
    round: u64,
}

impl Sent<'_> {
    /// The ticket of the message that was pushed with this entry.
    ///
    /// # Panics
    /// Where it was taken before, or the entry is not of this filling of this batch.
    pub fn ticket<B: Send + 'static>(&mut self, entry: Entry<B>) -> Ticket<B> {
        assert_eq!(entry.round, self.round, "an entry of another batch, or of one that was committed before");
        let accepted = self.sent[entry.index].take().expect("a ticket is taken once");
        Ticket::new(self.queue.engine.shared.clone(), accepted.cell, accepted.id)
    }
}

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        for accepted in self.sent.drain(..).flatten() {
            drop(Ticket::<()>::new(self.queue.engine.shared.clone(), accepted.cell, accepted.id));
        }
    }
}

impl fmt::Debug for Sent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sent").field("tickets", &self.sent.iter().flatten().count()).finish_non_exhaustive()
    }
}
