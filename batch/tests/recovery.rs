//! A device that is lost in the middle of a run: the same answer, each row once.

use std::{cell::Cell, sync::atomic::AtomicBool};

use wharf::{BackendKind, Device};
use wharf_batch::{
    Budget, Error, Fallback, Options, Report, When, no_fallback,
    q6::{Query, Revenue},
    reopened, run,
    source::Lineitem,
};

/// Many small batches, so that there is a middle.
const MEMORY_BYTES: u64 = 1 << 20;

fn answer(device: &Device, progress: &dyn Fn(u64), fallback: &Fallback<'_>) -> Report {
    let (source, stop) = (Lineitem::new(0.1).expect("a scale"), AtomicBool::new(false));
    let options = Options { memory_bytes: MEMORY_BYTES, stop: &stop, progress, fallback };
    run(device, &source, &Query::VALIDATION, &options).expect("an answer")
}

fn expected() -> (Revenue, u64) {
    let device = Device::open("cpu").expect("always there");
    let report = answer(&device, &|_| (), &|_, _| None);
    assert_eq!(report.placements.len(), 1);
    (report.answer, report.rows)
}

/// The run went from the first device to the second, and neither did all of it.
fn moved(report: &Report, from: &str, to: &str) {
    let [first, second] = &report.placements[..] else { panic!("{:?}", report.placements) };
    assert_eq!((first.device.as_str(), second.device.as_str()), (from, to));
    assert!(first.ended.is_some() && second.ended.is_none());
    assert!(first.rows > 0 && second.rows > 0, "{:?}", report.placements);
    assert_eq!((report.answer, report.rows), expected(), "the same bits, each row once");
    assert_eq!(first.rows + second.rows, report.rows);
}

/// Gives the device up once some rows were merged.
fn pulls(device: &Device) -> impl Fn(u64) {
    let (device, pulled) = (device.clone(), Cell::new(false));
    move |rows| {
        if rows > 100_000 && !pulled.replace(true) {
            device.declare_lost("pulled out");
        }
    }
}

#[test]
fn a_simulated_device_that_its_script_loses_is_followed_by_a_fresh_one() {
    let from = "sim:lose@700us";
    let fresh = |failed: &Device, error: &Error| {
        assert_eq!(failed.id(), from);
        assert!(error.to_string().contains("script of faults"), "{error}");
        Device::open("sim").ok()
    };
    let report = answer(&Device::open(from).expect("it needs nothing"), &|_| (), &fresh);
    moved(&report, from, "sim");
}

#[test]
fn a_cpu_handle_that_is_given_up_is_followed_by_another() {
    let device = Device::open("cpu").expect("always there");
    let report = answer(&device, &pulls(&device), &reopened(1));
    moved(&report, "cpu", "cpu");
    assert!(Budget::within(MEMORY_BYTES, 1).is_ok());
}

#[test]
fn a_gpu_that_is_given_up_is_followed_by_the_cpu() {
    let found = Device::discover().into_iter().find(|found| found.kind == BackendKind::Wgpu);
    let Some(found) = found else {
        assert!(!std::env::var("WHARF_REQUIRE").unwrap_or_default().contains("wgpu"), "WHARF_REQUIRE asks for wgpu");
        eprintln!("SKIP no wgpu adapter");
        return;
    };
    let device = Device::open(&found.id).expect("it was discovered");
    let report = answer(&device, &pulls(&device), &wharf_batch::to_the_cpu);
    moved(&report, &found.id, "cpu");
}

/// What lies idle on a small card makes room, and is there again afterwards; only where it is held are batches made
/// smaller.
#[test]
fn what_lies_idle_makes_room_before_batches_become_smaller() {
    let device = Device::open("sim:memory=2MiB").expect("a description");
    let idle = device.buffer::<u32>(350_000).expect("room");
    let content: Vec<u32> = (0..350_000).collect();
    device.upload(&idle).send(content.clone()).expect("room").wait().ok().expect("it goes up");

    let report = answer(&device, &|_| (), &no_fallback);
    assert_eq!((report.answer, report.rows), expected());
    assert_eq!((report.placements.len(), device.stats().evictions), (1, 1), "{:?}", report.placements);
    let rows_per_batch = report.last().rows_per_batch;

    let hold = device.hold(&idle).expect("the batches are gone");
    let report = answer(&device, &|_| (), &no_fallback);
    assert_eq!((report.answer, report.rows), expected());
    assert_eq!(device.stats().evictions, 1);
    assert!(report.last().rows_per_batch < rows_per_batch, "{:?}", report.placements);
    drop(hold);
    assert_eq!(*device.download(&idle).wait().expect("it is there"), content);
}

#[test]
fn a_device_is_opened_anew_so_often_and_then_left() {
    let fallback = reopened(2);
    let device = Device::open("sim").expect("it needs nothing");
    let error = Error::Worker;
    let next = || fallback(&device, &error).map(|next| next.id().to_owned());
    assert_eq!([next(), next(), next()].map(|id| id.expect("a device")), ["sim", "sim", "cpu"]);
    assert!(fallback(&Device::open("cpu").expect("always there"), &error).is_none(), "the CPU is the last");
}

#[test]
fn the_cpu_that_takes_over_has_batches_of_its_own_and_the_options_of_the_first() {
    let bound = 64 << 20;
    let device = Device::open_with("sim:lose@1us", wharf::Options::new().memory_bytes(bound)).expect("a description");
    let (source, stop) = (Lineitem::new(0.1).expect("a scale"), AtomicBool::new(false));
    let next = Cell::new(None);
    let fallback = |failed: &Device, error: &Error| {
        let cpu = wharf_batch::to_the_cpu(failed, error)?;
        next.set(cpu.capabilities().memory_bytes);
        Some(cpu)
    };
    let options = Options { memory_bytes: 32 << 20, stop: &stop, progress: &|_| (), fallback: &fallback };
    let report = run(&device, &source, &Query::VALIDATION, &options).expect("an answer");
    assert_eq!((report.answer, report.rows), expected());
    assert_eq!(next.get(), Some(bound), "whoever bounds a run bounds all of it");
    let rows = report.placements.iter().map(|p| (p.device.as_str(), p.rows_per_batch)).collect::<Vec<_>>();
    let cpu = Device::open("cpu").expect("always there");
    let alone = run(&cpu, &source, &Query::VALIDATION, &options).expect("an answer").budget.rows;
    assert_eq!(rows[1..], [("cpu", alone)], "as if it had been the first");
    assert!(rows[0].1 > alone, "the card's are larger: {rows:?}");
    let [failure] = &report.failures[..] else { panic!("{:?}", report.failures) };
    assert_eq!((failure.when, failure.next.as_deref()), (When::InTheRun, Some("cpu")));
    assert_eq!(Some(&failure.error), report.placements[0].ended.as_ref());
}
