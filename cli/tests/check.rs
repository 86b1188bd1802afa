//! `wharf check`: what it finds, how it says so, and its exit code.

use crate::{documents::checked, done, folder, refused, wharf};

/// Without the barrier between its two accesses, every invocation reads what another writes.
const RACE: &str = "
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
var<workgroup> tile: array<u32, 64>;
@compute @workgroup_size(64)
fn turn(@builtin(local_invocation_index) i: u32) {
    tile[i] = x[i];
    workgroupBarrier();
    x[i] = tile[63u - i];
}";

#[test]
fn a_missing_barrier_is_a_race_with_its_place_and_exit_code_1() {
    let folder = folder();
    let broken = RACE.replace("    workgroupBarrier();\n", "");
    assert_ne!(broken, RACE);
    std::fs::write(folder.path().join("good.wgsl"), RACE).expect("written");
    std::fs::write(folder.path().join("bad.wgsl"), broken).expect("written");
    let args = |file| ["check", file, "--bind", "x=iota:u32:64", "--json"];

    let good = checked("check", &done(folder.path(), &args("good.wgsl")));
    assert_eq!(good["findings"].as_array().map(Vec::len), Some(0));
    let told = |args: &[&str]| {
        let ended = wharf(folder.path(), args);
        assert_eq!((ended.code, ended.stdout.is_empty()), (Some(0), !args.contains(&"--json")), "{ended:?}");
        ended.stderr
    };
    assert_eq!(told(&args("good.wgsl")), "", "the document says it");
    assert_eq!(told(&args("good.wgsl")[..4]), "wharf: no findings: 64 invocations in 1 workgroup\n");
    let nothing = [&args("good.wgsl")[..4], &["--groups", "0"]].concat();
    assert_eq!(told(&nothing), "wharf: no findings: 0 invocations in 0 workgroups\n");

    let ended = wharf(folder.path(), &args("bad.wgsl"));
    assert_eq!((ended.code, ended.stderr.lines().count()), (Some(1), 1), "{ended:?}");
    let bad = checked("check", &ended.stdout);
    let found = &bad["findings"][0];
    assert_eq!((&found["kind"], &found["severity"]), (&"race".into(), &"error".into()));
    assert_eq!((&found["line"], &found["other_line"]), (&7.into(), &6.into()));
    assert!(found["address"].as_str().is_some_and(|at| at.starts_with("tile[")), "{found}");
}

#[test]
fn relying_on_zeroes_is_portability_and_fails_only_where_strict() {
    let folder = folder();
    let reads = "@group(0) @binding(0) var<storage, read_write> x: array<u32>;
        @compute @workgroup_size(1) fn add() { x[0] += 1u; }";
    std::fs::write(folder.path().join("add.wgsl"), reads).expect("written");
    let args = ["check", "add.wgsl", "--bind", "x=fresh:u32:4"];
    let text = done(folder.path(), &args);
    assert!(text.starts_with("add.wgsl:2:") && text.contains("uninitialised (portability)"), "{text}");
    assert_eq!(wharf(folder.path(), &args).stderr, "", "something was found");
    let strict = wharf(folder.path(), &[&args[..], &["--strict"]].concat());
    assert_eq!(strict.code, Some(1));
}

#[test]
fn an_endless_loop_ends_and_is_reported() {
    let folder = folder();
    let endless = "@group(0) @binding(0) var<storage, read_write> x: array<u32>;
        @compute @workgroup_size(1) fn spin() { loop { x[0] += 1u; if x[0] == 0u { break; } } }";
    std::fs::write(folder.path().join("spin.wgsl"), endless).expect("written");
    let ended = wharf(folder.path(), &["check", "spin.wgsl", "--bind", "x=zeros:u32:1", "--max-steps", "10000"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stdout.contains("budget (error)"), "{}", ended.stdout);
}

#[test]
fn bad_input_is_2() {
    let folder = folder();
    refused(folder.path(), 2, &["check", "nowhere.wgsl"], &["nowhere.wgsl"]);
    std::fs::write(folder.path().join("bad.wgsl"), "fn {").expect("written");
    refused(folder.path(), 2, &["check", "bad.wgsl"], &["bad.wgsl:1:4"]);
    refused(folder.path(), 2, &["check", "bad.wgsl", "--max-steps", "0"], &["--max-steps"]);
}
