//! A simulated device that is opened by name: it has threads, as any other device has.

use std::{sync::mpsc, time::Duration};

use wharf::{BackendKind, Device, Error, FailureKind, Path};

const LONG: Duration = Duration::from_secs(60);

#[test]
fn nobody_needs_to_poll_and_times_are_computed() -> wharf::Result<()> {
    let device = Device::open("sim:latency=10us,rate=25GB/s")?;
    let x = device.buffer::<u8>(2_500_000)?;
    let done = pollster::block_on(device.upload(&x).fill(|i| i as u8)?);
    assert_eq!((done.receipt.device_seconds, done.receipt.path), (Some(110e-6), Path::Filled));
    let (sender, called) = mpsc::channel();
    device.download(&x).send()?.on_complete(move |done| sender.send(done).expect("somebody listens"));
    let done = called.recv_timeout(LONG).expect("it is called");
    assert_eq!(done.receipt.latency(), Some(Duration::from_micros(110)), "time stands still while nothing happens");
    assert!(done.ok()?.iter().enumerate().all(|(i, &byte)| byte == i as u8));
    Ok(())
}

#[test]
fn what_never_ends_loses_the_device_to_its_watchdog() -> wharf::Result<()> {
    let device = Device::open("sim:never=2,watchdog=1s")?;
    let x = device.buffer::<u32>(100)?;
    drop(device.upload(&x).send(vec![1; 100])?);
    let lost = device.upload(&x).send(vec![2; 100])?.wait();
    assert!(matches!(&lost.result, Err(error) if matches!(error.kind, FailureKind::DeviceLost(_))), "{lost:?}");
    assert_eq!((lost.buffer, device.stats().leaked_buffers), (None, 1));
    Ok(())
}

#[test]
fn it_says_that_it_is_simulated_and_is_never_chosen() {
    let device = Device::open("sim").expect("without items there are defaults");
    assert!(device.capabilities().is_simulated());
    assert!(device.capabilities().name.ends_with("simulated"), "{}", device.capabilities().name);
    assert!(Device::discover().iter().all(|found| found.kind != BackendKind::Sim));
}

#[test]
fn the_card_has_as_much_memory_as_its_description_says() -> wharf::Result<()> {
    let device = Device::open("sim:memory=1MiB")?;
    let half = device.buffer::<u8>(512 << 10)?;
    let error = device.buffer::<u8>((512 << 10) + 1).expect_err("it is full");
    assert!(matches!(error, Error::OutOfMemory { limit_bytes: Some(1_048_576), .. }), "{error}");
    drop(half);
    device.buffer::<u8>(1 << 20).map(drop)
}

#[test]
fn a_graph_costs_one_launch() -> wharf::Result<()> {
    let device = Device::open("sim:launch=5us,bandwidth=1GB/s")?;
    let (x, y) = (device.buffer::<u8>(1000)?, device.buffer::<u8>(1000)?);
    device.upload(&x).fill(|_| 7)?;
    let graph = device.graph([device.copy(&x, &y).message()?, device.clear(&x).message()?])?;
    let done = graph.replay().run()?.wait();
    // The copy reads and writes all bytes, the clear writes them.
    assert_eq!(done.receipt.device_seconds.map(|seconds| (seconds * 1e9).round()), Some(5000.0 + 3.0 * 1000.0));
    assert_eq!((device.download(&x).wait()?[999], device.download(&y).wait()?[999]), (0, 7));
    Ok(())
}
