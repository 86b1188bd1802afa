//! A message: what a sender hands in, what becomes of it, and what its receiver is handed.

use std::{
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    MessageId,
    behind::Waited,
    dead::once_more,
    hazard::Accesses,
    label::Label,
    model::Kind,
    parcel::Parcel,
    permit::Permit,
    receipt::{Address, Log, Receipt},
    small::{Small, SmallPool},
};
use crate::backend::{HostBlock, HostSpan, Lane, Op, Source, Token};

/// A message from where it is described to where its outcome is handed out, but for what the machine keeps
/// of it. It is long, so it lies in a [`Slip`](super::Slip), and what is known of it is written there.
#[derive(Debug, Default)]
pub(crate) struct Work {
    pub(crate) kind: Kind,
    pub(crate) bytes: u64,
    /// What it does, until it is submitted; what may be done twice or goes in chunks, until it is resolved.
    pub(crate) op: Option<Op>,
    /// The host buffer.
    pub(crate) parcel: Option<Parcel>,
    /// Bytes of staging memory that come back when it is resolved.
    pub(crate) staging: u64,
    /// What it uploads, where that was copied and is not so little that it lies in `room`.
    small: Option<Small>,
    room: Vec<u8>,
    /// What it uploads lies in one of these two.
    carries: bool,
    pub(crate) label: Label,
    /// What it does to which device buffers.
    pub(crate) accesses: Accesses,
    /// Bytes that its lane moves.
    pub(crate) moves: u64,
    /// When it is cancelled by itself; until then its sender waits for credits at most.
    pub(crate) deadline: Option<Instant>,
    /// The user's number for it.
    pub(crate) tag: u64,
    /// It has no ticket: its outcome is told by the next message of its queue that has one.
    pub(crate) unsignaled: bool,
    pub(super) log: Log,
    /// Where it is sent, or the message before it in this memory was.
    address: Option<Arc<Address>>,
}

/// Bytes that a message carries in memory of its own.
const ROOM: usize = 128;

impl Work {
    /// Makes it a message that has nothing of the one before; what that one has allocated stays, and its log
    /// until a queue accepts this one.
    pub(super) fn blank(&mut self) {
        let Self { kind, bytes, op, parcel, staging, small, carries, label, accesses, moves, .. } = self;
        (*kind, *bytes, *staging, *carries, *moves) = (Kind::default(), 0, 0, false, 0);
        *op = None;
        *parcel = None;
        *small = None;
        *label = Label::None;
        accesses.clear();
        (self.deadline, self.tag, self.unsignaled) = (None, 0, false);
    }

    /// The lane of work that is for the device.
    pub(crate) fn lane(&self) -> Lane {
        match self.kind {
            Kind::Work(lane) => lane,
            Kind::Fence | Kind::Promise => unreachable!("a fence is no work for the device"),
        }
    }

    /// Copies what it uploads, and fills up to `padded` bytes with zeroes. It stays where it is until the
    /// message is gone.
    pub(crate) fn carry(&mut self, bytes: &[u8], padded: usize, pool: &Arc<SmallPool>) -> Source {
        let room = if padded <= ROOM {
            // Memory of its own and no part of this one: its address is good while this is borrowed.
            self.room.resize(ROOM, 0);
            &mut self.room[..padded]
        } else {
            &mut self.small.insert(pool.take(padded)).as_mut_slice()[..padded]
        };
        room[..bytes.len()].copy_from_slice(bytes);
        if padded > bytes.len() {
            room[bytes.len()..].fill(0);
        }
        self.carries = true;
        Source::Carried(HostSpan { ptr: room.as_mut_ptr(), bytes: padded as u64, pinned: false })
    }

    /// The staging memory that it has filled, where that is still its own.
    pub(crate) fn take_block(&mut self) -> Option<HostBlock> {
        match self.op.take_if(|op| matches!(op, Op::Upload { src: Source::Block(_), .. }))? {
            Op::Upload { src: Source::Block(block), .. } => Some(block),
            _ => unreachable!("just looked at"),
        }
    }

    /// Whether it uploads what was copied.
    pub(super) fn carries(&self) -> bool {
        self.carries
    }

    /// It is over. What it carried is somebody else's from here on, unless it may be sent again, or a lost
    /// device may still read it: then it is nobody's.
    pub(super) fn put_down(&mut self, went_well: bool, in_driver: bool) {
        if !self.carries {
            return;
        }
        if in_driver {
            std::mem::forget(std::mem::take(&mut self.room));
            std::mem::forget(self.small.take());
        } else if went_well {
            self.small = None;
        } else {
            return;
        }
        self.op = None;
    }

    /// A queue accepts it.
    pub(super) fn accept(&mut self, id: MessageId, now: Instant, address: &Arc<Address>, waited: Waited) {
        self.log.begin(id, now, waited);
        if !self.address.as_ref().is_some_and(|known| Arc::ptr_eq(known, address)) {
            self.address = Some(address.clone());
        }
    }

    /// What it does, for the device: it goes there now.
    pub(super) fn whole(&mut self, now: Instant) -> Op {
        self.log.submit(now);
        match self.op.as_ref().and_then(once_more) {
            Some(again) => again,
            None => self.op.take().expect("submitted once"),
        }
    }

    /// The same for some of its bytes. The whole stays here until the message is resolved, and with it the
    /// block of its bytes.
    pub(super) fn part(&mut self, part: Range<u64>, now: Instant) -> Op {
        self.log.submit(now);
        self.op.as_ref().expect("there until the message is resolved").part(part)
    }

    /// What is known of it once it is accepted.
    #[inline(always)]
    pub(super) fn receipt(&self) -> Receipt {
        const ACCEPTED: &str = "a message is accepted before there is a receipt";
        let (lane, log) = (self.kind.lane(), &self.log);
        Receipt {
            id: MessageId(log.id),
            tag: self.tag,
            address: self.address.clone().expect(ACCEPTED),
            label: self.label.clone(),
            lane,
            path: log.path,
            why: log.why,
            form: log.form,
            chunks: log.chunks,
            together: log.together,
            waited: log.waited,
            bytes: if lane == Some(Lane::Compute) { 0 } else { self.bytes },
            accepted: log.accepted.expect(ACCEPTED),
            submitted: log.submitted,
            started: log.started,
            finished: log.finished,
            delivered: log.delivered,
            device_seconds: log.device_seconds,
        }
    }
}

/// How a sender comes to its credits.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Patience<'a> {
    /// They are there now.
    Never,
    /// It waits.
    Forever,
    /// It waits for at most so long.
    Within(Duration),
    /// It has them already.
    Paid(&'a Permit<'a>),
}

/// An accepted message: its cell, its name in the machine, its number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Accepted {
    pub(crate) cell: Token,
    pub(crate) token: Token,
    pub(crate) id: MessageId,
}
