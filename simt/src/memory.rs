//! [`Memory`]: the bytes behind a binding, which other threads may share.
#![expect(unsafe_code, reason = "bytes that several threads write at once have no safe type of any length")]

use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

/// Bytes bound to a kernel. They may be bound more than once and used by other threads meanwhile.
///
/// A kernel with a data race is a wrong program, but not one that may break the host's: every access
/// made here is a relaxed atomic one, of 32 bits or (64-bit atomics) of 64.
///
/// # Invariant
///
/// `start..start + len` is allocated, initialised and shared for `'a`: whoever else touches it during
/// `'a` does so atomically, or only reads if all bindings of it only read. Where `writable` is false it
/// may be memory that must not be written.
#[derive(Clone, Copy, Debug)]
pub struct Memory<'a> {
    start: NonNull<u8>,
    len: usize,
    writable: bool,
    fresh: bool,
    shared: PhantomData<&'a [AtomicU8]>,
}

// SAFETY: by the invariant the bytes are shared, and every access here is atomic.
unsafe impl Send for Memory<'_> {}
// SAFETY: as above; `&Memory` gives nothing that `Memory` does not.
unsafe impl Sync for Memory<'_> {}

impl<'a> Memory<'a> {
    /// The alignment in bytes that a bound buffer needs.
    pub const ALIGN: usize = 16;

    /// Bytes that the kernel may read and write. Copies of the result may be bound as well.
    pub fn read_write(bytes: &'a mut [u8]) -> Self {
        let len = bytes.len();
        // A slice is never at null.
        Self { start: NonNull::from(bytes).cast(), len, writable: true, fresh: false, shared: PhantomData }
    }

    /// Bytes that the kernel may only read.
    pub fn read(bytes: &'a [u8]) -> Self {
        Self {
            start: NonNull::from(bytes).cast(),
            len: bytes.len(),
            writable: false,
            fresh: false,
            shared: PhantomData,
        }
    }

    /// Words that the kernel and others share.
    pub fn shared(words: &'a [AtomicU32]) -> Self {
        let len = std::mem::size_of_val(words);
        Self { start: NonNull::from(words).cast(), len, writable: true, fresh: false, shared: PhantomData }
    }

    /// Bytes by their address.
    ///
    /// # Safety
    ///
    /// `start..start + len` stays allocated and initialised for `'a`. During `'a` nobody else touches it
    /// but by atomic accesses or through other `Memory`s; where `writable` is false others may also read.
    pub unsafe fn from_raw(start: NonNull<u8>, len: usize, writable: bool) -> Self {
        Self { start, len, writable, fresh: false, shared: PhantomData }
    }

    /// The same bytes, taken for never written: a checked run reports reads before a write.
    #[must_use]
    pub fn fresh(self) -> Self {
        Self { fresh: true, ..self }
    }

    pub(crate) fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Where it lies, to tell whether two share bytes.
    pub(crate) fn addresses(&self) -> std::ops::Range<usize> {
        let start = self.start.addr().get();
        start..start + self.len
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether the kernel may write.
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// Whether the address is a multiple of [`Memory::ALIGN`].
    pub fn is_aligned(&self) -> bool {
        self.start.addr().get().is_multiple_of(Self::ALIGN)
    }

    /// The first byte.
    #[cfg(feature = "jit")]
    pub(crate) fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// The words that lie wholly inside, if the address is aligned. They may be written only where
    /// [`Memory::is_writable`]; the engines check that before they run.
    pub(crate) fn words(&self) -> &'a [AtomicU32] {
        if !self.start.addr().get().is_multiple_of(4) {
            return &[];
        }
        // SAFETY: allocated, initialised and shared for 'a (invariant); the alignment was checked and
        // the length rounds down.
        unsafe { std::slice::from_raw_parts(self.start.cast().as_ptr(), self.len / 4) }
    }

    /// The 64-bit words that lie wholly inside, for 64-bit atomics.
    pub(crate) fn long_words(&self) -> &'a [AtomicU64] {
        if !self.start.addr().get().is_multiple_of(8) {
            return &[];
        }
        // SAFETY: as in `words`.
        unsafe { std::slice::from_raw_parts(self.start.cast().as_ptr(), self.len / 8) }
    }

    /// The half word at a byte that is a multiple of 2, or none where it is not inside.
    pub(crate) fn half(&self, byte: usize) -> Option<u16> {
        let word = self.words().get(byte / 4);
        match word {
            Some(word) => Some((word.load(Ordering::Relaxed) >> (8 * (byte & 2))) as u16),
            // The last two bytes of a buffer that is no whole number of words.
            None => {
                let bytes = self.bytes();
                let pair = bytes.get(byte..byte + 2)?;
                let [low, high] = [&pair[0], &pair[1]].map(|b| b.load(Ordering::Relaxed));
                Some(u16::from_le_bytes([low, high]))
            }
        }
    }

    /// Writes a half word without disturbing its neighbour; false where it is not inside.
    pub(crate) fn set_half(&self, byte: usize, value: u16) -> bool {
        if let Some(word) = self.words().get(byte / 4) {
            let shift = 8 * (byte & 2) as u32;
            let replace = |old: u32| Some(old & !(0xffff << shift) | u32::from(value) << shift);
            let _ = word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, replace);
            return true;
        }
        let Some(pair) = self.bytes().get(byte..byte + 2) else {
            return false;
        };
        for (to, from) in pair.iter().zip(value.to_le_bytes()) {
            to.store(from, Ordering::Relaxed);
        }
        true
    }

    fn bytes(&self) -> &'a [AtomicU8] {
        // SAFETY: allocated, initialised and shared for 'a (invariant).
        unsafe { std::slice::from_raw_parts(self.start.cast().as_ptr(), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(align(16))]
    struct Aligned([u8; 16]);

    #[test]
    fn half_words_leave_their_neighbours_alone() {
        let mut bytes = Aligned([0xff; 16]);
        // The last half word is in no whole word.
        let memory = Memory::read_write(&mut bytes.0[..14]);
        assert_eq!((memory.words().len(), memory.long_words().len()), (3, 1));
        for (place, value) in [(0, 0x0100), (6, 0x0302), (12, 0x0504)] {
            assert!(memory.set_half(place, value));
            assert_eq!(memory.half(place), Some(value));
        }
        assert!(!memory.set_half(14, 0) && memory.half(14).is_none(), "not inside");
        assert_eq!(bytes.0, [0, 1, 255, 255, 255, 255, 2, 3, 255, 255, 255, 255, 4, 5, 255, 255]);
    }

    #[test]
    fn threads_may_share_it() {
        let words = [const { AtomicU32::new(0) }; 4];
        let memory = Memory::shared(&words);
        std::thread::scope(|scope| {
            for thread in 0..3_u16 {
                scope.spawn(move || assert!((0..50).all(|i| memory.set_half(2 * usize::from(thread), i))));
            }
        });
        assert_eq!((0..4).map(|half| memory.half(2 * half)).collect::<Vec<_>>(), [49, 49, 49, 0].map(Some));
    }

    #[test]
    fn what_is_not_aligned_has_no_words() {
        let bytes = Aligned([0; 16]);
        let memory = Memory::read(&bytes.0[1..]);
        assert!(memory.words().is_empty() && memory.long_words().is_empty() && !memory.is_aligned());
        assert!(!memory.is_writable() && memory.len() == 15);
    }
}
