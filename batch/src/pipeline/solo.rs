//! How long each stage takes alone: a few batches, one stage after the other.

use std::time::Instant;

use wharf::Device;

use super::slot::Slot;
use crate::{
    budget::Budget,
    error::Result,
    overlap::Stages,
    q6::{Query, Revenue},
    source::{Pass, Source},
};

/// Batches that are measured, after one that warms up memory, caches and the kernel's code.
const MEASURED: usize = 5;

/// The median seconds of a batch in each stage; zeroes where there are no rows. Only full batches
/// count, where there are any.
pub(super) fn measure(device: &Device, source: &dyn Source, query: &Query, budget: Budget) -> Result<Stages> {
    let pass = Pass::over(source);
    let mut reader = source.reader(&pass)?;
    let mut slot = Slot::new(device, budget.rows)?;
    let mut samples: Vec<Stages> = Vec::new();
    for _ in 0..=MEASURED {
        let began = Instant::now();
        let mut fill = 0.0;
        let (rows, uploads) = slot.fill(device, &mut *reader, || fill = began.elapsed().as_secs_f64())?;
        let Some(uploads) = uploads else { break };
        if rows < budget.rows && samples.len() > 1 {
            break;
        }
        let began = Instant::now();
        for upload in uploads {
            upload.wait().ok()?;
        }
        let upload = began.elapsed().as_secs_f64();
        let began = Instant::now();
        slot.launch(device, query, rows)?.wait().ok()?;
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
