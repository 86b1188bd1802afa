//! A queue of messages to one device.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    engine::Engine,
    fence::Fence,
    machine::Explanation,
    model::{Event, Kind, QueueId},
    parcel::Parcel,
    permit::Permit,
    slip::Slip,
    ticket::Ticket,
    work::{Accepted, Patience},
};
use crate::{
    buffer::not_of,
    error::{Error, Refusal, Result, TransferError},
    message::Draft,
};

mod drain;
mod options;
mod send;

pub use drain::Draining;
pub use options::QueueOptions;

/// A queue of messages: they start and complete in the order in which it accepted them. Messages of
/// different queues have no order but that of the data they touch and of fences.
///
/// Dropping it closes it and rings its doorbell, and never waits: what it has accepted completes as ever.
#[derive(Debug)]
pub struct DmaQueue {
    pub(crate) engine: Arc<Engine>,
    pub(crate) id: QueueId,
    pub(crate) name: Arc<str>,
    depth: u32,
    pub(crate) inline_max: usize,
    strict: bool,
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
        let mut slip = Slip::blank();
        (slip.kind, slip.parcel) = (Kind::Fence, Some(Parcel::new(())));
        let accepted = self.engine.send(self.id, slip, Patience::Forever).map_err(|(why, _)| self.refused(why))?;
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
                format!("fence {}", fence.id),
                not_of(&fence.shared.device, &self.engine.shared.device) + ": call `fence.wait()`",
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
    /// that it was told to wait for. No failure of a message is forgotten: it is in the message's completion, and
    /// where a message was [posted](Self::post), the queue's next signal still tells of it. A queue of a lost
    /// device stays failed.
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

    /// Closes, and cancels everything that is not resolved, as [`Ticket::cancel`] does, with this reason.
    /// Each message completes all the same, in its turn: with
    /// [`FailureKind::Abandoned`](crate::FailureKind::Abandoned) where not all of it was with the device.
    /// Never waits.
    pub fn abort(&self, why: &str) {
        self.end(Event::Abort(self.id, why.into()));
        self.engine.shared.settled();
    }

    /// Closes; the future is ready when everything accepted is resolved. Dropping it leaves the queue
    /// closed.
    pub fn drain_async(&self) -> Draining<'_> {
        self.close();
        Draining::new(self)
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
        let reason = not_of(&self.engine.shared.device, &engine.shared.device);
        Err(Error::argument(format!("queue `{}`", self.name), reason))
    }

    /// Says so where this message has no place here, whatever the credits.
    pub(super) fn admits(&self, draft: &Draft) -> Result<()> {
        self.owned_by(draft.engine())?;
        let slow = || self.engine.shared.backend.slow(draft.slip.op.as_ref()?);
        if self.strict
            && let Some(why) = slow()
        {
            return Err(self.refused(Refusal::Slow(why)));
        }
        Ok(())
    }

    /// Says so where so many operations never fit.
    pub(super) fn can_ever(&self, ops: u32) -> Result<()> {
        if ops <= self.depth {
            return Ok(());
        }
        let reason = format!("{ops} operations never fit its depth of {}", self.depth);
        Err(Error::argument(format!("queue `{}`", self.name), reason))
    }

    /// Credits for messages to come, of which the first has this `deadline`.
    pub(crate) fn permit(
        &self,
        ops: u32,
        bytes: u64,
        patience: Patience<'_>,
        deadline: Option<Instant>,
    ) -> Result<Permit<'_>> {
        self.can_ever(ops)?;
        self.engine.reserve(self.id, (ops, bytes), patience, deadline).map_err(|why| self.refused(why))?;
        Ok(Permit::new(self, ops, bytes))
    }
}

impl Drop for DmaQueue {
    fn drop(&mut self) {
        self.end(Event::Retire(self.id));
        self.engine.shared.settled();
    }
}
