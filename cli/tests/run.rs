//! `wharf run`: any WGSL file, every SPEC, and every way to name a binding wrongly.

use std::{fs, path::Path};

use crate::{documents::checked, files, folder, refused, wharf};

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

/// A device that runs any WGSL, if this machine has one: the CPU device with its engine, or wgpu.
fn device(folder: &Path) -> Option<&'static str> {
    let wgsl = "@group(0) @binding(0) var<storage, read_write> o: array<u32>;
                @compute @workgroup_size(1) fn one() { o[0] = 1u; }";
    fs::write(folder.join("one.wgsl"), wgsl).expect("written");
    let runs = |device: &&str| {
        wharf(folder, &["run", "one.wgsl", "--device", device, "--bind", "o=zeros:u32:1"]).code == Some(0)
    };
    let found = ["cpu", "wgpu"].into_iter().find(runs);
    if found.is_none() {
        eprintln!("SKIP: no device of this machine runs any WGSL");
    }
    found
}

/// The `f32`s of a `.npy` file that is one-dimensional.
fn npy(path: &Path) -> Vec<f32> {
    let bytes = fs::read(path).expect("an output");
    let data = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    bytes[data..].chunks(4).map(|b| f32::from_le_bytes(b.try_into().expect("four"))).collect()
}

#[test]
fn a_kernel_runs_and_its_outputs_are_written() {
    let folder = with_scale();
    let at = folder.path();
    let Some(device) = device(at) else { return };
    let more = ["--device", device, "--out", "y=y.npy", "--out", "x=x.bin", "--repeat", "3", "--json"];
    let document = checked("run", &crate::done(at, &[&RIGHT[..], &more].concat()));
    let expected: Vec<f32> = (0..100).map(|i| 2.0 * i as f32 + 1.0).collect();
    assert_eq!(npy(&at.join("y.npy")), expected, "--repeat restores the inputs");
    assert_eq!(fs::read(at.join("x.bin")).expect("written").len(), 400);
    assert_eq!(document["times"]["launch"]["samples"].as_array().expect("raw").len(), 3);
    // What was written can be bound.
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
    crate::done(at, &again);
    let expected: Vec<f32> = (0..100).map(|i| 3.0 * i as f32 + 1.0).collect();
    assert_eq!(npy(&at.join("z.npy")), expected);
}

#[test]
fn a_kernel_that_no_device_can_run_is_said_in_a_line() {
    let folder = with_scale();
    let ended = wharf(folder.path(), &[&RIGHT[..], &["--device", "cpu"]].concat());
    match ended.code {
        Some(0) => {}
        code => {
            assert_eq!(code, Some(2), "{ended:?}");
            assert!(ended.stderr.contains("cannot run on cpu") && ended.stderr.lines().count() == 1, "{ended:?}");
        }
    }
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
    refused(at, 2, &["run", "two.wgsl"], &["two.wgsl", "a, b"]);
    refused(at, 2, &["run", "two.wgsl", "--entry", "c"], &["`c`", "a, b"]);
    fs::write(at.join("none.wgsl"), "fn a() {}").expect("written");
    refused(at, 2, &["run", "none.wgsl"], &["none.wgsl", "entry point"]);
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
    refused(at, 2, &with(&["--set", "offset=much"]), &["much", "f32"]);
    let groups = |groups: &'static str| {
        let mut args = RIGHT.to_vec();
        args[9] = groups;
        args
    };
    refused(at, 2, &groups("1,2,3,4"), &["--groups"]);
    refused(at, 2, &groups("many"), &["--groups"]);
    refused(at, 2, &groups("4294967296"), &["--groups"]);
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
    assert_eq!(files(at), before);
}
