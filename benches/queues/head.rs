//! A small message on a queue of high priority behind a large one of the same lane.

use std::time::{Duration, Instant};

use wharf::{Device, Priority, Receipt};

use crate::{Error, Size, met, quantile};

const CHUNK: u64 = 4 << 20;
/// Chunks that a lane is given ahead: the small message waits for them, and for the one under way.
const CHUNKS: u32 = 3;
const RATE_KEPT: f64 = 0.95;

/// How long one small message took, and what it was behind.
#[derive(Debug, Clone, Copy)]
struct Wait {
    /// From before it was sent until its completion was there.
    trip_ms: f64,
    /// From its acceptance to its end on the device.
    queue_ms: f64,
    /// Chunks of the large message that were over in that time, and how long they took.
    chunks: u32,
    chunks_ms: f64,
}

impl Wait {
    fn new(trip: Duration, receipt: &Receipt) -> Result<Self, Error> {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let finished = receipt.finished.ok_or("what went well has ended")?;
        let queue = finished.saturating_duration_since(receipt.accepted);
        let behind = receipt.behind();
        Ok(Self { trip_ms: ms(trip), queue_ms: ms(queue), chunks: behind.commands, chunks_ms: ms(behind.took) })
    }
}

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
    let (mut waits, mut last) = (Vec::new(), 0);
    for turn in 0..=size.of(1, 4) {
        for (with_small, rates) in [false, true].into_iter().zip(&mut rates) {
            let begin = Instant::now();
            let mut ticket = device.upload(&large).on(&low).send(host)?;
            let mut own = Vec::new();
            host = loop {
                match ticket.wait_timeout(Duration::from_millis(2)) {
                    Ok(done) => break done.ok()?,
                    Err(again) => ticket = again,
                }
                if with_small {
                    let sent = Instant::now();
                    last = turn as u32;
                    let done = device.upload(&small).on(&high).send(vec![last; 16])?.wait();
                    let (trip, receipt) = (sent.elapsed(), done.receipt.clone());
                    done.ok()?;
                    own.push(Wait::new(trip, &receipt)?);
                }
            };
            // The first turn touches the memory.
            if turn > 0 {
                rates.push(len as f64 / begin.elapsed().as_secs_f64() / 1e9);
                waits.append(&mut own);
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
    if waits.is_empty() {
        println!(" | no small message was in time");
        return Ok(());
    }
    tell(&waits, CHUNK as f64 / (beside * 1e9) * 1e3);
    Ok(())
}

/// What the waits come to: in chunks, which no other work on the machine can change, and by the clock, where
/// `chunk_ms` is the time of a chunk at the rate of the large message.
fn tell(waits: &[Wait], chunk_ms: f64) {
    let most = waits.iter().map(|wait| wait.chunks).max().unwrap_or(0);
    let limit = f64::from(CHUNKS) * chunk_ms;
    // The host's round trip has the scheduler in it; what the receipt says is the queue and the device.
    let told = |ms: fn(&Wait) -> f64| {
        let mut waits: Vec<f64> = waits.iter().map(ms).collect();
        let [median, most_of_them, worst] = [0.5, 0.95, 1.0].map(|part| quantile(&mut waits, part));
        let late = waits.iter().filter(|&&wait| wait > limit).count();
        format!("{median:.3} ms, 95 % within {most_of_them:.3}, {worst:.3} at most, {late} late: {}", met(late == 0))
    };
    print!(
        " | {} of 64 bytes at high priority, behind {most} chunks at most, no more than {CHUNKS}: {} | none is to take \
         longer than {CHUNKS} chunks, {limit:.3} ms: from acceptance to their end on the device {} | sent and waited \
         for {}",
        waits.len(),
        met(most <= CHUNKS),
        told(|wait| wait.queue_ms),
        told(|wait| wait.trip_ms)
    );
    let late: Vec<&Wait> = waits.iter().filter(|wait| wait.queue_ms > limit).collect();
    if late.is_empty() {
        println!();
        return;
    }
    let over = late.iter().map(|wait| wait.queue_ms - limit).sum::<f64>();
    let longer = |wait: &&Wait| (wait.chunks_ms - f64::from(wait.chunks) * chunk_ms).max(0.0);
    println!(
        " | the late ones took {over:.3} ms too long in sum; the chunks before them took {:.3} ms more than such chunks do",
        late.iter().map(longer).sum::<f64>()
    );
}
