//! Memory while more is sent than can go.

use wharf::{Device, FailPolicy};

use crate::{Error, Size, met};

const MESSAGE: usize = 1 << 20;
const QUEUE_BYTES: u64 = 64 << 20;
const SLACK_BYTES: u64 = 32 << 20;

pub(crate) fn run(size: Size) -> Result<(), Error> {
    if !cfg!(target_os = "linux") {
        println!("flood: skipped, the memory of a process is read on Linux only");
        return Ok(());
    }
    let device = Device::open("cpu")?;
    let queue = device.queue("flood").bytes(QUEUE_BYTES).policy(FailPolicy::FailStop).open();
    let buffer = device.buffer::<u8>(MESSAGE)?;
    // Each message has memory of its own, which its end frees.
    let send = |i: usize| -> Result<(), Error> {
        drop(device.upload(&buffer).on(&queue).send(vec![i as u8; MESSAGE])?);
        Ok(())
    };
    (0..size.of(4, 256)).try_for_each(send)?;
    device.drain();
    let (messages, baseline) = (size.of(200, 100_000), resident()?);
    let mut peak = baseline;
    for i in 0..messages {
        send(i)?;
        if i % 64 == 0 {
            peak = peak.max(resident()?);
        }
    }
    peak = peak.max(resident()?);
    queue.drain();
    let (last, stats) = (device.download(&buffer).wait()?[MESSAGE - 1], device.stats());
    if last != (messages - 1) as u8 || stats.dead_lettered > 0 {
        return Err(format!("the last message is {last}, {} have failed", stats.dead_lettered).into());
    }
    let (grown, most) = (peak - baseline, QUEUE_BYTES + SLACK_BYTES);
    println!(
        "flood: {messages} messages of 1 MiB through a queue of {} MiB: memory grew by {} MiB, at most {}: {}",
        QUEUE_BYTES >> 20,
        grown >> 20,
        most >> 20,
        met(grown <= most)
    );
    Ok(())
}

/// Bytes of this process that are in memory.
fn resident() -> Result<u64, Error> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("the kernel does not say VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib << 10)
}
