//! What a run gives: the answer, and where its time went.

use crate::{
    budget::Budget,
    overlap::{Overlap, Stages},
    q6::Revenue,
};

/// The outcome of one run of Q6.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Report {
    /// The answer.
    pub answer: Revenue,
    /// Where the rows came from.
    pub source: String,
    /// Rows that were read.
    pub rows: u64,
    /// Batches they travelled in.
    pub batches: u64,
    /// The pipeline's shape.
    pub budget: Budget,
    /// The memory bound it was given.
    pub memory_bytes: u64,
    /// The most staging memory the device had lent out.
    pub peak_staging_bytes: u64,
    /// From the first row to the answer, on the host's clock: where a device was simulated, that is how long
    /// the simulation took.
    pub seconds: f64,
    /// Seconds a batch takes in each stage alone, on the device that ended the run; in filling, while all workers
    /// fill.
    pub solo: Stages,
    /// How much of what could overlap did.
    pub overlap: Overlap,
    /// What ran where, in order: one where nothing failed, and always one.
    pub placements: Vec<Placement>,
    /// Devices that failed, in order; none where nothing did. Smaller batches on the same device are no failure: what
    /// led to them is in [`Placement::ended`].
    pub failures: Vec<Failure>,
}

/// A device that failed, and what was done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The device, e.g. `wgpu:0`.
    pub device: String,
    /// When it failed.
    pub when: When,
    /// Why, in one line.
    pub error: String,
    /// The device that took over; `None` after the run, when there was nothing left to take over.
    pub next: Option<String>,
}

/// When a device failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// With rows that were not in the answer yet, which another device was given.
    InTheRun,
    /// With all rows in the answer, while stages were timed alone: those figures are missing, and nothing else.
    AfterTheRun,
}

/// One device's part of a run, with batches of one size.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Placement {
    /// The device, e.g. `wgpu:0`.
    pub device: String,
    /// The name its driver gives.
    pub device_name: String,
    /// The device was simulated: the times of uploads, kernels and downloads, and what follows from them, are
    /// computed. Filling and merging was measured on the host.
    pub simulated: bool,
    /// Which form of the kernel ran.
    pub form: &'static str,
    /// Which way the uploads took.
    pub path_up: wharf::Path,
    /// Which way the downloads took.
    pub path_down: wharf::Path,
    /// Uploads were done together with other messages on a device whose lanes take turns, e.g. in one submission
    /// of wgpu: the time that they were under way is that of kernels, too, and no rate follows from it.
    pub shares_up: bool,
    /// Downloads were, like [`Placement::shares_up`].
    pub shares_down: bool,
    /// Bytes uploaded.
    pub bytes_up: u64,
    /// Bytes downloaded.
    pub bytes_down: u64,
    /// Seconds each stage was busy: filling and merging over all threads, transfers and kernels while
    /// at least one was under way.
    pub busy: Stages,
    /// Rows whose results it gave.
    pub rows: u64,
    /// Batches of them.
    pub batches: u64,
    /// Rows of a full batch.
    pub rows_per_batch: usize,
    /// Why it was not the last; `None` where it was.
    pub ended: Option<String>,
}

impl Report {
    /// Rows per second.
    pub fn rows_per_s(&self) -> f64 {
        if self.seconds > 0.0 { self.rows as f64 / self.seconds } else { 0.0 }
    }

    /// The placement that ended the run.
    ///
    /// # Panics
    /// Where somebody has taken all placements out.
    pub fn last(&self) -> &Placement {
        self.placements.last().expect("a run has a placement")
    }

    /// Whether a device of the run was simulated.
    pub fn is_simulated(&self) -> bool {
        self.placements.iter().any(|placement| placement.simulated)
    }

    /// The uploads of a batch alone on the device that ended the run, in 10^9 bytes per second; `None` where
    /// nothing was copied and where a batch's share is below 64 KiB, as [`Placement::gbytes_per_s_up`].
    pub fn gbytes_per_s_up_alone(&self) -> Option<f64> {
        let last = self.last();
        last.rate(last.bytes_up, last.per_batch(last.bytes_up), self.solo.upload, last.path_up)
    }

    /// The download of a batch alone, like [`Report::gbytes_per_s_up_alone`].
    pub fn gbytes_per_s_down_alone(&self) -> Option<f64> {
        let last = self.last();
        last.rate(last.bytes_down, last.per_batch(last.bytes_down), self.solo.download, last.path_down)
    }
}

impl Placement {
    /// A smaller transfer tells of latency only.
    const FEWEST_BYTES: u64 = 64 << 10;

    /// Uploads in 10^9 bytes per second of being under way; `None` where nothing was copied, where a batch's
    /// share is below 64 KiB: that is latency, no bandwidth, and where [they shared](Placement::shares_up) their
    /// time. On a device whose lanes take turns that includes waiting for kernels.
    pub fn gbytes_per_s_up(&self) -> Option<f64> {
        let rate = self.rate(self.bytes_up, self.bytes_up, self.busy.upload, self.path_up);
        rate.filter(|_| !self.shares_up)
    }

    /// Downloads, like [`Placement::gbytes_per_s_up`].
    pub fn gbytes_per_s_down(&self) -> Option<f64> {
        let rate = self.rate(self.bytes_down, self.bytes_down, self.busy.download, self.path_down);
        rate.filter(|_| !self.shares_down)
    }

    fn per_batch(&self, all_bytes: u64) -> u64 {
        all_bytes / self.batches.max(1)
    }

    /// A path without a copy has no bandwidth, nor has a message that is over before it is begun.
    fn rate(&self, all_bytes: u64, bytes: u64, seconds: f64, path: wharf::Path) -> Option<f64> {
        let is_large = self.per_batch(all_bytes) >= Self::FEWEST_BYTES;
        (path.is_copied() && is_large && seconds > 0.0).then(|| bytes as f64 / seconds / 1e9)
    }
}

#[cfg(test)]
mod tests {
    use wharf::Path;

    use super::*;

    #[test]
    fn bytes_that_shared_their_time_or_were_not_copied_have_no_rate() {
        let placement = |path, shares| Placement {
            device: "wgpu:0".into(),
            device_name: "a card".into(),
            simulated: false,
            form: "WGSL",
            path_up: path,
            path_down: path,
            shares_up: shares,
            shares_down: shares,
            bytes_up: 2_000_000_000,
            bytes_down: 1_000_000_000,
            busy: Stages { upload: 1.0, download: 1.0, ..Stages::default() },
            rows: 1,
            batches: 1,
            rows_per_batch: 1,
            ended: None,
        };
        let rates = |placement: Placement| [placement.gbytes_per_s_up(), placement.gbytes_per_s_down()];
        assert_eq!(rates(placement(Path::Staged, false)), [Some(2.0), Some(1.0)]);
        assert_eq!(rates(placement(Path::Staged, true)), [None; 2]);
        assert_eq!(rates(placement(Path::Direct, false)), [None; 2]);
        let only_up = Placement { shares_down: false, ..placement(Path::Staged, true) };
        assert_eq!(rates(only_up), [None, Some(1.0)]);
    }
}
