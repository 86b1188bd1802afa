//! Messages without a ticket: what became of them is told by the next signal of their queue.

use std::sync::Arc;

use wharf::{Device, Doorbell, FailPolicy, FailureKind, Refusal, Result};

/// A simulated device on which these operations, counted from 1, fail.
fn failing(operations: &[u64]) -> Result<Device> {
    let faults: String = operations.iter().map(|n| format!(",fail={n}")).collect();
    Device::open(&format!("sim:gen5x16,h200{faults}"))
}

#[test]
fn a_run_that_went_well_is_told_by_the_message_behind_it() -> Result<()> {
    let device = Device::open("cpu")?;
    let queue = device.queue("work").depth(2).open();
    let x = device.buffer::<u32>(100)?;
    let mut last = None;
    for i in 0..100 {
        let id = queue.post(device.upload(&x).at(i).message(vec![i as u32])?)?;
        assert!(last.replace(id).is_none_or(|last| last < id), "numbers grow");
    }
    let done = device.download(&x).on(&queue).send()?.wait();
    assert!(done.ok()?.into_iter().eq(0..100));
    assert_eq!((device.stats().accepted, device.stats().detached_ok), (101, 100));
    assert!(device.dead_letters().is_empty());
    Ok(())
}

#[test]
fn a_failure_is_a_dead_letter_with_its_buffer_and_fails_the_next_signal_once() -> Result<()> {
    let device = failing(&[2, 3])?;
    let queue = device.queue("work").policy(FailPolicy::Continue).open();
    let [x, y] = [device.buffer::<u32>(100)?, device.buffer::<u32>(100)?];
    queue.post(device.upload(&x).message(vec![1; 100])?)?;
    let second = queue.post(device.upload(&x).message(vec![2; 100])?)?;
    queue.post(device.upload(&x).message(vec![3; 100])?)?;
    let told = device.upload(&y).on(&queue).send(vec![4; 100])?.wait();
    let error = told.result.as_ref().expect_err("two before it failed");
    let FailureKind::Unsignaled { root } = &error.kind else { panic!("{error}") };
    assert_eq!(root.id, second, "the first of them");
    assert!(matches!(root.kind, FailureKind::Backend(_)), "{root}");
    assert_eq!((told.residue(), told.buffer), (0, Some(vec![4; 100])), "it went well itself");
    let next = device.download(&y).on(&queue).send()?.wait();
    assert_eq!(next.ok()?, [4; 100], "told once, and its data is there");

    let mut letters = device.dead_letters().take();
    assert_eq!(letters.len(), 2, "the failures themselves");
    assert_eq!(letters[0].take_buffer::<Vec<u32>>(), Some(vec![2; 100]));
    assert_eq!(letters[1].take_buffer::<Vec<u32>>(), Some(vec![3; 100]));
    let stats = device.stats();
    assert_eq!((stats.accepted, stats.delivered, stats.detached_ok, stats.dead_lettered), (5, 2, 1, 2));
    Ok(())
}

#[test]
fn a_fence_is_a_signal() -> Result<()> {
    let device = failing(&[1])?;
    let queue = device.queue("work").policy(FailPolicy::Continue).open();
    let x = device.buffer::<u32>(100)?;
    let id = queue.post(device.upload(&x).message(vec![1; 100])?)?;
    let error = queue.fence()?.wait().expect_err("it stands for what was posted");
    assert!(matches!(&error.kind, FailureKind::Upstream { root } if root.id == id), "{error}");
    device.upload(&x).on(&queue).send(vec![2; 100])?.wait().ok()?;
    queue.fence()?.wait().expect("told once");
    Ok(())
}

#[test]
fn a_message_whose_ticket_was_dropped_is_no_dead_letter_for_what_it_tells() -> Result<()> {
    let device = failing(&[1])?;
    let queue = device.queue("work").policy(FailPolicy::Continue).open();
    let x = device.buffer::<u32>(100)?;
    queue.post(device.upload(&x).message(vec![1; 100])?)?;
    drop(device.upload(&x).on(&queue).send(vec![2; 100])?);
    device.drain();
    assert_eq!(device.dead_letters().len(), 1, "of the one that failed");
    assert_eq!(device.stats().detached_ok, 1);
    Ok(())
}

#[test]
fn a_queue_that_stops_aborts_what_was_posted_and_tells_it_once() -> Result<()> {
    let device = failing(&[1])?;
    let queue = device.queue("work").window(1).open();
    let x = device.buffer::<u32>(100)?;
    let mut batch = queue.batch();
    for i in 0..3 {
        batch.post(device.upload(&x).message(vec![i; 100])?)?;
    }
    let last = batch.push(device.upload(&x).message(vec![9; 100])?)?;
    let told = batch.commit()?.ticket(last).wait();
    assert!(matches!(told.result.expect_err("stopped").kind, FailureKind::Aborted { .. }));
    assert_eq!(device.dead_letters().len(), 3);
    queue.resume();
    device.upload(&x).on(&queue).send(vec![2; 100])?.wait().ok()?;
    Ok(())
}

#[test]
fn a_queue_that_is_resumed_still_tells_of_what_was_posted() -> Result<()> {
    for (policy, fenced) in [(FailPolicy::FailStop, true), (FailPolicy::FailStop, false), (FailPolicy::Continue, false)]
    {
        let device = failing(&[1])?;
        let queue = device.queue("work").policy(policy).open();
        let [x, y] = [device.buffer::<u32>(100)?, device.buffer::<u32>(100)?];
        let failed = queue.post(device.upload(&x).message(vec![1; 100])?)?;
        device.drain();
        let stopped = queue.try_reserve(1, 0).is_err();
        assert_eq!(stopped, policy == FailPolicy::FailStop, "without a completion that could tell of it");
        queue.resume();
        queue.resume();
        let told = if fenced {
            queue.fence()?.wait().expect_err("it stands for what was posted")
        } else {
            device.upload(&y).on(&queue).send(vec![3; 100])?.wait().result.expect_err("it speaks for what was posted")
        };
        let root = match &told.kind {
            FailureKind::Upstream { root } | FailureKind::Unsignaled { root } => root,
            _ => panic!("{told}"),
        };
        assert_eq!((root.id, device.dead_letters().len()), (failed, 1));
        device.upload(&y).on(&queue).send(vec![4; 100])?.wait().ok().expect("told once");
    }
    Ok(())
}

#[test]
fn half_a_depth_of_them_rings_the_doorbell() -> Result<()> {
    let device = Device::open("cpu")?;
    let queue = device.queue("quiet").depth(2).doorbell(Doorbell::Manual).open();
    let x = device.buffer::<u32>(4)?;
    for i in 0..1000 {
        // With the other half still out it is full, and nobody has to flush it.
        let mut message = device.upload(&x).message(vec![i; 4])?;
        while let Err(refused) = queue.try_post(message) {
            assert!(matches!(refused.error, wharf::Error::Refused { why: Refusal::Full { .. }, .. }));
            message = refused.buffer;
            std::thread::yield_now();
        }
    }
    assert_eq!(device.download(&x).wait()?[..], [999; 4]);
    let deep = device.queue("deep").depth(8).doorbell(Doorbell::Manual).open();
    for held in 1..=3 {
        deep.post(device.clear(&x).message()?)?;
        assert_eq!(deep.stats().held, held);
    }
    deep.post(device.clear(&x).message()?)?;
    assert_eq!(deep.stats().held, 0, "half of it has rung");
    Ok(())
}

#[test]
fn a_refused_one_comes_back_and_may_be_sent_with_a_ticket() -> Result<()> {
    let device = Device::open("cpu")?;
    let queue = device.queue("closed").open();
    let x = device.buffer::<u32>(4)?;
    queue.close();
    let refused = queue.post(device.upload(&x).message(vec![5; 4])?).expect_err("closed");
    let open = device.queue("open").open();
    assert_eq!(open.send(refused.buffer)?.wait().ok()?, [5; 4], "its ticket is told");
    let permit = open.reserve(1, 16)?;
    permit.post(device.upload(&x).message(vec![6; 4])?)?;
    assert!(permit.post(device.upload(&x).message(vec![7; 4])?).is_err(), "nothing is left in it");
    assert_eq!(device.download(&x).wait()?[..], [6; 4]);
    Ok(())
}

#[test]
fn a_lost_device_makes_letters_of_all_of_them() -> Result<()> {
    let device = Device::open("cpu")?;
    let queue = device.queue("gated").open();
    let x = device.buffer::<u32>(4)?;
    let (fence, signal) = device.promise();
    queue.wait_for(&fence)?;
    for _ in 0..100 {
        queue.post(device.upload(&x).message(vec![1; 4])?)?;
    }
    let told = device.upload(&x).on(&queue).send(vec![2; 4])?;
    device.declare_lost("pulled");
    assert!(matches!(told.wait().result.expect_err("lost").kind, FailureKind::DeviceLost(_)));
    let mut letters = device.dead_letters().take();
    assert_eq!(letters.len(), 100);
    assert!(letters.iter_mut().all(|letter| letter.take_buffer::<Vec<u32>>() == Some(vec![1; 4])));
    assert_eq!(device.stats().in_flight, 0);
    drop(signal);
    Ok(())
}

#[test]
fn they_end_also_when_their_queue_is_gone_and_their_buffers_are_dropped_then() -> Result<()> {
    let device = Device::open("cpu")?;
    let x = device.buffer::<u32>(4)?;
    let data: Arc<[u32]> = vec![3; 4].into();
    let queue = device.queue("short").doorbell(Doorbell::Manual).open();
    for _ in 0..10 {
        queue.post(device.upload(&x).message(data.clone())?)?;
    }
    assert_eq!(Arc::strong_count(&data), 11);
    drop(queue);
    device.drain();
    assert_eq!(device.download(&x).wait()?[..], [3; 4]);
    assert_eq!((Arc::strong_count(&data), device.stats().detached_ok), (1, 10));
    Ok(())
}
