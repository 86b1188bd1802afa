//! The corpus, part two: control flow, workgroups, atomics and subgroups.

mod common;

use common::{as_floats, floats, run, try_run};
use wharf_simt::{Engine, Error, Fallback, Location, Module};

fn collatz(mut n: u32) -> u32 {
    let mut steps = 0;
    while n != 1 {
        n = if n.is_multiple_of(2) { n / 2 } else { 3 * n + 1 };
        steps += 1;
    }
    steps
}

fn early(n: u32) -> u32 {
    match n {
        0..=9 => n * 100,
        21 => 1,
        23 => 2,
        _ => 7,
    }
}

fn clause(n: u32) -> u32 {
    match n % 8 {
        0 => 1,
        1 | 2 => {
            if n > 8 {
                2
            } else {
                12
            }
        }
        5 => 5,
        6 => early(n),
        _ => 3,
    }
}

fn mixed(n: u32) -> u32 {
    let (mut sum, mut i) = (0, 0);
    loop {
        if i % 4 != 1 {
            let mut inner = 0;
            if i % 4 == 2 {
                sum += 100
            } else {
                inner = i
            }
            for j in 0..n.min(5) {
                if (j + i) % 2 != 0 {
                    inner += j;
                }
            }
            sum += inner;
        }
        i += 1;
        sum += 1;
        if i > n {
            break;
        }
    }
    while i > 3 {
        i -= 3;
        sum += i;
    }
    sum
}

fn fresh(n: u32) -> u32 {
    (0..n).map(|i| i + u32::from(i % 3 == 0) + 10 * u32::from(i % 3 == 1)).sum()
}

#[test]
fn divergent_control_flow_takes_every_invocation_its_own_way() {
    let source = include_str!("corpus/control.wgsl");
    let got = run(source, "main", [2, 1, 1], &[vec![0; 64 * 6]]);
    for (i, got) in (0..64).zip(got[0].chunks(6)) {
        let signed = match i as i32 - 2 {
            -1 => 10,
            0 | 1 => 20,
            _ => 30,
        };
        assert_eq!(got, [collatz(i + 1), early(i), clause(i), signed, mixed(i), fresh(i)], "{i}");
    }
}

#[test]
fn an_early_return_leaves_the_rest_alone() {
    let got = run(include_str!("corpus/control.wgsl"), "returns", [1, 1, 1], &[vec![0; 8]]);
    assert_eq!(got[0], [0, 111, 2, 0, 2, 111, 0, 111]);
}

#[test]
fn a_tree_reduction_sums_every_workgroup() {
    let source = include_str!("corpus/workgroup.wgsl");
    let input: Vec<f32> = (0..1000).map(|i| i as f32).collect();
    for size in [64, 256] {
        let groups = 1000_usize.div_ceil(size);
        let set = [("size", size as f64)];
        let buffers = [floats(&input), vec![0; groups]];
        let got = try_run(source, "reduce", &set, [groups as u32, 1, 1], &buffers).unwrap();
        let expected: Vec<f32> = input.chunks(size).map(|chunk| chunk.iter().sum()).collect();
        assert_eq!(as_floats(&got[1]), expected);
    }
}

#[test]
fn a_uniform_load_gives_everybody_what_one_wrote() {
    let source = include_str!("corpus/workgroup.wgsl");
    let got = run(source, "uniform_load", [1, 1, 1], &[vec![0; 64]]);
    assert_eq!(as_floats(&got[0]), [22.0; 64]);
}

#[test]
fn a_barrier_that_only_some_reach_is_an_error_with_its_place() {
    let source = include_str!("corpus/workgroup.wgsl");
    let wrong = |input: &[f32]| try_run(source, "wrong", &[], [1, 1, 1], &[floats(input), vec![0; 8]]);
    let line = source.lines().position(|line| line.contains("if input[i] > 3.0")).unwrap() as u32 + 2;
    let error = wrong(&[0., 1., 2., 3., 4., 5., 6., 7.]).unwrap_err();
    let at = Some(Location { line, column: 9 });
    assert_eq!(error, Error::Divergence { at, workgroup: [0, 0, 0], arrived: 4, of: 8 });
    assert!(wrong(&[9.0; 8]).is_ok());
    assert!(wrong(&[0.0; 8]).is_ok());
}

#[test]
fn atomics_lose_nothing_across_threads() {
    let source = include_str!("corpus/atomics.wgsl");
    let groups = 40_u32;
    let n = groups * 16;
    let counters = vec![0, 0, 0, 0, u32::MAX, 0, 0, 0, 0, u32::MAX];
    let buffers = [counters, vec![0; n as usize], vec![0; 10]];
    let got = run(source, "main", [groups, 1, 1], &buffers);
    let xor = (0..n).fold(0, |all, i| all ^ i);
    let high = n as i32 - 1 - 50;
    let expected = [n, -2_i32 as u32 * n, -50_i32 as u32, high as u32, 0, u32::MAX, xor, 9, 3 * n, 3];
    assert_eq!(got[0][0], expected[0]);
    assert_eq!(got[0][1], (-2_i32).wrapping_mul(n as i32) as u32);
    assert_eq!(got[0][2..], expected[2..]);
    assert!(got[1].iter().all(|&ticket| ticket == 1));
    let mut histogram: Vec<u32> = (0..5).map(|k| (0..n).filter(|i| i % 5 == k).count() as u32).collect();
    histogram.extend((0..4).map(|k| groups * (0..16).filter(|i| i % 4 == k).sum::<u32>()));
    histogram.push(groups * 7);
    assert_eq!(got[2], histogram);
}

#[test]
fn floats_add_atomically() {
    let source = "@group(0) @binding(0) var<storage, read_write> sum: atomic<f32>;
        @group(0) @binding(1) var<storage, read_write> old: array<f32>;
        @compute @workgroup_size(64) fn main(@builtin(local_invocation_index) i: u32) {
            atomicAdd(&sum, 1.5);
            atomicSub(&sum, 0.5);
            if i == 63u { old[0] = atomicExchange(&sum, 7.0); }
        }";
    let got = run(source, "main", [1, 1, 1], &[vec![0], vec![0]]);
    assert_eq!((as_floats(&got[0]), as_floats(&got[1])), (vec![7.0], vec![64.0]));
}

#[test]
fn subgroups_are_sixteen_lanes() {
    let got = run(include_str!("corpus/subgroups.wgsl"), "main", [1, 1, 1], &[vec![0; 40 * 32]]);
    for (i, got) in (0..40_u32).zip(got[0].chunks(32)) {
        let (lane, first) = (i % 16, i / 16 * 16);
        let group: Vec<u32> = (first..(first + 16).min(40)).collect();
        let has = |from: u32| if group.contains(&from) { from } else { 0 };
        let odd = |upto: u32| 1_u32.wrapping_shl(group.iter().filter(|&&j| j % 2 == 1 && j < upto).count() as u32);
        let even: Vec<u32> = group.iter().copied().filter(|j| j % 2 == 0).collect();
        let bits = |of: &dyn Fn(u32) -> bool| -> u32 { group.iter().filter(|&&j| of(j)).map(|j| 1 << (j % 16)).sum() };
        let mut expected = vec![
            16_000 + lane * 100 + i / 16 * 10 + 3,
            bits(&|j| j % 3 == 0),
            group.iter().sum(),
            odd(100),
            80 + first,
            80 + group[group.len() - 1],
            group.iter().fold(u32::MAX, |all, j| all & (j | 0xf0)),
            group.iter().fold(0, |all, j| all | j),
            group.iter().fold(0, |all, j| all ^ j),
            u32::from(first < 32) + 2 * u32::from(first == 16),
            (first..=i).sum(),
            (first..i).sum(),
            odd(i + 1),
            odd(i),
            first,
            has(first + 5),
            has(first + (lane + 3) % 16),
            if lane + 2 < 16 { has(i + 2) } else { 0 },
            if lane >= 2 { i - 2 } else { 0 },
            has(first + (lane ^ 5)),
            (i & !3) + 2,
            i ^ 1,
            i ^ 2,
            i ^ 3,
        ];
        expected.extend(if i % 2 == 0 { [even.len() as u32, even[0] + 7, bits(&|j| j % 2 == 0)] } else { [0; 3] });
        expected.push(group.len() as u32 * 3);
        assert_eq!(got[..28], expected, "lane {i}");
    }
}

#[test]
fn builtins_place_every_invocation() {
    let got = run(include_str!("corpus/builtins.wgsl"), "main", [2, 3, 2], &[vec![0; 144]]);
    for (at, &got) in (0..).zip(&got[0]) {
        let [x, y, z] = [at % 4, at / 4 % 9, at / 36];
        let local = x % 2 + 2 * (y % 3) + 6 * (z % 2);
        let group = x / 2 + 2 * (y / 3) + 6 * (z / 2);
        assert_eq!(got, local * 101 + group * 10_000, "{at}");
    }
}

#[test]
fn overrides_reach_the_code() {
    let source = include_str!("corpus/overrides.wgsl");
    let values =
        |set: &[(&str, f64)]| try_run(source, "main", set, [1, 1, 1], &[vec![0; 4]]).map(|got| as_floats(&got[0]));
    assert_eq!(values(&[("count", 4.0)]).unwrap(), [10.0, 12.0, 16.0, 10.0]);
    assert_eq!(values(&[("count", 2.0), ("@3", 0.5), ("flip", 1.0), ("idle", 7.0)]).unwrap(), [-0.5, 0.0, 0.0, 0.0]);
    let logic = |count: f64, flip: f64| {
        let set = [("count", count), ("flip", flip)];
        try_run(source, "logic", &set, [1, 1, 1], &[vec![0; 2]]).map(|got| as_floats(&got[0])).unwrap()
    };
    assert_eq!([logic(2.0, 0.0), logic(2.0, 1.0)], [[1.0, 1.0], [1.0, 2.0]]);
    assert_eq!([logic(3.0, 0.0), logic(3.0, 1.0)], [[1.0, 2.0], [2.0, 2.0]]);
}

/// Nobody is left to believe that a kernel was compiled.
#[test]
fn what_is_not_compiled_says_why() {
    let program = |steps: usize| {
        let steps = "n = n * 3u + 1u;".repeat(steps);
        let source = format!(
            "@group(0) @binding(0) var<storage, read_write> out: array<u32>;
             var<private> kept: array<u32, 8>;
             @compute @workgroup_size(256) fn main(@builtin(local_invocation_index) i: u32) {{
                 var n = i; {steps} kept[n % 8u] = n;
                 workgroupBarrier();
                 out[i] = kept[i % 8u];
             }}"
        );
        Module::new(&source).unwrap().compile("main", &[], Engine::Jit).unwrap()
    };
    let [short, long] = [3, 8000].map(|steps| {
        let program = program(steps);
        (program.engine(), program.fallback())
    });
    if cfg!(feature = "jit") {
        assert_eq!(short, (Engine::Jit, None));
        assert_eq!(long, (Engine::Interpreter, Some(Fallback::Length)));
    } else {
        assert_eq!([short, long], [(Engine::Interpreter, Some(Fallback::Build)); 2]);
    }
}

/// All comparisons of `i` with `bound` as words and as signed numbers, each from both sides; bit by bit.
fn compared(i: u32, bound: u32) -> u32 {
    let (a, b) = (i as i32, bound as i32);
    let word = [i < bound, i <= bound, i > bound, i >= bound, i == bound, i != bound];
    let signed = [a < b, a <= b, a > b, a >= b, a == b, a != b];
    let bits = word.into_iter().chain(word).chain(signed).chain(signed);
    bits.enumerate().map(|(bit, holds)| u32::from(holds) << bit).sum()
}

#[test]
fn conditions_along_a_block_hold_where_its_words_wrap() {
    let mut conditions = String::new();
    let (forth, back) = (["<", "<=", ">", ">=", "==", "!="], [">", ">=", "<", "<=", "==", "!="]);
    for (group, ty) in ["u32", "i32"].into_iter().enumerate() {
        for (order, ops) in [forth, back].into_iter().enumerate() {
            for (at, op) in ops.into_iter().enumerate() {
                let (a, b) = (format!("{ty}(i)"), format!("{ty}(bound)"));
                let (a, b) = if order == 0 { (a, b) } else { (b, a) };
                let bit = group * 12 + order * 6 + at;
                conditions += &format!("if {a} {op} {b} {{ bits += {}u; }}\n", 1_u32 << bit);
            }
        }
    }
    for lanes in [64_usize, 40, 3] {
        let source = format!(
            "@group(0) @binding(0) var<storage, read> pairs: array<vec2<u32>>;
            @group(0) @binding(1) var<storage, read_write> out: array<u32>;
            @compute @workgroup_size({lanes})
            fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {{
                let i = pairs[group.x].x + lane * 3u;
                let bound = pairs[group.x].y;
                var bits = 0u;
                {conditions}
                let at = 2u * (group.x * {lanes}u + lane);
                out[at] = bits;
                if i >= bound {{
                    return;
                }}
                out[at + 1u] = i;
            }}"
        );
        let ends = [0, 1, 45, 46, 100, 1 << 31, (1 << 31) + 47, u32::MAX - 46, u32::MAX - 45, u32::MAX];
        let starts = ends.into_iter().flat_map(|end: u32| [end, end.wrapping_sub(46), end.wrapping_sub(120)]);
        let pairs: Vec<[u32; 2]> = starts.flat_map(|start| ends.map(|bound| [start, bound])).collect();
        let buffers = [pairs.concat(), vec![0; pairs.len() * lanes * 2]];
        let got = run(&source, "main", [pairs.len() as u32, 1, 1], &buffers).remove(1);
        for (got, [start, bound]) in got.chunks(2 * lanes).zip(pairs) {
            let words = (0..lanes as u32).map(|lane| start.wrapping_add(3 * lane));
            let below = |i: u32| if i < bound { i } else { 0 };
            let expected: Vec<u32> = words.flat_map(|i| [compared(i, bound), below(i)]).collect();
            assert_eq!(got, expected, "from {start} against {bound}, {lanes} lanes");
        }
    }
}
