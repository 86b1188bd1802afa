//! The one door to a backend's device memory, and the bound on what passes it ([`Options::memory_bytes`]).
//!
//! [`Options::memory_bytes`]: crate::Options::memory_bytes

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError},
};

use crate::{
    backend::{Backend, MemId},
    dma::{Mutex, MutexGuard},
    error::{Error, Result},
};

/// Device memory as a backend gives it, within the bound, where there is one.
pub(crate) struct DeviceMemory {
    backend: Arc<dyn Backend>,
    bound: Option<Bound>,
}

/// Invariant: `taken_bytes` is what the driver has given and not got back, what it is being asked for, and what it is
/// being given back: never less than what it has out, and never over `limit_bytes`.
struct Bound {
    device: Arc<str>,
    limit_bytes: u64,
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    taken_bytes: u64,
    sizes: HashMap<MemId, u64>,
}

impl DeviceMemory {
    pub(crate) fn new(device: &Arc<str>, backend: Arc<dyn Backend>, limit_bytes: Option<u64>) -> Self {
        let bound =
            limit_bytes.map(|limit_bytes| Bound { device: device.clone(), limit_bytes, books: Mutex::default() });
        Self { backend, bound }
    }

    /// Zeroed device memory, as [`Backend::alloc`] gives it.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] with the bound's numbers where it would be passed, before the driver is asked; the
    /// backend's own errors.
    pub(crate) fn alloc(&self, bytes: u64, name: Option<&str>) -> Result<MemId> {
        let Some(bound) = &self.bound else { return self.backend.alloc(bytes, name) };
        bound.take(bytes)?;
        match self.backend.alloc(bytes, name) {
            Ok(mem) => {
                bound.lock().sizes.insert(mem, bytes);
                Ok(mem)
            }
            Err(error) => {
                bound.lock().taken_bytes -= bytes;
                Err(error)
            }
        }
    }

    /// Gives it back. No unfinished command uses it.
    pub(crate) fn free(&self, mem: MemId) {
        let Some(bound) = &self.bound else { return self.backend.free(mem) };
        // Its name is the next allocation's as soon as the driver has it back, its bytes are not before. Imported
        // memory is not in the books.
        let bytes = bound.lock().sizes.remove(&mem).unwrap_or(0);
        self.backend.free(mem);
        bound.lock().taken_bytes -= bytes;
    }
}

impl Bound {
    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks and takes in one step, so that of two threads for which there is room for one only one has it.
    fn take(&self, bytes: u64) -> Result<()> {
        let mut books = self.lock();
        let taken = books.taken_bytes.checked_add(bytes).filter(|taken| *taken <= self.limit_bytes);
        #[cfg(wharf_models)]
        if crate::dma::has(crate::dma::Bug::LooksThenTakes) {
            drop(books);
            books = self.lock();
        }
        books.taken_bytes = taken.ok_or_else(|| Error::OutOfMemory {
            device: self.device.to_string(),
            requested_bytes: bytes,
            in_use_bytes: books.taken_bytes,
            limit_bytes: Some(self.limit_bytes),
            evicted_bytes: None,
        })?;
        Ok(())
    }
}

impl fmt::Debug for DeviceMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit_bytes = self.bound.as_ref().map(|bound| bound.limit_bytes);
        f.debug_struct("DeviceMemory").field("limit_bytes", &limit_bytes).finish_non_exhaustive()
    }
}
