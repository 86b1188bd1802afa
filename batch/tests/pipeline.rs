//! The pipeline on every device there is: the right answer, inside its memory, whatever happens.

#[path = "parquet/write.rs"]
#[expect(dead_code, reason = "the other test file writes more kinds of columns")]
mod write;

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use wharf::Device;
use wharf_batch::{
    Budget, Error, Options, Report, Result, answer_on_host,
    compare::{self, Table},
    no_fallback,
    overlap::Stages,
    q6::{Query, Revenue},
    run,
    source::{Lineitem, ParquetFile, Source},
};

/// The CPU device always; others where they are there.
fn devices() -> Vec<Device> {
    let found = Device::discover();
    found.iter().map(|found| Device::open(&found.id).expect("it was discovered")).collect()
}

fn answer(device: &Device, source: &dyn Source, memory_bytes: u64) -> Result<Report> {
    let stop = AtomicBool::new(false);
    run(
        device,
        source,
        &Query::VALIDATION,
        &Options { memory_bytes, stop: &stop, progress: &|_| (), fallback: &no_fallback },
    )
}

#[test]
fn scale_1_has_the_published_answer_on_every_device() {
    for device in devices() {
        let report = answer(&device, &Lineitem::new(1.0).expect("scale 1"), Budget::MEMORY_BYTES).expect("an answer");
        assert_eq!(report.answer.to_string(), Revenue::AT_SCALE_1, "{}", device.id());
        assert_eq!(report.rows, 6_001_215);
        let placement = report.last();
        assert!(placement.bytes_up >= 16 * report.rows && placement.bytes_down > 0);
        assert!(report.overlap.efficiency.is_some());
        let bound = report.overlap.bound.expect("stages take time");
        assert!(bound.seconds <= report.overlap.ideal_seconds && Stages::NAMES.contains(&bound.stage), "{bound:?}");
    }
}

#[test]
fn staging_stays_inside_any_memory_bound_and_the_answer_is_the_same() {
    let source = Lineitem::new(0.05).expect("a scale");
    for device in devices() {
        let expected = answer(&device, &source, Budget::MEMORY_BYTES).expect("an answer").answer;
        let Err(Error::MemoryTooSmall { minimum_bytes, .. }) = answer(&device, &source, 1) else {
            panic!("one byte is too small");
        };
        for memory in [minimum_bytes, 2 * minimum_bytes, 1 << 20, 8 << 20] {
            // Another handle has a mark of its own.
            let device = Device::open(device.id()).expect("still there");
            let report = answer(&device, &source, memory).expect("an answer");
            assert_eq!(report.answer, expected);
            assert!(report.peak_staging_bytes > 0);
            assert!(report.peak_staging_bytes <= memory, "{} of {memory}", report.peak_staging_bytes);
        }
    }
}

#[test]
fn no_rows_give_no_revenue() {
    let device = Device::open("cpu").expect("the CPU device");
    let report = answer(&device, &Lineitem::new(0.0).expect("scale 0"), Budget::MEMORY_BYTES).expect("an answer");
    assert_eq!((report.rows, report.batches, report.answer), (0, 0, Revenue::default()));
    assert_eq!(report.overlap.efficiency, None);
}

#[test]
fn a_parquet_file_gives_what_its_columns_give_on_the_host() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("lineitem.parquet");
    write::file(&path, &write::table(90_000), 20_000);
    let file = ParquetFile::open(&path).expect("a file");
    let table = Table::read(&file).expect("rows");
    assert_eq!(table.rows(), 90_000);
    for device in devices() {
        let report = answer(&device, &file, 1 << 20).expect("an answer");
        assert_eq!(report.rows, 90_000);
        assert_eq!(report.answer, table.answer(&Query::VALIDATION));
        let most = AtomicU64::new(0);
        let told = |rows| {
            most.fetch_max(rows, Relaxed);
        };
        let on_host = answer_on_host(&file, &Query::VALIDATION, &AtomicBool::new(false), &told).expect("rows");
        assert_eq!((report.answer, most.into_inner()), (on_host, 90_000));
        assert!(report.answer.rows_taken > 0);
    }
}

#[test]
fn an_error_in_a_late_row_stops_the_run_and_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("lineitem.parquet");
    let mut columns = write::table(200_000);
    columns[1].optional = true;
    columns[1].null_at = Some(150_123);
    write::file(&path, &columns, 40_000);
    let file = ParquetFile::open(&path).expect("a file");
    let device = Device::open("cpu").expect("the CPU device");
    let error = answer(&device, &file, 1 << 20).expect_err("a NULL");
    assert!(matches!(error, Error::Null { row: 150_123, .. }), "{error}");
    assert!(!error.is_transient());
    assert_eq!(device.stats().in_flight, 0, "nothing is left behind");
}

#[test]
fn a_run_that_is_asked_to_stop_stops() {
    let device = Device::open("cpu").expect("the CPU device");
    let stop = AtomicBool::new(false);
    let source = Lineitem::new(10.0).expect("scale 10");
    let progress = |_| stop.store(true, Relaxed);
    let options = Options { memory_bytes: 1 << 20, stop: &stop, progress: &progress, fallback: &no_fallback };
    let error = run(&device, &source, &Query::VALIDATION, &options).expect_err("stopped");
    assert!(matches!(error, Error::Interrupted { rows } if rows > 0), "{error}");
    assert_eq!(device.stats().in_flight, 0);
}

#[test]
fn a_run_that_is_asked_to_stop_stops_though_its_device_hangs() {
    // In the warm-up, and in the middle.
    for never in [2, 25] {
        let device = Device::open(&format!("sim:never={never}")).expect("a description");
        let stop = AtomicBool::new(false);
        let source = Lineitem::new(1.0).expect("scale 1");
        let fallback = |_: &Device, _: &Error| panic!("nobody wants the rest");
        let options = Options { memory_bytes: 1 << 20, stop: &stop, progress: &|_| (), fallback: &fallback };
        let error = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(200));
                stop.store(true, Relaxed);
            });
            run(&device, &source, &Query::VALIDATION, &options).expect_err("it hangs until it is stopped")
        });
        assert!(matches!(error, Error::Interrupted { .. }), "{error}");
        assert_eq!(device.stats().in_flight, 0);
    }
}

#[test]
fn the_comparison_has_one_answer() {
    let device = Device::open("cpu").expect("the CPU device");
    let table = Table::read(&Lineitem::new(0.1).expect("a scale")).expect("rows");
    let comparison = compare::compare(&device, &table, &Query::VALIDATION).expect("a comparison");
    assert!(comparison.agree);
    assert_eq!(comparison.ours.samples.len(), comparison.serial.samples.len());
}
