//! `wharf batch` on devices that fail: the same answer, each row once, and the report says who gave it.
//!
//! The device is CUDA on the software driver of `wharf-kernels` (`examples/soft_cuda`), whose faults are
//! set by environment variables.

use std::{
    env::consts::{DLL_PREFIX, DLL_SUFFIX},
    path::PathBuf,
};

use serde_json::Value;

use crate::{Ended, command, documents::checked, done, folder};

/// The driver, where cargo has built it beside this test; `WHARF_REQUIRE=soft_cuda` asks for it.
fn driver() -> Option<PathBuf> {
    let test = std::env::current_exe().expect("a test is a program");
    let profile = test.parent().and_then(|deps| deps.parent()).expect("target/PROFILE/deps");
    let driver = profile.join("examples").join(format!("{DLL_PREFIX}soft_cuda{DLL_SUFFIX}"));
    if !driver.exists() {
        let missing = format!("{} is built by `cargo build -p wharf-kernels --examples`", driver.display());
        let required = std::env::var("WHARF_REQUIRE").unwrap_or_default();
        assert!(!required.contains("soft_cuda"), "WHARF_REQUIRE asks for soft_cuda: {missing}");
        eprintln!("SKIP {missing}");
        return None;
    }
    Some(driver)
}

const ARGS: [&str; 7] = ["batch", "q6", "--scale", "0.3", "--device", "cuda:0", "--json"];

/// A run with this fault; `None` where there is no driver.
fn faulty(args: &[&str], settings: &[(&str, &str)]) -> Option<Ended> {
    let folder = folder();
    let mut command = command(folder.path(), args);
    command.env("WHARF_CUDA_DRIVER", driver()?).envs(settings.iter().copied());
    Some(command.output().expect("it starts").into())
}

/// The answer without any fault.
fn expected() -> Value {
    let folder = folder();
    checked("batch", &done(folder.path(), &["batch", "q6", "--scale", "0.3", "--json"]))
}

/// Where the rows were run: device, rows, rows of a batch, whether it was the last.
fn placements(document: &Value) -> Vec<(&str, u64, u64, bool)> {
    let of = |p: &'_ Value| (p["rows"].as_u64().expect("rows"), p["rows_per_batch"].as_u64().expect("rows"));
    let all = document["placements"].as_array().expect("placements");
    all.iter().map(|p| (p["device"].as_str().expect("a name"), of(p).0, of(p).1, p["ended"].is_null())).collect()
}

#[test]
fn a_device_that_is_lost_gives_its_unfinished_batches_to_the_cpu() {
    let expected = expected();
    for fault in ["launch:1:719", "launch:5:719", "upload:11:700", "download:3:719"] {
        let Some(ended) = faulty(&ARGS, &[("SOFT_CUDA_FAULT", fault)]) else { return };
        assert_eq!(ended.code, Some(0), "{fault}: {ended:?}");
        assert!(ended.stderr.contains("cuda:0 failed") && ended.stderr.contains("going on with cpu"), "{ended:?}");
        let document = checked("batch", &ended.stdout);
        for same in ["answer", "rows", "rows_taken"] {
            assert_eq!(document[same], expected[same], "{fault}: {document}");
        }
        let placements = placements(&document);
        let [("cuda:0", lost, _, false), ("cpu", rest, _, true)] = placements[..] else { panic!("{placements:?}") };
        assert_eq!(lost + rest, document["rows"].as_u64().expect("rows"), "each row once");
        assert!(rest > 0 && document["overlap_efficiency"].is_null());
    }
}

#[test]
fn a_device_without_memory_gets_smaller_batches_first() {
    let expected = expected();
    // Too little for full batches from the start, and too little once, in the middle.
    for setting in [("SOFT_CUDA_MEMORY", "6000000"), ("SOFT_CUDA_FAULT", "upload:14:2")] {
        let Some(ended) = faulty(&ARGS, &[setting]) else { return };
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{setting:?}");
        let document = checked("batch", &ended.stdout);
        assert_eq!(document["answer"], expected["answer"], "{setting:?}");
        let placements = placements(&document);
        assert!(placements.len() > 1 && placements.iter().all(|&(device, ..)| device == "cuda:0"), "{placements:?}");
        assert!(placements.windows(2).all(|pair| pair[1].2 * 2 == pair[0].2), "halves: {placements:?}");
    }
    // Where no batch is small enough, the CPU has the memory.
    let Some(ended) = faulty(&ARGS, &[("SOFT_CUDA_MEMORY", "100000")]) else { return };
    let document = checked("batch", &ended.stdout);
    assert_eq!(document["answer"], expected["answer"]);
    assert_eq!(placements(&document).last().map(|last| last.0), Some("cpu"));
}

#[test]
fn without_a_fallback_the_failure_is_the_end() {
    let args = [&ARGS[..], &["--no-fallback"]].concat();
    for (setting, words) in [
        (("SOFT_CUDA_FAULT", "launch:5:719"), "LAUNCH_FAILED"),
        (("SOFT_CUDA_MEMORY", "100000"), "out of memory on software CUDA driver"),
        (("SOFT_CUDA_MEMORY", "100000"), "another --device"),
    ] {
        let Some(ended) = faulty(&args, &[setting]) else { return };
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(75), ""), "{ended:?}");
        assert!(ended.stderr.lines().count() == 1 && ended.stderr.contains(words), "{ended:?}");
    }
}
