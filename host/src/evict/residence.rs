//! Where the contents of a buffer are.

use std::sync::{
    Arc, PoisonError,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
};

use crate::{
    allocate::Usage,
    backend::{Heap, HostSpan, MemId, Token},
    buffer::Allocation,
    dma::{MessageId, Mutex, MutexGuard},
};

/// Where a buffer's contents are, and by which names the backend and the machine know its memory.
///
/// Invariants:
/// - The lock is held for bookkeeping only: never while anything is waited for, and what is held with it, the
///   machine's lock, is taken after it.
/// - `mem` and `resource` change while the state is [`Where::Host`], and only there. Who holds a reference to
///   the allocation beside its buffer's, and has then seen another state under the lock, may read them without
///   it: from there on the state stays another one.
#[derive(Debug)]
pub(crate) struct Residence {
    mem: AtomicU64,
    resource: [AtomicU32; 2],
    /// A hint of [`Where::Returning`].
    returning: AtomicBool,
    /// It may be evicted at all.
    pub(super) is_movable: bool,
    /// Its buffer is gone: what holds the allocation now are messages. Changes under the lock.
    is_orphan: AtomicBool,
    state: Mutex<Where>,
}

/// Where the contents are.
#[derive(Debug)]
pub(super) enum Where {
    /// In device memory.
    Device,
    /// In device memory, and this message copies them to the host. Who needs them takes them back to
    /// [`Where::Device`]: a copy that nobody waits for does no harm.
    Leaving { by: MessageId },
    /// On the host alone.
    Host(Arc<HostCopy>),
    /// There is device memory again, and the copy is kept until its contents are known to be there, or to be
    /// overwritten.
    Returning(Returning),
}

/// Contents on their way back.
#[derive(Debug)]
pub(super) struct Returning {
    pub(super) copy: Arc<HostCopy>,
    /// The last message that was sent with them: none where who brought the buffer in overwrites all of it.
    pub(super) by: Option<MessageId>,
    /// That has failed.
    pub(super) has_failed: bool,
}

impl Residence {
    pub(crate) fn new(mem: MemId, resource: Token, is_movable: bool) -> Self {
        let residence = Self {
            mem: AtomicU64::new(0),
            resource: Default::default(),
            returning: AtomicBool::new(false),
            is_movable,
            is_orphan: AtomicBool::new(false),
            state: Mutex::new(Where::Device),
        };
        residence.rename(mem, resource);
        residence
    }

    pub(crate) fn mem(&self) -> MemId {
        MemId(self.mem.load(Relaxed))
    }

    pub(crate) fn resource(&self) -> Token {
        let [index, generation] = &self.resource;
        Token { index: index.load(Relaxed), generation: generation.load(Relaxed) }
    }

    pub(crate) fn is_returning(&self) -> bool {
        self.returning.load(Relaxed)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Where> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// New device memory for contents that are on the host; the state is the caller's to change.
    pub(super) fn rename(&self, mem: MemId, resource: Token) {
        self.mem.store(mem.0, Relaxed);
        self.resource[0].store(resource.index, Relaxed);
        self.resource[1].store(resource.generation, Relaxed);
    }

    /// Changes the state, which gives back what it held: that is to be dropped once the lock is not held.
    #[must_use]
    pub(super) fn set(&self, state: &mut Where, new: Where) -> Where {
        self.returning.store(matches!(new, Where::Returning(_)), Relaxed);
        std::mem::replace(state, new)
    }

    /// The buffer is dropped; messages that are not accepted yet may still hold the allocation.
    pub(crate) fn disown(&self) {
        if self.is_movable {
            let _state = self.lock();
            self.is_orphan.store(true, Relaxed);
        }
    }

    /// Whether somebody may use its device memory: asked by who holds the lock, and a reference to the allocation.
    pub(super) fn is_held(&self, allocation: &Arc<Allocation>) -> bool {
        // The buffer's own reference, and the one of who asks.
        self.is_orphan.load(Relaxed) || Arc::strong_count(allocation) > 2
    }

    /// The allocation is gone: the name of its device memory, if it has any.
    pub(crate) fn leave(&mut self) -> Option<Token> {
        let is_on_host = matches!(*self.lock(), Where::Host(_));
        (!is_on_host).then(|| self.resource())
    }
}

/// A buffer's contents in host memory, in whole grains of transfers.
#[derive(Debug)]
pub(crate) struct HostCopy {
    memory: Heap,
    on_host: Arc<Usage>,
}

impl HostCopy {
    /// Room for so many bytes, at least 4 and a multiple of that; `None` where there would be more than `cap`
    /// in all, or where the host has no more.
    pub(super) fn new(bytes: u64, on_host: &Arc<Usage>, cap: u64) -> Option<Self> {
        if on_host.now().saturating_add(bytes) > cap {
            return None;
        }
        let memory = Heap::zeroed(bytes)?;
        on_host.add(bytes);
        Some(Self { memory, on_host: on_host.clone() })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.memory.bytes()
    }

    /// For a message that owns it, or has a part in it: one download writes it before anybody else has it, and uploads
    /// read it from then on.
    pub(super) fn span(&self) -> HostSpan {
        HostSpan { ptr: self.memory.ptr(), bytes: self.bytes(), pinned: false }
    }
}

impl Drop for HostCopy {
    fn drop(&mut self) {
        self.on_host.remove(self.bytes());
    }
}
