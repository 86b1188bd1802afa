//! Who last wrote which bytes of a buffer and who reads them: the edges between messages that touch the
//! same memory.

use std::{fmt, ops::Range, sync::Arc};

use smallvec::SmallVec;

use super::MessageId;
use crate::{
    backend::{Region, Token},
    error::TransferError,
};

/// What a message does to some of a buffer's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reads them.
    Read,
    /// Writes all of them without reading: what was there before does not matter any more. They are whole grains, or
    /// end with the buffer: transfers of half a grain are refused.
    Overwrite,
    /// Reads and writes them.
    ReadWrite,
}

impl Access {
    pub(crate) fn reads(self) -> bool {
        self != Self::Overwrite
    }

    pub(crate) fn writes(self) -> bool {
        self != Self::Read
    }

    /// Both of the same bytes, this one first.
    pub(crate) fn then(self, next: Self) -> Self {
        match (self, next) {
            // What is read later was written here.
            (Self::Overwrite, _) => Self::Overwrite,
            (Self::Read, Self::Read) => Self::Read,
            _ => Self::ReadWrite,
        }
    }
}

/// Some of a buffer's bytes, in grains of 4 and without its end. One that goes to the buffer's end has the same end
/// whatever the buffer's size, so that what is written in pieces adds up to all of it. Each message holds some, so it
/// is aligned as the names beside it and no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(Rust, packed(4))]
pub(crate) struct Part {
    from: u64,
    to: u64,
}

impl Part {
    /// What stands for the buffer's end.
    const END: u64 = u64::MAX;
    pub(crate) const WHOLE: Self = Self { from: 0, to: Self::END };

    /// A region of a buffer that has so many bytes.
    pub(crate) fn of(region: Region, buffer_bytes: u64) -> Self {
        let (start, end) = (region.offset, region.offset + region.bytes);
        // No bytes at the end are not the end, unless there is nothing else.
        let is_last = end >= buffer_bytes && (end > start || start == 0);
        Self { from: start / 4, to: if is_last { Self::END } else { end.div_ceil(4) } }
    }

    pub(crate) fn overlap(self, other: Self) -> Option<Self> {
        let both = Self { from: self.from.max(other.from), to: self.to.min(other.to) };
        (both.from < both.to).then_some(both)
    }

    pub(crate) fn covers(self, other: Self) -> bool {
        self.from <= other.from && other.to <= self.to
    }

    /// The smallest part that covers both.
    pub(crate) fn hull(self, other: Self) -> Self {
        Self { from: self.from.min(other.from), to: self.to.max(other.to) }
    }

    /// The bytes, of a buffer that has so many, in whole grains; `None` for all of them.
    pub(crate) fn bytes(self, buffer_bytes: u64) -> Option<Range<u64>> {
        let end = self.to.min(buffer_bytes.div_ceil(4));
        (self != Self::WHOLE).then(|| 4 * self.from..4 * end)
    }
}

/// What a message does to which bytes of which buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Touch {
    pub(crate) buffer: Token,
    pub(crate) access: Access,
    pub(crate) part: Part,
}

/// All that a message does; that of a few buffers needs no memory of its own.
pub(crate) type Accesses = SmallVec<[Touch; 4]>;

/// An edge to an earlier message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) on: Token,
    pub(crate) cause: Cause,
    /// The buffer that both touch; `None` for a fence.
    pub(crate) buffer: Option<Token>,
    /// What both touch of it.
    pub(crate) part: Part,
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

/// Parts of a buffer that unresolved messages touch from which on one that writes a part of it counts as reading
/// and writing all of it: it waits for all of them, fails where one of them fails, and stands for them from then
/// on, so that looking through them stays cheap.
const LONG: usize = 1024;
/// Parts of a buffer that are known to have failed. With more, what lies between them counts as failed, too.
const MOST_POISONED: usize = 8;

/// Takes these bytes out of each of the parts; what lies before them and behind becomes two. There are not more than
/// `most` afterwards: a part that would be one too many stays whole.
fn take_out<T: Clone>(parts: &mut Vec<(T, Part)>, bytes: Part, most: usize) {
    parts.retain_mut(|(_, part)| {
        if let Some(both) = part.overlap(bytes) {
            if both.from == part.from {
                part.from = both.to;
            } else if both.to == part.to {
                part.to = both.from;
            }
        }
        part.from < part.to
    });
    let mut place = 0;
    while place < parts.len() && parts.len() < most {
        let (whose, part) = &mut parts[place];
        if part.overlap(bytes).is_some() {
            let behind = (whose.clone(), Part { from: bytes.to, ..*part });
            part.to = bytes.from;
            // Beside the other, as both are the same message's.
            parts.insert(place + 1, behind);
        }
        place += 1;
    }
}

/// The state of one buffer.
#[derive(Debug, Default)]
pub(crate) struct Resource {
    /// What users call it.
    pub(crate) name: Arc<str>,
    /// Its size.
    pub(crate) bytes: u64,
    /// Messages that have written it, each with the part that nobody has overwritten since.
    writers: Vec<(Token, Part)>,
    /// Messages that read it, each with the part that nobody has written since as a whole.
    readers: Vec<(Token, Part)>,
    /// Parts that are without the data they should have, and the failure that left them so.
    poison: Vec<(Arc<TransferError>, Part)>,
    /// The number of the next message when it was made, and that of the last message on it.
    pub(crate) since: u64,
    pub(crate) last: Option<u64>,
    /// Unresolved messages that use it.
    pub(crate) users: u32,
    /// Its owner is gone; it is freed with its last user.
    pub(crate) dropped: bool,
    /// Names in the two lists from which on those of the dead are looked for.
    prune_at: usize,
}

impl Resource {
    pub(crate) fn reset(&mut self, name: Arc<str>, bytes: u64, now: u64) {
        (self.name, self.bytes) = (name, bytes);
        (self.since, self.last) = (now, None);
        self.writers.clear();
        self.readers.clear();
        self.poison.clear();
        self.users = 0;
        self.dropped = false;
        self.prune_at = 0;
    }

    /// Adds the edges that this touch by `token` needs to `edges` and remembers it. `alive` says whether an
    /// earlier message is unresolved. Gives the failure that the message inherits.
    pub(crate) fn record(
        &mut self,
        token: Token,
        Touch { buffer, mut access, mut part }: Touch,
        edges: &mut Vec<Edge>,
        alive: impl Fn(Token) -> bool,
    ) -> Option<Arc<TransferError>> {
        self.users += 1;
        let after_write = if access.reads() { Cause::ReadAfterWrite } else { Cause::WriteAfterWrite };
        if let ([last], []) = (&mut self.writers[..], &self.readers[..])
            && access.writes()
            && part.covers(last.1)
        {
            // One writer after another: what there is most of, in short.
            let (on, other) = std::mem::replace(last, (token, part));
            if on != token && alive(on) {
                edges.push(Edge { on, cause: after_write, buffer: Some(buffer), part: other });
            }
            return self.inherit(access, part);
        }
        let len = self.writers.len() + self.readers.len();
        let grows = access.writes() && part != Part::WHOLE;
        if len >= self.prune_at || (grows && len >= LONG) {
            self.writers.retain(|&(t, _)| alive(t));
            self.readers.retain(|&(t, _)| alive(t));
            let len = self.writers.len() + self.readers.len();
            // Looking costs what has been added since, whatever the number of readers.
            self.prune_at = 2 * len.max(8);
            if grows && len >= LONG {
                (access, part) = (Access::ReadWrite, Part::WHOLE);
            }
        }
        let edges_to = |earlier: &[(Token, Part)], edges: &mut Vec<Edge>, cause| {
            let known = edges.len();
            for &(on, other) in earlier {
                let Some(both) = other.overlap(part).filter(|_| on != token && alive(on)) else { continue };
                match edges[known..].last_mut() {
                    // Another piece of what the same message wrote.
                    Some(last) if last.on == on => last.part = last.part.hull(both),
                    _ => edges.push(Edge { on, cause, buffer: Some(buffer), part: both }),
                }
            }
        };
        edges_to(&self.writers, edges, after_write);
        if access.writes() {
            edges_to(&self.readers, edges, Cause::WriteAfterRead);
            // Who comes after this message comes after those that it covers.
            self.readers.retain(|&(_, other)| !part.covers(other));
            match access {
                // What they were to write here is not missed any more, whatever becomes of them.
                Access::Overwrite => take_out(&mut self.writers, part, usize::MAX),
                // It reads that, and fails with them.
                _ => self.writers.retain(|&(_, other)| !part.covers(other)),
            }
            self.writers.push((token, part));
        } else {
            self.readers.push((token, part));
        }
        self.inherit(access, part)
    }

    /// The failure that has left some of this part without its data, where that is read; where it is
    /// overwritten, it is good again.
    fn inherit(&mut self, access: Access, part: Part) -> Option<Arc<TransferError>> {
        if self.poison.is_empty() {
            return None;
        }
        let poisoned = self.poison.iter().find(|(_, poisoned)| poisoned.overlap(part).is_some());
        let inherited = poisoned.filter(|_| access.reads()).map(|(error, _)| error.clone());
        if access == Access::Overwrite {
            take_out(&mut self.poison, part, MOST_POISONED);
        }
        inherited
    }

    /// The message of this number has written this part, and no other is unresolved.
    pub(crate) fn overwrite(&mut self, id: u64, part: Part) {
        self.last = Some(id);
        let _ = self.inherit(Access::Overwrite, part);
    }

    /// Whether parts of it are without the data that they should have.
    pub(crate) fn is_poisoned(&self) -> bool {
        !self.poison.is_empty()
    }

    /// Whether the failure of this message has left them so.
    pub(crate) fn is_poisoned_by(&self, id: MessageId) -> bool {
        self.poison.iter().any(|(error, _)| error.id == id)
    }

    /// The message failed: what it should have written is not there, unless it was overwritten since.
    pub(crate) fn fail(&mut self, token: Token, error: &Arc<TransferError>) {
        let Self { writers, poison, .. } = self;
        let mine = writers.iter().filter(|(writer, _)| *writer == token).map(|&(_, part)| part);
        let missing = mine.filter(|&part| !poison.iter().any(|(_, known)| known.covers(part)));
        let missing: SmallVec<[Part; 4]> = missing.collect();
        let room = MOST_POISONED - poison.len();
        if missing.len() <= room {
            poison.extend(missing.into_iter().map(|part| (error.clone(), part)));
        } else if room > 0 {
            poison.extend(missing.into_iter().reduce(Part::hull).map(|all| (error.clone(), all)));
        } else {
            poison.truncate(1);
            poison[0].1 = Part::WHOLE;
        }
    }
}

#[cfg(test)]
mod tests;
