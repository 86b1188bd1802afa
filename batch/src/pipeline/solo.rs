//! How long each stage takes alone: what the engine that it runs on needs for one batch, with nothing else going on.
//!
//! Filling runs on the host's cores, so as many batches are filled at once as the run has workers: cores share their
//! caches and their memory, and what one takes by itself says nothing of all. Uploads, kernels and downloads are
//! asked for one by one, and count from when the device begins until it ends, as in the run: what it takes to hand
//! one over and to wake somebody is no work of its engine, and beside other batches nothing waits for it.

use std::{
    collections::VecDeque,
    ops::RangeInclusive,
    thread,
    time::{Duration, Instant},
};

use wharf::{Completion, Device, Ticket};

use super::{
    busy::Busy,
    slot::{Slot, uploads},
};
use crate::{
    budget::Budget,
    error::{Error, Result},
    overlap::Stages,
    q6::{Query, Revenue},
    source::{Pass, Reader, Source},
};

/// The number of batches that are none of the run's.
const NONE: u64 = 0;

/// Batches that are measured at least; the first in each slot is left out, but no more than half of all. What takes
/// so little time that a moment's disturbance would count is measured more often, for so long and so often at most.
const MEASURED: usize = 6;
const LONG_ENOUGH: Duration = Duration::from_millis(30);
const MOST_MEASURED: usize = 64;

/// One batch that nobody counts: it compiles the kernel and touches the memory.
pub(super) fn warm_up(device: &Device, source: &dyn Source, query: &Query, budget: Budget) -> Result<()> {
    on_device(device, source, query, budget, 1, 1..=1).map(drop)
}

/// Seconds of a batch in each stage, the median but for filling; zeroes where there are no rows. Only full batches
/// count, where there are any. They take turns in as many slots as the run has, as one that is used again at once may
/// still be in a cache that the run's are not in.
pub(super) fn measure(device: &Device, source: &dyn Source, query: &Query, budget: Budget) -> Result<Stages> {
    // What a simulated device is sent follows from its script and the data, not from the host's clock.
    let (most, most_fills) =
        if device.capabilities().is_simulated() { (MEASURED, MEASURED) } else { (MOST_MEASURED, usize::MAX) };
    // For long: the system may take some milliseconds to give each of the workers a core of its own.
    let fill = fill(device, source, budget, MEASURED..=most_fills)?;
    let stages = on_device(device, source, query, budget, budget.slots, MEASURED..=most)?;
    Ok(Stages { fill, ..stages })
}

/// Seconds that a worker takes to fill a batch while all of them fill. Nothing is sent.
fn fill(device: &Device, source: &dyn Source, budget: Budget, number: RangeInclusive<usize>) -> Result<f64> {
    let pass = Pass::over(source);
    let queue = uploads(device, budget);
    let slots = (0..budget.workers).map(|_| Slot::new(device, budget.rows)).collect::<Result<Vec<_>>>()?;
    let each = number.start().div_ceil(budget.workers)..=number.end().div_ceil(budget.workers);
    // Staging memory takes turns like slots, within the same bound.
    let keep = (budget.slots / budget.workers).max(1);
    let work = |slot: &Slot| {
        let mut reader = Reader::new(source, &pass)?;
        let (mut kept, mut samples) = (VecDeque::new(), Vec::new());
        let start = Instant::now();
        while samples.len() < *each.start() || (samples.len() < *each.end() && start.elapsed() < LONG_ENOUGH) {
            if kept.len() == keep {
                kept.pop_front();
            }
            let began = Instant::now();
            let mut room = slot.reserve(device, &queue, NONE)?;
            let rows = room.fill(&mut reader)?.rows;
            let seconds = began.elapsed().as_secs_f64();
            if rows == 0 || (rows < budget.rows && !samples.is_empty()) {
                break;
            }
            samples.push(seconds);
            kept.push_back(room);
        }
        samples.drain(..keep.min(samples.len() / 2));
        Ok(samples)
    };
    let measured: Vec<Result<Vec<f64>>> = thread::scope(|scope| {
        let workers: Vec<_> = slots.iter().map(|slot| scope.spawn(|| work(slot))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or(Err(Error::Worker))).collect()
    });
    // The mean of all, not the median: a core that the system gives to one worker after the other is one core.
    let (mut batches, mut seconds) = (0, 0.0);
    for samples in measured {
        let samples = samples?;
        batches += samples.len();
        seconds += samples.iter().sum::<f64>();
    }
    Ok(if batches == 0 { 0.0 } else { seconds / batches as f64 })
}

/// The other stages, and nothing for filling: one batch after the other.
fn on_device(
    device: &Device,
    source: &dyn Source,
    query: &Query,
    budget: Budget,
    slots: usize,
    number: RangeInclusive<usize>,
) -> Result<Stages> {
    let start = Instant::now();
    let pass = Pass::over(source);
    let mut reader = Reader::new(source, &pass)?;
    let queue = uploads(device, budget);
    let mut slots = (0..slots).map(|_| Slot::new(device, budget.rows)).collect::<Result<Vec<_>>>()?;
    let mut samples: Vec<Stages> = Vec::new();
    while samples.len() < *number.start() || (samples.len() < *number.end() && start.elapsed() < LONG_ENOUGH) {
        let slot = samples.len() % slots.len();
        let slot = &mut slots[slot];
        let mut room = slot.reserve(device, &queue, NONE)?;
        let rows = room.fill(&mut reader)?.rows;
        if rows == 0 || (rows < budget.rows && samples.len() > 1) {
            break;
        }
        let upload = busy(room.commit()?)?.0;
        let kernel = busy([slot.launch(device, query, NONE, rows)?])?.0;
        let (download, [words]) = busy([slot.download(device, NONE)?])?;
        slot.words = words;
        let began = Instant::now();
        std::hint::black_box(Revenue::of_partials(&slot.words));
        let merge = began.elapsed().as_secs_f64();
        samples.push(Stages { fill: 0.0, upload, kernel, download, merge });
    }
    samples.drain(..slots.len().min(samples.len() / 2));
    Ok(Stages::median(&samples))
}

/// Seconds in which the device was at these messages, and their buffers.
fn busy<B: Send, const N: usize>(tickets: [Ticket<B>; N]) -> Result<(f64, [B; N])> {
    let mut busy = Busy::default();
    let done: [Completion<B>; N] = tickets.map(Ticket::wait);
    done.iter().for_each(|done| busy.add(&done.receipt));
    let mut buffers = Vec::with_capacity(N);
    for done in done {
        buffers.push(done.ok()?);
    }
    let buffers = buffers.try_into().unwrap_or_else(|_| unreachable!("as many as there were"));
    Ok((busy.seconds(), buffers))
}
