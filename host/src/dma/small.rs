//! Memory for small uploads that are copied when they are accepted.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// The smallest block.
const LEAST: usize = 128;
/// Sizes of blocks: each twice the one before.
const CLASSES: usize = 10;
/// The largest block: a larger `inline_max` gains nothing, the staging memory is as fast.
pub(crate) const MOST_INLINE: usize = LEAST << (CLASSES - 1);
/// Unused blocks of a size that are kept.
const KEEP: usize = 1024;

/// Blocks that are lent and used again: in steady state nothing is allocated.
#[derive(Default)]
pub(crate) struct SmallPool {
    free: [Mutex<Vec<Vec<u8>>>; CLASSES],
}

/// A block on loan; it goes back by being dropped.
pub(crate) struct Small {
    pool: Arc<SmallPool>,
    /// As long as its class says; moving it moves a handle only.
    bytes: Vec<u8>,
}

fn class(bytes: usize) -> usize {
    (bytes.max(LEAST).next_power_of_two() / LEAST).trailing_zeros() as usize
}

impl SmallPool {
    /// Room for so many bytes, at most [`MOST_INLINE`]; what it holds is arbitrary.
    pub(crate) fn take(self: &Arc<Self>, bytes: usize) -> Small {
        let class = class(bytes);
        let known = self.free[class].lock().unwrap_or_else(PoisonError::into_inner).pop();
        let bytes = known.unwrap_or_else(|| vec![0; LEAST << class]);
        Small { pool: self.clone(), bytes }
    }
}

impl Small {
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let mut free = self.pool.free[class(bytes.len())].lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEEP {
            free.push(bytes);
        }
    }
}

impl fmt::Debug for SmallPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SmallPool")
    }
}

impl fmt::Debug for Small {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Small").field("bytes", &self.bytes.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_room_and_comes_again() {
        let pool = Arc::new(SmallPool::default());
        for bytes in [0, 1, LEAST, LEAST + 1, 4096, 4097, MOST_INLINE] {
            let mut block = pool.take(bytes);
            assert!(block.as_mut_slice().len() >= bytes && block.as_mut_slice().len() <= LEAST.max(2 * bytes));
            block.as_mut_slice()[0] = 77;
            let address = block.as_mut_slice().as_ptr();
            drop(block);
            let mut again = pool.take(bytes);
            assert_eq!((again.as_mut_slice().as_ptr(), again.as_mut_slice()[0]), (address, 77));
            again.as_mut_slice()[0] = 0;
        }
    }
}
