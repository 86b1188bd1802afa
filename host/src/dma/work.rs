//! What a sender hands in, and what it gets.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    MessageId,
    hazard::Accesses,
    model::{Kind, QueueId},
    parcel::Parcel,
    permit::Permit,
    small::Small,
};
use crate::backend::{Lane, Op, Token};

/// A message that has not been accepted yet.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) queue: QueueId,
    pub(crate) kind: Kind,
    pub(crate) bytes: u64,
    pub(crate) op: Option<Op>,
    pub(crate) parcel: Option<Parcel>,
    /// Bytes of staging memory that come back when it is resolved.
    pub(crate) staging: u64,
    /// What it uploads, where that was copied.
    pub(crate) small: Option<Small>,
    pub(crate) label: Option<Arc<str>>,
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
}

impl Work {
    /// The lane of work that is for the device.
    pub(crate) fn lane(&self) -> Lane {
        match self.kind {
            Kind::Work(lane) => lane,
            Kind::Fence | Kind::Promise => unreachable!("a fence is no work for the device"),
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
