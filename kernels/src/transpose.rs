//! The transpose of a matrix, through a padded tile in workgroup memory.
//!
//! | name | shape | unit |
//! |---|---|---|
//! | `input` (read) | `[rows, cols]` f32, row after row | any |
//! | `output` (write) | `[cols, rows]` f32, row after row | that of `input` |
//! | `rows`, `cols` | u32 | elements |
//!
//! Moves `8 rows cols` bytes and computes nothing. Limits: `rows cols < 2^32`. Exact cases of size `n`
//! have `n` rows and `n + 5` columns, random ones `n` and `n`.
//!
//! Source: G. Ruetsch, P. Micikevicius, "Optimizing Matrix Transpose in CUDA" (2009).
#![expect(unsafe_code, reason = "the descriptor vouches for its twins and its indices")]

use bytemuck::{Pod, Zeroable};
use rayon::prelude::*;
use wharf::{Grid, Job, Kernel, Need, Value, native::Dispatch};

use crate::{
    random::Random,
    share::SERIAL,
    spec::{Binding, Case, Cost, Expected, Inputs, Near, Reproducibility, Spec, Split},
};

const SIDE: usize = 32;
/// Tiles along each side of the block that the native twin stays in: its 2 x 256 KiB fit the second
/// cache, and each of its pages is visited once.
const BLOCK: usize = 8;

/// The descriptor.
// SAFETY: the guards in the WGSL and in its twins keep every index below the lengths that are checked at
// launch; the twins are compared with the WGSL and the oracle in the tests.
pub static TRANSPOSE: Kernel = unsafe {
    Kernel::new("transpose", wharf_shaders::TRANSPOSE)
        .with_native(native)
        .with_ptx(include_str!("transpose.ptx"))
        .with_grid(Grid::Rectangle { width: "cols", height: "rows", tile: [SIDE as u32; 2] })
        .with_needs(&[Need::product("input", &["rows", "cols"]), Need::product("output", &["rows", "cols"])])
        .with_linear_ids()
        .with_proven_indices()
};

pub(crate) const SPEC: Spec = Spec {
    name: "transpose",
    summary: "output[c, r] = input[r, c]",
    job: Job::Kernel(&TRANSPOSE),
    case,
    oracle,
    answer: |outputs| outputs,
    cost: |n| Cost { bytes: 8 * n * n, flops: 0, barriers: 1 },
    sizes: &[0, 1, 7, 31, 32, 33, 63, 64, 65, 127, 1009],
    class: Reproducibility::Anywhere,
    split: Split::None,
};

#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Params {
    rows: u32,
    cols: u32,
}

fn native(dispatch: &mut Dispatch<'_>) {
    let params: Params = dispatch.uniform();
    let (groups, pool) = (dispatch.group_count(), dispatch.pool);
    let [input, output] = &mut *dispatch.args else { unreachable!("two storage bindings") };
    let (input, output) = (input.read::<f32>(), output.write::<f32>());
    let (rows, cols) = (params.rows as usize, params.cols as usize);
    let elements = rows.saturating_mul(cols);
    if elements == 0 || elements > input.len().min(output.len()) {
        return;
    }
    let (input, output) = (&input[..elements], &mut output[..elements]);
    let (tiles_x, tiles_y) = (cols.div_ceil(SIDE), rows.div_ceil(SIDE));
    // A band of output rows is some columns of tiles: no two bands write the same element.
    let across = (tiles_x / (4 * pool.current_num_threads())).clamp(1, BLOCK);
    let band = |(band, output): (usize, &mut [f32])| {
        let left = band * across;
        for top in (0..tiles_y).step_by(BLOCK) {
            for y in top..(top + BLOCK).min(tiles_y) {
                for x in (left..(left + across).min(tiles_x)).take_while(|x| y * tiles_x + x < groups) {
                    turn(input, &mut output[(x - left) * SIDE * rows..], rows, cols, x * SIDE, y * SIDE);
                }
            }
        }
    };
    let band_len = across * SIDE * rows;
    if elements < SERIAL {
        output.chunks_mut(band_len).enumerate().for_each(band);
    } else {
        pool.install(|| output.par_chunks_mut(band_len).enumerate().for_each(band));
    }
}

/// Turns the tile at `left`, `top` of `input` into the band of `output` that begins with row `left`.
fn turn(input: &[f32], output: &mut [f32], rows: usize, cols: usize, left: usize, top: usize) {
    let (width, height) = (SIDE.min(cols - left), SIDE.min(rows - top));
    // Both sides are touched in whole rows: with sides that are powers of two, walking down a column
    // would meet the same few cache sets again and again.
    let mut tile = [[0.0; SIDE]; SIDE];
    for (y, tile) in tile.iter_mut().enumerate().take(height) {
        let row = &input[(top + y) * cols + left..][..width];
        match row.first_chunk() {
            Some(whole) => *tile = *whole,
            None => tile[..width].copy_from_slice(row),
        }
    }
    let tile = turned(&tile);
    for (x, column) in tile.iter().enumerate().take(width) {
        let row = &mut output[x * rows + top..][..height];
        match row.first_chunk_mut() {
            Some(whole) => *whole = *column,
            None => row.copy_from_slice(&column[..height]),
        }
    }
}

/// The transpose of a tile, in blocks that fit the registers.
fn turned(tile: &[[f32; SIDE]; SIDE]) -> [[f32; SIDE]; SIDE] {
    let mut turned = [[0.0; SIDE]; SIDE];
    for y in (0..SIDE).step_by(4) {
        let [a, b, c, d] = [&tile[y], &tile[y + 1], &tile[y + 2], &tile[y + 3]];
        for x in 0..SIDE {
            turned[x][y..y + 4].copy_from_slice(&[a[x], b[x], c[x], d[x]]);
        }
    }
    turned
}

fn case(n: usize, inputs: Inputs) -> Case {
    let (rows, cols, input) = match inputs {
        // Whole numbers below 2^24, all different.
        Inputs::Exact => (n, n + 5, (0..n * (n + 5)).map(|i| i as f32).collect()),
        Inputs::Random(seed) => (n, n, Random::new(seed).f32s(n * n)),
    };
    Case {
        n,
        inputs,
        bindings: vec![Binding::input("input", input), Binding::output_f32("output", rows * cols)],
        args: vec![("rows", Value::U32(rows as u32)), ("cols", Value::U32(cols as u32))],
    }
}

fn oracle(case: &Case) -> Vec<Expected> {
    let (rows, cols) = (case.u32("rows") as usize, case.u32("cols") as usize);
    let input = case.data("input").f32s();
    let at = |i: usize| Near { value: input[i % rows * cols + i / rows].into(), within: 0.0 };
    vec![Expected::F32((0..rows * cols).map(at).collect())]
}
