//! What the program holds back, by a promise or a doorbell, is held from nobody who must not wait for it.

use std::{sync::mpsc, thread, time::Duration};

use wharf::{CompletionQueue, Doorbell, Error, FailPolicy, FailureKind, Result};

use super::rig::Rig;

const SOON: Duration = Duration::from_millis(10);

pub(crate) fn a_promise_broken_between_two_messages_fails_the_second_until_the_queue_is_resumed(
    rig: &Rig,
) -> Result<()> {
    let device = rig.open();
    let x = device.buffer::<u32>(4)?;
    let queue = device.queue("work").policy(FailPolicy::Continue).open();
    let (fence, signal) = device.promise();
    queue.wait_for(&fence)?;
    signal.fail("no data");
    for _ in 0..2 {
        let error = device.upload(&x).on(&queue).send(vec![1; 4])?.wait().result.expect_err("its fence has failed");
        let FailureKind::Upstream { root } = &error.kind else { panic!("{error}") };
        assert!(matches!(root.kind, FailureKind::Promise(_)), "{root}");
    }
    queue.resume();
    device.upload(&x).on(&queue).send(vec![2; 4])?.wait().ok()?;
    Ok(())
}

pub(crate) fn a_sender_that_waits_for_a_credit_is_rung_for_whoever_has_it(rig: &Rig) -> Result<()> {
    let device = rig.open();
    let (x, y) = (device.buffer::<u32>(4)?, device.buffer::<u32>(4)?);
    let queue = device.queue("manual").doorbell(Doorbell::Manual).depth(1).open();
    let done = CompletionQueue::new();
    let permit = queue.reserve(1, 16)?;
    thread::scope(|scope| {
        let (began, begins) = mpsc::channel();
        let (queue, device, y) = (&queue, &device, &y);
        let other = scope.spawn(move || {
            began.send(()).expect("somebody listens");
            device.upload(y).on(queue).send(vec![2; 4]).expect("accepted").wait().ok()
        });
        begins.recv().expect("it begins");
        // Whichever comes first, the other sender goes on.
        thread::sleep(SOON);
        device.upload(&x).with(&permit).send(vec![1; 4])?.forward(&done, ());
        drop(permit);
        assert_eq!(other.join().expect("it ends")?, [2; 4]);
        assert_eq!(done.receiver().recv().expect("it ends").1.ok()?, [1; 4]);
        Ok(())
    })
}

pub(crate) fn what_waits_for_a_promise_can_be_taken_back(rig: &Rig) -> Result<()> {
    let held = rig.hold();
    let device = &held.device;
    let x = device.buffer::<u32>(4)?;
    let queue = device.queue("work").policy(FailPolicy::Continue).open();
    let (fence, signal) = device.promise();
    queue.wait_for(&fence)?;
    let late = device.upload(&x).on(&queue).deadline(SOON).send(vec![1; 4])?.wait();
    assert!(matches!(late.result.expect_err("too late").kind, FailureKind::Deadline));
    assert_eq!(late.buffer, Some(vec![1; 4]));
    let cancelled = device.upload(&x).on(&queue).send(vec![2; 4])?;
    cancelled.cancel();
    assert!(matches!(cancelled.wait().result.expect_err("cancelled").kind, FailureKind::Cancelled));
    // The others wait on.
    let kept = device.upload(&x).on(&queue).send(vec![3; 4])?;
    let kept = kept.wait_timeout(SOON).expect_err("nobody has signalled");
    signal.signal();
    assert_eq!(kept.wait().ok()?, [3; 4]);
    Ok(())
}

pub(crate) fn a_fence_comes_after_the_fences_that_its_queue_waits_for(rig: &Rig) -> Result<()> {
    let held = rig.hold();
    let device = &held.device;
    let x = device.buffer::<u32>(4)?;
    let (first, second) = (device.queue("first").open(), device.queue("second").open());
    let (promise, signal) = device.promise();
    first.wait_for(&promise)?;
    let fence = first.fence()?;
    second.wait_for(&fence)?;
    let ticket = device.upload(&x).on(&second).send(vec![1; 4])?.wait_timeout(SOON);
    let ticket = ticket.expect_err("two fences away, nobody has signalled");
    assert_eq!(fence.outcome(), None);
    signal.signal();
    ticket.wait().ok()?;
    assert_eq!(fence.wait(), Ok(()));
    Ok(())
}

pub(crate) fn a_doorbell_forgets_what_is_over(rig: &Rig) -> Result<()> {
    let device = rig.open();
    let x = device.buffer::<u32>(4)?;
    let queue = device.queue("manual").doorbell(Doorbell::Manual).open();
    queue.fence()?.wait().expect("nothing before it has failed");
    assert_eq!((queue.stats().held, queue.stats().unresolved), (0, 0));
    let done = CompletionQueue::new();
    let ticket = device.upload(&x).on(&queue).send(vec![1; 4])?;
    ticket.cancel();
    ticket.forward(&done, ());
    assert!(done.receiver().recv().expect("it ends").1.result.is_err());
    assert_eq!((queue.stats().held, queue.stats().unresolved), (0, 0));
    Ok(())
}

pub(crate) fn a_graph_that_is_refused_gives_staging_memory_back(rig: &Rig) -> Result<()> {
    let device = rig.open();
    let x = device.buffer::<u32>(1 << 18)?;
    let upload = device.upload(&x).copy_message(&vec![1; 1 << 18])?;
    assert!(device.stats().staging_bytes > 0);
    let error = device.graph([upload]).expect_err("an upload is not recorded");
    assert!(matches!(error, Error::Argument { .. }), "{error}");
    assert_eq!(device.stats().staging_bytes, 0);
    Ok(())
}
