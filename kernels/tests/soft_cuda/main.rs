//! The whole `cuda` backend on a driver in software (`examples/soft_cuda`): what a GPU would do with
//! PTX is not shown here, what the host does is.
//!
//! A process has one driver, settled at its first use. So each test that is not ignored runs an ignored
//! one in a process of its own, with the driver and its faults set by environment variables.
//!
//! The contract of the queues (`host/tests/contract`) runs here as well.
#![expect(unsafe_code, reason = "users vouch for CUDA source of their own")]

#[path = "../../../host/tests/contract/all.rs"]
mod contract;
mod faults;
mod loss;
mod rig;

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::PathBuf;
use std::process::Command;

use wharf::{BackendKind, Device, Error, FailureKind, Kernel, Path, Refusal};
use wharf_kernels::{ALL, Inputs, REDUCE_SUM_U32, SAXPY, conformance};

mod graphs;

/// The driver, where cargo has built it beside this test.
fn driver() -> PathBuf {
    let test = std::env::current_exe().expect("a test is a program");
    let profile = test.parent().and_then(|deps| deps.parent()).expect("target/PROFILE/deps");
    profile.join("examples").join(format!("{DLL_PREFIX}soft_cuda{DLL_SUFFIX}"))
}

/// Runs an ignored test of this program on the software driver.
fn on_software(test: &str, settings: &[(&str, &str)]) {
    if let Some(passed) = all_on_software(&[test, "--exact", "--nocapture"], settings) {
        assert_eq!(passed, 1, "there is one test called {test}");
    }
}

/// Runs ignored tests of this program on the software driver, and gives how many passed; `None` where there
/// is no driver and `WHARF_REQUIRE` does not ask for it.
fn all_on_software(args: &[&str], settings: &[(&str, &str)]) -> Option<u32> {
    let driver = driver();
    if !driver.exists() {
        let missing = format!("{} is built by `cargo build -p wharf-kernels --examples`", driver.display());
        let required = std::env::var("WHARF_REQUIRE").unwrap_or_default();
        assert!(!required.contains("soft_cuda"), "WHARF_REQUIRE asks for soft_cuda: {missing}");
        eprintln!("SKIP {missing}");
        return None;
    }
    let mut command = Command::new(std::env::current_exe().expect("a test is a program"));
    command.args(args).arg("--ignored");
    command.env("WHARF_CUDA_DRIVER", driver).envs(settings.iter().copied());
    let output = command.output().expect("the tests start");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let count = said.split_once("test result: ok. ").and_then(|(_, rest)| rest.split_once(" passed"));
    Some(count.and_then(|(count, _)| count.parse().ok()).expect("a summary"))
}

/// The contract's bodies, for a process that has the driver.
macro_rules! ignored {
    ($($module:ident { $($body:ident)* })*) => {
        mod queues {
            $(mod $module {
                $(#[test]
                #[ignore = "runs on the software driver"]
                fn $body() -> wharf::Result<()> {
                    crate::contract::$module::$body(&crate::rig::cuda())
                })*
            })*
        }
    };
}

contract::contract!(ignored!);

/// Those in which a device is kept busy: its door is the process's, so they go one by one.
const HELD: [&str; 4] = ["queues::deadlines::", "queues::hazards::", "queues::loss::", "queues::taking_back::"];

#[test]
fn the_contract_of_the_queues_holds() {
    let skips = HELD.map(|module| ["--skip", module]).concat();
    let passed = all_on_software(&[&["queues::"], &skips[..]].concat(), &[]);
    assert!(passed.is_none_or(|passed| passed > 40), "{passed:?}");
}

#[test]
fn the_contract_of_the_queues_holds_on_a_device_that_is_kept_busy() {
    let folder = tempfile::tempdir().expect("a folder");
    let door = folder.path().join("door");
    let passed = all_on_software(
        &[&HELD[..], &["--test-threads=1"]].concat(),
        &[("SOFT_CUDA_DOOR", door.to_str().expect("a path"))],
    );
    assert!(passed.is_none_or(|passed| passed > 10), "{passed:?}");
}

fn device() -> Device {
    Device::open("cuda:0").expect("the software driver has one device")
}

#[test]
fn the_device_is_found_and_says_what_it_can_do() {
    on_software("found", &[]);
}

#[test]
#[ignore = "runs on the software driver"]
fn found() {
    let survey = Device::survey();
    let cuda = survey.iter().find(|found| found.kind == BackendKind::Cuda).expect("the driver is there");
    assert_eq!(cuda.id, "cuda:0");
    let capabilities = cuda.capabilities.as_ref().expect("it can be opened");
    assert_eq!(capabilities.max_workgroup_bytes, 48 << 10);
    assert_eq!((capabilities.copy_engines, capabilities.copy_overlaps_compute), (2, true));
    assert!(matches!(Device::open("cuda:1"), Err(Error::Unavailable { .. })));
}

#[test]
fn bytes_of_any_length_come_back_by_every_path() {
    on_software("bytes", &[]);
}

#[test]
#[ignore = "runs on the software driver"]
fn bytes() -> wharf::Result<()> {
    let device = device();
    // The last is more than the staging holds at once.
    for n in [0, 1, 3, 16, 17, 1023, 1 << 20, 9_000_001] {
        let data: Vec<u32> = (0..n).map(|i| i * 2_654_435_761).collect();
        let buffer = device.buffer::<u32>(data.len())?;
        assert!(device.download(&buffer).wait()?.iter().all(|&word| word == 0), "new memory is zeroed");

        let back = device.upload(&buffer).send(data.clone())?.wait();
        assert_eq!(back.ok()?, data, "the owned buffer comes back");
        let down = device.download(&buffer).wait()?;
        assert!(*down == *data, "{n} words through staging");
        if n > 0 {
            assert_eq!(down.receipt().path, Path::Staged);
        }

        device.clear(&buffer).send()?.wait().ok()?;
        let filled = device.upload(&buffer).fill(|i| data[i])?.wait();
        if n > 16 {
            assert_eq!(filled.receipt.path, Path::Filled);
        }
        filled.ok()?;
        assert!(*device.download(&buffer).wait()? == *data, "{n} words from a block");

        let copy = device.buffer::<u32>(data.len())?;
        device.copy(&buffer, &copy).send()?.wait().ok()?;
        assert!(*device.download(&copy).wait()? == *data, "{n} words inside the device");
    }
    Ok(())
}

#[test]
fn pinned_memory_is_moved_where_it_lies_and_comes_back_when_it_is_done() {
    on_software("pinned", &[("SOFT_CUDA_DELAY_US", "500")]);
}

#[test]
#[ignore = "runs on the software driver"]
fn pinned() -> wharf::Result<()> {
    let device = device();
    let buffer = device.buffer::<u32>(5000)?;
    let mut pinned = device.pinned::<u32>(5000)?;
    for round in 0..10 {
        pinned.iter_mut().enumerate().for_each(|(i, x)| *x = i as u32 + round);
        let up = device.upload(&buffer).send(pinned)?.wait();
        assert_eq!(up.receipt.path, Path::Pinned);
        pinned = up.ok()?;
        pinned.fill(0);
        let down = device.download(&buffer).into(pinned)?.wait();
        assert_eq!(down.receipt.path, Path::Pinned);
        pinned = down.ok()?;
        assert!(pinned.iter().enumerate().all(|(i, &x)| x == i as u32 + round), "round {round}");
    }
    let strict = device.queue("strict").strict().open();
    let refused = device.download(&buffer).on(&strict).send().expect_err("it would be staged");
    assert!(matches!(refused, Error::Refused { why: Refusal::Slow(_), .. }), "{refused}");
    device.download(&buffer).on(&strict).into(pinned)?.wait().ok()?;
    Ok(())
}

#[test]
fn every_kernel_agrees_with_its_oracle_when_operations_take_their_time() {
    on_software("kernels", &[("SOFT_CUDA_DELAY_US", "200")]);
}

#[test]
#[ignore = "runs on the software driver"]
fn kernels() {
    let device = device();
    for spec in ALL {
        for &n in spec.sizes.iter().filter(|&&n| n <= 10_007) {
            let case = (spec.case)(n, Inputs::Exact);
            let got = conformance::run(spec, &device, &case);
            let got = got.unwrap_or_else(|error| panic!("{} of {n}: {error}", spec.name));
            let compared = conformance::compare(&(spec.oracle)(&case), &got);
            compared.unwrap_or_else(|mismatch| panic!("{} of {n}: {mismatch}", spec.name));
        }
    }
}

#[test]
fn lanes_wait_for_each_other_and_for_nothing_else() {
    on_software("lanes", &[("SOFT_CUDA_DELAY_US", "300")]);
}

/// Each round overwrites what the round before reads on other lanes: a wait that is missing shows.
#[test]
#[ignore = "runs on the software driver"]
fn lanes() -> wharf::Result<()> {
    const N: usize = 50_000;
    let device = device();
    let (x, sum) = (device.buffer::<u32>(N)?, device.buffer::<u32>(1)?);
    let mut answers = Vec::new();
    for round in 1..=40_u32 {
        drop(device.upload(&x).fill(|_| round)?);
        drop(device.launch(&REDUCE_SUM_U32).bind(&x).bind(&sum).run()?);
        answers.push((round, device.download(&sum).send()?));
    }
    for (round, ticket) in answers {
        assert_eq!(ticket.wait().ok()?, [round * N as u32]);
    }
    assert_eq!(device.dead_letters().len(), 0);
    Ok(())
}

#[test]
fn a_run_that_nobody_waits_for_shares_an_end_and_fails_one_by_one() {
    on_software("posted", &[("SOFT_CUDA_FAULT", "upload:50:1")]);
}

#[test]
#[ignore = "runs on the software driver"]
fn posted() -> wharf::Result<()> {
    const N: usize = 100;
    let device = device();
    let queue = device.queue("posted").policy(wharf::FailPolicy::Continue).open();
    let (x, y) = (device.buffer::<u32>(N * 64)?, device.buffer::<u32>(N * 64)?);
    wharf::trace::start();
    let mut batch = queue.batch();
    for i in 0..N {
        batch.post(device.upload(&x).at(64 * i).message(vec![i as u32; 64])?)?;
    }
    batch.post(device.copy(&x, &y).message()?)?;
    drop(batch.commit()?);
    let error = queue.fence()?.wait().expect_err("the fiftieth upload failed");
    assert!(matches!(&error.kind, FailureKind::Upstream { .. }), "{error}");
    let spans = wharf::trace::take();
    let uploads: Vec<_> = spans.iter().filter(|span| span.receipt.lane == Some(wharf::Lane::Upload)).collect();
    assert_eq!(uploads.len(), N);
    assert!(uploads.iter().any(|span| span.receipt.together > 1), "one mark for several");
    assert!(uploads.iter().all(|span| (span.receipt.together == 1) || span.receipt.device_seconds.is_none()));
    let letters = device.dead_letters().take();
    let failed: Vec<_> = letters.iter().map(|letter| &letter.error.kind).collect();
    assert_eq!(failed.len(), 2, "{failed:?}");
    assert!(matches!(failed[0], FailureKind::Backend(_)) && matches!(failed[1], FailureKind::Upstream { .. }));
    let got = device.download(&x).range(0..64 * 49).wait()?;
    assert!(got.iter().enumerate().all(|(i, &word)| word == (i / 64) as u32));
    Ok(())
}

#[test]
fn cuda_source_is_compiled_where_there_is_a_compiler() {
    on_software("source", &[]);
}

#[test]
#[ignore = "runs on the software driver"]
fn source() {
    // SAFETY: the library's own twin.
    static FROM_SOURCE: Kernel =
        unsafe { Kernel::new("saxpy", wharf_shaders::SAXPY).with_cuda(include_str!("../../src/saxpy.cu")) };
    // SAFETY: it does not compile, so nothing of it runs.
    static BROKEN: Kernel = unsafe { Kernel::new("saxpy", wharf_shaders::SAXPY).with_cuda("int main( {") };
    let device = device();
    match device.prepare(&FROM_SOURCE) {
        Ok(()) => {
            let Err(Error::Build { log, .. }) = device.prepare(&BROKEN) else { panic!("it does not compile") };
            assert!(log.contains("error"), "{log}");
        }
        Err(Error::NoForm { reason, .. }) => {
            assert!(reason.contains("no NVRTC"), "{reason}");
            eprintln!("skipped: {reason}");
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_call_that_fails_fails_its_message_and_what_reads_its_data() {
    on_software("call", &[("SOFT_CUDA_FAULT", "upload:2:2")]);
}

#[test]
#[ignore = "runs on the software driver"]
fn call() -> wharf::Result<()> {
    let device = device();
    let [x, y] = [device.buffer::<f32>(1000)?, device.buffer::<f32>(1000)?];
    device.upload(&y).send(vec![1.0_f32; 1000])?.wait().ok()?;
    let refused = device.upload(&x).send(vec![3.0_f32; 1000])?;
    let launch = device.launch(&SAXPY).bind(&x).bind(&y).arg("a", 1.0_f32).run()?;
    let down = device.download(&y).send()?;
    let refused = refused.wait();
    assert_eq!(refused.buffer.map(|buffer| buffer.len()), Some(1000), "the buffer comes back");
    let kind = |result: Result<(), std::sync::Arc<wharf::TransferError>>| result.map_err(|e| e.kind.clone());
    assert!(matches!(kind(refused.result), Err(FailureKind::OutOfMemory(_))));
    assert!(matches!(kind(launch.wait().result), Err(FailureKind::Upstream { .. })));
    assert!(matches!(kind(down.wait().result), Err(FailureKind::Upstream { .. })));
    // The context goes on.
    device.upload(&x).send(vec![3.0_f32; 1000])?.wait().ok()?;
    assert_eq!(device.download(&x).wait()?[999], 3.0);
    Ok(())
}
