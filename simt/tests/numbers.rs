//! The corpus, part one: arithmetic against Rust's.

mod common;

use common::{as_floats, assert_close, floats, run};

const EDGES: [(i32, i32); 7] =
    [(i32::MIN, -1), (7, 0), (-7, 2), (i32::MAX, 33), (0, -5), (-1, 31), (123_456_789, -987)];

fn fields(word: u32) -> [i32; 4] {
    word.to_le_bytes().map(|byte| i32::from(byte as i8))
}

#[test]
fn signed_integers_follow_the_rules() {
    let (a, b): (Vec<u32>, Vec<u32>) = EDGES.iter().map(|&(a, b)| (a as u32, b as u32)).unzip();
    let source = include_str!("corpus/integers.wgsl");
    let got = run(source, "signed", [1, 1, 1], &[a, b, vec![0; 7 * 24]]);
    for (&(x, y), got) in EDGES.iter().zip(got[2].chunks(24)) {
        let field = if x < 0 { !x } else { x };
        let expected: [i32; 24] = [
            x.wrapping_add(y),
            x.wrapping_sub(y),
            x.wrapping_mul(y),
            if y == 0 { x } else { x.wrapping_div(y) },
            if y == 0 { 0 } else { x.wrapping_rem(y) },
            x & y,
            x | y,
            x ^ y,
            x.wrapping_shl(y as u32),
            x.wrapping_shr(y as u32),
            x.wrapping_neg(),
            !x,
            x.wrapping_abs(),
            x.min(y),
            x.max(y),
            x.signum(),
            i32::from(x == y)
                | i32::from(x != y) << 1
                | i32::from(x < y) << 2
                | i32::from(x <= y) << 3
                | i32::from(x > y) << 4
                | i32::from(x >= y) << 5,
            x.clamp(-5, 5),
            if x < y { 2 } else { 1 },
            i32::from(x >= y) + i32::from(x < 0 && y < 0) * 10 + i32::from(x < 0 || y < 0) * 20,
            x.wrapping_mul(y).wrapping_add(y).wrapping_add(x.wrapping_mul(2)),
            x << 19 >> 23,
            if field == 0 { -1 } else { 31 - field.leading_zeros() as i32 },
            if x == 0 { -1 } else { x.trailing_zeros() as i32 },
        ];
        let got: Vec<i32> = got.iter().map(|&word| word as i32).collect();
        assert_eq!(got, expected, "{x} and {y}");
    }
}

#[test]
fn unsigned_integers_follow_the_rules() {
    let (a, b): (Vec<u32>, Vec<u32>) = EDGES.iter().map(|&(a, b)| (a as u32, b as u32)).unzip();
    let source = include_str!("corpus/integers.wgsl");
    let got = run(source, "unsigned", [1, 1, 1], &[a.clone(), b.clone(), vec![0; 7 * 24]]);
    let extract = |x: u32, offset: u32, count: u32| {
        let offset = offset.min(32);
        let count = count.min(32 - offset);
        (0..count).map(|bit| (x >> (offset + bit) & 1) << bit).sum()
    };
    let insert = |x: u32, new: u32, offset: u32, count: u32| {
        let offset = offset.min(32);
        let count = count.min(32 - offset);
        (0..32).fold(0, |word, bit| {
            let inside = bit >= offset && bit < offset + count;
            word | (if inside { new >> (bit - offset) & 1 } else { x >> bit & 1 }) << bit
        })
    };
    for ((x, y), got) in a.into_iter().zip(b).zip(got[2].chunks(24)) {
        let (s, t) = (fields(x), fields(y));
        let bytes = |word: u32| word.to_le_bytes().map(u32::from);
        let expected: [u32; 24] = [
            x.wrapping_add(y),
            x.wrapping_sub(y),
            x.wrapping_mul(y),
            x.checked_div(y).unwrap_or(x),
            x.checked_rem(y).unwrap_or(0),
            x.wrapping_shr(y),
            x.wrapping_shl(y),
            x.min(y),
            x.max(y),
            u32::from(x < y) | u32::from(x <= y) << 1 | u32::from(x > y) << 2 | u32::from(x >= y) << 3,
            x.count_ones(),
            x.leading_zeros(),
            x.trailing_zeros(),
            x.reverse_bits(),
            if x == 0 { u32::MAX } else { 31 - x.leading_zeros() },
            if x == 0 { u32::MAX } else { x.trailing_zeros() },
            extract(x, y, 5),
            extract(x, 30, y),
            insert(x, 0xabcd, y, 7),
            y,
            x,
            (0..4).map(|i| s[i] * t[i]).sum::<i32>() as u32,
            (0..4).map(|i| bytes(x)[i] * bytes(y)[i]).sum(),
            x.clamp(3, 9),
        ];
        assert_eq!(got, expected, "{x} and {y}");
    }
}

const INPUTS: [f32; 8] = [0.05, 0.2, 0.3125, 0.5, 0.6, 0.75, 0.9, 0.95];

#[test]
fn functions_of_one_float_agree_with_rust() {
    let source = include_str!("corpus/floats.wgsl");
    let got = run(source, "unary", [1, 1, 1], &[floats(&INPUTS), vec![0; 320]]);
    for (&x, got) in INPUTS.iter().zip(as_floats(&got[1]).chunks(40)) {
        let w = x * 7.0 - 3.0;
        let hundred = x * 100.0;
        let exponent = hundred.log2().floor() as i32 + 1;
        let step = 2.0_f32.powi(x.log2().floor() as i32 - 10);
        let expected = [
            x.sin(),
            x.cos(),
            x.tan(),
            x.asin(),
            x.acos(),
            x.atan(),
            x.sinh(),
            x.cosh(),
            x.tanh(),
            x.asinh(),
            (x + 1.0).acosh(),
            x.atanh(),
            x.exp(),
            x.exp2(),
            x.ln(),
            x.log2(),
            x.sqrt(),
            1.0 / x.sqrt(),
            x.to_radians(),
            x.to_degrees(),
            w.ceil(),
            w.floor(),
            (x * 10.0).round_ties_even(),
            w.trunc(),
            w - w.floor(),
            (x - 0.5).abs(),
            if x > 0.5 {
                1.0
            } else if x < 0.5 {
                -1.0
            } else {
                0.0
            },
            (x * 2.0 - 0.5).clamp(0.0, 1.0),
            (x / step).round_ties_even() * step,
            w.fract(),
            w.trunc(),
            hundred / 2.0_f32.powi(exponent),
            exponent as f32,
            x * 32.0,
            -x,
            (x - 0.5).abs(),
        ];
        assert_close(&format!("x = {x}"), &got[..36], &expected, 1e-6, 1e-7);
    }
}

#[test]
fn functions_of_more_floats_agree_with_rust() {
    let source = include_str!("corpus/floats.wgsl");
    let got = run(source, "binary", [1, 1, 1], &[floats(&INPUTS), vec![0; 320]]);
    for (&x, got) in INPUTS.iter().zip(as_floats(&got[1]).chunks(40)) {
        let y = 1.5 - x;
        let t = ((x - 0.2) / (0.8 - 0.2)).clamp(0.0, 1.0);
        let orders = [x < 0.5, x <= 0.5, x > 0.5, x >= 0.5, x == 0.5, x != 0.5];
        let orders = (0..).zip(orders).map(|(i, holds)| if holds { (1 << i) as f32 } else { 0.0 });
        let expected = [
            x + y * 2.0,
            x - y,
            x * y,
            x / y,
            (x * 9.0) % y,
            x.min(y),
            x.max(y),
            x.atan2(y),
            x.powf(y),
            if x <= 0.5 { 1.0 } else { 0.0 },
            x.clamp(0.3, 0.6),
            x * y + 2.0,
            x * 0.75 + y * 0.25,
            t * t * (3.0 - 2.0 * t),
            (x - y).abs(),
            orders.sum(),
        ];
        assert_close(&format!("x = {x}"), &got[..16], &expected, 1e-6, 1e-7);
    }
}

#[test]
fn frexp_and_ldexp_reach_the_ends_of_the_range() {
    let source = "@group(0) @binding(0) var<storage, read_write> a: array<f32>;
        @group(0) @binding(1) var<storage, read_write> e: array<i32>;
        @compute @workgroup_size(8) fn main(@builtin(local_invocation_index) i: u32) {
            let parts = frexp(a[i]);
            e[i] = parts.exp;
            a[i] = ldexp(parts.fract, parts.exp);
        }";
    let values = [f32::MAX, -f32::MIN_POSITIVE, 1e-44, -3.0, 0.0, 1.0, 0.5, f32::from_bits(1)];
    let got = run(source, "main", [1, 1, 1], &[floats(&values), vec![0; 8]]);
    assert_eq!(as_floats(&got[0]), values);
    assert_eq!(got[1].iter().map(|&e| e as i32).collect::<Vec<_>>(), [128, -125, -146, 2, 0, 1, 0, -148]);
}

#[test]
fn packed_formats_round_and_clamp() {
    let inputs: [[f32; 4]; 4] =
        [[0.0, 1.0, -1.0, 0.5], [2.0, -2.0, 0.1, -0.1], [0.25, -0.75, 0.999, -0.001], [1e-3, 0.0, 0.3, 1.0 / 3.0]];
    let words = [0x8001_7fff_u32, 0xff00_80ff, 0x1234_5678, 0];
    let flat: Vec<f32> = inputs.iter().flatten().copied().collect();
    let source = include_str!("corpus/packing.wgsl");
    let buffers = [floats(&flat), words.to_vec(), vec![0; 48], vec![0; 80]];
    let got = run(source, "main", [1, 1, 1], &buffers);
    let norm = |v: f32, low: f32, most: f32| (0.5 + most * v.clamp(low, 1.0)).floor() as i32 as u32;
    let join = |values: &[u32], width: u32| {
        let mask = u32::MAX >> (32 - width);
        (0..).zip(values).map(|(i, v)| (v & mask) << (i * width)).sum::<u32>()
    };
    for i in 0..4 {
        let (v, w) = (inputs[i], words[i]);
        let each = |low, most| v.map(|v| norm(v, low, most));
        let scaled = v.map(|v| (v * 300.0) as i32);
        let weights = [1, 3, 5, 7];
        let signed = fields(w);
        let expected: [u32; 11] = [
            join(&each(-1.0, 127.0), 8),
            join(&each(0.0, 255.0), 8),
            join(&each(-1.0, 32767.0)[..2], 16),
            join(&each(0.0, 65535.0)[..2], 16),
            got[2][i * 12 + 4],
            join(&scaled.map(|v| v as u32), 8),
            join(&scaled.map(|v| v as u32), 8),
            join(&scaled.map(|v| v.clamp(-128, 127) as u32), 8),
            join(&v.map(|v| (v.abs() * 300.0) as u32).map(|v| v.min(255)), 8),
            (0..4).map(|i| signed[i] * weights[i]).sum::<i32>() as u32,
            (0..4).map(|i| u32::from(w.to_le_bytes()[i]) * weights[i] as u32).sum(),
        ];
        assert_eq!(&got[2][i * 12..i * 12 + 11], expected, "{v:?}");
        let back = as_floats(&got[3][i * 20..i * 20 + 20]);
        let halves = [w as u16, (w >> 16) as u16];
        let mut unpacked = Vec::new();
        unpacked.extend(signed.map(|s| (s as f32 / 127.0).max(-1.0)));
        unpacked.extend(w.to_le_bytes().map(|b| f32::from(b) / 255.0));
        unpacked.extend(halves.map(|h| (f32::from(h as i16) / 32767.0).max(-1.0)));
        unpacked.extend(halves.map(|h| f32::from(h) / 65535.0));
        assert_close("unpack", &back[..12], &unpacked, 1e-6, 0.0);
        assert_close("half", &back[12..14], &v[..2], 1e-3, 1e-6);
        assert_close("there and back", &back[16..], &v.map(|v| v.clamp(-1.0, 1.0)), 0.0, 0.0041);
    }
}

#[test]
fn conversions_saturate_and_wrap() {
    let f = [-1.75_f32, 3e9, f32::NEG_INFINITY, f32::NAN];
    let n = [i32::MIN, -1, 0, 16_777_217];
    let source = include_str!("corpus/conversions.wgsl");
    let integers: Vec<u32> = n.iter().map(|&n| n as u32).collect();
    let got = run(source, "main", [1, 1, 1], &[floats(&f), integers, vec![0; 56]]);
    for ((&x, &n), got) in f.iter().zip(&n).zip(got[2].chunks(14)) {
        let expected = [
            x as i32 as u32,
            x as u32,
            u32::from(x != 0.0),
            (n as f32).to_bits(),
            (n as u32 as f32).to_bits(),
            n as u32,
            u32::from(n != 0),
            f32::from(u8::from(n < 0)).to_bits(),
            u32::from(n < 0),
            x.to_bits(),
            u32::from(!f32::from_bits(n as u32).is_nan()),
            1.0_f32.to_bits(),
            x as u32,
            n as u32,
        ];
        assert_eq!(got, expected, "{x} and {n}");
    }
}
