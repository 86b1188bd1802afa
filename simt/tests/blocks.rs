//! The corpus, part five: shapes that decide how the compiler lays out blocks of lanes. Both engines run each
//! kernel and must agree; what they agree on is compared with Rust.

mod common;

use common::run;

/// Workgroups that fill blocks of sixteen, that do not, and that are smaller than one.
const SIZES: [u32; 5] = [5, 8, 20, 37, 64];

fn each_size(source: &str, mut check: impl FnMut(&str, u32)) {
    for size in SIZES {
        check(&source.replace("SIZE", &size.to_string()), size);
    }
}

fn noise(n: u32) -> Vec<u32> {
    (0..n).map(|i| i.wrapping_mul(2_654_435_761) >> 9).collect()
}

#[test]
fn many_values_alive_take_narrow_blocks() {
    for values in [8_u32, 20] {
        let every = |f: &dyn Fn(u32) -> String| (0..values).map(f).collect::<String>();
        let source = format!(
            "@group(0) @binding(0) var<storage, read> x: array<u32>;
             @group(0) @binding(1) var<storage, read_write> y: array<u32>;
             @compute @workgroup_size(SIZE)
             fn main(@builtin(global_invocation_id) id: vec3<u32>) {{
                 if id.x >= arrayLength(&x) {{ return; }}
                 let seed = x[id.x];
                 {}
                 for (var lap = 0u; lap < seed % 7u; lap += 1u) {{ {} }}
                 y[id.x] = {}0u;
             }}",
            every(&|i| format!("var v{i} = seed + {i}u;")),
            every(&|i| format!("v{i} = v{i} * 3u + v{};", (i + 1) % values)),
            every(&|i| format!("v{i} ^ ")),
        );
        each_size(&source, |source, size| {
            let x = noise(3 * size - 2);
            let got = run(source, "main", [3, 1, 1], &[x.clone(), vec![0; x.len()]]);
            let of = |&seed: &u32| {
                let mut v: Vec<u32> = (0..values).map(|i| seed + i).collect();
                for _ in 0..seed % 7 {
                    for i in 0..values as usize {
                        v[i] = v[i].wrapping_mul(3).wrapping_add(v[(i + 1) % values as usize]);
                    }
                }
                v.into_iter().fold(0, |all, v| all ^ v)
            };
            assert_eq!(got[1], x.iter().map(of).collect::<Vec<_>>(), "{values} values, workgroups of {size}");
        });
    }
}

#[test]
fn conditions_of_two_sides_are_values() {
    let source = "
        @group(0) @binding(0) var<storage, read> x: array<u32>;
        @group(0) @binding(1) var<storage, read_write> y: array<u32>;
        @group(0) @binding(2) var<uniform> bound: u32;
        fn clamped(v: u32, i: u32) -> u32 {
            if v < bound && i > 2u && v % 3u != 0u { return v; }
            if v > 1000u || i == 4u || v % (i + 1u) == 1u { return 7u; }
            return 0u;
        }
        @compute @workgroup_size(SIZE)
        fn main(@builtin(global_invocation_id) id: vec3<u32>) {
            let i = id.x;
            if i < arrayLength(&y) && x[i] != 3u {
                var kept = i > 5u && x[i] % 2u == 0u;
                let first = kept;
                for (var lap = 0u; lap < 3u; lap += 1u) {
                    kept = kept || x[i] == lap;
                }
                y[i] = clamped(x[i] % 1500u, i) * 4u + select(0u, 1u, kept) + select(0u, 2u, first);
            }
        }";
    each_size(source, |source, size| {
        let x: Vec<u32> =
            noise(2 * size).into_iter().enumerate().map(|(i, v)| if i % 5 == 0 { v % 6 } else { v }).collect();
        let n = 2 * size as usize - 1;
        let bound = 700;
        let got = run(source, "main", [2, 1, 1], &[x.clone(), vec![9; n], vec![bound]]);
        let clamped = |v: u32, i: u32| {
            if v < bound && i > 2 && !v.is_multiple_of(3) {
                return v;
            }
            if v > 1000 || i == 4 || v % (i + 1) == 1 { 7 } else { 0 }
        };
        let of = |i: usize| {
            let v = x[i];
            let first = i > 5 && v.is_multiple_of(2);
            let kept = first || v < 3;
            if v == 3 { 9 } else { clamped(v % 1500, i as u32) * 4 + u32::from(kept) + 2 * u32::from(first) }
        };
        assert_eq!(got[1], (0..n).map(of).collect::<Vec<_>>(), "workgroups of {size}");
    });
}

#[test]
fn bounds_hold_in_blocks_that_lie_partly_outside() {
    let source = "
        @group(0) @binding(0) var<storage, read> x: array<u32>;
        @group(0) @binding(1) var<storage, read_write> y: array<u32>;
        @compute @workgroup_size(SIZE)
        fn main(@builtin(global_invocation_id) id: vec3<u32>) {
            let i = id.x;
            y[i * 2u] = x[i + 3u] + x[i * 3u - 4u];
            if i % 64u < 11u { y[i * 2u + 1u] = x[i - 1u]; }
            if i < 7u { y[i * 2u + 1u] = x[i * 5u]; }
        }";
    each_size(source, |source, size| {
        let (x, n) = (noise(2 * size), 5 * size as usize / 2);
        let got = run(source, "main", [2, 1, 1], &[x.clone(), vec![1; n]]);
        let mut y = vec![1; n];
        let read = |i: u32| x.get(i as usize).copied().unwrap_or(0);
        let mut write = |i: u32, value: u32| {
            if let Some(y) = y.get_mut(i as usize) {
                *y = value;
            }
        };
        for i in 0..2 * size {
            write(2 * i, read(i + 3).wrapping_add(read((3 * i).wrapping_sub(4))));
        }
        for i in (0..2 * size).filter(|i| i % 64 < 11) {
            write(2 * i + 1, read(i.wrapping_sub(1)));
        }
        for i in 0..7 {
            write(2 * i + 1, read(5 * i));
        }
        assert_eq!(got[1], y, "workgroups of {size}");
    });
}

#[test]
fn laps_that_all_go_through_run_outside_of_blocks() {
    let source = "
        @group(0) @binding(0) var<storage, read> x: array<u32>;
        @group(0) @binding(1) var<storage, read_write> y: array<u32>;
        @group(0) @binding(2) var<storage, read_write> total: atomic<u32>;
        @group(0) @binding(3) var<uniform> laps: u32;
        var<workgroup> counts: array<atomic<u32>, 16>;
        @compute @workgroup_size(SIZE)
        fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
            let first = group.x * laps * SIZEu;
            for (var lap = 0u; lap < laps; lap += 1u) {
                let i = first + lap * SIZEu + lane;
                if lap > 4u && laps == 7u { break; }
                if i >= arrayLength(&x) { continue; }
                for (var inner = 0u; inner < lap % 3u; inner += 1u) {
                    y[i] += x[i] % 8u + inner;
                    if y[i] > 9u { break; }
                }
                atomicAdd(&counts[x[i] % 16u], 1u);
            }
            workgroupBarrier();
            if lane < 16u { atomicAdd(&total, atomicLoad(&counts[lane]) * (lane + 1u)); }
        }";
    each_size(source, |source, size| {
        for laps in [0, 1, 6, 7] {
            let x = noise((3 * laps * size).saturating_sub(3).max(1));
            let got = run(source, "main", [3, 1, 1], &[x.clone(), vec![0; x.len()], vec![0], vec![laps]]);
            let (mut y, mut total) = (vec![0; x.len()], 0_u32);
            for i in 0..x.len() as u32 {
                let lap = i / size % laps.max(1);
                if laps == 0 || laps == 7 && lap > 4 {
                    continue;
                }
                let (x, y) = (x[i as usize], &mut y[i as usize]);
                for inner in 0..lap % 3 {
                    *y += x % 8 + inner;
                    if *y > 9 {
                        break;
                    }
                }
                if x % 16 < size {
                    total = total.wrapping_add(x % 16 + 1);
                }
            }
            assert_eq!(got[1], y, "workgroups of {size}, {laps} laps");
            assert_eq!(got[2], [total], "workgroups of {size}, {laps} laps");
        }
    });
}

#[test]
fn laps_that_hand_on_values_or_part_stay_inside_of_blocks() {
    let source = "
        @group(0) @binding(0) var<storage, read> x: array<u32>;
        @group(0) @binding(1) var<storage, read_write> y: array<u32>;
        @compute @workgroup_size(SIZE)
        fn main(@builtin(local_invocation_index) lane: u32) {
            var sum = 0u;
            var turn = lane;
            for (var lap = 0u; lap < 5u; lap += 1u) {
                sum = sum * 2u + x[lap * SIZEu + lane];
                turn += lap;
            }
            for (var lap = 0u; lap < 5u; lap += 1u) {
                if x[lap * SIZEu + lane] % 4u == 0u { break; }
                sum += 1u;
            }
            y[lane] = sum + turn;
        }";
    each_size(source, |source, size| {
        let x = noise(5 * size);
        let got = run(source, "main", [1, 1, 1], &[x.clone(), vec![0; size as usize]]);
        let of = |lane: u32| {
            let own = (0..5).map(|lap| x[(lap * size + lane) as usize]);
            let sum = own.clone().fold(0_u32, |sum, x| sum.wrapping_mul(2).wrapping_add(x));
            let odd = own.take_while(|x| x % 4 != 0).count() as u32;
            sum.wrapping_add(odd).wrapping_add(lane + 10)
        };
        assert_eq!(got[1], (0..size).map(of).collect::<Vec<_>>(), "workgroups of {size}");
    });
}
