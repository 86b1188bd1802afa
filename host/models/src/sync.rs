//! What the engine knows as `dma::sync`: the checker's own, but for what may be wrong with it on purpose.

use std::cell::Cell;

pub(crate) use shuttle::{
    sync::{Condvar, Mutex, MutexGuard, Once},
    thread_local,
};

/// A bug on purpose, so that the models can show that they would find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A credit comes back, and who waits for it is not told.
    Unheard,
    /// Who waits for a credit lets go of the lock between looking and sleeping.
    LooksThenSleeps,
    /// Who returns credits tells first and returns them then.
    ToldTooEarly,
    /// A task leaves its waker without having looked once more.
    WakesTooLate,
    /// A thread that is woken before it sleeps sleeps all the same.
    Forgetful,
    /// Who has the baton puts it down without looking whether somebody has called.
    Blind,
    /// A slot is used again under the name that it had.
    Stale,
    /// An allocation looks whether there is room, lets go of the lock, and takes it then.
    LooksThenTakes,
    /// A buffer's memory goes with its owner, whoever still uses it.
    FreesInUse,
}

std::thread_local! {
    // A model's threads all run on the thread of its test.
    static BUG: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// From now on the models of this thread have this bug.
pub fn plant(bug: Option<Bug>) {
    BUG.set(bug);
}

pub(crate) fn has(bug: Bug) -> bool {
    BUG.get() == Some(bug)
}

pub(crate) mod atomic {
    pub(crate) use shuttle::sync::atomic::{AtomicU64, Ordering};

    use super::{Bug, has};

    /// The state of a baton.
    #[derive(Debug, Default)]
    pub(crate) struct AtomicU8(shuttle::sync::atomic::AtomicU8);

    impl AtomicU8 {
        pub(crate) fn swap(&self, value: u8, order: Ordering) -> u8 {
            self.0.swap(value, order)
        }

        pub(crate) fn store(&self, value: u8, order: Ordering) {
            self.0.store(value, order);
        }

        pub(crate) fn load(&self, order: Ordering) -> u8 {
            self.0.load(order)
        }

        pub(crate) fn compare_exchange(&self, old: u8, new: u8, ok: Ordering, err: Ordering) -> Result<u8, u8> {
            if has(Bug::Blind) { Ok(self.0.swap(new, ok)) } else { self.0.compare_exchange(old, new, ok, err) }
        }
    }
}

pub(crate) mod thread {
    use std::{sync::Arc, time::Duration};

    pub(crate) use shuttle::thread::Builder;

    use super::{Bug, Condvar, Mutex, has};

    shuttle::thread_local! {
        static TOKEN: Arc<Token> = Arc::default();
    }

    /// Shuttle's own threads may get up by themselves, so that nobody would miss a signal that is lost.
    #[derive(Debug, Default)]
    struct Token {
        state: Mutex<State>,
        given: Condvar,
    }

    #[derive(Debug, Default)]
    struct State {
        is_given: bool,
        sleeps: bool,
    }

    #[derive(Debug, Clone)]
    pub(crate) struct Thread {
        inner: shuttle::thread::Thread,
        token: Arc<Token>,
    }

    impl Thread {
        pub(crate) fn name(&self) -> Option<&str> {
            self.inner.name()
        }

        pub(crate) fn unpark(self) {
            let mut state = self.token.state.lock().expect("nobody panics with it");
            state.is_given |= state.sleeps || !has(Bug::Forgetful);
            drop(state);
            self.token.given.notify_one();
        }
    }

    pub(crate) fn current() -> Thread {
        Thread { inner: shuttle::thread::current(), token: TOKEN.with(Arc::clone) }
    }

    pub(crate) fn park() {
        let token = TOKEN.with(Arc::clone);
        let mut state = token.state.lock().expect("nobody panics with it");
        while !std::mem::take(&mut state.is_given) {
            state.sleeps = true;
            state = token.given.wait(state).expect("nobody panics with it");
            state.sleeps = false;
        }
    }

    /// No time passes in a model: others may go on first.
    pub(crate) fn sleep(_: Duration) {
        shuttle::thread::yield_now();
    }

    /// No time passes in a model: who waits for others waits for them.
    pub(crate) fn park_timeout(_: Duration) {
        park();
    }
}

/// As much of crossbeam's channels as the engine uses.
pub(crate) mod channel {
    use std::{collections::VecDeque, sync::Arc, time::Duration};

    use super::{Condvar, Mutex};

    struct Inner<T> {
        state: Mutex<State<T>>,
        news: Condvar,
    }

    struct State<T> {
        items: VecDeque<T>,
        senders: usize,
    }

    /// Why nothing came; never for want of time.
    #[derive(Debug, PartialEq, Eq)]
    pub(crate) enum RecvTimeoutError {
        Timeout,
        Disconnected,
    }

    pub(crate) struct Sender<T>(Arc<Inner<T>>);
    pub(crate) struct Receiver<T>(Arc<Inner<T>>);

    pub(crate) fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
        let state = Mutex::new(State { items: VecDeque::new(), senders: 1 });
        let inner = Arc::new(Inner { state, news: Condvar::new() });
        (Sender(inner.clone()), Receiver(inner))
    }

    /// For channels on which nothing is sent.
    pub(crate) fn bounded<T>(_: usize) -> (Sender<T>, Receiver<T>) {
        unbounded()
    }

    impl<T> Sender<T> {
        pub(crate) fn send(&self, item: T) -> Result<(), T> {
            self.0.state.lock().expect("nobody panics with it").items.push_back(item);
            self.0.news.notify_one();
            Ok(())
        }
    }

    impl<T> Clone for Sender<T> {
        fn clone(&self) -> Self {
            self.0.state.lock().expect("nobody panics with it").senders += 1;
            Self(self.0.clone())
        }
    }

    impl<T> Drop for Sender<T> {
        fn drop(&mut self) {
            self.0.state.lock().expect("nobody panics with it").senders -= 1;
            self.0.news.notify_all();
        }
    }

    impl<T> Receiver<T> {
        pub(crate) fn try_recv(&self) -> Result<T, ()> {
            self.0.state.lock().expect("nobody panics with it").items.pop_front().ok_or(())
        }

        fn recv(&self) -> Option<T> {
            let mut state = self.0.state.lock().expect("nobody panics with it");
            loop {
                match state.items.pop_front() {
                    Some(item) => return Some(item),
                    None if state.senders == 0 => return None,
                    None => state = self.0.news.wait(state).expect("nobody panics with it"),
                }
            }
        }

        pub(crate) fn recv_timeout(&self, _: Duration) -> Result<T, RecvTimeoutError> {
            self.recv().ok_or(RecvTimeoutError::Disconnected)
        }

        pub(crate) fn iter(&self) -> impl Iterator<Item = T> {
            std::iter::from_fn(|| self.recv())
        }
    }

    impl<T> Clone for Receiver<T> {
        fn clone(&self) -> Self {
            Self(self.0.clone())
        }
    }
}
