//! Host memory that a message may own, and blocks that backends lend.
#![expect(unsafe_code, reason = "host memory is handed to devices by address")]

use std::{
    fmt,
    marker::PhantomData,
    ops::{Deref, DerefMut},
    slice,
    sync::Arc,
};

use crate::{
    backend::{Backend, HostBlock, HostSpan},
    buffer::Element,
    error::Result,
};

/// A host buffer of `T` that a message can own: its elements stay where they are when it is moved.
pub trait HostBuffer<T: Element>: Send + 'static + sealed::Place<T> {
    /// The elements.
    fn as_slice(&self) -> &[T];
}

/// A [`HostBuffer`] that a download can write.
pub trait HostBufferMut<T: Element>: HostBuffer<T> + sealed::Room<T> {}

impl<T: Element> HostBuffer<T> for Vec<T> {
    fn as_slice(&self) -> &[T] {
        self
    }
}

impl<T: Element> HostBufferMut<T> for Vec<T> {}

impl<T: Element> HostBuffer<T> for Arc<[T]> {
    fn as_slice(&self) -> &[T] {
        self
    }
}

impl<T: Element> HostBuffer<T> for Pinned<T> {
    fn as_slice(&self) -> &[T] {
        self
    }
}

impl<T: Element> HostBufferMut<T> for Pinned<T> {}

/// `len` elements of host memory that the device's engine can use where it is: page-locked on CUDA,
/// so that transfers need no copy by the host. On devices whose engines do not care it is ordinary
/// memory. Made by [`Device::pinned`](crate::Device::pinned); locking pages is slow, so use it again.
pub struct Pinned<T: Element> {
    /// `None` only while it is dropped.
    block: Option<HostBlock>,
    /// Its first `len` elements are in use.
    len: usize,
    /// Elements that it was made for; the block may have room for more.
    most: usize,
    backend: Arc<dyn Backend>,
    element: PhantomData<T>,
}

impl<T: Element> Pinned<T> {
    pub(crate) fn new(backend: &Arc<dyn Backend>, len: usize, bytes: u64) -> Result<Self> {
        // Whole grains of transfers, and never nothing.
        let block = backend.pin(bytes.max(16).next_multiple_of(16))?;
        Ok(Self { block: Some(block), len, most: len, backend: backend.clone(), element: PhantomData })
    }

    fn bytes(&self) -> usize {
        self.len * size_of::<T>()
    }
}

impl<T: Element> Deref for Pinned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        let block = self.block.as_ref().expect("there until it is dropped");
        bytemuck::cast_slice(&block.as_slice()[..self.bytes()])
    }
}

impl<T: Element> DerefMut for Pinned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        let bytes = self.bytes();
        let block = self.block.as_mut().expect("there until it is dropped");
        bytemuck::cast_slice_mut(&mut block.as_mut_slice()[..bytes])
    }
}

impl<T: Element> Drop for Pinned<T> {
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            self.backend.unpin(block);
        }
    }
}

impl<T: Element> fmt::Debug for Pinned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pinned").field("len", &self.len).finish_non_exhaustive()
    }
}

/// Where elements lie. Only types of this module, whose elements do not move with them.
mod sealed {
    use std::sync::Arc;

    use super::{Element, HostSpan, Pinned};

    /// Has elements that can be read by address.
    pub trait Place<T> {
        #[doc(hidden)]
        fn place(&self) -> HostSpan;
    }

    /// Can take elements by address.
    pub trait Room<T>: Sized {
        /// Makes room for `bytes`, a multiple of 4 that holds `len` elements, and has `len` of them.
        /// `Err` where there is not so much room.
        #[doc(hidden)]
        fn room(self, len: usize, bytes: u64) -> Result<(Self, HostSpan), (Self, u64)>;
    }

    fn of<T>(elements: &[T]) -> HostSpan {
        HostSpan { ptr: elements.as_ptr().cast_mut().cast(), bytes: size_of_val(elements) as u64, pinned: false }
    }

    impl<T: Element> Place<T> for Vec<T> {
        fn place(&self) -> HostSpan {
            of(self)
        }
    }

    impl<T: Element> Place<T> for Arc<[T]> {
        fn place(&self) -> HostSpan {
            of(self)
        }
    }

    impl<T: Element> Place<T> for Pinned<T> {
        fn place(&self) -> HostSpan {
            HostSpan { pinned: true, ..of(self) }
        }
    }

    impl<T: Element> Room<T> for Vec<T> {
        fn room(mut self, len: usize, bytes: u64) -> Result<(Self, HostSpan), (Self, u64)> {
            // The vector's length leaves the end of the last grain out.
            let elements = (bytes as usize).div_ceil(size_of::<T>().max(1));
            // What is there is overwritten: only what is not there yet is made.
            if self.capacity() < elements {
                self = bytemuck::zeroed_vec(elements);
            } else {
                self.resize(elements, T::zeroed());
            }
            let span = HostSpan { ptr: self.as_mut_ptr().cast(), bytes, pinned: false };
            self.truncate(len);
            Ok((self, span))
        }
    }

    impl<T: Element> Room<T> for Pinned<T> {
        fn room(mut self, len: usize, bytes: u64) -> Result<(Self, HostSpan), (Self, u64)> {
            if len > self.most {
                let most = self.most as u64;
                return Err((self, most));
            }
            let block = self.block.as_ref().expect("there until it is dropped");
            assert!(bytes <= block.bytes, "a block is whole grains");
            let span = HostSpan { ptr: block.ptr, bytes, pinned: true };
            self.len = len;
            Ok((self, span))
        }
    }
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
// SAFETY: a span is copied as it likes: `&HostSpan` gives no more than the span itself.
unsafe impl Sync for HostSpan {}
