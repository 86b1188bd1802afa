//! Who last wrote a buffer and who reads it: the edges between messages that touch the same memory.

use std::sync::Arc;

use crate::{backend::Token, error::TransferError};

/// What a message does to a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reads it.
    Read,
    /// Writes all of it without reading: what was there before does not matter any more.
    Overwrite,
    /// Writes part of it without reading.
    WritePart,
    /// Reads and writes it.
    ReadWrite,
}

impl Access {
    pub(crate) fn reads(self) -> bool {
        matches!(self, Self::Read | Self::ReadWrite)
    }

    pub(crate) fn writes(self) -> bool {
        self != Self::Read
    }
}

/// An edge to an earlier message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) on: Token,
    /// The earlier message makes data that this one reads, so its failure is this one's failure.
    /// Other edges only order.
    pub(crate) data: bool,
}

/// The state of one buffer.
#[derive(Debug, Default)]
pub(crate) struct Resource {
    /// Messages that have written it since it was last overwritten as a whole.
    writers: Vec<Token>,
    /// Messages that read it since it was last written.
    readers: Vec<Token>,
    /// The failure that left it without the data it should have.
    poison: Option<Arc<TransferError>>,
    /// Unresolved messages that use it.
    pub(crate) users: u32,
    /// Its owner is gone; it is freed with its last user.
    pub(crate) dropped: bool,
}

impl Resource {
    pub(crate) fn reset(&mut self) {
        self.writers.clear();
        self.readers.clear();
        self.poison = None;
        self.users = 0;
        self.dropped = false;
    }

    /// Adds the edges that `access` by `token` needs to `edges` and remembers the access. `alive`
    /// says whether an earlier message is unresolved. Gives the failure that `access` inherits.
    pub(crate) fn record(
        &mut self,
        token: Token,
        access: Access,
        edges: &mut Vec<Edge>,
        alive: impl Fn(Token) -> bool,
    ) -> Option<Arc<TransferError>> {
        self.writers.retain(|&t| alive(t) && t != token);
        self.readers.retain(|&t| alive(t) && t != token);
        self.users += 1;
        edges.extend(self.writers.iter().map(|&on| Edge { on, data: access.reads() }));
        if access.writes() {
            edges.extend(self.readers.drain(..).map(|on| Edge { on, data: false }));
        } else {
            self.readers.push(token);
        }
        let inherited = self.poison.clone().filter(|_| access.reads());
        match access {
            Access::Read => {}
            Access::WritePart => self.writers.push(token),
            Access::ReadWrite | Access::Overwrite => {
                self.writers.clear();
                self.writers.push(token);
            }
        }
        if access == Access::Overwrite {
            self.poison = None;
        }
        inherited
    }

    /// The message failed: what it should have written is not there.
    pub(crate) fn fail(&mut self, token: Token, error: &Arc<TransferError>) {
        if self.writers.contains(&token) {
            self.poison.get_or_insert_with(|| error.clone());
        }
    }
}
