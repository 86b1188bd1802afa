//! Work that one thread at a time does, and that nobody waits for.

use std::sync::PoisonError;

// By this name, so that `host/models` can put a model checker's in their place.
use super::sync::{
    Mutex,
    atomic::{AtomicU8, Ordering::AcqRel, Ordering::Acquire, Ordering::Release},
};

const IDLE: u8 = 0;
const BUSY: u8 = 1;
/// Somebody is at it, and there is more since they looked.
const AGAIN: u8 = 2;

/// What the one thread at work works with.
///
/// Whoever makes work calls [`Baton::call`]. The first to call does it; who calls meanwhile leaves at
/// once, and the one at work goes round again: what was published before a call is always seen by a
/// round that begins after it. A call from within the work itself is a call like any other.
#[derive(Debug, Default)]
pub(crate) struct Baton<T> {
    state: AtomicU8,
    tools: Mutex<T>,
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// This thread did all there was.
    Done,
    /// This thread did its share; somebody has to call again.
    Left,
    /// Another thread does it.
    Taken,
}

impl<T> Baton<T> {
    /// Goes round until there is no more, `rounds` times at most.
    pub(crate) fn call(&self, rounds: u32, mut work: impl FnMut(&mut T)) -> Call {
        let mut idle = self.state.compare_exchange(IDLE, BUSY, AcqRel, Acquire).is_ok();
        // A read-modify-write, so that the one at work synchronises with every caller.
        if !idle && self.state.swap(AGAIN, AcqRel) != IDLE {
            return Call::Taken;
        }
        let leave = Leave(&self.state);
        for _ in 0..rounds {
            if !std::mem::take(&mut idle) {
                self.state.swap(BUSY, AcqRel);
            }
            work(&mut self.tools.lock().unwrap_or_else(PoisonError::into_inner));
            if self.state.compare_exchange(BUSY, IDLE, AcqRel, Acquire).is_ok() {
                std::mem::forget(leave);
                return Call::Done;
            }
        }
        Call::Left
    }

    /// Whether somebody is at it: what they were seen to begin is done once nobody is.
    pub(crate) fn is_busy(&self) -> bool {
        self.state.load(Acquire) != IDLE
    }

    /// The tools, when nobody works any more.
    #[cfg(test)]
    pub(crate) fn into_inner(self) -> T {
        self.tools.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts the baton down, also where the work panics.
struct Leave<'a>(&'a AtomicU8);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.store(IDLE, Release);
    }
}
