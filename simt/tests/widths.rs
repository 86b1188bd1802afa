//! The corpus, part four: numbers of 16 and 64 bits.

mod common;

use common::{assert_close, run};

#[test]
fn wide_numbers_take_two_words() {
    let a = [i64::MIN, -1, 0x1234_5678_9abc, 7];
    let split = |values: &[i64]| -> Vec<u32> { values.iter().flat_map(|&v| [v as u32, (v >> 32) as u32]).collect() };
    // n 0, big 8, v 32..56, d 56; the whole is 64 bytes.
    let mut mixed = vec![0_u32; 16];
    mixed[0] = 5;
    mixed[2..4].copy_from_slice(&split(&[-8]));
    mixed[8..12].copy_from_slice(&split(&[1 << 33, 3]));
    mixed[14..16].copy_from_slice(&split(&[6.25_f64.to_bits() as i64]));
    let source = include_str!("corpus/wide.wgsl");
    let got = run(source, "main", [1, 1, 1], &[split(&a), vec![0; 128], mixed, vec![1, 0]]);
    let join = |words: &[u32]| -> Vec<i64> {
        words.chunks(2).map(|w| (u64::from(w[1]) << 32 | u64::from(w[0])) as i64).collect()
    };
    for (i, got) in join(&got[1]).chunks(16).enumerate() {
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
            (x as f64 * 0.5) as i64,
            (x as f32) as i64,
            (x as f64 + 0.25).to_bits() as i64,
            (a[3 - i] as u64).wrapping_add(1) as i64,
            list[0].wrapping_sub(list[1]).wrapping_add(list[2]),
            x.wrapping_abs().wrapping_add(x.wrapping_neg()).wrapping_add(!y),
            0x1234_5678_9abc,
            i64::from(x as u32) + i64::from(y as i32),
        ];
        assert_eq!(got, expected, "{x} and {y}");
    }
    let mixed = join(&got[2]);
    assert_eq!(mixed[1], -3);
    assert_eq!(mixed[6], 3 << 33);
    assert_eq!(f64::from_bits(mixed[7] as u64), 8.5);
    assert_eq!(join(&got[3])[0], 1 + 6 + (4 << 33));
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
