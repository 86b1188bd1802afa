//! `wharf batch`: jobs over more data than memory.

mod document;
mod table;

use std::path::PathBuf;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use wharf::Device;
use wharf_batch::{
    Budget, Error, Fallback, Options, Report,
    compare::{self, Comparison, Table},
    q6::{Query, Revenue},
    source::{Lineitem, ParquetFile, Source},
};

use crate::{
    args, devices,
    exit::{self, FELL_SHORT, Failure, INTERRUPTED, Outcome, PERMANENT, TRY_AGAIN},
    faults::Telling,
    interrupt, output,
};

/// Words that stand before a job, of which this version has `run`.
const VERBS: [&str; 6] = ["run", "resume", "merge", "verify", "init", "submit"];

const AFTER: &str = "\
Exit codes: 0 done; 1 the answer is wrong or the bound on memory was passed; 2 wrong usage, or no such device;
42 the input is wrong, trying again is no use; 75 a device or an input failed in a way that may pass,
try again; 130 Ctrl-C.";

/// Run a job over more data than memory.
#[derive(Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct Batch {
    /// The job: q6, derived from TPC-H's query 6, in exact integers. `wharf batch run q6` is the same.
    #[arg(value_name = "JOB")]
    word: String,
    /// The job, where a verb stands before it.
    #[arg(hide = true)]
    job: Option<String>,
    /// Scale factor of the rows that are made; 1 is 6,001,215 rows.
    #[arg(long, value_name = "F", default_value_t = 1.0, value_parser = scale, conflicts_with = "input", allow_negative_numbers = true)]
    scale: f64,
    /// A Parquet file with lineitem's columns, instead of rows that are made.
    #[arg(long, value_name = "FILE.parquet")]
    input: Option<PathBuf>,
    /// The device, e.g. cpu, wgpu:0, cuda:0 or sim:gen5x16,h200; the best one unless said otherwise.
    #[arg(long, value_name = "D")]
    device: Option<String>,
    #[command(flatten)]
    bound: devices::Bound,
    /// On the device cpu, run only this form of the kernel; unless said otherwise the one that was measured
    /// to be faster.
    #[arg(long, value_name = "native|simt", value_enum, hide_possible_values = true)]
    twin: Option<devices::Form>,
    /// Staging memory it may hold, e.g. 64MiB; 256MiB unless said otherwise.
    #[arg(long, value_name = "BYTES", value_parser = args::bytes, allow_hyphen_values = true)]
    memory: Option<u64>,
    /// Also time the kernel on the CPU device beside a plain loop and rayon, from columns in memory.
    #[arg(long)]
    compare: bool,
    /// Where the device fails, end the run instead of going on with the CPU device.
    #[arg(long)]
    no_fallback: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// What the answer is held against.
#[derive(Debug)]
struct Expected {
    answer: String,
    /// By TPC-H; else it was computed on the host.
    is_published: bool,
}

impl Expected {
    fn is_met(&self, report: &Report) -> bool {
        self.answer == report.answer.to_string()
    }
}

/// Which numbers are scale factors [`Lineitem::new`] says.
fn scale(text: &str) -> Result<f64, String> {
    let (least, most) = (Lineitem::LEAST_SCALE, Lineitem::MOST_SCALE);
    text.parse().map_err(|_| format!("0, or a number from {least} to {most}, is expected, e.g. 0.1"))
}

impl Batch {
    pub(crate) fn run(&self) -> Outcome {
        self.check_job()?;
        let memory_bytes = self.memory.unwrap_or(Budget::MEMORY_BYTES);
        // What the command line alone decides is said before anything is opened.
        Budget::within(memory_bytes, 1).map_err(|e| Failure::usage(format_args!("--memory: {e}")))?;
        let made = match &self.input {
            None => Some(Lineitem::new(self.scale).map_err(|e| Failure::usage(format_args!("--{e}")))?),
            Some(_) => None,
        };
        let device = devices::open_with(self.device.as_deref(), self.bound, self.twin)?;
        let _at_the_end = Telling::of(&device);
        let file = self.input.as_ref().map(ParquetFile::open).transpose().map_err(failure)?;
        let source: &dyn Source = match (&made, &file) {
            (Some(made), _) => made,
            (None, Some(file)) => file,
            (None, None) => unreachable!("rows are made or read"),
        };
        let report = run(&device, source, memory_bytes, !self.no_fallback)?;
        let compared = if self.compare { Some(compared(source).map_err(failure)?) } else { None };
        let (comparison, on_host) = compared.unzip();
        let expected = if self.input.is_none() && self.scale == 1.0 {
            Some(Expected { answer: Revenue::AT_SCALE_1.to_owned(), is_published: true })
        } else {
            // Whoever simulates a device wants to know whether its faults are noticed.
            let on_host = match on_host {
                None if report.is_simulated() => Some(verified(source).map_err(failure)?),
                on_host => on_host,
            };
            on_host.map(|answer| Expected { answer: answer.to_string(), is_published: false })
        };
        if self.json {
            output::json(&document::of(&report, comparison.as_ref(), expected.as_ref()))?;
        } else {
            output::text(&table::of(&report, comparison.as_ref(), expected.as_ref()))?;
        }
        fell_short(&report, comparison.as_ref(), expected.as_ref())
    }

    /// The job's name, behind at most one verb.
    fn check_job(&self) -> Outcome {
        let job = match (self.word.as_str(), self.job.as_deref()) {
            (verb, _) if VERBS[1..].contains(&verb) => return Err(Failure::reserved(&format!("batch {verb}"))),
            ("run", Some(job)) => job,
            (verb, Some(_)) => {
                return Err(Failure::usage(format_args!(
                    "`{verb}` is no verb of batch, there is: {}",
                    VERBS.join(", ")
                )));
            }
            (job, None) => job,
        };
        match job {
            "q6" => Ok(()),
            job if job.ends_with(".toml") => Err(Failure::reserved("batch JOB.toml")),
            job => Err(Failure::usage(format_args!("there is no job `{job}`, there is: q6"))),
        }
    }
}

/// What is told on a terminal while rows go by: how many of them, and how fast.
fn bar(source: &dyn Source, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(source.rows_expected()), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{prefix}{bar:30} {human_pos} of {human_len} rows, {per_sec}, {eta} left");
    bar.set_style(style.expect("a template of known words"));
    bar.with_prefix(what)
}

fn pass(bar: &ProgressBar, rows: u64) {
    bar.set_length(bar.length().unwrap_or(0).max(rows));
    bar.set_position(rows);
}

/// The answer, computed once more on the host: it takes a while, and says so.
fn verified(source: &dyn Source) -> Result<Revenue, Error> {
    let bar = bar(source, "verifying on the host: ");
    let progress = |rows| pass(&bar, rows);
    let answer = wharf_batch::answer_on_host(source, &Query::VALIDATION, interrupt::listen(), &progress);
    bar.finish_and_clear();
    answer
}

fn run(device: &Device, source: &dyn Source, memory_bytes: u64, may_fall_back: bool) -> Outcome<Report> {
    let bar = bar(source, "");
    let progress = |rows| pass(&bar, rows);
    let to_the_cpu = |failed: &Device, error: &Error| {
        let next = wharf_batch::to_the_cpu(failed, error)?;
        bar.suspend(|| eprintln!("wharf: {} failed ({error}): going on with {}", failed.id(), next.id()));
        Some(next)
    };
    let fallback: &Fallback<'_> = if may_fall_back { &to_the_cpu } else { &wharf_batch::no_fallback };
    let options = Options { memory_bytes, stop: interrupt::listen(), progress: &progress, fallback };
    let report = wharf_batch::run(device, source, &Query::VALIDATION, &options);
    bar.finish_and_clear();
    report.map_err(failure)
}

/// On the CPU device, whatever the job ran on: the other two ways are on the CPU. The answer is the plain
/// loop's.
fn compared(source: &dyn Source) -> Result<(Comparison, Revenue), Error> {
    let device = Device::open("cpu")?;
    let table = Table::read(source)?;
    Ok((compare::compare(&device, &table, &Query::VALIDATION)?, table.answer(&Query::VALIDATION)))
}

/// The job's errors by whether trying again is any use.
fn failure(error: Error) -> Failure {
    let code = match error {
        Error::Interrupted { .. } => INTERRUPTED,
        Error::MemoryTooSmall { .. } | Error::Scale { .. } => exit::USAGE,
        ref error if error.is_transient() => TRY_AGAIN,
        _ => PERMANENT,
    };
    let help = if let Error::Device(error) = &error { exit::help(error) } else { "" };
    Failure::new(code, format_args!("{error}{help}"))
}

/// A wrong answer, or more memory than promised, is not passed over in silence.
fn fell_short(report: &Report, comparison: Option<&Comparison>, expected: Option<&Expected>) -> Outcome {
    let wrong = match expected {
        Some(expected) if !expected.is_met(report) => {
            let whose = if expected.is_published { "the published" } else { "the host's" };
            format!("the answer {} is not {whose} {}", report.answer, expected.answer)
        }
        _ if report.peak_staging_bytes > report.memory_bytes => {
            format!("{} bytes of staging passed --memory of {}", report.peak_staging_bytes, report.memory_bytes)
        }
        _ if comparison.is_some_and(|c| !c.agree) => "the compared answers differ".to_owned(),
        _ => return Ok(()),
    };
    Err(Failure::new(FELL_SHORT, wrong))
}
