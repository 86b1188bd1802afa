//! The corpus, part six: what invocations keep that are not active, and code that only the first of a workgroup
//! run. Both engines run each kernel and must agree; what they agree on is compared with Rust.

mod common;

use common::run;

/// Workgroups that fill blocks of sixteen, that do not, and that are smaller than one.
const SIZES: [u32; 5] = [5, 8, 20, 37, 64];

#[test]
fn loops_keep_what_those_need_who_have_left_them() {
    let source = "
        @group(0) @binding(0) var<storage, read> x: array<u32>;
        @group(0) @binding(1) var<storage, read_write> y: array<u32>;
        @compute @workgroup_size(SIZE)
        fn main(@builtin(global_invocation_id) id: vec3<u32>) {
            let seed = x[id.x];
            // Nobody reads `own` who has left; `steps` everybody.
            var own = vec2(seed, seed + 1u);
            var steps = 0u;
            while own.x % 7u != 0u && steps < 20u {
                own = vec2(own.y * 5u + 3u, own.x);
                steps += 1u;
            }
            // The next lap of the loop around reads what was carried, not what begins anew.
            var carried = seed;
            var sum = 0u;
            for (var lap = 0u; lap < 3u; lap += 1u) {
                var fresh = seed % 13u;
                loop {
                    if (carried + fresh) % 5u == lap { break; }
                    carried = carried * 3u + 1u;
                    fresh += carried % 9u;
                    sum += 1u;
                    if sum > 40u { break; }
                }
            }
            // Who goes on to the next lap, or the other way, keeps what was there.
            var kept = seed;
            var other = seed;
            var rounds = 0u;
            loop {
                rounds += 1u;
                if (kept ^ other) % 11u == 3u || rounds > 9u { break; }
                if kept % 3u == 0u { other += 1u; } else { other = other * 7u; }
                for (var inner = 0u; inner < other % 4u; inner += 1u) { kept += 2u; }
                if other % 2u == 0u { if other % 5u < 2u { continue; } other += 3u; }
                kept = kept * 3u + 2u;
            }
            y[id.x] = steps + 100u * sum + 10000u * rounds;
        }";
    let of = |&seed: &u32| {
        let (mut own, mut steps) = ((seed, seed.wrapping_add(1)), 0);
        while !own.0.is_multiple_of(7) && steps < 20 {
            own = (own.1.wrapping_mul(5).wrapping_add(3), own.0);
            steps += 1;
        }
        let (mut carried, mut sum) = (seed, 0);
        for lap in 0..3 {
            let mut fresh = seed % 13;
            while carried.wrapping_add(fresh) % 5 != lap {
                carried = carried.wrapping_mul(3).wrapping_add(1);
                fresh += carried % 9;
                sum += 1;
                if sum > 40 {
                    break;
                }
            }
        }
        let (mut kept, mut other, mut rounds) = (seed, seed, 0);
        loop {
            rounds += 1;
            if (kept ^ other) % 11 == 3 || rounds > 9 {
                break;
            }
            other = if kept.is_multiple_of(3) { other.wrapping_add(1) } else { other.wrapping_mul(7) };
            kept = kept.wrapping_add(2 * (other % 4));
            if other.is_multiple_of(2) {
                if other % 5 < 2 {
                    continue;
                }
                other = other.wrapping_add(3);
            }
            kept = kept.wrapping_mul(3).wrapping_add(2);
        }
        steps + 100 * sum + 10000 * rounds
    };
    for size in SIZES {
        let x: Vec<u32> = (0..3 * size).map(|i| i.wrapping_mul(2_654_435_761) >> 9).collect();
        let got = run(&source.replace("SIZE", &size.to_string()), "main", [3, 1, 1], &[x.clone(), vec![0; x.len()]]);
        assert_eq!(got[1], x.iter().map(of).collect::<Vec<_>>(), "workgroups of {size}");
    }
}

#[test]
fn what_the_first_invocations_do_reaches_as_far_as_they_are_asked() {
    let source = "
        @group(0) @binding(0) var<storage, read> bounds: array<u32>;
        @group(0) @binding(1) var<storage, read_write> y: array<u32>;
        var<workgroup> tile: array<u32, SIZE>;
        @compute @workgroup_size(SIZE)
        fn main(@builtin(local_invocation_index) lane: u32) {
            tile[lane] = lane;
            workgroupBarrier();
            for (var i = 0u; i < arrayLength(&bounds); i += 1u) {
                let bound = bounds[i];
                // Asked for by all, behind what only the first do.
                let own = lane * lane + i;
                if lane < bound { tile[lane] = tile[lane] * 3u + i; }
                workgroupBarrier();
                if lane <= bound { tile[lane] = tile[lane] * 5u + own; }
                workgroupBarrier();
                if lane == bound { tile[lane] += 1u; }
                workgroupBarrier();
                if lane < bound { tile[lane] += 2u; } else { tile[lane] += 3u; }
                workgroupBarrier();
                tile[lane] += own;
            }
            if lane < 3u { tile[lane] += 7u; }
            y[lane] = tile[lane];
        }";
    for size in SIZES {
        let bounds = [0, 1, 4, 7, 8, 15, 16, 17, 33, size - 1, size, size + 1, 1 << 31, u32::MAX];
        let source = source.replace("SIZE", &size.to_string());
        let got = run(&source, "main", [1, 1, 1], &[bounds.to_vec(), vec![0; size as usize]]);
        let of = |lane: u32| {
            let mut own = lane;
            for (i, &bound) in (0..).zip(&bounds) {
                let more = lane * lane + i;
                if lane < bound {
                    own = own.wrapping_mul(3).wrapping_add(i);
                }
                if lane <= bound {
                    own = own.wrapping_mul(5).wrapping_add(more);
                }
                own = own.wrapping_add(u32::from(lane == bound));
                own = own.wrapping_add(if lane < bound { 2 } else { 3 }).wrapping_add(more);
            }
            own.wrapping_add(if lane < 3 { 7 } else { 0 })
        };
        assert_eq!(got[1], (0..size).map(of).collect::<Vec<_>>(), "workgroups of {size}");
    }
}
