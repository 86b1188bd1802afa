//! Where a generator's decisions come from: a seed, or the bytes that a fuzzer changes.

/// A stream of decisions. Bytes that have run out go on as zeros, which every caller takes for the
/// simplest choice, so that what is built from them ends.
#[derive(Debug)]
pub(crate) struct Choices<'a> {
    source: Source<'a>,
}

#[derive(Debug)]
enum Source<'a> {
    Bytes(&'a [u8]),
    Seed(u64),
}

impl<'a> Choices<'a> {
    /// Decisions made by these bytes.
    pub(crate) fn from_bytes(bytes: &'a [u8]) -> Self {
        Self { source: Source::Bytes(bytes) }
    }

    /// The decisions that belong to a number.
    pub(crate) fn from_seed(seed: u64) -> Self {
        Self { source: Source::Seed(seed) }
    }

    /// Whether only zeros follow.
    pub(crate) fn spent(&self) -> bool {
        matches!(self.source, Source::Bytes([]))
    }

    fn byte(&mut self) -> u8 {
        match &mut self.source {
            Source::Bytes(bytes) => match bytes.split_first() {
                Some((&first, rest)) => {
                    *bytes = rest;
                    first
                }
                None => 0,
            },
            Source::Seed(state) => (mix(state) >> 56) as u8,
        }
    }

    /// A number below `n`, which is not 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        let wide = if n > 256 { usize::from(self.byte()) << 8 } else { 0 };
        (wide | usize::from(self.byte())) % n
    }

    /// True in so many of a hundred cases; false when spent.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) >= 100 - percent
    }

    /// One of a list that is not empty.
    pub(crate) fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    /// Any word.
    pub(crate) fn word(&mut self) -> u32 {
        u32::from_le_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }
}

/// splitmix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
fn mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ *state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}
