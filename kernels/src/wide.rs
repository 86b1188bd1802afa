//! Native twins for the widest vectors that the CPU has, found out at run time.
#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "code for vectors that not every CPU has may only be called where they are")
)]

/// Runs `f`, compiled once for the CPUs that Rust assumes and once for those with AVX2. Results are the
/// same: lanes are wider, operations and their order do not change.
#[inline]
pub(crate) fn widest<R>(f: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the CPU has AVX2, as just seen.
        return unsafe { with_avx2(f) };
    }
    f()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_avx2<R>(f: impl FnOnce() -> R) -> R {
    f()
}
