//! Page-locked memory: blocks that producers fill, and the staging buffers between pageable memory
//! and the device.

#![expect(unsafe_code, reason = "memory is shared between the host and the copy engines")]

use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rayon::ThreadPool;
use rayon::prelude::*;

use super::api::{self, Context, Result};
use crate::backend::{HostBlock, HostSpan, PoolUse};

/// Bytes of one staging buffer; there is one for each direction.
pub(super) const STAGING_BYTES: u64 = 16 << 20;
/// Pageable memory is moved in pieces of this many bytes: the host copies one while the engine
/// moves another.
pub(super) const CHUNK_BYTES: u64 = 4 << 20;
/// A piece this large is copied by several threads.
const SHARED_COPY_BYTES: usize = 1 << 20;

/// One allocation of page-locked memory.
///
/// Invariant: `address..address + bytes` is this value's own until it is dropped; what lies in it is
/// shared out by [`super::ring::Ring`], whose segments do not overlap.
#[derive(Debug)]
pub(super) struct Staging {
    address: *mut u8,
    context: Arc<Context>,
    /// Bytes of all of the device's.
    of_all: Arc<AtomicU64>,
}

// SAFETY: page-locked memory is not bound to a thread; segments have one user at a time.
unsafe impl Send for Staging {}
// SAFETY: as above.
unsafe impl Sync for Staging {}

impl Staging {
    /// Where the segment at this offset begins.
    pub(super) fn at(&self, offset: u64) -> *mut u8 {
        assert!(offset < STAGING_BYTES);
        // SAFETY: inside of the allocation.
        unsafe { self.address.add(offset as usize) }
    }

    /// The buffer stays allocated for ever: the engines could not be proven quiet.
    pub(super) fn leak(self) {
        std::mem::forget(self);
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        self.of_all.fetch_sub(STAGING_BYTES, Relaxed);
        let Ok(_entered) = self.context.enter() else { return };
        // SAFETY: lanes drop their staging once their streams are finished.
        unsafe { api::host_free(self.address) };
    }
}

/// Copies between host spans and staging segments.
///
/// # Safety
///
/// Both are valid for `bytes`, do not overlap, and are nobody else's during the call.
pub(super) unsafe fn copy(pool: &ThreadPool, dst: *mut u8, src: *const u8, bytes: u64) {
    let bytes = bytes as usize;
    if bytes < SHARED_COPY_BYTES || pool.current_num_threads() == 1 {
        // SAFETY: the caller's promise.
        unsafe { src.copy_to_nonoverlapping(dst, bytes) };
        return;
    }
    // SAFETY: the caller's promise; bytes that were never written may be copied as such.
    let (dst, src) = unsafe {
        (
            std::slice::from_raw_parts_mut(dst.cast::<MaybeUninit<u8>>(), bytes),
            std::slice::from_raw_parts(src.cast::<MaybeUninit<u8>>(), bytes),
        )
    };
    let piece = bytes.div_ceil(pool.current_num_threads()).next_multiple_of(4096);
    pool.install(|| {
        dst.par_chunks_mut(piece).zip(src.par_chunks(piece)).for_each(|(dst, src)| dst.copy_from_slice(src));
    });
}

/// The part of a host span that begins at `offset`.
pub(super) fn part(span: HostSpan, offset: u64) -> *mut u8 {
    assert!(offset < span.bytes);
    // SAFETY: inside of the span.
    unsafe { span.ptr.add(offset as usize) }
}

/// Bytes of idle blocks that are kept.
const KEEP_BYTES: u64 = 256 << 20;

/// Blocks for producers. Page-locking is slow, so blocks are kept and lent again.
#[derive(Debug)]
pub(super) struct Blocks {
    context: Arc<Context>,
    state: Mutex<State>,
    /// Bytes of staging buffers, which are no blocks.
    rings: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct State {
    /// Idle blocks by capacity, and bytes of them.
    idle: HashMap<u64, Vec<Idle>>,
    idle_bytes: u64,
    /// Bytes of blocks that are lent, and the most there have been.
    lent_bytes: u64,
    high_water: u64,
    /// The number that the next block is called by.
    next: u64,
}

#[derive(Debug)]
struct Idle {
    id: u64,
    address: *mut u8,
}

// SAFETY: an idle block is nobody's.
unsafe impl Send for Idle {}

/// Capacities come in four steps to each doubling, from 4 KiB on: at most a quarter is not used.
fn capacity(bytes: u64) -> u64 {
    let bytes = bytes.max(4096);
    bytes.next_multiple_of((bytes.next_power_of_two() / 8).max(1024))
}

impl Blocks {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self { context, state: Mutex::default(), rings: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block of `bytes`; the context is current. Where there is no more page-locked memory, idle blocks
    /// of other sizes go first.
    pub(super) fn lend(&self, bytes: u64) -> Result<HostBlock> {
        let capacity = capacity(bytes);
        let mut state = self.lock();
        let known = state.idle.get_mut(&capacity).and_then(Vec::pop);
        if known.is_some() {
            state.idle_bytes -= capacity;
        }
        state.next += 1;
        let id = state.next;
        drop(state);
        let block = match known {
            Some(idle) => HostBlock { id: idle.id, ptr: idle.address, bytes },
            None => HostBlock { id, ptr: self.in_need(|| api::host_alloc(capacity))?, bytes },
        };
        let mut state = self.lock();
        state.lent_bytes += capacity;
        state.high_water = state.high_water.max(state.lent_bytes);
        Ok(block)
    }

    /// Takes back a block that neither producer nor engine uses any more; the context is current.
    pub(super) fn give_back(&self, block: HostBlock) {
        let capacity = capacity(block.bytes);
        let mut state = self.lock();
        state.lent_bytes -= capacity;
        if state.idle_bytes + capacity > KEEP_BYTES {
            drop(state);
            // SAFETY: the block came from `lend`, and nobody uses it any more.
            unsafe { api::host_free(block.ptr) };
            return;
        }
        state.idle_bytes += capacity;
        state.idle.entry(capacity).or_default().push(Idle { id: block.id, address: block.ptr });
    }

    /// The staging buffer of one direction; the context is current. Where there is no more page-locked
    /// memory, idle blocks go first.
    pub(super) fn staging(&self) -> Result<Staging> {
        let address = self.in_need(|| api::host_alloc(STAGING_BYTES))?;
        self.rings.fetch_add(STAGING_BYTES, Relaxed);
        Ok(Staging { address, context: Arc::clone(&self.context), of_all: Arc::clone(&self.rings) })
    }

    /// Calls it again where it found no memory and idle blocks could be given back.
    fn in_need<T>(&self, call: impl Fn() -> Result<T>) -> Result<T> {
        match call() {
            Err(failure) if failure.is_out_of_memory() && self.reclaim() > 0 => call(),
            other => other,
        }
    }

    /// Gives idle blocks back to the system, and says how many bytes; the context is current.
    pub(super) fn reclaim(&self) -> u64 {
        let mut state = self.lock();
        let (idle, bytes) = (std::mem::take(&mut state.idle), std::mem::take(&mut state.idle_bytes));
        drop(state);
        for idle in idle.into_values().flatten() {
            // SAFETY: an idle block is nobody's.
            unsafe { api::host_free(idle.address) };
        }
        bytes
    }

    /// The blocks, and the staging buffers: those stay with the device from their first use on.
    pub(super) fn pools(&self) -> [PoolUse; 2] {
        let rings = self.rings.load(Relaxed);
        let state = self.lock();
        let blocks = PoolUse {
            name: "staging blocks",
            in_use_bytes: state.lent_bytes,
            idle_bytes: state.idle_bytes,
            high_water_bytes: state.high_water,
            idle_cap_bytes: Some(KEEP_BYTES),
        };
        let name = "staging rings";
        let rings =
            PoolUse { name, in_use_bytes: rings, idle_bytes: 0, high_water_bytes: rings, idle_cap_bytes: Some(0) };
        [blocks, rings]
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        let Ok(_entered) = self.context.enter() else { return };
        self.reclaim();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_at_most_a_third_larger_than_asked_and_keeps_its_class() {
        for bytes in [1, 4096, 4097, 65_536, 65_537, 1 << 20, (1 << 20) + 1, 3_000_000] {
            let capacity = capacity(bytes);
            assert!(capacity >= bytes);
            assert_eq!(super::capacity(capacity), capacity, "{bytes}");
            assert!(bytes < 4096 || capacity - bytes <= bytes / 3, "{bytes}: {capacity}");
        }
    }
}
