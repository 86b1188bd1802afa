//! Progress by hand: nothing moves but where the user says so.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
    thread,
};

use wharf::{Device, Options, Progress};

fn device() -> Device {
    Device::open_with("cpu", Options::new().progress(Progress::Manual)).expect("the CPU can be driven by hand")
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
fn a_ticket_that_is_awaited_needs_somebody_who_drives() -> wharf::Result<()> {
    let device = device();
    let mut context = Context::from_waker(Waker::noop());
    let mut ticket = pin!(device.upload(&device.buffer::<u32>(1)?).send(vec![7])?);
    for _ in 0..100 {
        assert!(ticket.as_mut().poll(&mut context).is_pending(), "polling it moves nothing on");
    }
    while device.progress() {}
    let Poll::Ready(done) = ticket.as_mut().poll(&mut context) else { panic!("the device was driven") };
    assert_eq!(done.ok()?, [7]);
    Ok(())
}
