//! WGSL on the CPU against others who do the same: one table, measured in one run.
//!
//! The same WGSL is run by each engine of `wharf-simt` and by lavapipe, Mesa's software Vulkan driver, through
//! wgpu; an OpenCL twin of it by PoCL where that is installed; and a serial Rust loop does the same work. The
//! kernels are the textbook forms beside this file, chosen to show one thing each; those of the library have
//! their own bench, `kernels`, and here their compile times.
//!
//! The arms of a row take turns, sample by sample, each on buffers of its own: a sample is the call and the wait
//! for it, without transfers. Answers are verified before and after. A line gives the median with the smallest
//! and the largest sample, and how the first arm, ours, compares: the median of the ratios within a turn, so
//! that what else the machine does weighs on both sides. Goals are printed as met or missed and never asserted.
//!
//! The whole table is measured twice, each time in a process of its own: with all threads of all arms on one
//! core, and on all cores (where the Rust loop is still one thread, and has no goal).
//!
//! ```sh
//! cargo bench --bench wgsl                               # everything
//! cargo bench --bench wgsl -- matmul stencil             # rows whose name contains one of the words
//! cargo bench --bench wgsl -- matmul --cores one         # or all
//! cargo bench --bench wgsl -- --json > table.jsonl       # every sample, a line for each arm
//! ```
//!
//! Without `--bench` (`cargo test --benches`) every arm runs once, small, and is verified.

mod compile;
mod lavapipe;
mod opencl;
mod oracle;
mod plain;
mod report;
mod rows;
mod simt;
mod words;

use std::{
    ops::RangeInclusive,
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use clap::{Parser, ValueEnum};
use wharf_simt::Engine;

use crate::{
    lavapipe::{Gpu, Lavapipe},
    opencl::{OpenCl, Twin},
    plain::Plain,
    report::Report,
    rows::{Goal, Row},
    simt::Simt,
};

type Error = Box<dyn std::error::Error>;

/// One way of running a row.
trait Arm {
    /// Runs it so many times and says how long that took.
    fn run(&mut self, times: u32) -> Result<Duration, Error>;
    /// The words of the answer; there may be more after them.
    fn output(&mut self) -> Result<Vec<u32>, Error>;
}

/// The arms of a row with their names and what ours is to reach against them; ours comes first.
type Arms<'a> = [(String, Box<dyn Arm + 'a>, Goal)];

/// Samples of a row are taken for so long, but so many at least and at most.
const BUDGET: Duration = Duration::from_secs(5);
const TURNS: RangeInclusive<usize> = 3..=25;

/// WGSL on the CPU against lavapipe, PoCL and plain Rust.
#[derive(Parser)]
struct Args {
    /// Words of which a row's name contains one.
    rows: Vec<String>,
    /// On one core or on all, instead of both after each other.
    #[arg(long)]
    cores: Option<Cores>,
    /// A JSON line for each arm, with every sample.
    #[arg(long)]
    json: bool,
    /// Measure; without it everything runs once, small.
    #[arg(long)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Cores {
    One,
    All,
}

fn main() -> Result<ExitCode, Error> {
    let args = Args::parse();
    if args.bench && args.cores.is_none() {
        // The affinity of a process is set before it has threads.
        for cores in ["one", "all"] {
            let mut again = Command::new(std::env::current_exe()?);
            if !again.args(std::env::args_os().skip(1)).args(["--cores", cores]).status()?.success() {
                return Ok(ExitCode::FAILURE);
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    if args.cores == Some(Cores::One) {
        let core = core_affinity::get_core_ids().and_then(|ids| ids.last().copied());
        if !core.is_some_and(core_affinity::set_for_current) {
            return Err("this system does not let a process choose its core".into());
        }
    }
    Bench::new(args)?.run()?;
    Ok(ExitCode::SUCCESS)
}

/// The peers, opened once.
struct Bench {
    args: Args,
    report: Report,
    pool: rayon::ThreadPool,
    gpu: Option<Gpu>,
    cl: Option<OpenCl>,
}

impl Bench {
    fn new(args: Args) -> Result<Self, Error> {
        let cores = if args.cores == Some(Cores::One) { "one core" } else { "all cores" };
        let report = Report::new(args.bench, args.json, cores);
        let gpu = report.peer("lavapipe", Gpu::open(), |gpu| &gpu.version);
        let cl = report.peer("PoCL", OpenCl::open(), |cl| &cl.version);
        report.peer("plain Rust", Ok(format!("one thread, vectors: {}", plain::vectors())), |version| version);
        Ok(Self { args, report, pool: rayon::ThreadPoolBuilder::new().build()?, gpu, cl })
    }

    fn run(&self) -> Result<(), Error> {
        let wanted = |name: &str| self.args.rows.is_empty() || self.args.rows.iter().any(|word| name.contains(word));
        for (name, make) in rows::ALL.iter().filter(|(name, _)| wanted(name)) {
            self.row(name, &make(!self.args.bench)).map_err(|e| format!("{name}: {e}"))?;
        }
        // Compiling takes one core, however many there are.
        if wanted("compile") && self.args.cores != Some(Cores::All) {
            compile::run(&self.report, if self.args.bench { *TURNS.end() } else { 1 })?;
        }
        Ok(())
    }

    fn row(&self, name: &str, row: &Row) -> Result<(), Error> {
        let mut arms: Vec<(String, Box<dyn Arm + '_>, Goal)> = Vec::new();
        let engines = if row.checked { vec![Engine::Interpreter] } else { simt::engines() };
        for engine in engines {
            let arm = Simt::new(row, engine, &self.pool)?;
            arms.push((arm.label(), Box::new(arm), Goal::Print));
        }
        if let Some(gpu) = &self.gpu {
            arms.push(("lavapipe".into(), Box::new(Lavapipe::new(row, gpu)?), row.lavapipe));
        }
        // A checked run is held against one that is not, of the same WGSL.
        if !row.checked {
            if let Some(twin) = self.cl.as_ref().map(|cl| Twin::new(row, cl)).transpose()?.flatten() {
                arms.push(("PoCL".into(), Box::new(twin), row.pocl));
            }
            let goal = if self.args.cores == Some(Cores::One) { row.plain } else { Goal::Print };
            arms.push(("plain Rust".into(), Box::new(Plain::new(row, row.serial)), goal));
            if let Some(by_hand) = row.by_hand {
                arms.push(("Rust by hand".into(), Box::new(Plain::new(row, by_hand)), Goal::Print));
            }
        }
        let samples = self.sample(row, &mut arms)?;
        let arms: Vec<_> = arms
            .iter()
            .zip(&samples)
            .map(|((label, _, goal), samples)| (label.as_str(), *goal, &samples[..]))
            .collect();
        self.report.row(name, &row.size, &arms);
        Ok(())
    }

    /// Seconds per run, of each arm in each turn. The first turn warms up, and is all there is in a test.
    fn sample(&self, row: &Row, arms: &mut Arms<'_>) -> Result<Vec<Vec<f64>>, Error> {
        let mut samples = vec![Vec::new(); arms.len()];
        let mut turn = |arms: &mut Arms<'_>| -> Result<(), Error> {
            for ((label, arm, _), samples) in arms.iter_mut().zip(&mut samples) {
                let time = arm.run(row.repeat).map_err(|e| format!("{label}: {e}"))?;
                samples.push(time.as_secs_f64() / f64::from(row.repeat));
            }
            Ok(())
        };
        turn(arms)?;
        verify(row, arms, 1)?;
        if self.args.bench {
            let (start, mut turns) = (Instant::now(), 0);
            while turns < *TURNS.start() || turns < *TURNS.end() && start.elapsed() < BUDGET {
                turn(arms)?;
                turns += 1;
            }
            verify(row, arms, 1 + turns as u32)?;
            for samples in &mut samples {
                samples.remove(0);
            }
        }
        Ok(samples)
    }
}

fn verify(row: &Row, arms: &mut Arms<'_>, turns: u32) -> Result<(), Error> {
    let len = row.buffers[row.output].u32s().len();
    for (label, arm, _) in arms {
        let output = arm.output()?;
        let words = output.get(..len).ok_or_else(|| format!("{label}: {} words of {len}", output.len()))?;
        (row.verify)(words, turns * row.repeat).map_err(|e| format!("{label}: {e}"))?;
    }
    Ok(())
}
