//! Bounds and manners of a queue, before it is opened.

use std::sync::Arc;

use super::DmaQueue;
use crate::dma::{
    doorbell::Doorbell,
    engine::Engine,
    model::{FailPolicy, Limits, Priority},
    small::MOST_INLINE,
};

/// Bounds of a queue that is about to be opened; see [`Device::queue`](crate::Device::queue).
///
/// Opening never fails: a bound that no queue can have becomes the nearest that one can, as each method says.
#[derive(Debug, Clone)]
pub struct QueueOptions {
    engine: Arc<Engine>,
    name: Arc<str>,
    limits: Limits,
    inline_max: usize,
    strict: bool,
}

impl QueueOptions {
    pub(crate) fn new(engine: &Arc<Engine>, name: &str) -> Self {
        Self { engine: engine.clone(), name: name.into(), limits: Limits::DEFAULT, inline_max: 4 << 10, strict: false }
    }

    /// Messages that may be accepted and unresolved; 16,384 unless said otherwise. With 0 none could
    /// ever come in: it counts as 1.
    #[must_use]
    pub fn depth(mut self, messages: u32) -> Self {
        self.limits.depth = messages.max(1);
        self
    }

    /// Bytes that accepted and unresolved messages may carry; 256 MiB unless said otherwise. A
    /// larger message is accepted when the queue is empty, so that with 0 bytes those that carry any go one by
    /// one; senders that wait are served in the order in which they came, so that it is not passed for ever.
    #[must_use]
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.limits.bytes = bytes;
        self
    }

    /// Messages, or chunks of large ones, that the driver may be given before they finish; 256 unless
    /// said otherwise. 0 counts as 1.
    #[must_use]
    pub fn window(mut self, commands: u32) -> Self {
        self.limits.window = commands.max(1);
        self
    }

    /// Transfers of more bytes than this are given to the device in chunks: 4 MiB unless said
    /// otherwise, and 16 times as many between buffers of the device. Chunks are multiples of 256 bytes: what is
    /// none is rounded up, 0 to 256. A chunk is how long a queue of higher priority may have to wait, and how
    /// finely a transfer can be cancelled; small ones cost rate. What moves without a copy is not cut.
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
    /// it uses again; 4 KiB unless said otherwise. What is over 64 KiB counts as 64 KiB. Larger slices go through a
    /// staging block of their own, small ones share one.
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

    /// Refuses messages whose bytes would take a slow way although the device has a faster one, with
    /// [`Refusal::Slow`](crate::Refusal::Slow), which says what would be faster: host memory that is not
    /// page-locked on CUDA, uploads that are not written in place on wgpu. Small ones that are copied when
    /// they are sent are no such.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Opens the queue.
    pub fn open(self) -> DmaQueue {
        let id = self.engine.open_queue(self.name.clone(), self.limits);
        let Self { engine, name, limits, inline_max, strict } = self;
        DmaQueue { engine, id, name, depth: limits.depth, inline_max, strict }
    }
}
