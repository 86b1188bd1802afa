//! How often each value of eight bits occurs, counted through atomics in workgroup memory.
//!
//! | name | shape | unit |
//! |---|---|---|
//! | `values` (read) | `[n]` u32 | any |
//! | `bins` (read, write) | `[256]` u32 | occurrences, added modulo 2^32 to what is there |
//! | `n` | u32 | values; the length of `values` where it is not given |
//! | `shift` | u32 | the lowest of the eight bits, 0 to 31 (bits above the 31st count as 0) |
//!
//! Shift 0 counts bytes, 24 cuts the range of u32 into 256 equal parts, and 0, 8, 16, 24 are the four
//! passes of a radix sort. As counts are added, a long input may come in batches.
//!
//! Moves `4 n` bytes and does `n` additions. Limits: `n < 2^32`. Sizes of cases are `n`.
//!
//! Source: counts in workgroup memory, merged once, as in V. Podlozhnyuk, "Histogram calculation in
//! CUDA" (2007).
#![expect(unsafe_code, reason = "the descriptor vouches for its twins and its indices")]

use bytemuck::{Pod, Zeroable};
use rayon::prelude::*;
use wharf::{Grid, Job, Kernel, Need, Value, native::Dispatch};

use crate::{
    random::Random,
    share::SERIAL,
    spec::{Binding, Case, Cost, Expected, Inputs, Reproducibility, Spec, Split},
};

const BINS: usize = 256;

/// The descriptor.
// SAFETY: the guards in the WGSL and in its twins keep every index below the lengths that are checked at
// launch; the twins are compared with the WGSL and the oracle in the tests.
pub static HISTOGRAM: Kernel = unsafe {
    Kernel::new("histogram", wharf_shaders::HISTOGRAM)
        .with_native(native)
        .with_ptx(include_str!("histogram.ptx"))
        .with_grid(Grid::Strided { of: "values", per_group: 2048, most: 1024 })
        .with_needs(&[Need::product("values", &["n"])])
        .with_linear_ids()
        .with_proven_indices()
};

pub(crate) const SPEC: Spec = Spec {
    name: "histogram",
    summary: "adds to 256 bins how often each value of eight bits occurs",
    job: Job::Kernel(&HISTOGRAM),
    case,
    oracle,
    answer: |outputs| outputs,
    cost: |n| Cost { bytes: 4 * n + 2 * 4 * BINS as u64, flops: n, barriers: 2 },
    sizes: &[0, 1, 255, 256, 257, 2047, 2048, 2049, 10_007, 1 << 20, 3_000_017],
    class: Reproducibility::Anywhere,
    split: Split::Reduce,
};

#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Params {
    n: u32,
    shift: u32,
}

type Counts = [u32; BINS];

fn native(dispatch: &mut Dispatch<'_>) {
    let Params { n, shift } = dispatch.uniform();
    let pool = dispatch.pool;
    let [values, bins] = &mut *dispatch.args else { unreachable!("two storage bindings") };
    let (values, bins) = (values.read::<u32>(), bins.write::<u32>());
    // Whatever the workgroups, they share all values.
    let values = &values[..values.len().min(n as usize)];
    let counts = if values.len() < SERIAL {
        count(values, shift)
    } else {
        let each = values.len().div_ceil(4 * pool.current_num_threads()).max(SERIAL);
        pool.install(|| values.par_chunks(each).map(|part| count(part, shift)).reduce(|| [0; BINS], added))
    };
    bins.iter_mut().zip(counts).for_each(|(bin, count)| *bin = bin.wrapping_add(count));
}

fn count(values: &[u32], shift: u32) -> Counts {
    // Four copies: the same value four times in a row does not wait for its own count.
    let mut copies = [[0; BINS]; 4];
    let bin = |value: u32| ((value >> (shift & 31)) & 255) as usize;
    let mut fours = values.chunks_exact(4);
    for four in &mut fours {
        for (copy, &value) in copies.iter_mut().zip(four) {
            copy[bin(value)] += 1;
        }
    }
    fours.remainder().iter().for_each(|&value| copies[0][bin(value)] += 1);
    let [a, b, c, d] = copies;
    added(added(a, b), added(c, d))
}

fn added(mut a: Counts, b: Counts) -> Counts {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
    a
}

fn case(n: usize, inputs: Inputs) -> Case {
    let (shift, values): (u32, Vec<u32>) = match inputs {
        // Bin b is met with a frequency that grows with b; the bits around the eight are not zero.
        Inputs::Exact => {
            let bin = |i: u32| (i % 256).max(i / 256 % 256);
            (
                11,
                (0..n as u32)
                    .map(|i| 0xABC0_0000_u32.wrapping_mul(i) & 0xFFF8_0000 | bin(i) << 11 | i & 0x7FF)
                    .collect(),
            )
        }
        Inputs::Random(seed) => {
            let mut random = Random::new(seed);
            (random.below(4) * 8, (0..n).map(|_| random.u32()).collect())
        }
    };
    let bins: Vec<u32> = (0..BINS as u32).map(|bin| 3 * bin + 1).collect();
    Case {
        n,
        inputs,
        bindings: vec![Binding::input("values", values), Binding::in_out("bins", bins)],
        args: vec![("n", Value::U32(n as u32)), ("shift", Value::U32(shift))],
    }
}

fn oracle(case: &Case) -> Vec<Expected> {
    let mut bins = case.data("bins").u32s().to_vec();
    for value in case.data("values").u32s() {
        bins[(value >> case.u32("shift")) as usize % BINS] += 1;
    }
    vec![Expected::U32(bins)]
}
