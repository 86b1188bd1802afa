//! What a message costs: each figure beside its peer or its limit, measured in one run.
//!
//! | figure | beside |
//! |---|---|
//! | `latency`: 64 bytes sent and waited for | a round trip between two threads over crossbeam channels, waiting in the same way |
//! | `rate`: 64-byte messages through one queue, batched | the same bytes over a crossbeam channel to another thread |
//! | `launch`: empty launches, submitted to reaped | StarPU's `tasks_overhead` with one worker, where that is installed |
//! | `graph`: empty launches, recorded and replayed | the same launches one by one |
//! | `refusal`: CPU time of a send that a full queue refuses | 5 us at the 99.9th percentile |
//! | `flood`: memory while a queue is flooded | the bytes that the queue was opened with, and 32 MiB |
//! | `head`: 64 bytes at high priority behind a large upload | the chunks that the lane was given before, and the upload alone |
//! | `pipeline`: fill, upload, kernel, download, merge | what the busiest engine cannot do without, by the stages' times alone |
//! | `simulated`: the same, and `head`, in virtual time, on random links | the same, exactly |
//! | `loss`: a device is lost with 10,000 messages unresolved | 1 s until the last is resolved |
//! | `allocations`: of each message in the steady state | none of ours; what drivers allocate is told |
//!
//! The arms of a figure take turns, and a line gives the median with the smallest and the largest turn. What
//! is moved is verified. Goals are printed as met or missed and never asserted: other work on the machine
//! weighs on them.
//!
//! ```sh
//! cargo bench --bench queues                       # everything
//! cargo bench --bench queues -- latency rate       # some
//! ```
//!
//! Without `--bench` (`cargo test --benches`) everything runs once, small, and is verified.

mod allocations;
#[path = "../../host/tests/steady/counting.rs"]
mod counting;
mod flood;
mod graph;
mod head;
mod latency;
mod launch;
mod loss;
mod pipeline;
mod rate;
mod refusal;
mod simulated;
mod software;

use std::process::ExitCode;

type Error = Box<dyn std::error::Error>;

/// Whether to measure, or to run each figure once, small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    Small,
    Full,
}

impl Size {
    /// `full` of them where it measures.
    fn of(self, small: usize, full: usize) -> usize {
        match self {
            Self::Small => small,
            Self::Full => full,
        }
    }

    fn turns(self) -> usize {
        self.of(1, 9)
    }
}

/// A figure's name and how it is taken.
type Figure = (&'static str, fn(Size) -> Result<(), Error>);

const FIGURES: [Figure; 11] = [
    ("latency", latency::run),
    ("rate", rate::run),
    ("launch", launch::run),
    ("graph", graph::run),
    ("refusal", refusal::run),
    ("flood", flood::run),
    ("head", head::run),
    ("pipeline", pipeline::run),
    ("simulated", simulated::run),
    ("loss", loss::run),
    ("allocations", allocations::run),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let size = if args.iter().any(|arg| arg == "--bench") { Size::Full } else { Size::Small };
    let words: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let mut code = ExitCode::SUCCESS;
    for (name, run) in FIGURES.iter().filter(|(name, _)| words.is_empty() || words.iter().any(|word| name == word)) {
        if let Err(e) = run(size) {
            eprintln!("{name}: {e}");
            code = ExitCode::FAILURE;
        }
    }
    code
}

/// The turns of one arm: one number for each.
#[derive(Debug, Default)]
struct Turns(Vec<f64>);

impl Turns {
    fn median(&self) -> f64 {
        quantile(&mut self.0.clone(), 0.5)
    }
}

impl std::fmt::Display for Turns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (low, high) = self.0.iter().fold((f64::MAX, 0.0_f64), |(low, high), &turn| (low.min(turn), high.max(turn)));
        write!(f, "{:.3} ({low:.3}-{high:.3})", self.median())
    }
}

/// The sample below which that part of all lies.
fn quantile(samples: &mut [f64], part: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let last = samples.len() - 1;
    samples[(last as f64 * part).round() as usize]
}

/// The median of the ratios within a turn: what else the machine does weighs on both sides.
fn ratio(ours: &Turns, theirs: &Turns) -> f64 {
    quantile(&mut ours.0.iter().zip(&theirs.0).map(|(ours, theirs)| ours / theirs).collect::<Vec<_>>(), 0.5)
}

fn met(met: bool) -> &'static str {
    if met { "met" } else { "missed" }
}
