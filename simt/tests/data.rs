//! The corpus, part three: composites, memory, bounds, and arguments that do not fit.

mod common;

use std::sync::atomic::AtomicBool;

use common::{Buffer, as_floats, assert_close, compile, floats, pool, run};
use wharf_simt::{Engine, Error, Memory};

type V3 = [f32; 3];
fn dot(a: V3, b: V3) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}
fn map(a: V3, b: V3, f: impl Fn(f32, f32) -> f32) -> V3 {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2])]
}
fn with(a: V3, w: f32) -> [f32; 4] {
    [a[0], a[1], a[2], w]
}

#[test]
fn vectors_agree_with_their_components() {
    let inputs: [V3; 4] = [[1.0, 2.0, 3.0], [-1.0, 0.5, 0.25], [0.75, -3.5, 2.25], [1.25, 1.5, -0.5]];
    let padded: Vec<f32> = inputs.iter().flat_map(|&u| with(u, 0.0)).collect();
    let source = include_str!("corpus/vectors.wgsl");
    let got = run(source, "main", [1, 1, 1], &[floats(&padded), vec![0; 4 * 80]]);
    for (i, &u) in inputs.iter().enumerate() {
        let v: V3 = [1.5, -3.0, 0.75];
        let n: V3 = v.map(|c| c / dot(v, v).sqrt());
        let unit: V3 = u.map(|c| c / dot(u, u).sqrt());
        let k = 1.0 - 0.49 * (1.0 - dot(n, unit).powi(2));
        let factor = 0.7 * dot(n, unit) + k.sqrt();
        let bent = map(unit, n, |u, n| 0.7 * u - factor * n);
        let less = map(u, v, |a, b| f32::from(u8::from(a < b)));
        let mut w = [9.0, u[1], v[1], v[2]];
        w[i % 4] += 10.0;
        let smooth = u.map(|u| {
            let t = (u / 2.0).clamp(0.0, 1.0);
            t * t * (3.0 - 2.0 * t)
        });
        let exponent = |x: f32| x.abs().log2().floor() + 1.0;
        let shifted: V3 = map([6.0, 16.0, 40.0], u, |s, u| s - u);
        let mut element = [0.0, 5.0, 0.0, 0.0];
        element[i % 2 * 2] = 6.0;
        let expected: Vec<[f32; 4]> = vec![
            [u[2], u[1], u[0], 7.0],
            with([u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]], dot(u, v)),
            with(n, dot(u, u).sqrt()),
            with(map(u, n, |a, b| a - 2.0 * dot(n, u) * b), {
                let d = map(u, v, |a, b| a - b);
                dot(d, d).sqrt()
            }),
            with(if k < 0.0 { [0.0; 3] } else { bent }, 0.0),
            with(if dot(v, n) < 0.0 { u } else { u.map(|c| -c) }, 0.0),
            with(map(u, v, |u, v| (2.0 * u + v) / 2.0), 0.5),
            with(
                map(u, v, |a, b| if a < b { b } else { a }),
                f32::from(u8::from(less == [1.0; 3])) + 2.0 * f32::from(u8::from(less != [0.0; 3])),
            ),
            w,
            [u[i % 3], w[3 - i % 4], if i % 2 == 0 { 3.0 } else { -4.0 }, 0.0],
            with(map(u, v, |a, b| (a + b) / 2.0), 0.0),
            with(u.map(|c| (c * 10.0).trunc()), 1.0),
            with(u.map(f32::trunc), u[1].fract()),
            with(u.map(exponent), u[2] / 2.0_f32.powf(exponent(u[2]))),
            with(map([w[0], w[1], w[2]].map(|c| c.clamp(-1.0, 1.0)), smooth, |a, b| a + b), w[3].clamp(-1.0, 1.0)),
            with(shifted, 0.0),
            element,
            [0.0; 4],
            {
                let t = [0.25, 0.5, 0.75];
                let m: Vec<f32> = (0..3).map(|c| u[c] * (1.0 - t[c]) + v[c] * t[c]).collect();
                [3.0, m[0], m[1], m[2]]
            },
            [u[0] % 1.0, 0.0, u[0] * 4.0, u[1] / 4.0],
        ];
        for (k, expected) in expected.iter().enumerate() {
            let at = (i * 20 + k) * 4;
            let mut got = as_floats(&got[1][at..at + 4]);
            if k == 19 {
                // vec2 of a scalar: both components are the same.
                assert_eq!(got[0], got[1]);
                got[1] = 0.0;
            }
            assert_close(&format!("vector {i}, line {k}"), &got, expected, 2e-6, 1e-6);
        }
    }
}

/// Column-major, `rows` per column.
fn product(a: &[f32], rows: usize, b: &[f32], inner: usize) -> Vec<f32> {
    (b.chunks(inner))
        .flat_map(|column| (0..rows).map(move |row| (0..inner).map(|k| a[k * rows + row] * column[k]).sum::<f32>()))
        .collect()
}

fn determinant(m: &[f32], n: usize) -> f32 {
    if n == 1 {
        return m[0];
    }
    (0..n)
        .map(|skip| {
            let minor: Vec<f32> = (0..n * n).filter(|at| at / n != skip && at % n != 0).map(|at| m[at]).collect();
            (if skip % 2 == 0 { 1.0 } else { -1.0 }) * m[skip * n] * determinant(&minor, n - 1)
        })
        .sum()
}

#[test]
fn matrices_multiply_and_lie_in_columns() {
    let square = [2.0, 1.0, -1.0, 0.5, 3.0, 2.0, 1.0, -2.0, 4.0];
    let tall = [1.0, 2.0, 3.0, 4.0, -1.0, 0.5, 2.0, -3.0];
    let wide = [1.0, -1.0, 2.0, 0.5, 3.0, 1.5, -2.0, 4.0];
    let small = [3.0, 1.0, 2.0, 5.0];
    let big = [4.0, 1.0, 0.5, 0.0, -1.0, 3.0, 2.0, 1.0, 0.0, 2.0, 5.0, -1.0, 1.0, 0.0, -2.0, 6.0];
    // square 0..48 in columns of 16 bytes, tall 48..80, wide 80..112, small 112..128, big 128..192.
    let mut memory: Vec<f32> = square.chunks(3).flat_map(|c| [c[0], c[1], c[2], 99.0]).collect();
    for part in [&tall[..], &wide, &small, &big] {
        memory.extend_from_slice(part);
    }
    let source = include_str!("corpus/matrices.wgsl");
    let got = run(source, "main", [1, 1, 1], &[floats(&memory), vec![0; 52], vec![0; 12]]);
    let out = as_floats(&got[1]);
    let line = |k: usize| &out[k * 4..k * 4 + 4];
    let check = |k: usize, expected: &[f32]| {
        assert_close(&format!("line {k}"), &line(k)[..expected.len()], expected, 1e-5, 1e-5);
    };
    let v = [1.0, 2.0, 3.0];
    let mut first = product(&square, 3, &v, 3);
    first.push(determinant(&square, 3));
    check(0, &first);
    let left: Vec<f32> = square.chunks(3).map(|c| dot(v, [c[0], c[1], c[2]])).collect();
    check(1, &[left[0], left[1], left[2], determinant(&small, 2)]);
    let squared = product(&square, 3, &square, 3);
    check(2, &[squared[3], squared[4], squared[5], determinant(&big, 4)]);
    check(3, &product(&tall, 4, &[2.0, -1.0], 2));
    let wide_product = product(&wide, 2, &[1.0, 2.0, 3.0, 4.0], 4);
    check(4, &[wide_product[0], wide_product[1], 4.0, 7.0]);
    check(5, &[wide[1], wide[3], wide[5], wide[7]]);
    check(6, &[square[2], square[5], square[8]]);
    check(7, &[big[1], big[5], big[9], big[13]]);
    let both = product(&wide, 2, &tall, 4);
    check(8, &[both[0], both[1], both[0] + both[2], both[1] + both[3]]);
    check(9, &[square[0], square[1], square[2], square[7]]);
    check(10, &[0.5, 3.0, 3.0, 8.0]);
    check(11, &[8.0, 0.5, 8.0, 2.0]);
    check(12, &big[12..]);
    let back = as_floats(&got[2]);
    for (column, words) in back.chunks(4).enumerate() {
        let mut expected: Vec<f32> = square[column * 3..column * 3 + 3].iter().map(|c| c * 2.0).collect();
        expected[2 - column] += 100.0;
        assert_eq!(words[..3], expected);
        assert_eq!(words[3], 0.0, "the padding of a column is not written");
    }
}

#[test]
fn nested_data_lies_where_wgsl_says() {
    // params: scale 0, offset 16..28, flags 32..64
    let mut params = vec![0_u32; 16];
    params[0] = 3.7_f32.to_bits();
    params[5] = 1000;
    params[8..16].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]);
    // data: n 0, inner 8..56 in steps of 16, v 64..76, tail from 80 in steps of 16
    let data = vec![0_u32; 20 + 3 * 4];
    let source = include_str!("corpus/data.wgsl");
    let got = run(source, "main", [1, 1, 1], &[params, data, vec![0; 96]]);
    let table = [10, 20, 30, 40];
    for (i, got) in (0..8_u32).zip(got[2].chunks(12)) {
        let k = i as usize;
        let upto = i % 4;
        let listed: u32 = table[..upto as usize].iter().sum::<u32>() + table[3] + table[upto as usize];
        let mut pair = [[1, 2], [3, 4]];
        pair[k % 2] = pair[1 - k % 2];
        let expected = [
            (i + 5) * 100 + i,
            if i % 2 == 0 { i * 10 } else { i },
            1 + 42_000,
            (7 - i) + (7 - i) * (7 - i) * 100 + 1,
            listed,
            (2 * i + 1) + (i + 1) * 100,
            [1, 2, 3, 4, 5, 6, 7, 8][k % 2 * 4 + k % 4] + 1003,
            3 * 100 + 96,
            (i + 1) % 3,
            3,
            pair[0][0] + pair[0][1] * 10 + pair[1][0] * 100 + pair[1][1] * 1000,
            5 + i % 3,
        ];
        assert_eq!(got, expected, "{i}");
    }
    for i in 0..3_usize {
        assert_eq!(got[1][2 + 4 * i], (i as f32 + 0.5).to_bits());
        assert_eq!(got[1][4 + 4 * i..6 + 4 * i], [i as u32, i as u32 + 1]);
        assert_eq!(got[1][16 + i], (i as f32 + 0.25).to_bits());
        assert_eq!(got[1][20 + 4 * i + 3], i as u32);
    }
}

#[test]
fn out_of_bounds_loads_zero_and_stores_nothing() {
    let source = include_str!("corpus/bounds.wgsl");
    let index = [0, 2, 3, 100, -1, i32::MIN, i32::MAX, 1_073_741_824];
    let words: Vec<u32> = index.iter().map(|&i| i as u32).collect();
    let data = vec![1, 2, 3, 4];
    let got = run(source, "main", [8, 1, 1], &[data, words, vec![0; 64], vec![0; 2]]);
    assert_eq!(got[0], [7, 2, 7, 7]);
    assert_eq!(got[3], [1, 0]);
    for (&i, got) in index.iter().zip(got[2].chunks(8)) {
        let inside = |len: i32| u32::from(i >= 0 && i < len);
        let first = u32::from(i == 0);
        let x = if i == 0 { 5 } else { 1 };
        let w = if i == 3 { 5 } else { 4 };
        let seen = if (0..4).contains(&i) { 5 } else { 0 };
        let expected = [
            7 * inside(4),
            8 * inside(3) + 80 * first,
            9 * inside(3) + 90 * first,
            0,
            seen + x * 10 + w * 100,
            if i == 0 { 3 + 20 } else { 0 },
            first,
            1,
        ];
        assert_eq!(got, expected, "{i}");
    }
}

#[test]
fn arguments_that_do_not_fit_are_refused_before_anything_runs() {
    let program = compile(include_str!("corpus/atomics.wgsl"), "main", &[], Engine::default());
    let stop = AtomicBool::new(false);
    let run = |args: &[Memory<'_>]| program.dispatch([1, 1, 1], args, pool(), &stop).unwrap_err();
    let (counters, out, histogram) = (Buffer::new(&[0; 10]), Buffer::new(&[0; 16]), Buffer::new(&[0; 10]));
    let few = run(&[counters.memory()]);
    assert_eq!(few.to_string(), "`main` binds 3 buffers, got 1");
    let small = Buffer::new(&[0; 9]);
    let error = run(&[small.memory(), out.memory(), histogram.memory()]);
    assert!(matches!(error, Error::ArgumentSize { min_bytes: 40, got: 36, .. }), "{error}");
    let words = [0_u32; 32];
    let bytes = bytes_of(&words);
    let start = bytes.as_ptr().align_offset(16);
    let read_only = Memory::read(&bytes[start..start + 40]);
    let error = run(&[read_only, out.memory(), histogram.memory()]);
    assert_eq!(error, Error::ArgumentReadOnly { binding: "counters".to_owned() });
    let crooked = Memory::read(&bytes[start + 4..start + 44]);
    let error = run(&[crooked, out.memory(), histogram.memory()]);
    assert!(matches!(error, Error::ArgumentAlign { align: 16, .. }), "{error}");
}

fn bytes_of(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[test]
fn one_buffer_may_be_bound_twice() {
    let source = "@group(0) @binding(0) var<storage, read_write> a: array<u32>;
        @group(0) @binding(1) var<storage, read_write> b: array<u32>;
        @compute @workgroup_size(4) fn main(@builtin(local_invocation_index) i: u32) { a[i] = i; b[i + 4u] = i; }";
    let program = compile(source, "main", &[], Engine::default());
    let buffer = Buffer::new(&[0; 8]);
    let args = [buffer.memory(), buffer.memory()];
    let stats = program.dispatch([1, 1, 1], &args, pool(), &AtomicBool::new(false)).unwrap();
    assert_eq!((stats.workgroups, stats.invocations), (1, 4));
    assert_eq!(buffer.content(), [0, 1, 2, 3, 0, 1, 2, 3]);
}

#[test]
fn nothing_runs_when_there_is_no_workgroup() {
    let program = compile(include_str!("corpus/builtins.wgsl"), "main", &[], Engine::default());
    let buffer = Buffer::new(&[5; 4]);
    program.dispatch([4, 0, 1], &[buffer.memory()], pool(), &AtomicBool::new(false)).unwrap();
    assert_eq!(buffer.content(), [5; 4]);
}

#[test]
fn an_address_made_before_a_barrier_keeps_its_bounds() {
    let source = "@group(0) @binding(0) var<storage, read_write> out: array<u32>;
        @compute @workgroup_size(32)
        fn main(@builtin(local_invocation_index) i: u32) {
            let place = &out[i * 6u + 1u];
            workgroupBarrier();
            *place = i + 1u;
        }";
    let mut expected = vec![0; 20];
    (0..4).for_each(|i| expected[i * 6 + 1] = i as u32 + 1);
    assert_eq!(run(source, "main", [1, 1, 1], &[vec![0; 20]])[0], expected);
}

#[test]
fn what_an_exit_guards_is_not_done_before_it() {
    let source = "@group(0) @binding(0) var<storage, read> index: array<u32>;
        @group(0) @binding(1) var<storage, read_write> out: array<u32>;
        var<workgroup> table: array<u32, 4>;
        @compute @workgroup_size(16)
        fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) i: u32) {
            table[i % 4u] = 5u;
            workgroupBarrier();
            let at = index[group.x];
            for (var n = 0u; n < 2u; n++) {
                if at >= 4u { break; }
                out[group.x * 16u + i] += table[at];
            }
        }";
    let got = run(source, "main", [2, 1, 1], &[vec![3, 1 << 28], vec![0; 32]]);
    assert_eq!(got[1], [[10; 16], [0; 16]].concat());
}

/// A table is filled once for all its uses, in a branch and behind a barrier too.
#[test]
fn constants_are_indexed_at_run_time() {
    let source = "const squares = array<u32, 9>(0u, 1u, 4u, 9u, 16u, 25u, 36u, 49u, 64u);
        const pairs = array<vec2<u32>, 2>(vec2(5u, 6u), vec2(7u, 8u));
        @group(0) @binding(0) var<storage, read_write> out: array<u32>;
        fn other(i: u32) -> u32 { return squares[(i * i) % 9u] + pairs[i % 2u][(i + 1u) % 2u]; }
        @compute @workgroup_size(40)
        fn main(@builtin(local_invocation_index) i: u32) {
            if i % 3u == 0u { out[i] = squares[i % 9u]; }
            workgroupBarrier();
            for (var k = 0u; k < i % 4u; k++) { out[i] += squares[(i + k) % 9u] + other(i); }
        }";
    let got = run(source, "main", [1, 1, 1], &[vec![0; 40]]);
    let square = |i: u32| (i % 9) * (i % 9);
    let other = |i: u32| square(i * i) + [[5, 6], [7, 8]][(i % 2) as usize][((i + 1) % 2) as usize];
    let expected = |i: u32| {
        let first = if i.is_multiple_of(3) { square(i) } else { 0 };
        first + (0..i % 4).map(|k| square(i + k) + other(i)).sum::<u32>()
    };
    assert_eq!(got[0], (0..40).map(expected).collect::<Vec<_>>());
}
