//! Mapped memory that downloads end in, used again.
#![expect(unsafe_code, reason = "results are copied to host memory that the message owns")]

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use wgpu::{Buffer, BufferDescriptor, BufferUsages, MapMode};

use super::{
    gpu::{Fault, Gpu, Signal},
    lock,
};
use crate::backend::{HostSpan, PoolUse, Token};

/// Longest piece of a download: while one is copied out the device copies the next.
pub(super) const PIECE_BYTES: u64 = 4 << 20;
/// Bytes of pieces that are not free, at most.
const RING_BYTES: u64 = 32 << 20;
const SMALLEST: u64 = 16 << 10;

const WITH_DEVICE: u8 = 0;
const ANSWERED: u8 = 1;
const REFUSED: u8 = 2;

/// A piece of a download on its way. Dropping it gives its buffer up.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) token: Token,
    pub(super) buffer: Buffer,
    capacity: u64,
    dst: *mut u8,
    bytes: u64,
    state: Arc<AtomicU8>,
}

// SAFETY: `dst` points into host memory that is the command's alone until its event was handled.
unsafe impl Send for Piece {}

/// What has become of a piece.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    NotYet,
    Here,
    Never,
}

/// Tells the reaping thread that the driver has answered. It does so by being dropped, so that an
/// answer which wgpu drops on its way is an answer too: whether the buffer is mapped shows when it
/// is read.
struct News {
    state: Arc<AtomicU8>,
    signal: Arc<Signal>,
}

impl Drop for News {
    fn drop(&mut self) {
        let _ = self.state.compare_exchange(WITH_DEVICE, ANSWERED, Ordering::Release, Ordering::Relaxed);
        self.signal.wake();
    }
}

impl Piece {
    /// Asks for the piece to be mapped, once it was submitted.
    pub(super) fn expect(&self, gpu: &Gpu) {
        let news = News { state: self.state.clone(), signal: gpu.signal.clone() };
        self.buffer.map_async(MapMode::Read, 0..self.bytes, move |result| {
            if result.is_err() {
                news.state.store(REFUSED, Ordering::Release);
            }
            drop(news);
        });
    }

    pub(super) fn arrival(&self) -> Arrival {
        match self.state.load(Ordering::Acquire) {
            WITH_DEVICE => Arrival::NotYet,
            ANSWERED => Arrival::Here,
            _ => Arrival::Never,
        }
    }
}

#[derive(Debug)]
pub(super) struct Readbacks {
    gpu: Arc<Gpu>,
    pool: Mutex<Pool>,
    returned: Condvar,
}

#[derive(Debug, Default)]
struct Pool {
    free: BTreeMap<u64, Vec<Buffer>>,
    busy_bytes: u64,
    high_water: u64,
}

impl Pool {
    fn idle_bytes(&self) -> u64 {
        self.free.iter().map(|(capacity, buffers)| capacity * buffers.len() as u64).sum()
    }
}

impl Readbacks {
    pub(super) fn new(gpu: Arc<Gpu>) -> Self {
        Self { gpu, pool: Mutex::default(), returned: Condvar::new() }
    }

    /// A piece for bytes `from..from + bytes` of the download. `None` where too many are on their way.
    pub(super) fn piece(
        &self,
        token: Token,
        dst: HostSpan,
        from: u64,
        bytes: u64,
    ) -> std::result::Result<Option<Piece>, Fault> {
        debug_assert!(from + bytes <= dst.bytes && bytes <= PIECE_BYTES);
        let capacity = bytes.max(SMALLEST).next_power_of_two();
        let mut pool = lock(&self.pool);
        if pool.busy_bytes + capacity > RING_BYTES {
            return Ok(None);
        }
        pool.busy_bytes += capacity;
        pool.high_water = pool.high_water.max(pool.busy_bytes);
        let known = pool.free.get_mut(&capacity).and_then(Vec::pop);
        drop(pool);
        let buffer = known.map_or_else(|| self.create(capacity), Ok).inspect_err(|_| {
            lock(&self.pool).busy_bytes -= capacity;
        })?;
        // SAFETY: the span has `dst.bytes` bytes, and `from` is within them.
        let dst = unsafe { dst.ptr.add(from as usize) };
        Ok(Some(Piece { token, buffer, capacity, dst, bytes, state: Arc::new(AtomicU8::new(WITH_DEVICE)) }))
    }

    fn create(&self, capacity: u64) -> std::result::Result<Buffer, Fault> {
        let descriptor = BufferDescriptor {
            label: Some("readback"),
            size: capacity,
            usage: BufferUsages::MAP_READ | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        };
        self.gpu.guard_memory(capacity, || self.reclaim(), || self.gpu.device.create_buffer(&descriptor))
    }

    /// Lets idle pieces go; answers how many bytes.
    pub(super) fn reclaim(&self) -> u64 {
        let mut pool = lock(&self.pool);
        let (bytes, free) = (pool.idle_bytes(), std::mem::take(&mut pool.free));
        drop(pool);
        drop(free);
        self.gpu.poll();
        bytes
    }

    pub(super) fn pool(&self) -> PoolUse {
        let pool = lock(&self.pool);
        PoolUse {
            name: "readback",
            in_use_bytes: pool.busy_bytes,
            idle_bytes: pool.idle_bytes(),
            high_water_bytes: pool.high_water,
            idle_cap_bytes: None,
        }
    }

    /// Waits a little for a piece to come back.
    pub(super) fn wait(&self) {
        let pool = lock(&self.pool);
        if pool.busy_bytes > 0 {
            let waited = self.returned.wait_timeout(pool, Duration::from_millis(1));
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Copies a mapped piece to its place and keeps its buffer; `false` where it cannot be read.
    pub(super) fn deliver(&self, piece: Piece) -> bool {
        let delivered = match piece.buffer.get_mapped_range(0..piece.bytes) {
            Ok(view) => {
                // SAFETY: `dst..dst + bytes` is valid for writes and nobody else's until the event of
                // this command was handled, and that event comes after this.
                unsafe { std::ptr::copy_nonoverlapping(view.as_ptr(), piece.dst, piece.bytes as usize) };
                true
            }
            Err(_) => false,
        };
        self.give_up(piece, delivered);
        delivered
    }

    /// The end of a piece; its buffer is used again if it is whole.
    pub(super) fn give_up(&self, piece: Piece, mapped: bool) {
        if mapped {
            piece.buffer.unmap();
        }
        let mut pool = lock(&self.pool);
        pool.busy_bytes -= piece.capacity;
        if mapped {
            pool.free.entry(piece.capacity).or_default().push(piece.buffer);
        }
        drop(pool);
        self.returned.notify_all();
    }
}
