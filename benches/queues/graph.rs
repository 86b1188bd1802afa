//! A graph of empty launches, replayed, beside the same launches sent one by one.

use std::{collections::VecDeque, time::Instant};

use wharf::{Buffer, Device, Ticket};

use crate::{Error, Size, Turns, launch::KERNEL, ratio};

/// Launches of the graph.
const LAUNCHES: usize = 32;
/// Replays in flight, or as many launches as they have.
const WINDOW: usize = 8;

pub(crate) fn run(size: Size) -> Result<(), Error> {
    for id in ["cpu", "wgpu"] {
        match Device::open(id) {
            Ok(device) => on(&device, size)?,
            Err(e) => println!("graph: skipped: {e}"),
        }
    }
    Ok(())
}

fn on(device: &Device, size: Size) -> Result<(), Error> {
    device.prepare(&KERNEL)?;
    let rounds = size.of(4, 2000);
    let (mut replayed, mut single) = (Turns::default(), Turns::default());
    for turn in 0..=size.turns() {
        let count = device.buffer::<u32>(1)?;
        let mut steps = Vec::new();
        for _ in 0..LAUNCHES {
            steps.extend(device.launch(&KERNEL).bind(&count).messages()?);
        }
        let graph = device.graph(steps)?;
        let by_graph = timed(device, &count, WINDOW, rounds, LAUNCHES, || Ok(graph.replay().run()?))?;
        let launches = rounds * LAUNCHES;
        let one = || Ok(device.launch(&KERNEL).bind(&count).run()?);
        let by_one = timed(device, &count, WINDOW * LAUNCHES, launches, 1, one)?;
        if turn > 0 || size == Size::Small {
            replayed.0.push(by_graph);
            single.0.push(by_one);
        }
    }
    let (id, times) = (device.id(), 1.0 / ratio(&replayed, &single));
    println!(
        "graph: empty launches on {id}, {LAUNCHES} in a graph: {replayed} us each | one by one {single} us | {times:.1} times"
    );
    Ok(())
}

/// Microseconds for each launch, from the first that is sent to the last that is reaped.
fn timed(
    device: &Device,
    count: &Buffer<u32>,
    window: usize,
    messages: usize,
    launches: usize,
    send: impl Fn() -> Result<Ticket<()>, Error>,
) -> Result<f64, Error> {
    device.clear(count).send()?.wait().ok()?;
    let mut tickets: VecDeque<Ticket<()>> = VecDeque::with_capacity(window);
    let begin = Instant::now();
    for _ in 0..messages {
        if tickets.len() == window {
            tickets.pop_front().expect("some").wait().ok()?;
        }
        tickets.push_back(send()?);
    }
    for ticket in tickets {
        ticket.wait().ok()?;
    }
    let each = begin.elapsed().as_secs_f64() * 1e6 / (messages * launches) as f64;
    let ran = device.download(count).wait()?[0] as usize;
    if ran != messages * launches {
        return Err(format!("{ran} launches ran of {}", messages * launches).into());
    }
    Ok(each)
}
