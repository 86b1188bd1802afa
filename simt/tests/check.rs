//! The checker: planted faults are found and named, correct kernels are not troubled.

mod common;

use common::{Buffer, compile, floats};
use wharf_simt::{Budget, Engine, Finding, Invocation, Kind, Location, Memory, Severity};

fn check(wgsl: &str, entry: &str, set: &[(&str, f64)], groups: [u32; 3], buffers: &[Vec<u32>]) -> Vec<Finding> {
    let program = compile(wgsl, entry, set, Engine::default());
    let buffers: Vec<Buffer> = buffers.iter().map(|content| Buffer::new(content)).collect();
    let args: Vec<Memory<'_>> = buffers.iter().map(Buffer::memory).collect();
    program.check(groups, &args, Budget { max_steps: 100_000 }).unwrap()
}

/// A tree reduction with marks where faults are planted.
const REDUCE: &str = "
@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;
var<workgroup> tile: array<f32, 64>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) i: u32, @builtin(workgroup_id) group: vec3<u32>) {
    tile[i] = 0.0;
    if id.x < arrayLength(&input) { tile[i] = input[id.x]; }
    workgroupBarrier(); // first
    for (var step = 32u; step > 0u; step /= 2u) {
        if i < step { tile[i] += tile[i + step]; }
        workgroupBarrier(); // second
    }
    if i == 0u { sums[group.x] = tile[0]; }
}";

fn reduce(change: impl Fn(&str) -> String) -> Vec<Finding> {
    let input: Vec<f32> = (0..100).map(|i| i as f32).collect();
    check(&change(REDUCE), "main", &[], [2, 1, 1], &[floats(&input), vec![0; 2]])
}

fn only(findings: Vec<Finding>) -> Finding {
    assert_eq!(findings.len(), 1, "{findings:#?}");
    findings.into_iter().next().unwrap()
}

#[test]
fn correct_kernels_have_no_findings() {
    assert_eq!(reduce(str::to_owned), []);
    let atomics = include_str!("corpus/atomics.wgsl");
    let buffers = [vec![0; 10], vec![0; 48], vec![0; 10]];
    let found = check(atomics, "main", &[], [3, 1, 1], &buffers);
    // Its workgroup counters start from WGSL's zeros.
    assert!(found.iter().all(|found| found.severity == Severity::Portability), "{found:#?}");
    assert!(!found.is_empty());
    let control = include_str!("corpus/control.wgsl");
    assert_eq!(check(control, "main", &[], [2, 1, 1], &[vec![0; 384]]), []);
    assert_eq!(check(control, "returns", &[], [1, 1, 1], &[vec![0; 8]]), []);
    let subgroups = include_str!("corpus/subgroups.wgsl");
    assert_eq!(check(subgroups, "main", &[], [1, 1, 1], &[vec![0; 1280]]), []);
    let half = include_str!("corpus/half.wgsl");
    let buffers = [vec![0; 4], vec![0; 32], vec![0; 6], vec![0; 8]];
    assert_eq!(check(half, "main", &[], [1, 1, 1], &buffers), []);
}

#[test]
fn each_missing_barrier_is_a_race() {
    for barrier in ["    workgroupBarrier(); // first", "        workgroupBarrier(); // second"] {
        let found = reduce(|wgsl| wgsl.replace(barrier, ""));
        assert!(!found.is_empty(), "{barrier}");
        assert!(found.iter().all(|found| found.kind == Kind::Race), "{found:#?}");
        assert!(found.iter().all(|found| found.severity == Severity::Error));
        assert!(found[0].address.as_ref().unwrap().starts_with("tile["), "{found:#?}");
        assert!(found[0].fix.starts_with("Put workgroupBarrier()"));
    }
}

#[test]
fn a_race_names_both_accesses_and_both_invocations() {
    let wgsl = "var<workgroup> tile: array<u32, 4>;
@group(0) @binding(0) var<storage, read_write> out: array<u32>;
@compute @workgroup_size(4)
fn main(@builtin(local_invocation_index) i: u32) {
    tile[i] = i;
    out[i] = tile[(i + 1u) % 4u];
}";
    let found = only(check(wgsl, "main", &[], [1, 1, 1], &[vec![0; 4]]));
    assert_eq!((found.kind, found.count), (Kind::Race, 4));
    assert_eq!(found.at.map(|at| at.line), Some(6));
    assert_eq!(found.other.map(|at| at.line), Some(5));
    let local = |x| Invocation { workgroup: [0, 0, 0], local: [x, 0, 0] };
    assert_eq!(found.invocations, [local(0), local(1)]);
    assert_eq!(found.address.as_deref(), Some("tile[1]"));
    let text = found.to_string();
    assert!(text.contains("reads tile[1], which another invocation accesses without order"), "{text}");
}

#[test]
fn the_wrong_barrier_orders_nothing() {
    let found = reduce(|wgsl| wgsl.replace("workgroupBarrier(); // second", "storageBarrier();"));
    assert!(found.iter().any(|found| found.kind == Kind::Race && found.fix.contains("storageBarrier() does not")));
    let wgsl = "@group(0) @binding(0) var<storage, read_write> data: array<u32>;
@compute @workgroup_size(4)
fn main(@builtin(local_invocation_index) i: u32) {
    data[i] = i;
    workgroupBarrier();
    data[i + 4u] = data[3u - i];
}";
    let found = only(check(wgsl, "main", &[], [1, 1, 1], &[vec![0; 8]]));
    assert_eq!(found.kind, Kind::Race);
    assert!(found.fix.starts_with("Put storageBarrier()"), "{}", found.fix);
    let right = wgsl.replace("workgroupBarrier", "storageBarrier");
    assert_eq!(check(&right, "main", &[], [1, 1, 1], &[vec![0; 8]]), []);
}

#[test]
fn workgroups_race_with_each_other() {
    let wgsl = "struct S { total: u32, list: array<u32> }
@group(0) @binding(0) var<storage, read_write> data: S;
@compute @workgroup_size(2)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    data.list[id.x] = id.x;
    if id.x % 2u == 0u { data.total += 1u; }
}";
    let found = check(wgsl, "main", &[], [3, 1, 1], &[vec![0; 8]]);
    assert!(found.iter().all(|found| found.kind == Kind::Race), "{found:#?}");
    assert_eq!(found[0].address.as_deref(), Some("data.total"));
    assert_eq!(found[0].invocations[0].workgroup, [1, 0, 0]);
    assert_eq!(found[0].invocations[1].workgroup, [0, 0, 0]);
    assert!(found[0].fix.contains("atomics"));
    assert_eq!(check(wgsl, "main", &[], [1, 1, 1], &[vec![0; 8]]), []);
}

#[test]
fn a_divergent_barrier_is_found_with_one_who_came_and_one_who_did_not() {
    let wgsl = include_str!("corpus/workgroup.wgsl");
    let input = floats(&[0., 1., 2., 3., 4., 5., 6., 7.]);
    let found = only(check(wgsl, "wrong", &[], [1, 1, 1], &[input, vec![0; 8]]));
    assert_eq!((found.kind, found.severity), (Kind::Divergence, Severity::Error));
    let locals: Vec<u32> = found.invocations.iter().map(|who| who.local[0]).collect();
    assert_eq!(locals, [4, 0]);
    assert_eq!(found.at.map(|at| at.column), Some(9));
}

#[test]
fn an_index_out_of_bounds_is_found_where_it_is_used() {
    let wgsl = "@group(0) @binding(0) var<storage, read_write> data: array<vec2<f32>>;
var<workgroup> tile: array<array<u32, 3>, 2>;
@compute @workgroup_size(4)
fn main(@builtin(local_invocation_index) i: u32) {
    data[i + 1u].y = 1.0;
    let row = i32(i) - 1;
    tile[1][row] = 2u;
}";
    let found = check(wgsl, "main", &[], [1, 1, 1], &[vec![0; 8]]);
    let seen: Vec<_> =
        found.iter().map(|f| (f.kind, f.at.unwrap().line, f.address.as_deref().unwrap(), f.count)).collect();
    assert_eq!(seen, [(Kind::Bounds, 5, "data[4]", 1), (Kind::Bounds, 7, "tile[1][-1]", 1)]);
    assert_eq!(found[0].invocations[0].local, [3, 0, 0]);
    assert!(found[0].message.contains("beyond its 4 elements"), "{}", found[0].message);
}

#[test]
fn an_index_out_of_bounds_is_named_with_all_around_it() {
    let wgsl = "struct Cell { n: u32, at: vec3<f32>, grid: array<array<u32, 4>, 4> }
@group(0) @binding(0) var<storage, read_write> cells: array<Cell>;
var<private> own: array<mat2x3<f32>, 2>;
@compute @workgroup_size(1)
fn main(@builtin(num_workgroups) one: vec3<u32>) {
    cells[one.x].grid[one.x + 1u][one.x * 9u] = 1u;
    cells[one.x].grid[one.x + 4u][one.x + 9u] = 1u;
    cells[one.x].at[one.x + 2u] = 1.0;
    cells[one.x + 4u].grid[0][1] = 1u;
    own[one.x][one.x][one.x * 7u] = 1.0;
}";
    let found = check(wgsl, "main", &[], [1, 1, 1], &[vec![0; 2 * 24]]);
    let seen: Vec<_> = found.iter().map(|f| f.address.as_deref().unwrap()).collect();
    assert_eq!(seen, ["cells[1].grid[2][9]", "cells[1].grid[5]", "cells[1].at[3]", "cells[5]", "own[1][1][7]"]);
}

#[test]
fn an_index_that_nobody_uses_is_no_finding() {
    let wgsl = "@group(0) @binding(0) var<storage, read_write> data: array<u32>;
@compute @workgroup_size(4)
fn main(@builtin(local_invocation_index) i: u32) {
    let p = &data[i];
    if i < arrayLength(&data) { *p = i; }
}";
    assert_eq!(check(wgsl, "main", &[], [1, 1, 1], &[vec![0; 2]]), []);
}

#[test]
fn memory_that_was_never_written_is_a_matter_of_portability() {
    let found = reduce(|wgsl| wgsl.replace("    tile[i] = 0.0;\n", ""));
    let found = only(found);
    assert_eq!((found.kind, found.severity), (Kind::Uninitialised, Severity::Portability));
    assert!(found.address.unwrap().starts_with("tile["));

    let wgsl = "@group(0) @binding(0) var<storage, read_write> data: array<u32>;
@compute @workgroup_size(2)
fn main(@builtin(local_invocation_index) i: u32) { data[i] += 1u; data[i] += 1u; }";
    let program = compile(wgsl, "main", &[], Engine::default());
    let buffer = Buffer::new(&[0; 2]);
    let budget = Budget::default();
    assert_eq!(program.check([1, 1, 1], &[buffer.memory()], budget).unwrap(), []);
    let found = only(program.check([1, 1, 1], &[buffer.memory().fresh()], budget).unwrap());
    assert_eq!((found.kind, found.count), (Kind::Uninitialised, 2));
    assert_eq!(found.at, Some(Location { line: 3, column: 52 }));
}

#[test]
fn an_endless_loop_uses_up_its_steps() {
    let wgsl = include_str!("corpus/workgroup.wgsl");
    let found = check(wgsl, "endless", &[], [1, 1, 1], &[vec![0; 8]]);
    assert_eq!(found[0].kind, Kind::Budget, "{found:#?}");
    let line = wgsl.lines().position(|line| line.contains("loop { i++")).unwrap() as u32 + 1;
    assert_eq!(found[0].at.map(|at| at.line), Some(line));
}

#[test]
fn every_invocation_has_its_own_budget() {
    // 64 invocations of 100 rounds each, none of them at the same time as another.
    let wgsl = "@group(0) @binding(0) var<storage, read_write> data: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) i: u32) {
    for (var turn = 0u; turn < 64u; turn++) {
        if turn == i { for (var k = 0u; k < 100u; k++) { data[i] += k; } }
    }
}";
    let program = compile(wgsl, "main", &[], Engine::default());
    let buffer = Buffer::new(&[0; 64]);
    let check = |max_steps| program.check([1, 1, 1], &[buffer.memory()], Budget { max_steps }).unwrap();
    assert_eq!(check(5_000), []);
    assert_eq!(only(check(500)).kind, Kind::Budget);
}

#[test]
fn two_bindings_of_one_buffer_are_one_memory() {
    let wgsl = "@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read_write> to: array<u32>;
@compute @workgroup_size(4)
fn main(@builtin(local_invocation_index) i: u32) { to[i] = source[(i + 1u) % 4u]; }";
    let program = compile(wgsl, "main", &[], Engine::default());
    let (a, b) = (Buffer::new(&[0; 4]), Buffer::new(&[0; 4]));
    let check = |from: &Buffer, to: &Buffer| {
        program.check([1, 1, 1], &[from.memory(), to.memory()], Budget::default()).unwrap()
    };
    assert_eq!(check(&a, &b), []);
    assert_eq!(only(check(&a, &a)).kind, Kind::Race);
}

#[test]
fn a_counter_is_not_reset_or_read_while_others_count() {
    let wgsl = |reset: &str, read: &str| {
        format!(
            "@group(0) @binding(0) var<storage, read_write> data: array<u32>;
var<workgroup> count: atomic<u32>;
@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) i: u32) {{
    if i == 3u {{ atomicStore(&count, 0u); }}
    {reset}
    atomicAdd(&count, 1u);
    {read}
    data[i] = atomicLoad(&count);
}}"
        )
    };
    let barrier = "workgroupBarrier();";
    let check = |reset, read| check(&wgsl(reset, read), "main", &[], [1, 1, 1], &[vec![0; 64]]);
    assert_eq!(check(barrier, barrier), []);
    let found = only(check("", barrier));
    assert_eq!((found.kind, found.severity), (Kind::Race, Severity::Error));
    assert_eq!((found.at.unwrap().line, found.other.unwrap().line), (7, 5));
    let found = only(check(barrier, ""));
    assert_eq!((found.kind, found.severity), (Kind::Race, Severity::Portability));
}

#[test]
fn a_checked_run_computes_what_a_plain_one_does() {
    let program = compile(REDUCE, "main", &[], Engine::default());
    let input: Vec<f32> = (0..128).map(|i| i as f32).collect();
    let (input, sums) = (Buffer::new(&floats(&input)), Buffer::new(&[0; 2]));
    program.check([2, 1, 1], &[input.memory(), sums.memory()], Budget::default()).unwrap();
    assert_eq!(common::as_floats(&sums.content()), [2016.0, 6112.0]);
}

#[test]
fn a_subgroup_barrier_orders_the_invocations_of_a_subgroup_and_no_others() {
    let wgsl = |reads: &str| {
        format!(
            "var<workgroup> tile: array<u32, 64>;
             @group(0) @binding(0) var<storage, read_write> out: array<u32>;
             @compute @workgroup_size(64)
             fn main(@builtin(local_invocation_index) i: u32) {{
                 tile[i] = i;
                 out[i] = i;
                 subgroupBarrier();
                 out[64u + i] = tile[{reads}] + out[{reads}];
                 subgroupBarrier();
                 tile[i] = 7u;
             }}"
        )
    };
    let own = check(&wgsl("i ^ 1u"), "main", &[], [1, 1, 1], &[vec![0; 128]]);
    assert_eq!(own, []);
    let others = check(&wgsl("i ^ 16u"), "main", &[], [1, 1, 1], &[vec![0; 128]]);
    let mut raced: Vec<_> = others.iter().filter_map(|found| found.address.as_deref()?.split('[').next()).collect();
    raced.sort_unstable();
    raced.dedup();
    assert_eq!(raced, ["out", "tile"], "{others:#?}");
    assert!(others.iter().all(|found| found.kind == Kind::Race), "{others:#?}");
}
