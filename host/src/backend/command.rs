//! What crosses between `dma` and the backends: commands and what they name on the way down, events on the way up.

use std::{sync::Arc, time::Instant};

use super::Pooled;
use crate::error::FailureKind;

/// Names a command, a message or whatever has a slot; one that is used again has another generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(crate) struct Token {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// Device memory of one backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct MemId(pub(crate) u64);

/// A compiled kernel of one backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct PipelineId(pub(crate) u64);

/// What runs side by side on a device that can: streams on CUDA, worker threads on the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Host to device.
    Upload,
    /// Kernels, and copies and clears on the device.
    Compute,
    /// Device to host.
    Download,
}

/// Bytes of device memory: `[offset, offset + bytes)` of `mem`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) mem: MemId,
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
}

/// Host memory that a backend lent out with [`Backend::host_alloc`]: its own kind of memory (page-
/// locked on CUDA, a mapped staging buffer on wgpu), aligned to 64 bytes at least.
///
/// Invariant: `ptr..ptr + bytes` stays valid and is nobody else's until the block is given to
/// [`Backend::host_free`] or to a submitted [`Op::Upload`], which takes it back.
#[derive(Debug)]
pub(crate) struct HostBlock {
    pub(crate) id: u64,
    pub(crate) ptr: *mut u8,
    pub(crate) bytes: u64,
}

/// Host memory that a message owns: pinned in the message's cell until the message is resolved.
///
/// Invariant: valid for reads (uploads) or writes (downloads) of `bytes` from accept until the
/// event of its command has been handled, and touched by nobody else meanwhile.
#[derive(Debug, Clone, Copy)]
pub struct HostSpan {
    pub(crate) ptr: *mut u8,
    pub(crate) bytes: u64,
    /// It lies in a block of [`Backend::pin`]: the engine may use it where it is.
    #[cfg_attr(not(feature = "cuda"), expect(dead_code, reason = "only CUDA locks pages"))]
    pub(crate) pinned: bool,
}

/// Where an upload's bytes come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// A block of the backend's own, filled in place; the backend takes it back.
    Block(HostBlock),
    /// Bytes of a block that its message keeps: those of `span`, which begin at `offset`. Once the last
    /// of the message's commands is over, the block comes back by [`Backend::host_free`].
    Part {
        #[cfg_attr(not(feature = "wgpu"), expect(dead_code, reason = "blocks are buffers of wgpu's"))]
        block: u64,
        #[cfg_attr(not(feature = "wgpu"), expect(dead_code, reason = "blocks are buffers of wgpu's"))]
        offset: u64,
        span: HostSpan,
    },
    /// A message's own host memory.
    Span(HostSpan),
    /// Few bytes, copied when the message was made, in memory that it keeps until it is resolved.
    Carried(HostSpan),
}

/// Uploads of host buffers up to this many bytes are copied into their message.
pub(crate) const INLINE_BYTES: usize = 64;

/// What a command does. Offsets and lengths are multiples of 4, no length is 0, and regions do not
/// overlap.
#[derive(Debug)]
pub(crate) enum Op {
    /// Host to device. The source has `dst.bytes` bytes.
    Upload { src: Source, dst: Region },
    /// Device to host memory of `src.bytes` bytes.
    Download { src: Region, dst: HostSpan },
    /// Device to device, same length.
    Copy { src: Region, dst: Region },
    /// Zeroes.
    Clear { dst: Region },
    /// One dispatch.
    Launch(Pooled<Launch>),
    /// Several of those before, one after the other.
    Replay(Arc<Recorded>),
    /// Uploads of [`Source::Carried`], each a message's, in the order of these: only for a backend that
    /// [joins](Backend::joins) them. All are done or none.
    Joined(Pooled<Vec<Op>>),
    /// No work: a message of no bytes or no workgroups, which still takes its place in the order.
    Nothing,
}

/// Steps that are one command: [`Op::Launch`], [`Op::Copy`], [`Op::Clear`], and [`Op::Upload`] and
/// [`Op::Download`] between the device and spans of pinned memory, which the message owns. Each sees the
/// effects of those before it.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    pub(crate) ops: Vec<Op>,
    /// For each, the numbers of those before it that it must come after; it comes after what they come after.
    /// Those that nothing orders may run side by side.
    #[cfg_attr(not(feature = "cuda"), expect(dead_code, reason = "only CUDA overlaps them"))]
    pub(crate) after: Vec<Vec<u32>>,
    /// It has transfers: the device is given addresses of the message's host memory.
    pub(crate) lends: bool,
}

/// One dispatch: all workgroup counts are at least 1 and within the device's limits.
#[derive(Debug, Default)]
pub(crate) struct Launch {
    pub(crate) pipeline: PipelineId,
    pub(crate) groups: [u32; 3],
    /// One region for each storage binding, in order of group and binding.
    pub(crate) storage: Vec<Region>,
    /// The uniform bindings' bytes in WGSL layout, in order, each beginning at a multiple of 16;
    /// empty where the kernel has none.
    pub(crate) uniform: Vec<u8>,
}

/// One message, or a chunk of one, on its way to the device.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) token: Token,
    pub(crate) lane: Lane,
    /// Commands on other lanes that must finish first; all were submitted before this one.
    pub(crate) after: After,
    pub(crate) op: Op,
    /// Nobody waits for it alone: its end may be reported with that of a later command of its lane.
    pub(crate) quiet: bool,
    /// When it was given to the driver, on the clock of [`Backend::now`].
    pub(crate) given: Instant,
    #[cfg_attr(not(feature = "wgpu"), expect(dead_code, reason = "drivers show it"))]
    pub(crate) label: Option<Arc<str>>,
}

/// The few commands that a command waits for: a message with more unfinished ones is held back.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct After {
    tokens: [Token; Self::MOST],
    len: usize,
}

impl After {
    pub(crate) const MOST: usize = 8;

    /// Adds one; `false` where there is no room.
    pub(crate) fn push(&mut self, token: Token) -> bool {
        let room = self.len < Self::MOST;
        if room {
            self.tokens[self.len] = token;
            self.len += 1;
        }
        room
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Token> + '_ {
        self.tokens[..self.len].iter().copied()
    }
}

/// Which way a message's bytes took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Path {
    /// Nothing was moved (launches, fences).
    #[default]
    None,
    /// Small bytes copied when the message was made.
    Inline,
    /// The engine read or wrote page-locked host memory.
    Pinned,
    /// Through staging memory that the producer wrote in place.
    Filled,
    /// Copied by the host through the staging ring.
    Staged,
    /// Copied by the host straight between host and device memory.
    Host,
    /// The block itself became the device memory: nothing was copied.
    Direct,
    /// Moved inside the device.
    Device,
}

/// What a backend reports.
#[derive(Debug)]
pub(crate) enum Event {
    /// A submitted command is over.
    Done(Done),
    /// The device is gone; nothing more will be reported.
    Lost(Arc<str>),
}

impl Event {
    /// When what it tells of was seen finished.
    pub(crate) fn finished(&self) -> Option<Instant> {
        match self {
            Self::Done(done) => Some(done.finished),
            Self::Lost(_) => None,
        }
    }
}

/// The end of one command.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) token: Token,
    pub(crate) result: Result<(), FailureKind>,
    /// When it started on the device, as nearly as the backend knows.
    pub(crate) started: Option<Instant>,
    /// When the backend saw it finished.
    pub(crate) finished: Instant,
    /// Seconds on the device's own clock, where it has one.
    pub(crate) device_seconds: Option<f64>,
    pub(crate) path: Path,
    /// Why it was no better one, where that is worth saying.
    pub(crate) why: Option<&'static str>,
    /// Commands that were done together, it among them.
    pub(crate) together: u32,
    /// Which form of the kernel ran, and why where there are several: `native twin: forced`, `WGSL`, `PTX`.
    pub(crate) form: Option<&'static str>,
}
