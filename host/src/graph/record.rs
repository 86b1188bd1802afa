//! Recording: messages into one operation, with what it does to which memory.

use std::{collections::HashMap, marker::PhantomData, sync::Arc};

use super::{Graph, Slot, Slots};
use crate::{
    backend::{HostSpan, Lane, Op, Recorded, Region, Source, Token},
    buffer::{Allocation, Buffer, Element, View},
    device::Device,
    dma::{Access, Part, Resource, Touch},
    error::{Error, Result},
    message::Message,
    transfer::{Placed, own, place, writable},
};

/// Parts of a buffer that a graph tells apart towards other messages.
const PARTS: usize = 4;

/// A graph that is being recorded; see [`Device::record`].
#[must_use = "a recording becomes a graph by `finish`"]
pub struct Recording<'d> {
    device: &'d Device,
    ops: Vec<Op>,
    after: Vec<Vec<u32>>,
    /// Who touches what inside, each step under its number.
    inside: HashMap<Token, Resource>,
    accesses: Vec<(Arc<Allocation>, Access, Part)>,
    slots: Slots,
    /// Bytes that a replay moves between the slots and the device.
    bytes: u64,
}

impl<'d> Recording<'d> {
    pub(super) fn new(device: &'d Device) -> Self {
        let slots = Slots::new(&device.inner.backend);
        let (ops, after, inside, accesses) = (Vec::new(), Vec::new(), HashMap::new(), Vec::new());
        Self { device, ops, after, inside, accesses, slots, bytes: 0 }
    }

    /// Adds launches, copies and clears, in this order. They are not sent, and their labels and deadlines
    /// do not count: a replay has its own.
    ///
    /// # Errors
    /// [`Error::Argument`] where a message is for another device, or is the replay of another graph. Then
    /// those before it are recorded.
    pub fn add(&mut self, messages: impl IntoIterator<Item = Message<()>>) -> Result<()> {
        for (place, message) in messages.into_iter().enumerate() {
            let what = || format!("message {place} of a graph");
            let draft = message.untyped();
            if !Arc::ptr_eq(draft.engine(), &self.device.inner.engine) {
                let (other, own) = (&draft.engine().shared.device, self.device.id());
                return Err(Error::argument(what(), format!("is for {other}, the graph is for {own}")));
            }
            match &draft.slip.op {
                Some(Op::Launch(_) | Op::Copy { .. } | Op::Clear { .. } | Op::Nothing) => {}
                // Left whole, so that what it holds goes back.
                _ => return Err(Error::argument(what(), "is no launch, no copy and no clear")),
            }
            let (op, touched) = draft.dismantle();
            self.step(op.filter(|op| !matches!(op, Op::Nothing)), touched);
        }
        Ok(())
    }

    /// Adds an upload to a buffer, or to a [`View`] of one, from a slot of its own: write it before each
    /// replay that is to upload something else.
    ///
    /// # Errors
    /// [`Error::Argument`] where the buffer is another device's, read-only, or the view begins or ends
    /// within four bytes; [`Error::OutOfMemory`] without host memory, or where the buffer was evicted
    /// and has no room to come back.
    pub fn upload<'b, T: Element>(&mut self, to: impl Into<View<'b, T>>) -> Result<Slot<T>> {
        let (buffer, range) = to.into().parts();
        writable(buffer)?;
        let upload = |span, dst| Op::Upload { src: Source::Span(span), dst };
        self.transfer(buffer, range, Access::Overwrite, upload)
    }

    /// Adds a download of a buffer, or of a [`View`] of one, into a slot of its own: read it when a replay
    /// is over.
    ///
    /// # Errors
    /// As [`Recording::upload`]; a read-only buffer may be read.
    pub fn download<'b, T: Element>(&mut self, from: impl Into<View<'b, T>>) -> Result<Slot<T>> {
        let (buffer, range) = from.into().parts();
        self.transfer(buffer, range, Access::Read, |dst, src| Op::Download { src, dst })
    }

    fn transfer<T: Element>(
        &mut self,
        buffer: &Buffer<T>,
        range: std::ops::Range<usize>,
        access: Access,
        op: impl FnOnce(HostSpan, Region) -> Op,
    ) -> Result<Slot<T>> {
        own(self.device, buffer)?;
        let Placed { allocation, region } = place(self.device, buffer, &range, access)?;
        let (slot, span) = self.slots.add(range.len() * size_of::<T>(), region.bytes)?;
        if region.bytes > 0 {
            let part = Part::of(region, allocation.bytes);
            let access = allocation.until_it_is_back(access, part);
            let touch = Touch { buffer: allocation.resource(), access, part };
            self.bytes += region.bytes;
            self.step(Some(op(span, region)), [(allocation, touch)].into_iter());
        }
        Ok(slot)
    }

    /// The graph, and its host memory.
    pub fn finish(self) -> (Graph<Slots>, Slots) {
        let (device, slots, bytes) = (self.device.clone(), self.slots.graph(), self.bytes);
        let recorded = Arc::new(Recorded { ops: self.ops, after: self.after, lends: bytes > 0 });
        let accesses = self.accesses;
        (Graph { device, recorded, accesses, slots, bytes, host: PhantomData }, self.slots)
    }

    fn step(&mut self, op: Option<Op>, touched: impl Iterator<Item = (Arc<Allocation>, Touch)>) {
        let number = Token { index: self.ops.len() as u32, generation: 0 };
        let mut edges = Vec::new();
        for (allocation, touch) in touched {
            if op.is_some() {
                // A step counts as unfinished for ever, and none fails by itself.
                let _ = self.inside.entry(touch.buffer).or_default().record(number, touch, &mut edges, |_| true);
            }
            self.touch(allocation, touch);
        }
        let Some(op) = op else { return };
        let mut after: Vec<u32> = edges.iter().map(|edge| edge.on.index).collect();
        after.sort_unstable();
        after.dedup();
        self.ops.push(op);
        self.after.push(after);
    }

    fn touch(&mut self, allocation: Arc<Allocation>, Touch { access, part, .. }: Touch) {
        let of_it = |(known, ..): &(Arc<Allocation>, Access, Part)| Arc::ptr_eq(known, &allocation);
        let mut known = self.accesses.iter_mut().filter(|known| of_it(known));
        if let Some((_, before, _)) = known.find(|(.., known)| *known == part) {
            *before = before.then(access);
            return;
        }
        let mut all = (access, part);
        if self.accesses.iter().filter(|known| of_it(known)).count() == PARTS {
            // What is between them counts as read, so that it is not held for overwritten.
            for (_, other, known) in self.accesses.extract_if(.., |known| of_it(known)) {
                let reads = all.0 == Access::Read && other == Access::Read;
                all = (if reads { Access::Read } else { Access::ReadWrite }, all.1.hull(known));
            }
        }
        self.accesses.push((allocation, all.0, all.1));
    }
}

impl Graph<Slots> {
    /// Without host memory.
    pub(super) fn without_slots(self) -> Graph {
        let Self { device, recorded, accesses, slots, bytes, .. } = self;
        Graph { device, recorded, accesses, slots, bytes, host: PhantomData }
    }
}

impl std::fmt::Debug for Recording<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recording").field("steps", &self.ops.len()).field("slots", &self.slots).finish_non_exhaustive()
    }
}

// A replay is one command of this lane, whatever its steps are.
pub(super) const LANE: Lane = Lane::Compute;
