//! A message that was described and checked, and that no queue has accepted yet.

use std::{fmt, marker::PhantomData, sync::Arc, time::Instant};

use smallvec::SmallVec;

use crate::{
    backend::{Lane, Op, Region},
    buffer::Allocation,
    dma::{Access, Engine, Kind, Label, Parcel, Part, Slip, Touch},
    transfer::Placed,
};

/// A message to one device. It owns its host buffer `B` and keeps the device buffers that it touches
/// alive; nothing has been sent. A queue, a [`Permit`] or a [`Batch`] sends it, and hands it back where
/// it does not. Dropping it sends nothing and drops the host buffer.
///
/// The builders make it: [`Upload::message`], [`Download::message`], [`Copy::message`],
/// [`Launch::messages`] and [`Replay::message`].
///
/// [`Permit`]: crate::Permit
/// [`Batch`]: crate::Batch
/// [`Upload::message`]: crate::Upload::message
/// [`Download::message`]: crate::Download::message
/// [`Copy::message`]: crate::Copy::message
/// [`Launch::messages`]: crate::Launch::messages
/// [`Replay::message`]: crate::Replay::message
#[must_use = "a message is sent by a queue, a permit or a batch"]
pub struct Message<B> {
    pub(crate) draft: Draft,
    buffer: PhantomData<fn() -> B>,
}

/// A message without the type of its host buffer.
pub(crate) struct Draft {
    /// Whose it is, where that is not known by the first buffer that it keeps: to count owners is a good part
    /// of what a small message costs.
    engine: Option<Arc<Engine>>,
    pub(crate) slip: Slip,
    /// Until it is accepted; then the machine keeps them.
    keep: SmallVec<[Arc<Allocation>; 2]>,
}

impl Draft {
    /// One that does nothing yet.
    pub(crate) fn new(engine: &Arc<Engine>, lane: Lane, bytes: u64) -> Self {
        Self::blank(Some(engine.clone()), lane, bytes)
    }

    /// One that does this to a device buffer, by which it is that buffer's device's.
    #[inline(always)]
    pub(crate) fn on(buffer: Placed, access: Access, lane: Lane, bytes: u64) -> Self {
        let mut draft = Self::blank(None, lane, bytes);
        draft.touch(buffer, access);
        draft
    }

    #[inline(always)]
    fn blank(engine: Option<Arc<Engine>>, lane: Lane, bytes: u64) -> Self {
        let mut slip = Slip::blank();
        (slip.kind, slip.bytes) = (Kind::Work(lane), bytes);
        Self { engine, slip, keep: SmallVec::new() }
    }

    /// The engine of its device.
    pub(crate) fn engine(&self) -> &Arc<Engine> {
        Self::engine_of(&self.engine, &self.keep)
    }

    fn engine_of<'a>(own: &'a Option<Arc<Engine>>, keep: &'a [Arc<Allocation>]) -> &'a Arc<Engine> {
        own.as_ref().unwrap_or_else(|| &keep[0].engine)
    }

    /// The message, which owns this from now on.
    pub(crate) fn owning<B: Send + 'static>(mut self, buffer: B) -> Message<B> {
        self.slip.parcel = Some(Parcel::new(buffer));
        Message::typed(self)
    }

    /// What it does to a device buffer, which was brought in.
    #[inline(always)]
    pub(crate) fn touch(&mut self, Placed { allocation, region }: Placed, access: Access) {
        let part = Part::of(region, allocation.bytes);
        self.keep(allocation, access, part);
    }

    pub(crate) fn touch_part(&mut self, allocation: &Arc<Allocation>, access: Access, part: Part) {
        self.keep(allocation.clone(), access, part);
    }

    #[inline(always)]
    fn keep(&mut self, allocation: Arc<Allocation>, access: Access, part: Part) {
        let access = allocation.until_it_is_back(access, part);
        self.slip.accesses.push(Touch { buffer: allocation.resource(), access, part });
        self.keep.push(allocation);
    }

    /// The same, where it may do something to these bytes already.
    pub(crate) fn touch_again(&mut self, allocation: &Arc<Allocation>, access: Access, region: Region) {
        let (buffer, part) = (allocation.resource(), Part::of(region, allocation.bytes));
        match self.slip.accesses.iter_mut().find(|known| known.buffer == buffer && known.part == part) {
            Some(known) if access.writes() => known.access = access,
            Some(_) => {}
            None => self.touch_part(allocation, access, part),
        }
    }

    /// Takes it apart: its operation, and what that does to which device buffers.
    pub(crate) fn dismantle(mut self) -> (Option<Op>, impl Iterator<Item = (Arc<Allocation>, Touch)>) {
        let accesses = std::mem::take(&mut self.slip.accesses).into_iter();
        (self.slip.op.take(), std::mem::take(&mut self.keep).into_iter().zip(accesses))
    }

    /// What its sender says of it.
    #[inline]
    pub(crate) fn describe(&mut self, label: Option<&str>, deadline: Option<Instant>, tag: u64) {
        if let Some(label) = label {
            self.label(label);
        }
        (self.slip.deadline, self.slip.tag) = (deadline, tag);
    }

    pub(crate) fn label(&mut self, label: &str) {
        self.slip.label = Label::User(self.engine().shared.labels.intern(label));
    }

    /// What it does.
    pub(crate) fn does(&mut self, op: Op) {
        self.slip.moves = op.moves(&*self.engine().shared.backend);
        self.slip.op = Some(op);
    }

    /// Uploads a copy of these bytes, with zeroes behind them up to the end of `dst`.
    pub(crate) fn carries(&mut self, bytes: &[u8], dst: Region) {
        let Self { engine, slip, keep } = self;
        let src = slip.carry(bytes, dst.bytes as usize, &Self::engine_of(engine, keep).shared.small);
        (self.slip.moves, self.slip.op) = (dst.bytes, Some(Op::Upload { src, dst }));
    }

    /// The message for a queue that accepts it.
    pub(crate) fn take(&mut self) -> Slip {
        std::mem::take(&mut self.slip)
    }
}

impl<B: Send + 'static> Message<B> {
    pub(crate) fn new(engine: &Arc<Engine>, lane: Lane, bytes: u64, op: Op, buffer: B) -> Self {
        let mut draft = Draft::new(engine, lane, bytes);
        draft.does(op);
        draft.owning(buffer)
    }

    /// Bytes that it carries: what it costs of a queue's byte credits. Launches, copies on the device
    /// and clears carry none.
    pub fn bytes(&self) -> u64 {
        self.draft.slip.bytes
    }

    /// The host buffer; the message is gone.
    pub fn into_buffer(mut self) -> B {
        self.draft.slip.parcel.take().expect("a message that was not sent has its buffer").take()
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
        // What was accepted is the engine's.
        if self.slip.get().is_none() {
            return;
        }
        if let Some(block) = self.slip.take_block() {
            let shared = &self.engine().shared;
            shared.staging.remove(self.slip.staging);
            shared.backend.host_free(block);
        }
    }
}

impl<B> fmt::Debug for Message<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("device", &self.draft.engine().shared.device)
            .field("bytes", &self.draft.slip.bytes)
            .field("label", &self.draft.slip.label.told())
            .finish_non_exhaustive()
    }
}
