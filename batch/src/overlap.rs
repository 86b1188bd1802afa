//! How much of what could overlap did.
//!
//! With solo times `T_i` of the stages (each alone, one batch after the other) and `n` equal
//! batches, the busiest engine bounds the run from below:
//! `T_ideal = max + (sum - max) / n`, and the efficiency is
//! `(sum - T_observed) / (sum - T_ideal)`: 1 is ideal, 0 is one batch after the other. It is not
//! clamped: below 0 the overlap made it slower, above 1 a solo time was measured wrongly.

use serde::Serialize;
use wharf::Capabilities;

/// Seconds of each stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Stages {
    /// Making or decoding rows, straight into staging memory.
    pub fill: f64,
    /// Host to device.
    pub upload: f64,
    /// The kernel.
    pub kernel: f64,
    /// Device to host.
    pub download: f64,
    /// Adding up what came back.
    pub merge: f64,
}

impl Stages {
    /// One batch's seconds times the batches.
    #[must_use]
    pub fn scaled(&self, batches: u64) -> Self {
        let by = batches as f64;
        Self {
            fill: self.fill * by,
            upload: self.upload * by,
            kernel: self.kernel * by,
            download: self.download * by,
            merge: self.merge * by,
        }
    }

    /// All stages, one after the other.
    pub fn sum(&self) -> f64 {
        self.fill + self.upload + self.kernel + self.download + self.merge
    }

    /// The median of each stage.
    pub(crate) fn median(samples: &[Self]) -> Self {
        let of = |stage: fn(&Self) -> f64| median(&mut samples.iter().map(stage).collect::<Vec<_>>());
        Self {
            fill: of(|s| s.fill),
            upload: of(|s| s.upload),
            kernel: of(|s| s.kernel),
            download: of(|s| s.download),
            merge: of(|s| s.merge),
        }
    }
}

/// The middle of the samples; 0 where there is none.
pub(crate) fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    match samples.len() {
        0 => 0.0,
        n if n % 2 == 1 => samples[n / 2],
        n => f64::midpoint(samples[n / 2 - 1], samples[n / 2]),
    }
}

/// Which stages share what they run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Engines {
    /// Cores of the host.
    cores: usize,
    device: DeviceEngines,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DeviceEngines {
    /// The device is the host's cores: its kernels take all of them.
    Cores,
    /// Uploads, kernels and downloads take turns.
    One,
    /// Each has its own.
    Three,
}

impl Engines {
    /// Those of a device of a machine with so many cores.
    pub fn of(capabilities: &Capabilities, cores: usize) -> Self {
        let device = match capabilities {
            c if c.software => DeviceEngines::Cores,
            c if c.copy_overlaps_compute => DeviceEngines::Three,
            _ => DeviceEngines::One,
        };
        Self { cores, device }
    }

    /// Seconds that the busiest engine cannot do without.
    fn bound(&self, t: &Stages) -> f64 {
        let cores = self.cores as f64;
        let on_host = t.fill + t.merge;
        match self.device {
            DeviceEngines::Cores => (on_host + t.upload + t.download) / cores + t.kernel,
            DeviceEngines::One => (on_host / cores).max(t.upload + t.kernel + t.download),
            DeviceEngines::Three => (on_host / cores).max(t.upload).max(t.kernel).max(t.download),
        }
    }
}

/// A run of fewer batches is all start and end: its overlap says nothing.
pub const FEWEST_BATCHES: u64 = 4;

/// The judgement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Overlap {
    /// All stages one after the other.
    pub serial_seconds: f64,
    /// With nothing lost.
    pub ideal_seconds: f64,
    /// 1 is ideal, 0 is no overlap; `None` below [`FEWEST_BATCHES`], where nothing can overlap, and where
    /// no clock has measured the whole run.
    pub efficiency: Option<f64>,
    /// The run against the ideal, at least 1 where nothing was measured wrongly; `None` below
    /// [`FEWEST_BATCHES`], and where no clock has measured the whole run.
    pub times_ideal: Option<f64>,
}

/// Judges a run of `seconds`, where that is known, by the solo times of all its batches.
pub fn judge(solo: &Stages, seconds: Option<f64>, batches: u64, engines: Engines) -> Overlap {
    let serial_seconds = solo.sum();
    let bound = engines.bound(solo).min(serial_seconds);
    let ideal_seconds = bound + (serial_seconds - bound) / batches.max(1) as f64;
    let gain = serial_seconds - ideal_seconds;
    let seconds = seconds.filter(|_| batches >= FEWEST_BATCHES);
    Overlap {
        serial_seconds,
        ideal_seconds,
        efficiency: seconds.filter(|_| gain > 0.0).map(|seconds| (serial_seconds - seconds) / gain),
        times_ideal: seconds.filter(|_| ideal_seconds > 0.0).map(|seconds| seconds / ideal_seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOLO: Stages = Stages { fill: 4.0, upload: 3.0, kernel: 2.0, download: 1.0, merge: 0.0 };
    const THREE: Engines = Engines { cores: 1, device: DeviceEngines::Three };

    #[test]
    fn one_batch_after_the_other_is_0_and_the_busiest_engine_alone_is_1() {
        let ideal = 4.0 + 6.0 / 100.0;
        assert_eq!(judge(&SOLO, Some(10.0), 100, THREE).efficiency, Some(0.0));
        assert_eq!(judge(&SOLO, Some(ideal), 100, THREE).efficiency, Some(1.0));
        assert!(judge(&SOLO, Some(11.0), 100, THREE).efficiency.is_some_and(|e| e < 0.0), "not clamped");
    }

    #[test]
    fn stages_that_share_an_engine_are_added() {
        let one = Engines { device: DeviceEngines::One, ..THREE };
        assert_eq!(one.bound(&SOLO), 6.0);
        let cores = Engines { cores: 2, device: DeviceEngines::Cores };
        assert_eq!(cores.bound(&SOLO), 8.0 / 2.0 + 2.0);
    }

    #[test]
    fn a_few_batches_have_no_efficiency() {
        for batches in 0..FEWEST_BATCHES {
            let overlap = judge(&SOLO, Some(10.0), batches, THREE);
            assert_eq!((overlap.efficiency, overlap.times_ideal), (None, None));
        }
        assert!(judge(&SOLO, Some(10.0), FEWEST_BATCHES, THREE).times_ideal.is_some());
        assert_eq!(judge(&Stages::default(), Some(0.0), 0, THREE).efficiency, None);
    }
}
