//! How queues end, what messages are called, and which way they may not take.

use std::{future::Future, pin::pin, sync::Arc, task::Context, thread, time::Duration};

use wharf::{BackendKind, Device, Doorbell, Error, FailPolicy, FailureKind, Path, Refusal, Result, Simulation};

#[test]
fn an_aborted_queue_completes_everything_with_the_reason() -> Result<()> {
    let device = Device::open("cpu")?;
    let queue = device.queue("given up").open();
    let x = device.buffer::<u32>(4)?;
    let ran = device.upload(&x).on(&queue).send(vec![1; 4])?;
    assert_eq!(device.download(&x).on(&queue).wait()?[..], [1; 4]);
    let (gate, signal) = device.promise();
    queue.wait_for(&gate)?;
    let held = device.upload(&x).on(&queue).send(vec![2; 4])?;
    queue.post(device.upload(&x).message(vec![3; 4])?)?;
    let fence = queue.fence()?;
    let reader = device.download(&x).send()?;
    queue.abort("the user has gone");
    let refused = device.upload(&x).on(&queue).send(vec![4; 4]).expect_err("it is closed");
    assert!(matches!(refused.error, Error::Refused { why: Refusal::Closed, .. }));
    ran.wait().ok()?;
    let done = held.wait();
    let error = done.result.expect_err("it never went out");
    assert_eq!(error.kind, FailureKind::Abandoned("the user has gone".into()));
    assert_eq!(done.buffer, Some(vec![2; 4]), "it comes back");
    let error = reader.wait().result.expect_err("what it reads was never made");
    assert!(matches!(&error.kind, FailureKind::Upstream { root } if matches!(root.kind, FailureKind::Abandoned(_))));
    signal.signal();
    fence.wait().expect_err("it stands for them");
    assert_eq!(device.dead_letters().len(), 1, "of what was posted");
    queue.drain();
    Ok(())
}

#[test]
fn what_is_with_the_device_ends_as_if_nobody_had_aborted() -> Result<()> {
    let sim = Simulation::open("gen4x16")?;
    let device = sim.device();
    let queue = device.queue("late").chunk(1 << 20).open();
    let x = device.buffer::<u8>(16 << 20)?;
    let small = device.buffer::<u8>(1 << 20)?;
    let whole = device.upload(&small).on(&queue).send(vec![1; 1 << 20])?;
    let half = device.upload(&x).on(&queue).send(vec![2; 16 << 20])?;
    device.progress();
    queue.abort("enough");
    whole.wait().ok()?;
    let done = half.wait();
    assert!(matches!(done.result.as_ref().expect_err("not all of it went").kind, FailureKind::Abandoned(_)));
    assert!(done.residue() >= 14 << 20, "{}", done.residue());
    Ok(())
}

#[test]
fn a_queue_is_drained_by_awaiting_it() -> Result<()> {
    let device = Device::open("cpu")?;
    let queue = device.queue("work").open();
    let x = device.buffer::<u32>(4)?;
    let (gate, signal) = device.promise();
    queue.wait_for(&gate)?;
    let tickets: Vec<_> =
        (0..10).map(|i| device.upload(&x).on(&queue).send(vec![i; 4])).collect::<std::result::Result<_, _>>()?;
    let mut first = Box::pin(queue.drain_async());
    assert!(first.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())).is_pending());
    drop(first);
    let waits = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        signal.signal();
    });
    pollster::block_on(queue.drain_async());
    waits.join().expect("it signals");
    for (i, ticket) in (0..).zip(tickets) {
        assert_eq!(ticket.try_take().expect("all are resolved").ok()?, [i; 4]);
    }
    let ready = pin!(queue.drain_async()).poll(&mut Context::from_waker(std::task::Waker::noop()));
    assert!(ready.is_ready(), "it is empty");
    Ok(())
}

#[test]
fn a_message_is_known_by_its_tag_to_its_end() -> Result<()> {
    let device = Device::open("cpu")?;
    let x = device.buffer::<u32>(100)?;
    let ticket = device.upload(&x).tag(7).send(vec![1; 100])?;
    let id = ticket.id();
    let done = ticket.wait();
    assert_eq!((done.tag, done.receipt.tag, done.receipt.id), (7, 7, id));
    assert_eq!(device.upload(&x).tag(8).fill(|_| 1)?.wait().tag, 8);
    assert_eq!(device.clear(&x).send()?.wait().tag, 0);
    let queue = device.queue("closed").open();
    let (gate, signal) = device.promise();
    queue.wait_for(&gate)?;
    queue.post(device.clear(&x).tag(9).message()?)?;
    signal.fail("nobody came");
    device.drain();
    let letters = device.dead_letters().take();
    assert_eq!(letters.iter().map(|letter| letter.tag).collect::<Vec<_>>(), [9]);
    Ok(())
}

#[test]
fn a_receipt_counts_chunks_and_those_that_travelled_together() -> Result<()> {
    let device = Device::open("cpu")?;
    let queue = device.queue("cut").chunk(1 << 20).open();
    let x = device.buffer::<u8>(10 << 20)?;
    let data: Arc<[u8]> = vec![1; 10 << 20].into();
    let done = device.upload(&x).on(&queue).send(data)?.wait();
    assert_eq!((done.receipt.chunks, done.receipt.path), (10, Path::Host));
    assert!(done.receipt.why.is_some() && done.receipt.to_string().contains(done.receipt.why.expect("just seen")));
    let mut batch = queue.batch();
    let entries: Vec<_> = (0..8)
        .map(|i| batch.push(device.upload(&x).at(8 * i).message(vec![i as u8; 8]).expect("it fits")))
        .collect::<std::result::Result<_, _>>()?;
    // Where nothing is before it, each is done as it is accepted.
    let (gate, signal) = device.promise();
    queue.wait_for(&gate)?;
    let mut sent = batch.commit()?;
    signal.signal();
    let together: Vec<_> = entries.into_iter().map(|entry| sent.ticket(entry).wait().receipt.together).collect();
    assert_eq!(together, [8; 8], "each to its own place, in one command");
    Ok(())
}

/// Also where the driver was given it: the operation is still there, unless it may have done half of a launch.
#[test]
fn what_the_device_failed_is_sent_again_where_it_may_be_done_twice() -> Result<()> {
    let device = Device::open("sim:gen5x16,h200,fail=3,fail=4,fail=5")?;
    let [x, y, z] = [device.buffer::<u32>(100)?, device.buffer::<u32>(100)?, device.buffer::<u32>(100)?];
    let queue = device.queue("work").policy(FailPolicy::Continue).open();
    device.upload(&x).on(&queue).send(vec![7; 100])?.wait().ok()?;
    device.upload(&z).on(&queue).send(vec![8; 100])?.wait().ok()?;
    let letters = |kept: usize| {
        device.drain();
        assert_eq!(device.dead_letters().len(), kept);
        device
            .dead_letters()
            .look(|letter| assert!(matches!(letter.error.kind, FailureKind::Backend(_)), "{letter:?}"));
    };
    drop(device.copy(&x, &y).on(&queue).send()?);
    letters(1);
    drop(device.clear(&z).on(&queue).send()?);
    letters(2);
    drop(device.upload(&x).on(&queue).send(vec![9; 100])?);
    letters(3);
    // Oldest first: the copy reads what the upload has not made, and is a letter again until that is sent.
    let requeued = device.dead_letters().requeue(|_| true);
    assert_eq!((requeued.sent, requeued.kept), (3, 0));
    device.drain();
    assert_eq!(device.download(&x).wait()?[..], [9; 100]);
    assert_eq!(device.download(&z).wait()?[..], [0; 100]);
    assert_eq!(device.dead_letters().requeue(|_| true).sent, 1);
    assert_eq!(device.download(&y).wait()?[..], [9; 100]);
    assert!(device.dead_letters().is_empty());
    Ok(())
}

#[test]
fn a_bound_that_no_queue_can_have_becomes_the_nearest() -> Result<()> {
    let sim = Simulation::open("gen4x16")?;
    let device = sim.device();
    let x = device.buffer::<u8>(1000)?;
    let doorbell = Doorbell::Batched { ops: 0, bytes: u64::MAX, linger: Duration::MAX };
    let none = device.queue("none").depth(0).window(0).bytes(0).chunk(0).doorbell(doorbell).open();
    let stats = none.stats();
    assert_eq!((stats.free_ops, stats.free_bytes, stats.until_flush), (1, 0, Some(1)));
    let done = device.upload(&x).on(&none).send(vec![7; 1000])?;
    let refused = device.upload(&x).on(&none).or_refuse().send(vec![7; 4]).expect_err("it has room for one");
    assert!(matches!(refused.error, Error::Refused { why: Refusal::Full { free_ops: 0, .. }, .. }), "{refused}");
    device.progress();
    assert_eq!(none.stats().in_driver, 1, "and the driver gets one of its chunks");
    assert_eq!(done.wait().receipt.chunks, 4, "of 256 bytes each");
    for (chunk, chunks) in [(7, 4), (256, 4), (257, 2), (u64::MAX, 1)] {
        let queue = device.queue("cut").chunk(chunk).open();
        let done = device.upload(&x).on(&queue).send(vec![8; 1000])?.wait();
        assert_eq!(done.receipt.chunks, chunks, "chunks of {chunk}");
    }
    assert_eq!(device.download(&x).wait()?[..], [8; 1000]);
    let copies = device.queue("copies").inline_max(usize::MAX).open();
    let y = device.buffer::<u8>(128 << 10)?;
    for (bytes, path) in [(64 << 10, Path::Inline), ((64 << 10) + 4, Path::Filled)] {
        assert_eq!(device.upload(&y).on(&copies).copy_from(&vec![1; bytes])?.wait().receipt.path, path, "{bytes}");
    }
    Ok(())
}

#[test]
fn a_strict_queue_refuses_the_slow_way_and_says_what_is_faster() -> Result<()> {
    #[cfg(feature = "wgpu")]
    match Device::open("wgpu") {
        Ok(device) => {
            let strict = device.queue("strict").strict().open();
            let x = device.buffer::<u32>(10_000)?;
            let refused = device.upload(&x).on(&strict).send(vec![1; 10_000]).expect_err("it would be staged");
            let Error::Refused { why: Refusal::Slow(why), .. } = &refused.error else { panic!("{}", refused.error) };
            assert!(why.contains("Upload::reserve"), "{why}");
            let mut batch = strict.batch();
            assert!(batch.push(device.upload(&x).message(refused.buffer)?).is_err());
            assert_eq!(device.upload(&x).on(&strict).fill(|i| i as u32)?.wait().receipt.path, Path::Filled);
            device.upload(&x).on(&strict).copy_from(&[7; 100])?.wait().ok()?;
            assert_eq!(device.download(&x).on(&strict).wait()?[100], 100);
        }
        Err(e) if e.is_unavailable() && !std::env::var("WHARF_REQUIRE").unwrap_or_default().contains("wgpu") => {
            eprintln!("SKIP {e}");
        }
        Err(e) => panic!("{e}"),
    }
    let device = Device::open("cpu")?;
    assert_eq!(device.capabilities().backend, BackendKind::Cpu);
    let strict = device.queue("strict").strict().open();
    let x = device.buffer::<u32>(10_000)?;
    device.upload(&x).on(&strict).send(vec![1; 10_000])?.wait().ok()?;
    Ok(())
}

#[test]
fn what_an_aborted_message_drags_along_knows_the_first_failure() -> Result<()> {
    let device = Device::open("sim:gen5x16,h200,fail=1")?;
    let queue = device.queue("work").window(1).open();
    let [x, y] = [device.buffer::<u32>(4)?, device.buffer::<u32>(4)?];
    let (gate, signal) = device.promise();
    queue.wait_for(&gate)?;
    let failed = device.upload(&x).on(&queue).send(vec![1; 4])?;
    let behind = device.upload(&y).on(&queue).send(vec![2; 4])?;
    let reader = device.download(&y).send()?;
    signal.signal();
    let first = failed.wait().result.expect_err("its operation fails");
    let aborted = behind.wait().result.expect_err("the queue stops");
    assert_eq!(aborted.kind, FailureKind::Aborted { after: first.id, root: first.clone() });
    let words = aborted.to_string();
    assert!(words.ends_with(&format!("of {}: aborted, as {first}", device.id())), "{words}");
    let dragged = reader.wait().result.expect_err("what it reads was never made");
    assert_eq!(dragged.kind, FailureKind::Upstream { root: first });
    Ok(())
}

#[test]
fn an_aborted_message_names_who_failed_before_it_and_the_first_failure() -> Result<()> {
    let device = Device::open("sim:gen5x16,h200,fail=1")?;
    let (work, next) = (device.queue("work").open(), device.queue("next").window(1).open());
    let [x, y, z] = [device.buffer::<u32>(4)?, device.buffer::<u32>(4)?, device.buffer::<u32>(4)?];
    let (gate, signal) = device.promise();
    work.wait_for(&gate)?;
    let failed = device.upload(&x).on(&work).send(vec![1; 4])?;
    let copy = device.copy(&x, &y).on(&next).send()?;
    let behind = device.upload(&z).on(&next).send(vec![2; 4])?;
    signal.signal();
    let first = failed.wait().result.expect_err("its operation fails");
    let second = copy.wait().result.expect_err("what it reads was never made");
    let error = behind.wait().result.expect_err("the queue stops");
    assert_eq!(error.kind, FailureKind::Aborted { after: second.id, root: first.clone() });
    assert!(error.to_string().ends_with(&format!("aborted after message {}, as {first}", second.id)), "{error}");
    Ok(())
}
