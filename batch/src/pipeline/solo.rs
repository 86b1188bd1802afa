//! How long each stage takes alone: a few batches, one stage after the other.

use std::time::Instant;

use wharf::Device;

use super::slot::Slot;
use crate::{
    budget::Budget,
    error::Result,
    overlap::Stages,
    q6::{Query, Revenue},
    source::{Pass, Reader, Source},
};

/// Batches that are measured; the first is left out where there are more.
const MEASURED: usize = 6;

/// One batch that nobody counts: it compiles the kernel and touches the memory.
pub(super) fn warm_up(device: &Device, source: &dyn Source, query: &Query, budget: Budget) -> Result<()> {
    batches(device, source, query, budget, 1).map(drop)
}

/// The median seconds of a batch in each stage; zeroes where there are no rows. Only full batches
/// count, where there are any.
pub(super) fn measure(device: &Device, source: &dyn Source, query: &Query, budget: Budget) -> Result<Stages> {
    batches(device, source, query, budget, MEASURED)
}

fn batches(device: &Device, source: &dyn Source, query: &Query, budget: Budget, most: usize) -> Result<Stages> {
    let pass = Pass::over(source);
    let mut reader = Reader::new(source, &pass)?;
    let mut slot = Slot::new(device, budget.rows)?;
    let mut samples: Vec<Stages> = Vec::new();
    for _ in 0..most {
        let began = Instant::now();
        let mut filled = began;
        let (batch, uploads) = slot.fill(device, &mut reader, || filled = Instant::now())?;
        let Some(uploads) = uploads else { break };
        if batch.rows < budget.rows && samples.len() > 1 {
            break;
        }
        for upload in uploads {
            upload.wait().ok()?;
        }
        // From the end of the filling: the first upload is under way while the last is sent.
        let fill = filled.duration_since(began).as_secs_f64();
        let upload = filled.elapsed().as_secs_f64();
        let began = Instant::now();
        slot.launch(device, query, batch.rows)?.wait().ok()?;
        let kernel = began.elapsed().as_secs_f64();
        let began = Instant::now();
        slot.words = slot.download(device)?.wait().ok()?;
        let download = began.elapsed().as_secs_f64();
        let began = Instant::now();
        std::hint::black_box(Revenue::of_partials(&slot.words));
        let merge = began.elapsed().as_secs_f64();
        samples.push(Stages { fill, upload, kernel, download, merge });
    }
    if samples.len() > 1 {
        samples.remove(0);
    }
    Ok(Stages::median(&samples))
}
