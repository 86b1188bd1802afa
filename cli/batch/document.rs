//! `wharf batch --json`.

use serde::Serialize;
use wharf_batch::{Placement, Report, compare::Comparison, overlap::Stages};

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
    rows: u64,
    rows_taken: u64,
    rows_per_s: f64,
    seconds: f64,
    source: &'a str,
    device: &'a str,
    device_name: &'a str,
    /// Times of uploads, kernels and downloads are computed, not measured, and what follows from them;
    /// `seconds` is how long the simulation took.
    simulated: bool,
    form: &'a str,
    path_up: String,
    path_down: String,
    bytes_up: u64,
    bytes_down: u64,
    gbytes_per_s_up: Option<f64>,
    gbytes_per_s_down: Option<f64>,
    gbytes_per_s_up_alone: Option<f64>,
    gbytes_per_s_down_alone: Option<f64>,
    stages: StagesDocument<'a>,
    overlap_efficiency: Option<f64>,
    /// `R_ideal`: the run against the busiest engine's own time.
    times_ideal: Option<f64>,
    serial_seconds: f64,
    ideal_seconds: f64,
    memory_bytes: u64,
    peak_staging_bytes: u64,
    batches: u64,
    rows_per_batch: usize,
    slots: usize,
    workers: usize,
    /// What ran where, in order.
    placements: &'a [Placement],
    compare: Option<&'a Comparison>,
}

#[derive(Debug, Serialize)]
struct StagesDocument<'a> {
    /// Seconds: filling and merging over all threads, the rest while at least one was under way.
    busy: &'a Stages,
    /// Seconds of one batch in each stage alone: the median of a few.
    solo_batch: &'a Stages,
}

pub(super) fn of<'a>(report: &'a Report, compare: Option<&'a Comparison>, published: Option<&'a str>) -> Document<'a> {
    Document {
        schema: SCHEMA,
        command: "batch",
        job: "q6",
        answer: report.answer.to_string(),
        published,
        rows: report.rows,
        rows_taken: report.answer.rows_taken,
        rows_per_s: report.rows_per_s(),
        seconds: report.seconds,
        source: &report.source,
        device: &report.device,
        device_name: &report.device_name,
        simulated: report.simulated,
        form: report.form,
        path_up: report.path_up.to_string(),
        path_down: report.path_down.to_string(),
        bytes_up: report.bytes_up,
        bytes_down: report.bytes_down,
        gbytes_per_s_up: report.gbytes_per_s_up(),
        gbytes_per_s_down: report.gbytes_per_s_down(),
        gbytes_per_s_up_alone: report.gbytes_per_s_up_alone(),
        gbytes_per_s_down_alone: report.gbytes_per_s_down_alone(),
        stages: StagesDocument { busy: &report.busy, solo_batch: &report.solo },
        overlap_efficiency: report.overlap.efficiency,
        times_ideal: report.overlap.times_ideal,
        serial_seconds: report.overlap.serial_seconds,
        ideal_seconds: report.overlap.ideal_seconds,
        memory_bytes: report.memory_bytes,
        peak_staging_bytes: report.peak_staging_bytes,
        batches: report.batches,
        rows_per_batch: report.budget.rows,
        slots: report.budget.slots,
        workers: report.budget.workers,
        placements: &report.placements,
        compare,
    }
}
