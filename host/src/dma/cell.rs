//! What the machine does not know of a message: the message itself, and who waits for it.

use std::{sync::Arc, task::Waker};

use super::{
    dead::{DeadLetter, Ring},
    fence::FenceState,
    slip::Slip,
    sync::thread::Thread,
};
use crate::{
    backend::{Op, Source, Token},
    error::TransferError,
    trace::Span,
};

/// One unresolved or uncollected message.
#[derive(Debug, Default)]
pub(crate) struct Cell {
    /// Its name in the machine.
    pub(crate) message: Token,
    pub(crate) slip: Slip,
    /// The driver is given the host buffer's address.
    pub(crate) lent: bool,
    pub(crate) waiter: Waiter,
    pub(crate) outcome: Option<Result<(), Arc<TransferError>>>,
    /// The hardware may still touch the host buffer: it is never given back.
    pub(crate) leaked: bool,
}

/// A resolved message on its way to whoever holds its ticket.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) result: Result<(), Arc<TransferError>>,
    pub(crate) slip: Slip,
}

/// Takes a resolved message.
pub(crate) type Receiver = Box<dyn FnOnce(Resolved) + Send>;

/// Who is told when a message is resolved.
#[derive(Default)]
pub(crate) enum Waiter {
    /// Nobody yet; the outcome stays in the cell.
    #[default]
    Nobody,
    Task(Waker),
    Thread(Thread),
    /// Runs on the device's callback thread: it is the user's code.
    Callback(Receiver),
    /// Runs on whichever thread tells: it is ours and never blocks.
    Forward(Receiver),
    /// It is a fence.
    Fence(Arc<FenceState>),
    /// The ticket is gone.
    Detached,
}

impl std::fmt::Debug for Waiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Nobody => "Nobody",
            Self::Task(_) => "Task",
            Self::Thread(_) => "Thread",
            Self::Callback(_) => "Callback",
            Self::Forward(_) => "Forward",
            Self::Fence(_) => "Fence",
            Self::Detached => "Detached",
        })
    }
}

/// What is done once the lock is released.
#[derive(Debug)]
pub(crate) enum Wake {
    Task(Waker),
    Thread(Thread),
    Callback(ReceiverOf),
    Forward(ReceiverOf),
    Fence(Arc<FenceState>, Result<(), Arc<TransferError>>),
}

/// A receiver and what it receives.
pub(crate) struct ReceiverOf(pub(crate) Receiver, pub(crate) Resolved);

impl std::fmt::Debug for ReceiverOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ReceiverOf").field(&self.1).finish()
    }
}

/// Where every accepted message ends: `accepted == delivered + detached_ok + dead_lettered +
/// in_flight`, at all times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    pub(crate) accepted: u64,
    pub(crate) delivered: u64,
    pub(crate) detached_ok: u64,
    pub(crate) dead_lettered: u64,
    /// Not yet in one of the three: unresolved, or resolved and not collected.
    pub(crate) in_flight: u64,
    /// Those of `in_flight` that are resolved and whose ticket has not been asked.
    pub(crate) uncollected: u64,
    /// Host buffers that a lost device may still touch.
    pub(crate) leaked_buffers: u64,
}

impl Ledger {
    pub(crate) fn accept(&mut self) {
        self.accepted += 1;
        self.in_flight += 1;
    }

    pub(crate) fn deliver(&mut self) {
        self.in_flight -= 1;
        self.delivered += 1;
    }
}

impl Cell {
    /// A message, in a cell that was just taken.
    pub(super) fn fill(&mut self, name: Token, slip: Slip) {
        let lent = match &slip.op {
            Some(Op::Upload { src: Source::Span(_), .. } | Op::Download { .. }) => true,
            Some(Op::Replay(recorded)) => recorded.lends,
            _ => false,
        };
        debug_assert!(self.slip.get().is_none() && self.outcome.is_none() && !self.leaked, "it was taken from");
        self.waiter = if slip.unsignaled { Waiter::Detached } else { Waiter::Nobody };
        (self.message, self.slip, self.lent) = (name, slip, lent);
    }

    /// What is told of the message, once resolved.
    pub(super) fn span(&self) -> Option<Span> {
        let error = self.outcome.as_ref()?.as_ref().err().cloned();
        Some(Span { receipt: self.slip.receipt(), error })
    }

    /// The outcome and the buffer, once resolved. Leaves the cell empty.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<Resolved> {
        let result = self.outcome.take()?;
        let mut slip = std::mem::take(&mut self.slip);
        if std::mem::take(&mut self.leaked) {
            std::mem::forget(slip.parcel.take());
        }
        Some(Resolved { result, slip })
    }

    /// The end of a message that nobody asks for any more. What is to be dropped goes to `graves`: the
    /// user's drops run outside the lock.
    pub(crate) fn bury(&mut self, ledger: &mut Ledger, dead: &mut Ring, graves: &mut Vec<Slip>) {
        let Resolved { result, mut slip } = self.take().expect("buried once resolved");
        ledger.in_flight -= 1;
        // What it only tells of another is a letter of its own.
        let Some(error) = result.err().filter(|error| !error.is_folded()) else {
            ledger.detached_ok += 1;
            if !slip.is_plain() {
                graves.push(slip);
            }
            return;
        };
        ledger.dead_lettered += 1;
        if slip.parcel.is_none() {
            // An operation on memory that is leaked is not done again.
            slip.op = None;
        }
        dead.push(DeadLetter::new(error, slip), graves);
    }
}
