//! What the machine is made of: messages, queues, and what goes in and comes out.

use std::{collections::VecDeque, sync::Arc};

use super::hazard::{Access, Edge};
use crate::{
    backend::{Lane, Token},
    error::{FailureKind, TransferError},
};

/// Index of a queue.
pub(crate) type QueueId = usize;

/// What a queue does with later messages when one has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FailPolicy {
    /// Messages behind a failed one that have not finished resolve as
    /// [`FailureKind::Aborted`], and new ones are refused until [`DmaQueue::resume`].
    ///
    /// [`DmaQueue::resume`]: crate::DmaQueue::resume
    #[default]
    FailStop,
    /// Each message stands for itself; failures still travel along the data.
    Continue,
}

/// Bounds and policy of a queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Messages accepted and not resolved.
    pub(crate) depth: u32,
    /// Bytes of them. A larger message is accepted when it is alone.
    pub(crate) bytes: u64,
    /// Messages given to the driver and not finished.
    pub(crate) window: u32,
    pub(crate) policy: FailPolicy,
}

/// A message as the machine sees it.
#[derive(Debug)]
pub(crate) struct Offer<'a> {
    pub(crate) queue: QueueId,
    pub(crate) kind: Kind,
    pub(crate) bytes: u64,
    pub(crate) accesses: &'a [(Token, Access)],
    pub(crate) label: Option<Arc<str>>,
}

/// What kind of work a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Work for the device.
    Work(Lane),
    /// Nothing but a place in the queue: over when all before it are, failed if one of them has.
    Fence,
}

/// What happens to the machine.
#[derive(Debug)]
pub(crate) enum Event {
    /// Look for messages that may go to the driver.
    Pump,
    /// The backend has reported the end of a command.
    Over(Token, Result<(), FailureKind>),
    /// The device is gone.
    Lost(Arc<str>),
    /// The owner of a buffer has dropped it.
    Release(Token),
    /// The queue's failures were seen; it accepts again.
    Resume(QueueId),
    /// The queue accepts nothing more.
    Close(QueueId),
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Hand the message to the backend.
    Submit(Token),
    /// Give the message's outcome to its owner. `in_driver` says whether the driver may still touch
    /// the message's memory (it was lost with the message inside).
    Resolve { token: Token, result: Result<(), Arc<TransferError>>, in_driver: bool },
    /// No message uses this buffer any more and its owner is gone.
    Free(Token),
}

#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) id: u64,
    pub(super) queue: QueueId,
    pub(super) kind: Option<Kind>,
    pub(super) bytes: u64,
    pub(super) label: Option<Arc<str>>,
    pub(super) state: State,
    pub(super) edges: Vec<Edge>,
    pub(super) accesses: Vec<(Token, Access)>,
    /// Why it will fail whatever the device says.
    pub(super) doom: Option<FailureKind>,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    Waiting,
    Submitted,
    Over(Result<(), Arc<TransferError>>),
}

#[derive(Debug)]
pub(super) struct Queue {
    pub(super) name: Arc<str>,
    pub(super) limits: Limits,
    /// Credits taken, by unresolved messages and by permits.
    pub(super) ops: u32,
    pub(super) bytes: u64,
    pub(super) in_driver: u32,
    /// Accepted, not submitted.
    pub(super) waiting: VecDeque<Token>,
    /// Accepted, not resolved.
    pub(super) order: VecDeque<Token>,
    /// Fences that new messages wait for.
    pub(super) gates: Vec<Token>,
    pub(super) failed: Option<Arc<TransferError>>,
    /// The first failure since the last fence.
    pub(super) fence_failure: Option<Arc<TransferError>>,
    pub(super) closed: bool,
}

/// Counts of one queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Level {
    pub(crate) free_ops: u32,
    pub(crate) free_bytes: u64,
    pub(crate) in_driver: u32,
    pub(crate) unresolved: u32,
}
