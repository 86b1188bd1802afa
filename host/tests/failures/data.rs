//! What is said to have gone well has, and nothing is touched while it is in flight.

use std::{mem, time::Duration};

use wharf::Faults;

use crate::{buffer, queue, simulation, went_well, words};

#[test]
fn f12_a_forgotten_ticket_leaks_its_buffer_and_breaks_nothing() -> wharf::Result<()> {
    let sim = simulation(Faults::new());
    let device = sim.device();
    let (queue, buffer) = (queue(device), buffer(device));
    mem::forget(device.upload(&buffer).on(&queue).send(words(1))?);
    assert_eq!(*device.download(&buffer).on(&queue).wait()?, words(1), "the message goes on");
    let stats = device.stats();
    assert_eq!((stats.in_flight, stats.uncollected, stats.leaked_buffers), (1, 1, 0));
    Ok(())
}

#[test]
fn f13_staging_memory_is_not_used_again_before_its_bytes_have_left() -> wharf::Result<()> {
    const ROUNDS: usize = 2000;
    let late = |faults: Faults, n: u64| faults.late(3 * n, Duration::from_micros(n * 13 % 90));
    let sim = simulation((1..=ROUNDS as u64).fold(Faults::new().reorder(), late));
    let device = sim.device();
    let buffers = [buffer(device), buffer(device), buffer(device), buffer(device)];
    let queues = [queue(device), queue(device)];
    let mut flying = Vec::new();
    for round in 0..ROUNDS {
        let (buffer, queue) = (&buffers[round % 4], &queues[round % 2]);
        let mut fill = device.upload(buffer).on(queue).reserve(buffer.len())?;
        fill.copy_from_slice(&words(round));
        drop(fill.commit()?);
        flying.push((round, device.download(buffer).on(&queues[(round + 1) % 2]).send()?));
        if flying.len() == 6 {
            for (round, ticket) in flying.drain(..) {
                assert_eq!(ticket.wait().ok()?, words(round));
            }
        }
    }
    Ok(())
}

#[test]
fn f14_a_corrupt_download_is_there_to_be_noticed() -> wharf::Result<()> {
    let sim = simulation(Faults::new().corrupt(2));
    let device = sim.device();
    let (queue, buffer) = (queue(device), buffer(device));
    assert!(went_well(1, device.upload(&buffer).on(&queue).send(words(1))?.wait()));
    let downloads: Vec<_> = (0..3).map(|_| device.download(&buffer).on(&queue).wait()).collect::<Result<_, _>>()?;
    let same: Vec<bool> = downloads.iter().map(|got| **got == words(1)).collect();
    assert_eq!(same, [true, false, true], "every one of them is said to have gone well");
    Ok(())
}
