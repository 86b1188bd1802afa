//! The device's state: memory, and the error that ends it.

#![expect(unsafe_code, reason = "device memory is the host's, given out by address")]

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Condvar, LazyLock, Mutex, PoisonError};
use std::time::Duration;

pub(crate) const SUCCESS: u32 = 0;
pub(crate) const INVALID_VALUE: u32 = 1;
pub(crate) const OUT_OF_MEMORY: u32 = 2;
pub(crate) const INVALID_DEVICE: u32 = 101;
pub(crate) const INVALID_CONTEXT: u32 = 201;
pub(crate) const INVALID_PTX: u32 = 218;
pub(crate) const NOT_FOUND: u32 = 500;
pub(crate) const NOT_READY: u32 = 600;
pub(crate) const CAPTURE_UNJOINED: u32 = 904;
pub(crate) const CAPTURE_ISOLATION: u32 = 905;
const LAUNCH_TIMEOUT: u32 = 702;

/// The name and text of each code that this driver answers with.
pub(crate) fn text(code: u32) -> &'static std::ffi::CStr {
    match code {
        SUCCESS => c"no error",
        INVALID_VALUE => c"invalid argument",
        OUT_OF_MEMORY => c"out of memory",
        INVALID_DEVICE => c"invalid device ordinal",
        INVALID_CONTEXT => c"invalid device context",
        INVALID_PTX => c"a PTX JIT compilation failed",
        NOT_FOUND => c"named symbol not found",
        NOT_READY => c"device not ready",
        CAPTURE_UNJOINED => c"capturing stream has unjoined work",
        CAPTURE_ISOLATION => c"dependency created on uncaptured work in another stream",
        LAUNCH_TIMEOUT => c"the launch timed out and was terminated",
        700 => c"an illegal memory access was encountered",
        719 => c"unspecified launch failure",
        _ => c"injected error",
    }
}

/// The sticky error: once set, every call that touches the context answers with it.
static STICKY: AtomicU32 = AtomicU32::new(SUCCESS);

pub(crate) fn sticky() -> u32 {
    STICKY.load(Ordering::Acquire)
}

/// Whether an error ends the context: those of kernels and copies that went wrong while they ran.
pub(crate) fn is_sticky(code: u32) -> bool {
    matches!(code, 700 | 702 | 709 | 710 | 714..=719)
}

/// An operation failed while it ran.
pub(crate) fn fail(code: u32) {
    debug_assert!(is_sticky(code), "other errors are the call's answer");
    let _ = STICKY.compare_exchange(SUCCESS, code, Ordering::AcqRel, Ordering::Acquire);
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

pub(crate) static MEMORY: LazyLock<u64> = LazyLock::new(|| number("SOFT_CUDA_MEMORY", 256 << 20));
pub(crate) static PINNED_MEMORY: LazyLock<u64> = LazyLock::new(|| number("SOFT_CUDA_PINNED", u64::MAX));
static DELAY: LazyLock<Duration> = LazyLock::new(|| Duration::from_micros(number("SOFT_CUDA_DELAY_US", 0)));

/// Launches wait while there is a file of this name.
static DOOR: LazyLock<Option<PathBuf>> = LazyLock::new(|| std::env::var_os("SOFT_CUDA_DOOR").map(Into::into));

/// Waits as long as an operation of this name is to take at least.
pub(crate) fn take_time(op: &str) {
    if !DELAY.is_zero() {
        std::thread::sleep(*DELAY);
    }
    while op == "launch" && DOOR.as_ref().is_some_and(|door| door.exists()) {
        std::thread::sleep(Duration::from_micros(200));
    }
    MEETINGS.iter().filter(|meeting| meeting.op == op).for_each(Meeting::attend);
}

/// Operations that wait for each other: only where so many are under way at once does any of them go on.
struct Meeting {
    op: String,
    number: u64,
    begun: Mutex<u64>,
    changed: Condvar,
}

/// After so long those that are missing do not come any more.
const NOBODY_COMES: Duration = Duration::from_secs(60);

static MEETINGS: LazyLock<Vec<Meeting>> = LazyLock::new(|| {
    let all = std::env::var("SOFT_CUDA_MEET").unwrap_or_default();
    let parse = |text| Meeting::parse(text).unwrap_or_else(|| panic!("SOFT_CUDA_MEET: `{text}` is not OP:N"));
    all.split(',').filter(|text| !text.is_empty()).map(parse).collect()
});

impl Meeting {
    fn parse(text: &str) -> Option<Self> {
        let (op, number) = text.split_once(':')?;
        let number = number.parse().ok().filter(|&number| number > 0)?;
        Some(Self { op: op.to_owned(), number, begun: Mutex::default(), changed: Condvar::new() })
    }

    /// Where the others do not come, the context ends.
    fn attend(&self) {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let all = (*begun / self.number + 1) * self.number;
        *begun += 1;
        self.changed.notify_all();
        let waited = self.changed.wait_timeout_while(begun, NOBODY_COMES, |begun| *begun < all);
        if waited.unwrap_or_else(PoisonError::into_inner).1.timed_out() {
            fail(LAUNCH_TIMEOUT);
        }
    }
}

/// An operation or a call that fails.
struct Fault {
    op: String,
    /// Which one of its kind, from 1.
    nth: u64,
    code: u32,
    seen: AtomicU64,
}

impl Fault {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let (op, nth, code) = (parts.next()?.to_owned(), parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Self { op, nth, code, seen: AtomicU64::new(0) })
    }
}

static FAULTS: LazyLock<Vec<Fault>> = LazyLock::new(|| {
    let all = std::env::var("SOFT_CUDA_FAULT").unwrap_or_default();
    let parse = |text| Fault::parse(text).unwrap_or_else(|| panic!("SOFT_CUDA_FAULT: `{text}` is not OP:N:CODE"));
    all.split(',').filter(|text| !text.is_empty()).map(parse).collect()
});

/// The code that this operation is to fail with.
pub(crate) fn fault(op: &str) -> Option<u32> {
    let hits = FAULTS.iter().filter(|fault| fault.op == op);
    // Each counts for itself, so that one may be behind another.
    hits.fold(None, |code, fault| {
        let hit = fault.seen.fetch_add(1, Ordering::Relaxed) + 1 == fault.nth;
        code.or(hit.then_some(fault.code))
    })
}

/// A call that does nothing in a stream: it fails at once, and a sticky error is there from then on.
pub(crate) fn call(op: &str) -> Result<(), u32> {
    let Some(code) = fault(op) else { return Ok(()) };
    if is_sticky(code) {
        fail(code);
    }
    Err(code)
}

/// Blocks of memory by address: device and page-locked memory apart.
///
/// Invariant: each entry is a live allocation of that layout.
pub(crate) struct Blocks(Mutex<BTreeMap<u64, Layout>>);

pub(crate) static DEVICE: Blocks = Blocks(Mutex::new(BTreeMap::new()));
pub(crate) static PINNED: Blocks = Blocks(Mutex::new(BTreeMap::new()));

impl Blocks {
    /// A new block, aligned as the driver's are; `None` over the limit. Full of a pattern, because the
    /// driver promises nothing about what is in new memory.
    pub(crate) fn alloc(&self, bytes: usize, limit: u64) -> Option<u64> {
        let mut blocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let in_use: usize = blocks.values().map(Layout::size).sum();
        if (in_use + bytes) as u64 > limit {
            return None;
        }
        let layout = Layout::from_size_align(bytes.max(1), 256).ok()?;
        // SAFETY: the layout is not empty.
        let block = unsafe { alloc_zeroed(layout) };
        if block.is_null() {
            return None;
        }
        // SAFETY: the block is that large.
        unsafe { block.write_bytes(0xA5, layout.size()) };
        let address = block.expose_provenance() as u64;
        blocks.insert(address, layout);
        Some(address)
    }

    pub(crate) fn free(&self, address: u64) -> bool {
        let layout = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&address);
        if let Some(layout) = layout {
            // SAFETY: a live allocation of that layout (invariant), which is no longer listed.
            unsafe { dealloc(pointer(address), layout) };
        }
        layout.is_some()
    }

    /// Whether all of these bytes lie in one block.
    pub(crate) fn holds(&self, address: u64, bytes: u64) -> bool {
        let blocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let below = blocks.range(..=address).next_back();
        below.is_some_and(|(start, layout)| address - start + bytes <= layout.size() as u64)
    }

    pub(crate) fn in_use(&self) -> u64 {
        let blocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        blocks.values().map(|layout| layout.size() as u64).sum()
    }
}

pub(crate) fn pointer(address: u64) -> *mut u8 {
    std::ptr::with_exposed_provenance_mut(address as usize)
}
