//! The kernels as plain Rust: one thread, serial loops, compiled for what this CPU has.
//!
//! Every function is inlined into [`Plain::run`]'s three forms, for AVX-512, AVX2 and the target's own
//! vectors: the widest that the CPU has is what `-C target-cpu=native` would make, as far as instructions go.
#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "code for vectors that not every CPU has may only be called where they are")
)]

use std::time::{Duration, Instant};

use crate::{Arm, Error, rows::Row, words::Words};

/// What the loops do: the buffers are the WGSL's bindings in order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loop {
    Saxpy,
    Reduce,
    /// The reduction with the compiler's freedom taken by hand: 64 sums side by side.
    ReduceWide,
    Matmul,
    Histogram,
    /// Four tables, so that equal values in a row do not wait for each other.
    HistogramWide,
    Mandelbrot,
    Nbody,
    Radix,
    Stencil,
}

/// Runs a loop on buffers of its own.
pub(crate) struct Plain {
    buffers: Vec<Words>,
    output: usize,
    what: Loop,
}

impl Plain {
    pub(crate) fn new(row: &Row, what: Loop) -> Self {
        Self { buffers: row.buffers.clone(), output: row.output, what }
    }
}

impl Arm for Plain {
    fn run(&mut self, times: u32) -> Result<Duration, Error> {
        let start = Instant::now();
        for _ in 0..times {
            widest(self.what, &mut self.buffers);
        }
        Ok(start.elapsed())
    }

    fn output(&mut self) -> Result<Vec<u32>, Error> {
        Ok(self.buffers[self.output].u32s().to_vec())
    }
}

/// The vectors that the loops are compiled for here.
pub(crate) fn vectors() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    if has_avx512() {
        return "AVX-512";
    } else if has_avx2() {
        return "AVX2";
    }
    std::env::consts::ARCH
}

fn widest(what: Loop, buffers: &mut [Words]) {
    #[cfg(target_arch = "x86_64")]
    if has_avx512() {
        // SAFETY: the CPU has them, as just seen.
        return unsafe { with_avx512(what, buffers) };
    } else if has_avx2() {
        // SAFETY: the CPU has them, as just seen.
        return unsafe { with_avx2(what, buffers) };
    }
    run(what, buffers);
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    use std::arch::is_x86_feature_detected as has;
    has!("avx2") && has!("fma") && has!("bmi1") && has!("bmi2") && has!("lzcnt")
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    use std::arch::is_x86_feature_detected as has;
    has_avx2() && has!("avx512f") && has!("avx512vl") && has!("avx512bw") && has!("avx512dq") && has!("avx512cd")
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512cd,avx2,fma,bmi1,bmi2,lzcnt")]
fn with_avx512(what: Loop, buffers: &mut [Words]) {
    run(what, buffers);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt")]
fn with_avx2(what: Loop, buffers: &mut [Words]) {
    run(what, buffers);
}

#[inline(always)]
fn run(what: Loop, buffers: &mut [Words]) {
    match (what, buffers) {
        (Loop::Saxpy, [x, y, params]) => saxpy(params.f32s()[1], x.f32s(), y.f32s_mut()),
        (Loop::Reduce, [x, sums]) => reduce(x.f32s(), sums.f32s_mut()),
        (Loop::ReduceWide, [x, sums]) => reduce_wide(x.f32s(), sums.f32s_mut()),
        (Loop::Matmul, [a, b, c, n]) => matmul(a.f32s(), b.f32s(), c.f32s_mut(), n.u32s()[0] as usize),
        (Loop::Histogram, [values, bins, _]) => histogram(values.u32s(), bins.u32s_mut()),
        (Loop::HistogramWide, [values, bins, _]) => histogram_wide(values.u32s(), bins.u32s_mut()),
        (Loop::Mandelbrot, [counts, params]) => {
            mandelbrot(counts.u32s_mut(), params.u32s()[0] as usize, params.f32s()[1], params.f32s()[2]);
        }
        (Loop::Nbody, [bodies, accelerations]) => {
            nbody(bytemuck::cast_slice(bodies.f32s()), bytemuck::cast_slice_mut(accelerations.f32s_mut()));
        }
        (Loop::Radix, [keys, sorted, _, params]) => radix(keys.u32s(), sorted.u32s_mut(), params.u32s()[1]),
        (Loop::Stencil, [points, means, side]) => {
            stencil(points.f32s(), means.f32s_mut(), side.u32s()[0] as usize);
        }
        _ => unreachable!("a row has its loop's buffers"),
    }
}

#[inline(always)]
fn saxpy(a: f32, x: &[f32], y: &mut [f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += a * x;
    }
}

#[inline(always)]
fn reduce(x: &[f32], sums: &mut [f32]) {
    for (sum, x) in sums.iter_mut().zip(x.chunks_exact(256)) {
        *sum = x.iter().sum();
    }
}

#[inline(always)]
fn reduce_wide(x: &[f32], sums: &mut [f32]) {
    for (sum, x) in sums.iter_mut().zip(x.chunks_exact(256)) {
        let mut wide = [0.0; 64];
        for part in x.chunks_exact(64) {
            wide.iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
        }
        let mut half = 32;
        while half > 0 {
            for i in 0..half {
                wide[i] += wide[i + half];
            }
            half /= 2;
        }
        *sum = wide[0];
    }
}

#[inline(always)]
fn matmul(a: &[f32], b: &[f32], c: &mut [f32], n: usize) {
    for (a, c) in a.chunks_exact(n).zip(c.chunks_exact_mut(n)) {
        c.fill(0.0);
        for (a, b) in a.iter().zip(b.chunks_exact(n)) {
            c.iter_mut().zip(b).for_each(|(c, b)| *c += a * b);
        }
    }
}

#[inline(always)]
fn histogram(values: &[u32], bins: &mut [u32]) {
    for value in values {
        bins[*value as usize & 255] += 1;
    }
}

#[inline(always)]
fn histogram_wide(values: &[u32], bins: &mut [u32]) {
    let mut tables = [[0; 256]; 4];
    for four in values.chunks_exact(4) {
        tables.iter_mut().zip(four).for_each(|(table, value)| table[*value as usize & 255] += 1);
    }
    for (i, bin) in bins.iter_mut().enumerate() {
        *bin += tables.iter().map(|table| table[i]).sum::<u32>();
    }
}

#[inline(always)]
pub(crate) fn mandelbrot(counts: &mut [u32], side: usize, dx: f32, dy: f32) {
    for (i, to) in counts.iter_mut().enumerate() {
        let (cx, cy) = ((i % side) as f32 * dx - 2.0, (i / side) as f32 * dy - 1.0);
        let (mut x, mut y, mut count) = (0.0_f32, 0.0_f32, 0);
        while count < 256 {
            let (xx, yy) = (x * x, y * y);
            if xx + yy > 4.0 {
                break;
            }
            y = 2.0 * x * y + cy;
            x = xx - yy + cx;
            count += 1;
        }
        *to = count;
    }
}

#[inline(always)]
fn nbody(bodies: &[[f32; 4]], accelerations: &mut [[f32; 4]]) {
    for (to, place) in accelerations.iter_mut().zip(bodies) {
        let mut sum = [0.0; 3];
        for other in bodies {
            let way = [other[0] - place[0], other[1] - place[1], other[2] - place[2]];
            let squared = way[0] * way[0] + way[1] * way[1] + way[2] * way[2] + 0.01;
            let inverse = 1.0 / squared.sqrt();
            let pull = other[3] * inverse * inverse * inverse;
            sum.iter_mut().zip(way).for_each(|(sum, way)| *sum += way * pull);
        }
        *to = [sum[0], sum[1], sum[2], 0.0];
    }
}

#[inline(always)]
fn radix(keys: &[u32], sorted: &mut [u32], shift: u32) {
    let digit = |key: u32| (key >> shift) as usize & 15;
    let mut places = [0; 16];
    for &key in keys {
        places[digit(key)] += 1;
    }
    let mut next = 0;
    for place in &mut places {
        next += std::mem::replace(place, next);
    }
    for &key in keys {
        sorted[places[digit(key)]] = key;
        places[digit(key)] += 1;
    }
}

#[inline(always)]
fn stencil(points: &[f32], means: &mut [f32], side: usize) {
    for (y, means) in means.chunks_exact_mut(side).enumerate() {
        let row = &points[y * side..][..side];
        if y == 0 || y + 1 == side {
            means.copy_from_slice(row);
            continue;
        }
        let (above, below) = (&points[(y - 1) * side..][..side], &points[(y + 1) * side..][..side]);
        (means[0], means[side - 1]) = (row[0], row[side - 1]);
        for x in 1..side - 1 {
            means[x] = 0.2 * (row[x] + row[x - 1] + row[x + 1] + above[x] + below[x]);
        }
    }
}
