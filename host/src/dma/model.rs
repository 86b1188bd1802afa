//! What the machine is made of: messages, queues, and what goes in and comes out.

use std::{collections::VecDeque, ops::Range, sync::Arc, time::Instant};

use super::{
    doorbell::{Bell, Doorbell},
    hazard::{Edge, Touch},
    label::Label,
};
use crate::{
    backend::{Lane, Token},
    error::{FailureKind, TransferError},
};

/// Index of a queue. It is its one handle's: once that has retired it, the next queue may get it.
pub(crate) type QueueId = usize;

/// What a queue does with later messages when one has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FailPolicy {
    /// Messages behind a failed one that have not finished resolve as
    /// [`FailureKind::Aborted`], and new ones are refused until [`DmaQueue::resume`].
    ///
    /// A cancelled message is a wish and no failure: neither it, nor one whose deadline passed, nor
    /// what fails for want of their data stops the queue.
    ///
    /// [`DmaQueue::resume`]: crate::DmaQueue::resume
    #[default]
    FailStop,
    /// Each message stands for itself; failures still travel along the data.
    Continue,
}

/// Which queues go first where several have messages for the same lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// Gets what the others leave. While they always have something to send, that is nothing.
    Low,
    /// What a queue has unless said otherwise.
    #[default]
    Normal,
    /// Goes before all others, and waits for at most the chunks that the driver has already.
    High,
}

impl Priority {
    pub(super) const COUNT: usize = 3;

    /// Its place, the highest first.
    pub(super) const fn place(self) -> usize {
        Self::High as usize - self as usize
    }
}

/// Bounds and policy of a queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Messages accepted and not resolved.
    pub(crate) depth: u32,
    /// Bytes of them. A larger message is accepted when it is alone.
    pub(crate) bytes: u64,
    /// Commands given to the driver and not finished.
    pub(crate) window: u32,
    /// Bytes of a command: what moves more is cut into several.
    pub(crate) chunk: u64,
    pub(crate) priority: Priority,
    pub(crate) policy: FailPolicy,
    pub(crate) doorbell: Doorbell,
}

impl Limits {
    /// Chunks that a lane of the driver has before it: one that is moved, one that comes next.
    const CHUNKS_AHEAD: u64 = 2;
    /// This part of a chunk is let in beside them: what is small neither waits for room nor takes that of a chunk.
    const SMALL_PART: u64 = 64;
    /// Memory of the device is so much faster than the way to it.
    const DEVICE_CHUNKS: u64 = 16;

    pub(crate) const DEFAULT: Self = Self {
        depth: 16_384,
        bytes: 256 << 20,
        window: 256,
        chunk: 4 << 20,
        priority: Priority::Normal,
        policy: FailPolicy::FailStop,
        doorbell: Doorbell::Immediate,
    };

    /// Bytes of a command on this lane.
    pub(super) fn chunk_on(&self, lane: Lane) -> u64 {
        let times = if lane == Lane::Compute { Self::DEVICE_CHUNKS } else { 1 };
        self.chunk.saturating_mul(times)
    }

    /// Bytes that this lane may have in the driver for another command to join them.
    pub(super) fn ahead_on(&self, lane: Lane) -> u64 {
        let chunk = self.chunk_on(lane);
        chunk.saturating_mul(Self::CHUNKS_AHEAD).saturating_add(chunk / Self::SMALL_PART)
    }
}

/// What became of a wish to cancel a message. Its completion comes in any case, in its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelOutcome {
    /// It had not started and will not: it resolves as [`FailureKind::Cancelled`], and its destination
    /// is as it was.
    NotStarted,
    /// Some of its chunks were on their way; no more will follow. It resolves as
    /// [`FailureKind::Cancelled`] once these are over, and [`TransferError::bytes_done`] says how far
    /// it came.
    Partial,
    /// It had all been given to the device, or had its outcome: it completes as if nobody had asked.
    TooLate,
}

/// A message as the machine sees it.
#[derive(Debug)]
pub(crate) struct Offer<'a> {
    pub(crate) queue: QueueId,
    pub(crate) kind: Kind,
    /// Byte credits.
    pub(crate) bytes: u64,
    /// Bytes that its lane moves, in chunks where they are many; 0 where it goes as a whole and costs
    /// the lane nothing by the byte.
    pub(crate) moves: u64,
    pub(crate) accesses: &'a [Touch],
    pub(crate) label: &'a Label,
    /// When it is cancelled by itself.
    pub(crate) deadline: Option<Instant>,
    /// Nobody is told of it.
    pub(crate) unsignaled: bool,
    /// It is so small that it may travel in one command with others.
    pub(crate) joins: bool,
}

/// A place among the senders that wait for a credit of one queue: first come, first served, so that
/// one that needs much is not passed for ever by those that need little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn(pub(super) u64);

/// What kind of work a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Kind {
    /// Work for the device.
    Work(Lane),
    /// Nothing but a place in the queue: over when all before it are, failed if one of them has.
    #[default]
    Fence,
    /// In no queue: over when somebody says so.
    Promise,
}

impl Kind {
    /// The lane of work for the device.
    pub(crate) fn lane(self) -> Option<Lane> {
        match self {
            Self::Work(lane) => Some(lane),
            Self::Fence | Self::Promise => None,
        }
    }
}

/// What happens to the machine.
#[derive(Debug)]
pub(crate) enum Event {
    /// Look for messages that may go to the driver.
    Pump,
    /// It is this late: messages whose deadline has passed are cancelled.
    Tick(Instant),
    /// The backend has reported the end of a command.
    Over(Token, Result<(), FailureKind>),
    /// Somebody has said how a promise comes out.
    Keep(Token, Result<(), FailureKind>),
    /// The device is gone.
    Lost(Arc<str>),
    /// The owner of a buffer has dropped it.
    Release(Token),
    /// The queue's failures were seen; it accepts again.
    Resume(QueueId),
    /// The queue accepts nothing more.
    Close(QueueId),
    /// The queue accepts nothing more, and what it has accepted is cancelled.
    Abort(QueueId, Arc<str>),
    /// The queue accepts nothing more, and its handle is gone: once it is empty, so is it.
    Retire(QueueId),
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Hand the message, or a chunk of it, to the backend.
    Submit(Submit),
    /// Give the message's outcome to its owner. `in_driver` says whether the driver may still touch
    /// the message's memory (it was lost with the message inside).
    Resolve { token: Token, result: Result<(), Arc<TransferError>>, in_driver: bool },
    /// Tell those who wait for the promise.
    Kept { token: Token, result: Result<(), Arc<TransferError>> },
    /// No message uses this buffer any more and its owner is gone.
    Free(Token),
}

/// A message, or a chunk of it, on its way to the backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Submit {
    pub(crate) message: Token,
    /// The name by which the backend knows it. Where the one before has the same, it travels in that command.
    pub(crate) command: Token,
    /// The bytes it moves; `None` for the message as a whole.
    pub(crate) part: Option<Range<u64>>,
}

/// What a command is part of.
#[derive(Debug, Default)]
pub(super) struct Command {
    pub(super) message: Token,
    pub(super) bytes: u64,
    /// Nothing of its message went before it.
    pub(super) first: bool,
    /// Messages that travel in it, each whole where there are several.
    pub(super) messages: u32,
}

#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) id: u64,
    pub(super) queue: QueueId,
    pub(super) kind: Option<Kind>,
    pub(super) bytes: u64,
    pub(super) moves: u64,
    /// Bytes given to the driver.
    pub(super) sent: u64,
    /// Bytes that its lane had when the last of them were given, and them.
    pub(super) in_lane: u64,
    /// Bytes known to have arrived, from the first on.
    pub(super) done: u64,
    /// A chunk of it has failed.
    pub(super) torn: bool,
    /// Commands of it that the driver has.
    pub(super) commands: u32,
    /// The last of its commands: who waits for the message waits for that.
    pub(super) last: Token,
    /// It may travel in one command with others.
    pub(super) joins: bool,
    /// The message that travels behind it in the same command.
    pub(super) next: Option<Token>,
    pub(super) label: Label,
    pub(super) state: State,
    pub(super) edges: Vec<Edge>,
    pub(super) accesses: Vec<Touch>,
    /// Messages with an edge to this one, and whether they read what it makes.
    pub(super) dependants: Vec<(Token, bool)>,
    /// Edges to messages that are not wholly with the driver.
    pub(super) unsent: u32,
    /// Edges to messages that are not over.
    pub(super) unended: u32,
    /// Those of them that are work of another lane.
    pub(super) across: u32,
    /// Why it will fail whatever the device says.
    pub(super) doom: Option<FailureKind>,
    /// It is among the deadlines.
    pub(super) timed: bool,
    /// Nobody is told of it: the next message that somebody is told of tells how it came out.
    pub(super) unsignaled: bool,
}

impl Message {
    /// Makes the slot's old message a new one, which has no edges yet; its lists keep their memory.
    pub(super) fn begin(&mut self, number: u64, of: QueueId, what: Kind) {
        let Self { id, queue, kind, bytes, moves, sent, done, torn, commands, last, label, state, .. } = self;
        (*id, *queue, *kind) = (number, of, Some(what));
        (*bytes, *moves, *sent, *done) = (0, 0, 0, 0);
        (*torn, *commands, *last) = (false, 0, Token::default());
        (*label, *state) = (Label::None, State::Waiting);
        let Self { edges, accesses, dependants, unsent, unended, across, doom, timed, unsignaled, .. } = self;
        edges.clear();
        accesses.clear();
        dependants.clear();
        (*unsent, *unended, *across) = (0, 0, 0);
        (*doom, *timed, *unsignaled) = (None, false, false);
        (self.joins, self.next) = (false, None);
    }

    pub(super) fn lane(&self) -> Option<Lane> {
        self.kind.and_then(Kind::lane)
    }

    /// Nothing of its own keeps it from travelling in the command of those before it.
    pub(super) fn may_join(&self) -> bool {
        self.joins && self.state == State::Waiting && self.unsent == 0 && self.across == 0 && self.doom.is_none()
    }

    /// Its next `bytes` go to the driver, in this command. Answers whether they are its last.
    /// With them its lane has `in_lane`.
    pub(super) fn give(&mut self, command: Token, bytes: u64, in_lane: u64) -> bool {
        (self.sent, self.in_lane) = (self.sent + bytes, in_lane);
        self.commands += 1;
        self.last = command;
        let all = self.sent == self.moves;
        self.state = if all { State::Submitted } else { State::Sending };
        all
    }
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// The driver has nothing of it.
    #[default]
    Waiting,
    /// The driver has been given some of its chunks.
    Sending,
    /// The driver has been given all of it.
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
    /// Commands that the driver has.
    pub(super) in_driver: u32,
    /// Accepted, not wholly submitted.
    pub(super) waiting: VecDeque<Token>,
    /// Accepted, not resolved.
    pub(super) order: VecDeque<Token>,
    /// Fences that new messages wait for.
    pub(super) gates: Vec<Token>,
    /// One of them has failed: so do new messages, until the queue is resumed.
    pub(super) gate_failure: Option<Arc<TransferError>>,
    /// What its doorbell has not rung for.
    pub(super) bell: Bell,
    /// Senders that wait for a credit.
    pub(super) turns: VecDeque<Turn>,
    pub(super) failed: Option<Arc<TransferError>>,
    /// The first failure since the last fence.
    pub(super) fence_failure: Option<Arc<TransferError>>,
    /// The first failure, since the last signal, of a message that nobody is told of.
    pub(super) untold: Option<Arc<TransferError>>,
    /// Failures of messages with lower numbers have stopped the queue already.
    pub(super) stopped: u64,
    pub(super) closed: bool,
    pub(super) retired: bool,
    /// It is among those that the next pump looks at.
    pub(super) ready: bool,
}

/// Counts of one queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Level {
    pub(crate) free_ops: u32,
    pub(crate) free_bytes: u64,
    pub(crate) in_driver: u32,
    pub(crate) unresolved: u32,
}
