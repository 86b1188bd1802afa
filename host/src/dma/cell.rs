//! What the machine does not know of a message: its operation, its host buffer, who waits for it.

use std::{sync::Arc, task::Waker, time::Instant};

use super::{
    dead::{DeadLetter, Ring},
    fence::FenceState,
    hazard::Accesses,
    parcel::Parcel,
    receipt::Receipt,
    small::Small,
    sync::thread::Thread,
    work::Work,
};
use crate::{
    backend::{HostBlock, Op, Source, Token},
    error::TransferError,
    trace::Span,
};

/// One unresolved or uncollected message.
#[derive(Debug, Default)]
pub(crate) struct Cell {
    /// Its name in the machine.
    pub(crate) message: Token,
    /// The work, until it is submitted; what may be done twice or goes in chunks, until it is resolved.
    pub(crate) op: Option<Op>,
    /// What it does to which device buffers.
    pub(crate) accesses: Accesses,
    /// The host buffer.
    pub(crate) parcel: Option<Parcel>,
    /// What it uploads, where that was copied.
    pub(crate) small: Option<Small>,
    /// The driver is given the host buffer's address.
    pub(crate) lent: bool,
    /// Bytes of staging memory it holds until it is resolved.
    pub(crate) staging: u64,
    pub(crate) receipt: Option<Receipt>,
    pub(crate) waiter: Waiter,
    pub(crate) outcome: Option<Result<(), Arc<TransferError>>>,
    /// The hardware may still touch the host buffer: it is never given back.
    pub(crate) leaked: bool,
}

/// A resolved message on its way to whoever holds its ticket.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) result: Result<(), Arc<TransferError>>,
    pub(crate) parcel: Option<Parcel>,
    pub(crate) receipt: Receipt,
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
    /// A message's own things, in a cell that was just taken. In place, as cells are long.
    pub(super) fn fill(&mut self, name: Token, work: &mut Work, its: Receipt) {
        let Self { message, op, accesses, parcel, small, lent, staging, receipt, waiter, outcome, leaked } = self;
        *message = name;
        *lent = match &work.op {
            Some(Op::Upload { src: Source::Span(_), .. } | Op::Download { .. }) => true,
            Some(Op::Replay(recorded)) => recorded.lends,
            _ => false,
        };
        *op = work.op.take();
        *accesses = std::mem::take(&mut work.accesses);
        *parcel = work.parcel.take();
        *small = work.small.take();
        *staging = work.staging;
        *receipt = Some(its);
        *waiter = if work.unsignaled { Waiter::Detached } else { Waiter::Nobody };
        *outcome = None;
        *leaked = false;
    }

    /// The staging memory that the message has filled.
    pub(super) fn take_block(&mut self) -> Option<HostBlock> {
        if !matches!(self.op, Some(Op::Upload { src: Source::Block(_), .. })) {
            return None;
        }
        match self.op.take() {
            Some(Op::Upload { src: Source::Block(block), .. }) => Some(block),
            _ => unreachable!("just looked at"),
        }
    }

    /// What is told of the message, once resolved.
    pub(super) fn span(&self) -> Option<Span> {
        let error = self.outcome.as_ref()?.as_ref().err().cloned();
        Some(Span { receipt: self.receipt.clone()?, error })
    }

    /// The outcome and the buffer, once resolved. Leaves the cell empty.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<Resolved> {
        let result = self.outcome.take()?;
        let parcel = self.parcel.take();
        let parcel = if std::mem::take(&mut self.leaked) {
            std::mem::forget(parcel);
            None
        } else {
            parcel
        };
        let receipt = self.receipt.take().expect("a message has a receipt from accept on");
        Some(Resolved { result, parcel, receipt })
    }

    /// The end of a message that nobody asks for any more. What is to be dropped goes to `graves`: the
    /// user's drops run outside the lock.
    pub(crate) fn bury(&mut self, ledger: &mut Ledger, dead: &mut Ring, graves: &mut Vec<Parcel>) {
        let Resolved { result, parcel, receipt } = self.take().expect("buried once resolved");
        ledger.in_flight -= 1;
        // What it only tells of another is a letter of its own.
        let Some(error) = result.err().filter(|error| !error.is_folded()) else {
            ledger.detached_ok += 1;
            return graves.extend(parcel);
        };
        ledger.dead_lettered += 1;
        let letter = DeadLetter {
            error,
            tag: receipt.tag,
            accepted: receipt.accepted,
            failed: receipt.delivered.unwrap_or_else(Instant::now),
            // An operation on memory that is leaked is not done again.
            op: self.op.take().filter(|_| parcel.is_some()),
            buffer: parcel,
            accesses: std::mem::take(&mut self.accesses),
            lane: receipt.lane,
        };
        dead.push(letter, graves);
    }
}
