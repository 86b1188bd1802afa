//! The standard kernels of wharf: WHAT is computed. One page each, with its descriptor, native twin,
//! oracle, cases and cost; the WGSL is in `wharf-shaders`, the CUDA twin beside the page.
//!
//! ```
//! use wharf::Device;
//! use wharf_kernels::REDUCE_SUM_U32;
//!
//! let device = Device::open("cpu")?;
//! let (x, sum) = (device.buffer::<u32>(1000)?, device.buffer::<u32>(1)?);
//! device.upload(&x).fill(|i| i as u32)?;
//! device.launch(&REDUCE_SUM_U32).bind(&x).bind(&sum).run()?;
//! assert_eq!(device.download(&sum).wait()?[0], 499_500);
//! # Ok::<(), wharf::Error>(())
//! ```
//!
//! Adding a kernel: `<name>.wgsl` and a line in `wharf-shaders`, `<name>.rs` and `<name>.cu` here, a
//! line in the list of this file. Tests and benches find it in [`ALL`].

pub mod conformance;
mod guests;
mod random;
mod share;
pub mod soak;
mod spec;
mod wide;

pub use spec::{Binding, Case, Cost, Data, Expected, Inputs, Near, Reproducibility, Role, Spec, Split};

/// The pages, and the list of all specs.
macro_rules! library {
    ($($page:ident: $($kernel:ident = $spec:ident),+;)*) => {
        $(pub mod $page; pub use $page::{$($kernel),+};)*

        /// Every kernel and plan, by name.
        pub static ALL: &[Spec] = &[$($($page::$spec),+),*];
    };
}

library! {
    histogram: HISTOGRAM = SPEC;
    matmul: MATMUL = SPEC;
    q6: Q6 = SPEC;
    reduce: REDUCE_SUM_F32 = SPEC_F32, REDUCE_SUM_U32 = SPEC_U32;
    saxpy: SAXPY = SPEC;
    transpose: TRANSPOSE = SPEC;
}

/// The kernel or plan of this name.
pub fn find(name: &str) -> Option<&'static Spec> {
    ALL.iter().find(|spec| spec.name == name)
}

/// The README's programs, as tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
