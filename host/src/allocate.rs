//! Device memory for buffers: what is tried before there is none, and who holds how much.

use std::{
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use crate::{
    backend::{MemId, PoolUse},
    buffer::Allocation,
    device::Device,
    error::{Error, Result},
    evict::{Evictor, Residence},
};

/// Bytes that every allocation has, so that it can be bound: an empty buffer too.
pub(crate) const LEAST_BYTES: u64 = 16;
/// How long an allocation that finds no memory waits for buffers that were dropped in flight, and how long
/// it pauses between two looks. What they wait for may be the caller's to do: so it does not wait for ever.
const PATIENCE: Duration = Duration::from_millis(200);
const PAUSE: Duration = Duration::from_millis(1);
/// How much longer it waits for what is the device's own to do, such as an eviction, after which that is held for stuck,
/// and how long it pauses then.
const EVICTION: Duration = Duration::from_secs(10);
const EVICTION_PAUSE: Duration = Duration::from_micros(50);
/// Downloads of evictions that may fail before it gives up.
const MOST_FAILURES: u64 = 4;
/// Looks after the last message is resolved: its memory is freed a moment later.
const LAST_LOOKS: u32 = 3;

/// Bytes in use, and the most there have been.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    now: AtomicU64,
    high_water: AtomicU64,
}

impl Usage {
    pub(crate) fn add(&self, bytes: u64) {
        let now = self.now.fetch_add(bytes, Relaxed) + bytes;
        self.high_water.fetch_max(now, Relaxed);
    }

    pub(crate) fn remove(&self, bytes: u64) {
        self.now.fetch_sub(bytes, Relaxed);
    }

    pub(crate) fn now(&self) -> u64 {
        self.now.load(Relaxed)
    }

    pub(crate) fn high_water(&self) -> u64 {
        self.high_water.load(Relaxed)
    }
}

impl Device {
    /// Gives back memory that is kept only to be used again: idle staging and pinned memory, scratch of
    /// plans. Answers how many bytes. An allocation that finds no memory does so by itself; call it before
    /// another program, or another device, needs the memory.
    pub fn reclaim(&self) -> u64 {
        let mut kept = self.inner.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let scratch = std::mem::take(&mut *kept);
        drop(kept);
        scratch.values().map(|allocation| allocation.charged).sum::<u64>() + self.inner.backend.reclaim()
    }

    /// What each pool of memory of this device holds.
    pub fn pools(&self) -> Vec<PoolUse> {
        let kept = self.inner.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let scratch = kept.values().map(|allocation| allocation.charged).sum();
        drop(kept);
        let in_use = &self.inner.in_use;
        let mut pools = vec![PoolUse {
            name: "buffers",
            in_use_bytes: in_use.now().saturating_sub(scratch),
            idle_bytes: 0,
            high_water_bytes: in_use.high_water(),
            idle_cap_bytes: Some(0),
        }];
        let name = "scratch of plans";
        pools.push(PoolUse {
            name,
            in_use_bytes: 0,
            idle_bytes: scratch,
            high_water_bytes: scratch,
            idle_cap_bytes: None,
        });
        pools.extend(self.inner.evictor.as_ref().map(Evictor::pool));
        self.inner.backend.pools(&mut pools);
        pools
    }

    pub(crate) fn allocate(&self, bytes: u64, name: Option<&str>) -> Result<Allocation> {
        let rounded = self.within_limit(bytes)?;
        let mem = self.find(rounded, name).map_err(|e| self.with_usage(e))?;
        Ok(self.own(mem, bytes, rounded, name, false))
    }

    /// The same for a buffer that may be evicted, where the device evicts.
    pub(crate) fn allocate_movable(&self, bytes: u64, name: Option<&str>) -> Result<Arc<Allocation>> {
        let rounded = self.within_limit(bytes)?;
        let mem = self.find(rounded, name).map_err(|e| self.with_usage(e))?;
        // An empty one is its padding alone.
        let evictor = self.inner.evictor.as_ref().filter(|_| bytes > 0);
        let allocation = Arc::new(self.own(mem, bytes, rounded, name, evictor.is_some()));
        if let Some(evictor) = evictor {
            evictor.add(&allocation);
        }
        Ok(allocation)
    }

    /// Where there is no memory at first, takes back what is idle, then waits for what is on its way back, then
    /// evicts to the host.
    pub(crate) fn find(&self, bytes: u64, name: Option<&str>) -> Result<MemId> {
        let alloc = || self.inner.engine.shared.memory.alloc(bytes, name);
        match alloc() {
            Err(Error::OutOfMemory { .. }) => {}
            other => return other,
        }
        self.reclaim();
        let shared = &self.inner.engine.shared;
        let begun = Instant::now();
        let mut end = begun + PATIENCE;
        let mut looks = LAST_LOOKS;
        let mut before = self.seen_moved();
        let most_failed = before.failed + MOST_FAILURES - 1;
        loop {
            // All of this from before the look: what comes free meanwhile is found by the next.
            let stats = self.stats();
            let is_coming = shared.brings_memory();
            looks = if is_coming || stats.in_flight > stats.uncollected { LAST_LOOKS } else { looks - 1 };
            let seen = self.seen_moved();
            let error = match alloc() {
                Err(error @ Error::OutOfMemory { .. }) => error,
                other => return other,
            };
            let now = Instant::now();
            if seen.evictions > before.evictions || (is_coming && now < begun + EVICTION) {
                end = now + PATIENCE;
            }
            before = seen;
            let pause = if self.make_room(&error, bytes, seen, most_failed) {
                looks = LAST_LOOKS;
                if now >= end + EVICTION {
                    return Err(error);
                }
                EVICTION_PAUSE
            } else if looks == 0 || now >= end {
                return Err(error);
            } else {
                PAUSE
            };
            shared.pause_before_a_look(pause);
        }
    }

    /// The bytes rounded up to what can be bound.
    fn within_limit(&self, bytes: u64) -> Result<u64> {
        let limit = self.capabilities().max_buffer_bytes;
        let rounded = bytes.max(LEAST_BYTES).checked_next_multiple_of(16).unwrap_or(u64::MAX);
        if rounded > limit {
            let what = format!("a buffer on {}", self.id());
            return Err(Error::Limit { what, limit_name: "max_buffer_bytes", requested: bytes, limit });
        }
        Ok(rounded)
    }

    pub(crate) fn with_usage(&self, error: Error) -> Error {
        match error {
            Error::OutOfMemory { device, requested_bytes, in_use_bytes, limit_bytes, .. } => {
                let in_use_bytes = in_use_bytes.max(self.inner.in_use.now());
                let evicted_bytes = self.inner.evictor.as_ref().map(|evictor| evictor.counts().on_host.now());
                Error::OutOfMemory { device, requested_bytes, in_use_bytes, limit_bytes, evicted_bytes }
            }
            other => other,
        }
    }

    /// An owner for device memory; imported memory is charged with nothing and only read.
    pub(crate) fn own(&self, mem: MemId, bytes: u64, charged: u64, name: Option<&str>, is_movable: bool) -> Allocation {
        let (engine, in_use) = (self.inner.engine.clone(), self.inner.in_use.clone());
        in_use.add(charged);
        let number = self.inner.buffers.fetch_add(1, Relaxed);
        let name: Arc<str> = name.map_or_else(|| format!("buffer {number}").into(), Into::into);
        let resource = engine.register(mem, name.clone(), bytes);
        let residence = Residence::new(mem, resource, is_movable);
        Allocation { engine, residence, name, bytes, read_only: charged == 0, charged, in_use }
    }
}
