//! Device memory by number. Each is an allocation of its own; wgpu zeroes what is read before it
//! was written.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use wgpu::{Buffer, BufferDescriptor, BufferUsages};

use super::{gpu::Gpu, lock};
use crate::{backend::MemId, error::Result};

#[derive(Debug, Default)]
pub(super) struct Memory {
    next: AtomicU64,
    buffers: Mutex<HashMap<MemId, Buffer>>,
}

impl Memory {
    pub(super) fn alloc(&self, gpu: &Gpu, bytes: u64, label: Option<&str>) -> Result<MemId> {
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
        let descriptor = BufferDescriptor { label, size: bytes, usage, mapped_at_creation: false };
        let buffer =
            gpu.guard(|| gpu.device.create_buffer(&descriptor)).map_err(|fault| fault.error("create buffer", bytes))?;
        let mem = MemId(self.next.fetch_add(1, Relaxed));
        lock(&self.buffers).insert(mem, buffer);
        Ok(mem)
    }

    /// Drops our handle. wgpu frees the memory with the last submission that uses it; `destroy` is
    /// never called, because it can stall behind a thread that polls.
    pub(super) fn free(&self, mem: MemId) {
        let buffer = lock(&self.buffers).remove(&mem);
        drop(buffer);
    }

    pub(super) fn get(&self, mem: MemId) -> Buffer {
        lock(&self.buffers).get(&mem).expect("memory is freed after its last command").clone()
    }
}
