//! The WGSL sources of wharf's kernels: one constant per file, of the file's name.
//!
//! A file holds one compute entry point, called like the file. Storage bindings come first, in
//! `@group(0)` from `@binding(0)` on, the uniform block `params` last. Workgroups are numbered
//! `workgroup_id.y * num_workgroups.x + workgroup_id.x`, so that a launch may be folded into y.

/// Counts values into 256 bins, through atomics in workgroup memory.
pub const HISTOGRAM: &str = include_str!("histogram.wgsl");
/// The product of two f32 matrices, tiled through workgroup memory.
pub const MATMUL: &str = include_str!("matmul.wgsl");
/// Filter and exact sum of TPC-H query 6.
pub const Q6: &str = include_str!("q6.wgsl");
/// Partial sums of f32, in a fixed order.
pub const REDUCE_SUM_F32: &str = include_str!("reduce_sum_f32.wgsl");
/// Partial sums of u32, modulo 2^32.
pub const REDUCE_SUM_U32: &str = include_str!("reduce_sum_u32.wgsl");
/// `y = a * x + y`.
pub const SAXPY: &str = include_str!("saxpy.wgsl");
/// The transpose of a matrix, through a padded tile in workgroup memory.
pub const TRANSPOSE: &str = include_str!("transpose.wgsl");

/// Every source with its file's stem.
pub const ALL: &[(&str, &str)] = &[
    ("histogram", HISTOGRAM),
    ("matmul", MATMUL),
    ("q6", Q6),
    ("reduce_sum_f32", REDUCE_SUM_F32),
    ("reduce_sum_u32", REDUCE_SUM_U32),
    ("saxpy", SAXPY),
    ("transpose", TRANSPOSE),
];
