//! Fences that the program signals, and how a failure travels.

use std::{sync::Arc, thread, time::Duration};

use wharf::{Buffer, CompletionQueue, Device, Doorbell, Error, FailPolicy, FailureKind, Fence, TransferError};

use super::rig::Rig;

fn promise(error: &TransferError) -> &str {
    match &error.kind {
        FailureKind::Promise(why) => why,
        FailureKind::Upstream { root } => promise(root),
        other => panic!("another failure: {other}"),
    }
}

pub(crate) fn what_waits_for_a_promise_waits_until_it_is_kept(rig: &Rig) -> wharf::Result<()> {
    let device = rig.open();
    let queue = device.queue("work").open();
    let x = device.buffer::<u32>(4)?;
    let (fence, signal) = device.promise();
    queue.wait_for(&fence)?;
    let done = CompletionQueue::new();
    device.upload(&x).on(&queue).send(vec![7; 4])?.forward(&done, ());
    device.download(&x).send()?.forward(&done, ());
    thread::sleep(Duration::from_millis(10));
    assert!(done.receiver().is_empty() && fence.outcome().is_none());
    assert_eq!(queue.stats().in_driver, 0, "the device has not heard of it");
    signal.signal();
    assert_eq!(fence.outcome(), Some(Ok(())));
    for _ in 0..2 {
        assert_eq!(done.receiver().recv().expect("it comes").1.ok()?, [7; 4]);
    }
    queue.wait_for(&fence)?;
    device.upload(&x).on(&queue).send(vec![8; 4])?.wait().ok()?;
    assert_eq!(device.stats().accepted, 3, "a promise is no message");
    Ok(())
}

pub(crate) fn threads_and_tasks_wait_for_it_too(rig: &Rig) -> wharf::Result<()> {
    let device = rig.open();
    let (fence, signal) = device.promise();
    thread::scope(|scope| {
        let waits: Vec<_> = (0..4).map(|_| scope.spawn(|| fence.wait())).collect();
        let tasks: Vec<_> = (0..4).map(|_| scope.spawn(|| pollster::block_on(fence.clone()))).collect();
        thread::sleep(Duration::from_millis(5));
        signal.signal();
        for thread in waits.into_iter().chain(tasks) {
            assert_eq!(thread.join().expect("it ends"), Ok(()));
        }
    });
    assert_eq!(pollster::block_on(fence), Ok(()));
    Ok(())
}

pub(crate) fn a_wait_for_a_fence_has_a_timeout(rig: &Rig) -> wharf::Result<()> {
    let held = rig.hold();
    let device = &held.device;
    let queue = device.queue("work").doorbell(Doorbell::Manual).open();
    let x = device.buffer::<u32>(4)?;
    let (promise, signal) = device.promise();
    queue.wait_for(&promise)?;
    let upload = device.upload(&x).on(&queue).send(vec![7; 4])?;
    let fence = queue.fence()?;
    for _ in 0..3 {
        assert_eq!(fence.wait_timeout(Duration::from_millis(1)), None, "nobody has signalled");
    }
    assert_eq!((promise.wait_timeout(Duration::ZERO), queue.stats().held), (None, 0), "who waits rings");
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(5));
            signal.signal();
        });
        assert_eq!(fence.wait_timeout(Duration::MAX), Some(Ok(())));
    });
    upload.wait().ok()?;
    let (broken, breaks) = device.promise();
    breaks.fail("no data");
    assert!(broken.wait_timeout(Duration::from_secs(60)).is_some_and(|outcome| outcome.is_err()));
    Ok(())
}

pub(crate) fn a_promise_that_is_broken_fails_who_waits_with_the_cause(rig: &Rig) -> wharf::Result<()> {
    let device = rig.open();
    let x = device.buffer::<u32>(4)?;
    let (failed, signal) = device.promise_named("the sensor");
    let (dropped, forgotten) = device.promise();
    let mut tickets = Vec::new();
    for fence in [&failed, &dropped] {
        let queue = device.queue("work").open();
        queue.wait_for(fence)?;
        tickets.push(device.upload(&x).on(&queue).send(vec![7; 4])?);
    }
    signal.fail("the cable is out");
    drop(forgotten);
    let words = ["the cable is out", "its signal was dropped"];
    for (ticket, words) in tickets.into_iter().zip(words) {
        let done = ticket.wait();
        assert_eq!(done.buffer, Some(vec![7; 4]), "the buffer comes back");
        assert_eq!(promise(&done.result.expect_err("it failed")), words);
    }
    let error = failed.wait().expect_err("it failed");
    assert_eq!(error.label.as_deref(), Some("the sensor"));
    let late = device.queue("late").open();
    assert!(matches!(late.wait_for(&failed), Err(Error::Transfer(error)) if promise(&error) == words[0]));
    Ok(())
}

pub(crate) fn a_device_that_ends_with_an_open_promise_breaks_it(rig: &Rig) -> wharf::Result<()> {
    let device = rig.open();
    let (fence, signal) = device.promise();
    let waiting = thread::spawn({
        let fence = fence.clone();
        move || fence.wait()
    });
    drop(device);
    drop(signal);
    assert!(waiting.join().expect("it ends").is_err());
    assert!(fence.outcome().is_some_and(|outcome| outcome.is_err()));
    Ok(())
}

/// What node `k` reads: one or two earlier nodes, none at the roots.
fn parents(k: usize) -> impl Iterator<Item = usize> {
    let hash = k.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 7;
    let count = if k < 8 { 0 } else { 1 + hash % 2 };
    (0..count).map(move |i| (hash >> (11 * (i + 1))) % k)
}

/// Runs a graph of copies in which `bad` waits for a promise that fails; gives each node's failure.
fn run(device: &Device, nodes: &[Buffer<u32>], bad: usize) -> wharf::Result<Vec<Option<Arc<TransferError>>>> {
    // Nodes live in a queue of their own kind: one for all, one for the bad one.
    let good = device.queue("nodes").policy(FailPolicy::Continue).open();
    let gated = device.queue("bad").policy(FailPolicy::Continue).open();
    let (fence, signal): (Fence, _) = device.promise();
    gated.wait_for(&fence)?;
    let mut tickets = Vec::new();
    for (k, node) in nodes.iter().enumerate() {
        let queue = if k == bad { &gated } else { &good };
        let mut last = device.clear(node).on(queue).send()?;
        for parent in parents(k) {
            last = device.copy(&nodes[parent], node).on(queue).send()?;
        }
        tickets.push(last);
    }
    signal.fail(format_args!("node {bad}"));
    Ok(tickets.into_iter().map(|ticket| ticket.wait().result.err()).collect())
}

/// A copy overwrites its destination, so a node fails with the last of its parents.
pub(crate) fn each_failure_of_a_graph_reaches_its_descendants_and_nobody_else(rig: &Rig) -> wharf::Result<()> {
    const NODES: usize = 1000;
    let device = rig.open();
    let nodes = (0..NODES).map(|_| device.buffer::<u32>(4)).collect::<wharf::Result<Vec<_>>>()?;
    let mut descendants = 0;
    // Where messages cost more, some of the nodes fail, spread over the graph.
    for bad in (0..NODES).step_by(NODES / rig.rounds(NODES)) {
        let failures = run(&device, &nodes, bad)?;
        let mut fails = vec![false; NODES];
        for k in 0..NODES {
            fails[k] = k == bad || parents(k).last().is_some_and(|parent| fails[parent]);
            let failure = failures[k].as_deref();
            assert_eq!(failure.is_some(), fails[k], "node {k} of {bad}: {failure:?}");
            if let Some(error) = failure {
                assert_eq!(promise(error), format!("node {bad}"));
                assert!(matches!(&error.kind, FailureKind::Upstream { root } if root.queue.as_ref() == "promise"));
            }
        }
        descendants += fails.iter().filter(|&&fails| fails).count() - 1;
    }
    assert!(descendants > rig.rounds(NODES), "the graph is one: {descendants}");
    device.drain();
    let stats = device.stats();
    assert_eq!(stats.accepted, stats.delivered + stats.detached_ok + stats.dead_lettered);
    Ok(())
}
