//! `wharf bench --quick`: what the link gives, by size, and how long a small message takes.

mod measure;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use wharf::Device;

use crate::{
    devices,
    exit::{FELL_SHORT, Failure, Outcome},
    faults::Telling,
    output,
};

/// Measure transfers.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// `compare A.json B.json` is a reserved form.
    #[arg(hide = true)]
    words: Vec<String>,
    /// Sizes from 1 KiB to 256 MiB, seconds per device. The default.
    #[arg(long)]
    quick: bool,
    /// Reserved.
    #[arg(long, hide = true, conflicts_with = "quick")]
    full: bool,
    /// A device, several times for several; also a simulated one, e.g. sim:gen5x16,h200. Unless said
    /// otherwise the one that WHARF_DEVICE names, else the CPU device and all GPUs, but no software adapters.
    #[arg(long = "device", value_name = "D")]
    devices: Vec<String>,
    #[command(flatten)]
    bound: devices::Bound,
    /// A folder for bench.json.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print one JSON document with all raw samples.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Document {
    schema: u32,
    command: &'static str,
    mode: &'static str,
    devices: Vec<DeviceFigures>,
}

#[derive(Debug, Serialize)]
struct DeviceFigures {
    device: String,
    device_name: String,
    /// Runs on the host's cores: its figures say nothing of a link.
    software: bool,
    /// Its figures are computed, not measured.
    simulated: bool,
    transfers: Vec<Transfer>,
    /// `None` where the device failed before there was a sample.
    latency: Option<Latency>,
    /// Why this and what would have come after it was not measured; `None` where all was.
    failed: Option<String>,
}

/// One direction at one size.
#[derive(Debug, Serialize)]
struct Transfer {
    /// `upload`, `upload filled in place` (without the filling) or `download`.
    direction: &'static str,
    path: String,
    bytes: u64,
    /// The median, in 10^9 bytes per second, from acceptance to delivery; `None` where nothing was
    /// copied.
    gbytes_per_s: Option<f64>,
    /// What came back was compared with what went.
    verified: bool,
    /// `false` where the device failed before there were all samples.
    complete: bool,
    /// Seconds of each message from acceptance to delivery.
    samples: Vec<f64>,
}

/// Four bytes to the device, one message at a time.
#[derive(Debug, Serialize)]
struct Latency {
    p50: f64,
    p99: f64,
    max: f64,
    /// `false` where the device failed before there were all samples.
    complete: bool,
    /// Seconds of each message from acceptance to delivery.
    samples: Vec<f64>,
}

impl Bench {
    pub(crate) fn run(&self) -> Outcome {
        match self.words.first().map(String::as_str) {
            None => {}
            Some("compare") => return Err(Failure::reserved("bench compare")),
            Some(word) => return Err(Failure::usage(format_args!("`{word}` is unexpected; see `wharf help bench`"))),
        }
        if self.full {
            return Err(Failure::reserved("bench --full"));
        }
        let file = self.out.as_ref().map(|folder| folder.join("bench.json"));
        if let Some(file) = &file {
            output::check(file)?;
        }
        let devices = self.devices()?;
        let _at_the_end: Vec<_> = devices.iter().map(Telling::of).collect();
        let (mut measured, mut failed) = (Vec::new(), None);
        for device in &devices {
            let (mut figures, end) = figures(device);
            if let Err(failure) = end {
                figures.failed = Some(failure.line.clone());
                failed = Some(failure);
            }
            measured.push(figures);
            if failed.is_some() {
                break;
            }
        }
        // Without a word the quick one is meant: there is no other yet.
        let document = Document { schema: output::SCHEMA, command: "bench", mode: "quick", devices: measured };
        if let Some(failure) = failed {
            // What was measured is printed; a file is whole or it is not there. Of the two that may go wrong, the
            // device counts.
            let _ = if self.json { output::json(&document) } else { output::text(&table(&document)) };
            return Err(failure);
        }
        if let Some(file) = file {
            let text = serde_json::to_vec_pretty(&document).expect("our documents are plain data");
            output::files(&[(file, text)])?;
        }
        if self.json {
            output::json(&document)?;
        } else {
            output::text(&table(&document))?;
        }
        let wrong = document.devices.iter().find(|d| d.transfers.iter().any(|t| !t.verified));
        match wrong {
            Some(wrong) => Err(Failure::new(FELL_SHORT, format_args!("{}: data came back changed", wrong.device))),
            None => Ok(()),
        }
    }

    /// Those named here, else the one that the environment names; else all that are there, of the
    /// software adapters none.
    fn devices(&self) -> Outcome<Vec<Device>> {
        if !self.devices.is_empty() {
            return self.devices.iter().map(|name| devices::open(Some(name), self.bound)).collect();
        }
        if devices::named().is_some() {
            return Ok(vec![devices::open(None, self.bound)?]);
        }
        let found = Device::discover();
        let real = found
            .iter()
            .filter(|f| f.kind == wharf::BackendKind::Cpu || f.capabilities.as_ref().is_some_and(|c| !c.software));
        real.map(|found| devices::open(Some(&found.id), self.bound)).collect()
    }
}

/// What was measured, and whether that is all.
fn figures(device: &Device) -> (DeviceFigures, Outcome) {
    let mut figures = DeviceFigures {
        device: device.id().to_owned(),
        device_name: device.capabilities().name.clone(),
        software: device.capabilities().software,
        simulated: device.capabilities().is_simulated(),
        transfers: Vec::new(),
        latency: None,
        failed: None,
    };
    let (latency, end) = measure::latency(device);
    figures.latency = latency;
    let end = end.and_then(|()| measure::transfers(device, &mut figures.transfers));
    (figures, end)
}

fn table(document: &Document) -> String {
    let mut text = String::new();
    for DeviceFigures { device, device_name, software, simulated, transfers, latency, failed } in &document.devices {
        let software = if *software { ", software" } else { "" };
        text += &format!("{device} ({device_name}{software})\n");
        let clock = if *simulated { "simulated: " } else { "" };
        if let Some(latency) = latency {
            let [p50, p99, max] = [latency.p50, latency.p99, latency.max].map(|seconds| seconds * 1e6);
            text += &format!(
                "  {clock}4-byte message, accepted to delivered: p50 {p50:.1} us, p99 {p99:.1} us, max {max:.1} us, {} samples{}\n",
                latency.samples.len(),
                if latency.complete { "" } else { ", incomplete" }
            );
        }
        if !transfers.is_empty() {
            text += &format!("  {clock:<24}{:>12}{:>10}{:>10}  path\n", "bytes", "GB/s", "samples");
        }
        for Transfer { direction, path, bytes, gbytes_per_s, verified, complete, samples } in transfers {
            let rate = gbytes_per_s.map_or("no copy".to_owned(), |rate| format!("{rate:.3}"));
            let wrong = if *verified { "" } else { "  DATA CHANGED" };
            let few = if *complete { "" } else { "  incomplete" };
            text += &format!("  {direction:<24}{bytes:>12}{rate:>10}{:>10}  {path}{few}{wrong}\n", samples.len());
        }
        if let Some(why) = failed {
            text += &format!("  the rest was not measured: {why}\n");
        }
    }
    text
}
