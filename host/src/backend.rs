//! What a device must be able to do: the contract between `dma` and the backends.
//!
//! **Devices check, backends act.** Handles, lengths, alignments and limits were checked before a
//! backend sees them; a backend that finds a broken promise panics, because it is our bug. It
//! returns an error only for what the caller could not foresee: no memory, a driver that failed.
//!
//! **Batches cross, messages do not.** Commands go down in batches ([`Backend::submit`]), events
//! come up in batches ([`Backend::reap`]).
//!
//! **Order.** Commands of one [`Lane`] start in the order they were submitted, and later ones see
//! the effects of earlier ones: a command that is over was the last of its lane up to there. A large
//! message comes as several commands of its lane, each with a token of its own. Across lanes a backend keeps only what [`Command::after`] names;
//! those commands were submitted before. Each submitted command gives exactly one
//! [`Event::Done`], whatever happens, unless the backend has said [`Event::Lost`]: then `dma`
//! resolves the rest itself and ignores what comes late. A command's end is reported after the
//! ends of those in its `after`, so that their failures are known first.

use std::{any::Any, fmt, sync::Arc, time::Duration, time::Instant};

use crate::{
    error::{Error, FailureKind, Result},
    kernel::Kernel,
};

mod capabilities;
pub(crate) mod cpu;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
mod heap;
mod pool;
pub(crate) mod sim;
#[cfg(feature = "wgpu")]
pub(crate) mod wgpu;

pub use capabilities::Capabilities;
pub(crate) use heap::Heap;
pub use pool::PoolUse;
pub(crate) use pool::{Pool, Pooled};

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

/// Tells the driver that there is something to reap.
pub(crate) type Ring = Box<dyn Fn() + Send + Sync>;

/// One device. All methods may be called from any thread unless they say otherwise.
pub(crate) trait Backend: Send + Sync + fmt::Debug {
    /// What it can do.
    fn capabilities(&self) -> &Capabilities;

    /// Zeroed device memory: `bytes` is a multiple of 4, at least 4, within `max_buffer_bytes`.
    fn alloc(&self, bytes: u64, label: Option<&str>) -> Result<MemId>;

    /// Gives device memory back. No unfinished command uses it.
    fn free(&self, mem: MemId);

    /// Makes host memory itself a read-only buffer, where the device can; `keep` is dropped when the
    /// buffer is freed, and the span is valid until then.
    fn import(&self, span: HostSpan, keep: Box<dyn Any + Send + Sync>) -> Option<MemId> {
        let _ = (span, keep);
        None
    }

    /// Host memory that uploads without another copy. May be a block used before: not zeroed.
    fn host_alloc(&self, bytes: u64) -> Result<HostBlock>;

    /// Gives a block back of which nothing is being moved: it was not submitted, or only in parts, which
    /// are over.
    fn host_free(&self, block: HostBlock);

    /// Whether an upload of this whole block moves nothing, because the block becomes the memory. Such a
    /// one is not cut into chunks.
    fn adopts(&self, block: &HostBlock, dst: Region) -> bool {
        let _ = (block, dst);
        false
    }

    /// Host memory that messages own and use again: page-locked where the device can use that.
    fn pin(&self, bytes: u64) -> Result<HostBlock> {
        let (device, in_use_bytes) = (self.capabilities().backend.to_string(), 0);
        let heap = heap::Heap::zeroed(bytes);
        let none =
            Error::OutOfMemory { device, requested_bytes: bytes, in_use_bytes, limit_bytes: None, evicted_bytes: None };
        heap.map(heap::Heap::into_block).ok_or(none)
    }

    /// Gives back what [`Backend::pin`] gave.
    #[expect(unsafe_code, reason = "memory that was given away by address comes back")]
    fn unpin(&self, block: HostBlock) {
        // SAFETY: `pin` made it, its one owner gives it back, and a backend overrides both or neither.
        drop(unsafe { heap::Heap::from_block(block) });
    }

    /// Gives back what is kept only to be used again: idle staging memory, idle pinned blocks, scratch. Answers
    /// how many bytes. What is lent, or with the device, stays.
    fn reclaim(&self) -> u64 {
        0
    }

    /// Appends what each of its pools of memory holds.
    fn pools(&self, pools: &mut Vec<PoolUse>) {
        let _ = pools;
    }

    /// What has come of the faults that it was told to have, where it was told of any.
    fn scripted_faults(&self) -> Vec<sim::ScriptedFault> {
        Vec::new()
    }

    /// Compiles a kernel; may take long. `overrides` are complete and checked.
    fn prepare(&self, kernel: &Kernel, overrides: &[(String, f64)]) -> Result<PipelineId>;

    /// Why this message's bytes would take a slow way although the device has a faster one for others.
    fn slow(&self, op: &Op) -> Option<&'static str> {
        let _ = op;
        None
    }

    /// Messages at most whose small uploads travel in one command, as [`Op::Joined`]: for backends to which a
    /// command costs more than what it moves.
    fn joins(&self) -> u32 {
        1
    }

    /// Whether [`Backend::submit`] may wait for what only [`Backend::reap`] gives back: then the two need
    /// a thread each. Else one thread may do both in turn.
    fn submit_may_wait(&self) -> bool {
        false
    }

    /// Hands commands to the device, in order, and leaves `batch` empty. Called from one thread
    /// at a time. May wait for staging memory where it says so, never for the work itself.
    ///
    /// A backend to which a submission costs more than a command may ask `more` before it submits: it
    /// appends what has become ready meanwhile, to travel in the same submission.
    fn submit(&self, batch: &mut Vec<Command>, more: &mut dyn FnMut(&mut Vec<Command>));

    /// Appends what has happened; waits for at most `timeout` where nothing has. Called from one
    /// thread at a time.
    fn reap(&self, events: &mut Vec<Event>, timeout: Duration);

    /// For backends whose submissions never wait and whose reports come from threads of their own: keeps
    /// the ring and answers `true`. It calls the ring after reports that do not come out of a call of
    /// `submit`, unless somebody reaps them before, from the thread that reports: that then does what they
    /// lead to. Such a device is reaped without waiting, by whoever submits, waits or reports. Called once,
    /// before everything else, if at all.
    fn report_to(&self, ring: Ring) -> bool {
        drop(ring);
        false
    }

    /// Whether [`Backend::reap`] would find something at once: asked often, by those who wait, of a backend
    /// that [reports](Backend::report_to). May be wrong for a moment.
    fn has_reports(&self) -> bool {
        false
    }

    /// `dma` gives the device up: it submits nothing more and ignores what is reported. Memory freed from
    /// now on may still be in use by commands that are under way; they must not begin anew.
    fn abandon(&self, cause: &str) {
        let _ = cause;
    }

    /// Has the driver lose the device, where it can be told to, for tests of what follows. Nobody writes
    /// staging memory meanwhile.
    fn break_down(&self) -> bool {
        false
    }

    /// Makes a waiting [`Backend::reap`] return soon.
    fn wake(&self);

    /// `dma` waits for this time on the clock of [`Backend::now`], or for none any more. The host's clock
    /// needs nobody to be told; another one keeps pace with it meanwhile.
    fn pace(&self, due: Option<Instant>) {
        let _ = due;
    }

    /// The clock of receipts and timeouts: the host's, unless time itself is simulated.
    fn now(&self) -> Instant {
        Instant::now()
    }
}
