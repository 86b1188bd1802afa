//! The way back: new device memory, and an upload before the message that needs the contents.

use std::sync::{Arc, Weak, atomic::Ordering::Relaxed};

use super::{Counts, Evictor, HostCopy, Returning, Where, region};
use crate::{
    backend::{Lane, MemId, Op, Source, Token},
    buffer::{Allocation, Buffer, Element},
    device::Device,
    dma::{Accepted, Access, Completion, Core, Engine, Ticket},
    error::Result,
    message::Message,
    transfer::{Placed, own},
};

/// Keeps a buffer in device memory: see [`Device::hold`].
#[derive(Debug)]
#[must_use = "a buffer is held for as long as this lives"]
pub struct Hold {
    _allocation: Arc<Allocation>,
}

impl Evictor {
    /// Sends the contents ahead of a message that needs them. `None` where others were written over all of them
    /// meanwhile.
    ///
    /// # Errors
    /// [`Error::Refused`] where the device is lost.
    fn send_back(&self, allocation: &Arc<Allocation>, returning: &mut Returning) -> Result<Option<Accepted>> {
        let (dst, copy) = (region(allocation), returning.copy.clone());
        let op = Op::Upload { src: Source::Span(copy.span()), dst };
        let mut message = Message::new(&allocation.engine, Lane::Upload, dst.bytes, op, copy);
        message.draft.touch(Placed { allocation: allocation.clone(), region: dst }, Access::Overwrite);
        message.draft.label("restore");
        let (resource, by) = (allocation.resource(), returning.by);
        let is_missing = |core: &Core| core.is_missing(resource, by);
        let put = allocation.engine.put_if(self.queue.id, message.draft.take(), is_missing);
        let accepted = put.map_err(|why| self.queue.refused(why))?;
        if let Some(Accepted { id, .. }) = accepted {
            self.counts.moves.fetch_add(1, Relaxed);
            (returning.by, returning.has_failed) = (Some(id), false);
        }
        Ok(accepted)
    }

    /// Has the buffer told how the upload of its contents comes out, and the device how it comes about.
    fn tell_of(&self, allocation: &Arc<Allocation>, Accepted { cell, id, .. }: Accepted) {
        let (counts, weak) = (self.counts.clone(), Arc::downgrade(allocation));
        let ticket = Ticket::<Arc<HostCopy>>::new(allocation.engine.shared.clone(), cell, id);
        ticket.on_resolved(move |done| came_back(&counts, &weak, done));
        allocation.engine.kick();
    }
}

/// Whether the contents on their way back matter no more, as others were written over all of them.
pub(super) fn is_superseded(engine: &Engine, resource: Token, returning: &Returning) -> bool {
    match returning.by {
        Some(_) if !returning.has_failed => false,
        by => !engine.shared.lock().is_missing(resource, by),
    }
}

/// An upload of contents that were evicted is over.
fn came_back(counts: &Counts, allocation: &Weak<Allocation>, done: Completion<Arc<HostCopy>>) {
    let Some(allocation) = allocation.upgrade() else { return };
    let Allocation { engine, residence, name, .. } = &*allocation;
    let mut state = residence.lock();
    let Where::Returning(returning) = &mut *state else { return };
    if returning.by != Some(done.id) {
        return;
    }
    if done.result.is_err() {
        returning.has_failed = true;
        return;
    }
    let copy = residence.set(&mut state, Where::Device);
    drop(state);
    drop(copy);
    counts.restores.fetch_add(1, Relaxed);
    engine.say_of(name, allocation.bytes, "restored");
}

impl Device {
    /// Keeps the buffer in device memory for as long as the [`Hold`] lives: it is not evicted, and brought back where
    /// it was. For what is worth more there than anything that comes later, and for buffers that are used together
    /// again and again: where they do not fit together, who allocates them is told, rather than each moving the other
    /// out of the way.
    ///
    /// ```
    /// let device = wharf::Device::open_with("sim:memory=1MiB", wharf::Options::new())?;
    /// let weights = device.buffer::<u8>(600 << 10)?;
    /// let hold = device.hold(&weights)?;
    /// assert!(device.buffer::<u8>(600 << 10).is_err());
    /// drop(hold);
    /// assert!(device.buffer::<u8>(600 << 10).is_ok());
    /// # Ok::<(), wharf::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Argument`] where the buffer is another device's, [`Error::OutOfMemory`] where it was evicted and there
    /// is no room for it.
    ///
    /// [`Error::Argument`]: crate::Error::Argument
    /// [`Error::OutOfMemory`]: crate::Error::OutOfMemory
    pub fn hold<T: Element>(&self, buffer: &Buffer<T>) -> Result<Hold> {
        own(self, buffer)?;
        let allocation = buffer.allocation.clone();
        self.bring_in(&allocation, false)?;
        Ok(Hold { _allocation: allocation })
    }

    /// Sees to it that the buffer has device memory, in which its contents are when the caller's message starts;
    /// where that overwrites all of them, they need not be. The caller holds a reference beside the buffer's own:
    /// while it does, the buffer is not evicted.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory) where it was evicted and there is no room for it; its contents
    /// are as they were.
    pub(crate) fn bring_in(&self, allocation: &Arc<Allocation>, is_overwritten: bool) -> Result<()> {
        let residence = &allocation.residence;
        if !residence.is_movable || matches!(*residence.lock(), Where::Device) {
            return Ok(());
        }
        self.bring_back(allocation, is_overwritten)
    }

    #[cold]
    fn bring_back(&self, allocation: &Arc<Allocation>, is_overwritten: bool) -> Result<()> {
        let evictor = self.inner.evictor.as_ref().expect("who evicts brings back");
        let residence = &allocation.residence;
        loop {
            let mut state = residence.lock();
            match &mut *state {
                Where::Device => return Ok(()),
                Where::Leaving { .. } => {
                    *state = Where::Device;
                    return Ok(());
                }
                Where::Returning(returning) => {
                    if is_superseded(&allocation.engine, allocation.resource(), returning) {
                        let copy = residence.set(&mut state, Where::Device);
                        drop(state);
                        drop(copy);
                        return Ok(());
                    }
                    // Where the upload has failed, the machine knows before anybody is told.
                    let is_lacking = |by| allocation.engine.shared.lock().is_missing(allocation.resource(), Some(by));
                    let is_sent = returning.by.is_some_and(|by| !returning.has_failed && !is_lacking(by));
                    if is_sent || is_overwritten {
                        return Ok(());
                    }
                    let Some(accepted) = evictor.send_back(allocation, returning)? else { continue };
                    drop(state);
                    evictor.tell_of(allocation, accepted);
                    return Ok(());
                }
                Where::Host(_) => {}
            }
            drop(state);
            let found = self.find(allocation.charged, Some(&allocation.name));
            let mut state = residence.lock();
            let is_out = matches!(*state, Where::Host(_));
            match found {
                Ok(mem) if is_out => self.rehouse(allocation, &mut state, mem),
                // Another thread was faster.
                Ok(mem) => {
                    drop(state);
                    allocation.engine.shared.memory.free(mem);
                }
                Err(error) if is_out => return Err(self.with_usage(error)),
                Err(_) => {}
            }
        }
    }

    /// Gives a buffer whose contents are on the host this device memory.
    fn rehouse(&self, allocation: &Allocation, state: &mut Where, mem: MemId) {
        let residence = &allocation.residence;
        residence.rename(mem, allocation.engine.register(mem, allocation.name.clone(), allocation.bytes));
        allocation.in_use.add(allocation.charged);
        let Where::Host(copy) = std::mem::replace(state, Where::Device) else { unreachable!("just looked at") };
        let returning = Returning { copy, by: None, has_failed: false };
        drop(residence.set(state, Where::Returning(returning)));
    }
}
