//! Mapped memory that uploads start from, lent and used again.
//!
//! A block is in one hand at a time: in the pool, mapped; lent, mapped; or with the device, unmapped.
//! From the device it comes back mapped, through the driver's callback, and only then into the pool:
//! a block that is still in use cannot be lent.
#![expect(unsafe_code, reason = "mapped memory is named by its address")]

use std::{
    collections::{BTreeMap, HashMap},
    ptr::NonNull,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use wgpu::{Buffer, BufferDescriptor, BufferUsages, MapMode};

use super::{
    gpu::{Fault, Gpu},
    lock,
};
use crate::{
    backend::{HostBlock, PoolUse},
    error::Result,
};

/// Bytes of one chunk that pageable uploads go through, and of all such chunks. Small rings win: what
/// costs is the memory that is touched, not the depth.
pub(super) const CHUNK_BYTES: u64 = 4 << 20;
const RING_BYTES: u64 = 4 * CHUNK_BYTES;
const SMALLEST: u64 = 64 << 10;
const ALIGN: u64 = 64;
/// Bytes of unused blocks that are kept.
const KEEP_BYTES: u64 = 256 << 20;

/// One mapped buffer.
///
/// Invariant: while the block is in the pool, or lent and no part of it was sent, the buffer is mapped
/// for writing and `ptr..ptr + capacity` lies in the mapping, aligned to 64.
#[derive(Debug)]
pub(super) struct Block {
    id: u64,
    pub(super) buffer: Buffer,
    ptr: NonNull<u8>,
    /// Where `ptr` is in the buffer.
    pub(super) offset: u64,
    pub(super) capacity: u64,
    /// Counts against the ring.
    ring: bool,
    /// No part of it was sent since it was lent.
    mapped: bool,
}

// SAFETY: the pointer is an address in the buffer's mapping, which any thread may use.
unsafe impl Send for Block {}

impl Block {
    /// Copies `bytes` to `at`.
    ///
    /// # Safety
    /// `src` is valid for reads of `bytes`, and `at + bytes <= capacity`.
    pub(super) unsafe fn write(&mut self, at: u64, src: *const u8, bytes: u64) {
        debug_assert!(at + bytes <= self.capacity);
        // SAFETY: the mapping holds `at..at + bytes` (invariant and caller), and nobody else has it.
        unsafe { std::ptr::copy_nonoverlapping(src, self.ptr.as_ptr().add(at as usize), bytes as usize) };
    }

    /// Finds the address again after the buffer was mapped.
    fn locate(&mut self) -> bool {
        let Some(ptr) = mapped(&self.buffer) else { return false };
        (self.ptr, self.offset) = align(ptr);
        self.mapped = true;
        true
    }
}

fn mapped(buffer: &Buffer) -> Option<NonNull<u8>> {
    let mut view = buffer.get_mapped_range_mut(..).ok()?;
    Some(view.slice(..).as_raw_element_ptr())
}

/// The first aligned address, and how far on it is.
fn align(ptr: NonNull<u8>) -> (NonNull<u8>, u64) {
    let offset = ptr.align_offset(ALIGN as usize);
    // SAFETY: every buffer is longer than what is used of it by `ALIGN`.
    (unsafe { ptr.add(offset) }, offset as u64)
}

#[derive(Debug)]
pub(super) struct Staging {
    gpu: Arc<Gpu>,
    pool: Mutex<Pool>,
    returned: Condvar,
}

#[derive(Debug, Default)]
struct Pool {
    next: u64,
    /// Mapped and unused, by capacity.
    free: BTreeMap<u64, Vec<Block>>,
    free_bytes: u64,
    lent: HashMap<u64, Block>,
    /// Bytes of ring chunks that are not free.
    ring_bytes: u64,
    /// Bytes of all blocks that are not free, and the most there have been.
    used_bytes: u64,
    high_water: u64,
}

impl Pool {
    fn lend(&mut self, bytes: u64) {
        self.used_bytes += bytes;
        self.high_water = self.high_water.max(self.used_bytes);
    }
}

impl Staging {
    pub(super) fn new(gpu: Arc<Gpu>) -> Self {
        Self { gpu, pool: Mutex::default(), returned: Condvar::new() }
    }

    /// Lends a block of at least `bytes` to the caller of the backend.
    pub(super) fn lend(&self, bytes: u64) -> Result<HostBlock> {
        let block = self.block(bytes).map_err(|fault| fault.error("map staging memory", bytes))?;
        let lent = HostBlock { id: block.id, ptr: block.ptr.as_ptr(), bytes };
        lock(&self.pool).lent.insert(block.id, block);
        Ok(lent)
    }

    /// Takes a lent block back, of which nothing is on its way.
    pub(super) fn put_back(self: &Arc<Self>, id: u64) {
        let block = self.reclaim(id);
        if block.mapped {
            return self.store(block);
        }
        self.recycle(block);
        // Its buffer is idle: the driver only has to be asked.
        self.gpu.poll();
    }

    /// Where the part of a lent block is that begins at `offset`. From the first part on the block is the
    /// device's to read, and not mapped.
    pub(super) fn part(&self, id: u64, offset: u64) -> (Buffer, u64) {
        let mut pool = lock(&self.pool);
        let block = pool.lent.get_mut(&id).expect("a block is lent until its message is resolved");
        let first = std::mem::take(&mut block.mapped);
        let (buffer, offset) = (block.buffer.clone(), block.offset + offset);
        drop(pool);
        if first {
            buffer.unmap();
        }
        (buffer, offset)
    }

    /// The lent block of this number, which the borrower has given up.
    pub(super) fn reclaim(&self, id: u64) -> Block {
        lock(&self.pool).lent.remove(&id).expect("a block is lent once")
    }

    /// A chunk of the ring with room for `bytes`, or for as many as a chunk has. `None` where the ring
    /// is all with the device.
    pub(super) fn chunk(&self, bytes: u64) -> std::result::Result<Option<Block>, Fault> {
        let capacity = class(bytes.min(CHUNK_BYTES));
        {
            let mut pool = lock(&self.pool);
            if pool.ring_bytes + capacity > RING_BYTES {
                return Ok(None);
            }
            pool.ring_bytes += capacity;
        }
        match self.block(capacity) {
            Ok(block) => Ok(Some(Block { ring: true, ..block })),
            Err(fault) => {
                lock(&self.pool).ring_bytes -= capacity;
                Err(fault)
            }
        }
    }

    /// Waits a little for a block to come back.
    pub(super) fn wait(&self) {
        self.gpu.poll();
        let pool = lock(&self.pool);
        if pool.ring_bytes > 0 {
            let waited = self.returned.wait_timeout(pool, Duration::from_millis(1));
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
    }

    fn block(&self, bytes: u64) -> std::result::Result<Block, Fault> {
        let capacity = class(bytes);
        let mut pool = lock(&self.pool);
        if let Some(block) = pool.free.get_mut(&capacity).and_then(Vec::pop) {
            pool.free_bytes -= capacity;
            pool.lend(capacity);
            return Ok(block);
        }
        pool.next += 1;
        let id = pool.next;
        drop(pool);
        let descriptor = BufferDescriptor {
            label: Some("staging"),
            size: capacity + ALIGN,
            usage: BufferUsages::MAP_WRITE | BufferUsages::COPY_SRC,
            mapped_at_creation: true,
        };
        let create = || {
            let buffer = self.gpu.device.create_buffer(&descriptor);
            let (ptr, offset) = align(mapped(&buffer)?);
            Some(Block { id, buffer, ptr, offset, capacity, ring: false, mapped: true })
        };
        let made = self.gpu.guard_memory(capacity, || self.let_go(), create)?;
        // So it is on a lost device, where no error scope says why.
        let block = made.ok_or_else(|| Fault::Failed("the driver did not map the new buffer".into()))?;
        lock(&self.pool).lend(capacity);
        Ok(block)
    }

    /// Lets idle blocks go; answers how many bytes.
    pub(super) fn let_go(&self) -> u64 {
        let mut pool = lock(&self.pool);
        let (free, bytes) = (std::mem::take(&mut pool.free), std::mem::take(&mut pool.free_bytes));
        drop(pool);
        drop(free);
        self.gpu.poll();
        bytes
    }

    pub(super) fn pool(&self) -> PoolUse {
        let pool = lock(&self.pool);
        PoolUse {
            name: "staging blocks",
            in_use_bytes: pool.used_bytes,
            idle_bytes: pool.free_bytes,
            high_water_bytes: pool.high_water,
            idle_cap_bytes: Some(KEEP_BYTES),
        }
    }

    /// A mapped block into the pool.
    fn store(&self, block: Block) {
        let mut pool = lock(&self.pool);
        pool.used_bytes -= block.capacity;
        if block.ring {
            pool.ring_bytes -= block.capacity;
        }
        let surplus = if pool.free_bytes + block.capacity <= KEEP_BYTES {
            pool.free_bytes += block.capacity;
            let capacity = block.capacity;
            pool.free.entry(capacity).or_default().push(Block { ring: false, ..block });
            None
        } else {
            Some(block)
        };
        drop(pool);
        self.returned.notify_all();
        drop(surplus);
    }

    /// A block that was submitted: it comes back into the pool when the device has read it.
    pub(super) fn recycle(self: &Arc<Self>, block: Block) {
        let buffer = block.buffer.clone();
        let returning = Returning { block: Some(block), staging: self.clone() };
        buffer.map_async(MapMode::Write, .., move |_| drop(returning));
    }
}

/// A block on its way back. It arrives by being dropped, whatever becomes of the driver's answer: what
/// counts is whether the buffer is mapped then.
struct Returning {
    block: Option<Block>,
    staging: Arc<Staging>,
}

impl Drop for Returning {
    fn drop(&mut self) {
        let Some(mut block) = self.block.take() else { return };
        if block.locate() {
            self.staging.store(block);
        } else {
            let mut pool = lock(&self.staging.pool);
            pool.used_bytes -= block.capacity;
            pool.ring_bytes -= if block.ring { block.capacity } else { 0 };
            drop(pool);
            self.staging.returned.notify_all();
        }
    }
}

/// Capacities are powers of two and three quarter-steps between them, so that a block serves requests
/// of about its size and wastes at most a quarter.
fn class(bytes: u64) -> u64 {
    let bytes = bytes.max(SMALLEST);
    let step = (bytes.next_power_of_two() / 8).max(1);
    bytes.next_multiple_of(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_holds_its_request_and_wastes_little() {
        for bytes in [0, 1, SMALLEST, SMALLEST + 1, 1 << 20, (1 << 20) + 1, CHUNK_BYTES, (64 << 20) + 4] {
            let class = class(bytes);
            assert!(class >= bytes);
            assert!(class <= (bytes + bytes / 4).max(SMALLEST), "{bytes} -> {class}");
        }
        assert_eq!(class(CHUNK_BYTES), CHUNK_BYTES);
    }
}
