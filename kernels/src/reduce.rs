//! The sum of an array, of f32 or (modulo 2^32) of u32.
//!
//! | name | shape | unit |
//! |---|---|---|
//! | `input` (read) | `[n]` f32 or u32 | any |
//! | `partial` (write) | `[workgroups]`; of the plan: `[1]` | that of `input` |
//!
//! [`REDUCE_SUM_F32`] and [`REDUCE_SUM_U32`] are plans of two steps of the same kernel: one partial sum
//! for each workgroup into scratch memory, then one workgroup over those. The kernels themselves are
//! [`PARTIAL_F32`] and [`PARTIAL_U32`]; they use as many workgroups as `partial` has room for and
//! write it to its end, with zeroes where no workgroup is.
//!
//! The order of additions depends on `n` alone (it is written down in the WGSL), so the f32 sum has the
//! same bits on every device that keeps subnormal numbers. Relative to the sum of magnitudes its error
//! is at most about `(n / 2^21 + 23) * 2^-24`.
//!
//! Moves `4 n` bytes and does `n` flops. Limits: `n < 2^32`. Sizes of cases are `n`.
//!
//! Source: M. Harris, "Optimizing Parallel Reduction in CUDA" (2007), for the shape; error of a fixed
//! summation tree: N. Higham, "The Accuracy of Floating Point Summation", SIAM J. Sci. Comput. 14(4), 1993.
#![expect(unsafe_code, reason = "the descriptor vouches for its twins and its indices")]

use bytemuck::Pod;
use rayon::prelude::*;
use wharf::{Grid, Job, Kernel, Operand, Plan, Scratch, Step, native::Dispatch};

use crate::{
    random::Random,
    share::{SERIAL, share},
    spec::{Binding, Case, Cost, Expected, Inputs, Near, Reproducibility, Spec, Split},
    wide::widest,
};

const TILE: usize = 2048;
/// Enough to fill the largest devices of today twice, and few enough for one workgroup's second pass.
const MOST: u32 = 1024;
const GRID: Grid = Grid::Strided { of: "input", per_group: TILE as u32, most: MOST };

/// One partial sum of f32 for each workgroup.
// SAFETY: the guards in the WGSL and in its twins keep every index below the lengths that are checked at
// launch; the twins are compared with the WGSL and the oracle in the tests.
pub static PARTIAL_F32: Kernel = unsafe {
    Kernel::new("reduce_sum_f32", wharf_shaders::REDUCE_SUM_F32)
        .with_native(native_f32)
        .with_ptx(include_str!("reduce.ptx"))
        .with_grid(GRID)
        .with_linear_ids()
        .with_proven_indices()
};

/// One partial sum of u32 for each workgroup.
// SAFETY: the guards in the WGSL and in its twins keep every index below the lengths that are checked at
// launch; the twins are compared with the WGSL and the oracle in the tests.
pub static PARTIAL_U32: Kernel = unsafe {
    Kernel::new("reduce_sum_u32", wharf_shaders::REDUCE_SUM_U32)
        .with_native(native_u32)
        .with_ptx(include_str!("reduce.ptx"))
        .with_grid(GRID)
        .with_linear_ids()
        .with_proven_indices()
};

const SCRATCH: &[Scratch] =
    &[Scratch { elements: |counts| counts[0].div_ceil(TILE as u64).clamp(1, MOST as u64), element_bytes: 4 }];
const FIRST: &[Operand] = &[Operand::Caller(0), Operand::Scratch(0)];
const SECOND: &[Operand] = &[Operand::Scratch(0), Operand::Caller(1)];

/// The sum of an f32 buffer into a buffer of one element.
pub static REDUCE_SUM_F32: Plan = Plan {
    name: "reduce_sum_f32",
    bindings: 2,
    scratch: SCRATCH,
    steps: &[Step { kernel: &PARTIAL_F32, operands: FIRST }, Step { kernel: &PARTIAL_F32, operands: SECOND }],
};

/// The sum modulo 2^32 of a u32 buffer into a buffer of one element.
pub static REDUCE_SUM_U32: Plan = Plan {
    name: "reduce_sum_u32",
    bindings: 2,
    scratch: SCRATCH,
    steps: &[Step { kernel: &PARTIAL_U32, operands: FIRST }, Step { kernel: &PARTIAL_U32, operands: SECOND }],
};

const SIZES: &[usize] = &[0, 1, 255, 256, 257, 2047, 2048, 2049, 10_007, 1 << 20, 3_000_017];

pub(crate) const SPEC_F32: Spec = Spec {
    name: "reduce_sum_f32",
    summary: "the sum of f32, in a fixed order",
    job: Job::Plan(&REDUCE_SUM_F32),
    case: case_f32,
    oracle: oracle_f32,
    answer: |outputs| outputs,
    cost,
    sizes: SIZES,
    class: Reproducibility::Anywhere,
    split: Split::Reduce,
};

pub(crate) const SPEC_U32: Spec = Spec {
    name: "reduce_sum_u32",
    summary: "the sum of u32 modulo 2^32",
    job: Job::Plan(&REDUCE_SUM_U32),
    case: case_u32,
    oracle: oracle_u32,
    ..SPEC_F32
};

fn cost(n: u64) -> Cost {
    Cost { bytes: 4 * n, flops: n, barriers: 9 }
}

fn native_f32(dispatch: &mut Dispatch<'_>) {
    native::<f32>(dispatch, |sum, x| *sum += x);
}

fn native_u32(dispatch: &mut Dispatch<'_>) {
    native::<u32>(dispatch, |sum, x| *sum = sum.wrapping_add(x));
}

fn native<T: Pod + Send + Sync>(dispatch: &mut Dispatch<'_>, add: impl Fn(&mut T, T) + Copy + Sync) {
    let (groups, pool) = (dispatch.group_count(), dispatch.pool);
    let [input, partial] = &mut *dispatch.args else { unreachable!("two storage bindings") };
    let (input, partial) = (input.read::<T>(), partial.write::<T>());
    let groups = groups.min(partial.len()).min(65_536);
    let (partial, unowned) = partial.split_at_mut(groups);
    unowned.fill(T::zeroed());
    let sum = |(group, partial): (usize, &mut T)| {
        let own = &input[share(input.len(), TILE, group, groups)];
        *partial = widest(sum_of_share, (own, add));
    };
    if input.len() < SERIAL {
        partial.iter_mut().enumerate().for_each(sum);
    } else {
        pool.install(|| partial.par_iter_mut().enumerate().for_each(sum));
    }
}

/// The sum of one workgroup's share, added up in the order of the WGSL.
#[inline(always)]
fn sum_of_share<T: Pod, F: Fn(&mut T, T)>((input, add): (&[T], F)) -> T {
    let mut sums = [T::zeroed(); TILE];
    for tile in input.chunks(TILE) {
        sums.iter_mut().zip(tile).for_each(|(sum, x)| add(sum, *x));
    }
    let mut half = TILE / 2;
    while half > 0 {
        let (low, high) = sums.split_at_mut(half);
        low.iter_mut().zip(&high[..half]).for_each(|(low, high)| add(low, *high));
        half /= 2;
    }
    sums[0]
}

fn case_f32(n: usize, inputs: Inputs) -> Case {
    let input: Vec<f32> = match inputs {
        // Multiples of 1/4 whose running sums stay below 2^22 in any order: exact.
        Inputs::Exact => (0..n).map(|i| (i % 7) as f32 * 0.25 - 0.5).collect(),
        Inputs::Random(seed) => Random::new(seed).f32s(n),
    };
    let bindings = vec![Binding::input("input", input), Binding::output_f32("partial", 1)];
    Case { n, inputs, bindings, args: Vec::new() }
}

fn case_u32(n: usize, inputs: Inputs) -> Case {
    let input: Vec<u32> = match inputs {
        Inputs::Exact => (0..n).map(|i| i as u32 + 1).collect(),
        Inputs::Random(seed) => {
            let mut random = Random::new(seed);
            (0..n).map(|_| random.u32()).collect()
        }
    };
    let bindings = vec![Binding::input("input", input), Binding::output_u32("partial", 1)];
    Case { n, inputs, bindings, args: Vec::new() }
}

fn oracle_f32(case: &Case) -> Vec<Expected> {
    let input = case.data("input").f32s();
    let value: f64 = input.iter().map(|&x| f64::from(x)).sum();
    let magnitude: f64 = input.iter().map(|&x| f64::from(x).abs()).sum();
    // A number takes part in at most `depth` additions: those of its position in its workgroup's tiles
    // and 11 halvings, and in the second pass one and 11 more. Each rounds by at most 2^-24; a relative
    // hundredth covers second order terms.
    let depth = (case.n.div_ceil(TILE * MOST as usize) + 11 + 1 + 11) as f64;
    let within = case.slack() * 1.01 * depth * 0.5 * f64::from(f32::EPSILON) * magnitude;
    vec![Expected::F32(vec![Near { value, within }])]
}

fn oracle_u32(case: &Case) -> Vec<Expected> {
    let sum: u64 = case.data("input").u32s().iter().map(|&x| u64::from(x)).sum();
    vec![Expected::U32(vec![sum as u32])]
}
