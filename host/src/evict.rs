//! Contents of buffers that are moved to the host where a device is short of memory, and back when they are
//! needed.
//!
//! **Out.** An allocation that finds no memory has the least recently used buffers downloaded, as many as it
//! takes, by messages on a queue of the device's own; when such a message is resolved, the buffer's device
//! memory is freed. A buffer may go while nothing but its handle holds it: no unresolved message, no message
//! that is not sent yet, no graph, no fill. A part that a failed message has left without data keeps its buffer,
//! so that it stays failed.
//!
//! **Back.** Who describes a message on an evicted buffer first finds device memory for it, which may evict
//! others, and then sends the contents ahead, unless the message overwrites all of them: an upload like any other,
//! after which the order of accesses puts the message. The copy on the host is kept until that upload has gone
//! well. If it fails, the message fails with it, and the next that is described sends the contents again.
//!
//! Nobody waits for somebody else's eviction or return while a lock is held, and who finds a buffer on its way
//! out keeps it in.

use std::sync::{
    Arc, PoisonError, Weak,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use crate::{
    allocate::Usage,
    backend::{PoolUse, Region},
    buffer::Allocation,
    device::Device,
    dma::{Accepted, DmaQueue, Engine, FailPolicy, Mutex, QueueOptions, Ticket},
    error::Error,
    transfer::GRAIN,
};

mod back;
mod out;
mod residence;

pub use back::Hold;
use out::{is_free, went_out};
pub(crate) use residence::Residence;
use residence::{HostCopy, Returning, Where};

/// What a device evicts with; one whose buffers are host memory, or that was told not to, has none.
pub(crate) struct Evictor {
    queue: DmaQueue,
    /// Host memory for contents, in bytes at most.
    cap: u64,
    counts: Arc<Counts>,
    /// Buffers that may be evicted.
    movable: Mutex<Movable>,
}

#[derive(Default)]
struct Movable {
    buffers: Vec<Weak<Allocation>>,
    /// Their number from which on those that are gone are looked for.
    prune_at: usize,
}

/// What has been moved.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Bytes of copies on the host, those under way among them.
    pub(crate) on_host: Arc<Usage>,
    /// Bytes of device memory that come back once downloads under way are over.
    leaving: AtomicU64,
    /// Downloads that have failed.
    failed: AtomicU64,
    /// Messages that were accepted for it.
    pub(crate) moves: AtomicU64,
    pub(crate) evictions: AtomicU64,
    pub(crate) restores: AtomicU64,
}

/// What had been moved when an allocation looked for memory and found none.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) evictions: u64,
    pub(crate) failed: u64,
    leaving: u64,
}

impl Counts {
    fn seen(&self) -> Seen {
        // In this order: what is no longer leaving has come, or failed, by the time that it is not.
        let leaving = self.leaving.load(SeqCst);
        Seen { evictions: self.evictions.load(SeqCst), failed: self.failed.load(SeqCst), leaving }
    }
}

/// Bytes that are moved, in whole grains.
fn bytes(allocation: &Allocation) -> u64 {
    allocation.bytes.next_multiple_of(GRAIN)
}

/// Where they are in device memory.
fn region(allocation: &Allocation) -> Region {
    Region { mem: allocation.mem(), offset: 0, bytes: bytes(allocation) }
}

impl Evictor {
    pub(crate) fn new(engine: &Arc<Engine>, cap: u64) -> Self {
        // Its messages are the library's own: they are never refused for want of a credit.
        let queue = QueueOptions::new(engine, "evict").policy(FailPolicy::Continue).depth(u32::MAX).bytes(u64::MAX);
        Self { queue: queue.open(), cap, counts: Arc::default(), movable: Mutex::default() }
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    pub(crate) fn pool(&self) -> PoolUse {
        PoolUse {
            name: "evicted to the host",
            in_use_bytes: self.counts.on_host.now(),
            idle_bytes: 0,
            high_water_bytes: self.counts.on_host.high_water(),
            idle_cap_bytes: Some(0),
        }
    }

    /// Another buffer that may be evicted.
    pub(crate) fn add(&self, allocation: &Arc<Allocation>) {
        let mut movable = self.movable.lock().unwrap_or_else(PoisonError::into_inner);
        if movable.buffers.len() >= movable.prune_at {
            movable.buffers.retain(|known| known.strong_count() > 0);
            movable.prune_at = 2 * movable.buffers.len().max(8);
        }
        movable.buffers.push(Arc::downgrade(allocation));
    }

    /// Begins to evict, least recently used first, until `need` bytes are under way; where it is `known` that less
    /// is not enough, all of them or none. Answers whether any are under way, or have come since it was `seen` that so
    /// many are missing; `false` where more than `most_failed` downloads have failed.
    fn evict(&self, engine: &Engine, need: u64, known: bool, seen: Seen, most_failed: u64) -> bool {
        // One thread chooses at a time: what one looks at is held by it, and another would take that for use.
        let movable = self.movable.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.counts.seen();
        if now.failed > most_failed {
            return false;
        }
        // What was on its way then and has come since is not missing twice.
        let mut missing = need.saturating_sub(now.leaving.max(seen.leaving));
        if missing == 0 || now.evictions > seen.evictions {
            return true;
        }
        let all: Vec<_> = movable.buffers.iter().filter_map(Weak::upgrade).collect();
        let mut freed = Vec::new();
        for allocation in &all {
            if missing > 0
                && let Some(mem) = self.send_home(engine, allocation)
            {
                missing = missing.saturating_sub(allocation.charged);
                freed.push((mem, allocation.charged));
            }
        }
        let free: Vec<_> = all.iter().filter(|allocation| is_free(engine, allocation)).collect();
        let core = engine.shared.lock();
        let idle =
            free.into_iter().filter_map(|allocation| Some((core.idle_since(allocation.resource())?, allocation)));
        let mut idle: Vec<_> = idle.collect();
        drop(core);
        idle.sort_unstable_by_key(|&(since, _)| since);
        let mut started = Vec::new();
        if !known || idle.iter().map(|(_, allocation)| allocation.charged).sum::<u64>() >= missing {
            for (_, allocation) in idle {
                if missing == 0 {
                    break;
                }
                if let Some(accepted) = self.send_out(engine, allocation) {
                    missing = missing.saturating_sub(allocation.charged);
                    started.push((Arc::downgrade(allocation), allocation.charged, accepted));
                }
            }
        }
        drop(movable);
        // What follows may run the user's code: the last reference to a buffer may be among these.
        drop(all);
        let some = now.leaving > 0 || !started.is_empty() || !freed.is_empty();
        for (mem, bytes) in freed {
            engine.shared.memory.free(mem);
            self.counts.leaving.fetch_sub(bytes, SeqCst);
        }
        for (allocation, bytes, Accepted { cell, id, .. }) in started {
            let counts = self.counts.clone();
            let ticket = Ticket::<HostCopy>::new(engine.shared.clone(), cell, id);
            ticket.on_resolved(move |done| went_out(&counts, &allocation, bytes, done));
        }
        if some {
            engine.kick();
        }
        some
    }
}

impl Device {
    /// Sees to it that device memory comes free, as much as an allocation of these bytes lacks that has failed so,
    /// where this was `seen` before. Answers whether some is on its way, or has come since; `false` where more than
    /// `most_failed` downloads have failed.
    pub(crate) fn make_room(&self, failed: &Error, bytes: u64, seen: Seen, most_failed: u64) -> bool {
        let (Some(evictor), Error::OutOfMemory { in_use_bytes, limit_bytes, .. }) = (&self.inner.evictor, failed)
        else {
            return false;
        };
        let engine = &self.inner.engine;
        // Memory that is on its way back anyway is waited for first; the end of a message waits for nothing.
        if engine.shared.is_telling() || engine.shared.lock().awaits_memory() {
            return false;
        }
        match *limit_bytes {
            Some(limit) if bytes > limit => false,
            Some(limit) => {
                let need = (in_use_bytes + bytes).saturating_sub(limit);
                evictor.evict(engine, need.max(1), need > 0, seen, most_failed)
            }
            None => evictor.evict(engine, bytes, false, seen, most_failed),
        }
    }

    /// What has been moved up to now, and what is on its way: while evictions grow, memory comes free.
    pub(crate) fn seen_moved(&self) -> Seen {
        self.inner.evictor.as_ref().map_or(Seen::default(), |evictor| evictor.counts.seen())
    }
}
