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

use std::{
    any::Any,
    fmt,
    time::{Duration, Instant},
};

use crate::{
    error::{Error, Result},
    kernel::Kernel,
};

mod capabilities;
mod command;
pub(crate) mod cpu;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
mod heap;
mod pool;
pub(crate) mod sim;
#[cfg(feature = "wgpu")]
pub(crate) mod wgpu;

pub use capabilities::Capabilities;
pub(crate) use command::{
    After, Command, Done, Event, HostBlock, HostSpan, INLINE_BYTES, Launch, MemId, Op, PipelineId, Recorded, Region,
    Source, Token,
};
pub use command::{Lane, Path};
pub(crate) use heap::Heap;
pub use pool::PoolUse;
pub(crate) use pool::{Pool, Pooled};

/// Tells the driver that there is something to reap.
pub(crate) type Ring = Box<dyn Fn() + Send + Sync>;

/// Takes in what a backend reports while it submits, as far as it has seen any of it, and appends what has become
/// ready meanwhile, to travel in the same submission.
pub(crate) type More<'m> = dyn FnMut(&mut Vec<Event>, &mut Vec<Command>) + 'm;

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
    /// at a time. May wait for staging memory where it says so, never for the work itself. Answers whether
    /// [`Backend::reap`] may find some of them already: where it does not, who submits may leave what there is to
    /// whoever looks next.
    ///
    /// A backend to which a submission costs more than a command may ask `more` before it submits.
    fn submit(&self, batch: &mut Vec<Command>, more: &mut More<'_>) -> bool;

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

    /// Copies the few bytes that a message carries to where they go, where that takes this thread next to no time.
    /// Asked only when the device has nothing to do, of a backend that [reports](Backend::report_to), and under the
    /// lock of the queues. Answers whether it has; if not, the message comes as a command.
    fn write_now(&self, src: HostSpan, dst: Region) -> bool {
        let _ = (src, dst);
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
