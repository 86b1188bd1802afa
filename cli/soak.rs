//! `wharf soak`: random messages with faults, for as long as wanted, all of them checked.

use std::{collections::BTreeMap, fmt::Write, sync::atomic::Ordering::Relaxed, time::Duration};

use clap::Args;
use serde::Serialize;
use wharf::{Device, Twin};
use wharf_kernels::soak::{self, Report};

use crate::{
    args, devices,
    exit::{FELL_SHORT, Failure, INTERRUPTED, Outcome},
    faults::Telling,
    interrupt, output,
};

/// The device whose faults are scripted: another script each time it is opened.
const FAULTY: &str = "faulty";

const AFTER: &str = "\
Exit codes: 0 nothing was violated; 1 something was: a message lost, doubled or with wrong data, or memory that
grows; 2 wrong usage, or no such device; 130 Ctrl-C.

--device-memory is for the devices but `faulty`: it is as its seed has it.";

/// Send random messages for a long time, on sound devices and on one with faults, and check all of them.
#[derive(Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct Soak {
    /// How long, in minutes, shared evenly by the devices.
    #[arg(long, value_name = "M", value_parser = minutes, allow_negative_numbers = true)]
    minutes: f64,
    /// A device, as often as wanted: cpu, wgpu:0, ..., or `faulty`, a simulated one with random faults. All
    /// that there are unless said otherwise.
    #[arg(long, value_name = "D")]
    device: Vec<String>,
    #[command(flatten)]
    bound: devices::Bound,
    /// What the random choices follow from.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = args::whole, allow_negative_numbers = true)]
    seed: u64,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// About two years.
const MOST_MINUTES: f64 = 1e6;

fn minutes(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|m: &f64| *m > 0.0 && *m <= MOST_MINUTES);
    number.ok_or_else(|| format!("a number of minutes over 0 and up to {MOST_MINUTES} is expected, e.g. 0.5"))
}

/// Of an error that names what a device may be called, also the name that only this command knows.
fn or_faulty(error: wharf::Error) -> Failure {
    match error {
        wharf::Error::Unavailable { .. } => Failure::usage(format_args!("{error}; for soak there is also `{FAULTY}`")),
        error => error.into(),
    }
}

/// `90 minutes`, `2.5 minutes`, `36 seconds`: three digits, and none that say nothing.
fn words(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let (number, unit) = if seconds < 60.0 { (seconds, "second") } else { (seconds / 60.0, "minute") };
    let digits = (2 - number.max(1.0).log10().floor() as i32).max(0);
    let step = 10_f64.powi(digits);
    let rounded = (number * step).round() / step;
    format!("{rounded} {unit}{}", if rounded == 1.0 { "" } else { "s" })
}

#[derive(Debug, Serialize)]
struct Document {
    schema: u32,
    command: &'static str,
    minutes: f64,
    seed: u64,
    devices: Vec<Entry>,
}

#[derive(Debug, Serialize)]
struct Entry {
    device: String,
    rounds: u64,
    /// How often it was opened: again when it was lost, and now and then.
    opened: u64,
    messages: u64,
    verified_bytes: u64,
    outcomes: BTreeMap<&'static str, u64>,
    /// Resident bytes: when warm, the most, and what they may be; `null` where the system does not tell, and
    /// where the run was too short to be warm.
    memory_baseline: Option<u64>,
    memory_most: Option<u64>,
    memory_ceiling: Option<u64>,
    violations: Vec<String>,
}

impl Soak {
    pub(crate) fn run(&self) -> Outcome {
        let named = if self.device.is_empty() {
            let found = Device::discover().into_iter().map(|found| found.id);
            found.chain([FAULTY.to_owned()]).collect()
        } else {
            self.device.clone()
        };
        self.bound.at_least(soak::LEAST_DEVICE_BYTES)?;
        let open = |name: &str| self.bound.open(Some(name), Twin::Any);
        // A name that is wrong is said before hours have passed.
        for name in named.iter().filter(|name| *name != FAULTY) {
            open(name).map_err(or_faulty)?;
        }
        let stop = interrupt::listen();
        let time = Duration::from_secs_f64(self.minutes * 60.0 / named.len() as f64);
        let mut devices = Vec::new();
        for name in named {
            eprintln!("wharf: {name} for {}", words(time));
            // One thread, so that what a faulty device does follows from the seed.
            let threads = if name == FAULTY { 1 } else { 2 };
            let options = soak::Options { time, seed: self.seed, threads, stop };
            let at_the_end = Telling::of_several();
            // What a faulty device's script has not come to means nothing: it is another each time.
            let open_again = |number: u64| match name.as_str() {
                FAULTY => soak::faulty(self.seed.wrapping_add(number)),
                name => at_the_end.next(|| open(name)),
            };
            devices.push(Entry::of(name.clone(), soak::run(&open_again, &options)?));
            if stop.load(Relaxed) {
                break;
            }
        }
        let document =
            Document { schema: output::SCHEMA, command: "soak", minutes: self.minutes, seed: self.seed, devices };
        if self.json {
            output::json(&document)?
        } else {
            output::text(&table(&document))?
        }
        match document.devices.iter().flat_map(|entry| &entry.violations).next() {
            Some(violation) => Err(Failure::new(FELL_SHORT, violation)),
            None if stop.load(Relaxed) => Err(Failure::new(INTERRUPTED, "interrupted")),
            None => Ok(()),
        }
    }
}

impl Entry {
    fn of(device: String, report: Report) -> Self {
        Self {
            device,
            rounds: report.rounds,
            opened: report.devices,
            messages: report.messages,
            verified_bytes: report.verified_bytes,
            outcomes: report.outcomes,
            memory_baseline: report.memory.map(|memory| memory.baseline),
            memory_most: report.memory.map(|memory| memory.most),
            memory_ceiling: report.memory.and_then(|memory| memory.ceiling),
            violations: report.violations,
        }
    }
}

fn table(document: &Document) -> String {
    let mut text = String::new();
    for entry in &document.devices {
        let Entry { device, rounds, opened, messages, verified_bytes, .. } = entry;
        let verified = *verified_bytes as f64 / f64::from(1 << 20);
        let _ = writeln!(text, "{device}: {messages} messages in {rounds} rounds, opened {opened} times");
        let _ = writeln!(text, "  verified  {verified:.1} MiB of downloads");
        let mib = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64 / f64::from(1 << 20));
        let memory = [entry.memory_baseline, entry.memory_most, entry.memory_ceiling].map(mib);
        if let [Some(first), Some(most), Some(ceiling)] = memory {
            let _ = writeln!(text, "  memory    {first:.1} MiB when warm, {most:.1} at most, {ceiling:.1} allowed");
        }
        for (what, count) in &entry.outcomes {
            let _ = writeln!(text, "  {count:>10} {what}");
        }
        let violations = entry.violations.len();
        let _ = writeln!(text, "  {violations:>10} violation{}", if violations == 1 { "" } else { "s" });
        for violation in &entry.violations {
            let _ = writeln!(text, "    {violation}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_words() {
        let told = |minutes: f64| words(Duration::from_secs_f64(minutes * 60.0));
        for (minutes, expected) in [
            (0.01, "0.6 seconds"),
            (0.6, "36 seconds"),
            (1.0, "1 minute"),
            (2.5, "2.5 minutes"),
            (1.0 / 3.0, "20 seconds"),
            (90.0, "90 minutes"),
            (1440.0, "1440 minutes"),
        ] {
            assert_eq!(told(minutes), expected);
        }
    }
}
