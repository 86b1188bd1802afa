//! Host memory of a graph: what its replays upload from and download into.

use std::{
    fmt,
    marker::PhantomData,
    ops::{Index, IndexMut},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use crate::{
    backend::{Backend, HostBlock, HostSpan},
    buffer::Element,
    error::Result,
};

/// The host memory of one graph: a slice for each upload and each download that was recorded, in memory
/// that the device's engine can use where it is.
///
/// A replay owns it, as any message owns its host buffer: it is moved in, and comes back in the completion.
/// Between the two nobody can write what is uploaded or read what is not there yet. There is one of it for
/// each graph; without it the graph is not replayed.
///
/// ```compile_fail,E0382
/// let device = wharf::Device::open("cpu")?;
/// let x = device.buffer::<u32>(4)?;
/// let mut recording = device.record();
/// let input = recording.upload(&x)?;
/// let (graph, mut slots) = recording.finish();
/// let ticket = graph.replay().run(slots)?;
/// slots[input].fill(1); // it is the replay's
/// # Ok::<(), wharf::Error>(())
/// ```
pub struct Slots {
    graph: u64,
    slots: Vec<Memory>,
    backend: Arc<dyn Backend>,
}

struct Memory {
    block: HostBlock,
    /// Those of its bytes that are the user's: the last grain may be longer.
    bytes: usize,
}

/// Names a slice of a graph's [`Slots`].
pub struct Slot<T> {
    graph: u64,
    index: usize,
    element: PhantomData<fn() -> T>,
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Slot<T> {}

impl<T> fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("index", &self.index).finish_non_exhaustive()
    }
}

impl Slots {
    /// Those of a new graph.
    pub(super) fn new(backend: &Arc<dyn Backend>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self { graph: NEXT.fetch_add(1, Relaxed), slots: Vec::new(), backend: backend.clone() }
    }

    /// Adds a slice of so many bytes, zeroes, with room for whole grains.
    pub(super) fn add<T>(&mut self, bytes: usize, grains: u64) -> Result<(Slot<T>, HostSpan)> {
        let mut block = self.backend.pin(grains.max(16).next_multiple_of(16))?;
        block.as_mut_slice().fill(0);
        let span = HostSpan { ptr: block.ptr, bytes: grains, pinned: true };
        self.slots.push(Memory { block, bytes });
        Ok((Slot { graph: self.graph, index: self.slots.len() - 1, element: PhantomData }, span))
    }

    /// Tells those of one graph from those of another.
    pub(super) fn graph(&self) -> u64 {
        self.graph
    }

    /// Slices in it.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether nothing was recorded that needs host memory.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    fn place<T>(&self, slot: Slot<T>) -> usize {
        assert_eq!(slot.graph, self.graph, "a slot of another graph");
        slot.index
    }
}

/// # Panics
/// Where the slot is another graph's.
impl<T: Element> Index<Slot<T>> for Slots {
    type Output = [T];

    fn index(&self, slot: Slot<T>) -> &[T] {
        let Memory { block, bytes } = &self.slots[self.place(slot)];
        bytemuck::cast_slice(&block.as_slice()[..*bytes])
    }
}

/// # Panics
/// Where the slot is another graph's.
impl<T: Element> IndexMut<Slot<T>> for Slots {
    fn index_mut(&mut self, slot: Slot<T>) -> &mut [T] {
        let place = self.place(slot);
        let Memory { block, bytes } = &mut self.slots[place];
        bytemuck::cast_slice_mut(&mut block.as_mut_slice()[..*bytes])
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        for Memory { block, .. } in self.slots.drain(..) {
            self.backend.unpin(block);
        }
    }
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots").field("slices", &self.len()).finish_non_exhaustive()
    }
}
