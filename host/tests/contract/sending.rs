//! Permits, batches and the ways to wait for a credit.

use std::{
    future::Future,
    panic::{self, AssertUnwindSafe},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use wharf::{DmaQueue, Error, Refusal};

use super::rig::Rig;

fn full(error: &Error) -> bool {
    matches!(error, Error::Refused { why: Refusal::Full { .. }, .. })
}

fn free(queue: &DmaQueue) -> (u32, u64) {
    (queue.stats().free_ops, queue.stats().free_bytes)
}

pub(crate) fn a_permit_is_room_that_nobody_else_gets(rig: &Rig) -> wharf::Result<()> {
    let device = rig.open();
    let queue = device.queue("narrow").depth(3).bytes(100).open();
    let x = device.buffer::<u8>(40)?;
    let permit = queue.try_reserve(2, 80)?;
    assert_eq!((permit.ops(), permit.bytes(), free(&queue)), (2, 80, (1, 20)));
    assert_eq!(queue.stats().unresolved, 0, "a permit is no message");

    let refused = queue.try_send(device.upload(&x).message(vec![1; 40])?).expect_err("20 bytes are left");
    assert!(full(&refused.error), "{refused}");
    assert_eq!(refused.buffer.into_buffer(), [1; 40], "the message comes back with its buffer");

    let first = permit.send(device.upload(&x).message(vec![2; 40])?)?;
    let second = device.upload(&x).with(&permit).send(vec![3; 40])?;
    assert_eq!((permit.ops(), permit.bytes()), (0, 0));
    let refused = device.upload(&x).with(&permit).send(vec![4; 40]).expect_err("it is spent");
    assert!(matches!(refused.error, Error::Refused { why: Refusal::Permit { left_ops: 0, .. }, .. }), "{refused}");
    assert_eq!(refused.buffer, [4; 40]);
    assert_eq!((first.wait().ok()?, second.wait().ok()?), (vec![2; 40], vec![3; 40]));
    drop(permit);
    assert_eq!(free(&queue), (3, 100));
    Ok(())
}

pub(crate) fn a_permit_that_is_dropped_wakes_who_waits_for_its_credits(rig: &Rig) -> wharf::Result<()> {
    let held = rig.hold();
    let device = &held.device;
    let queue = device.queue("narrow").depth(1).open();
    let x = device.buffer::<u32>(4)?;
    let permit = queue.reserve(1, 0)?;
    let waited = queue.reserve_timeout(1, 0, Duration::from_millis(1)).expect_err("taken");
    assert!(matches!(waited, Error::Refused { why: Refusal::Timeout, .. }), "{waited}");
    let late = queue.send_timeout(device.upload(&x).message(vec![8_u32; 4])?, Duration::from_millis(1));
    let late = late.expect_err("taken");
    assert!(matches!(late.error, Error::Refused { why: Refusal::Timeout, .. }), "{late}");
    assert_eq!(late.buffer.into_buffer(), [8; 4]);
    thread::scope(|scope| {
        let sender = scope.spawn(|| queue.send(device.upload(&x).message(vec![7_u32; 4])?)?.wait().ok());
        let task = scope.spawn(|| pollster::block_on(queue.reserve_async(1, 0)).map(|permit| permit.ops()));
        thread::sleep(Duration::from_millis(5));
        drop(permit);
        assert_eq!(sender.join().expect("it ends")?, [7; 4]);
        assert_eq!(task.join().expect("it ends")?, 1);
        Ok::<_, Error>(())
    })?;
    queue.send_timeout(device.upload(&x).message(vec![9_u32; 4])?, Duration::MAX)?.wait().ok()?;
    assert_eq!(free(&queue).0, 1);
    Ok(())
}

struct Nobody;

impl Wake for Nobody {
    fn wake(self: Arc<Self>) {}
}

pub(crate) fn a_reservation_that_is_given_up_takes_nothing(rig: &Rig) -> wharf::Result<()> {
    let device = rig.open();
    let queue = device.queue("narrow").depth(1).open();
    let x = device.buffer::<u32>(4)?;
    let waker = Waker::from(Arc::new(Nobody));
    let mut context = Context::from_waker(&waker);
    for _ in 0..rig.rounds(100) {
        let permit = queue.reserve(1, 0)?;
        let mut future = Box::pin(queue.reserve_async(1, 0));
        assert!(future.as_mut().poll(&mut context).is_pending());
        let mut sending = Box::pin(queue.send_async(device.upload(&x).message(vec![1_u32; 4])?));
        assert!(sending.as_mut().poll(&mut context).is_pending());
        drop(future);
        drop(permit);
        drop(sending);
        assert_eq!(free(&queue).0, 1);
    }
    let mut ready = pin!(queue.send_async(device.upload(&x).message(vec![2_u32; 4])?));
    let Poll::Ready(sent) = ready.as_mut().poll(&mut context) else { panic!("there is room") };
    assert_eq!(sent?.wait().ok()?, [2; 4]);
    Ok(())
}

pub(crate) fn a_queue_that_closes_tells_who_awaits_a_credit(rig: &Rig) -> wharf::Result<()> {
    let device = rig.open();
    let queue = device.queue("narrow").depth(1).open();
    let permit = queue.reserve(1, 0)?;
    thread::scope(|scope| {
        let task = scope.spawn(|| pollster::block_on(queue.reserve_async(1, 0)).map(|_| ()));
        thread::sleep(Duration::from_millis(5));
        queue.close();
        let refused = task.join().expect("it ends").expect_err("the queue is closed");
        assert!(matches!(refused, Error::Refused { why: Refusal::Closed, .. }), "{refused}");
    });
    let x = device.buffer::<u32>(4)?;
    let refused = permit.send(device.upload(&x).message(vec![1_u32; 4])?).expect_err("closed");
    assert!(matches!(refused.error, Error::Refused { why: Refusal::Closed, .. }), "{refused}");
    Ok(())
}

pub(crate) fn what_never_fits_is_said_rather_than_waited_for(rig: &Rig) -> wharf::Result<()> {
    let device = rig.open();
    let queue = device.queue("narrow").depth(2).bytes(8).open();
    let error = queue.reserve(3, 0).expect_err("the depth is 2").to_string();
    assert_eq!(error, "queue `narrow`: 3 operations never fit its depth of 2");
    assert!(pollster::block_on(queue.reserve_async(3, 0)).is_err());
    let alone = queue.reserve(1, 1000)?;
    assert!(full(&queue.try_reserve(1, 1).expect_err("it is alone")));
    drop(alone);
    Ok(())
}

pub(crate) fn a_batch_is_accepted_whole_and_in_order(rig: &Rig) -> wharf::Result<()> {
    let device = rig.open();
    let queue = device.queue("work").open();
    let x = device.buffer::<u32>(16)?;
    let mut batch = queue.batch();
    for round in 0..3_u32 {
        let mut uploads = Vec::new();
        let mut downloads = Vec::new();
        for i in 0..100 {
            uploads.push(batch.push(device.upload(&x).message(vec![round * 100 + i; 16])?)?);
            downloads.push(batch.push(device.download(&x).message(Vec::new())?)?);
        }
        assert_eq!((batch.len(), batch.bytes()), (200, 200 * 64));
        let before = device.stats().accepted;
        let mut sent = batch.commit()?;
        assert_eq!(device.stats().accepted, before + 200);
        let mut last = None;
        for (i, (up, down)) in uploads.into_iter().zip(downloads).enumerate() {
            let (up, down) = (sent.ticket(up), sent.ticket(down));
            assert!(last < Some(up.id()) && up.id() < down.id());
            last = Some(down.id());
            assert_eq!(down.wait().ok()?, [round * 100 + i as u32; 16]);
            up.wait().ok()?;
        }
        drop(sent);
        assert!(batch.is_empty());
    }
    Ok(())
}

pub(crate) fn small_uploads_of_a_batch_are_messages_of_their_own(rig: &Rig) -> wharf::Result<()> {
    let device = rig.open();
    let queue = device.queue("small").open();
    let x = device.buffer::<u32>(4096)?;
    for count in [1, 2, 63, 64, 65, 300] {
        device.clear(&x).send()?.wait().ok()?;
        let (mut batch, mut entries, mut expected) = (queue.batch(), Vec::new(), vec![0_u32; 4096]);
        for i in 0..count {
            // Of 1 to 13 elements, over what those before have written: the order shows.
            let (at, len) = (i * 7, 1 + i % 13);
            let data: Vec<u32> = (0..len).map(|k| (1000 * i + k + 1) as u32).collect();
            expected[at..at + len].copy_from_slice(&data);
            let upload = device.upload(&x).at(at).tag(i as u64);
            match i % 3 {
                0 => entries.push((i, batch.push(upload.message(data)?)?)),
                1 => batch.post(upload.copy_message(&data)?)?,
                _ => drop(batch.push(upload.copy_message(&data)?)?),
            }
        }
        let mut sent = batch.commit()?;
        let tickets: Vec<_> = entries.into_iter().map(|(i, entry)| (i, sent.ticket(entry))).collect();
        drop(sent);
        let mut last = None;
        for (i, ticket) in tickets {
            let done = ticket.wait();
            assert_eq!((done.tag, done.receipt.tag, done.receipt.chunks), (i as u64, i as u64, 1));
            assert!(last < Some(done.id) && done.receipt.id == done.id, "each has its own number, in order");
            assert!(done.receipt.finished <= done.receipt.delivered && done.receipt.submitted.is_some());
            last = Some(done.id);
            assert_eq!(done.ok()?.len(), 1 + i % 13, "and its own buffer");
        }
        assert_eq!(*device.download(&x).wait()?, expected, "{count} of them");
    }
    let stats = device.stats();
    assert_eq!((stats.in_flight, stats.dead_lettered), (0, 0));
    assert_eq!(stats.accepted, stats.delivered + stats.detached_ok);
    Ok(())
}

pub(crate) fn a_batch_that_does_not_fit_sends_nothing_and_keeps_everything(rig: &Rig) -> wharf::Result<()> {
    let held = rig.hold();
    let device = &held.device;
    let queue = device.queue("narrow").depth(4).open();
    let x = device.buffer::<u32>(4)?;
    let permit = queue.reserve(2, 0)?;
    let mut batch = queue.batch();
    let entries =
        [0_u32, 1, 2].map(|i| batch.push(device.upload(&x).message(vec![i; 4]).expect("fits")).expect("ours"));
    assert!(full(&batch.try_commit().expect_err("2 operations are free")));
    let late = batch.commit_timeout(Duration::from_millis(1)).expect_err("they stay taken");
    assert!(matches!(late, Error::Refused { why: Refusal::Timeout, .. }), "{late}");
    assert_eq!((device.stats().accepted, batch.len(), free(&queue).0), (0, 3, 2));
    assert_eq!(batch.take(entries[1]).into_buffer(), [1; 4]);
    let mut sent = batch.try_commit()?;
    assert_eq!(sent.ticket(entries[2]).wait().ok()?, [2; 4]);
    assert_eq!(sent.ticket(entries[0]).wait().ok()?, [0; 4]);
    drop(sent);
    drop(permit);

    let kept = Arc::<[u32]>::from([1, 2, 3, 4]);
    let mut batch = queue.batch();
    batch.push(device.upload(&x).message(kept.clone())?)?;
    drop(batch);
    assert_eq!((Arc::strong_count(&kept), device.stats().accepted), (1, 2), "a batch that is dropped sends nothing");
    assert_eq!(pollster::block_on(queue.batch().commit_async()).map(drop).ok(), Some(()));
    Ok(())
}

pub(crate) fn an_entry_is_good_for_its_batch_only(rig: &Rig) -> wharf::Result<()> {
    let device = rig.open();
    let queue = device.queue("work").open();
    let x = device.buffer::<u32>(4)?;
    let mut batch = queue.batch();
    let entry = batch.push(device.upload(&x).message(vec![1_u32; 4])?)?;
    drop(batch.commit());
    batch.push(device.upload(&x).message(vec![1_u32; 4])?)?;
    let taken = panic::catch_unwind(AssertUnwindSafe(|| drop(batch.take(entry))));
    let words = *taken.expect_err("it panics").downcast::<String>().expect("with words");
    assert!(words.contains("an entry of another batch"), "{words}");
    Ok(())
}

pub(crate) fn a_plan_that_is_refused_has_not_sent_its_first_steps(rig: &Rig) -> wharf::Result<()> {
    let device = rig.open();
    let (x, y) = (device.buffer::<f32>(1)?, device.buffer::<f32>(1)?);
    device.upload(&x).send(vec![1.0])?.wait().ok()?;
    let queue = device.queue("narrow").depth(4).open();
    let permit = queue.reserve(2, 0)?;
    let launch = || device.launch(rig.thrice).bind(&x).bind(&y).arg("a", 1.0_f32);
    assert!(full(&launch().on(&queue).or_refuse().run().expect_err("2 of 3 fit")));
    assert!(matches!(launch().with(&permit).run(), Err(Error::Refused { why: Refusal::Permit { .. }, .. })));
    assert_eq!((device.stats().accepted, device.download(&y).wait()?[0]), (1, 0.0), "the upload of `x`");
    drop(permit);
    launch().on(&queue).run()?.wait().ok()?;
    let mut batch = queue.batch();
    let entries = launch().messages()?.into_iter().map(|message| batch.push(message)).collect::<Result<Vec<_>, _>>()?;
    batch.commit()?.ticket(entries[2]).wait().ok()?;
    assert_eq!(device.download(&y).wait()?[0], 6.0);
    let shallow = device.queue("shallow").depth(2).open();
    assert!(matches!(launch().on(&shallow).run(), Err(Error::Argument { .. })), "it could never be sent");
    Ok(())
}

pub(crate) fn staging_memory_is_lent_within_the_bytes_of_its_queue(rig: &Rig) -> wharf::Result<()> {
    let device = rig.open();
    let queue = device.queue("narrow").bytes(1000).open();
    let x = device.buffer::<u8>(600)?;
    let upload = || device.upload(&x).on(&queue).or_refuse();
    let mut fill = upload().reserve(600)?;
    assert!(full(&upload().reserve(600).expect_err("400 bytes are left")));
    assert_eq!(device.stats().staging_bytes, 600);
    fill.fill(9);
    fill.commit()?.wait().ok()?;
    drop(upload().reserve(600)?);
    assert_eq!(free(&queue).1, 1000);
    assert_eq!(device.download(&x).wait()?[599], 9);
    Ok(())
}
