//! Host memory that a message may own, and blocks that backends lend.
#![expect(unsafe_code, reason = "host memory is handed to devices by address")]

use std::{slice, sync::Arc};

use crate::{
    backend::{HostBlock, HostSpan},
    buffer::Element,
};

/// A host buffer of `T` that a message can own: its elements stay where they are when it is moved.
pub trait HostBuffer<T: Element>: Send + 'static + sealed::Sealed {
    /// The elements.
    fn as_slice(&self) -> &[T];
}

impl<T: Element> HostBuffer<T> for Vec<T> {
    fn as_slice(&self) -> &[T] {
        self
    }
}

impl<T: Element> HostBuffer<T> for Arc<[T]> {
    fn as_slice(&self) -> &[T] {
        self
    }
}

mod sealed {
    /// Only types whose elements live on the heap.
    pub trait Sealed {}
    impl<T> Sealed for Vec<T> {}
    impl<T> Sealed for std::sync::Arc<[T]> {}
}

impl HostBlock {
    /// The bytes; what was in them before is arbitrary.
    pub(crate) fn as_slice(&self) -> &[u8] {
        // SAFETY: the block is valid for its bytes, initialised by whoever allocated it, and nobody
        // else's (invariant of `HostBlock`).
        unsafe { slice::from_raw_parts(self.ptr, self.bytes as usize) }
    }

    /// The bytes, to be written.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as in `as_slice`, and `&mut self` is the only access.
        unsafe { slice::from_raw_parts_mut(self.ptr, self.bytes as usize) }
    }
}

// SAFETY: a block is owned memory that is reached through its owner only (invariant).
unsafe impl Send for HostBlock {}
// SAFETY: `&HostBlock` gives `&[u8]` only.
unsafe impl Sync for HostBlock {}
// SAFETY: a span's memory is pinned in its message's cell and touched by nobody but the backend
// between accept and the end of its command (invariant of `HostSpan`).
unsafe impl Send for HostSpan {}
