//! One thread has the baton, and none waits for it.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
};

use super::baton::{Baton, Call};

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
    assert_eq!(seen.into_inner(), THREADS * CALLS, "no call is lost, the last least of all");
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
    assert_eq!((call, baton.into_inner()), (Call::Done, 3));
}

#[test]
fn who_has_done_its_share_leaves_the_rest() {
    let baton = Baton::<u32>::default();
    let endless = |rounds: &mut u32| {
        *rounds += 1;
        baton.call(8, |_| unreachable!("one at a time"));
    };
    assert_eq!(baton.call(5, endless), Call::Left);
    assert_eq!(baton.call(5, |rounds| *rounds += 1), Call::Done, "the next one may have it");
    assert_eq!(baton.into_inner(), 5 + 1);
}

#[test]
fn a_panic_puts_the_baton_down() {
    let baton = Baton::<u32>::default();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| baton.call(1, |_| panic!("a bug"))));
    assert!(panicked.is_err());
    assert_eq!(baton.call(1, |_| ()), Call::Done);
}
