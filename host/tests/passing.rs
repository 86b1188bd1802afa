//! Small uploads to the CPU device that nothing is before: they are over as they are accepted, and keep every promise.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use wharf::{
    CancelOutcome, Device, Doorbell, FailPolicy, FailureKind, Options, Path, Progress, Receipt, Result, Ticket,
};

fn device() -> Result<Device> {
    Device::open("cpu")
}

/// Its outcome, if it has one by now.
fn is_over<B: Send + 'static>(ticket: Ticket<B>) -> std::result::Result<wharf::Completion<B>, Ticket<B>> {
    assert_eq!(ticket.cancel(), CancelOutcome::TooLate);
    ticket.try_take()
}

fn times(receipt: &Receipt) -> [Instant; 5] {
    let Receipt { accepted, submitted, started, finished, delivered, .. } = *receipt;
    [Some(accepted), submitted, started, finished, delivered].map(|time| time.expect("it is over"))
}

#[test]
fn one_is_over_when_it_is_accepted() -> Result<()> {
    let device = device()?;
    let x = device.buffer::<u32>(4)?;
    assert_eq!(is_over(device.upload(&x).send(vec![7; 4])?).expect("over").ok()?, [7; 4], "the buffer comes back");
    for len in [1_usize, 2, 3, 16, 17, 31, 32] {
        let x = device.buffer::<u32>(len)?;
        let data: Vec<u32> = (1..=len as u32).collect();
        let before = Instant::now();
        let done = is_over(device.upload(&x).tag(len as u64).copy_from(&data)?).expect("over");
        let receipt = done.receipt.clone();
        assert_eq!((receipt.path, receipt.bytes, receipt.chunks), (Path::Inline, 4 * len as u64, 1));
        assert_eq!((receipt.tag, receipt.together, receipt.behind().commands), (len as u64, 1, 0));
        assert!(before <= receipt.accepted && times(&receipt).is_sorted(), "{receipt:?}");
        done.ok()?;
        assert_eq!(device.download(&x).wait()?[..], data);
    }
    let stats = device.stats();
    assert_eq!((stats.accepted, stats.delivered, stats.in_flight), (15, 15, 0));
    Ok(())
}

#[test]
fn those_of_a_batch_are_over_one_after_the_other_and_give_their_credits_back() -> Result<()> {
    let device = device()?;
    let queue = device.queue("batch").depth(300).open();
    let (x, empty) = (device.buffer::<u32>(300)?, queue.stats());
    let mut batch = queue.batch();
    for round in 0..3_u32 {
        let push = |i: usize| batch.push(device.upload(&x).at(i).message(vec![round + i as u32])?).map_err(Into::into);
        let entries = (0..300).map(push).collect::<Result<Vec<_>>>()?;
        let mut sent = batch.try_commit()?;
        let done: Vec<_> = entries.into_iter().map(|entry| is_over(sent.ticket(entry)).expect("over")).collect();
        drop(sent);
        assert_eq!(queue.stats(), empty, "all credits are back");
        for pair in done.windows(2) {
            let [first, second] = [&pair[0].receipt, &pair[1].receipt];
            assert!(first.id < second.id && times(first)[3] <= times(second)[0], "{first:?}, then {second:?}");
        }
        assert!(device.download(&x).on(&queue).wait()?.iter().copied().eq(round..300 + round));
    }
    Ok(())
}

#[test]
fn who_waits_for_its_credit_gets_it() -> Result<()> {
    let device = device()?;
    let queue = device.queue("narrow").depth(1).open();
    let [x, y] = [device.buffer::<u32>(1)?, device.buffer::<u32>(1)?];
    let permit = queue.try_reserve(1, 4)?;
    let message = device.upload(&y).message(vec![2])?;
    let mut task = Box::pin(queue.send_async(message));
    let poll = |task: Pin<&mut _>| Future::poll(task, &mut Context::from_waker(Waker::noop()));
    assert!(poll(task.as_mut()).is_pending(), "the credit is the permit's");
    let waits = std::thread::scope(|scope| {
        let thread = scope.spawn(|| device.upload(&y).on(&queue).send(vec![3]).map(Ticket::wait));
        std::thread::sleep(Duration::from_millis(20));
        assert!(!thread.is_finished(), "so must a thread wait");
        is_over(permit.send(device.upload(&x).message(vec![1])?)?).expect("over");
        // One after the other.
        let Poll::Ready(sent) = poll(task.as_mut()) else { panic!("a credit is there") };
        drop(sent?);
        Ok::<_, wharf::Error>(thread.join().expect("it does not panic")?)
    })?;
    assert_eq!(waits.ok()?, [3]);
    assert_eq!((device.stats().accepted, device.stats().in_flight), (3, 0));
    Ok(())
}

#[test]
fn a_letter_that_is_sent_again_is_over_too() -> Result<()> {
    let device = device()?;
    let queue = device.queue("broken").open();
    let x = device.buffer::<u32>(4)?;
    let (gate, signal) = device.promise();
    queue.wait_for(&gate)?;
    drop(device.upload(&x).on(&queue).send(vec![1, 2, 3, 4])?);
    signal.fail("it is not there");
    device.drain();
    assert_eq!(device.dead_letters().requeue(|_| true).sent, 1);
    let stats = device.stats();
    assert_eq!((stats.in_flight, stats.uncollected, stats.detached_ok), (0, 0, 1), "nobody asks for it");
    assert_eq!(device.download(&x).wait()?[..], [1, 2, 3, 4]);
    Ok(())
}

#[test]
fn what_something_is_before_waits_for_it() -> Result<()> {
    let device = device()?;
    let x = device.buffer::<u32>(1)?;
    // A fence.
    let queue = device.queue("gated").open();
    let (gate, signal) = device.promise();
    queue.wait_for(&gate)?;
    let gated = device.upload(&x).on(&queue).send(vec![1])?.try_take().expect_err("its fence is not signalled");
    // What is unresolved on the same buffer, in another queue.
    let behind = device.upload(&x).send(vec![2])?.try_take().expect_err("the same buffer is written before");
    signal.signal();
    assert_eq!((gated.wait().ok()?, behind.wait().ok()?), (vec![1], vec![2]));
    assert_eq!(device.download(&x).wait()?[0], 2);
    // A doorbell.
    let held = device.queue("held").doorbell(Doorbell::Manual).open();
    let ticket = device.upload(&x).on(&held).send(vec![3])?.try_take().expect_err("nobody has rung");
    assert_eq!(device.stats().in_flight, 1);
    held.flush();
    assert_eq!(ticket.wait().ok()?, [3]);
    // The user, who drives.
    let manual = Device::open_with("cpu", Options::new().progress(Progress::Manual))?;
    let y = manual.buffer::<u32>(1)?;
    let ticket = manual.upload(&y).send(vec![4])?.try_take().expect_err("nobody has driven");
    assert_eq!(ticket.wait().ok()?, [4]);
    // More bytes than are copied under a lock are done at once as well, but as a command.
    let z = device.buffer::<u32>(33)?;
    let many: Vec<u32> = (0..33).collect();
    device.upload(&z).copy_from(&many)?.wait().ok()?;
    assert_eq!(device.download(&z).wait()?[..], many);
    Ok(())
}

#[test]
fn failures_before_it_are_told_by_it_and_what_it_writes_is_good_again() -> Result<()> {
    let device = device()?;
    let queue = device.queue("work").policy(FailPolicy::Continue).open();
    let [x, y] = [device.buffer::<u32>(8)?, device.buffer::<u32>(8)?];
    let fail = |to, data: Vec<u32>| -> Result<()> {
        let (gate, signal) = device.promise();
        queue.wait_for(&gate)?;
        queue.post(device.upload(to).message(data)?)?;
        signal.fail("it is not there");
        device.drain();
        queue.resume();
        Ok(())
    };
    // Nobody was told of the failure: whoever comes next tells.
    queue.post(device.upload(&y).deadline_at(Instant::now()).message(vec![1; 8])?)?;
    device.drain();
    let next = device.upload(&y).on(&queue).send(vec![2; 8])?.wait().result.expect_err("it tells of the other");
    assert!(matches!(next.kind, FailureKind::Unsignaled { .. }), "{next}");
    // A fence that has failed fails what comes behind it.
    let (gate, signal) = device.promise();
    queue.wait_for(&gate)?;
    signal.fail("it is not there");
    for _ in 0..2 {
        let next = device.upload(&y).on(&queue).send(vec![2; 8])?.wait().result.expect_err("the fence has failed");
        assert!(matches!(next.kind, FailureKind::Upstream { .. }), "{next}");
    }
    queue.resume();
    // What has failed data is good where it is written, and there alone.
    fail(&x, vec![3; 8])?;
    device.download(&x).wait().expect_err("it was never written");
    is_over(device.upload(&x).at(2).send(vec![4; 2])?).expect("over");
    device.download(&x).wait().expect_err("most of it was never written");
    is_over(device.upload(&x).on(&queue).send((0..8).collect::<Vec<u32>>())?).expect("over");
    assert!(device.download(&x).wait()?.iter().copied().eq(0..8));
    Ok(())
}

#[test]
fn one_that_nobody_asks_for_is_over_too() -> Result<()> {
    let device = device()?;
    let queue = device.queue("posted").open();
    let x = device.buffer::<u32>(4)?;
    let held = Arc::new([5_u32; 4]);
    queue.post(device.upload(&x).message(vec![5; 4])?)?;
    drop(device.upload(&x).on(&queue).send(vec![6; 4])?);
    let stats = device.stats();
    assert_eq!((stats.accepted, stats.detached_ok, stats.in_flight), (2, 2, 0));
    drop(device.upload(&x).on(&queue).send(Arc::<[u32]>::from(*held))?);
    assert_eq!(device.download(&x).wait()?[..], *held);
    Ok(())
}
