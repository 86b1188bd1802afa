//! The rows: kernels with their data, and what is to be reached.

use crate::{oracle, plain::Loop, words::Words};

/// A kernel, its data and its goals.
pub(crate) struct Row {
    pub(crate) size: String,
    pub(crate) wgsl: &'static str,
    /// Entry points and their workgroups, one after the other.
    pub(crate) steps: Vec<(&'static str, [u32; 3])>,
    /// By binding number.
    pub(crate) buffers: Vec<Words>,
    /// The binding that holds the answer.
    pub(crate) output: usize,
    /// Whether the answer is right after so many runs.
    pub(crate) verify: oracle::Verify,
    /// Our side runs under the checker.
    pub(crate) checked: bool,
    /// Runs of a sample: more than one where one is too short to time.
    pub(crate) repeat: u32,
    pub(crate) lavapipe: Goal,
    pub(crate) pocl: Goal,
    pub(crate) plain: Goal,
    /// The serial loop.
    pub(crate) serial: Loop,
    /// The best form by hand, where it is another.
    pub(crate) by_hand: Option<Loop>,
}

/// What is to be reached against a peer.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    /// It is printed only.
    Print,
    /// At least so many times as fast as the peer.
    Faster(f64),
    /// At most so many times slower.
    Slower(f64),
    /// At most so many microseconds more.
    Over(f64),
}

/// Makes a row: as large as it is measured, or tiny.
pub(crate) type Make = fn(tiny: bool) -> Row;

/// All rows by name.
pub(crate) const ALL: &[(&str, Make)] = &[
    ("saxpy", |tiny| saxpy(if tiny { 1 << 12 } else { 1 << 24 })),
    ("reduce", reduce),
    ("matmul-512", |tiny| matmul(if tiny { 32 } else { 512 })),
    ("matmul-1024", |tiny| matmul(if tiny { 64 } else { 1024 })),
    ("histogram", histogram),
    ("mandelbrot", mandelbrot),
    ("nbody", nbody),
    ("radix", radix),
    ("stencil", stencil),
    ("small", small),
    ("checked-matmul", checked),
];

/// Workgroups in a row, folded where the row would be longer than WebGPU allows.
fn fold(groups: usize) -> [u32; 3] {
    if groups < 1 << 16 { [groups as u32, 1, 1] } else { [256, groups as u32 / 256, 1] }
}

fn saxpy(n: usize) -> Row {
    const A: f32 = 2.0;
    Row {
        size: format!("{n} elements"),
        wgsl: include_str!("saxpy.wgsl"),
        steps: vec![("saxpy", fold(n / 256))],
        buffers: vec![
            Words::f32(n, |i| (i % 8) as f32),
            Words::f32(n, |i| (i % 5) as f32),
            Words::u32(2, |i| [n as u32, A.to_bits()][i]),
        ],
        output: 1,
        // Small integers: exact for a million runs.
        verify: oracle::numbers(move |i, runs| f64::from(A) * f64::from(runs) * (i % 8) as f64 + (i % 5) as f64),
        checked: false,
        repeat: 1,
        lavapipe: Goal::Faster(15.0),
        pocl: Goal::Faster(2.0),
        plain: Goal::Slower(1.25),
        serial: Loop::Saxpy,
        by_hand: None,
    }
}

fn reduce(tiny: bool) -> Row {
    let n: usize = if tiny { 1 << 12 } else { 1 << 24 };
    let x = |i: usize| (i % 7) as f32 * 0.25 - 0.5;
    Row {
        size: format!("{n} elements, trees of 256"),
        wgsl: include_str!("reduce.wgsl"),
        steps: vec![("reduce", fold(n / 256))],
        buffers: vec![Words::f32(n, x), Words::zeros(n / 256)],
        output: 1,
        // Quarters: exact in any order.
        verify: oracle::numbers(move |group, _| (group * 256..).take(256).map(|i| f64::from(x(i))).sum()),
        lavapipe: Goal::Faster(25.0),
        pocl: Goal::Faster(6.0),
        plain: Goal::Slower(3.5),
        serial: Loop::Reduce,
        by_hand: Some(Loop::ReduceWide),
        ..saxpy(256)
    }
}

fn matmul(n: usize) -> Row {
    // Small integers that tell positions apart: sums are exact.
    let a = |i: usize| (i * 7 % 13 + i / 64 % 3) as f32 - 7.0;
    let b = |i: usize| (i * 5 % 11 + i / 128 % 5) as f32 - 6.0;
    let (a, b) = (Words::f32(n * n, a), Words::f32(n * n, b));
    Row {
        size: format!("{n} x {n}, tiles of 16 x 16"),
        wgsl: include_str!("matmul.wgsl"),
        steps: vec![("matmul", [n as u32 / 16, n as u32 / 16, 1])],
        verify: oracle::product(a.clone(), b.clone(), n),
        buffers: vec![a, b, Words::zeros(n * n), Words::u32(1, |_| n as u32)],
        output: 2,
        lavapipe: Goal::Faster(40.0),
        pocl: Goal::Faster(8.0),
        plain: Goal::Slower(2.0),
        serial: Loop::Matmul,
        ..saxpy(256)
    }
}

fn histogram(tiny: bool) -> Row {
    let n: usize = if tiny { 1 << 15 } else { 1 << 24 };
    let values = Words::u32(n, |i| (i as u32).wrapping_mul(2_654_435_761) >> 7);
    let mut counts = vec![0_u32; 256];
    values.u32s().iter().for_each(|value| counts[*value as usize & 255] += 1);
    Row {
        size: format!("{n} values, 256 bins"),
        wgsl: include_str!("histogram.wgsl"),
        steps: vec![("histogram", [n as u32 / 16_384, 1, 1])],
        buffers: vec![values, Words::zeros(256), Words::u32(1, |_| n as u32)],
        output: 1,
        verify: oracle::words(move |i, runs| counts[i].wrapping_mul(runs)),
        lavapipe: Goal::Faster(8.0),
        pocl: Goal::Print,
        plain: Goal::Slower(3.0),
        serial: Loop::Histogram,
        by_hand: Some(Loop::HistogramWide),
        ..saxpy(256)
    }
}

fn mandelbrot(tiny: bool) -> Row {
    let side: usize = if tiny { 64 } else { 1024 };
    let (dx, dy) = (3.0 / side as f32, 2.0 / side as f32);
    Row {
        size: format!("{side} x {side} points, at most 256 iterations"),
        wgsl: include_str!("mandelbrot.wgsl"),
        steps: vec![("mandelbrot", [side as u32 / 16, side as u32 / 16, 1])],
        buffers: vec![Words::zeros(side * side), Words::u32(3, |i| [side as u32, dx.to_bits(), dy.to_bits()][i])],
        output: 0,
        verify: oracle::iterations(side, dx, dy),
        lavapipe: Goal::Faster(1.0),
        pocl: Goal::Print,
        plain: Goal::Faster(2.0),
        serial: Loop::Mandelbrot,
        ..saxpy(256)
    }
}

fn nbody(tiny: bool) -> Row {
    let n: usize = if tiny { 256 } else { 4096 };
    // Places in a cube of side 2, masses up to 1.
    let bodies = Words::f32(4 * n, |i| {
        let fraction = ((i as u32).wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 24) as f32;
        if i % 4 == 3 { fraction } else { 2.0 * fraction - 1.0 }
    });
    Row {
        size: format!("{n} bodies, tiles of 256"),
        wgsl: include_str!("nbody.wgsl"),
        steps: vec![("nbody", [n as u32 / 256, 1, 1])],
        verify: oracle::pulls(bodies.clone()),
        buffers: vec![bodies, Words::zeros(4 * n)],
        output: 1,
        lavapipe: Goal::Faster(2.0),
        pocl: Goal::Print,
        plain: Goal::Print,
        serial: Loop::Nbody,
        ..saxpy(256)
    }
}

fn radix(tiny: bool) -> Row {
    let n: usize = if tiny { 1 << 13 } else { 1 << 22 };
    const SHIFT: u32 = 9;
    let groups = n as u32 / 2048;
    let keys = Words::u32(n, |i| (i as u32).wrapping_mul(2_654_435_761));
    Row {
        size: format!("{n} keys, one digit of 4 bits"),
        wgsl: include_str!("radix.wgsl"),
        steps: vec![("count", [groups, 1, 1]), ("scan", [1, 1, 1]), ("scatter", [groups, 1, 1])],
        verify: oracle::stable(keys.clone(), SHIFT),
        buffers: vec![keys, Words::zeros(n), Words::zeros(16 * groups as usize), Words::u32(2, |i| [groups, SHIFT][i])],
        output: 1,
        lavapipe: Goal::Faster(5.0),
        pocl: Goal::Print,
        plain: Goal::Print,
        serial: Loop::Radix,
        ..saxpy(256)
    }
}

fn stencil(tiny: bool) -> Row {
    let side: usize = if tiny { 64 } else { 4096 };
    let point = |i: usize| (i.wrapping_mul(31) % 1009) as f32;
    Row {
        size: format!("{side} x {side} points"),
        wgsl: include_str!("stencil.wgsl"),
        steps: vec![("stencil", [side as u32 / 16, side as u32 / 16, 1])],
        buffers: vec![Words::f32(side * side, point), Words::zeros(side * side), Words::u32(1, |_| side as u32)],
        output: 1,
        // Integers: the sum is exact, the mean is rounded once.
        verify: oracle::numbers(move |i, _| {
            let (x, y, last) = (i % side, i / side, side - 1);
            if x == 0 || y == 0 || x == last || y == last {
                return f64::from(point(i));
            }
            let sum: f32 = [i, i - 1, i + 1, i - side, i + side].into_iter().map(point).sum();
            f64::from(0.2 * sum)
        }),
        lavapipe: Goal::Faster(5.0),
        pocl: Goal::Print,
        plain: Goal::Print,
        serial: Loop::Stencil,
        ..saxpy(256)
    }
}

/// A dispatch so small that starting it is what it costs.
fn small(tiny: bool) -> Row {
    let repeat = if tiny { 2 } else { 256 };
    Row { repeat, lavapipe: Goal::Print, pocl: Goal::Print, plain: Goal::Over(20.0), ..saxpy(1 << 16) }
}

/// The checker against others who do not check.
fn checked(tiny: bool) -> Row {
    let row = matmul(if tiny { 32 } else { 512 });
    Row { checked: true, lavapipe: Goal::Slower(1.5), pocl: Goal::Print, plain: Goal::Print, ..row }
}
