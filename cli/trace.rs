//! `wharf trace`: what each device did when, for ui.perfetto.dev and chrome://tracing.
//!
//! Source: "Trace Event Format" (the Chromium project): complete events, and async ones (`b` and `e`).

mod tracks;

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf, time::Instant};

use clap::Args;
use serde_json::{Value, json};
use wharf::{
    BackendKind, Lane, Receipt,
    trace::{self, HostSpan, Span},
};

use self::tracks::Interval;
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

/// One process for each device and one for the host, if it has stages; of those with a virtual clock each has another
/// for the host.
fn document(spans: &[Span], host: &[HostSpan], began: Instant) -> Value {
    let mut devices: Vec<(&str, Vec<&Span>)> = Vec::new();
    for span in spans {
        entry(&mut devices, span.receipt.device()).push(span);
    }
    let names = devices.iter().map(|(device, _)| *device).chain(host.iter().map(|span| &*span.device));
    let clocks = Clocks::of(names);
    let mut pids: BTreeMap<&str, usize> = BTreeMap::new();
    let mut events = Vec::new();
    let mut id = 0;
    for (device, spans) in &devices {
        let pid = pids.len() + 1;
        pids.insert(device, pid);
        events.push(named("process_name", pid, 0, &clocks.named(device, device)));
        events.extend(messages(spans, pid, began, &mut id));
    }
    events.extend(counters(spans, &pids, began));
    events.extend(stages(host, &clocks, devices.len() + 1, began));
    json!({ "traceEvents": events, "displayTimeUnit": "ms", "otherData": { "schema": output::SCHEMA } })
}

/// The name of a process or a track.
fn named(what: &str, pid: usize, tid: usize, name: &str) -> Value {
    json!({ "name": what, "ph": "M", "pid": pid, "tid": tid, "args": { "name": name } })
}

/// Whose time it is: a simulated device's is its own, and says nothing about what others did at the same moment.
struct Clocks {
    /// There are both kinds, so that each is to be told.
    are_mixed: bool,
}

impl Clocks {
    fn of<'a>(devices: impl Iterator<Item = &'a str> + Clone) -> Self {
        let is_any = |simulated| devices.clone().any(|device| Self::is_simulated(device) == simulated);
        Self { are_mixed: is_any(true) && is_any(false) }
    }

    fn is_simulated(device: &str) -> bool {
        device.split(':').next() == Some(&BackendKind::Sim.to_string())
    }

    /// A process whose times are this device's.
    fn named(&self, process: &str, device: &str) -> String {
        match (Self::is_simulated(device), self.are_mixed) {
            (true, _) => format!("{process} (simulated time)"),
            (false, true) => format!("{process} (real time)"),
            (false, false) => process.to_owned(),
        }
    }
}

/// Microseconds, with three decimals: no rounding makes two intervals overlap that do not.
fn us(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_nanos() as f64 / 1e3
}

/// The lanes of a device, in the order of their tracks.
const LANES: [(Lane, &str); 3] = [(Lane::Upload, "upload"), (Lane::Compute, "compute"), (Lane::Download, "download")];

/// One device's messages: those that it had, on tracks of their lane, as many as it did at once; fences, and messages
/// that it never had, beside them, as these may be any number at a time and took nothing of a lane.
fn messages(spans: &[&Span], pid: usize, began: Instant, id: &mut u64) -> Vec<Value> {
    let mut events = Vec::new();
    let mut tid = 1;
    for (lane, name) in LANES {
        let had = spans.iter().filter(|span| span.receipt.lane == Some(lane) && span.receipt.submitted.is_some());
        let (had, intervals): (Vec<_>, Vec<_>) = had.filter_map(|span| Some((span, interval(&span.receipt)?))).unzip();
        let tracks = tracks::tracks(&intervals);
        let count = tracks.iter().max().map_or(1, |most| most + 1);
        for track in 0..count {
            events.push(named("thread_name", pid, tid + track, &tracks::numbered(name, track)));
            let order = json!({ "sort_index": tid + track });
            events.push(json!({
                "name": "thread_sort_index", "ph": "M", "pid": pid, "tid": tid + track, "args": order,
            }));
        }
        for ((span, (start, end)), track) in had.into_iter().zip(intervals).zip(tracks) {
            let mut event = event(span, name, began);
            event["ph"] = "X".into();
            (event["pid"], event["tid"]) = (pid.into(), (tid + track).into());
            (event["ts"], event["dur"]) = (us(began, start).into(), us(start, end).into());
            events.push(event);
        }
        tid += count;
    }
    for span in spans.iter().filter(|span| span.receipt.lane.is_none() || span.receipt.submitted.is_none()) {
        let Some((start, end)) = interval(&span.receipt) else { continue };
        let lane = LANES.iter().find(|(lane, _)| span.receipt.lane == Some(*lane));
        let mut event = event(span, lane.map_or("fence", |(_, name)| name), began);
        *id += 1;
        (event["id"], event["pid"], event["tid"]) = ((*id).into(), pid.into(), 0.into());
        let mut ends = event.clone();
        ends["args"] = json!({});
        (event["ph"], event["ts"]) = ("b".into(), us(began, start).into());
        (ends["ph"], ends["ts"]) = ("e".into(), us(began, end).into());
        events.extend([event, ends]);
    }
    events
}

/// From when until when a message was under way; `None` where nobody knows its end.
fn interval(receipt: &Receipt) -> Option<Interval> {
    let end = receipt.finished.or(receipt.delivered)?;
    Some((receipt.started.or(receipt.submitted).unwrap_or(receipt.accepted).min(end), end))
}

/// What is known of a message but for its place.
fn event(span: &Span, kind: &str, began: Instant) -> Value {
    let Receipt { id, tag, chunks, together, why, path, form, bytes, accepted, .. } = &span.receipt;
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
        "accepted_us": us(began, *accepted),
        "delivered_us": span.receipt.delivered.map(|at| us(began, at)),
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
    json!({ "name": name, "cat": kind, "args": args })
}

/// What the host did between messages: for each stage as many tracks as it was done at once. Times are the device's:
/// each virtual clock has a process of its own.
fn stages(host: &[HostSpan], clocks: &Clocks, first: usize, began: Instant) -> Vec<Value> {
    type Stages<'a> = Vec<(&'a str, Vec<&'a HostSpan>)>;
    let mut processes: Vec<(String, Stages)> = Vec::new();
    let mut events = Vec::new();
    for span in host {
        let device = &*span.device;
        let process = if Clocks::is_simulated(device) { format!("host of {device}") } else { "host".to_owned() };
        let stages = entry(&mut processes, clocks.named(&process, device));
        entry(stages, span.name).push(span);
    }
    for (i, (process, stages)) in processes.iter().enumerate() {
        let (pid, mut tid) = (first + i, 0);
        events.push(named("process_name", pid, 0, process));
        for (name, spans) in stages {
            let tracks = tracks::tracks(&spans.iter().map(|span| (span.began, span.ended)).collect::<Vec<_>>());
            let count = tracks.iter().max().map_or(0, |most| most + 1);
            let names = (0..count).map(|track| named("thread_name", pid, tid + track, &tracks::numbered(name, track)));
            events.extend(names);
            events.extend(spans.iter().zip(tracks).map(|(span, track)| {
                json!({
                    "name": span.name,
                    "cat": "host",
                    "ph": "X",
                    "pid": pid,
                    "tid": tid + track,
                    "ts": us(began, span.began),
                    "dur": us(span.began, span.ended),
                    "args": { "tag": span.tag, "device": &*span.device },
                })
            }));
            tid += count;
        }
    }
    events
}

/// What is kept under `key`, in the order in which keys came.
fn entry<K: PartialEq, V: Default>(entries: &mut Vec<(K, V)>, key: K) -> &mut V {
    let known = entries.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
        entries.push((key, V::default()));
        entries.len() - 1
    });
    &mut entries[known].1
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
    let mut events = Vec::new();
    for ((pid, queue), changes) in changes {
        let (mut credits, mut driver) = (0, 0);
        for (at, (accepted, submitted)) in changes {
            (credits, driver) = (credits + accepted, driver + submitted);
            events.push(json!({
                "name": format!("queue `{queue}`"), "ph": "C", "pid": pid, "tid": 0, "ts": us(began, at),
                "args": { "credits in use": credits, "in driver": driver },
            }));
        }
    }
    events
}
