//! Tickets that a program holds, and what it waits for.

use std::time::Duration;

use wharf::{Completion, Ticket};

use super::{Harness, PATIENCE};

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

fn wait_for<B: Carried>(ticket: Ticket<B>, most: Option<Duration>) -> Result<Completion<B>, Ticket<B>> {
    match most {
        None => Ok(ticket.wait()),
        Some(Duration::ZERO) => ticket.try_take(),
        Some(most) => ticket.wait_timeout(most),
    }
}

impl Harness<'_> {
    /// Waits for a held ticket; what its queue had accepted before it is then resolved, too.
    pub(super) fn wait(&mut self, ticket: usize, most: Option<Duration>) {
        if self.held.is_empty() {
            return;
        }
        // What waits for a promise would wait for this very thread.
        let most = most.or_else(|| self.has_promised().then_some(PATIENCE));
        let held = self.held.swap_remove(ticket % self.held.len());
        let message = held.message();
        if let Err(held) = self.take(held, most) {
            return self.held.push(held);
        }
        for held in self.held_before(self.sent[message].queue, message) {
            let taken = self.take(held, Some(Duration::ZERO));
            assert!(taken.is_ok(), "{taken:?} is unresolved and {message} behind it in its queue is not");
        }
    }

    /// Takes out those of the queue's tickets that are held for messages before this one.
    pub(super) fn held_before(&mut self, queue: usize, message: usize) -> Vec<Held> {
        let sent = &self.sent;
        self.held.extract_if(.., |held| held.message() < message && sent[held.message()].queue == queue).collect()
    }

    /// The completion within this time, or the ticket again.
    pub(super) fn take(&mut self, held: Held, most: Option<Duration>) -> Result<(), Held> {
        match held {
            Held::Plain(message, ticket) => {
                let done = wait_for(ticket, most).map_err(|ticket| Held::Plain(message, ticket))?;
                self.seen(message, done);
            }
            Held::Data(message, ticket) => {
                let done = wait_for(ticket, most).map_err(|ticket| Held::Data(message, ticket))?;
                self.seen(message, done);
            }
        }
        Ok(())
    }
}
