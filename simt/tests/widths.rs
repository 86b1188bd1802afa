//! The corpus, part four: numbers of 16 and 64 bits.

mod common;

use common::{assert_close, run};

#[test]
fn wide_numbers_take_two_words() {
    let a = [i64::MIN, -1, 0x1234_5678_9abc, 7];
    let split = |values: &[i64]| -> Vec<u32> { values.iter().flat_map(|&v| [v as u32, (v >> 32) as u32]).collect() };
    // n 0, big 8, v 32..56; the whole is 64 bytes.
    let mut mixed = vec![0_u32; 16];
    mixed[0] = 5;
    mixed[2..4].copy_from_slice(&split(&[-8]));
    mixed[8..12].copy_from_slice(&split(&[1 << 33, 3]));
    let source = include_str!("corpus/wide.wgsl");
    let got = run(source, "main", [1, 1, 1], &[split(&a), vec![0; 104], mixed]);
    let join = |words: &[u32]| -> Vec<i64> {
        words.chunks(2).map(|w| (u64::from(w[1]) << 32 | u64::from(w[0])) as i64).collect()
    };
    for (i, got) in join(&got[1]).chunks(13).enumerate() {
        let (x, y) = (a[i], a[(i + 1) % 4]);
        let mut list = [0_i64; 3];
        list[i % 3] = x;
        list[(i + 1) % 3] = y;
        let shift = i as u32 + 33;
        let expected = [
            x.wrapping_add(y),
            x.wrapping_mul(y),
            if y == 0 { x } else { x.wrapping_div(y) },
            if y == 0 { 0 } else { x.wrapping_rem(y) },
            x.wrapping_shl(shift),
            x.wrapping_shr(shift),
            x.min(y) ^ x.max(y),
            if x < y { 2 } else { 1 } + i64::from(x == y),
            ((x >> 1) as f32) as i64,
            (a[3 - i] as u64).wrapping_add(1) as i64,
            list[0].wrapping_sub(list[1]).wrapping_add(list[2]),
            x.wrapping_abs().wrapping_add(x.wrapping_neg()).wrapping_add(!y),
            i64::from(x as u32) + i64::from(y as i32),
        ];
        assert_eq!(got, expected, "{x} and {y}");
    }
    let mixed = join(&got[2]);
    assert_eq!(mixed[1], -3);
    assert_eq!(mixed[6], 3 << 33);
}

#[test]
fn doubles_are_rounded_as_such() {
    let split = |values: &[f64]| -> Vec<u32> {
        values.iter().flat_map(|v| [v.to_bits() as u32, (v.to_bits() >> 32) as u32]).collect()
    };
    let join = |words: &[u32]| -> Vec<f64> {
        words.chunks(2).map(|w| f64::from_bits(u64::from(w[1]) << 32 | u64::from(w[0]))).collect()
    };
    let a = [0.1, -3.75, 1.0 + f64::EPSILON, 12345.678];
    // n 0, d 8, v 16..32.
    let mut pair = vec![5, 0];
    pair.extend(split(&[6.25, 0.1, -0.7]));
    let got = run(include_str!("corpus/doubles.wgsl"), "main", [1, 1, 1], &[split(&a), vec![0; 64], pair]);
    for (i, got) in join(&got[1]).chunks(8).enumerate() {
        let (x, y): (f64, f64) = (a[i], a[(i + 1) % 4]);
        let expected = [
            x + y * 0.25,
            a[3 - i] * 0.5 - x,
            x.abs().sqrt() + y.floor(),
            if x < y { x.max(y) } else { x.min(y) },
            (x * 8.0) as i64 as f64 + f64::from(y.abs() as u32),
            f64::from(x as f32) + i as f64,
            x,
            x * y + y * 2.0,
        ];
        assert_eq!(got, expected, "{x} and {y}");
    }
    assert_eq!(join(&got[2])[1..], [8.5, -0.7 * 5.0, 0.1 * 5.0]);
}

#[test]
fn wide_atomics_carry_into_the_second_word() {
    let got = run(include_str!("corpus/wide_atomics.wgsl"), "main", [3, 1, 1], &[vec![1, 0], vec![0; 8]]);
    let join = |words: &[u32]| (u64::from(words[1]) << 32 | u64::from(words[0])) as i64;
    assert_eq!(join(&got[0]), 1 + 18 + (12 << 33));
    assert_eq!(got[1].chunks(2).map(join).collect::<Vec<_>>(), [31, 32, 33, 34].map(|by| 1 << by));
}

fn half(value: f32) -> u32 {
    // Exact for the numbers used here: normal halves without rounding.
    let bits = value.to_bits();
    if value == 0.0 { 0 } else { (bits >> 16 & 0x8000) | ((bits >> 23 & 0xff) - 112) << 10 | bits >> 13 & 0x3ff }
}

fn from_half(bits: u32) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let mantissa = (bits & 0x3ff) as f32;
    match bits >> 10 & 31 {
        0 => sign * mantissa * 2.0_f32.powi(-24),
        e => sign * (1.0 + mantissa / 1024.0) * 2.0_f32.powi(e as i32 - 15),
    }
}

#[test]
fn half_floats_round_after_every_step() {
    let a = [1.0_f32, 0.5, -2.5, 1000.0, 0.125, 3.0, -7.0, 2048.0];
    let pack = |values: &[f32]| -> Vec<u32> { values.chunks(2).map(|two| half(two[0]) | half(two[1]) << 16).collect() };
    // a 0, v 8..14, b 14, m 16..24
    let mixed = [1.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 1.0, 2.0, 3.0, 4.0];
    let source = include_str!("corpus/half.wgsl");
    let buffers = [pack(&a), vec![0; 32], pack(&mixed), vec![0; 8]];
    let got = run(source, "main", [1, 1, 1], &buffers);
    let unpack = |words: &[u32]| -> Vec<f32> {
        words.iter().flat_map(|w| [from_half(w & 0xffff), from_half(w >> 16)]).collect()
    };
    let out = unpack(&got[1]);
    for i in 0..8 {
        let (x, y) = (a[i], a[(i + 1) % 8]);
        let exact = [x + y, x * y, x / y, x.abs().sqrt(), a[7 - i], x * 1.001, i as f32 + 0.5, x.min(y)];
        assert_close(&format!("{x} and {y}"), &out[i * 8..i * 8 + 8], &exact, 4.9e-4, 1e-7);
        assert_eq!(f32::from_bits(got[3][i]), x + y.trunc());
    }
    assert_eq!(out[7 * 8], 2048.0, "2049 is no half float");
    let mixed = unpack(&got[2]);
    assert_eq!(mixed[5], 3.5);
    assert_eq!(mixed[8..12], [7.0, 10.0, 15.0, 22.0]);
}

#[test]
fn short_integers_wrap_at_sixteen_bits() {
    let a = [i16::MIN, -1, 300, 77];
    let pack = |values: &[i16]| -> Vec<u32> {
        values.chunks(2).map(|two| u32::from(two[0] as u16) | u32::from(two[1] as u16) << 16).collect()
    };
    let source = include_str!("corpus/short.wgsl");
    let got = run(source, "main", [1, 1, 1], &[pack(&a), vec![0; 16], vec![0; 16]]);
    let unpack = |words: &[u32]| -> Vec<u16> { words.iter().flat_map(|&w| [w as u16, (w >> 16) as u16]).collect() };
    let (signed, unsigned) = (unpack(&got[1]), unpack(&got[2]));
    for i in 0..4 {
        let (x, y) = (a[i], a[(i + 1) % 4]);
        let expected = [
            x.wrapping_add(y),
            x.wrapping_mul(y),
            x.wrapping_div(y),
            x.wrapping_neg(),
            x << 3,
            x >> 3,
            (i32::from(x) * 3) as i16,
            (f32::from(x) * 2.0) as i16,
        ];
        let got: Vec<i16> = signed[i * 8..i * 8 + 8].iter().map(|&v| v as i16).collect();
        assert_eq!(got, expected, "{x} and {y}");
        let (u, v) = (x as u16, y as u16);
        let expected =
            [u.wrapping_add(v), u.wrapping_mul(v), u / v, !u, u << 3, u >> 3, (u32::from(u) * 3) as u16, u.max(v)];
        assert_eq!(&unsigned[i * 8..i * 8 + 8], expected, "{u} and {v}");
    }
}
