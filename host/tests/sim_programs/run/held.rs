//! Tickets that a program holds.

use std::time::Duration;

use wharf::{Completion, Ticket};

/// A ticket that the program holds, with its message.
#[derive(Debug)]
pub(super) enum Held {
    Data(usize, Ticket<Vec<u32>>),
    Plain(usize, Ticket<()>),
}

impl Held {
    pub(super) fn message(&self) -> usize {
        let (Self::Data(message, _) | Self::Plain(message, _)) = self;
        *message
    }
}

/// What a message owns: a vector, or nothing.
pub(super) trait Carried: Send + 'static {
    fn words(self) -> Option<Vec<u32>>;
}

impl Carried for Vec<u32> {
    fn words(self) -> Option<Vec<u32>> {
        Some(self)
    }
}

impl Carried for () {
    fn words(self) -> Option<Vec<u32>> {
        None
    }
}

pub(super) fn wait<B: Carried>(ticket: Ticket<B>, most: Option<Duration>) -> Result<Completion<B>, Ticket<B>> {
    match most {
        None => Ok(ticket.wait()),
        Some(Duration::ZERO) => ticket.try_take(),
        Some(most) => ticket.wait_timeout(most),
    }
}
