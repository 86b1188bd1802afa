//! How long each stage takes alone: a few batches, one stage after the other.

use std::{
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use wharf::{Completion, Device, Ticket};

use super::slot::Slot;
use crate::{
    budget::Budget,
    error::Result,
    overlap::Stages,
    q6::{Query, Revenue},
    source::{Pass, Reader, Source},
};

/// The number of batches that are none of the run's.
const NONE: u64 = 0;

/// Batches that are measured at least; the first in each slot is left out, but no more than half of all. What takes
/// so little time that a moment's disturbance would count is measured more often, for so long and so often at most.
const MEASURED: usize = 6;
const LONG_ENOUGH: Duration = Duration::from_millis(40);
const MOST_MEASURED: usize = 64;

/// How long messages take that are waited for here.
struct Stage {
    began: Instant,
    /// On the clock of a simulated device, so far.
    simulated: Option<f64>,
}

impl Stage {
    fn from(began: Instant, device: &Device) -> Self {
        Self { began, simulated: device.capabilities().is_simulated().then_some(0.0) }
    }

    fn wait<B: Send>(&mut self, ticket: Ticket<B>) -> Result<B> {
        let done: Completion<B> = ticket.wait();
        self.simulated = self.simulated.map(|seconds| seconds + done.receipt.device_seconds.unwrap_or(0.0));
        Ok(done.ok()?)
    }

    fn seconds(&self) -> f64 {
        self.simulated.unwrap_or_else(|| self.began.elapsed().as_secs_f64())
    }
}

/// One batch that nobody counts: it compiles the kernel and touches the memory.
pub(super) fn warm_up(device: &Device, source: &dyn Source, query: &Query, budget: Budget) -> Result<()> {
    batches(device, source, query, budget, 1, 1..=1).map(drop)
}

/// The median seconds of a batch in each stage; zeroes where there are no rows. Only full batches
/// count, where there are any. They take turns in as many slots as the run has, as one that is used again at once may
/// still be in a cache that the run's are not in.
pub(super) fn measure(device: &Device, source: &dyn Source, query: &Query, budget: Budget) -> Result<Stages> {
    // What a simulated device is sent follows from its script and the data, not from the host's clock.
    let most = if device.capabilities().is_simulated() { MEASURED } else { MOST_MEASURED };
    batches(device, source, query, budget, budget.slots, MEASURED..=most)
}

fn batches(
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
    let mut slots = (0..slots).map(|_| Slot::new(device, budget.rows)).collect::<Result<Vec<_>>>()?;
    let mut samples: Vec<Stages> = Vec::new();
    while samples.len() < *number.start() || (samples.len() < *number.end() && start.elapsed() < LONG_ENOUGH) {
        let slot = samples.len() % slots.len();
        let slot = &mut slots[slot];
        let began = Instant::now();
        let mut filled = began;
        let (batch, uploads) = slot.fill(device, &mut reader, NONE, |_| filled = Instant::now())?;
        let Some(uploads) = uploads else { break };
        if batch.rows < budget.rows && samples.len() > 1 {
            break;
        }
        let fill = filled.duration_since(began).as_secs_f64();
        // From the end of the filling: the first upload is under way while the last is sent.
        let mut stage = Stage::from(filled, device);
        for upload in uploads {
            stage.wait(upload)?;
        }
        let upload = stage.seconds();
        let mut stage = Stage::from(Instant::now(), device);
        stage.wait(slot.launch(device, query, NONE, batch.rows)?)?;
        let kernel = stage.seconds();
        let mut stage = Stage::from(Instant::now(), device);
        slot.words = stage.wait(slot.download(device, NONE)?)?;
        let download = stage.seconds();
        let began = Instant::now();
        std::hint::black_box(Revenue::of_partials(&slot.words));
        let merge = began.elapsed().as_secs_f64();
        samples.push(Stages { fill, upload, kernel, download, merge });
    }
    samples.drain(..slots.len().min(samples.len() / 2));
    Ok(Stages::median(&samples))
}
