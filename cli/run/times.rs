//! How long each part of a run took.

use serde::Serialize;
use wharf::{Device, Path, Receipt, Ticket};

use crate::exit::Outcome;

/// The samples of all runs.
#[derive(Debug, Serialize)]
pub(super) struct Times {
    upload: Samples,
    launch: Samples,
    download: Samples,
    /// Which form of the kernel ran.
    #[serde(skip)]
    pub(super) form: Option<&'static str>,
    /// Which way the uploads took.
    #[serde(skip)]
    pub(super) path: Option<Path>,
}

/// Seconds, one sample for each run.
#[derive(Debug, Serialize)]
struct Samples {
    median: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    /// Whose clock: the `device`'s, where it has one, else the `host`'s; of a simulated device the `simulated` one.
    clock: &'static str,
    samples: Vec<f64>,
}

impl Samples {
    fn of(device: &Device) -> Self {
        let clock = if device.capabilities().is_simulated() { "simulated" } else { "device" };
        Self { median: None, min: None, max: None, clock, samples: Vec::new() }
    }

    /// Messages that were sent together: on the device's clock their sum, on the host's the time
    /// from the first start to the last end.
    fn add(&mut self, receipts: &[Receipt]) {
        if receipts.is_empty() {
            return;
        }
        let on_device: Option<f64> = receipts.iter().map(|r| r.device_seconds).sum();
        let on_host = || {
            let start = receipts.iter().filter_map(|r| r.started.or(r.submitted)).min()?;
            let end = receipts.iter().filter_map(|r| r.finished).max()?;
            Some(end.saturating_duration_since(start).as_secs_f64())
        };
        if on_device.is_none() {
            self.clock = "host";
        }
        let Some(seconds) = on_device.or_else(on_host) else { return };
        self.samples.push(seconds);
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        self.median = Some(f64::midpoint(sorted[(n - 1) / 2], sorted[n / 2]));
        (self.min, self.max) = (sorted.first().copied(), sorted.last().copied());
    }
}

impl Times {
    pub(super) fn of(device: &Device) -> Self {
        let [upload, launch, download] = [(); 3].map(|()| Samples::of(device));
        Self { upload, launch, download, form: None, path: None }
    }

    pub(super) fn upload<B: Send>(&mut self, tickets: Vec<Ticket<B>>) -> Outcome {
        let (receipts, _) = wait(tickets)?;
        self.path = receipts.last().map(|receipt| receipt.path).or(self.path);
        self.upload.add(&receipts);
        Ok(())
    }

    pub(super) fn launch(&mut self, ticket: Ticket<()>) -> wharf::Result<()> {
        let (receipts, _) = wait(vec![ticket])?;
        self.form = receipts[0].form.or(self.form);
        self.launch.add(&receipts);
        Ok(())
    }

    pub(super) fn download(&mut self, tickets: Vec<Ticket<Vec<u8>>>) -> Outcome<Vec<Vec<u8>>> {
        let (receipts, buffers) = wait(tickets)?;
        self.download.add(&receipts);
        Ok(buffers)
    }

    pub(super) fn table(&self) -> String {
        let mut text = format!("{:<10}{:>12}{:>12}{:>12}{:>6}\n", "us", "median", "min", "max", "runs");
        for (name, samples) in [("upload", &self.upload), ("launch", &self.launch), ("download", &self.download)] {
            if let (Some(median), Some(min), Some(max)) = (samples.median, samples.min, samples.max) {
                let [median, min, max] = [median, min, max].map(|seconds| seconds * 1e6);
                let (runs, clock) = (samples.samples.len(), samples.clock);
                text += &format!("{name:<10}{median:>12.1}{min:>12.1}{max:>12.1}{runs:>6}  {clock} clock\n");
            }
        }
        text
    }
}

/// All receipts and buffers, or the first failure.
fn wait<B: Send>(tickets: Vec<Ticket<B>>) -> wharf::Result<(Vec<Receipt>, Vec<B>)> {
    let (mut receipts, mut buffers) = (Vec::new(), Vec::new());
    for done in tickets.into_iter().map(Ticket::wait) {
        receipts.push(done.receipt.clone());
        buffers.push(done.ok()?);
    }
    Ok((receipts, buffers))
}
