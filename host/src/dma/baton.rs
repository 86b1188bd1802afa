//! Work that one thread at a time does, and that nobody waits for.

use std::sync::{
    Mutex, PoisonError,
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
        // A read-modify-write, so that the one at work synchronises with every caller.
        if self.state.swap(AGAIN, AcqRel) != IDLE {
            return Call::Taken;
        }
        let leave = Leave(&self.state);
        for _ in 0..rounds {
            self.state.swap(BUSY, AcqRel);
            work(&mut self.tools.lock().unwrap_or_else(PoisonError::into_inner));
            if self.state.compare_exchange(BUSY, IDLE, AcqRel, Acquire).is_ok() {
                std::mem::forget(leave);
                return Call::Done;
            }
        }
        Call::Left
    }
}

/// Puts the baton down, also where the work panics.
struct Leave<'a>(&'a AtomicU8);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.store(IDLE, Release);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicU64, Ordering::Relaxed},
        thread,
    };

    use super::*;

    #[test]
    fn what_was_published_before_a_call_is_seen_whoever_does_the_work() {
        const THREADS: u64 = 4;
        const CALLS: u64 = 20_000;
        let (published, seen) = (AtomicU64::new(0), Baton::<u64>::default());
        let done = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..CALLS {
                        published.fetch_add(1, Relaxed);
                        match seen.call(u32::MAX, |seen| *seen = published.load(Relaxed)) {
                            Call::Done => _ = done.fetch_add(1, Relaxed),
                            Call::Taken => {}
                            Call::Left => unreachable!("there were rounds left"),
                        }
                    }
                });
            }
        });
        assert_eq!(*seen.tools.lock().unwrap(), THREADS * CALLS, "no call is lost, the last least of all");
        assert!(done.load(Relaxed) > 0);
    }

    #[test]
    fn a_call_from_within_the_work_goes_round_again() {
        let baton = Baton::<u32>::default();
        let call = baton.call(8, |rounds| {
            *rounds += 1;
            if *rounds < 3 {
                assert_eq!(baton.call(8, |_| unreachable!("one at a time")), Call::Taken);
            }
        });
        assert_eq!((call, *baton.tools.lock().unwrap()), (Call::Done, 3));
    }

    #[test]
    fn who_has_done_its_share_leaves_the_rest() {
        let baton = Baton::<u32>::default();
        let endless = |rounds: &mut u32| {
            *rounds += 1;
            baton.call(8, |_| unreachable!("one at a time"));
        };
        assert_eq!(baton.call(5, endless), Call::Left);
        assert_eq!(*baton.tools.lock().unwrap(), 5);
        assert_eq!(baton.call(5, |rounds| *rounds += 1), Call::Done, "the next one may have it");
    }

    #[test]
    fn a_panic_puts_the_baton_down() {
        let baton = Baton::<u32>::default();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| baton.call(1, |_| panic!("a bug"))));
        assert!(panicked.is_err());
        assert_eq!(baton.call(1, |_| ()), Call::Done);
    }
}
