//! SplitMix64, for inputs that repeat.
//!
//! Source: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.

/// A sequence of random numbers.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Any `u32`.
    pub(crate) fn u32(&mut self) -> u32 {
        (self.u64() >> 32) as u32
    }

    /// In `0..below`.
    pub(crate) fn below(&mut self, below: u32) -> u32 {
        ((u64::from(self.u32()) * u64::from(below)) >> 32) as u32
    }

    /// In `[-1, 1)`, in steps of 2^-23: never subnormal, so that devices which flush those agree.
    pub(crate) fn f32(&mut self) -> f32 {
        (self.u64() >> 40) as f32 / (1_u32 << 23) as f32 - 1.0
    }

    /// `n` numbers as [`Random::f32`].
    pub(crate) fn f32s(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.f32()).collect()
    }
}
