//! How workgroups that stride divide their input, as the WGSL does it.

use std::{
    ops::Range,
    sync::{Mutex, PoisonError},
};

use rayon::ThreadPool;

use crate::guests::with_guests;

/// Below this many elements a native twin stays on one thread: waking the others would take longer.
pub(crate) const SERIAL: usize = 1 << 15;

/// The elements of workgroup `group` of `groups`, where `n` elements are cut into tiles and each
/// workgroup takes an even share of consecutive tiles, the first ones one tile more.
pub(crate) fn share(n: usize, tile: usize, group: usize, groups: usize) -> Range<usize> {
    let tiles = n.div_ceil(tile);
    let (share, more) = (tiles / groups, tiles % groups);
    let first = group * share + group.min(more);
    let end = first + share + usize::from(group < more);
    (first * tile).min(n)..(end * tile).min(n)
}

/// Calls `run` with each of the items, on the calling thread at once and on the pool's other threads as they
/// come.
pub(crate) fn share_out<T: Send>(pool: &ThreadPool, items: impl Iterator<Item = T> + Send, run: impl Fn(T) + Sync) {
    let items = Mutex::new(items);
    let next = || items.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        while let Some(item) = next() {
            run(item);
        }
    };
    with_guests(pool, pool.current_num_threads() - 1, &work);
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use rayon::ThreadPoolBuilder;

    use super::{share, share_out};

    #[test]
    fn every_item_is_run_once_whatever_the_threads() {
        for threads in [1, 2, 5] {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            for items in [0, 1, 3, 1000] {
                let counts: Vec<AtomicU32> = (0..items).map(|_| AtomicU32::new(0)).collect();
                share_out(&pool, counts.iter(), |count| _ = count.fetch_add(1, Relaxed));
                assert!(counts.iter().all(|count| count.load(Relaxed) == 1), "{items} items, {threads} threads");
            }
        }
    }

    #[test]
    fn shares_are_consecutive_even_and_complete() {
        for (n, groups) in [(0, 3), (1, 3), (4095, 4), (4096, 4), (4097, 4), (100_003, 7)] {
            let shares: Vec<_> = (0..groups).map(|group| share(n, 1024, group, groups)).collect();
            assert_eq!((shares[0].start, shares[groups - 1].end), (0, n));
            assert!(shares.windows(2).all(|pair| pair[0].end == pair[1].start));
            let tiles = shares.iter().map(|share| share.len().div_ceil(1024));
            assert!(tiles.clone().max().unwrap() - tiles.min().unwrap() <= 1);
        }
    }
}
