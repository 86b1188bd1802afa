//! Progress by hand, on devices that can be driven so.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use wharf::{Device, Doorbell, Error, Refusal, Result, Wait};

use super::rig::Rig;

/// The device, or nothing: wgpu's may wait inside a submission for what only another thread gives back,
/// and is refused.
fn device(rig: &Rig) -> Option<Device> {
    match (rig.by_hand)() {
        Ok(device) => Some(device),
        Err(error) => {
            assert_eq!(rig.name, "wgpu", "{error}");
            assert!(error.to_string().contains("cannot be driven by hand"), "{error}");
            None
        }
    }
}

pub(crate) fn nothing_moves_until_progress_is_made(rig: &Rig) -> Result<()> {
    let Some(device) = device(rig) else { return Ok(()) };
    let buffer = device.buffer::<u32>(4)?;
    let mut ticket = device.upload(&buffer).send(vec![1, 2, 3, 4])?;
    thread::sleep(Duration::from_millis(5));
    assert_eq!(device.own_queue(wharf::Lane::Upload).stats().in_driver, 0, "the device has not heard of it");
    ticket = ticket.try_take().expect_err("nobody has moved it");
    assert!(device.progress(), "there was something to do");
    let done = loop {
        // A device with an engine of its own may need a while, one with a clock of its own a wait.
        match ticket.wait_timeout(Duration::from_millis(1)) {
            Ok(done) => break done,
            Err(again) => ticket = again,
        }
    };
    assert_eq!(done.ok()?, [1, 2, 3, 4]);
    assert!(!device.progress(), "there is nothing left");
    Ok(())
}

pub(crate) fn whoever_waits_makes_progress(rig: &Rig) -> Result<()> {
    let Some(device) = device(rig) else { return Ok(()) };
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

pub(crate) fn a_fence_that_nobody_has_looked_at_is_no_riddle(rig: &Rig) -> Result<()> {
    let Some(device) = device(rig) else { return Ok(()) };
    let queue = device.queue("work").open();
    let fence = queue.fence()?;
    let stalls = device.stalled(Duration::ZERO);
    assert_eq!(stalls[0].chain.iter().map(|why| &why.waits).collect::<Vec<_>>(), [&Wait::Turn]);
    assert_eq!(fence.wait(), Ok(()));
    Ok(())
}

pub(crate) fn draining_rings_for_what_is_sent_meanwhile(rig: &Rig) -> Result<()> {
    let Some(device) = device(rig) else { return Ok(()) };
    let (x, y) = (device.buffer::<u32>(4)?, Arc::new(device.buffer::<u32>(4)?));
    let queue = Arc::new(device.queue("manual").doorbell(Doorbell::Manual).open());
    let (also, other, into) = (queue.clone(), device.clone(), y.clone());
    // The callback runs inside `drain`, which drives the device.
    device.upload(&x).send(vec![1; 4])?.on_complete(move |_| {
        drop(other.upload(&into).on(&also).send(vec![2; 4]).expect("accepted"));
    });
    device.drain();
    assert_eq!((device.stats().accepted, device.stats().in_flight), (2, 0));
    assert_eq!(*device.download(&y).wait()?, [2; 4]);
    device.upload(&y).on(&queue).send(vec![3; 4])?.forward(&wharf::CompletionQueue::new(), ());
    assert_eq!(queue.stats().held, 1, "it holds again");
    Ok(())
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

pub(crate) fn whoever_drives_wakes_a_task_at_its_deadline(rig: &Rig) -> Result<()> {
    let Some(device) = device(rig) else { return Ok(()) };
    let queue = device.queue("narrow").depth(1).open();
    let x = device.buffer::<u32>(4)?;
    let _permit = queue.reserve(1, 0)?;
    let message = device.upload(&x).deadline(Duration::from_millis(20)).message(vec![7; 4])?;
    let woken = Arc::<Woken>::default();
    let waker = Waker::from(woken.clone());
    let mut context = Context::from_waker(&waker);
    let mut sending = Box::pin(queue.send_async(message));
    assert!(sending.as_mut().poll(&mut context).is_pending());
    // Who waits, for whatever it is, drives the device, and lets its time pass.
    let (fence, _signal) = device.promise();
    for _ in 0..1000 {
        if woken.0.load(SeqCst) {
            break;
        }
        assert!(fence.wait_timeout(Duration::from_millis(1)).is_none(), "it is not kept");
    }
    assert!(woken.0.load(SeqCst), "a second has passed");
    let Poll::Ready(Err(refused)) = sending.as_mut().poll(&mut context) else { panic!("its deadline has passed") };
    assert!(matches!(refused.error, Error::Refused { why: Refusal::Timeout, .. }), "{refused}");
    assert_eq!(refused.buffer.into_buffer(), [7; 4]);
    Ok(())
}
