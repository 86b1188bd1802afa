//! What a send costs that a full queue refuses.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use rustix::time::{ClockId, Timespec, clock_gettime};
use wharf::{Device, Error as Failure, Grid, Kernel, Refusal, native::Dispatch};

use crate::{Error, Size, met, quantile};

const MOST_US: f64 = 5.0;

const HOLD: &str = "
@group(0) @binding(0) var<storage, read_write> held: array<u32>;
@compute @workgroup_size(1)
fn hold() { held[0] = 1u; }";

static GO: AtomicBool = AtomicBool::new(false);

/// Runs until it is let go.
fn hold(_: &mut Dispatch<'_>) {
    while !GO.load(SeqCst) {
        std::thread::yield_now();
    }
}

static KERNEL: Kernel = Kernel::new("hold", HOLD).with_native(hold).with_grid(Grid::Fixed([1, 1, 1]));

pub(crate) fn run(size: Size) -> Result<(), Error> {
    if !cfg!(target_os = "linux") {
        println!("refusal: skipped, the switches of a thread are counted on Linux only");
        return Ok(());
    }
    let device = Device::open("cpu")?;
    let queue = device.queue("full").depth(1).open();
    let buffer = device.buffer::<u32>(16)?;
    GO.store(false, SeqCst);
    let held = device.launch(&KERNEL).bind(&buffer).on(&queue).run()?;
    let sends = size.of(100, 100_000);
    let mut samples = Vec::with_capacity(sends);
    let mut host = vec![0_u32; 16];
    let sleeps = sleeps()?;
    for _ in 0..sends {
        let begin = cpu_time_us();
        let sent = device.upload(&buffer).on(&queue).or_refuse().send(host);
        samples.push(cpu_time_us() - begin);
        let refused = sent.err().ok_or("accepted, though full")?;
        if !matches!(refused.error, Failure::Refused { why: Refusal::Full { .. }, .. }) {
            return Err(refused.error.into());
        }
        host = refused.buffer;
    }
    let slept = sleeps_since(sleeps)?;
    GO.store(true, SeqCst);
    held.wait().ok()?;
    let mut empty: Vec<f64> = (0..sends).map(|_| -(cpu_time_us() - cpu_time_us())).collect();
    let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|part| quantile(&mut samples, part));
    println!(
        "refusal: CPU time of a send to a full queue {p50:.2} us, 99 % within {p99:.2}, 99.9 % within {p999:.2} us, at \
         most {MOST_US}: {} | of which reading the clock is {:.2} us | slept {slept} times of {sends}",
        met(p999 < MOST_US),
        quantile(&mut empty, 0.5)
    );
    Ok(())
}

fn cpu_time_us() -> f64 {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ThreadCPUTime);
    tv_sec as f64 * 1e6 + tv_nsec as f64 / 1e3
}

/// How often this thread has given its core away by itself.
fn sleeps() -> Result<u64, Error> {
    let status = std::fs::read_to_string("/proc/thread-self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    Ok(line.ok_or("the kernel does not count switches")?.trim().parse()?)
}

fn sleeps_since(before: u64) -> Result<u64, Error> {
    Ok(sleeps()? - before)
}
