//! A message that was described and checked, and that no queue has accepted yet.

use std::{fmt, marker::PhantomData, sync::Arc};

use smallvec::SmallVec;

use crate::{
    backend::{Lane, Op, Region, Source},
    buffer::Allocation,
    dma::{Access, Engine, Kind, Parcel, Part, Touch, Work},
};

/// A message to one device. It owns its host buffer `B` and keeps the device buffers that it touches
/// alive; nothing has been sent. A queue, a [`Permit`] or a [`Batch`] sends it, and hands it back where
/// it does not. Dropping it sends nothing and drops the host buffer.
///
/// The builders make it: [`Upload::message`], [`Download::message`], [`Copy::message`] and
/// [`Launch::messages`].
///
/// [`Permit`]: crate::Permit
/// [`Batch`]: crate::Batch
/// [`Upload::message`]: crate::Upload::message
/// [`Download::message`]: crate::Download::message
/// [`Copy::message`]: crate::Copy::message
/// [`Launch::messages`]: crate::Launch::messages
#[must_use = "a message is sent by a queue, a permit or a batch"]
pub struct Message<B> {
    pub(crate) draft: Draft,
    buffer: PhantomData<fn() -> B>,
}

/// A message without the type of its host buffer.
pub(crate) struct Draft {
    pub(crate) engine: Arc<Engine>,
    pub(crate) work: Work,
    /// Until it is accepted; then the machine keeps them.
    keep: SmallVec<[Arc<Allocation>; 4]>,
}

// Drafts are long: what describes one changes it in place, so that it is moved only where it goes.
impl Draft {
    /// What it does to a device buffer.
    pub(crate) fn touch(&mut self, allocation: &Arc<Allocation>, access: Access, region: Region) {
        self.touch_part(allocation, access, Part::of(region, allocation.bytes));
    }

    pub(crate) fn touch_part(&mut self, allocation: &Arc<Allocation>, access: Access, part: Part) {
        self.work.accesses.push(Touch { buffer: allocation.resource, access, part });
        self.keep.push(allocation.clone());
    }

    /// The same, where it may do something to these bytes already.
    pub(crate) fn touch_again(&mut self, allocation: &Arc<Allocation>, access: Access, region: Region) {
        let (buffer, part) = (allocation.resource, Part::of(region, allocation.bytes));
        match self.work.accesses.iter_mut().find(|known| known.buffer == buffer && known.part == part) {
            Some(known) if access.writes() => known.access = access,
            Some(_) => {}
            None => self.touch_part(allocation, access, part),
        }
    }

    /// Takes it apart: its operation, and what that does to which device buffers.
    pub(crate) fn dismantle(mut self) -> (Option<Op>, impl Iterator<Item = (Arc<Allocation>, Touch)>) {
        let accesses = std::mem::take(&mut self.work.accesses).into_iter();
        (self.work.op.take(), std::mem::take(&mut self.keep).into_iter().zip(accesses))
    }

    pub(crate) fn label(&mut self, label: Option<&str>) {
        self.work.label = label.map(|label| self.engine.shared.labels.intern(label));
    }
}

impl<B: Send + 'static> Message<B> {
    pub(crate) fn new(engine: &Arc<Engine>, lane: Lane, bytes: u64, op: Op, buffer: B) -> Self {
        let moves = op.moves(&*engine.shared.backend);
        let work = Work {
            queue: 0,
            kind: Kind::Work(lane),
            bytes,
            op: Some(op),
            parcel: Some(Parcel::new(buffer)),
            small: None,
            staging: 0,
            label: None,
            accesses: SmallVec::new(),
            moves,
            deadline: None,
            tag: 0,
            unsignaled: false,
        };
        Self { draft: Draft { engine: engine.clone(), work, keep: SmallVec::new() }, buffer: PhantomData }
    }

    /// Bytes that it carries: what it costs of a queue's byte credits. Launches, copies on the device
    /// and clears carry none.
    pub fn bytes(&self) -> u64 {
        self.draft.work.bytes
    }

    /// The host buffer; the message is gone.
    pub fn into_buffer(mut self) -> B {
        self.draft.work.parcel.take().expect("a message that was not sent has its buffer").take()
    }
}

impl<B> Message<B> {
    /// Forgets the type of the host buffer.
    pub(crate) fn untyped(self) -> Draft {
        self.draft
    }

    /// The other way round.
    pub(crate) fn typed(draft: Draft) -> Self {
        Self { draft, buffer: PhantomData }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Only what was not accepted still has its operation.
        if let Some(Op::Upload { src: Source::Block(block), .. }) = self.work.op.take() {
            self.engine.shared.staging.remove(self.work.staging);
            self.engine.shared.backend.host_free(block);
        }
    }
}

impl<B> fmt::Debug for Message<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("device", &self.draft.engine.shared.device)
            .field("bytes", &self.draft.work.bytes)
            .field("label", &self.draft.work.label)
            .finish_non_exhaustive()
    }
}
