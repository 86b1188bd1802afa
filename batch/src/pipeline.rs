//! Fill, upload, launch, download, merge: several batches at once, within a memory bound.
//!
//! Workers take a free slot, write rows straight into its staging memory and send the three
//! messages behind each other; the device orders them by the buffers they touch. The calling thread
//! merges what comes back and frees the slot. Nothing waits but for a free slot.
//!
//! A device that fails gives its unfinished batches to the next one ([`Options::fallback`]); one that
//! runs out of memory gets smaller batches first. Each row's result is committed once.

mod attempt;
mod busy;
mod patience;
mod recovery;
mod slot;
mod solo;
mod tally;
mod worker;

use std::{
    cell::Cell,
    fmt,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::Instant,
};

use wharf::Device;

use self::{patience::Watched, recovery::Remedy, tally::Tally};
use crate::{
    budget::Budget,
    error::{Error, Result},
    overlap::{self, Stages},
    q6::{self, Query},
    report::{Failure, Placement, Report, When},
    source::Source,
};

/// Says where a run goes on when a device has failed for this reason; `None` ends it.
pub type Fallback<'a> = dyn Fn(&Device, &Error) -> Option<Device> + 'a;

/// What a run is given besides its data.
pub struct Options<'a> {
    /// Bytes of staging memory it may hold.
    pub memory_bytes: u64,
    /// Set by somebody else to make the run stop soon. A device that has not given back within a second what
    /// it has is declared lost then.
    pub stop: &'a AtomicBool,
    /// Told the rows merged so far, now and then.
    pub progress: &'a dyn Fn(u64),
    /// Asked for another device when one fails: [`no_fallback`], [`to_the_cpu`] and [`reopened`] are answers, and
    /// so is any function that opens one.
    pub fallback: &'a Fallback<'a>,
}

impl fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("memory_bytes", &self.memory_bytes).finish_non_exhaustive()
    }
}

/// A [`Fallback`]: the run ends with the device's failure.
pub fn no_fallback(_: &Device, _: &Error) -> Option<Device> {
    None
}

/// A [`Fallback`]: the run goes on with the CPU device, once. It is opened with the failed one's
/// [options](Device::options), its bound on device memory among them: whoever has said how a run is to be has said it
/// of all of it.
pub fn to_the_cpu(failed: &Device, _: &Error) -> Option<Device> {
    if failed.id() == "cpu" { None } else { Device::open_with("cpu", *failed.options()).ok() }
}

/// A [`Fallback`]: the run goes on with the same device, opened anew, as often as that; then with the CPU
/// device. A device that its driver will not have again (CUDA after a sticky error, in the same process) is
/// one that cannot be opened.
pub fn reopened(times: u32) -> impl Fn(&Device, &Error) -> Option<Device> {
    let left = Cell::new(times);
    move |failed, error| {
        let again = left.get().checked_sub(1).and_then(|fewer| {
            left.set(fewer);
            failed.reopen().ok()
        });
        again.or_else(|| to_the_cpu(failed, error))
    }
}

/// Answers `query` over `source`, on `device` as long as that works.
///
/// Where a device fails, the batches it has answered stay, and the others are read and run again on
/// the device that [`Options::fallback`] names; where it runs out of memory, batches of half the rows
/// are tried before that. The report says what ran where and why.
///
/// # Errors
/// [`Error::MemoryTooSmall`]; those of the source, and of the device where there is no other one, after
/// everything in flight has ended; [`Error::Interrupted`].
pub fn run(device: &Device, source: &dyn Source, query: &Query, options: &Options<'_>) -> Result<Report> {
    patience::watched(device, options.stop, |watched| stages(watched, source, query, options))
}

fn stages(watched: &Watched, source: &dyn Source, query: &Query, options: &Options<'_>) -> Result<Report> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut device = watched.device();
    let whole = Budget::within(options.memory_bytes, cores.min(source.units()))?;
    let mut budget = whole.on(device.capabilities());
    let mut failures = Vec::new();
    let mut tally = Tally::default();
    let mut placements: Vec<Placement> = Vec::new();
    let mut peak_staging_bytes = 0;
    let mut seconds = 0.0;
    loop {
        let before = (tally.rows, tally.batches);
        // Where the first device fails in its warm-up it has failed, too.
        let warm = solo::warm_up(&device, source, query, budget);
        let slots = warm.and_then(|()| attempt::slots(&device, budget));
        let began = Instant::now();
        let end = slots.and_then(|slots| attempt::stream(&device, slots, source, query, options, budget, &mut tally));
        seconds += began.elapsed().as_secs_f64();
        peak_staging_bytes = peak_staging_bytes.max(device.stats().staging_high_water_bytes);
        let mut figures = std::mem::take(&mut tally.figures);
        let takes_turns = !device.capabilities().copy_overlaps_compute;
        placements.push(Placement {
            device: device.id().to_owned(),
            device_name: device.capabilities().name.clone(),
            simulated: device.capabilities().is_simulated(),
            form: figures.form.unwrap_or("none"),
            rows: tally.rows - before.0,
            batches: tally.batches - before.1,
            rows_per_batch: budget.rows,
            path_up: figures.path_up.unwrap_or_default(),
            path_down: figures.path_down.unwrap_or_default(),
            shares_up: takes_turns && figures.together_up,
            shares_down: takes_turns && figures.together_down,
            bytes_up: figures.bytes_up,
            bytes_down: figures.bytes_down,
            busy: figures.busy(),
            ended: end.as_ref().err().map(ToString::to_string),
        });
        let Err(error) = end else { break };
        // What fails then fails because of it.
        if options.stop.load(Relaxed) {
            return Err(Error::Interrupted { rows: tally.rows });
        }
        match recovery::remedy(&error) {
            Remedy::SmallerBatches if let Some(smaller) = budget.halved() => budget = smaller,
            Remedy::SmallerBatches | Remedy::OtherDevice => match (options.fallback)(&device, &error) {
                Some(next) => {
                    failures.push(Failure {
                        device: device.id().to_owned(),
                        when: When::InTheRun,
                        error: error.to_string(),
                        next: Some(next.id().to_owned()),
                    });
                    // Another device has other caches, and memory of its own.
                    if next.id() != device.id() {
                        budget = whole.on(next.capabilities());
                    }
                    watched.go_on_with(&next);
                    device = next;
                }
                None => return Err(error),
            },
            Remedy::None => return Err(error),
        }
    }
    // After the run, when memory and caches are as warm as they were in it. The answer is there: a device
    // that fails now leaves these figures out, and nothing else.
    let solo = solo::measure(&device, source, query, budget);
    if options.stop.load(Relaxed) {
        return Err(Error::Interrupted { rows: tally.rows });
    }
    let solo = solo.unwrap_or_else(|error| {
        let (device, error) = (device.id().to_owned(), error.to_string());
        failures.push(Failure { device, when: When::AfterTheRun, error, next: None });
        Stages::default()
    });
    let engines = overlap::Engines::of(device.capabilities(), cores);
    // A run over several devices, or of batches of several sizes, has no one ideal.
    let judged = if placements.len() == 1 { tally.batches } else { 0 };
    let is_measured = !device.capabilities().is_simulated();
    let overlap = overlap::judge(&solo.scaled(judged), is_measured.then_some(seconds), judged, engines);
    Ok(Report {
        answer: tally.revenue,
        source: source.name(),
        rows: tally.rows,
        batches: tally.batches,
        budget,
        memory_bytes: options.memory_bytes,
        peak_staging_bytes,
        seconds,
        solo,
        overlap,
        placements,
        failures,
    })
}

/// Workgroups for so many rows, as the kernel's own grid counts them.
pub(crate) fn groups(rows: usize) -> u32 {
    match q6::kernel().grid().groups(|_| Ok(rows as u64), |_| Err(())) {
        Ok(Some([groups, 1, 1])) => groups,
        other => unreachable!("the kernel counts its rows, got {other:?}"),
    }
}
