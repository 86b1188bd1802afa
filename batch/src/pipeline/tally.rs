//! What a run has counted and merged so far, whatever devices it ran on.

use std::time::Instant;

use wharf::{Completion, Device, Lane, Receipt, trace};

use super::{busy::Busy, slot::Slot};
use crate::{
    error::Result,
    overlap::Stages,
    q6::Revenue,
    source::{Committed, Filled},
};

/// A batch on its way to the merge.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) slot: Slot,
    /// In the order in which they were begun, from 1; who finds no more rows leaves a gap.
    pub(super) number: u64,
    pub(super) filled: Filled,
}

/// What has been counted so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Which rows the rest speaks of.
    pub(super) committed: Committed,
    pub(super) revenue: Revenue,
    pub(super) rows: u64,
    pub(super) batches: u64,
    /// The number of the last that was begun.
    pub(super) last: u64,
    /// Of the device that the run is on.
    pub(super) figures: Figures,
}

/// What has been counted on one device.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) bytes_up: u64,
    pub(super) bytes_down: u64,
    pub(super) fill_seconds: f64,
    merge_seconds: f64,
    upload: Busy,
    kernel: Busy,
    download: Busy,
    pub(super) form: Option<&'static str>,
    pub(super) path_up: Option<wharf::Path>,
    pub(super) path_down: Option<wharf::Path>,
    /// An upload was done together with other messages.
    pub(super) together_up: bool,
    pub(super) together_down: bool,
}

impl Figures {
    pub(super) fn note(&mut self, receipt: &Receipt) {
        match receipt.lane {
            Some(Lane::Upload) => {
                self.upload.add(receipt);
                self.bytes_up += receipt.bytes;
                self.path_up = Some(receipt.path);
                self.together_up |= receipt.shares_its_time();
            }
            Some(Lane::Download) => {
                self.download.add(receipt);
                self.bytes_down += receipt.bytes;
                self.path_down = Some(receipt.path);
                self.together_down |= receipt.shares_its_time();
            }
            Some(Lane::Compute) => {
                self.kernel.add(receipt);
                self.form = receipt.form.or(self.form);
            }
            None => {}
        }
    }

    pub(super) fn busy(&mut self) -> Stages {
        Stages {
            fill: self.fill_seconds,
            upload: self.upload.seconds(),
            kernel: self.kernel.seconds(),
            download: self.download.seconds(),
            merge: self.merge_seconds,
        }
    }
}

impl Tally {
    /// Merges one batch, once, and gives its slot back. A batch that failed leaves no trace.
    pub(super) fn merge(&mut self, device: &Device, batch: Batch, done: Completion<Vec<u32>>) -> Result<Slot> {
        self.figures.note(&done.receipt);
        let began = Instant::now();
        let Batch { mut slot, number, filled } = batch;
        let stage = trace::stage(device, "merge", number);
        slot.words = done.ok()?;
        self.committed.commit(&filled.spans)?;
        self.revenue += Revenue::of_partials(&slot.words);
        self.rows += filled.rows as u64;
        self.batches += 1;
        self.figures.merge_seconds += began.elapsed().as_secs_f64();
        stage.end();
        Ok(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_together_is_noted_for_its_direction() -> wharf::Result<()> {
        let device = Device::open("cpu")?;
        let queue = device.queue("work").open();
        let buffers = (0..8).map(|_| device.buffer::<u32>(16)).collect::<wharf::Result<Vec<_>>>()?;
        let mut batch = queue.batch();
        let mut entries = Vec::new();
        for buffer in &buffers {
            entries.push(batch.push(device.upload(buffer).message(vec![1; 16])?)?);
        }
        // Held back, so that they travel in one command.
        let (gate, signal) = device.promise();
        queue.wait_for(&gate)?;
        let mut sent = batch.commit()?;
        signal.signal();
        let receipts: Vec<Receipt> = entries.into_iter().map(|entry| sent.ticket(entry).wait().receipt).collect();
        assert!(receipts.iter().any(Receipt::shares_its_time), "small ones are done together: {receipts:?}");
        for receipt in &receipts {
            let mut figures = Figures::default();
            figures.note(receipt);
            assert_eq!((figures.together_up, figures.together_down), (receipt.shares_its_time(), false));
        }
        Ok(())
    }
}
