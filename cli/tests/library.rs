//! `wharf run` and `wharf check` with kernels of the library by name, and how much of the data a kernel is run over.

use std::fs;

use crate::{documents::checked, done, folder, refused, run::devices, wharf};

/// Args for saxpy over 5000 elements, which is five workgroups of the kernel's own grid.
const SAXPY: [&str; 7] =
    ["saxpy", "--bind", "x=iota:f32:5000", "--bind", "y=zeros:f32:5000", "--bind", "params=value:5000,2"];

#[test]
fn a_kernel_of_the_library_runs_by_name_over_all_of_its_data() {
    let folder = folder();
    let at = folder.path();
    for device in devices(at) {
        let args = [&["run"], &SAXPY[..], &["--device", device, "--print", "5000", "--json"]].concat();
        let document = checked("run", &done(at, &args));
        assert_eq!((&document["file"], &document["entry"]), (&serde_json::Value::Null, &"saxpy".into()));
        assert_eq!(document["groups"], serde_json::json!([5, 1, 1]), "{device}");
        let values: Vec<f64> = (0..5000).map(|i| 2.0 * f64::from(i)).collect();
        assert_eq!(document["printed"][0]["values"], serde_json::json!(values), "{device}: all of them");
        let sum = ["run", "reduce_sum_f32", "--bind", "input=iota:f32:5000", "--bind", "partial=zeros:f32:1"];
        let more = ["--device", device, "--print", "1", "--json"];
        let document = checked("run", &done(at, &[&sum[..], &more].concat()));
        assert_eq!(document["printed"][0]["values"], serde_json::json!([12_497_500.0]), "{device}: both launches");
        assert!(document["groups"].is_null(), "{document}");
        // A rectangle's sides are the kernel's parameters.
        let product = ["run", "matmul", "--bind", "a=value:1,2,3,4", "--bind", "b=value:1,0,0,1", "--bind"];
        let more = ["c=fresh:f32:4", "--bind", "params=value:2,2,2", "--device", device, "--print", "4"];
        assert!(done(at, &[&product[..], &more].concat()).contains("\nc = 1.0, 2.0, 3.0, 4.0\n"), "{device}");
    }
    let native = done(at, &[&["run"], &SAXPY[..], &["--twin", "native"]].concat());
    assert!(native.contains("native twin"), "a kernel by name has its twins: {native}");
    let ended = wharf(at, &[&["check"], &SAXPY[..]].concat());
    assert_eq!(ended.stderr, "wharf: no findings: 1280 invocations in 5 workgroups\n", "{ended:?}");
    let document = checked("check", &done(at, &[&["check"], &SAXPY[..], &["--json"]].concat()));
    assert_eq!(document["groups"], serde_json::json!([5, 1, 1]));
}

#[test]
fn a_count_that_is_left_out_is_that_of_the_bound_elements() {
    let folder = folder();
    let at = folder.path();
    let x: Vec<u8> = (0..3000).flat_map(|i| (i as f32).to_le_bytes()).collect();
    fs::write(at.join("x.f32"), x).expect("written");
    let saxpy = |command, more: &[&str]| {
        let args = ["saxpy", "--bind", "x=x.f32", "--bind", "y=zeros:f32:5000"];
        wharf(at, &[&[command], &args[..], more].concat())
    };
    let told = "wharf: `params.n` is 3000, as many as `x` has elements\n";
    let ended = saxpy("run", &["--bind", "params=value:2", "--print", "5000", "--json"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), told), "{ended:?}");
    let document = checked("run", &ended.stdout);
    let values: Vec<f64> = (0..5000).map(|i| if i < 3000 { 2.0 * f64::from(i) } else { 0.0 }).collect();
    assert_eq!(document["printed"][0]["values"], serde_json::json!(values));
    assert_eq!(document["groups"], serde_json::json!([3, 1, 1]));
    let ended = saxpy("check", &["--bind", "params=value:2"]);
    assert_eq!(ended.stderr, format!("{told}wharf: no findings: 768 invocations in 3 workgroups\n"), "{ended:?}");
    // What is said counts, and nothing is said of it.
    let ended = saxpy("run", &["--bind", "params=value:2,2", "--print", "3"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    assert!(ended.stdout.contains("\ny = 0.0, 2.0, 0.0, ..."), "{ended:?}");
    // Every kernel that has such a count; a rectangle's sides are not its elements.
    let bins = ["run", "histogram", "--bind", "values=iota:u32:9", "--bind", "bins=zeros:atomic<u32>:256"];
    let ended = wharf(at, &[&bins[..], &["--bind", "params=value:0"]].concat());
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (Some(0), "wharf: `params.n` is 9, as many as `values` has elements\n")
    );
    let product = ["run", "matmul", "--bind", "a=zeros:f32:4", "--bind", "b=zeros:f32:4", "--bind", "c=zeros:f32:4"];
    refused(at, 2, &[&product[..], &["--bind", "params=value:2,2"]].concat(), &["binding `params`"]);
    let none = ["run", "saxpy", "--bind", "x=x.f32", "--bind", "y=zeros:f32:5000", "--bind", "params=zeros:u32:1"];
    refused(at, 2, &none, &["binding `params`"]);
    // A file's kernel says nothing of what its count counts.
    fs::write(at.join("saxpy.wgsl"), include_str!("../../shaders/saxpy.wgsl")).expect("written");
    let file = ["run", "saxpy.wgsl", "--bind", "x=x.f32", "--bind", "y=zeros:f32:3000", "--bind", "params=value:2"];
    refused(at, 2, &file, &["binding `params`"]);
}

#[test]
fn names_that_are_wrong_or_do_not_fit_are_2() {
    let folder = folder();
    let at = folder.path();
    for command in ["run", "check"] {
        refused(at, 2, &[command, "saxpi"], &["`saxpi` is no file and no kernel of the library", "matmul", "saxpy"]);
        refused(at, 2, &[command, "saxpi.wgsl"], &["saxpi.wgsl", "No such file"]);
        refused(at, 2, &[command, "saxpy", "--entry", "saxpy"], &["--entry is for files"]);
        refused(at, 2, &[command, "saxpy", "--bind", "x=zeros:f32:4"], &["`y`", "missing"]);
        // A file of that name is another word.
        refused(at, 2, &[command, "./saxpy"], &["./saxpy", "No such file"]);
    }
    refused(at, 2, &["run", "reduce_sum_u32", "--groups", "2"], &["--groups", "`reduce_sum_u32` is 2 launches"]);
    refused(at, 2, &["check", "reduce_sum_u32"], &["`reduce_sum_u32` is 2 launches", "one kernel"]);
    let short = ["run", "saxpy", "--bind", "x=zeros:f32:4", "--bind", "y=zeros:f32:4", "--bind", "params=value:5,1"];
    refused(at, 2, &short, &["saxpy.x needs 5 elements, got 4"]);
}

#[test]
fn a_run_over_a_part_of_the_data_says_so_where_nobody_has_asked_for_it() {
    let folder = folder();
    let at = folder.path();
    fs::write(at.join("root.wgsl"), include_str!("../../examples/root.wgsl")).expect("written");
    let told = "wharf: one workgroup ran, which is 64 invocations, and `x` has 1000 elements: --groups 16 makes one for each\n";
    let args = ["--bind", "x=iota:f32:1000"];
    for (command, clean) in [("run", ""), ("check", "wharf: no findings: 64 invocations in 1 workgroup\n")] {
        let stderr = |more: &[&str]| {
            let ended = wharf(at, &[&[command, "root.wgsl"], &args[..], more].concat());
            assert_eq!(ended.code, Some(0), "{ended:?}");
            ended.stderr
        };
        assert_eq!(stderr(&[]), format!("{clean}{told}"));
        assert_eq!(stderr(&["--json"]), told, "the document is on stdout");
        assert!(!stderr(&["--groups", "1"]).contains("elements"), "somebody has asked for it");
        assert!(!stderr(&["--groups", "16"]).contains("elements"));
    }
    let all = wharf(at, &["run", "root.wgsl", "--bind", "x=iota:f32:64"]);
    assert_eq!(all.stderr, "", "nothing is left out");
    let square = "@group(0) @binding(0) var<storage, read_write> x: array<f32, 100>;
        @compute @workgroup_size(2, 2) fn f(@builtin(global_invocation_id) id: vec3<u32>) { x[id.x + 10 * id.y] = 1.0; }";
    fs::write(at.join("square.wgsl"), square).expect("written");
    let ended = wharf(at, &["run", "square.wgsl", "--bind", "x=zeros:f32:100"]);
    assert!(ended.stderr.contains("4 invocations, and `x` has 100 elements: --groups X,Y,Z"), "{ended:?}");
}
