//! Large transfers in parts.

use std::ops::Range;

use crate::backend::{Backend, HostSpan, Op, Region, Source};

impl Op {
    /// Bytes that its lane moves: 0 where nothing is moved, or a block becomes the memory itself.
    pub(crate) fn moves(&self, backend: &dyn Backend) -> u64 {
        match self {
            Self::Upload { src: Source::Block(block), dst } if backend.adopts(block, *dst) => 0,
            Self::Upload { dst, .. } | Self::Clear { dst } => dst.bytes,
            Self::Download { src, .. } | Self::Copy { src, .. } => src.bytes,
            Self::Launch(_) | Self::Replay(_) | Self::Joined(_) | Self::Nothing => 0,
        }
    }

    /// The same for these bytes of those it moves.
    pub(super) fn part(&self, part: Range<u64>) -> Self {
        let of = |region: Region| region.part(&part);
        match self {
            Self::Upload { src, dst } => {
                let src = match src {
                    Source::Block(block) => {
                        // A block is memory that the engine can use where it is.
                        let whole = HostSpan { ptr: block.ptr, bytes: block.bytes, pinned: true };
                        Source::Part { block: block.id, offset: part.start, span: whole.part(&part) }
                    }
                    Source::Span(span) => Source::Span(span.part(&part)),
                    Source::Carried(span) => Source::Carried(span.part(&part)),
                    Source::Part { .. } => unreachable!("is one"),
                };
                Self::Upload { src, dst: of(*dst) }
            }
            Self::Download { src, dst } => Self::Download { src: of(*src), dst: dst.part(&part) },
            Self::Copy { src, dst } => Self::Copy { src: of(*src), dst: of(*dst) },
            Self::Clear { dst } => Self::Clear { dst: of(*dst) },
            Self::Launch(_) | Self::Replay(_) | Self::Joined(_) | Self::Nothing => unreachable!("moves nothing"),
        }
    }
}

impl Region {
    fn part(self, part: &Range<u64>) -> Self {
        debug_assert!(part.end <= self.bytes);
        Self { offset: self.offset + part.start, bytes: part.end - part.start, ..self }
    }
}

impl HostSpan {
    fn part(self, part: &Range<u64>) -> Self {
        debug_assert!(part.end <= self.bytes);
        Self { ptr: self.ptr.wrapping_add(part.start as usize), bytes: part.end - part.start, ..self }
    }
}
