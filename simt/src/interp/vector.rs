//! Wide vector instructions where the machine has them. The crate is built for any machine of its
//! architecture; this asks once which one it is.
#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "a function for AVX2 must not run without it"))]

/// What the vectors of this machine can do.
///
/// Invariant: `Avx2` exists only on a machine that has it; only [`Vector::detect`] makes one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Vector {
    /// What every machine of the architecture has.
    Base,
    /// 256 bits, for floats and integers.
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

impl Vector {
    /// Asks the processor.
    pub(super) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            return Self::Avx2;
        }
        Self::Base
    }
}

/// Runs a loop over lanes, compiled for the given vectors.
#[inline(always)]
pub(super) fn run<R>(vector: Vector, body: impl FnOnce() -> R) -> R {
    match vector {
        Vector::Base => body(),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the machine has AVX2 (invariant).
        Vector::Avx2 => unsafe { with_avx2(body) },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_avx2<R>(body: impl FnOnce() -> R) -> R {
    body()
}
