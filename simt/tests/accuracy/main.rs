//! Built-in functions of floats on thousands of numbers: both engines agree to the bit, and lie within what WGSL
//! allows around the exact value.
//!
//! A bound is an interval. WGSL gives some functions units in the last place or an absolute error; the others
//! inherit theirs from an expression, whose every step may err, and so it is computed here: [`Range`] has an operation
//! for each, as wide as WGSL lets it be.

#[path = "../common/mod.rs"]
mod common;
mod range;

use common::{as_floats, floats, run};
use range::Range;

type Inside = fn(f64) -> bool;
type Bound = fn(Range) -> Range;

const PI: f64 = std::f64::consts::PI;

/// A function of one number, where WGSL bounds it, and how.
const UNARY: &[(&str, Inside, Bound)] = &[
    ("abs(x)", |_| true, |x| x.monotonic(f64::abs).flushed()),
    ("sign(x)", |_| true, |x| x.constant(if x.low == 0.0 { 0.0 } else { x.low.signum() })),
    ("ceil(x)", |_| true, |x| x.monotonic(f64::ceil)),
    ("floor(x)", |_| true, |x| x.monotonic(f64::floor)),
    ("trunc(x)", |_| true, |x| x.monotonic(f64::trunc)),
    ("round(x)", |_| true, |x| x.monotonic(f64::round_ties_even)),
    ("fract(x)", |_| true, |x| x.minus(x.monotonic(f64::floor))),
    ("saturate(x)", |_| true, |x| x.monotonic(|x| x.clamp(0.0, 1.0)).flushed()),
    (
        "smoothstep(0.0, 1.0, x)",
        |_| true,
        |x| {
            let t = x.monotonic(|x| x.clamp(0.0, 1.0));
            t.times(t).times(x.constant(3.0).minus(t.times(x.constant(2.0))))
        },
    ),
    ("degrees(x)", |_| true, |x| x.times(x.constant(180.0 / PI).rounded())),
    ("radians(x)", |_| true, |x| x.times(x.constant(PI / 180.0).rounded())),
    ("sqrt(x)", |x| x >= 0.0, |x| if x.low == 0.0 { x } else { x.sqrt() }),
    ("inverseSqrt(x)", |x| x > 0.0, Range::inverse_sqrt),
    ("exp(x)", |_| true, Range::exp),
    ("exp2(x)", |_| true, Range::exp2),
    ("log(x)", |x| x > 0.0, Range::ln),
    ("log2(x)", |x| x > 0.0, Range::log2),
    ("sin(x)", |x| x.abs() <= PI, |x| x.circle(f64::sin)),
    ("cos(x)", |x| x.abs() <= PI, |x| x.circle(f64::cos)),
    ("tan(x)", |x| x.abs() <= PI, |x| x.circle(f64::sin).over(x.circle(f64::cos))),
    (
        "asin(x)",
        |x| x.abs() <= 1.0,
        |x| {
            let inherited = x.atan2(x.constant(1.0).minus(x.times(x)).sqrt());
            x.monotonic(f64::asin).absolute(if x.half { 3.91e-3 } else { 6.81e-5 }).or(inherited)
        },
    ),
    (
        "acos(x)",
        |x| x.abs() <= 1.0,
        |x| {
            let inherited = x.constant(1.0).minus(x.times(x)).sqrt().atan2(x);
            x.monotonic(f64::acos).absolute(if x.half { 3.91e-3 } else { 6.77e-5 }).or(inherited)
        },
    ),
    (
        "atan(x)",
        |_| true,
        |x| {
            let error = x.atan_ulps();
            x.monotonic(f64::atan).flushed().ulps(error)
        },
    ),
    ("sinh(x)", |_| true, |x| x.exp().minus(x.monotonic(|x| -x).exp()).times(x.constant(0.5))),
    ("cosh(x)", |_| true, |x| x.exp().plus(x.monotonic(|x| -x).exp()).times(x.constant(0.5))),
    ("tanh(x)", |_| true, |x| x.monotonic(f64::tanh).absolute(1e-5).rounded()),
    ("asinh(x)", |_| true, |x| x.plus(x.times(x).plus(x.constant(1.0)).sqrt()).ln()),
    ("acosh(x)", |x| x >= 1.0, |x| x.plus(x.times(x).minus(x.constant(1.0)).sqrt()).ln()),
    (
        "atanh(x)",
        |x| x.abs() < 1.0,
        |x| {
            let one = x.constant(1.0);
            one.plus(x).over(one.minus(x)).ln().times(x.constant(0.5))
        },
    ),
];

type Inside2 = fn(f64, f64) -> bool;
type Bound2 = fn(Range, Range) -> Range;

/// The same of two numbers.
const BINARY: &[(&str, Inside2, Bound2)] = &[
    ("x + y", |_, _| true, Range::plus),
    ("x - y", |_, _| true, Range::minus),
    ("x * y", |_, _| true, Range::times),
    ("x / y", |_, y| y.abs() >= 2_f64.powi(-14) && y.abs() <= 2_f64.powi(14), Range::over),
    ("min(x, y)", |_, _| true, |x, y| x.corners(y, f64::min).flushed()),
    ("max(x, y)", |_, _| true, |x, y| x.corners(y, f64::max).flushed()),
    ("step(x, y)", |_, _| true, |x, y| x.constant(if x.low <= y.low { 1.0 } else { 0.0 })),
    ("fma(x, y, x)", |_, _| true, |x, y| x.corners(y, |a, b| a * b + a).rounded().or(x.times(y).plus(x))),
    (
        "mix(x, y, 0.25)",
        |_, _| true,
        |x, y| {
            let long = x.times(x.constant(0.75)).plus(y.times(y.constant(0.25)));
            x.plus(y.minus(x).times(x.constant(0.25))).or(long)
        },
    ),
    ("length(vec2(x, y))", |_, _| true, |x, y| x.times(x).plus(y.times(y)).sqrt()),
    ("pow(x, y)", |x, _| x > 0.0, |x, y| y.times(x.log2()).exp2()),
    ("atan2(x, y)", |x, y| x.abs() >= 2_f64.powi(-14) && y.abs() >= 2_f64.powi(-14), Range::atan2),
    (
        "ldexp(x, i32(clamp(y, -20.0, 20.0)))",
        |_, _| true,
        |x, y| {
            let scale = y.low.clamp(-20.0, 20.0).trunc() as i32;
            x.monotonic(|x| x * 2_f64.powi(scale)).rounded()
        },
    ),
];

/// Numbers of every size and both signs, whole and half ones, multiples of an eighth of a turn, and what is none.
fn points(half: bool) -> Vec<f32> {
    let exponents = if half { -24..=15 } else { -149..=127 };
    let mut seed = 7_u32;
    let mut random = || {
        seed = seed.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        f64::from(seed >> 9) / f64::from(1 << 23)
    };
    let mut points = vec![0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
    for exponent in exponents {
        for part in [0.0, 0.5, 1.0 - 2_f64.powi(-10), random(), random(), random()] {
            points.extend([1.0, -1.0].map(|sign| (sign * (1.0 + part) * 2_f64.powi(exponent)) as f32));
        }
    }
    points.extend((-40..=40).flat_map(|i| [i as f32 * 0.5, (f64::from(i) * PI / 8.0) as f32]));
    points.extend((0..1500).map(|_| (random() * 8.0 - 4.0) as f32));
    if half {
        points.iter_mut().for_each(|x| *x = to_half(*x));
    }
    points
}

/// The nearest half float, where it is not too large.
fn to_half(x: f32) -> f32 {
    if !x.is_finite() || x == 0.0 {
        return x;
    }
    let step = 2_f64.powi((f64::from(x).abs().log2().floor() as i32).max(-14) - 10);
    ((f64::from(x) / step).round_ties_even() * step).clamp(-65504.0, 65504.0) as f32
}

/// What a kernel gives for all points, a row for each function.
fn results(functions: &[&str], x: &[f32], y: &[f32], half: bool) -> Vec<Vec<f32>> {
    let (head, ty) = if half { ("enable f16;", "f16") } else { ("", "f32") };
    let n = x.len();
    let rows = functions.iter().enumerate();
    let rows: String = rows.map(|(row, f)| format!("out[{row}u * {n}u + i] = f32({f});\n")).collect();
    let wgsl = format!(
        "{head}
         @group(0) @binding(0) var<storage, read> xs: array<f32>;
         @group(0) @binding(1) var<storage, read> ys: array<f32>;
         @group(0) @binding(2) var<storage, read_write> out: array<f32>;
         @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {{
             let i = id.x;
             if i >= {n}u {{ return; }}
             let x = {ty}(xs[i]);
             let y = {ty}(ys[i]);
             {rows}
         }}"
    );
    let groups = [n.div_ceil(64) as u32, 1, 1];
    let got = run(&wgsl, "main", groups, &[floats(x), floats(y), vec![0; n * functions.len()]]);
    as_floats(&got[2]).chunks(n).map(<[f32]>::to_vec).collect()
}

/// The ranges that an operand may stand for: a subnormal one may be taken for zero.
fn operand(x: f32, half: bool) -> Vec<Range> {
    let x = f64::from(x);
    let exact = Range::new(x, x, half);
    let least = if half { 2_f64.powi(-14) } else { 2_f64.powi(-126) };
    if x != 0.0 && x.abs() < least { vec![exact, exact.constant(0.0)] } else { vec![exact] }
}

fn hold(half: bool) {
    let x = points(half);
    // Every number meets others of its own size and of any other.
    let y: Vec<f32> = (0..x.len()).map(|i| x[(i * 7919 + 13) % x.len()]).collect();
    let mut wrong = Vec::new();
    let mut note = |f: &str, misses: Vec<String>| {
        if let Some(first) = misses.first() {
            wrong.push(format!("{f}: {} misses, first {first}", misses.len()));
        }
    };
    let unary = results(&UNARY.iter().map(|row| row.0).collect::<Vec<_>>(), &x, &y, half);
    for ((f, inside, bound), got) in UNARY.iter().zip(unary) {
        let mut bounded = 0;
        let misses = x.iter().zip(got).filter(|&(&x, _)| x.is_finite() && inside(x.into())).filter_map(|(&x, got)| {
            bounded += 1;
            let allowed: Vec<Range> = operand(x, half).into_iter().map(bound).collect();
            (!allowed.iter().any(|range| range.holds(got))).then(|| format!("x = {x:e}: {got:e}, not in {allowed:?}"))
        });
        let misses = misses.collect();
        note(f, misses);
        assert!(bounded > 150, "{f} is bounded at {bounded} points only");
    }
    let binary = results(&BINARY.iter().map(|row| row.0).collect::<Vec<_>>(), &x, &y, half);
    for ((f, inside, bound), got) in BINARY.iter().zip(binary) {
        let mut bounded = 0;
        let pairs = x.iter().zip(&y).zip(got).filter(|((x, y), _)| x.is_finite() && y.is_finite());
        let misses = pairs.filter(|&((&x, &y), _)| inside(x.into(), y.into())).filter_map(|((&x, &y), got)| {
            bounded += 1;
            let both = |x: Range| operand(y, half).into_iter().map(move |y| bound(x, y));
            let allowed: Vec<Range> = operand(x, half).into_iter().flat_map(both).collect();
            let miss = || format!("x = {x:e}, y = {y:e}: {got:e}, not in {allowed:?}");
            (!allowed.iter().any(|range| range.holds(got))).then(miss)
        });
        let misses = misses.collect();
        note(f, misses);
        assert!(bounded > 150, "{f} is bounded at {bounded} points only");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn built_in_functions_of_f32_lie_within_their_bounds() {
    hold(false);
}

#[test]
fn built_in_functions_of_f16_lie_within_their_bounds() {
    hold(true);
}

#[test]
fn a_bound_is_no_wider_than_it_says() {
    let x = Range::new(1.5, 1.5, false);
    assert!(x.exp().holds(1.5_f32.exp()) && !x.exp().holds(1.5_f32.exp() * 1.000_002));
    assert!(!x.circle(f64::sin).holds(1.0) && x.circle(f64::sin).holds(1.5_f32.sin()));
    assert!(x.plus(x).holds(3.0) && !x.plus(x).holds(3.000_001));
}
