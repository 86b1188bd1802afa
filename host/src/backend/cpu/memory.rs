//! Device memory of the CPU device: aligned host memory reached by name.
#![expect(unsafe_code, reason = "buffers are reached by address from lanes that the machine keeps apart")]

use std::{
    any::Any,
    ptr, slice,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use rayon::prelude::*;

use crate::{
    backend::{HostBlock, HostSpan, MemId, Path, PoolUse, Region, heap::Heap},
    error::{Error, Result},
};

/// Copies of at least this many bytes are spread over the threads.
const PARALLEL_COPY: usize = 4 << 20;
/// Idle blocks that are kept for the next fill, and bytes of them.
const KEPT_BLOCKS: usize = 256;
const KEPT_BYTES: u64 = 256 << 20;

/// What is behind a [`MemId`].
#[derive(Debug)]
enum Memory {
    Own(Heap),
    /// A user's memory, and what keeps it alive.
    Imported(HostSpan, #[expect(dead_code, reason = "kept for its drop")] Box<dyn Any + Send + Sync>),
}

impl Memory {
    fn ptr(&self) -> *mut u8 {
        match self {
            Self::Own(heap) => heap.ptr(),
            Self::Imported(span, _) => span.ptr,
        }
    }
}

/// All memory of one CPU device.
///
/// Invariant, kept by the machine: while a command runs, no other command writes what it touches
/// nor touches what it writes, and what it touches is not freed (where the machine has given the device up,
/// nothing is: [`Memories::keep_all`]). Methods that take a [`Region`] rely
/// on it.
#[derive(Debug, Default)]
pub(in crate::backend) struct Memories {
    memories: Mutex<Slots<Memory>>,
    blocks: Mutex<Blocks>,
    /// Commands may be under way that nobody waits for: nothing is freed but with all of it.
    kept: AtomicBool,
}

/// Values by number; a number is used again once its value is gone.
#[derive(Debug)]
struct Slots<T> {
    values: Vec<Option<T>>,
    free: Vec<u64>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { values: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slots<T> {
    fn put(&mut self, value: T) -> u64 {
        let number = self.free.pop().unwrap_or_else(|| {
            self.values.push(None);
            self.values.len() as u64 - 1
        });
        self.values[number as usize] = Some(value);
        number
    }

    fn take(&mut self, number: u64) -> Option<T> {
        let value = self.values.get_mut(number as usize)?.take()?;
        self.free.push(number);
        Some(value)
    }

    fn get(&mut self, number: u64) -> Option<&mut T> {
        self.values.get_mut(number as usize)?.as_mut()
    }
}

#[derive(Debug, Default)]
struct Blocks {
    lent: Slots<Heap>,
    /// Bytes of those, and the most there have been.
    lent_bytes: u64,
    high_water: u64,
    idle: Vec<Heap>,
    idle_bytes: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn out_of_memory(bytes: u64) -> Error {
    let device = "cpu".into();
    Error::OutOfMemory { device, requested_bytes: bytes, in_use_bytes: 0, limit_bytes: None, evicted_bytes: None }
}

impl Memories {
    pub(in crate::backend) fn alloc(&self, bytes: u64) -> Result<MemId> {
        let heap = Heap::zeroed(bytes).ok_or_else(|| out_of_memory(bytes))?;
        Ok(MemId(lock(&self.memories).put(Memory::Own(heap))))
    }

    /// The machine has given the device up, and the threads have not.
    pub(in crate::backend) fn keep_all(&self) {
        self.kept.store(true, Relaxed);
    }

    /// Whether the device was given up.
    pub(in crate::backend) fn are_kept(&self) -> &AtomicBool {
        &self.kept
    }

    pub(in crate::backend) fn free(&self, mem: MemId) {
        if self.kept.load(Relaxed) {
            return;
        }
        let freed = lock(&self.memories).take(mem.0);
        drop(freed);
    }

    pub(in crate::backend) fn import(&self, span: HostSpan, keep: Box<dyn Any + Send + Sync>) -> Option<MemId> {
        // Kernels see their bindings as aligned to 16 bytes.
        if !span.ptr.addr().is_multiple_of(16) {
            return None;
        }
        Some(MemId(lock(&self.memories).put(Memory::Imported(span, keep))))
    }

    pub(in crate::backend) fn host_alloc(&self, bytes: u64) -> Result<HostBlock> {
        let mut blocks = lock(&self.blocks);
        let fits = blocks.idle.iter().position(|heap| heap.bytes() == bytes);
        let heap = match fits {
            Some(index) => {
                blocks.idle_bytes -= bytes;
                blocks.idle.swap_remove(index)
            }
            None => Heap::zeroed(bytes).ok_or_else(|| out_of_memory(bytes))?,
        };
        let ptr = heap.ptr();
        blocks.lent_bytes += heap.bytes();
        blocks.high_water = blocks.high_water.max(blocks.lent_bytes);
        Ok(HostBlock { id: blocks.lent.put(heap), ptr, bytes })
    }

    pub(in crate::backend) fn host_free(&self, block: HostBlock) {
        let mut blocks = lock(&self.blocks);
        let heap = blocks.take(block.id);
        let surplus = blocks.keep(heap);
        drop(blocks);
        drop(surplus);
    }

    /// Lets idle blocks go; answers how many bytes.
    pub(in crate::backend) fn reclaim(&self) -> u64 {
        let mut blocks = lock(&self.blocks);
        let (idle, bytes) = (std::mem::take(&mut blocks.idle), std::mem::take(&mut blocks.idle_bytes));
        drop(blocks);
        drop(idle);
        bytes
    }

    pub(in crate::backend) fn pool(&self) -> PoolUse {
        let blocks = lock(&self.blocks);
        PoolUse {
            name: "staging blocks",
            in_use_bytes: blocks.lent_bytes,
            idle_bytes: blocks.idle_bytes,
            high_water_bytes: blocks.high_water,
            idle_cap_bytes: Some(KEPT_BYTES),
        }
    }

    fn ptr(&self, region: Region) -> *mut u8 {
        let base = lock(&self.memories).get(region.mem.0).expect("a buffer in use is alive").ptr();
        base.wrapping_add(region.offset as usize)
    }

    /// The region's bytes, for a command that reads them.
    pub(in crate::backend) fn bytes(&self, region: Region) -> &[u8] {
        // SAFETY: alive and not written while the command runs (invariant of `Memories`).
        unsafe { slice::from_raw_parts(self.ptr(region), region.bytes as usize) }
    }

    /// The region's bytes, for the one command that writes them.
    #[expect(clippy::mut_from_ref, reason = "exclusive by the machine's order, see `Memories`")]
    pub(in crate::backend) fn bytes_mut(&self, region: Region) -> &mut [u8] {
        // SAFETY: alive and touched by no other command while this one runs (invariant of
        // `Memories`); one command asks once for each of its regions, which do not overlap.
        unsafe { slice::from_raw_parts_mut(self.ptr(region), region.bytes as usize) }
    }

    /// Whether [`Memories::adopt`] would make the block the region's memory.
    pub(in crate::backend) fn adopts(&self, block: &HostBlock, dst: Region) -> bool {
        let mut memories = lock(&self.memories);
        matches!(memories.get(dst.mem.0), Some(Memory::Own(own)) if dst.offset == 0 && own.bytes() == block.bytes)
    }

    /// Whether that moves nothing and frees nothing.
    pub(in crate::backend) fn adopts_for_nothing(&self, block: &HostBlock, dst: Region) -> bool {
        self.adopts(block, dst) && lock(&self.blocks).has_room(block.bytes)
    }

    /// Makes the block the region's memory where it covers the whole allocation, else copies.
    pub(in crate::backend) fn adopt(&self, block: HostBlock, dst: Region) -> Path {
        let heap = lock(&self.blocks).take(block.id);
        let mut memories = lock(&self.memories);
        let memory = memories.get(dst.mem.0).expect("a buffer in use is alive");
        let (old, path) = match memory {
            Memory::Own(own) if dst.offset == 0 && own.bytes() == heap.bytes() => {
                (std::mem::replace(own, heap), Path::Direct)
            }
            _ => {
                drop(memories);
                self.write_bytes(dst, &block.as_slice()[..dst.bytes as usize]);
                (heap, Path::Filled)
            }
        };
        let surplus = lock(&self.blocks).keep(old);
        drop(surplus);
        path
    }

    fn write_bytes(&self, dst: Region, bytes: &[u8]) {
        self.bytes_mut(dst).copy_from_slice(bytes);
    }

    pub(in crate::backend) fn write(&self, dst: Region, src: HostSpan, pool: &rayon::ThreadPool) {
        // SAFETY: valid for reads until this command's end is handled (invariant of `HostSpan`).
        let src = unsafe { slice::from_raw_parts(src.ptr, src.bytes as usize) };
        copy(self.bytes_mut(dst), src, pool);
    }

    /// Uploads of few bytes, in their order and under one lock: to take it for each would cost as much as to copy.
    pub(in crate::backend) fn write_small(&self, uploads: impl IntoIterator<Item = (Region, HostSpan)>) {
        let mut memories = lock(&self.memories);
        for (dst, src) in uploads {
            assert_eq!(src.bytes, dst.bytes, "what is carried is as long as where it goes");
            let base = memories.get(dst.mem.0).expect("a buffer in use is alive").ptr();
            // SAFETY: the source is valid for reads until this command's end is handled (invariant of `HostSpan`)
            // and is the host's; the destination is alive, has so many bytes, and is touched by no other command
            // while this one runs (invariant of `Memories`).
            unsafe { ptr::copy_nonoverlapping(src.ptr, base.wrapping_add(dst.offset as usize), dst.bytes as usize) };
        }
    }

    pub(in crate::backend) fn read(&self, src: Region, dst: HostSpan, pool: &rayon::ThreadPool) {
        // SAFETY: valid for writes and nobody else's until this command's end is handled.
        let dst = unsafe { slice::from_raw_parts_mut(dst.ptr, dst.bytes as usize) };
        copy(dst, self.bytes(src), pool);
    }

    pub(in crate::backend) fn copy(&self, src: Region, dst: Region) {
        // SAFETY: both regions are alive for the command and do not overlap (contract of `Op`).
        unsafe { ptr::copy_nonoverlapping(self.ptr(src), self.ptr(dst), src.bytes as usize) };
    }

    pub(in crate::backend) fn clear(&self, dst: Region) {
        self.bytes_mut(dst).fill(0);
    }
}

impl Blocks {
    /// The memory of a block that comes back, which it does once.
    fn take(&mut self, id: u64) -> Heap {
        let heap = self.lent.take(id).expect("a block is lent until it comes back");
        self.lent_bytes -= heap.bytes();
        heap
    }

    /// Whether so many bytes more are kept.
    fn has_room(&self, bytes: u64) -> bool {
        self.idle.len() < KEPT_BLOCKS && self.idle_bytes + bytes <= KEPT_BYTES
    }

    /// Gives the block back where enough are kept: freeing memory takes time, which the lock is not held
    /// for.
    #[must_use]
    fn keep(&mut self, heap: Heap) -> Option<Heap> {
        if !self.has_room(heap.bytes()) {
            return Some(heap);
        }
        self.idle_bytes += heap.bytes();
        self.idle.push(heap);
        None
    }
}

fn copy(dst: &mut [u8], src: &[u8], pool: &rayon::ThreadPool) {
    if dst.len() < PARALLEL_COPY {
        return dst.copy_from_slice(src);
    }
    let piece = dst.len().div_ceil(pool.current_num_threads()).next_multiple_of(4096);
    pool.install(|| {
        dst.par_chunks_mut(piece).zip(src.par_chunks(piece)).for_each(|(dst, src)| dst.copy_from_slice(src));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|i| (i * 7 + 1) as u8).collect()
    }

    #[test]
    fn bytes_go_where_they_are_sent() -> Result<()> {
        let memories = Memories::default();
        let (a, b) = (memories.alloc(100)?, memories.alloc(100)?);
        let region = |mem, offset, bytes| Region { mem, offset, bytes };
        assert!(memories.bytes(region(a, 0, 100)).iter().all(|&byte| byte == 0), "device memory begins as zeroes");
        memories.write_bytes(region(a, 20, 40), &numbers(40));
        memories.copy(region(a, 20, 40), region(b, 60, 40));
        memories.clear(region(b, 60, 4));
        let expected: Vec<u8> = [0; 64].into_iter().chain(numbers(40).split_off(4)).collect();
        assert_eq!(memories.bytes(region(b, 0, 100)), expected);
        memories.free(a);
        assert_eq!(memories.alloc(8)?, a, "a number is used again");
        Ok(())
    }

    #[test]
    fn a_block_that_covers_a_buffer_becomes_its_memory() -> Result<()> {
        let memories = Memories::default();
        let mem = memories.alloc(64)?;
        for (bytes, offset, path) in [(64, 0, Path::Direct), (32, 0, Path::Filled), (32, 32, Path::Filled)] {
            let mut block = memories.host_alloc(bytes)?;
            block.as_mut_slice().copy_from_slice(&numbers(bytes as usize));
            let dst = Region { mem, offset, bytes };
            assert_eq!(memories.adopts(&block, dst), path == Path::Direct);
            assert_eq!(memories.adopt(block, dst), path);
            assert_eq!(memories.bytes(dst), numbers(bytes as usize));
        }
        Ok(())
    }

    #[test]
    fn memory_of_the_users_is_used_where_it_lies() -> Result<()> {
        let memories = Memories::default();
        let mut block = Heap::zeroed(32).expect("there is memory").into_block();
        block.as_mut_slice().copy_from_slice(&numbers(32));
        let span = HostSpan { ptr: block.ptr, bytes: 32, pinned: false };
        let mem = memories.import(span, Box::new(())).expect("aligned");
        let off = HostSpan { ptr: block.ptr.wrapping_add(4), bytes: 16, pinned: false };
        assert!(memories.import(off, Box::new(())).is_none(), "kernels see bindings at multiples of 16");
        memories.write_bytes(Region { mem, offset: 8, bytes: 4 }, &[1, 2, 3, 4]);
        assert_eq!(block.as_slice()[8..12], [1, 2, 3, 4]);
        memories.free(mem);
        // SAFETY: the block is of `into_block`, and what used its address is gone.
        drop(unsafe { Heap::from_block(block) });
        Ok(())
    }
}
