//! What a message's deadline ends: the message, and the wait for its credits.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use wharf::{Error, FailureKind, Refusal, Result, Ticket};

use super::{rig::Rig, taking_back::until_over};

pub(crate) fn a_sender_waits_for_a_credit_until_its_deadline_at_most(rig: &Rig) -> Result<()> {
    let held = rig.hold();
    let gate = &held.gate[1];
    let queue = held.device.queue("narrow").depth(1).open();
    let running = held.busy();
    let only = held.device.download(gate).on(&queue).send()?;
    let deadline = Instant::now() + Duration::from_millis(2);
    let refused = held.device.upload(gate).on(&queue).deadline_at(deadline).send(vec![1.0]).unwrap_err();
    held.release();
    assert!(matches!(refused.error, Error::Refused { why: Refusal::Timeout, .. }), "{}", refused.error);
    assert_eq!(refused.buffer, [1.0]);
    assert!(running.wait().result.is_ok() && only.wait().result.is_ok());
    Ok(())
}

pub(crate) fn so_does_whoever_sends_what_is_filled_several_or_a_plan(rig: &Rig) -> Result<()> {
    let held = rig.hold();
    let device = &held.device;
    let (x, y) = (device.buffer::<f32>(5000)?, device.buffer::<f32>(5000)?);
    let queue = device.queue("narrow").depth(3).open();
    let permit = queue.reserve(1, 0)?;
    let soon = Duration::from_millis(2);
    let timed_out = |error: Error| {
        assert!(matches!(error, Error::Refused { why: Refusal::Timeout, .. }), "{error}");
    };
    let mut batch = queue.batch();
    let mut entries = Vec::new();
    for deadline in [None, Some(soon), Some(Duration::MAX)] {
        let upload = device.upload(&x);
        let upload = deadline.into_iter().fold(upload, |upload, after| upload.deadline(after));
        entries.push(batch.push(upload.message(vec![1.0; 5000])?)?);
    }
    timed_out(batch.commit().map(drop).expect_err("two of three fit"));
    timed_out(
        device
            .launch(rig.thrice)
            .bind(&x)
            .bind(&y)
            .arg("a", 1.0_f32)
            .on(&queue)
            .deadline(soon)
            .run()
            .map(drop)
            .expect_err("nor do its steps"),
    );
    let rest = queue.reserve(2, 0)?;
    let upload = || device.upload(&x).on(&queue).deadline(soon);
    timed_out(upload().reserve(5000).map(drop).expect_err("nothing is left"));
    timed_out(upload().fill(|_| 1.0).map(drop).expect_err("nothing is left"));
    timed_out(upload().copy_from(&[1.0; 5000]).map(drop).expect_err("nothing is left"));
    // The message that was in a hurry is taken out: the others have time.
    drop(batch.take(entries[1]));
    thread::scope(|scope| {
        scope.spawn(move || {
            thread::sleep(Duration::from_millis(5));
            drop((permit, rest));
        });
        batch.commit()?.ticket(entries[2]).wait().ok().map(drop)
    })
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// What the future has to say, asked again only when it says so.
fn woken<T>(future: impl Future<Output = T>) -> T {
    let (mut future, most) = (pin!(future), Duration::from_secs(30));
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        let began = Instant::now();
        thread::park_timeout(most);
        assert!(began.elapsed() < most, "it is woken");
    }
}

pub(crate) fn so_does_a_task_that_awaits_them(rig: &Rig) -> Result<()> {
    let device = rig.open();
    let queue = device.queue("narrow").depth(2).open();
    let x = device.buffer::<u32>(4)?;
    let permit = queue.reserve(2, 0)?;
    let timed_out = |error: Error| {
        assert!(matches!(error, Error::Refused { why: Refusal::Timeout, .. }), "{error}");
    };
    let upload = |after| device.upload(&x).deadline(after).message(vec![7_u32; 4]);
    let soon = Duration::from_millis(2);
    let (refused, done) = thread::scope(|scope| {
        // It waits longer, and came first: whoever sees to its deadline gets up for the other's.
        let patient = scope.spawn(|| woken(queue.send_async(upload(Duration::from_secs(60))?)).map_err(Error::from));
        thread::sleep(Duration::from_millis(2));
        let refused = woken(queue.send_async(upload(soon)?)).map(drop).expect_err("nothing is free");
        let mut batch = queue.batch();
        let entries = [Duration::MAX, soon].map(|after| batch.push(upload(after).expect("fits")).expect("ours"));
        timed_out(woken(batch.commit_async()).map(drop).expect_err("nothing is free"));
        assert_eq!(batch.take(entries[1]).into_buffer(), [7; 4], "the batch is as it was");
        drop(permit);
        drop(woken(batch.commit_async())?);
        let sent = patient.join().expect("it ends")?;
        Ok::<_, Error>((refused, sent.wait()))
    })?;
    timed_out(refused.error);
    assert_eq!(refused.buffer.into_buffer(), [7; 4], "the message comes back");
    assert_eq!(done.ok()?, [7; 4]);
    device.drain();
    assert_eq!(queue.stats().free_ops, 2);
    Ok(())
}

pub(crate) fn ten_thousand_deadlines_pass_on_a_full_queue(rig: &Rig) -> Result<()> {
    let held = rig.hold();
    let queue = held.device.queue("full").depth(10_001).window(1).open();
    let x = held.device.buffer::<u32>(1)?;
    let running = held.busy();
    let blocked = held.device.download(&held.gate[1]).on(&queue).send()?;
    let soon = Duration::from_millis(5);
    let send = |i| held.device.upload(&x).on(&queue).or_refuse().deadline(soon).send(vec![i]);
    let tickets: Vec<_> = (0..10_000).map(|i| send(i).expect("room")).collect();
    assert!(send(0).is_err(), "full");
    until_over(&held, tickets.last().expect("10,000"));
    held.release();
    assert!(running.wait().result.is_ok() && blocked.wait().result.is_ok());
    for done in tickets.into_iter().map(Ticket::wait) {
        assert_eq!(done.result.expect_err("late").kind, FailureKind::Deadline);
    }
    assert_eq!(queue.stats().unresolved, 0);
    Ok(())
}
