//! `wharf run`: any WGSL file, every SPEC, and every way to name a binding wrongly.

use std::{fs, path::Path};

use crate::{documents::checked, done, files, folder, refused, wharf};

const SCALE: &str = "
    struct Params { n: u32, by: f32 }
    override offset: f32 = 0.0;
    @group(0) @binding(0) var<uniform> params: Params;
    @group(0) @binding(1) var<storage, read> x: array<f32>;
    @group(0) @binding(2) var<storage, read_write> y: array<f32>;
    @compute @workgroup_size(64)
    fn scale(@builtin(global_invocation_id) id: vec3<u32>) {
        if id.x < params.n { y[id.x] = params.by * x[id.x] + offset + y[id.x]; }
    }";

/// Args for a right run of [`SCALE`].
const RIGHT: [&str; 12] = [
    "run",
    "scale.wgsl",
    "--bind",
    "params=value:100,2",
    "--bind",
    "x=iota:f32:100",
    "--bind",
    "y=zeros:f32:100",
    "--groups",
    "2",
    "--set",
    "offset=1",
];

fn with_scale() -> tempfile::TempDir {
    let folder = folder();
    fs::write(folder.path().join("scale.wgsl"), SCALE).expect("written");
    folder
}

/// The devices to run on: the CPU device always, wgpu where it is there. `WHARF_REQUIRE=cpu,wgpu`
/// makes a missing one a failure.
pub(crate) fn devices(folder: &Path) -> Vec<&'static str> {
    let required = std::env::var("WHARF_REQUIRE").unwrap_or_default();
    let is_there = |device: &&str| {
        let ended = wharf(folder, &["batch", "q6", "--scale", "0", "--device", device]);
        if ended.code != Some(0) {
            assert!(!required.split(',').any(|name| name == *device), "{device} is required: {}", ended.stderr);
            eprintln!("SKIP {device}: {}", ended.stderr);
        }
        ended.code == Some(0)
    };
    ["cpu", "wgpu"].into_iter().filter(is_there).collect()
}

/// The `f32`s of a `.npy` file that is one-dimensional.
fn npy(path: &Path) -> Vec<f32> {
    let bytes = fs::read(path).expect("an output");
    let data = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    bytes[data..].chunks(4).map(|b| f32::from_le_bytes(b.try_into().expect("four"))).collect()
}

#[test]
fn a_kernel_runs_and_its_outputs_are_written_and_can_be_bound_again() {
    for device in devices(folder().path()) {
        let folder = with_scale();
        let at = folder.path();
        let more = ["--device", device, "--out", "y=y.npy", "--out", "x=x.bin", "--repeat", "3", "--json"];
        let document = checked("run", &crate::done(at, &[&RIGHT[..], &more].concat()));
        let expected: Vec<f32> = (0..100).map(|i| 2.0 * i as f32 + 1.0).collect();
        assert_eq!(npy(&at.join("y.npy")), expected, "--repeat restores the inputs");
        assert_eq!(fs::read(at.join("x.bin")).expect("written").len(), 400);
        assert_eq!(document["times"]["launch"]["samples"].as_array().expect("raw").len(), 3);
        let again = [
            "run",
            "scale.wgsl",
            "--device",
            device,
            "--groups",
            "2",
            "--bind",
            "params=value:100,1",
            "--bind",
            "x=y.npy",
            "--bind",
            "y=x.bin",
            "--out",
            "y=z.npy",
        ];
        let text = crate::done(at, &again);
        assert!(text.contains("launch") && text.contains("z.npy"), "{text}");
        let expected: Vec<f32> = (0..100).map(|i| 3.0 * i as f32 + 1.0).collect();
        assert_eq!(npy(&at.join("z.npy")), expected);
    }
}

#[test]
fn the_first_values_of_what_a_kernel_writes_are_printed() {
    for device in devices(folder().path()) {
        let folder = with_scale();
        let at = folder.path();
        let args = |more: &[&'static str]| [&RIGHT[..], &["--device", device, "--repeat", "2"], more].concat();
        let text = crate::done(at, &args(&["--print", "3"]));
        let printed: Vec<_> = text.lines().filter(|line| line.contains(" = ")).collect();
        assert_eq!(printed, ["y = 1.0, 3.0, 5.0, ... (3 of 100)"], "{device}: x and params are not written");
        let document = checked("run", &crate::done(at, &args(&["--print", "18446744073709551615", "--json"])));
        let expected: Vec<f64> = (0..100).map(|i| f64::from(i) * 2.0 + 1.0).collect();
        let printed = serde_json::json!([{ "name": "y", "type": "array<f32>", "of": 100, "values": expected }]);
        assert_eq!(document["printed"], printed);
        let document = checked("run", &crate::done(at, &args(&["--json"])));
        assert_eq!(document["printed"], serde_json::json!([]), "nobody asked");
        assert_eq!(files(at), ["scale.wgsl"]);
    }
    let folder = with_scale();
    refused(folder.path(), 2, &[&RIGHT[..], &["--print", "0"]].concat(), &["--print", "a whole number from 1"]);
    let reads =
        "@group(0) @binding(0) var<storage, read> x: array<f32>; @compute @workgroup_size(1) fn f() { let y = x[0]; }";
    fs::write(folder.path().join("reads.wgsl"), reads).expect("written");
    let args = ["run", "reads.wgsl", "--bind", "x=iota:f32:4", "--print", "1"];
    refused(folder.path(), 2, &args, &["--print", "writes no binding"]);
}

#[test]
fn vectors_travel_without_their_padding_and_atomics_as_integers() {
    for device in devices(folder().path()) {
        let folder = folder();
        let at = folder.path();
        let wgsl = "
            @group(0) @binding(0) var<storage, read> a: array<vec3<u32>>;
            @group(0) @binding(1) var<storage, read_write> b: array<vec3<u32>>;
            @group(0) @binding(2) var<storage, read_write> c: atomic<u32>;
            @compute @workgroup_size(4)
            fn turn(@builtin(local_invocation_index) i: u32) { b[i] = a[i].zyx; atomicAdd(&c, a[i].x); }";
        fs::write(at.join("turn.wgsl"), wgsl).expect("written");
        let args = [
            "run",
            "turn.wgsl",
            "--device",
            device,
            "--bind",
            "a=iota:vec3<u32>:4",
            "--bind",
            "b=fresh:vec3<u32>:4",
            "--bind",
            "c=value:100",
            "--out",
            "b=b.npy",
            "--out",
            "c=c.npy",
        ];
        crate::done(at, &args);
        let b = fs::read(at.join("b.npy")).expect("an output");
        let header = String::from_utf8_lossy(&b[10..]).into_owned();
        assert!(header.contains("'<u4'") && header.contains("(4, 3)"), "{header}");
        let words = |file: &[u8], n: usize| -> Vec<u32> {
            file[file.len() - 4 * n..].chunks(4).map(|w| u32::from_le_bytes(w.try_into().expect("four"))).collect()
        };
        assert_eq!(words(&b, 12), [2, 1, 0, 5, 4, 3, 8, 7, 6, 11, 10, 9]);
        let c = fs::read(at.join("c.npy")).expect("an output");
        assert!(String::from_utf8_lossy(&c[10..]).contains("'shape': ()"));
        assert_eq!(words(&c, 1), [118]);
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_in_a_long_kernel_ends_with_130_and_leaves_no_file() {
    let folder = folder();
    let at = folder.path();
    let wgsl = "
        @group(0) @binding(0) var<storage, read_write> o: array<u32>;
        @compute @workgroup_size(1)
        fn long() { for (var i = 0u; i < 4000000000u; i++) { o[0] = o[0] * 3u + i; } }";
    fs::write(at.join("long.wgsl"), wgsl).expect("written");
    let args = ["run", "long.wgsl", "--bind", "o=zeros:u32:1", "--groups", "1000", "--out", "o=o.bin"];
    let ended = crate::interrupts::interrupted(at, &args);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(130), "wharf: interrupted\n"), "{ended:?}");
    assert_eq!(files(at), ["long.wgsl"]);
}

#[test]
fn wgsl_that_does_not_parse_is_named_with_line_and_column() {
    let folder = folder();
    let at = folder.path();
    refused(at, 2, &["run", "no.wgsl"], &["no.wgsl", "No such file"]);
    fs::write(at.join("bad.wgsl"), "fn a() {}\nfn main( {}").expect("written");
    refused(at, 2, &["run", "bad.wgsl"], &["bad.wgsl:2:"]);
    fs::write(at.join("bytes.wgsl"), [0xff, 0xfe, 0]).expect("written");
    refused(at, 2, &["run", "bytes.wgsl"], &["bytes.wgsl"]);
    fs::write(at.join("two.wgsl"), "@compute @workgroup_size(1) fn a() {} @compute @workgroup_size(1) fn b() {}")
        .expect("written");
    refused(at, 2, &["run", "two.wgsl"], &["two.wgsl", "a, b", "--entry"]);
    refused(at, 2, &["run", "two.wgsl", "--entry", "a", "--set", "@1=1"], &["no override `@1`", "the kernel has none"]);
    refused(at, 2, &["run", "two.wgsl", "--entry", "c"], &["`c`", "a, b"]);
    fs::write(at.join("none.wgsl"), "fn a() {}").expect("written");
    refused(at, 2, &["run", "none.wgsl"], &["none.wgsl", "entry point"]);
}

#[test]
fn a_kernel_that_fails_is_named_with_file_line_and_column() {
    let folder = folder();
    let wgsl = "@group(0) @binding(0) var<storage, read_write> x: array<u32>;
        @compute @workgroup_size(4)
        fn half(@builtin(local_invocation_index) i: u32) { if x[i] == 0u { workgroupBarrier(); } }";
    fs::write(folder.path().join("half.wgsl"), wgsl).expect("written");
    let args = ["run", "half.wgsl", "--bind", "x=iota:u32:4"];
    refused(folder.path(), 3, &args, &["wharf: half.wgsl:3:", "only 1 of 4 invocations"]);
}

#[test]
fn bindings_that_do_not_match_are_2() {
    let folder = with_scale();
    let at = folder.path();
    let with = |more: &[&'static str]| [&RIGHT[..], more].concat();
    let without = |name: &str| {
        let at = RIGHT.iter().position(|arg| arg.starts_with(name)).expect("there");
        [&RIGHT[..at - 1], &RIGHT[at + 1..]].concat()
    };
    refused(at, 2, &without("x="), &["`x`", "array<f32>", "missing"]);
    refused(at, 2, &without("params="), &["`params`", "missing"]);
    refused(at, 2, &with(&["--bind", "z=zeros:f32:1"]), &["`z`", "params, x, y"]);
    refused(at, 2, &with(&["--bind", "x=zeros:f32:1"]), &["`x`", "twice"]);
    refused(at, 2, &with(&["--bind", "x"]), &["NAME=SPEC"]);
    let x = |spec: &'static str| [&without("x=")[..], &["--bind", spec]].concat();
    refused(at, 2, &x("x=zeros:u32:100"), &["`x`", "array<f32>", "u32"]);
    refused(at, 2, &x("x=zeros:f32:0"), &["`x`", "at least 4 bytes"]);
    refused(at, 2, &x("x=zeros:f32:999999999999"), &["`x`", "over the device's limit"]);
    refused(at, 2, &x("x=iota:f32:4000000000"), &["bytes"]);
    refused(at, 2, &x("x=zeros:f99:1"), &["f99", "TYPE"]);
    refused(at, 2, &x("x=no.npy"), &["no.npy", "No such file"]);
    refused(at, 2, &x("x=value:1,two"), &["two", "x[1]"]);
    refused(at, 2, &x("x=data.csv"), &["data.csv", "SPEC"]);
    refused(at, 2, &x("x=value:1,1e40"), &["`1e40` is out of the range of f32", "x[1]"]);
    fs::write(at.join("short.npy"), b"\x93NUMPY\x01\0").expect("written");
    refused(at, 2, &x("x=short.npy"), &["short.npy", "truncated"]);
    fs::write(at.join("odd.bin"), [0; 6]).expect("written");
    refused(at, 2, &x("x=odd.bin"), &["`x`", "6 bytes"]);
}

#[test]
fn overrides_and_groups_that_do_not_match_are_2() {
    let folder = with_scale();
    let at = folder.path();
    let with = |more: &[&'static str]| [&RIGHT[..], more].concat();
    refused(at, 2, &with(&["--set", "size=1"]), &["`size`", "offset"]);
    refused(at, 2, &with(&["--set", "offset=2"]), &["offset", "twice"]);
    refused(at, 2, &with(&["--set", "size=1"]), &["there is no override `size`, there is: offset"]);
    let set = |set: &'static str| [&RIGHT[..10], &["--set", set]].concat();
    refused(at, 2, &set("offset=much"), &["--set offset: `much` is no f32"]);
    refused(at, 2, &set("offset=1e99"), &["--set offset: `1e99` is out of the range of f32"]);
    let groups = |groups: &'static str| {
        let mut args = RIGHT.to_vec();
        args[9] = groups;
        args
    };
    refused(at, 2, &groups("1,2,3,4"), &["--groups"]);
    refused(at, 2, &groups("many"), &["--groups"]);
    refused(at, 2, &groups("-1"), &["--groups `-1`", "whole numbers"]);
    refused(at, 2, &groups("4294967296"), &["--groups"]);
    let all = &groups("4294967295,4294967295,4294967295");
    refused(at, 2, all, &["--groups 4294967295,", "2^64 - 1", "max_workgroups_per_dimension of 4294967295"]);
    refused(at, 2, &with(&["--repeat", "0"]), &["--repeat"]);
    refused(at, 2, &with(&["--device", "abacus"]), &["abacus"]);
}

#[test]
fn an_output_that_cannot_be_written_leaves_nothing_behind() {
    let folder = with_scale();
    let at = folder.path();
    let before = files(at);
    let with = |more: &[&'static str]| [&RIGHT[..], more].concat();
    refused(at, 2, &with(&["--out", "y=no/y.npy"]), &["no/y.npy", "folder"]);
    refused(at, 2, &with(&["--out", "y=y.csv"]), &["y.csv", ".npy"]);
    refused(at, 2, &with(&["--out", "y=."]), &["--out"]);
    refused(at, 2, &with(&["--out", "params=p.bin"]), &["params", "uniform"]);
    refused(at, 2, &with(&["--out", "z=z.bin"]), &["`z`"]);
    refused(at, 2, &with(&["--out", "y=a.bin", "--out", "x=a.bin"]), &["a.bin", "twice"]);
    refused(at, 2, &with(&["--out", "y=a.bin", "--out", "x=./a.bin"]), &["a.bin", "twice"]);
    let traced = [&["trace", "./a.bin", "--"], &with(&["--out", "x=a.bin"])[..]].concat();
    refused(at, 2, &traced, &["a.bin", "twice"]);
    assert_eq!(files(at), before);
}

#[test]
fn the_form_that_is_asked_for_runs() {
    let folder = with_scale();
    let with = |more: &[&'static str]| [&RIGHT[..], more].concat();
    let text = done(folder.path(), &with(&["--twin", "simt"]));
    assert!(text.contains(", simt ") && text.contains(": forced, "), "{text}");
    refused(folder.path(), 2, &with(&["--twin", "native"]), &["scale.wgsl", "no native twin"]);
    refused(folder.path(), 2, &with(&["--twin", "gpu"]), &["--twin", "native", "simt"]);
    if devices(folder.path()).contains(&"wgpu") {
        let args = with(&["--twin", "simt", "--device", "wgpu"]);
        refused(folder.path(), 2, &args, &["--twin is for the device cpu", "wgpu:0"]);
    }
}
