//! The counts of a device.

use std::sync::atomic::Ordering::Relaxed;

use crate::{device::Device, evict::Evictor};

/// Counts of a device, all taken at one moment:
/// `accepted == delivered + detached_ok + dead_lettered + in_flight`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Messages accepted by its queues.
    pub accepted: u64,
    /// Messages whose completion was collected.
    pub delivered: u64,
    /// Messages that succeeded after their ticket was dropped.
    pub detached_ok: u64,
    /// Messages that failed after their ticket was dropped.
    pub dead_lettered: u64,
    /// Messages that are unresolved, or resolved and not collected.
    pub in_flight: u64,
    /// Those of `in_flight` that are resolved.
    pub uncollected: u64,
    /// Dead letters that made room for newer ones.
    pub dead_letters_lost: u64,
    /// Host buffers that a lost device may still touch; they are never freed.
    pub leaked_buffers: u64,
    /// Callbacks that panicked.
    pub callback_panics: u64,
    /// Bytes of staging memory lent out by [`Upload::reserve`](crate::Upload::reserve) and not yet back.
    pub staging_bytes: u64,
    /// The most there has been.
    pub staging_high_water_bytes: u64,
    /// Bytes of device memory that buffers hold; [`Device::pools`] says who holds what besides.
    pub buffer_bytes: u64,
    /// Bytes of host memory with the contents of buffers that were evicted: see [`Device::buffer`].
    pub evicted_bytes: u64,
    /// How often a buffer was evicted.
    pub evictions: u64,
    /// How often the contents of one came back.
    pub restores: u64,
    /// Messages that were accepted for that, on a queue of the device's own called `evict`: tries that failed are among
    /// them, and all of them are among `accepted`, and among `delivered` once they are resolved.
    pub moves: u64,
}

impl Device {
    /// Its counts.
    pub fn stats(&self) -> Stats {
        let shared = &self.inner.engine.shared;
        let core = shared.lock();
        let moved = self.inner.evictor.as_ref().map(Evictor::counts);
        let (staging_bytes, staging_high_water_bytes) = shared.staging.report();
        Stats {
            accepted: core.ledger.accepted,
            delivered: core.ledger.delivered,
            detached_ok: core.ledger.detached_ok,
            dead_lettered: core.ledger.dead_lettered,
            in_flight: core.ledger.in_flight,
            uncollected: core.ledger.uncollected,
            dead_letters_lost: core.dead.overflowed,
            leaked_buffers: core.ledger.leaked_buffers,
            callback_panics: shared.callback_panics.load(Relaxed),
            staging_bytes,
            staging_high_water_bytes,
            buffer_bytes: self.inner.in_use.now(),
            evicted_bytes: moved.map_or(0, |counts| counts.on_host.now()),
            evictions: moved.map_or(0, |counts| counts.evictions.load(Relaxed)),
            restores: moved.map_or(0, |counts| counts.restores.load(Relaxed)),
            moves: moved.map_or(0, |counts| counts.moves.load(Relaxed)),
        }
    }
}
