//! `c = a * b` for f32 matrices, tiled through workgroup memory.
//!
//! | name | shape | unit |
//! |---|---|---|
//! | `a` (read) | `[m, k]` f32, row after row | any |
//! | `b` (read) | `[k, n]` f32, row after row | any |
//! | `c` (write) | `[m, n]` f32, row after row | that of `a * b` |
//! | `m`, `n`, `k` | u32 | elements |
//!
//! Moves at least `4 (m k + k n + m n)` bytes and does `2 m n k` flops. A tile of 64 x 64 of `c` reads
//! each slice of `a` and `b` once from storage, so `8 / 64` bytes for each multiply-add where nothing is
//! cached. Limits: sides up to `2^32 - 64`, products of two sides below `2^32`. Exact cases of size `n`
//! multiply `n x (n + 3)` by `(n + 3) x (n + 1)`, random ones `n x n` by `n x n`.
//!
//! Source: blocking as in K. Goto, R. van de Geijn, "Anatomy of High-Performance Matrix
//! Multiplication", ACM TOMS 34(3), 2008; the native twin is the crate `matrixmultiply`.
#![expect(unsafe_code, reason = "the crate `matrixmultiply` takes its matrices by address")]

use bytemuck::{Pod, Zeroable};
use rayon::prelude::*;
use wharf::{Grid, Job, Kernel, Need, Value, native::Dispatch};

use crate::{
    random::Random,
    spec::{Binding, Case, Cost, Expected, Inputs, Near, Reproducibility, Spec, Split},
};

const SIDE: usize = 64;
const SLICE: u64 = 16;
/// Below this many multiply-adds the native twin stays on one thread.
const SERIAL: usize = 1 << 18;

/// The descriptor.
// SAFETY: the guards in the WGSL and in its twins keep every index below the lengths that are checked at
// launch; the twins are compared with the WGSL and the oracle in the tests.
pub static MATMUL: Kernel = unsafe {
    Kernel::new("matmul", wharf_shaders::MATMUL)
        .with_native(native)
        .with_ptx(include_str!("matmul.ptx"))
        .with_grid(Grid::Rectangle { width: "n", height: "m", tile: [SIDE as u32; 2] })
        .with_needs(&[
            Need::product("a", &["m", "k"]),
            Need::product("b", &["k", "n"]),
            Need::product("c", &["m", "n"]),
        ])
        .with_linear_ids()
        .with_proven_indices()
};

pub(crate) const SPEC: Spec = Spec {
    name: "matmul",
    summary: "c = a * b, f32 matrices",
    job: Job::Kernel(&MATMUL),
    case,
    oracle,
    answer: |outputs| outputs,
    cost: |n| Cost { bytes: 12 * n * n, flops: 2 * n * n * n, barriers: 2 * n.div_ceil(SLICE) },
    sizes: &[0, 1, 15, 16, 17, 63, 64, 65, 131, 300],
    class: Reproducibility::DeviceKind,
    split: Split::None,
};

#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Params {
    m: u32,
    n: u32,
    k: u32,
}

fn native(dispatch: &mut Dispatch<'_>) {
    let params: Params = dispatch.uniform();
    let (groups, pool) = (dispatch.group_count(), dispatch.pool);
    let [a, b, c] = &mut *dispatch.args else { unreachable!("three storage bindings") };
    let (a, b, c) = (a.read::<f32>(), b.read::<f32>(), c.write::<f32>());
    let [m, n, k] = [params.m, params.n, params.k].map(|side| side as usize);
    let fits = |rows: usize, cols: usize, len: usize| rows.checked_mul(cols).is_some_and(|needed| needed <= len);
    if m == 0 || n == 0 || !(fits(m, k, a.len()) && fits(k, n, b.len()) && fits(m, n, c.len())) {
        return;
    }
    // The workgroups make whole bands of tiles, then some tiles of the next band.
    let tiles_x = n.div_ceil(SIDE);
    let whole = (groups / tiles_x * SIDE).min(m);
    let (bands, rest) = c[..m * n].split_at_mut(whole * n);
    let band = |(band, c): (&[f32], &mut [f32])| product(band, &b[..k * n], c, k, n, n);
    if whole > 0 && k == 0 {
        bands.fill(0.0);
    } else if m * n * k < SERIAL {
        band((&a[..whole * k], bands));
    } else {
        let rows = whole.div_ceil(pool.current_num_threads()).next_multiple_of(SIDE).clamp(SIDE, 8 * SIDE);
        pool.install(|| a[..whole * k].par_chunks(rows * k).zip(bands.par_chunks_mut(rows * n)).for_each(band));
    }
    let cols = (groups % tiles_x * SIDE).min(n);
    if whole < m && cols > 0 {
        let end = (whole + SIDE).min(m);
        product(&a[whole * k..end * k], &b[..k * n], &mut rest[..(end - whole) * n], k, n, cols);
    }
}

/// The first `cols` columns of `c = a * b`, where `a` has rows of `k`, `b` and `c` have rows of `n`.
fn product(a: &[f32], b: &[f32], c: &mut [f32], k: usize, n: usize, cols: usize) {
    let rows = c.len() / n;
    assert!(cols <= n && a.len() == rows * k && b.len() == k * n && c.len() == rows * n, "the matrices fit");
    let (pa, pb, pc) = (a.as_ptr(), b.as_ptr(), c.as_mut_ptr());
    let [k_step, n_step] = [k, n].map(|side| side as isize);
    // SAFETY: by the assertion above, rows x k elements with row stride k lie in `a`, k x cols with row
    // stride n in `b` and rows x cols with row stride n in `c`; `c` is borrowed mutably, so it does not
    // overlap the others. Lengths of slices, and so all offsets, fit isize.
    unsafe { matrixmultiply::sgemm(rows, k, cols, 1.0, pa, k_step, 1, pb, n_step, 1, 0.0, pc, n_step, 1) };
}

fn case(n: usize, inputs: Inputs) -> Case {
    let (m, n_, k, a, b): (usize, usize, usize, Vec<f32>, Vec<f32>) = match inputs {
        // Quarters up to 4: products are multiples of 1/16 up to 16, and 2^12 of them stay exact.
        Inputs::Exact => {
            let (n_, k) = (n + 1, n + 3);
            let quarters = |count: usize, period: usize| {
                (0..count).map(|i| (i * i % period + i % 5) as f32 * 0.25 - 2.0).collect()
            };
            let (m, n_) = if n == 0 { (0, 0) } else { (n, n_) };
            (m, n_, k, quarters(m * k, 13), quarters(k * n_, 11))
        }
        Inputs::Random(seed) => {
            let mut random = Random::new(seed);
            (n, n, n, random.f32s(n * n), random.f32s(n * n))
        }
    };
    Case {
        n,
        inputs,
        bindings: vec![Binding::input("a", a), Binding::input("b", b), Binding::output_f32("c", m * n_)],
        args: vec![("m", Value::U32(m as u32)), ("n", Value::U32(n_ as u32)), ("k", Value::U32(k as u32))],
    }
}

fn oracle(case: &Case) -> Vec<Expected> {
    let [m, n, k] = ["m", "n", "k"].map(|side| case.u32(side) as usize);
    let (a, b) = (case.data("a").f32s(), case.data("b").f32s());
    let at = |i: usize| {
        let products = (0..k).map(|l| f64::from(a[i / n * k + l]) * f64::from(b[l * n + i % n]));
        let (value, magnitude) =
            products.fold((0.0, 0.0), |(value, magnitude), product| (value + product, magnitude + product.abs()));
        // Each product is rounded once and then takes part in at most k additions, in any order: k + 1
        // roundings of 2^-24; a relative hundredth covers second order terms.
        let within = case.slack() * 1.01 * (k + 1) as f64 * 0.5 * f64::from(f32::EPSILON) * magnitude;
        Near { value, within }
    };
    vec![Expected::F32((0..m * n).map(at).collect())]
}
