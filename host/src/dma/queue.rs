//! A queue of messages to one device.

use std::{sync::Arc, time::Duration};

use smallvec::SmallVec;

use super::{
    batch::Batch,
    doorbell::Doorbell,
    engine::Engine,
    fence::Fence,
    machine::Explanation,
    model::{Event, FailPolicy, Kind, Limits, Priority, QueueId},
    parcel::Parcel,
    permit::{Permit, Reserving},
    small::MOST_INLINE,
    ticket::{Refused, Ticket},
    work::{Accepted, Patience, Work},
};
use crate::{
    error::{Error, Refusal, Result, TransferError},
    message::Message,
};

/// Bounds of a queue that is about to be opened; see [`Device::queue`](crate::Device::queue).
#[derive(Debug, Clone)]
pub struct QueueOptions {
    engine: Arc<Engine>,
    name: Arc<str>,
    limits: Limits,
    inline_max: usize,
}

impl QueueOptions {
    pub(crate) fn new(engine: &Arc<Engine>, name: &str) -> Self {
        Self { engine: engine.clone(), name: name.into(), limits: Limits::DEFAULT, inline_max: 4 << 10 }
    }

    /// Messages that may be accepted and unresolved; 16,384 unless said otherwise, at least 1.
    #[must_use]
    pub fn depth(mut self, messages: u32) -> Self {
        self.limits.depth = messages.max(1);
        self
    }

    /// Bytes that accepted and unresolved messages may carry; 256 MiB unless said otherwise. A
    /// larger message is accepted when the queue is empty; senders that wait are served in the order in
    /// which they came, so that it is not passed for ever.
    #[must_use]
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.limits.bytes = bytes;
        self
    }

    /// Messages, or chunks of large ones, that the driver may be given before they finish; 256 unless
    /// said otherwise, at least 1.
    #[must_use]
    pub fn window(mut self, commands: u32) -> Self {
        self.limits.window = commands.max(1);
        self
    }

    /// Transfers of more bytes than this are given to the device in chunks: 4 MiB unless said
    /// otherwise, a multiple of 256, and 16 times as many between buffers of the device. A chunk is
    /// how long a queue of higher priority may have to wait, and how finely a transfer can be
    /// cancelled; small ones cost rate. What moves without a copy is not cut.
    #[must_use]
    pub fn chunk(mut self, bytes: u64) -> Self {
        self.limits.chunk = bytes.clamp(256, 1 << 48).next_multiple_of(256);
        self
    }

    /// Whether its messages go before or after those of other queues for the same lane;
    /// [`Priority::Normal`] unless said otherwise. Within a queue the order never changes. A message
    /// that comes to the front of a queue of higher priority waits for the two chunks at most that
    /// the driver already has on its lane. Queues of lower priority get what is left, which may be
    /// nothing for as long as the others have something to send.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.limits.priority = priority;
        self
    }

    /// Bytes up to which [`Upload::copy_from`](crate::Upload::copy_from) copies into small memory that
    /// it uses again; 4 KiB unless said otherwise, 64 KiB at most. Larger slices go through a staging
    /// block of their own, small ones share one.
    #[must_use]
    pub fn inline_max(mut self, bytes: usize) -> Self {
        self.inline_max = bytes.min(MOST_INLINE);
        self
    }

    /// When accepted messages are shown to the device; [`Doorbell::Immediate`] unless said otherwise.
    #[must_use]
    pub fn doorbell(mut self, doorbell: Doorbell) -> Self {
        self.limits.doorbell = doorbell;
        self
    }

    /// What happens to later messages when one has failed; [`FailPolicy::FailStop`] unless said
    /// otherwise.
    #[must_use]
    pub fn policy(mut self, policy: FailPolicy) -> Self {
        self.limits.policy = policy;
        self
    }

    /// Opens the queue.
    pub fn open(self) -> DmaQueue {
        let id = self.engine.open_queue(self.name.clone(), self.limits);
        DmaQueue { engine: self.engine, id, name: self.name, depth: self.limits.depth, inline_max: self.inline_max }
    }
}

/// A queue of messages: they start and complete in the order in which it accepted them. Messages of
/// different queues have no order but that of the data they touch and of fences.
#[derive(Debug)]
pub struct DmaQueue {
    pub(crate) engine: Arc<Engine>,
    pub(crate) id: QueueId,
    pub(crate) name: Arc<str>,
    depth: u32,
    pub(crate) inline_max: usize,
}

/// Counts of a queue, all taken at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueStats {
    /// Operation credits left.
    pub free_ops: u32,
    /// Byte credits left.
    pub free_bytes: u64,
    /// Messages accepted and not resolved.
    pub unresolved: u32,
    /// What the driver has of them: messages, or chunks of large ones.
    pub in_driver: u32,
    /// For how long the oldest of them has been accepted.
    pub oldest: Option<Duration>,
    /// Messages that wait for the doorbell.
    pub held: u32,
    /// How many more messages ring it, where a number does; bytes and time may ring it before.
    pub until_flush: Option<u32>,
    /// Dead letters of the queue that nobody has taken yet.
    pub dead_letters: usize,
}

impl DmaQueue {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its credits and levels.
    pub fn stats(&self) -> QueueStats {
        let shared = &self.engine.shared;
        let mut core = shared.lock();
        let level = core.machine.level(self.id);
        let (held, until_flush) = core.machine.held(self.id);
        let oldest = core.machine.oldest(self.id).map(|token| core.accepted(token));
        QueueStats {
            oldest: oldest.map(|accepted| shared.backend.now().saturating_duration_since(accepted)),
            dead_letters: core.dead.of_queue(&self.name),
            held,
            until_flush,
            free_ops: level.free_ops,
            free_bytes: level.free_bytes,
            unresolved: level.unresolved,
            in_driver: level.in_driver,
        }
    }

    /// What the oldest message that is not resolved waits for, and why: look here when a queue seems to
    /// stand still. `None` where everything is resolved.
    pub fn explain(&self) -> Option<Explanation> {
        let core = self.engine.shared.lock();
        core.machine.explain(core.machine.oldest(self.id)?)
    }

    /// A fence behind everything accepted so far. Waits for an operation credit if there is none.
    ///
    /// # Errors
    /// [`Error::Refused`] where the queue is closed or has failed.
    pub fn fence(&self) -> Result<Fence> {
        let mut work = Work {
            queue: self.id,
            kind: Kind::Fence,
            bytes: 0,
            op: None,
            parcel: Some(Parcel::new(())),
            small: None,
            staging: 0,
            label: None,
            accesses: SmallVec::new(),
            moves: 0,
            deadline: None,
        };
        let accepted = self.engine.send(&mut work, Patience::Forever).map_err(|why| self.refused(why))?;
        let Accepted { cell, token, id } = accepted;
        let shared = self.engine.shared.clone();
        let fence = Fence { state: shared.fences.take(), token, shared: shared.clone(), id };
        Ticket::<()>::new(shared, cell, id).reach(&fence.state);
        Ok(fence)
    }

    /// Messages sent from now on start after everything before `fence` has finished, and fail where
    /// it will fail, until the queue is [resumed](Self::resume).
    ///
    /// # Errors
    /// [`Error::Transfer`] where the fence has failed already; [`Error::Argument`] where the fence belongs to another device: wait for it on the host.
    pub fn wait_for(&self, fence: &Fence) -> Result<()> {
        // Two handles opened by the same name are two devices.
        if !Arc::ptr_eq(&fence.shared, &self.engine.shared) {
            return Err(Error::argument(
                format!("fence {} of {}", fence.id, fence.shared.device),
                format!("a queue of {} cannot wait for another device; call `fence.wait()`", self.engine.shared.device),
            ));
        }
        let gated = self.engine.shared.lock().machine.gate(self.id, fence.token);
        if gated {
            return Ok(());
        }
        // It is resolved: its outcome is there, or will be as soon as the reaping thread has said so.
        fence.wait().map_err(|error| Error::Transfer(TransferError::clone(&error)))
    }

    /// Accepts messages again after a failure has stopped the queue, and forgets the failure of a fence
    /// that it was told to wait for. The failures themselves are in
    /// the completions of the messages. A queue of a lost device stays failed.
    pub fn resume(&self) {
        self.engine.shared.lock().stage(Event::Resume(self.id), &self.engine.shared);
    }

    /// Rings the doorbell: everything accepted so far may go to the device. Never waits.
    pub fn flush(&self) {
        self.engine.shared.ring(|core| core.machine.ring(self.id));
    }

    /// Refuses new messages from now on; accepted ones complete.
    pub fn close(&self) {
        self.end(Event::Close(self.id));
        // Senders that wait for a credit are told that there will be none.
        self.engine.shared.settled();
    }

    /// Closes, and waits until everything accepted is resolved.
    pub fn drain(self) {
        self.close();
        self.engine.shared.drain_queue(self.id);
    }

    /// Takes an event that rings the doorbell for the last time.
    fn end(&self, event: Event) {
        let mut core = self.engine.shared.lock();
        core.stage(event, &self.engine.shared);
        self.engine.shared.kick(core);
    }

    pub(crate) fn refused(&self, why: Refusal) -> Error {
        Error::Refused { queue: self.name.to_string(), why }
    }

    /// Says so where the queue belongs to another device than this.
    pub(crate) fn owned_by(&self, engine: &Arc<Engine>) -> Result<()> {
        if Arc::ptr_eq(&self.engine, engine) {
            return Ok(());
        }
        let (ours, theirs) = (&self.engine.shared.device, &engine.shared.device);
        let reason = format!("belongs to {ours}, the message is for {theirs}");
        Err(Error::argument(format!("queue `{}`", self.name), reason))
    }

    /// Says so where so many operations never fit.
    pub(super) fn can_ever(&self, ops: u32) -> Result<()> {
        if ops <= self.depth {
            return Ok(());
        }
        let reason = format!("{ops} operations never fit its depth of {}", self.depth);
        Err(Error::argument(format!("queue `{}`", self.name), reason))
    }

    pub(crate) fn permit(&self, ops: u32, bytes: u64, patience: Patience<'_>) -> Result<Permit<'_>> {
        self.can_ever(ops)?;
        self.engine.reserve(self.id, ops, bytes, patience).map_err(|why| self.refused(why))?;
        Ok(Permit::new(self, ops, bytes))
    }

    pub(crate) fn send_with<B: Send + 'static>(
        &self,
        mut message: Message<B>,
        patience: Patience<'_>,
    ) -> Result<Ticket<B>, Refused<Message<B>>> {
        if let Err(error) = self.owned_by(&message.draft.engine) {
            return Err(Refused { error, buffer: message });
        }
        message.draft.work.queue = self.id;
        match self.engine.send(&mut message.draft.work, patience) {
            Ok(Accepted { cell, id, .. }) => Ok(Ticket::new(self.engine.shared.clone(), cell, id)),
            Err(why) => Err(Refused { error: self.refused(why), buffer: message }),
        }
    }
}

/// Sending. Each verb comes in four: refused at once where there is no credit (`try_`), waiting for it,
/// waiting for at most so long (`_timeout`), awaiting it (`_async`). None waits for the message itself.
/// What is refused comes back by value.
impl DmaQueue {
    /// Sends if there is a credit; never waits.
    ///
    /// # Errors
    /// [`Refused`] with the message: [`Error::Refused`] where the queue is full, closed or has failed,
    /// [`Error::Argument`] where the message is for another device.
    pub fn try_send<B: Send + 'static>(&self, message: Message<B>) -> Result<Ticket<B>, Refused<Message<B>>> {
        self.send_with(message, Patience::Never)
    }

    /// Sends; waits for a credit if there is none.
    ///
    /// # Errors
    /// As [`DmaQueue::try_send`]; it is never full.
    pub fn send<B: Send + 'static>(&self, message: Message<B>) -> Result<Ticket<B>, Refused<Message<B>>> {
        self.send_with(message, Patience::Forever)
    }

    /// Sends; waits for a credit for at most `timeout`.
    ///
    /// # Errors
    /// As [`DmaQueue::try_send`], with [`Refusal::Timeout`] in the place of [`Refusal::Full`].
    pub fn send_timeout<B: Send + 'static>(
        &self,
        message: Message<B>,
        timeout: Duration,
    ) -> Result<Ticket<B>, Refused<Message<B>>> {
        self.send_with(message, Patience::Within(timeout))
    }

    /// Sends; awaits a credit if there is none. Dropping the future before drops the message with it: to
    /// keep it, await [`reserve_async`](DmaQueue::reserve_async) and send with the permit.
    ///
    /// # Errors
    /// As [`DmaQueue::try_send`]; it is never full.
    pub async fn send_async<B: Send + 'static>(&self, message: Message<B>) -> Result<Ticket<B>, Refused<Message<B>>> {
        match self.reserve_async(1, message.bytes()).await {
            Ok(permit) => permit.send(message),
            Err(error) => Err(Refused { error, buffer: message }),
        }
    }

    /// Takes credits for messages to come, all or none, if they are there.
    ///
    /// # Errors
    /// [`Error::Refused`] where the queue is full, closed or has failed; [`Error::Argument`] where it
    /// has not so much depth.
    pub fn try_reserve(&self, ops: u32, bytes: u64) -> Result<Permit<'_>> {
        self.permit(ops, bytes, Patience::Never)
    }

    /// Takes credits for messages to come; waits for them. More bytes than the queue has are taken where
    /// nothing else is. Those who wait are served in the order in which they came.
    ///
    /// # Errors
    /// As [`DmaQueue::try_reserve`]; it is never full.
    pub fn reserve(&self, ops: u32, bytes: u64) -> Result<Permit<'_>> {
        self.permit(ops, bytes, Patience::Forever)
    }

    /// Takes credits for messages to come; waits for at most `timeout`.
    ///
    /// # Errors
    /// As [`DmaQueue::try_reserve`], with [`Refusal::Timeout`] in the place of [`Refusal::Full`].
    pub fn reserve_timeout(&self, ops: u32, bytes: u64, timeout: Duration) -> Result<Permit<'_>> {
        self.permit(ops, bytes, Patience::Within(timeout))
    }

    /// Takes credits for messages to come; the future gives the permit, or an error as
    /// [`DmaQueue::reserve`] does. Dropping it takes nothing.
    pub fn reserve_async(&self, ops: u32, bytes: u64) -> Reserving<'_> {
        Reserving::new(self, ops, bytes)
    }

    /// An empty [`Batch`] for this queue.
    pub fn batch(&self) -> Batch<'_> {
        Batch::new(self)
    }
}

impl Drop for DmaQueue {
    fn drop(&mut self) {
        self.end(Event::Retire(self.id));
        self.engine.shared.settled();
    }
}
