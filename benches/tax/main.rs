//! What wharf costs over the same work written by hand in wgpu.
//!
//! Each round sends `x` up, runs `y = 2 x + y` and brings `y` down; `DEPTH` rounds are in flight. By hand
//! it is done in three ways, which differ in how `x` goes up: `write_buffer`, a ring of mapped buffers,
//! and a buffer `mapped_at_creation` for each round. The source of `x` and the destination of `y` are
//! vectors on both sides. Launches are measured alone too: an almost empty kernel, many in flight, by
//! hand submitted one by one and all at once.
//!
//! The arms take turns, sample by sample. A line gives the medians per round with the spread of the
//! samples (smallest to largest), and the ratio of ours to the fastest by hand: the largest of the median
//! ratios within a turn, so that what else the machine does weighs on both sides. Every sample's data is
//! verified. `cargo bench --bench tax [DEVICE]` measures, without `--bench` each arm runs once, small.

mod ours;
mod raw;

use std::time::Duration;

use wharf::Device;

/// Rounds in flight.
const DEPTH: usize = 4;
/// Launches of a sample.
const LAUNCHES: usize = 256;
const SIZES: [usize; 6] = [64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20];

type Error = Box<dyn std::error::Error>;

/// One way of doing the work: does so many rounds, verifies them, and says how long they took.
trait Arm {
    fn run(&mut self, rounds: usize) -> Result<Duration, Error>;
}

/// What `x` holds, small enough for all sums to be exact in f32.
fn input(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i % 1021) as f32).collect()
}

/// Whether `y` is what so many rounds add up to.
fn verify(y: &[f32], rounds: usize) -> Result<(), Error> {
    let wrong = y.iter().enumerate().find(|&(i, &y)| y != 2.0 * (rounds * (i % 1021)) as f32);
    wrong.map_or(Ok(()), |(i, y)| Err(format!("y[{i}] is {y} after {rounds} rounds").into()))
}

fn main() -> Result<(), Error> {
    let measure = std::env::args().any(|arg| arg == "--bench");
    let name = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_else(|| "wgpu".into());
    let device = match Device::open(&name) {
        Ok(device) => device,
        Err(e) if e.is_unavailable() => {
            println!("# skipped: {e}");
            return Ok(());
        }
        Err(e) => return Err(e.into()),
    };
    let raw = raw::Gpu::open(&device.capabilities().name)?;
    println!("# {}, {}: {DEPTH} rounds in flight", device.capabilities().name, device.capabilities().driver);
    println!("# microseconds per round: median (smallest-largest)");
    for &bytes in if measure { &SIZES[..] } else { &SIZES[..1] } {
        let len = bytes / 4;
        let mut arms: Vec<(&str, Box<dyn Arm + '_>)> = vec![
            ("write_buffer", Box::new(raw::Rounds::new(&raw, raw::Way::WriteBuffer, len)?)),
            ("mapped ring", Box::new(raw::Rounds::new(&raw, raw::Way::Ring, len)?)),
            ("mapped_at_creation", Box::new(raw::Rounds::new(&raw, raw::Way::Fresh, len)?)),
            ("wharf", Box::new(ours::Rounds::new(&device, len)?)),
        ];
        let rounds = if measure { ((64 << 20) / bytes).clamp(8, 256) } else { DEPTH };
        compare(&format!("{} KiB", bytes >> 10), &mut arms, rounds, measure)?;
    }
    let mut arms: Vec<(&str, Box<dyn Arm + '_>)> = vec![
        ("one by one", Box::new(raw::Launches::new(&raw, false))),
        ("all at once", Box::new(raw::Launches::new(&raw, true))),
        ("wharf", Box::new(ours::Launches::new(&device)?)),
    ];
    compare("launch", &mut arms, LAUNCHES, measure)
}

/// Runs the arms in turns and prints a line; the last arm is ours.
fn compare(what: &str, arms: &mut [(&str, Box<dyn Arm + '_>)], rounds: usize, measure: bool) -> Result<(), Error> {
    let mut samples = vec![Vec::new(); arms.len()];
    // The first turn warms pools and caches.
    for turn in 0..if measure { 16 } else { 1 } {
        for (arm, samples) in arms.iter_mut().zip(&mut samples) {
            let time = arm.1.run(rounds).map_err(|e| format!("{what}, {}: {e}", arm.0))?;
            if turn > 0 || !measure {
                samples.push(time.as_secs_f64() * 1e6 / rounds as f64);
            }
        }
    }
    let (ours, raw) = samples.split_last().expect("ours is the last");
    let against = |raw: &Vec<f64>| median(ours.iter().zip(raw).map(|(ours, raw)| ours / raw).collect());
    let ratio = raw.iter().map(against).fold(0.0, f64::max);
    let mut line = format!("{what:>9}");
    for ((name, _), samples) in arms.iter().zip(&samples) {
        let (low, high) = samples.iter().fold((f64::MAX, 0.0_f64), |(low, high), &s| (low.min(s), high.max(s)));
        line += &format!(" | {name} {:.1} ({low:.1}-{high:.1})", median(samples.clone()));
    }
    println!("{line} | ratio {ratio:.3}");
    Ok(())
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}
