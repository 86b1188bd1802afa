//! Aligned heap memory with an address.
#![expect(unsafe_code, reason = "memory that is reached by address is allocated by hand")]

use std::{
    alloc::{self, Layout},
    mem::ManuallyDrop,
};

use super::HostBlock;

/// Memory begins at multiples of this: a cache line, and enough for every WGSL type.
const ALIGN: usize = 64;

/// One allocation of the heap.
///
/// Invariant: `ptr` was allocated with `layout` and is freed by `Drop` alone.
#[derive(Debug)]
pub(crate) struct Heap {
    ptr: *mut u8,
    layout: Layout,
}

// SAFETY: a `Heap` is owned memory without thread affinity.
unsafe impl Send for Heap {}
// SAFETY: `&Heap` gives out its address only; who may use it is settled by the machine's order.
unsafe impl Sync for Heap {}

impl Heap {
    pub(crate) fn zeroed(bytes: u64) -> Option<Self> {
        let layout = Layout::from_size_align(usize::try_from(bytes).ok()?.max(1), ALIGN).ok()?;
        // SAFETY: the layout has a size above 0.
        let ptr = unsafe { alloc::alloc_zeroed(layout) };
        (!ptr.is_null()).then_some(Self { ptr, layout })
    }

    pub(crate) fn ptr(&self) -> *mut u8 {
        self.ptr
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.layout.size() as u64
    }

    /// Leaves the memory to whoever has the block.
    pub(super) fn into_block(self) -> HostBlock {
        let heap = ManuallyDrop::new(self);
        HostBlock { id: 0, ptr: heap.ptr, bytes: heap.bytes() }
    }

    /// Takes the memory back.
    ///
    /// # Safety
    /// The block came from [`Heap::into_block`] and is not used any more.
    pub(super) unsafe fn from_block(block: HostBlock) -> Self {
        let layout = Layout::from_size_align(block.bytes as usize, ALIGN).expect("it was allocated with it");
        Self { ptr: block.ptr, layout }
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout and freed here alone (invariant).
        unsafe { alloc::dealloc(self.ptr, self.layout) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_travels_as_a_block_and_comes_back() {
        for bytes in [0, 1, 63, 64, 65, 4096] {
            let heap = Heap::zeroed(bytes).expect("there is memory");
            assert!(heap.ptr().addr().is_multiple_of(ALIGN) && heap.bytes() == bytes.max(1));
            let mut block = heap.into_block();
            assert!(block.as_slice().iter().all(|&byte| byte == 0));
            block.as_mut_slice().fill(7);
            // SAFETY: the block is of `into_block` and goes no further.
            let heap = unsafe { Heap::from_block(block) };
            assert_eq!(heap.bytes(), bytes.max(1));
        }
    }

    #[test]
    fn what_no_machine_has_is_refused() {
        assert!(Heap::zeroed(u64::MAX).is_none());
    }
}
