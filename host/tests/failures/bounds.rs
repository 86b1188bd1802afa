//! Queues are bounded, and say so instead of blocking.

use std::time::Duration;

use wharf::{Error, Faults, Refusal, Simulation};

use crate::{WORDS, buffer, queue, simulation, went_well, words};

#[test]
fn f08_a_slow_consumer_loses_nothing() -> wharf::Result<()> {
    const MESSAGES: usize = 5000;
    let sim = simulation(Faults::new());
    let device = sim.device();
    let queue = device.queue("narrow").depth(8).open();
    let buffer = buffer(device);
    // Nothing is collected before everything was sent: credits return all the same.
    let mut tickets = Vec::new();
    for number in 0..MESSAGES {
        tickets.push(device.upload(&buffer).on(&queue).send(words(number))?);
        assert!(queue.stats().unresolved <= 8);
    }
    device.drain();
    let stats = device.stats();
    assert_eq!((stats.uncollected, stats.in_flight), (MESSAGES as u64, MESSAGES as u64));
    for (number, ticket) in tickets.into_iter().enumerate() {
        assert!(went_well(number, ticket.try_take().expect("it is resolved")));
    }
    assert_eq!(device.stats().delivered, MESSAGES as u64);
    Ok(())
}

#[test]
fn f09_a_flood_stays_within_the_bytes_of_its_queue() -> wharf::Result<()> {
    const BYTES: u64 = 1 << 20;
    const EACH: usize = 64 << 10;
    let sim = simulation(Faults::new());
    let device = sim.device();
    let queue = device.queue("bounded").bytes(BYTES).open();
    let buffer = device.buffer::<u8>(EACH)?;
    for _ in 0..10_000 {
        drop(device.upload(&buffer).on(&queue).reserve(EACH)?.commit()?);
    }
    device.drain();
    let stats = device.stats();
    // One is being written while those before it fill the queue.
    assert!(stats.staging_high_water_bytes <= BYTES + EACH as u64, "{stats:?}");
    assert_eq!((stats.detached_ok, stats.staging_bytes), (10_000, 0));
    Ok(())
}

/// Fills a queue as fast as it goes; gives for how long the driver has made the host wait.
fn blocked(cap: u32, block: usize) -> wharf::Result<f64> {
    const DEPTH: u32 = 1000;
    let sim = Simulation::open_with(&format!("gen4x16,cap={cap}"), Faults::new().block_at(block))?;
    let device = sim.device();
    let queue = device.queue("deep").depth(DEPTH).window(u32::MAX).open();
    let buffer = buffer(device);
    let send = || device.upload(&buffer).on(&queue).or_refuse().send(vec![0; WORDS]);
    for _ in 0..DEPTH {
        drop(send()?);
    }
    let refused = send().unwrap_err();
    assert!(matches!(refused.error, Error::Refused { why: Refusal::Full { .. }, .. }), "{refused}");
    assert_eq!((sim.seconds(), sim.blocked_seconds()), (0.0, 0.0), "sending takes no time, nor does a refusal");
    device.drain();
    assert_eq!(device.stats().detached_ok, u64::from(DEPTH));
    Ok(sim.blocked_seconds())
}

#[test]
fn f10_a_driver_that_blocks_when_full_is_never_filled() -> wharf::Result<()> {
    assert_eq!(blocked(8, 8)?, 0.0, "the cap keeps below what the driver takes");
    assert!(blocked(8, 4)? > 0.0, "this driver does block");
    Ok(())
}

#[test]
fn f15_a_timeout_is_no_success_and_gives_the_ticket_back() -> wharf::Result<()> {
    let sim = simulation(Faults::new().late(1, Duration::from_millis(5)));
    let device = sim.device();
    let (queue, buffer) = (queue(device), buffer(device));
    let ticket = device.upload(&buffer).on(&queue).send(words(1))?;
    let ticket = ticket.wait_timeout(Duration::from_millis(2)).expect_err("it takes longer");
    assert_eq!(sim.seconds(), 2e-3);
    let ticket = ticket.try_take().expect_err("it takes longer");
    assert!(went_well(1, ticket.wait_timeout(Duration::from_secs(1)).expect("in time")));
    assert!((5e-3..6e-3).contains(&sim.seconds()), "{}", sim.seconds());
    Ok(())
}
