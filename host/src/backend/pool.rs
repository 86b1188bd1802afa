//! Values whose memory is used again, and what pools say of what they hold.

use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, PoisonError},
};

/// What a pool of memory of a device holds: see [`Device::pools`](crate::Device::pools).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolUse {
    /// Whose memory it is: `buffers`, `scratch of plans`, `evicted to the host`, `staging blocks`, `staging
    /// rings`, `readback`.
    pub name: &'static str,
    /// Bytes lent out, or with the device.
    pub in_use_bytes: u64,
    /// Bytes kept to be used again, which [`Device::reclaim`](crate::Device::reclaim) gives back.
    pub idle_bytes: u64,
    /// The most bytes that were ever in use.
    pub high_water_bytes: u64,
    /// The most bytes that are kept idle; what comes back beyond that is given back at once.
    pub idle_cap_bytes: Option<u64>,
}

/// Idle values: what they have allocated is there for their next user. It holds as many as were ever in
/// use at once, which the depth of the queues bounds.
#[derive(Debug)]
pub(crate) struct Pool<T>(Arc<Mutex<Vec<Box<T>>>>);

impl<T: Default> Pool<T> {
    /// A value as its last user left it.
    pub(crate) fn take(&self) -> Pooled<T> {
        let idle = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Pooled { value: Some(idle.unwrap_or_default()), home: self.0.clone() }
    }
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

/// A value that goes back to its pool when it is dropped.
#[derive(Debug)]
pub(crate) struct Pooled<T> {
    /// `None` only while it is dropped.
    value: Option<Box<T>>,
    home: Arc<Mutex<Vec<Box<T>>>>,
}

impl<T> Deref for Pooled<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("there until it is dropped")
    }
}

impl<T> DerefMut for Pooled<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("there until it is dropped")
    }
}

impl<T> Drop for Pooled<T> {
    fn drop(&mut self) {
        self.home.lock().unwrap_or_else(PoisonError::into_inner).extend(self.value.take());
    }
}
