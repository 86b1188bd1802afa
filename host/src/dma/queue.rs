//! A queue of messages to one device.

use std::sync::Arc;

use super::{
    Access, MessageId,
    engine::{Engine, Patience, Work},
    fence::{Fence, FenceState},
    model::{Event, FailPolicy, Kind, Limits, QueueId},
    ticket::Ticket,
};
use crate::{
    backend::Token,
    error::{Error, Refusal, Result, TransferError},
};

/// Bounds of a queue that is about to be opened; see [`Device::queue`](crate::Device::queue).
#[derive(Debug, Clone)]
pub struct QueueOptions {
    pub(crate) engine: Arc<Engine>,
    pub(crate) name: Arc<str>,
    pub(crate) limits: Limits,
}

impl QueueOptions {
    pub(crate) const DEFAULT: Limits =
        Limits { depth: 16_384, bytes: 256 << 20, window: 256, policy: FailPolicy::FailStop };

    /// Messages that may be accepted and unresolved; 16,384 unless said otherwise, at least 1.
    #[must_use]
    pub fn depth(mut self, messages: u32) -> Self {
        self.limits.depth = messages.max(1);
        self
    }

    /// Bytes that accepted and unresolved messages may carry; 256 MiB unless said otherwise. A
    /// larger message is accepted when the queue is empty.
    #[must_use]
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.limits.bytes = bytes;
        self
    }

    /// Messages that the driver may be given before they finish; 256 unless said otherwise, at
    /// least 1.
    #[must_use]
    pub fn window(mut self, messages: u32) -> Self {
        self.limits.window = messages.max(1);
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
        DmaQueue { engine: self.engine, id, name: self.name }
    }
}

/// A queue of messages: they start and complete in the order in which it accepted them. Messages of
/// different queues have no order but that of the data they touch and of fences.
#[derive(Debug)]
pub struct DmaQueue {
    pub(crate) engine: Arc<Engine>,
    pub(crate) id: QueueId,
    pub(crate) name: Arc<str>,
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
    /// Those of them that the driver has.
    pub in_driver: u32,
}

impl DmaQueue {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its credits and levels.
    pub fn stats(&self) -> QueueStats {
        let level = self.engine.shared.lock().machine.level(self.id);
        QueueStats {
            free_ops: level.free_ops,
            free_bytes: level.free_bytes,
            unresolved: level.unresolved,
            in_driver: level.in_driver,
        }
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
            parcel: Some(super::parcel::Parcel::new(())),
            staging: 0,
            label: None,
        };
        let (cell, token, id) = self.engine.send_fence(&mut work).map_err(|why| self.refused(why))?;
        let state = Arc::new(FenceState::default());
        let fence = Fence { state: state.clone(), token, shared: self.engine.shared.clone(), id };
        Ticket::<()>::new(self.engine.shared.clone(), cell, id).on_resolved(move |done| state.set(done.result));
        Ok(fence)
    }

    /// Messages sent from now on start after everything before `fence` has finished, and fail where
    /// it will fail.
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

    /// Accepts messages again after a failure has stopped the queue. The failures themselves are in
    /// the completions of the messages. A queue of a lost device stays failed.
    pub fn resume(&self) {
        self.engine.shared.lock().stage(Event::Resume(self.id), &self.engine.shared);
    }

    /// Refuses new messages from now on; accepted ones complete.
    pub fn close(&self) {
        self.engine.shared.lock().stage(Event::Close(self.id), &self.engine.shared);
        // Senders that wait for a credit are told that there will be none.
        self.engine.shared.settled();
    }

    /// Closes, and waits until everything accepted is resolved.
    pub fn drain(self) {
        self.close();
        self.engine.shared.drain_queue(self.id);
    }

    pub(crate) fn refused(&self, why: Refusal) -> Error {
        Error::Refused { queue: self.name.to_string(), why }
    }

    pub(crate) fn send(
        &self,
        work: &mut Work,
        accesses: &[(Token, Access)],
        patience: Patience,
    ) -> Result<(Token, MessageId)> {
        work.queue = self.id;
        self.engine.send(work, accesses, patience).map_err(|why| self.refused(why))
    }
}

impl Drop for DmaQueue {
    fn drop(&mut self) {
        self.close();
    }
}
