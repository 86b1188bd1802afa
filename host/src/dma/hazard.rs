//! Who last wrote a buffer and who reads it: the edges between messages that touch the same memory.

use std::{fmt, sync::Arc};

use smallvec::SmallVec;

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

    /// Both, this one first.
    pub(crate) fn then(self, next: Self) -> Self {
        match (self, next) {
            // What is read later was written here.
            (Self::Overwrite, _) | (Self::WritePart, Self::Overwrite) => Self::Overwrite,
            (Self::Read, Self::Read) => Self::Read,
            (Self::WritePart, Self::WritePart) => Self::WritePart,
            _ => Self::ReadWrite,
        }
    }
}

/// What a message does to which buffers; that of a few needs no memory of its own.
pub(crate) type Accesses = SmallVec<[(Token, Access); 4]>;

/// An edge to an earlier message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) on: Token,
    pub(crate) cause: Cause,
    /// The buffer that both touch; `None` for a fence.
    pub(crate) buffer: Option<Token>,
}

/// Why a message waits for an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// It reads a buffer that the earlier one writes.
    ReadAfterWrite,
    /// It writes a buffer that the earlier one reads.
    WriteAfterRead,
    /// Both write a buffer.
    WriteAfterWrite,
    /// Its queue was told to wait for a fence.
    Fence,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReadAfterWrite => "it reads what that one writes",
            Self::WriteAfterRead => "it writes what that one reads",
            Self::WriteAfterWrite => "both write the same buffer",
            Self::Fence => "its queue waits for that fence",
        })
    }
}

impl Cause {
    /// The earlier message makes what this one needs, so its failure is this one's failure. Other
    /// edges only order.
    pub(crate) fn is_data(self) -> bool {
        matches!(self, Self::ReadAfterWrite | Self::Fence)
    }
}

/// The state of one buffer.
#[derive(Debug, Default)]
pub(crate) struct Resource {
    /// What users call it.
    pub(crate) name: Arc<str>,
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
    /// Names in the two lists from which on those of the dead are looked for.
    prune_at: usize,
}

impl Resource {
    pub(crate) fn reset(&mut self, name: Arc<str>) {
        self.name = name;
        self.writers.clear();
        self.readers.clear();
        self.poison = None;
        self.users = 0;
        self.dropped = false;
        self.prune_at = 0;
    }

    /// Adds the edges that this access by `token` needs to `edges` and remembers the access; the buffer has
    /// a name. `alive` says whether an earlier message is unresolved. Gives the failure that it inherits.
    pub(crate) fn record(
        &mut self,
        token: Token,
        (buffer, access): (Token, Access),
        edges: &mut Vec<Edge>,
        alive: impl Fn(Token) -> bool,
    ) -> Option<Arc<TransferError>> {
        if self.writers.len() + self.readers.len() >= self.prune_at {
            self.writers.retain(|&t| alive(t));
            self.readers.retain(|&t| alive(t));
            // Looking costs what has been added since, whatever the number of readers.
            self.prune_at = 2 * (self.writers.len() + self.readers.len()).max(8);
        }
        self.users += 1;
        let after_write = if access.reads() { Cause::ReadAfterWrite } else { Cause::WriteAfterWrite };
        let earlier = |on: &Token| *on != token && alive(*on);
        let edge = |on, cause| Edge { on, cause, buffer: Some(buffer) };
        edges.extend(self.writers.iter().copied().filter(earlier).map(|on| edge(on, after_write)));
        if access.writes() {
            edges.extend(self.readers.drain(..).filter(earlier).map(|on| edge(on, Cause::WriteAfterRead)));
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
