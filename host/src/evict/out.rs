//! The way out: a download, after which the device memory is freed.

use std::sync::{
    Arc, Weak,
    atomic::Ordering::{Relaxed, SeqCst},
};

use super::{Counts, Evictor, HostCopy, Returning, Where, back::is_superseded, bytes, region};
use crate::{
    backend::{Lane, MemId, Op},
    buffer::Allocation,
    dma::{Accepted, Access, Completion, Core, Engine},
    message::Message,
    transfer::Placed,
};

impl Evictor {
    /// Takes the device memory of a buffer whose contents are still on the host alone: who brought it in to
    /// overwrite them has not, or they did not come back. It is the caller's to free, and leaving until then.
    pub(super) fn send_home(&self, engine: &Engine, allocation: &Arc<Allocation>) -> Option<MemId> {
        let residence = &allocation.residence;
        let mut state = residence.lock();
        let Where::Returning(Returning { copy, by, has_failed }) = &*state else { return None };
        if (by.is_some() && !has_failed) || residence.is_held(allocation) {
            return None;
        }
        let (copy, by) = (copy.clone(), *by);
        let mem = engine.release_missing(allocation.resource(), by)?;
        drop(residence.set(&mut state, Where::Host(copy)));
        allocation.in_use.remove(allocation.charged);
        self.counts.leaving.fetch_add(allocation.charged, SeqCst);
        self.counts.evictions.fetch_add(1, SeqCst);
        Some(mem)
    }

    /// Sends the download that takes the contents out, where nothing stands against it.
    pub(super) fn send_out(&self, engine: &Engine, allocation: &Arc<Allocation>) -> Option<Accepted> {
        let copy = HostCopy::new(bytes(allocation), &self.counts.on_host, self.cap)?;
        let mut state = allocation.residence.lock();
        if !matches!(*state, Where::Device) || allocation.residence.is_held(allocation) {
            return None;
        }
        let src = region(allocation);
        let op = Op::Download { src, dst: copy.span() };
        let mut message = Message::new(&allocation.engine, Lane::Download, src.bytes, op, copy);
        message.draft.touch(Placed { allocation: allocation.clone(), region: src }, Access::Read);
        message.draft.label("evict");
        let resource = allocation.resource();
        let is_idle = |core: &Core| core.idle_since(resource).is_some();
        let accepted = engine.put_if(self.queue.id, message.draft.take(), is_idle).ok()??;
        self.counts.moves.fetch_add(1, Relaxed);
        self.counts.leaving.fetch_add(allocation.charged, SeqCst);
        *state = Where::Leaving { by: accepted.id };
        Some(accepted)
    }
}

/// Whether nothing but its buffer, and the caller, holds it in device memory.
pub(super) fn is_free(engine: &Engine, allocation: &Arc<Allocation>) -> bool {
    let mut state = allocation.residence.lock();
    if let Where::Returning(returning) = &*state
        && is_superseded(engine, allocation.resource(), returning)
    {
        drop(allocation.residence.set(&mut state, Where::Device));
    }
    matches!(*state, Where::Device) && !allocation.residence.is_held(allocation)
}

/// The download of an eviction is over; it was to free so many bytes.
pub(super) fn went_out(counts: &Counts, allocation: &Weak<Allocation>, bytes: u64, done: Completion<HostCopy>) {
    counts.failed.fetch_add(u64::from(done.result.is_err()), SeqCst);
    if let Some(allocation) = allocation.upgrade() {
        leave(counts, &allocation, done);
    }
    counts.leaving.fetch_sub(bytes, SeqCst);
}

fn leave(counts: &Counts, allocation: &Allocation, done: Completion<HostCopy>) {
    let Allocation { engine, residence, name, .. } = allocation;
    let mut state = residence.lock();
    if !matches!(*state, Where::Leaving { by } if by == done.id) {
        return;
    }
    // Whatever was accepted on it since may have written it: then it stays.
    let copy = done.buffer.filter(|_| done.result.is_ok());
    let gone = copy.and_then(|copy| Some((engine.release_after(allocation.resource(), done.id)?, copy)));
    let Some((mem, copy)) = gone else {
        *state = Where::Device;
        return;
    };
    *state = Where::Host(Arc::new(copy));
    drop(state);
    allocation.in_use.remove(allocation.charged);
    // Counted by the time that somebody else finds the memory.
    counts.evictions.fetch_add(1, SeqCst);
    engine.shared.memory.free(mem);
    engine.say_of(name, allocation.bytes, "evicted");
}
