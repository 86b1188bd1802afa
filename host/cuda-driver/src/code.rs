//! The driver's result codes.

use std::ffi::{CStr, c_uint};

pub(crate) const SUCCESS: c_uint = 0;
pub(crate) const INVALID_VALUE: c_uint = 1;
/// What every entry point answers where there is no driver.
pub(crate) const NO_DEVICE: c_uint = 100;
/// What an entry point answers that the driver does not have.
pub(crate) const NOT_FOUND: c_uint = 500;
const UNKNOWN: c_uint = 999;

/// The codes of CUDA 11, inclusive ranges. `cust_raw` declares the result as a Rust enum of exactly
/// these, and a value outside of an enum is undefined behaviour.
const KNOWN: [(c_uint, c_uint); 14] = [
    (0, 8),
    (34, 34),
    (100, 102),
    (200, 202),
    (205, 224),
    (300, 304),
    (400, 401),
    (500, 500),
    (600, 600),
    (700, 705),
    (708, 720),
    (800, 809),
    (900, 911),
    (999, 999),
];

/// The code itself, or `CUDA_ERROR_UNKNOWN` for one that is newer than `cust_raw`.
pub(crate) fn known(code: c_uint) -> c_uint {
    let listed = KNOWN.iter().any(|&(first, last)| (first..=last).contains(&code));
    if listed { code } else { UNKNOWN }
}

/// The text of a code that this crate may answer with.
pub(crate) fn text(code: c_uint) -> &'static CStr {
    match code {
        SUCCESS => c"no error",
        NO_DEVICE => c"no CUDA driver was found",
        NOT_FOUND => c"the CUDA driver lacks this entry point",
        _ => c"error of a CUDA driver that is not there",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_newer_than_the_bindings_becomes_unknown() {
        // 721 and 914 came with CUDA 12.
        assert_eq!([721, 914, 9, 1 << 31].map(known), [UNKNOWN; 4]);
        assert_eq!([0, 2, 100, 600, 719, 999].map(known), [0, 2, 100, 600, 719, 999]);
    }
}
