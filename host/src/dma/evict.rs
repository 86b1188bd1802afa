//! What the engine does for buffers whose contents leave the device and come back: checks and what follows from
//! them are one step under the lock, so that no message comes between them.

use super::{
    MessageId,
    core::{Clock, Core},
    drive::run_users,
    engine::Engine,
    model::{Event, QueueId},
    shared::{Mode, Shared},
    slip::Slip,
    work::Accepted,
};
use crate::{
    backend::{MemId, Token},
    error::Refusal,
    trace,
};

impl Core {
    /// Since when the buffer is idle and may leave the device: see
    /// [`Machine::idle_since`](super::machine::Machine::idle_since). A letter that can be sent again keeps the
    /// buffers that it names.
    pub(crate) fn idle_since(&self, resource: Token) -> Option<u64> {
        self.machine.idle_since(resource).filter(|_| !self.dead.names(resource))
    }

    /// Whether contents of a buffer are not there that its last upload of them, if there was any, has failed to
    /// bring: no message that overwrites all of them was accepted since.
    pub(crate) fn is_missing(&self, resource: Token, upload: Option<MessageId>) -> bool {
        match upload {
            // Only what overwrites all of it is accepted without them.
            None => self.machine.last_on(resource).is_none(),
            Some(failed) => self.machine.lacks(resource, failed),
        }
    }

    /// Ends the name of a buffer that nobody uses; its memory is the caller's to free.
    fn release(&mut self, resource: Token, shared: &Shared) -> MemId {
        self.stage(Event::Release(resource), shared);
        self.effects.mems.pop().expect("nobody uses it")
    }

    /// Whether buffers were dropped in flight, whose memory comes back with the last message on them.
    pub(crate) fn awaits_memory(&self) -> bool {
        self.machine.to_be_freed() > 0
    }
}

impl Shared {
    /// Whether memory of buffers that were dropped comes back by what the device's threads are at, and nobody else: they
    /// have the last messages on them, or are to free it.
    pub(crate) fn brings_memory(&self) -> bool {
        // Who is inside a message's end, or drives the device, does not wait for itself.
        if self.mode == Mode::Manual || self.is_telling() {
            return false;
        }
        let core = self.lock();
        let is_with_device = core.awaits_memory() && (core.dirty || core.machine.in_driver() > 0);
        let is_to_be_told = !core.effects.is_empty();
        drop(core);
        // In this order: who has taken it to tell of it is busy until the memory is freed.
        is_with_device || is_to_be_told || self.teller.is_busy()
    }
}

impl Engine {
    /// Accepts the message if `may` says so; it is gone otherwise. Who calls it kicks the device afterwards
    /// ([`Engine::kick`]), when no lock is held.
    ///
    /// # Errors
    /// The queue's refusal.
    pub(crate) fn put_if(
        &self,
        queue: QueueId,
        slip: Slip,
        may: impl FnOnce(&Core) -> bool,
    ) -> Result<Option<Accepted>, Refusal> {
        let mut core = self.shared.lock();
        if !may(&core) {
            return Ok(None);
        }
        core.machine.reserve(queue, 1, slip.bytes, None)?;
        Ok(Some(core.put(queue, slip, &mut Clock::default(), &self.shared)))
    }

    /// Sees to it that what was put is submitted.
    pub(crate) fn kick(&self) {
        self.shared.kick(self.shared.lock());
    }

    /// Tells a subscriber of `tracing` what became of a buffer's contents.
    pub(crate) fn say_of(&self, buffer: &str, bytes: u64, what: &'static str) {
        let Shared { device, callback_panics, .. } = &*self.shared;
        run_users(callback_panics, || trace::events::moved(device, buffer, bytes, what));
    }

    /// Ends the buffer's name, and gives its memory to the caller to free, if this message is the last that was
    /// accepted on it; it is resolved, and so are all before it.
    pub(crate) fn release_after(&self, resource: Token, last: MessageId) -> Option<MemId> {
        let mut core = self.shared.lock();
        (core.machine.last_on(resource) == Some(last)).then(|| core.release(resource, &self.shared))
    }

    /// The same for a buffer whose contents [are missing](Core::is_missing), and that nobody uses.
    pub(crate) fn release_missing(&self, resource: Token, upload: Option<MessageId>) -> Option<MemId> {
        let mut core = self.shared.lock();
        let is_unused = !core.machine.is_used(resource) && !core.dead.names(resource);
        (is_unused && core.is_missing(resource, upload)).then(|| core.release(resource, &self.shared))
    }
}
