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
    /// Writes all of them without reading: what was there before does not matter any more.
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

/// Some of a buffer's bytes, in grains of 4 and without its end. It is short, as each message holds some;
/// the last grain that it can name stands for all behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    from: u32,
    to: u32,
}

impl Part {
    pub(crate) const WHOLE: Self = Self { from: 0, to: u32::MAX };

    /// A region of a buffer that has so many bytes.
    pub(crate) fn of(region: Region, buffer_bytes: u64) -> Self {
        let (start, end) = (region.offset, region.offset + region.bytes);
        if start == 0 && end >= buffer_bytes {
            return Self::WHOLE;
        }
        let named = |grains: u64| u32::try_from(grains).unwrap_or(u32::MAX);
        Self { from: named(start / 4).min(u32::MAX - 1), to: named(end.div_ceil(4)) }
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

    /// The bytes; `None` for all of a buffer's.
    pub(crate) fn bytes(self) -> Option<Range<u64>> {
        let end = if self.to == u32::MAX { u64::MAX } else { 4 * u64::from(self.to) };
        (self != Self::WHOLE).then(|| 4 * u64::from(self.from)..end)
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

/// Unresolved messages that touch a buffer from which on one that writes a part of it counts as reading and
/// writing all of it: it waits for all of them, fails where one of them fails, and stands for them from then
/// on, so that looking through them stays cheap.
const LONG: usize = 1024;
/// Parts of a buffer that are known to have failed; with one more, all of it counts as failed.
const MOST_POISONED: usize = 8;

/// The state of one buffer.
#[derive(Debug, Default)]
pub(crate) struct Resource {
    /// What users call it.
    pub(crate) name: Arc<str>,
    /// Messages that have written it, each with the part that nobody has written since as a whole, or more.
    writers: Vec<(Token, Part)>,
    /// Messages that read it, each with the part that nobody has written since as a whole.
    readers: Vec<(Token, Part)>,
    /// Parts that are without the data they should have, and the failure that left them so.
    poison: Vec<(Part, Arc<TransferError>)>,
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
    pub(crate) fn reset(&mut self, name: Arc<str>, now: u64) {
        self.name = name;
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
            for &(on, other) in earlier {
                if let Some(part) = other.overlap(part)
                    && on != token
                    && alive(on)
                {
                    edges.push(Edge { on, cause, buffer: Some(buffer), part });
                }
            }
        };
        edges_to(&self.writers, edges, after_write);
        if access.writes() {
            edges_to(&self.readers, edges, Cause::WriteAfterRead);
            // Who comes after this message comes after those that it covers.
            self.readers.retain(|&(_, other)| !part.covers(other));
            self.writers.retain(|&(_, other)| !part.covers(other));
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
        let poisoned = self.poison.iter().find(|(poisoned, _)| poisoned.overlap(part).is_some());
        let inherited = poisoned.filter(|_| access.reads()).map(|(_, error)| error.clone());
        if access == Access::Overwrite {
            self.poison.retain(|&(poisoned, _)| !part.covers(poisoned));
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
        self.poison.iter().any(|(_, error)| error.id == id)
    }

    /// The message failed: what it should have written is not there.
    pub(crate) fn fail(&mut self, token: Token, error: &Arc<TransferError>) {
        let Self { writers, poison, .. } = self;
        for &(_, part) in writers.iter().filter(|(writer, _)| *writer == token) {
            if poison.iter().any(|(known, _)| known.covers(part)) {
                continue;
            }
            if poison.len() == MOST_POISONED {
                poison.truncate(1);
                poison[0].0 = Part::WHOLE;
                return;
            }
            poison.push((part, error.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::MemId;

    fn name(index: u32) -> Token {
        Token { index, generation: 0 }
    }

    fn part(range: Range<u64>) -> Part {
        Part::of(Region { mem: MemId(0), offset: range.start, bytes: range.end - range.start }, 1 << 40)
    }

    /// The messages that one has edges to that does this to these bytes.
    fn touch(resource: &mut Resource, index: u32, access: Access, bytes: Range<u64>) -> Vec<u32> {
        let mut edges = Vec::new();
        let touch = Touch { buffer: name(0), access, part: part(bytes) };
        assert!(resource.record(name(index), touch, &mut edges, |_| true).is_none());
        edges.iter().map(|edge| edge.on.index).collect()
    }

    #[test]
    fn what_overlaps_by_a_grain_is_ordered_and_what_touches_is_not() {
        use Access::{Overwrite, Read, ReadWrite};
        let mut x = Resource::default();
        assert_eq!(touch(&mut x, 1, Overwrite, 0..16), [0; 0]);
        assert_eq!(touch(&mut x, 2, Overwrite, 16..32), [0; 0]);
        assert_eq!(touch(&mut x, 3, Read, 12..20), [1, 2]);
        assert_eq!(touch(&mut x, 4, Read, 16..20), [2]);
        assert_eq!(touch(&mut x, 5, ReadWrite, 0..12), [1]);
        assert_eq!(touch(&mut x, 6, Overwrite, 16..18), [2, 3, 4], "half a grain is a grain");
        assert_eq!(touch(&mut x, 7, Read, 20..24), [2], "of the second's part that nobody has written since");
        assert_eq!(touch(&mut x, 8, Overwrite, 0..64), [1, 2, 5, 6, 3, 7], "those that are left behind nobody");
        assert_eq!(touch(&mut x, 9, Read, 4..8), [8], "it stands for all");
    }

    #[test]
    fn bytes_too_far_behind_to_be_named_are_one_part() {
        let far = 1_u64 << 36;
        let (a, b) = (part(far..far + 4), part(far + 8..far + 12));
        assert_eq!(a.overlap(b), Some(a));
        assert_eq!(a.overlap(part(0..1 << 20)), None);
        assert_eq!(part(0..1 << 40), Part::WHOLE);
        assert_eq!(part(4..12).bytes(), Some(4..12));
    }

    #[test]
    fn a_long_list_is_one_message_from_then_on() {
        let mut x = Resource::default();
        let last = LONG as u32;
        for i in 0..last {
            assert_eq!(touch(&mut x, i, Access::Overwrite, 8 * u64::from(i)..8 * u64::from(i) + 4), [0; 0]);
        }
        assert_eq!(touch(&mut x, last, Access::Overwrite, 4..8).len(), LONG, "it waits for all of them");
        assert_eq!(touch(&mut x, last + 1, Access::Read, 0..4), [last], "and stands for them");
    }

    #[test]
    fn parts_fail_by_themselves_until_they_are_many() {
        let mut x = Resource::default();
        let error = |id: u64| {
            let id = crate::dma::MessageId(id);
            let kind = crate::error::FailureKind::Cancelled;
            let (device, queue) = ("d".into(), "q".into());
            Arc::new(TransferError { kind, device, queue, id, label: None, bytes: 0, bytes_done: 0 })
        };
        let inherits = |x: &mut Resource, access, bytes| {
            let touch = Touch { buffer: name(0), access, part: part(bytes) };
            x.record(name(999), touch, &mut Vec::new(), |_| true).map(|error| error.id.number())
        };
        for i in 0..MOST_POISONED as u32 {
            touch(&mut x, i, Access::Overwrite, 8 * u64::from(i)..8 * u64::from(i) + 4);
            x.fail(name(i), &error(u64::from(i)));
        }
        assert_eq!(inherits(&mut x, Access::Read, 4..8), None, "between two of them");
        assert_eq!(inherits(&mut x, Access::Read, 4..12), Some(1));
        assert_eq!(inherits(&mut x, Access::Overwrite, 8..12), None);
        assert_eq!(inherits(&mut x, Access::Read, 4..12), None, "it is good again");
        for i in [100_u32, 101] {
            touch(&mut x, i, Access::Overwrite, 8 * u64::from(i)..8 * u64::from(i) + 4);
            x.fail(name(i), &error(u64::from(i)));
        }
        assert_eq!(inherits(&mut x, Access::Read, 4..8), Some(0), "too many to tell apart");
        assert_eq!(inherits(&mut x, Access::Overwrite, 0..1 << 40), None);
        assert_eq!(inherits(&mut x, Access::Read, 4..8), None);
        // One writer of little, and failures beside what it wrote.
        let mut y = Resource { poison: vec![(part(0..64), error(7))], ..Resource::default() };
        assert_eq!(touch(&mut y, 1, Access::Overwrite, 8..12), [0; 0]);
        assert_eq!(inherits(&mut y, Access::ReadWrite, 8..32), Some(7));
        assert_eq!(inherits(&mut y, Access::Overwrite, 0..64), None);
        assert_eq!(inherits(&mut y, Access::Read, 32..36), None, "all of it is good again");
    }
}
