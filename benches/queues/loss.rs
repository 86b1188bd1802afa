//! A device is lost with many messages unresolved.

use std::time::{Duration, Instant};

use wharf::{Buffer, Completion, Device, DmaQueue, Error as Failure, FailureKind, Ticket};
use wharf_kernels::SAXPY;

use crate::{Error, Size, met, software};

const QUEUES: usize = 8;
const WORDS: usize = 16;
/// What goes through the device's lanes at that moment.
const LARGE: usize = 8 << 20;
const MOST: Duration = Duration::from_secs(1);

/// How a device is lost once everything has been sent.
#[derive(Debug, Clone, Copy)]
enum Cause {
    /// The program says so.
    Declared,
    /// By what this operation does: on the simulated device it takes too long, on the software driver it
    /// fails and takes the context with it.
    Launch,
}

pub(crate) fn run(size: Size) -> Result<(), Error> {
    for name in software::devices(&["cpu", "wgpu", "sim:watchdog=1s,late=1:10s"]) {
        let cause = if name.starts_with("sim") || name.starts_with("cuda") { Cause::Launch } else { Cause::Declared };
        match Device::open(name) {
            Ok(device) => lose(&device, cause, size)?,
            Err(e) if e.is_unavailable() => println!("loss, {name}: skipped, {e}"),
            Err(e) => return Err(e.into()),
        }
    }
    software::run("loss", size, &[("SOFT_CUDA_FAULT", "launch:1:719")])
}

/// A ticket of either kind.
enum Held {
    Plain(Ticket<()>),
    Words(Ticket<Vec<u32>>),
}

fn lose(device: &Device, cause: Cause, size: Size) -> Result<(), Error> {
    let messages = size.of(200, 10_000);
    device.prepare(&SAXPY)?;
    // Whatever the device does meanwhile, these wait for what the program holds back.
    let (held, signal) = device.promise();
    let queues: Vec<DmaQueue> = (0..QUEUES).map(|i| device.queue(&format!("loss {i}")).open()).collect();
    queues.iter().try_for_each(|queue| queue.wait_for(&held))?;
    let buffers = (0..2 * QUEUES).map(|_| device.buffer::<u32>(WORDS)).collect::<wharf::Result<Vec<_>>>()?;
    let [x, y] = [device.buffer::<f32>(WORDS)?, device.buffer::<f32>(WORDS)?];
    let saxpy = || device.launch(&SAXPY).bind(&x).bind(&y).arg("a", 2.0_f32);
    let mut tickets = Vec::with_capacity(messages);
    for number in 0..messages {
        let (queue, buffer) = (&queues[number % QUEUES], &buffers[number % buffers.len()]);
        tickets.push(match number / QUEUES % 3 {
            0 => Held::Words(device.upload(buffer).on(queue).send(vec![number as u32; WORDS])?),
            1 => Held::Plain(saxpy().on(queue).run()?),
            _ => Held::Words(device.download(buffer).on(queue).into(vec![0; WORDS]).map_err(Failure::from)?),
        });
    }
    let unresolved = device.stats().in_flight;
    if unresolved != messages as u64 {
        return Err(format!("{unresolved} of {messages} messages are unresolved").into());
    }
    let large: Buffer<u32> = device.buffer(LARGE / 4)?;
    let [a, b] = [device.buffer::<f32>(WORDS)?, device.buffer::<f32>(WORDS)?];
    let begin = Instant::now();
    let under_way = match cause {
        Cause::Declared => {
            let sent = device.upload(&large).send(vec![7; LARGE / 4])?;
            device.declare_lost("the bench says so");
            Held::Words(sent)
        }
        Cause::Launch => Held::Plain(device.launch(&SAXPY).bind(&a).bind(&b).arg("a", 2.0_f32).run()?),
    };
    let (mut ended, mut back) = (0, 0);
    for ticket in tickets {
        match ticket {
            Held::Plain(ticket) => lost(&ticket.wait())?,
            Held::Words(ticket) => {
                let done = ticket.wait();
                lost(&done)?;
                back += usize::from(done.buffer.is_some_and(|words| words.len() == WORDS));
            }
        }
        ended += 1;
    }
    let took = begin.elapsed();
    match under_way {
        Held::Plain(ticket) => drop(ticket.wait()),
        Held::Words(ticket) => drop(ticket.wait()),
    }
    drop(signal);
    let (stats, sent) = (device.stats(), device.upload(&buffers[0]).send(vec![1; WORDS]));
    if stats.in_flight > 0 || sent.is_ok() {
        return Err("a lost device has messages, or takes new ones".into());
    }
    let how = match cause {
        Cause::Declared => "declared lost",
        Cause::Launch if device.capabilities().is_simulated() => "lost to its watchdog",
        Cause::Launch => "lost to a launch that fails",
    };
    println!(
        "loss, {}: {ended} messages on {QUEUES} queues, device {how}: all resolved after {:.3} ms, {back} buffers came \
         back, at most {MOST:?}: {}",
        device.id(),
        took.as_secs_f64() * 1e3,
        met(took <= MOST)
    );
    Ok(())
}

fn lost<B>(done: &Completion<B>) -> Result<(), Error> {
    match &done.result {
        Err(error) if matches!(error.kind, FailureKind::DeviceLost(_)) => Ok(()),
        other => Err(format!("message {} is not lost: {other:?}", done.id).into()),
    }
}
