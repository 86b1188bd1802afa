//! What the engine does without locks, checked by loom: it tries every order in which threads can take their
//! steps, and everything that the memory model lets them see meanwhile.

mod sync {
    pub(crate) use loom::sync::{Mutex, atomic};
}

#[path = "../../src/dma/baton.rs"]
mod baton;

use baton::{Baton, Call};
use loom::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    thread,
};

/// Two threads publish something each and call, for so many rounds at a time and again where there is more.
fn race(rounds: u32) {
    loom::model(move || {
        let (published, baton) = (Arc::new(AtomicU32::new(0)), Arc::new(Baton::<u32>::default()));
        let publish = {
            let (published, baton) = (published.clone(), baton.clone());
            move || {
                published.fetch_add(1, Relaxed);
                while baton.call(rounds, |seen| *seen = published.load(Relaxed)) == Call::Left {}
            }
        };
        let other = thread::spawn(publish.clone());
        publish();
        other.join().expect("it does not panic");
        drop(publish);
        let baton = Arc::try_unwrap(baton).expect("both are done");
        assert_eq!(baton.into_inner(), 2, "what was published before a call is seen, whoever does the work");
    });
}

#[test]
fn no_call_is_lost() {
    race(u32::MAX);
}

#[test]
fn no_call_is_lost_where_the_work_is_left_to_the_next() {
    race(1);
}

#[test]
fn what_was_seen_to_begin_is_done_once_nobody_is_busy() {
    loom::model(|| {
        let baton = Arc::new(Baton::<u32>::default());
        let (taken, done) = (Arc::new(Mutex::new(false)), Arc::new(AtomicU32::new(0)));
        let works = {
            let (baton, taken, done) = (baton.clone(), taken.clone(), done.clone());
            move || {
                baton.call(u32::MAX, |_| {
                    *taken.lock().expect("no panic") = true;
                    done.store(1, Relaxed);
                })
            }
        };
        let other = thread::spawn(works);
        if *taken.lock().expect("no panic") && !baton.is_busy() {
            assert_eq!(done.load(Relaxed), 1, "it was begun, and nobody is at it");
        }
        assert_eq!(other.join().expect("it does not panic"), Call::Done);
    });
}
