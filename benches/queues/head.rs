//! A small message on a queue of high priority behind a large one of the same lane.

use std::time::{Duration, Instant};

use wharf::{Device, Priority};

use crate::{Error, Size, met, quantile};

const CHUNK: u64 = 4 << 20;
/// Chunks that a lane is given ahead: the small message waits for them, and for the one under way.
const CHUNKS: f64 = 3.0;
const RATE_KEPT: f64 = 0.95;

pub(crate) fn run(size: Size) -> Result<(), Error> {
    for name in ["cpu", "wgpu"] {
        match Device::open(name) {
            Ok(device) => behind(&device, size)?,
            Err(e) if e.is_unavailable() => println!("head, {name}: skipped, {e}"),
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

fn behind(device: &Device, size: Size) -> Result<(), Error> {
    let most = usize::try_from(device.capabilities().max_buffer_bytes)?;
    let len = size.of(16 << 20, 1 << 30).min(most);
    let (large, small) = (device.buffer::<u8>(len)?, device.buffer::<u32>(16)?);
    let low = device.queue("large").chunk(CHUNK).open();
    let high = device.queue("small").priority(Priority::High).open();
    let mut host: Vec<u8> = (0..len).map(|i| (i >> 12) as u8).collect();
    let mut rates = [Vec::new(), Vec::new()];
    let (mut waits, mut last) = ([Vec::new(), Vec::new()], 0);
    for turn in 0..=size.of(1, 4) {
        for (with_small, rates) in [false, true].into_iter().zip(&mut rates) {
            let begin = Instant::now();
            let mut ticket = device.upload(&large).on(&low).send(host)?;
            let mut own = [Vec::new(), Vec::new()];
            host = loop {
                match ticket.wait_timeout(Duration::from_millis(2)) {
                    Ok(done) => break done.ok()?,
                    Err(again) => ticket = again,
                }
                if with_small {
                    let sent = Instant::now();
                    last = turn as u32;
                    let done = device.upload(&small).on(&high).send(vec![last; 16])?.wait();
                    own[0].push(sent.elapsed().as_secs_f64() * 1e3);
                    let (accepted, finished) = (done.receipt.accepted, done.receipt.finished);
                    done.ok()?;
                    let finished = finished.ok_or("what went well has ended")?;
                    own[1].push(finished.saturating_duration_since(accepted).as_secs_f64() * 1e3);
                }
            };
            // The first turn touches the memory.
            if turn > 0 {
                rates.push(len as f64 / begin.elapsed().as_secs_f64() / 1e9);
                waits.iter_mut().zip(&mut own).for_each(|(waits, own)| waits.append(own));
            }
        }
    }
    let end = device.download(&large).range(len - 4..len).wait()?[3];
    if end != host[len - 1] || device.download(&small).wait()?[0] != last {
        return Err("what arrived is not what was sent".into());
    }
    let [alone, beside] = rates.map(|mut rates| quantile(&mut rates, 0.5));
    print!(
        "head, {}: {} MiB in chunks of {} MiB at {alone:.2} GB/s alone, {beside:.2} beside small messages, {:.0} % of \
         it, at least {:.0} %: {}",
        device.id(),
        len >> 20,
        CHUNK >> 20,
        100.0 * beside / alone,
        100.0 * RATE_KEPT,
        met(beside >= RATE_KEPT * alone)
    );
    if waits[0].is_empty() {
        println!(" | no small message was in time");
        return Ok(());
    }
    let limit = CHUNKS * CHUNK as f64 / (beside * 1e9) * 1e3;
    let count = waits[0].len();
    // The host's round trip has the scheduler in it; what the receipt says is the queue and the device.
    let told = |mut waits: Vec<f64>| {
        let [median, most_of_them, worst] = [0.5, 0.95, 1.0].map(|part| quantile(&mut waits, part));
        let late = waits.iter().filter(|&&wait| wait > limit).count();
        format!("{median:.3} ms, 95 % within {most_of_them:.3}, {worst:.3} at most, {late} late: {}", met(late == 0))
    };
    let [trip, queue] = waits.map(told);
    println!(
        " | {count} of 64 bytes at high priority, of which none is to take longer than {CHUNKS} chunks, {limit:.3} ms: \
         from acceptance to their end on the device {queue} | sent and waited for {trip}"
    );
    Ok(())
}
