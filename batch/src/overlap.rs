//! How much of what could overlap did.
//!
//! What a stage takes alone is the time of one batch on all of the engine that it runs on, with no other stage
//! beside it. Filling is measured with as many batches at once as the run has workers, and a batch has its core's
//! part of the mean: what cores take from each other, or other work takes from them, is measured and not supposed.
//! A kernel has all cores of a CPU device, whether it makes use of them or not. Uploads, kernels and downloads count
//! from when the device begins until it ends: waking a thread for each is a cost of the run, which makes no ideal
//! longer.
//!
//! With solo times `T_i` of the stages (each alone, one batch after the other) and `n` equal
//! batches, the busiest engine bounds the run from below ([`Bound`] names it):
//! `T_ideal = max + (sum - max) / n`, and the efficiency is
//! `(sum - T_observed) / (sum - T_ideal)`: 1 is ideal, 0 is one batch after the other. It is not
//! clamped: below 0 the overlap made it slower, above 1 a solo time was measured wrongly.

use std::fmt;

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

    /// The stages' names, in the order of [`Stages::each`].
    pub const NAMES: [&str; 5] = ["fill", "upload", "kernel", "download", "merge"];

    /// Seconds of each, in the order in which a batch comes through them.
    pub fn each(&self) -> [f64; 5] {
        [self.fill, self.upload, self.kernel, self.download, self.merge]
    }

    /// All stages, one after the other.
    pub fn sum(&self) -> f64 {
        self.each().iter().sum()
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
    /// The device is the host's cores: its kernels take all of them, its copies one each.
    Cores {
        /// Its uploads, kernels and downloads take turns all the same.
        by_turns: bool,
    },
    /// Uploads, kernels and downloads take turns.
    One,
    /// Uploads and downloads take turns, kernels have their own.
    Two,
    /// Each has its own.
    Three,
}

impl Engines {
    /// Those of a device of a machine with so many cores.
    pub fn of(capabilities: &Capabilities, cores: usize) -> Self {
        let device = match capabilities {
            c if c.software => DeviceEngines::Cores { by_turns: !c.copy_overlaps_compute },
            c if c.copy_overlaps_compute && c.copy_engines == 1 => DeviceEngines::Two,
            c if c.copy_overlaps_compute => DeviceEngines::Three,
            _ => DeviceEngines::One,
        };
        Self { cores, device }
    }

    /// The busiest of them.
    pub fn bound(&self, stages: &Stages) -> Bound {
        /// How much of an engine each stage takes, in the order of [`Stages::each`].
        type Shares = [f64; 5];
        const TURNS: (&str, Shares) = ("the device, by turns", [0.0, 1.0, 1.0, 1.0, 0.0]);
        let core = 1.0 / self.cores as f64;
        let host = ("the host's cores", [core, 0.0, 0.0, 0.0, core]);
        let shared = ("the host's cores, which are the device's", [core, core, 1.0, core, core]);
        let engines: &[(&'static str, Shares)] = match self.device {
            DeviceEngines::Cores { by_turns: false } => &[shared],
            DeviceEngines::Cores { by_turns: true } => &[shared, TURNS],
            DeviceEngines::One => &[host, TURNS],
            DeviceEngines::Two => &[
                host,
                ("the copy engine, by turns", [0.0, 1.0, 0.0, 1.0, 0.0]),
                ("an engine of its own", [0.0, 0.0, 1.0, 0.0, 0.0]),
            ],
            DeviceEngines::Three => &[
                host,
                ("an engine of its own", [0.0, 1.0, 0.0, 0.0, 0.0]),
                ("an engine of its own", [0.0, 0.0, 1.0, 0.0, 0.0]),
                ("an engine of its own", [0.0, 0.0, 0.0, 1.0, 0.0]),
            ],
        };
        let bounds = engines.iter().map(|(engine, shares)| {
            let on_it: Vec<f64> = stages.each().iter().zip(shares).map(|(seconds, share)| seconds * share).collect();
            let largest = (0..on_it.len()).max_by(|&a, &b| on_it[a].total_cmp(&on_it[b])).expect("there are stages");
            Bound { stage: Stages::NAMES[largest], engine, seconds: on_it.iter().sum() }
        });
        bounds.max_by(|a, b| a.seconds.total_cmp(&b.seconds)).expect("there are engines")
    }
}

/// What a run cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bound {
    /// The stage that takes most of the busiest engine's time, one of [`Stages::NAMES`].
    pub stage: &'static str,
    /// What it runs on.
    pub engine: &'static str,
    /// Seconds that the engine is busy, with all stages that share it.
    pub seconds: f64,
}

/// `fill, on the host's cores`.
impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, on {}", self.stage, self.engine)
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
    /// What bounds the ideal; `None` where no stage has taken any time.
    pub bound: Option<Bound>,
    /// 1 is ideal, 0 is no overlap; `None` below [`FEWEST_BATCHES`], where nothing can overlap, and where
    /// no clock has measured the whole run.
    pub efficiency: Option<f64>,
    /// The run against the ideal, at least 1 where nothing was measured wrongly; `None` below
    /// [`FEWEST_BATCHES`], and where no clock has measured the whole run.
    pub times_ideal: Option<f64>,
}

impl Overlap {
    /// So far outside its range a figure may be and still be called its end: two decimals do not show it.
    const ROUNDING: f64 = 0.005;

    /// What the figures say that lie outside their range; `None` where they lie within it, or there are none.
    ///
    /// An efficiency below 0 is a measure like any other. One above 1, or a run faster than its ideal, is none:
    /// the solo times were too long, e.g. because the machine had other work while they were taken.
    pub fn note(&self) -> Option<&'static str> {
        let is_below_0 = self.efficiency.is_some_and(|efficiency| efficiency < -Self::ROUNDING);
        match (is_below_0, self.is_impossible()) {
            (true, _) => Some("slower than one batch after the other"),
            (_, true) => Some(
                "no measure: the batches timed alone, after the run, took longer than beside the others in it, as they do \
                 where the machine has other work then",
            ),
            _ => None,
        }
    }

    /// Whether the figures say that the run was faster than it can have been: they are no measure.
    pub fn is_impossible(&self) -> bool {
        let is_above_1 = self.efficiency.is_some_and(|efficiency| efficiency > 1.0 + Self::ROUNDING);
        is_above_1 || self.times_ideal.is_some_and(|times| times < 1.0 - Self::ROUNDING)
    }
}

/// Judges a run of `seconds`, where that is known, by the solo times of all its batches.
pub fn judge(solo: &Stages, seconds: Option<f64>, batches: u64, engines: Engines) -> Overlap {
    let serial_seconds = solo.sum();
    let bound = engines.bound(solo);
    let busiest = bound.seconds.min(serial_seconds);
    let ideal_seconds = busiest + (serial_seconds - busiest) / batches.max(1) as f64;
    let gain = serial_seconds - ideal_seconds;
    let seconds = seconds.filter(|_| batches >= FEWEST_BATCHES);
    Overlap {
        serial_seconds,
        ideal_seconds,
        bound: Some(bound).filter(|bound| bound.seconds > 0.0),
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
    fn a_figure_outside_its_range_is_explained() {
        let note = |seconds| judge(&SOLO, Some(seconds), 100, THREE).note();
        let ideal = 4.0 + 6.0 / 100.0;
        for within in [ideal, 0.999 * ideal, 7.0, 10.0, 10.01] {
            assert_eq!(note(within), None, "{within}");
        }
        assert!(note(11.0).is_some_and(|note| note.starts_with("slower than")));
        for too_fast in [0.1, 0.69 * ideal, 0.99 * ideal] {
            assert!(note(too_fast).is_some_and(|note| note.starts_with("no measure")), "{too_fast}");
            assert!(
                judge(&SOLO, Some(too_fast), 100, THREE).is_impossible()
                    && !judge(&SOLO, Some(11.0), 100, THREE).is_impossible()
            );
        }
        // All on one engine: no efficiency, yet nothing is faster than that.
        let kernel = Stages { kernel: 2.0, ..Stages::default() };
        assert_eq!(judge(&kernel, Some(2.0), 100, THREE).note(), None);
        assert!(judge(&kernel, Some(1.0), 100, THREE).note().is_some_and(|note| note.starts_with("no measure")));
        assert_eq!(judge(&SOLO, None, 100, THREE).note(), None);
    }

    #[test]
    fn stages_that_share_an_engine_are_added_and_the_largest_is_named() {
        let bound = |cores, device| Engines { cores, device }.bound(&SOLO);
        let told = |bound: Bound| (bound.seconds, bound.to_string());
        assert_eq!(told(bound(1, DeviceEngines::One)), (6.0, "upload, on the device, by turns".into()));
        assert_eq!(told(bound(2, DeviceEngines::Two)), (4.0, "upload, on the copy engine, by turns".into()));
        assert_eq!(told(bound(1, DeviceEngines::Three)), (4.0, "fill, on the host's cores".into()));
        assert_eq!(told(bound(2, DeviceEngines::Three)), (3.0, "upload, on an engine of its own".into()));
        let shared = bound(2, DeviceEngines::Cores { by_turns: false });
        assert_eq!(shared.seconds, 8.0 / 2.0 + 2.0);
        let long = Stages { kernel: 9.0, ..SOLO };
        for by_turns in [false, true] {
            let bound = Engines { cores: 2, device: DeviceEngines::Cores { by_turns } }.bound(&long);
            assert_eq!((bound.seconds, bound.stage), (13.0, "kernel"));
        }
        let turns = Engines { cores: 4, device: DeviceEngines::Cores { by_turns: true } };
        assert_eq!(told(turns.bound(&SOLO)), (6.0, "upload, on the device, by turns".into()));
        assert_eq!(judge(&Stages::default(), None, 9, THREE).bound, None);
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
