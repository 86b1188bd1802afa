//! When a queue's messages are shown to the device.

use std::time::{Duration, Instant};

/// When a queue shows accepted messages to the device: a submission may cost more than a message, so
/// that several are better shown together.
///
/// Whoever waits for a message never waits for a doorbell: [`Ticket::wait`] and its kin, `.await`,
/// callbacks, [`Fence::wait`], a sender that waits for a credit, a message of another queue that has to
/// come after, and closing or draining ring it. [`Ticket::try_take`] and [`Ticket::forward`] do not.
///
/// [`Ticket::wait`]: crate::Ticket::wait
/// [`Ticket::try_take`]: crate::Ticket::try_take
/// [`Ticket::forward`]: crate::Ticket::forward
/// [`Fence::wait`]: crate::Fence::wait
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Doorbell {
    /// At once.
    #[default]
    Immediate,
    /// When enough have come together, or when the first of them has waited long enough.
    Batched {
        /// Messages that are enough; 0 counts as 1.
        ops: u32,
        /// Bytes that are enough.
        bytes: u64,
        /// How long the first of them waits at most.
        linger: Duration,
    },
    /// When [`DmaQueue::flush`](crate::DmaQueue::flush) says so.
    Manual,
}

/// The messages of a queue that wait for its doorbell.
#[derive(Debug, Default)]
pub(super) struct Bell {
    /// Messages with lower numbers may go.
    pub(super) rung: u64,
    pub(super) ops: u32,
    pub(super) bytes: u64,
    /// When it rings by itself.
    pub(super) due: Option<Instant>,
}
