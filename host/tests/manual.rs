//! Progress by hand: nothing moves but where the user says so.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use wharf::{Device, Options, Progress};

fn device() -> Device {
    Device::open_with("cpu", Options::new().progress(Progress::Manual)).expect("the CPU can be driven by hand")
}

#[test]
fn nothing_moves_until_progress_is_made() -> wharf::Result<()> {
    let device = device();
    let buffer = device.buffer::<u32>(4)?;
    let ticket = device.upload(&buffer).send(vec![1, 2, 3, 4])?;
    thread::sleep(Duration::from_millis(5));
    let ticket = ticket.try_take().expect_err("nobody has moved it");
    assert!(device.progress(), "there was something to do");
    let done = ticket.try_take().expect("one turn does it");
    assert_eq!(done.ok()?, [1, 2, 3, 4]);
    assert!(!device.progress(), "there is nothing left");
    Ok(())
}

#[test]
fn whoever_waits_makes_progress() -> wharf::Result<()> {
    let device = device();
    let queue = device.queue("work").depth(1).open();
    let buffer = device.buffer::<u32>(4)?;
    drop(device.upload(&buffer).on(&queue).send(vec![1, 2, 3, 4])?);
    // Waits for the one credit, then for the fence, the data and the rest.
    let ticket = device.upload(&buffer).at(1).on(&queue).send(vec![7])?;
    queue.fence()?.wait().expect("both went well");
    assert!(ticket.wait_timeout(Duration::from_secs(10)).is_ok());
    assert_eq!(*device.download(&buffer).wait()?, [1, 7, 3, 4]);
    drop(device.clear(&buffer).send()?);
    device.drain();
    drop(device.upload(&buffer).on(&queue).send(vec![0; 4])?);
    queue.drain();
    assert_eq!(device.stats().in_flight, 0);
    Ok(())
}

#[test]
fn callbacks_run_in_progress_and_may_wait() -> wharf::Result<()> {
    let device = device();
    let buffer = device.buffer::<u32>(1)?;
    let (again, called) = (device.clone(), Arc::new(AtomicU32::new(0)));
    let (here, seen) = (thread::current().id(), called.clone());
    device.upload(&buffer).send(vec![41])?.on_complete(move |done| {
        let value = again.download(&again.buffer::<u32>(1).expect("memory")).wait().expect("zeroes")[0];
        seen.store(value + done.ok().expect("it went up")[0] + 1, SeqCst);
        assert_eq!(thread::current().id(), here);
    });
    assert_eq!(called.load(SeqCst), 0);
    while device.progress() {}
    assert_eq!((called.load(SeqCst), device.stats().callback_panics), (42, 0));
    Ok(())
}

#[test]
fn several_threads_may_drive_one_device() -> wharf::Result<()> {
    let device = device();
    thread::scope(|scope| {
        for number in 0..4_u32 {
            let device = &device;
            scope.spawn(move || {
                let buffer = device.buffer::<u32>(1).expect("memory");
                for round in 0..200 {
                    drop(device.upload(&buffer).send(vec![number + round]).expect("accepted"));
                    assert_eq!(device.download(&buffer).wait().expect("there")[0], number + round);
                }
            });
        }
    });
    Ok(())
}

#[test]
fn dropping_the_device_sends_what_was_detached() -> wharf::Result<()> {
    struct Told(Arc<AtomicU32>);
    impl Drop for Told {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let (device, told) = (device(), Arc::new(AtomicU32::new(0)));
    let guard = Told(told.clone());
    let buffer = device.buffer::<u32>(1)?;
    device.upload(&buffer).send(vec![1])?.forward(&wharf::CompletionQueue::new(), guard);
    drop(buffer);
    assert_eq!(told.load(SeqCst), 0);
    drop(device);
    assert_eq!(told.load(SeqCst), 1);
    Ok(())
}

#[test]
#[cfg(feature = "wgpu")]
fn a_device_that_waits_inside_a_submission_is_refused() {
    match Device::open_with("wgpu", Options::new().progress(Progress::Manual)) {
        Err(e) if e.is_unavailable() => println!("skipped: {e}"),
        Err(e) => assert!(e.to_string().contains("cannot be driven by hand"), "{e}"),
        Ok(_) => panic!("wgpu waits for readback memory in a submission"),
    }
}
