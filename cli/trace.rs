//! `wharf trace`: what each device did when, for ui.perfetto.dev and chrome://tracing.
//!
//! Source: "Trace Event Format" (the Chromium project), complete events.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf, thread::ThreadId, time::Instant};

use clap::Args;
use serde_json::{Value, json};
use wharf::{
    Lane, Receipt,
    trace::{self, HostSpan, Span},
};

use crate::{
    args,
    exit::{Failure, INTERRUPTED, Outcome},
    output, panics,
};

/// Record a trace of another command; the exit code is the other command's.
///
/// The trace is written whenever the other command ran, also where it failed, and stderr says where
/// and how many messages. After Ctrl-C, or where the other command's own words are wrong, nothing is written.
#[derive(Debug, Args)]
pub(crate) struct Trace {
    /// The file that is written.
    out: PathBuf,
    /// The command, behind `--`, without `wharf`.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Trace {
    pub(crate) fn run(&self) -> Outcome {
        let name = std::iter::once(OsString::from("wharf"));
        // `wharf` may be written once more, as one would type the command.
        let words = self.command.iter().enumerate().filter(|(i, word)| !(*i == 0 && **word == "wharf"));
        let inner = args::parse(name.chain(words.map(|(_, word)| word.clone())))?;
        if matches!(inner, args::Command::Trace(_)) {
            return Err(Failure::usage("a trace of a trace is no use"));
        }
        if matches!(&inner, args::Command::Run(run) if run.writes(&self.out)) {
            return Err(Failure::usage(format_args!("{}: the file is named twice", self.out.display())));
        }
        output::check(&self.out)?;
        let began = trace::start();
        let outcome = panics::catch(|| inner.run());
        if matches!(&outcome, Err(failure) if failure.code == INTERRUPTED) {
            return outcome;
        }
        let (spans, host) = (trace::take(), trace::take_host());
        let text = serde_json::to_vec(&document(&spans, &host, began)).expect("plain data");
        // The inner command's outcome comes first; a trace that cannot be written is told where
        // there is nothing else to tell.
        let written = output::files(&[(self.out.clone(), text)]);
        if written.is_ok() {
            let messages = if spans.len() == 1 { "message" } else { "messages" };
            output::note(format_args!("trace: {}, {} {messages}", self.out.display(), spans.len()));
        }
        outcome.and(written)
    }
}

/// One process for each device, one track for each of its lanes; one for the host, if it has stages.
fn document(spans: &[Span], host: &[HostSpan], began: Instant) -> Value {
    let mut devices: BTreeMap<&str, usize> = BTreeMap::new();
    let mut events = Vec::new();
    for span in spans {
        let next = devices.len() + 1;
        let pid = *devices.entry(span.receipt.device()).or_insert_with(|| {
            events.push(json!({
                "name": "process_name", "ph": "M", "pid": next, "tid": 0,
                "args": { "name": span.receipt.device() },
            }));
            for (tid, name) in TRACKS.iter().enumerate() {
                events.push(json!({
                    "name": "thread_name", "ph": "M", "pid": next, "tid": tid, "args": { "name": name },
                }));
            }
            next
        });
        events.extend(event(span, pid, began));
    }
    events.extend(counters(spans, &devices, began));
    events.extend(stages(host, devices.len() + 1, began));
    json!({ "traceEvents": events, "displayTimeUnit": "ms", "otherData": { "schema": output::SCHEMA } })
}

const TRACKS: [&str; 4] = ["fences", "upload", "compute", "download"];

fn event(span: &Span, pid: usize, began: Instant) -> Option<Value> {
    let Receipt { id, tag, chunks, together, why, lane, path, form, bytes, accepted, submitted, started, .. } =
        &span.receipt;
    let (tid, kind) = match lane {
        None => (0, "fence"),
        Some(Lane::Upload) => (1, "upload"),
        Some(Lane::Compute) => (2, "compute"),
        Some(Lane::Download) => (3, "download"),
    };
    let us = |at: Instant| at.saturating_duration_since(began).as_secs_f64() * 1e6;
    let end = span.receipt.finished.or(span.receipt.delivered)?;
    let start = started.or(*submitted).unwrap_or(*accepted).min(end);
    let mut args = json!({
        "id": id.number(),
        "tag": tag,
        "queue": span.receipt.queue(),
        "bytes": bytes,
        "path": path.to_string(),
        "why": why,
        "form": form,
        "chunks": chunks,
        "together": together,
        "behind": span.receipt.behind().commands,
        "accepted_us": us(*accepted),
        "delivered_us": span.receipt.delivered.map(us),
        "device_seconds": span.receipt.device_seconds,
        "error": span.error.as_ref().map(|e| e.to_string()),
    });
    let mut name = span.receipt.label().unwrap_or(kind).to_owned();
    if span.receipt.shares_its_time() {
        name += &format!(" (one of {together} together)");
        args["shared"] = true.into();
    }
    if let Some(rate) = span.receipt.gbytes_per_s() {
        args["gbytes_per_s"] = rate.into();
    }
    Some(json!({
        "name": name,
        "cat": kind,
        "ph": "X",
        "pid": pid,
        "tid": tid,
        "ts": us(start),
        "dur": us(end) - us(start),
        "args": args,
    }))
}

/// What the host did between messages: one track for each stage, and one more for each further thread that does it,
/// as what stands on one track must not overlap.
fn stages(host: &[HostSpan], pid: usize, began: Instant) -> Vec<Value> {
    let mut events = Vec::new();
    let mut tracks: Vec<(&str, ThreadId)> = Vec::new();
    if !host.is_empty() {
        events.push(json!({
            "name": "process_name", "ph": "M", "pid": pid, "tid": 0, "args": { "name": "host" },
        }));
    }
    for span in host {
        let track = (span.name, span.thread);
        let tid = tracks.iter().position(|known| *known == track).unwrap_or_else(|| {
            let name = match tracks.iter().filter(|(name, _)| *name == span.name).count() {
                0 => span.name.to_owned(),
                others => format!("{} {}", span.name, others + 1),
            };
            events.push(json!({
                "name": "thread_name", "ph": "M", "pid": pid, "tid": tracks.len(), "args": { "name": name },
            }));
            tracks.push(track);
            tracks.len() - 1
        });
        let us = |at: Instant| at.saturating_duration_since(began).as_secs_f64() * 1e6;
        events.push(json!({
            "name": span.name,
            "cat": "host",
            "ph": "X",
            "pid": pid,
            "tid": tid,
            "ts": us(span.began),
            "dur": us(span.ended) - us(span.began),
            "args": { "tag": span.tag, "device": &*span.device },
        }));
    }
    events
}

/// For each queue how many of its messages were accepted and not delivered, which is how many credits are in
/// use, and how many of them the driver had, whenever that changed.
fn counters(spans: &[Span], devices: &BTreeMap<&str, usize>, began: Instant) -> Vec<Value> {
    type Changes = BTreeMap<Instant, (i64, i64)>;
    let mut changes: BTreeMap<(usize, &str), Changes> = BTreeMap::new();
    for Span { receipt, .. } in spans {
        let of = changes.entry((devices[receipt.device()], receipt.queue())).or_default();
        let mut change = |at: Option<Instant>, accepted, submitted| {
            let sum = at.map(|at| of.entry(at).or_default());
            sum.into_iter().for_each(|sum| *sum = (sum.0 + accepted, sum.1 + submitted));
        };
        let Some(end) = receipt.delivered else { continue };
        change(Some(receipt.accepted), 1, 0);
        change(Some(end), -1, 0);
        change(receipt.submitted, 0, 1);
        change(receipt.submitted.map(|from| receipt.finished.unwrap_or(end).min(end).max(from)), 0, -1);
    }
    let us = |at: Instant| at.saturating_duration_since(began).as_secs_f64() * 1e6;
    let mut events = Vec::new();
    for ((pid, queue), changes) in changes {
        let (mut credits, mut driver) = (0, 0);
        for (at, (accepted, submitted)) in changes {
            (credits, driver) = (credits + accepted, driver + submitted);
            events.push(json!({
                "name": format!("queue `{queue}`"), "ph": "C", "pid": pid, "tid": 0, "ts": us(at),
                "args": { "credits in use": credits, "in driver": driver },
            }));
        }
    }
    events
}
