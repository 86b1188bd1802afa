//! `y = a * x + y`, the smallest kernel that reads, writes and takes a parameter.
//!
//! | name | shape | unit |
//! |---|---|---|
//! | `x` (read) | `[n]` f32 | any |
//! | `y` (read, write) | `[n]` f32 | that of `a * x` |
//! | `n` | u32 | elements; that of `x` where it is not given |
//! | `a` | f32 | any |
//!
//! Moves `12 n` bytes and does `2 n` flops. The product may be rounded before the sum or not.
//! Limits: `n < 2^32`. Sizes of cases are `n`.
//!
//! Source: BLAS level 1, `SAXPY` (Lawson et al., ACM TOMS 5(3), 1979).
#![expect(unsafe_code, reason = "the descriptor vouches for its twins and its indices")]

use bytemuck::{Pod, Zeroable};
use rayon::prelude::*;
use wharf::{Grid, Job, Kernel, Need, Value, native::Dispatch};

use crate::{
    random::Random,
    share::SERIAL,
    spec::{Binding, Case, Cost, Expected, Inputs, Near, Reproducibility, Spec, Split},
};

const TILE: usize = 1024;

/// The descriptor.
// SAFETY: the guards in the WGSL and in its twins keep every index below the lengths that are checked at
// launch; the twins are compared with the WGSL and the oracle in the tests.
pub static SAXPY: Kernel = unsafe {
    Kernel::new("saxpy", wharf_shaders::SAXPY)
        .with_native(native)
        .with_ptx(include_str!("saxpy.ptx"))
        .with_grid(Grid::Elements { of: "x", per_group: TILE as u32 })
        .with_needs(&[Need::product("x", &["n"]), Need::product("y", &["n"])])
        .with_linear_ids()
        .with_proven_indices()
};

pub(crate) const SPEC: Spec = Spec {
    name: "saxpy",
    summary: "y = a * x + y",
    job: Job::Kernel(&SAXPY),
    case,
    oracle,
    answer: |outputs| outputs,
    cost: |n| Cost { bytes: 12 * n, flops: 2 * n, barriers: 0 },
    sizes: &[0, 1, 255, 256, 257, 1023, 1024, 1025, 10_007, 1 << 20],
    class: Reproducibility::DeviceKind,
    split: Split::Elementwise,
};

#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Params {
    n: u32,
    a: f32,
}

fn native(dispatch: &mut Dispatch<'_>) {
    let Params { n, a } = dispatch.uniform();
    let reach = dispatch.group_count().saturating_mul(TILE);
    let pool = dispatch.pool;
    let [x, y] = &mut *dispatch.args else { unreachable!("two storage bindings") };
    let (x, y) = (x.read::<f32>(), y.write::<f32>());
    let n = (n as usize).min(reach).min(x.len()).min(y.len());
    let (x, y) = (&x[..n], &mut y[..n]);
    let add = |(y, x): (&mut [f32], &[f32])| y.iter_mut().zip(x).for_each(|(y, x)| *y += a * x);
    if n < SERIAL {
        add((y, x));
    } else {
        pool.install(|| y.par_chunks_mut(SERIAL).zip(x.par_chunks(SERIAL)).for_each(add));
    }
}

fn case(n: usize, inputs: Inputs) -> Case {
    let (a, x, y) = match inputs {
        // Quarters below 2^20: a, the product and the sum are exact.
        Inputs::Exact => (
            -2.5,
            (0..n).map(|i| (i % 65_521) as f32 * 0.5 - 7.0).collect(),
            (0..n).map(|i| (i % 32_749) as f32 * 3.0 + 0.25).collect(),
        ),
        Inputs::Random(seed) => {
            let mut random = Random::new(seed);
            (random.f32(), random.f32s(n), random.f32s(n))
        }
    };
    Case {
        n,
        inputs,
        bindings: vec![Binding::input("x", x), Binding::in_out("y", y)],
        args: vec![("n", Value::U32(n as u32)), ("a", Value::F32(a))],
    }
}

fn oracle(case: &Case) -> Vec<Expected> {
    let a = f64::from(case.f32("a"));
    let near = |(&x, &y): (&f32, &f32)| {
        let (product, y) = (a * f64::from(x), f64::from(y));
        let value = product + y;
        // Two roundings of half a unit in the last place each: 2^-24 of the product and of the sum,
        // which by the first rounding may itself be larger; twice that is ample for second order terms.
        let within = case.slack() * f64::from(f32::EPSILON) * (product.abs() + value.abs());
        Near { value, within }
    };
    vec![Expected::F32(case.data("x").f32s().iter().zip(case.data("y").f32s()).map(near).collect())]
}
