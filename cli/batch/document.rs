//! `wharf batch --json`.

use serde::Serialize;
use wharf_batch::{
    Failure, Placement, Report, When,
    compare::Comparison,
    overlap::{Bound, Stages},
};

use super::Expected;
use crate::output::SCHEMA;

#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    schema: u32,
    command: &'static str,
    job: &'static str,
    /// Exact decimals are strings.
    answer: String,
    /// TPC-H's own answer, where it publishes one for this input.
    published: Option<&'a str>,
    /// What the answer was held against: TPC-H's, or one that was computed on the host.
    expected: Option<&'a str>,
    /// Whether they are the same; `null` where there is nothing to hold it against.
    verified: Option<bool>,
    rows: u64,
    rows_taken: u64,
    rows_per_s: f64,
    seconds: f64,
    source: &'a str,
    /// The device that ended the run, of which the figures from here on are; other devices' are in
    /// `placements`.
    device: &'a str,
    device_name: &'a str,
    /// Its times of uploads, kernels and downloads are computed, not measured, and what follows from them;
    /// `seconds` is how long the simulation took.
    simulated: bool,
    form: &'a str,
    path_up: String,
    path_down: String,
    bytes_up: u64,
    bytes_down: u64,
    /// Uploads were done together with other stages, of which their busy time is, too: there is no rate.
    shares_up: bool,
    shares_down: bool,
    gbytes_per_s_up: Option<f64>,
    gbytes_per_s_down: Option<f64>,
    gbytes_per_s_up_alone: Option<f64>,
    gbytes_per_s_down_alone: Option<f64>,
    stages: StagesDocument<'a>,
    overlap_efficiency: Option<f64>,
    /// `R_ideal`: the run against the busiest engine's own time.
    times_ideal: Option<f64>,
    /// What the two say that lie outside what is possible, and whether they are a measure at all; `null` where
    /// they lie within it.
    overlap_note: Option<&'a str>,
    serial_seconds: f64,
    ideal_seconds: f64,
    /// What bounds the ideal: the busiest engine, and the stage that takes most of its time.
    bound: Option<Bound>,
    memory_bytes: u64,
    peak_staging_bytes: u64,
    batches: u64,
    rows_per_batch: usize,
    slots: usize,
    workers: usize,
    /// What ran where, in order.
    placements: Vec<PlacementDocument<'a>>,
    /// Devices that failed, in order, and who took over; empty where none did.
    failures: Vec<FailureDocument<'a>>,
    compare: Option<&'a Comparison>,
}

#[derive(Debug, Serialize)]
struct FailureDocument<'a> {
    device: &'a str,
    /// `in the run`, or `after the run`, when stages were timed alone: their figures are missing then.
    when: &'static str,
    error: &'a str,
    /// The device that took over; `null` after the run.
    next: Option<&'a str>,
}

impl<'a> From<&'a Failure> for FailureDocument<'a> {
    fn from(Failure { device, when, error, next, .. }: &'a Failure) -> Self {
        let when = match when {
            When::InTheRun => "in the run",
            When::AfterTheRun => "after the run",
        };
        Self { device, when, error, next: next.as_deref() }
    }
}

#[derive(Debug, Serialize)]
struct PlacementDocument<'a> {
    device: &'a str,
    device_name: &'a str,
    simulated: bool,
    form: &'a str,
    rows: u64,
    batches: u64,
    rows_per_batch: usize,
    bytes_up: u64,
    bytes_down: u64,
    shares_up: bool,
    shares_down: bool,
    gbytes_per_s_up: Option<f64>,
    gbytes_per_s_down: Option<f64>,
    busy: &'a Stages,
    ended: Option<&'a str>,
}

impl<'a> From<&'a Placement> for PlacementDocument<'a> {
    fn from(placement: &'a Placement) -> Self {
        Self {
            device: &placement.device,
            device_name: &placement.device_name,
            simulated: placement.simulated,
            form: placement.form,
            rows: placement.rows,
            batches: placement.batches,
            rows_per_batch: placement.rows_per_batch,
            bytes_up: placement.bytes_up,
            bytes_down: placement.bytes_down,
            shares_up: placement.shares_up,
            shares_down: placement.shares_down,
            gbytes_per_s_up: placement.gbytes_per_s_up(),
            gbytes_per_s_down: placement.gbytes_per_s_down(),
            busy: &placement.busy,
            ended: placement.ended.as_deref(),
        }
    }
}

#[derive(Debug, Serialize)]
struct StagesDocument<'a> {
    /// Seconds: filling and merging over all threads, the rest while at least one was under way.
    busy: &'a Stages,
    /// Seconds of one batch in each stage alone, of a few; filling while all workers fill.
    solo_batch: &'a Stages,
}

pub(super) fn of<'a>(
    report: &'a Report,
    compare: Option<&'a Comparison>,
    expected: Option<&'a Expected>,
) -> Document<'a> {
    let last = report.last();
    Document {
        schema: SCHEMA,
        command: "batch",
        job: "q6",
        answer: report.answer.to_string(),
        published: expected.filter(|expected| expected.is_published).map(|expected| expected.answer.as_str()),
        expected: expected.map(|expected| expected.answer.as_str()),
        verified: expected.map(|expected| expected.is_met(report)),
        rows: report.rows,
        rows_taken: report.answer.rows_taken,
        rows_per_s: report.rows_per_s(),
        seconds: report.seconds,
        source: &report.source,
        device: &last.device,
        device_name: &last.device_name,
        simulated: last.simulated,
        form: last.form,
        path_up: last.path_up.to_string(),
        path_down: last.path_down.to_string(),
        bytes_up: last.bytes_up,
        bytes_down: last.bytes_down,
        shares_up: last.shares_up,
        shares_down: last.shares_down,
        gbytes_per_s_up: last.gbytes_per_s_up(),
        gbytes_per_s_down: last.gbytes_per_s_down(),
        gbytes_per_s_up_alone: report.gbytes_per_s_up_alone(),
        gbytes_per_s_down_alone: report.gbytes_per_s_down_alone(),
        stages: StagesDocument { busy: &last.busy, solo_batch: &report.solo },
        overlap_efficiency: report.overlap.efficiency,
        times_ideal: report.overlap.times_ideal,
        overlap_note: report.overlap.note(),
        serial_seconds: report.overlap.serial_seconds,
        ideal_seconds: report.overlap.ideal_seconds,
        bound: report.overlap.bound,
        memory_bytes: report.memory_bytes,
        peak_staging_bytes: report.peak_staging_bytes,
        batches: report.batches,
        rows_per_batch: report.budget.rows,
        slots: report.budget.slots,
        workers: report.budget.workers,
        placements: report.placements.iter().map(PlacementDocument::from).collect(),
        failures: report.failures.iter().map(FailureDocument::from).collect(),
        compare,
    }
}
