//! Native twins for the widest vectors that the CPU has, found out at run time.
#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "code for vectors that not every CPU has may only be called where they are")
)]

/// Runs `f` over what it is given, compiled once for the CPUs that Rust assumes and once for those with AVX2.
/// Results are the same: lanes are wider, operations and their order do not change.
///
/// `f` is a function with `#[inline(always)]`. A closure that has become long is not inlined here, and keeps
/// the narrow vectors of the CPUs that Rust assumes.
#[inline]
pub(crate) fn widest<A, R>(f: impl FnOnce(A) -> R, args: A) -> R {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the CPU has AVX2, as just seen.
        return unsafe { with_avx2(f, args) };
    }
    f(args)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_avx2<A, R>(f: impl FnOnce(A) -> R, args: A) -> R {
    f(args)
}
