//! Fill, upload, launch, download, merge: several batches at once, within a memory bound.
//!
//! Workers take a free slot, write rows straight into its staging memory and send the three
//! messages behind each other; the device orders them by the buffers they touch. The calling thread
//! merges what comes back and frees the slot. Nothing waits but for a free slot.

mod busy;
mod slot;
mod solo;
mod worker;

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use crossbeam::{channel, select};
use wharf::{Completion, CompletionQueue, Device, Lane, Receipt};

use self::{
    busy::Busy,
    slot::Slot,
    worker::{Shared, Worker},
};
use crate::{
    budget::Budget,
    error::{Error, Result},
    overlap::{self, Stages},
    q6::{self, Query, Revenue},
    report::Report,
    source::{Pass, Source},
};

/// What a run is given besides its data.
pub struct Options<'a> {
    /// Bytes of staging memory it may hold.
    pub memory_bytes: u64,
    /// Set by somebody else to make the run stop soon.
    pub stop: &'a AtomicBool,
    /// Told the rows merged so far, now and then.
    pub progress: &'a dyn Fn(u64),
}

impl fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("memory_bytes", &self.memory_bytes).finish_non_exhaustive()
    }
}

/// The end of a batch, on its way to the merge.
#[derive(Debug)]
struct Batch {
    slot: Slot,
    rows: usize,
}

/// Answers `query` over `source` on `device`.
///
/// # Errors
/// [`Error::MemoryTooSmall`]; those of the source and of the device, after everything in flight has
/// ended; [`Error::Interrupted`].
pub fn run(device: &Device, source: &dyn Source, query: &Query, options: &Options<'_>) -> Result<Report> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let budget = Budget::within(options.memory_bytes, cores.min(source.units()))?;
    solo::warm_up(device, source, query, budget)?;
    let mut tally = Tally::default();
    let began = Instant::now();
    stream(device, source, query, options, budget, &mut tally)?;
    let seconds = began.elapsed().as_secs_f64();
    // After the run, when memory and caches are as warm as they were in it.
    let solo = solo::measure(device, source, query, budget)?;
    let peak_staging_bytes = device.stats().staging_high_water_bytes;

    let capabilities = device.capabilities();
    let engines = overlap::Engines::of(capabilities, cores);
    let overlap = overlap::judge(&solo.scaled(tally.batches), seconds, tally.batches, engines);
    Ok(Report {
        answer: tally.revenue,
        source: source.name(),
        rows: tally.rows,
        batches: tally.batches,
        budget,
        memory_bytes: options.memory_bytes,
        peak_staging_bytes,
        seconds,
        device: device.id().to_owned(),
        device_name: capabilities.name.clone(),
        form: tally.form.unwrap_or("none"),
        path_up: tally.path_up.unwrap_or_default(),
        path_down: tally.path_down.unwrap_or_default(),
        bytes_up: tally.bytes_up,
        bytes_down: tally.bytes_down,
        busy: tally.busy(),
        solo,
        overlap,
    })
}

/// What has been counted so far.
#[derive(Debug, Default)]
struct Tally {
    revenue: Revenue,
    rows: u64,
    batches: u64,
    bytes_up: u64,
    bytes_down: u64,
    fill_seconds: f64,
    merge_seconds: f64,
    upload: Busy,
    kernel: Busy,
    download: Busy,
    form: Option<&'static str>,
    path_up: Option<wharf::Path>,
    path_down: Option<wharf::Path>,
}

impl Tally {
    fn note(&mut self, receipt: &Receipt) {
        match receipt.lane {
            Some(Lane::Upload) => {
                self.upload.add(receipt);
                self.bytes_up += receipt.bytes;
                self.path_up = Some(receipt.path);
            }
            Some(Lane::Download) => {
                self.download.add(receipt);
                self.bytes_down += receipt.bytes;
                self.path_down = Some(receipt.path);
            }
            Some(Lane::Compute) => {
                self.kernel.add(receipt);
                self.form = receipt.form.or(self.form);
            }
            None => {}
        }
    }

    fn busy(&mut self) -> Stages {
        Stages {
            fill: self.fill_seconds,
            upload: self.upload.seconds(),
            kernel: self.kernel.seconds(),
            download: self.download.seconds(),
            merge: self.merge_seconds,
        }
    }

    /// Merges one batch and gives its slot back.
    fn merge(&mut self, batch: Batch, done: Completion<Vec<u32>>) -> Result<Slot> {
        self.note(&done.receipt);
        let began = Instant::now();
        let Batch { mut slot, rows } = batch;
        slot.words = done.ok()?;
        self.revenue += Revenue::of_partials(&slot.words);
        self.rows += rows as u64;
        self.batches += 1;
        self.merge_seconds += began.elapsed().as_secs_f64();
        Ok(slot)
    }
}

fn stream(
    device: &Device,
    source: &dyn Source,
    query: &Query,
    options: &Options<'_>,
    budget: Budget,
    tally: &mut Tally,
) -> Result<()> {
    let (free, free_slots) = channel::bounded(budget.slots);
    for _ in 0..budget.slots {
        let _ = free.send(Slot::new(device, budget.rows)?);
    }
    let (finished, finishes) = channel::bounded(budget.workers);
    let shared = Shared {
        device,
        query,
        pass: Pass::over(source),
        steps: CompletionQueue::new(),
        batches: CompletionQueue::new(),
        stop: AtomicBool::new(false),
    };
    let mut free = Some(free);
    let mut first_error = None;
    thread::scope(|scope| {
        for _ in 0..budget.workers {
            let (finished, free_slots, shared) = (finished.clone(), free_slots.clone(), &shared);
            scope.spawn(move || {
                // A panic in a worker must not leave the merge waiting for its end.
                let work = std::panic::AssertUnwindSafe(|| Worker::new(shared, source)?.work(&free_slots));
                let _ = finished.send(std::panic::catch_unwind(work).unwrap_or(Err(Error::Worker)));
            });
        }
        drop(free_slots);
        let (mut working, mut sent, mut resolved) = (budget.workers, 0, 0);
        while working > 0 || resolved < sent {
            let outcome = select! {
                recv(shared.steps.receiver()) -> step => {
                    let ((), done): ((), Completion<()>) = step.expect("we hold the sending end");
                    tally.note(&done.receipt);
                    Ok(())
                },
                recv(shared.batches.receiver()) -> batch => {
                    let (batch, done) = batch.expect("we hold the sending end");
                    resolved += 1;
                    let merged = tally.merge(batch, done);
                    (options.progress)(tally.rows);
                    merged.map(|slot| drop(free.as_ref().map(|free| free.send(slot))))
                },
                recv(finishes) -> finish => {
                    working -= 1;
                    let finish = finish.expect("we hold a sending end");
                    finish.map(|(batches, fill_seconds)| {
                        sent += batches;
                        tally.fill_seconds += fill_seconds;
                    })
                },
                default(Duration::from_millis(100)) => Ok(()),
            };
            if let Err(error) = outcome {
                first_error.get_or_insert(error);
            }
            if first_error.is_some() || options.stop.load(Relaxed) {
                // Workers that wait for a slot, and those that fill one, end.
                shared.stop.store(true, Relaxed);
                free = None;
            }
        }
    });
    device.drain();
    for ((), done) in shared.steps.receiver().try_iter() {
        tally.note(&done.receipt);
    }
    match first_error {
        Some(error) => Err(error),
        None if options.stop.load(Relaxed) => Err(Error::Interrupted { rows: tally.rows }),
        None => Ok(()),
    }
}

/// Workgroups for so many rows, as the kernel's own grid counts them.
pub(crate) fn groups(rows: usize) -> u32 {
    let (per_group, most) = match q6::kernel().grid() {
        wharf::Grid::Strided { per_group, most, .. } => (per_group, most),
        wharf::Grid::Elements { per_group, .. } => (per_group, u32::MAX),
        _ => (256, 1024),
    };
    u32::try_from(rows.div_ceil(per_group as usize)).unwrap_or(u32::MAX).clamp(1, most)
}
