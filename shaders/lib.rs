//! The WGSL sources of wharf's kernels: one constant per file, of the file's name.
//!
//! A file holds one compute entry point, called like the file. Storage bindings come first, in
//! `@group(0)` from `@binding(0)` on, the uniform block `params` last. Workgroups are numbered
//! `workgroup_id.y * num_workgroups.x + workgroup_id.x`, so that a launch may be folded into y.

/// The constants, and the list of them all.
macro_rules! sources {
    ($($name:ident = $stem:literal, $doc:literal;)*) => {
        $(#[doc = $doc] pub const $name: &str = include_str!(concat!($stem, ".wgsl"));)*

        /// Every file's stem and source.
        pub const ALL: &[(&str, &str)] = &[$(($stem, $name)),*];
    };
}

sources! {
    HISTOGRAM = "histogram", "Counts values into 256 bins, through atomics in workgroup memory.";
    MATMUL = "matmul", "The product of two f32 matrices, tiled through workgroup memory.";
    Q6 = "q6", "Filter and exact sum of TPC-H query 6.";
    REDUCE_SUM_F32 = "reduce_sum_f32", "Partial sums of f32, in a fixed order.";
    REDUCE_SUM_U32 = "reduce_sum_u32", "Partial sums of u32, modulo 2^32.";
    SAXPY = "saxpy", "`y = a * x + y`.";
    TRANSPOSE = "transpose", "The transpose of a matrix, through a padded tile in workgroup memory.";
}
