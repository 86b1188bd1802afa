//! Doorbells: messages that are held, and everything that rings for them.

use std::{
    sync::{Arc, mpsc},
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use wharf::{Buffer, CompletionQueue, Device, DmaQueue, Doorbell, QueueOptions, Ticket, Wait};

use super::rig::Rig;

const FOR_EVER: Duration = Duration::MAX;

fn manual(device: &Device) -> (DmaQueue, Buffer<u32>) {
    let queue = device.queue("manual").doorbell(Doorbell::Manual).open();
    (queue, device.buffer::<u32>(4).expect("memory"))
}

fn send(device: &Device, queue: &DmaQueue, buffer: &Buffer<u32>) -> Ticket<Vec<u32>> {
    device.upload(buffer).on(queue).send(vec![1; 4]).expect("accepted")
}

/// Everything that was accepted is still there after a while in which it could have gone.
fn stays(queue: &DmaQueue, held: u32) {
    thread::sleep(Duration::from_millis(10));
    let stats = queue.stats();
    assert_eq!((stats.held, stats.unresolved, stats.in_driver), (held, held, 0));
}

pub(crate) fn a_manual_queue_holds_everything_until_it_is_flushed(rig: &Rig) -> wharf::Result<()> {
    let device = rig.open();
    let (queue, x) = manual(&device);
    let done = CompletionQueue::new();
    for i in 0..100 {
        send(&device, &queue, &x).forward(&done, i);
    }
    stays(&queue, 100);
    assert!(send(&device, &queue, &x).try_take().is_err(), "asking rings nothing");
    stays(&queue, 101);
    assert_eq!(queue.explain().expect("unresolved").waits, Wait::Doorbell);
    queue.flush();
    let keys: Vec<_> = (0..100).map(|_| done.receiver().recv().expect("it goes").0).collect();
    assert!(keys.into_iter().eq(0..100));
    assert_eq!(queue.stats().held, 0);
    Ok(())
}

struct Nobody;

impl Wake for Nobody {
    fn wake(self: Arc<Self>) {}
}

pub(crate) fn whoever_waits_for_a_message_rings(rig: &Rig) -> wharf::Result<()> {
    let device = rig.open();
    let (queue, x) = manual(&device);
    send(&device, &queue, &x).wait().ok()?;
    send(&device, &queue, &x).wait_timeout(FOR_EVER).expect("in time").ok()?;
    pollster::block_on(send(&device, &queue, &x)).ok()?;

    let (sender, called) = mpsc::channel();
    send(&device, &queue, &x).on_complete(move |done| sender.send(done.ok().is_ok()).expect("somebody listens"));
    assert_eq!(called.recv(), Ok(true));

    drop(send(&device, &queue, &x));
    queue.fence()?.wait().expect("nothing fails");
    drop(send(&device, &queue, &x));
    pollster::block_on(queue.fence()?).expect("nothing fails");

    drop(send(&device, &queue, &x));
    device.drain();
    drop(send(&device, &queue, &x));
    queue.drain();
    let stats = device.stats();
    assert_eq!((stats.in_flight, stats.accepted), (0, stats.delivered + stats.detached_ok));
    Ok(())
}

pub(crate) fn a_message_of_another_queue_that_comes_after_rings(rig: &Rig) -> wharf::Result<()> {
    let device = rig.open();
    let (queue, x) = manual(&device);
    drop(send(&device, &queue, &x));
    stays(&queue, 1);
    let done = CompletionQueue::new();
    device.download(&x).send()?.forward(&done, "it reads what is held");
    assert_eq!(done.receiver().recv().expect("it comes").1.ok()?, [1; 4]);

    drop(send(&device, &queue, &x));
    let other = device.queue("other").open();
    other.wait_for(&queue.fence()?)?;
    stays(&queue, 2);
    let y = device.buffer::<u32>(4)?;
    send(&device, &other, &y).forward(&done, "its queue waits for a fence behind what is held");
    done.receiver().recv().expect("it comes").1.ok()?;
    Ok(())
}

pub(crate) fn a_sender_that_waits_for_a_credit_rings(rig: &Rig) -> wharf::Result<()> {
    let device = rig.open();
    let queue = device.queue("manual").doorbell(Doorbell::Manual).depth(3).open();
    let x = device.buffer::<u32>(4)?;
    for _ in 0..20 {
        drop(send(&device, &queue, &x));
    }
    let full = queue.stats().free_ops;
    drop((0..full).map(|_| send(&device, &queue, &x)).collect::<Vec<_>>());
    assert!(device.upload(&x).on(&queue).or_refuse().send(vec![1; 4]).is_err(), "who does not wait is refused");
    stays(&queue, queue.stats().held);
    let permit = pollster::block_on(queue.reserve_async(3, 0))?;
    drop(permit);
    Ok(())
}

fn batched(device: &Device, ops: u32, bytes: u64, linger: Duration) -> QueueOptions {
    device.queue("batched").doorbell(Doorbell::Batched { ops, bytes, linger })
}

pub(crate) fn enough_messages_or_bytes_ring(rig: &Rig) -> wharf::Result<()> {
    let device = rig.open();
    let x = device.buffer::<u32>(4)?;
    let done = CompletionQueue::new();
    for queue in [batched(&device, 4, u64::MAX, FOR_EVER).open(), batched(&device, 100, 64, FOR_EVER).open()] {
        for round in 0..3 {
            for _ in 0..3 {
                send(&device, &queue, &x).forward(&done, round);
            }
            stays(&queue, 3);
            assert!(done.receiver().is_empty());
            let left = queue.stats().until_flush.expect("a number rings it");
            assert!(left == 1 || left == 97, "{left}");
            send(&device, &queue, &x).forward(&done, round);
            assert!((0..4).all(|_| done.receiver().recv().is_ok_and(|(key, _)| key == round)));
        }
    }
    Ok(())
}

pub(crate) fn nobody_lingers_for_ever(rig: &Rig) -> wharf::Result<()> {
    let held = rig.hold();
    let device = &held.device;
    let x = device.buffer::<u32>(4)?;
    let queue = batched(device, 1000, u64::MAX, Duration::from_millis(5)).open();
    let done = CompletionQueue::new();
    for round in 0..5 {
        send(device, &queue, &x).forward(&done, round);
        send(device, &queue, &x).forward(&done, round);
        held.until(|| done.receiver().len() == 2);
        assert!(done.receiver().try_iter().all(|(key, _)| key == round));
    }
    Ok(())
}

pub(crate) fn a_queue_that_ends_rings_for_the_last_time(rig: &Rig) -> wharf::Result<()> {
    let device = rig.open();
    let done = CompletionQueue::new();
    let ends: [fn(DmaQueue) -> Option<DmaQueue>; 3] = [
        |queue| {
            drop(queue);
            None
        },
        |queue| {
            queue.close();
            Some(queue)
        },
        |queue| {
            queue.abort("enough");
            Some(queue)
        },
    ];
    for (nth, end) in ends.into_iter().enumerate() {
        let (queue, x) = manual(&device);
        send(&device, &queue, &x).forward(&done, nth);
        stays(&queue, 1);
        let queue = end(queue);
        // Who receives rings nothing.
        let (key, completion) = done.receiver().recv_timeout(Duration::from_secs(60)).expect("it ends");
        assert_eq!((key, completion.result.is_ok(), completion.buffer), (nth, nth < 2, Some(vec![1; 4])));
        assert!(queue.is_none_or(|queue| queue.stats().held == 0));
    }
    Ok(())
}

pub(crate) fn a_message_that_is_held_can_be_taken_back(rig: &Rig) -> wharf::Result<()> {
    let device = rig.open();
    let (queue, x) = manual(&device);
    let (first, second) = (send(&device, &queue, &x), send(&device, &queue, &x));
    assert_eq!(first.cancel(), wharf::CancelOutcome::NotStarted);
    let waker = Waker::from(Arc::new(Nobody));
    let mut second = Box::pin(second);
    let asked = Future::poll(second.as_mut(), &mut Context::from_waker(&waker));
    assert!(first.wait().result.is_err());
    let done = match asked {
        Poll::Ready(done) => done,
        Poll::Pending => pollster::block_on(second),
    };
    done.ok()?;
    Ok(())
}
