//! Work that other threads join while it is at hand, and that is not held up by those that never come.
#![expect(unsafe_code, reason = "threads of a pool run a closure that lives on its caller's stack")]

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use rayon::ThreadPool;

/// Calls `work` on this thread, and meanwhile on those threads of the pool that come to it, once each. Returns when
/// none is inside: where the cores have other work, a thread of the pool may take long to come, and whoever waited
/// for it would wait for nothing.
///
/// # Panics
/// As one of the calls did, after the last has ended.
pub(crate) fn with_guests(pool: &ThreadPool, guests: usize, work: &(dyn Fn() + Sync)) {
    let door = Arc::new(Door::new(work));
    for _ in 0..guests {
        let door = Arc::clone(&door);
        pool.spawn(move || door.visit());
    }
    // Also where `work` panics, it stays until the guests are out.
    let own = catch_unwind(AssertUnwindSafe(work));
    let theirs = door.close();
    if let Some(cause) = own.err().or(theirs) {
        resume_unwind(cause);
    }
}

/// Who may still go in, and who is inside.
struct Door {
    state: Mutex<State>,
    left: Condvar,
}

struct State {
    /// There until the door is closed.
    work: Option<Work>,
    inside: usize,
    /// What a guest panicked with.
    cause: Option<Box<dyn Any + Send>>,
}

/// The closure of a caller that waits for everybody who took this out of an open [`Door`].
#[derive(Clone, Copy)]
struct Work(*const (dyn Fn() + Sync));

// SAFETY: the closure is `Sync`, so that other threads may call it.
unsafe impl Send for Work {}

impl Door {
    fn new(work: &(dyn Fn() + Sync)) -> Self {
        // SAFETY: only the lifetime is forgotten. `visit` calls the closure between counting itself inside, while
        // `work` is there, and counting itself out; `close` takes `work` away and returns when nobody is inside; and
        // `with_guests`, which borrows the closure, does not return before.
        let work = Work(unsafe {
            std::mem::transmute::<*const (dyn Fn() + Sync + '_), *const (dyn Fn() + Sync + 'static)>(work)
        });
        Self { state: Mutex::new(State { work: Some(work), inside: 0, cause: None }), left: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works, if the door is open.
    fn visit(&self) {
        let mut state = self.lock();
        let Some(Work(work)) = state.work else { return };
        state.inside += 1;
        drop(state);
        // SAFETY: the closure lives until this guest is out; see `Door::new`.
        let outcome = catch_unwind(AssertUnwindSafe(|| unsafe { (*work)() }));
        let mut state = self.lock();
        state.inside -= 1;
        state.cause = state.cause.take().or(outcome.err());
        if state.inside == 0 {
            self.left.notify_all();
        }
    }

    /// Lets nobody in any more, and waits for those inside. Answers what one of them panicked with.
    fn close(&self) -> Option<Box<dyn Any + Send>> {
        let mut state = self.lock();
        state.work = None;
        while state.inside > 0 {
            state = self.left.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.cause.take()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Barrier,
        atomic::{AtomicU32, Ordering::Relaxed},
        mpsc,
    };

    use rayon::ThreadPoolBuilder;

    use super::*;

    fn pool(threads: usize) -> ThreadPool {
        ThreadPoolBuilder::new().num_threads(threads).build().expect("threads")
    }

    #[test]
    fn guests_work_beside_the_caller_who_waits_for_them() {
        let (pool, calls, ended) = (pool(3), AtomicU32::new(0), AtomicU32::new(0));
        let all = Barrier::new(4);
        with_guests(&pool, 3, &|| {
            calls.fetch_add(1, Relaxed);
            // Nobody passes before the others are inside.
            all.wait();
            std::thread::yield_now();
            ended.fetch_add(1, Relaxed);
        });
        assert_eq!((calls.into_inner(), ended.into_inner()), (4, 4));
    }

    #[test]
    fn nobody_waits_for_guests_that_do_not_come() {
        let (pool, calls) = (pool(1), AtomicU32::new(0));
        let (open, wait) = mpsc::channel::<()>();
        // The pool's one thread is kept until all is over.
        pool.spawn(move || _ = wait.recv());
        with_guests(&pool, 2, &|| _ = calls.fetch_add(1, Relaxed));
        assert_eq!(calls.load(Relaxed), 1, "the caller");
        drop(open);
        // Now they come, find the door closed, and let nothing through.
        pool.install(|| ());
        assert_eq!(calls.into_inner(), 1);
    }

    #[test]
    fn a_panic_comes_out_once_everybody_is_out() {
        let pool = pool(2);
        for guest_panics in [false, true] {
            let (all, ended) = (Barrier::new(3), AtomicU32::new(0));
            let caller = std::thread::current().id();
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                with_guests(&pool, 2, &|| {
                    all.wait();
                    assert!((std::thread::current().id() == caller) == guest_panics, "planted");
                    ended.fetch_add(1, Relaxed);
                });
            }));
            let cause = outcome.expect_err("it panics");
            assert_eq!(cause.downcast_ref::<&str>(), Some(&"planted"));
            assert_eq!(ended.into_inner(), if guest_panics { 1 } else { 2 });
        }
        pool.install(|| ());
    }
}
