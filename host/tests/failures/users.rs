//! The user's code runs where it cannot hurt.

use std::{sync::mpsc, time::Duration};

use wharf::{Device, Faults};

use crate::{WORDS, buffer, queue, simulation, words};

const LONG: Duration = Duration::from_secs(60);

#[test]
fn f07_a_callback_may_send_wait_block_and_panic() -> wharf::Result<()> {
    let device = Device::open("cpu")?;
    let (queue, buffer) = (queue(&device), device.buffer::<u32>(WORDS)?);
    let (release, blocked) = mpsc::channel::<()>();
    let (sender, called) = mpsc::channel();
    device.upload(&buffer).on(&queue).send(words(1))?.on_complete(move |_| {
        blocked.recv_timeout(LONG).expect("released");
        panic!("the user's own");
    });
    // Messages complete while a callback blocks.
    assert_eq!(*device.download(&buffer).on(&queue).wait()?, words(1));
    let again = device.clone();
    device.download(&buffer).on(&queue).send()?.on_complete(move |_| {
        let other = again.buffer::<u32>(WORDS).and_then(|other| again.download(&other).wait());
        sender.send(other.map(|zeroes| zeroes[0])).expect("somebody listens");
    });
    release.send(()).expect("it listens");
    assert_eq!(called.recv_timeout(LONG).expect("the next callback runs")?, 0);
    assert_eq!(device.stats().callback_panics, 1);
    Ok(())
}

#[test]
fn f07_also_where_the_users_thread_drives() -> wharf::Result<()> {
    let sim = simulation(Faults::new());
    let device = sim.device();
    let (queue, buffer) = (queue(device), buffer(device));
    let (again, (sender, called)) = (device.clone(), mpsc::channel());
    device.upload(&buffer).on(&queue).send(words(1))?.on_complete(move |_| {
        let other = again.buffer::<u32>(WORDS).and_then(|other| again.download(&other).wait());
        sender.send(other.map(|zeroes| zeroes[0])).expect("somebody listens");
        panic!("the user's own");
    });
    device.drain();
    while device.progress() {}
    assert_eq!(called.try_recv().expect("it ran")?, 0);
    assert_eq!(device.stats().callback_panics, 1);
    Ok(())
}
