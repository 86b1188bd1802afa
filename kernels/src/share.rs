//! How workgroups that stride divide their input, as the WGSL does it.

use std::ops::Range;

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

#[cfg(test)]
mod tests {
    use super::share;

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
