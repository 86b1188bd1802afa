//! Random messages for as long as wanted, all of them checked: what a device that runs for days must stand.
//!
//! A round opens queues of random bounds, sends random messages to random buffers (uploads owned and filled
//! in place, downloads, copies, clears, launches, fences; of 4 bytes to 4 MiB), drops some tickets, forwards
//! some and collects the others. Beside each buffer the host keeps what it must hold when everything
//! accepted so far has gone well, so each download that ends well is compared with it, in all its words and
//! their places. What fails must say so: data that was never made is never handed out as if it had been.
//! When a device is done with, its counts must add up, and the memory of the process stays under a ceiling.

mod memory;
mod round;
mod tally;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use wharf::{Device, Simulation};

use self::tally::{Tally, at_rest};
pub use self::{memory::Memory, tally::OUTCOMES};
use crate::random::Random;

/// How long to go on, and with what.
#[derive(Debug)]
pub struct Options<'a> {
    /// For so long; the rounds that are under way then are finished.
    pub time: Duration,
    /// Every choice follows from it, but for what threads decide.
    pub seed: u64,
    /// Threads that send to the device side by side.
    pub threads: usize,
    /// Set by somebody else to end earlier.
    pub stop: &'a AtomicBool,
}

/// What came of it.
#[derive(Debug, Default, Clone)]
#[non_exhaustive]
pub struct Report {
    /// Rounds that were finished.
    pub rounds: u64,
    /// Devices that were opened, one after the other.
    pub devices: u64,
    /// Messages that were accepted.
    pub messages: u64,
    /// Bytes of downloads that were compared.
    pub verified_bytes: u64,
    /// How many messages ended in which way, and how many were refused why: of [`OUTCOMES`], those that
    /// occurred.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Bytes of the process in memory; `None` where the system does not tell.
    pub memory: Option<Memory>,
    /// What must not happen and did, one line each with the seed of its round; the first ends the soak.
    pub violations: Vec<String>,
}

/// Rounds of each thread before its device is replaced by a new one.
const ROUNDS: u64 = 100;
/// What each thread has done before the memory counts, at least: so many rounds, or devices.
const WARM_ROUNDS: u64 = 20;
/// How long a soak is not warm: half of its time, and this at most. An allocator under random sizes and threads
/// that come and go reaches its height only after about a minute.
const WARM_TIME: Duration = Duration::from_secs(60);

/// A simulated device with random faults: what fails, comes late, twice or never, and when the device is
/// lost, follows from the seed. One thread drives it, in virtual time; a watchdog ends what never would.
///
/// # Errors
/// As [`Simulation::open`].
pub fn faulty(seed: u64) -> wharf::Result<Device> {
    Ok(Simulation::open(&description(seed))?.device().clone())
}

fn description(seed: u64) -> String {
    let mut random = Random::new(seed);
    let mut text = format!("gen5x16,h200,seed={seed},watchdog=1s,fail={}", 1 + random.below(400));
    for _ in 0..random.below(12) {
        let at = 1 + random.below(4000);
        text += &match random.below(10) {
            0..=3 => format!(",fail={at}"),
            4 => format!(",late={at}:{}us", random.below(5000)),
            5 => format!(",twice={at}:{}us", random.below(500)),
            6 => format!(",oom={at}"),
            7 => format!(",exhaust={at}"),
            8 => format!(",overtaken={at}"),
            _ => format!(",never={}", 4000 + at),
        };
    }
    if random.below(2) == 0 {
        text += ",reorder";
    }
    if random.below(3) == 0 {
        text += &format!(",lose@{}us", random.below(100_000));
    }
    text
}

/// Device memory that every round can do with, however many threads there are: see
/// [`wharf::Options::memory_bytes`].
pub const LEAST_DEVICE_BYTES: u64 = 1 << 20;

/// From when on the memory counts, and until when to go on.
#[derive(Debug, Clone, Copy)]
struct Times {
    warm: Instant,
    until: Instant,
}

/// Runs rounds on devices that `open` gives, by the number of the device, until the time is over or
/// something is violated.
///
/// # Errors
/// Those of `open`. What goes wrong on a device is in the report.
pub fn run(open: &dyn Fn(u64) -> wharf::Result<Device>, options: &Options<'_>) -> wharf::Result<Report> {
    let began = Instant::now();
    let times = Times { warm: began + WARM_TIME.min(options.time / 2), until: began + options.time };
    let shared = Mutex::new(Report::default());
    for number in 0.. {
        let is_over =
            Instant::now() >= times.until || options.stop.load(Relaxed) || !locked(&shared).violations.is_empty();
        if number > 0 && is_over {
            break;
        }
        let device = open(number)?;
        locked(&shared).devices += 1;
        thread::scope(|scope| {
            for sender in 0..options.threads.max(1) as u64 {
                let (device, shared) = (&device, &shared);
                scope.spawn(move || work(device, (number, sender), shared, options, times));
            }
        });
        let mut report = locked(&shared);
        let mut tally = Tally::default();
        if let Err(violation) = at_rest(&device, &mut tally) {
            report.violations.push(format!("{} at rest: {violation}", device.id()));
        }
        report.add(&tally);
    }
    Ok(shared.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn locked(report: &Mutex<Report>) -> std::sync::MutexGuard<'_, Report> {
    report.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Rounds of one thread, until the time is over or the device is.
fn work(device: &Device, (number, sender): (u64, u64), shared: &Mutex<Report>, options: &Options<'_>, times: Times) {
    for round in 0..ROUNDS {
        let seed = Random::new(options.seed ^ number << 32 ^ sender << 56 ^ round).u64();
        let outcome = round::run(device, seed);
        let idle = device.pools().iter().map(|pool| pool.idle_bytes).sum();
        let mut report = locked(shared);
        report.rounds += 1;
        let is_lost = match outcome {
            Ok(tally) => {
                report.add(&tally);
                tally.is_device_lost
            }
            Err(violation) => {
                report.violations.push(format!("{} round {seed:#018x}: {violation}", device.id()));
                true
            }
        };
        let now = Instant::now();
        let is_warm = now >= times.warm && (round >= WARM_ROUNDS || number >= WARM_ROUNDS);
        if let Err(violation) = Memory::measure(&mut report.memory, is_warm, options.threads, idle) {
            report.violations.push(format!("{} round {seed:#018x}: {violation}", device.id()));
        }
        let enough = now >= times.until || options.stop.load(Relaxed) || !report.violations.is_empty();
        if is_lost || enough {
            return;
        }
    }
}

impl Report {
    fn add(&mut self, tally: &Tally) {
        self.messages += tally.messages;
        self.verified_bytes += tally.verified_bytes;
        for (&what, count) in &tally.outcomes {
            *self.outcomes.entry(what).or_default() += count;
        }
        if let Some(memory) = &mut self.memory {
            memory.leaked += tally.leaked_bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On simulated devices whose fault must be noticed: on so many of them, however long that takes.
    fn soak(open: &dyn Fn(u64) -> wharf::Result<Device>, devices: u64) -> Report {
        let stop = AtomicBool::new(false);
        let options = Options { time: Duration::from_secs(3600), seed: 7, threads: 1, stop: &stop };
        let open = |number| {
            // Of the last one a round is enough.
            stop.store(number == devices, Relaxed);
            open(number)
        };
        run(&open, &options).expect("a device")
    }

    #[test]
    fn a_sound_device_violates_nothing() {
        let stop = AtomicBool::new(false);
        let options = Options { time: Duration::from_millis(500), seed: 7, threads: 2, stop: &stop };
        let report = run(&|_| Device::open("cpu"), &options).expect("a device");
        assert_eq!(report.violations, [""; 0]);
        assert!(report.rounds >= 2 && report.messages > 100 && report.verified_bytes > 0, "{report:?}");
        assert!(report.outcomes["ok"] > 0);
    }

    #[test]
    fn a_faulty_device_violates_nothing_either() {
        let stop = AtomicBool::new(false);
        let options = Options { time: Duration::from_millis(500), seed: 7, threads: 1, stop: &stop };
        let report = run(&faulty, &options).expect("a device");
        assert_eq!(report.violations, [""; 0]);
        for what in ["ok", "failed: driver", "failed: upstream"] {
            assert!(report.outcomes.get(what).is_some_and(|&count| count > 0), "{what}: {report:?}");
        }
    }

    /// The net has no hole: one wrong bit in one download is noticed.
    #[test]
    fn a_wrong_bit_is_a_violation() {
        let corrupt = |_| Ok(Simulation::open("gen5x16,corrupt=40")?.device().clone());
        let report = soak(&corrupt, 8);
        assert!(report.violations.iter().any(|line| line.contains("came back with other data")), "{report:?}");
    }

    #[test]
    fn descriptions_differ_and_can_be_read() {
        let all: std::collections::BTreeSet<String> = (0..200).map(description).collect();
        assert_eq!(all.len(), 200);
        all.iter().for_each(|text| drop(Simulation::open(text).expect(text)));
    }
}
