//! Messages that are cancelled, run late, are cut into chunks or are overtaken.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use wharf::{
    CancelOutcome, Cause, Error, FailPolicy, FailureKind, Lane, Path, Priority, Refusal, Result, Ticket, Wait,
};

use super::rig::{Held, Rig};

const MIB: usize = 1 << 20;

/// Waits until the message is over but for its turn.
pub(super) fn until_over<B: Send>(held: &Held, ticket: &Ticket<B>) {
    held.until(|| ticket.explain().is_none_or(|why| why.waits == Wait::Turn));
}

pub(crate) fn what_has_not_started_is_cancelled_and_its_destination_is_as_it_was(rig: &Rig) -> Result<()> {
    let held = rig.hold();
    let (device, queue) = (&held.device, held.device.queue("q").window(1).open());
    let x = device.buffer::<u32>(4)?;
    device.upload(&x).send(vec![1, 2, 3, 4])?.wait().ok()?;
    let running = held.busy();
    let blocked = device.download(&held.gate[1]).on(&queue).send()?;
    let upload = device.upload(&x).on(&queue).send(vec![9; 4])?;
    let reader = device.download(&x).send()?;
    assert_eq!(upload.cancel(), CancelOutcome::NotStarted);
    held.release();
    let done = upload.wait();
    let error = done.result.clone().expect_err("cancelled");
    assert_eq!((&error.kind, error.bytes, error.bytes_done, done.residue()), (&FailureKind::Cancelled, 16, 0, 16));
    assert_eq!(done.buffer, Some(vec![9; 4]), "the buffer comes back");
    let error = reader.wait().result.expect_err("its data was never made");
    assert!(matches!(&error.kind, FailureKind::Upstream { root } if root.kind == FailureKind::Cancelled));
    assert!(blocked.wait().result.is_ok() && running.wait().result.is_ok());
    // What is overwritten as a whole is good again.
    device.upload(&x).on(&queue).send(vec![5; 4])?;
    assert_eq!(*device.download(&x).wait()?, [5; 4]);
    Ok(())
}

pub(crate) fn a_cancel_is_a_wish_and_stops_no_queue(rig: &Rig) -> Result<()> {
    let held = rig.hold();
    let (device, gate) = (&held.device, &held.gate[1]);
    let queue = device.queue("stops").policy(FailPolicy::FailStop).window(1).open();
    let x = device.buffer::<u32>(1)?;
    let running = held.busy();
    let blocked = device.download(gate).on(&queue).send()?;
    let wished = device.upload(&x).on(&queue).send(vec![1])?;
    let late = device.upload(&x).on(&queue).deadline(Duration::from_millis(1)).send(vec![2])?;
    let last = device.download(gate).on(&queue).send()?;
    assert_eq!(wished.cancel(), CancelOutcome::NotStarted);
    until_over(&held, &late);
    held.release();
    assert_eq!(wished.wait().result.expect_err("cancelled").kind, FailureKind::Cancelled);
    assert_eq!(late.wait().result.expect_err("late").kind, FailureKind::Deadline);
    assert!(running.wait().result.is_ok() && blocked.wait().result.is_ok());
    assert!(last.wait().result.is_ok(), "the queue goes on");
    device.upload(&x).on(&queue).send(vec![3]).expect("and accepts");
    Ok(())
}

pub(crate) fn what_is_done_or_with_the_device_completes(rig: &Rig) -> Result<()> {
    let held = rig.hold();
    let x = held.device.buffer::<u32>(4)?;
    let done = held.device.upload(&x).send(vec![1; 4])?;
    held.device.drain();
    assert_eq!(done.cancel(), CancelOutcome::TooLate);
    assert_eq!(done.wait().residue(), 0);
    let running = held.busy();
    held.until(|| running.explain().is_some_and(|why| why.waits == Wait::Device));
    assert_eq!(running.cancel(), CancelOutcome::TooLate);
    held.release();
    assert!(running.wait().result.is_ok());
    Ok(())
}

pub(crate) fn a_launch_is_cancelled_until_it_starts(rig: &Rig) -> Result<()> {
    let held = rig.hold();
    let first = held.busy();
    let queue = held.device.queue("launches").window(1).open();
    let launch = || held.launch().on(&queue).run();
    let (second, third) = (launch()?, launch()?);
    // The window holds one: the third is not with the driver.
    assert_eq!(third.cancel(), CancelOutcome::NotStarted);
    held.release();
    assert!(first.wait().result.is_ok() && second.wait().result.is_ok());
    assert_eq!(third.wait().result.expect_err("cancelled").kind, FailureKind::Cancelled);
    Ok(())
}

pub(crate) fn a_large_transfer_is_cancelled_between_two_chunks(rig: &Rig) -> Result<()> {
    const CHUNK: u64 = 64 << 10;
    let device = rig.open();
    let queue = device.queue("cut").chunk(CHUNK).bytes(1 << 30).open();
    let x = device.buffer::<u8>(32 * MIB)?;
    for _ in 0..50 {
        let ticket = device.upload(&x).on(&queue).send(vec![7_u8; 32 * MIB])?;
        while queue.stats().in_driver == 0 && queue.stats().unresolved > 0 {}
        let outcome = ticket.cancel();
        let done = ticket.wait();
        assert_eq!(done.buffer.as_ref().map(Vec::len), Some(32 * MIB));
        if outcome == CancelOutcome::Partial {
            let error = done.result.as_ref().expect_err("cancelled");
            assert_eq!(error.bytes_done % CHUNK, 0, "whole chunks");
            assert!(error.bytes_done > 0 && error.bytes_done < 32 * MIB as u64);
            assert_eq!(done.residue(), 32 * MIB as u64 - error.bytes_done);
            return Ok(());
        }
    }
    panic!("never cancelled midway");
}

pub(crate) fn chunks_of_every_kind_of_transfer_move_every_byte(rig: &Rig) -> Result<()> {
    let device = rig.open();
    let queue = device.queue("chunks").chunk(256).open();
    let n = 10_007;
    let (x, y) = (device.buffer::<u8>(n)?, device.buffer::<u8>(n)?);
    let data: Vec<u8> = (0..n).map(|i| (i * 7 % 251) as u8).collect();
    device.upload(&x).on(&queue).send(data.clone())?;
    device.copy(&x, &y).on(&queue).send()?;
    assert_eq!(*device.download(&y).on(&queue).wait()?, data[..]);
    device.clear(&y).on(&queue).send()?;
    assert!(device.download(&y).on(&queue).wait()?.iter().all(|&b| b == 0));
    // In place, a part of the buffer: the block is cut, and comes back.
    let mut fill = device.upload(&x).at(4).on(&queue).reserve(8000)?;
    fill.iter_mut().enumerate().for_each(|(i, b)| *b = (i * 3 % 241) as u8);
    let done = fill.commit()?.wait();
    assert_eq!((done.result.is_ok(), done.receipt.path), (true, Path::Filled));
    let got = device.download(&x).on(&queue).wait()?;
    assert!((0..8000).all(|i| got[4 + i] == (i * 3 % 241) as u8));
    assert_eq!((&got[..4], &got[8004..]), (&data[..4], &data[8004..]));
    // The whole buffer, in place: on the CPU device the block becomes the memory, in one piece.
    let whole = device.buffer::<u8>(8192)?;
    let done = device.upload(&whole).on(&queue).fill(|i| i as u8)?.wait();
    let path = if rig.name == "cpu" { Path::Direct } else { Path::Filled };
    assert_eq!(done.receipt.path, path);
    assert!(device.download(&whole).wait()?.iter().enumerate().all(|(i, &b)| b == i as u8));
    device.drain();
    assert_eq!(device.stats().staging_bytes, 0);
    Ok(())
}

pub(crate) fn a_small_message_overtakes_a_large_one_of_lower_priority(rig: &Rig) -> Result<()> {
    let held = rig.hold();
    let device = &held.device;
    let low = device.queue("bulk").priority(Priority::Low).chunk(MIB as u64).bytes(1 << 30).open();
    let high = device.queue("urgent").priority(Priority::High).open();
    let (bulk, small) = (device.buffer::<u8>(128 * MIB)?, device.buffer::<u8>(64)?);
    for _ in 0..10 {
        let order = Arc::new(Mutex::new(Vec::new()));
        let note = |what| {
            let order = order.clone();
            move || order.lock().unwrap().push(what)
        };
        let (told_bulk, told_small) = (note("bulk"), note("small"));
        let message = device.upload(&bulk).message(vec![1_u8; 128 * MIB])?;
        low.send(message)?.on_complete(move |_| told_bulk());
        held.until(|| low.stats().in_driver > 0 || low.stats().unresolved == 0);
        device.upload(&small).on(&high).send(vec![2_u8; 64])?.on_complete(move |_| told_small());
        // Else this thread was kept from sending for longer than the large one took.
        let in_time = low.stats().unresolved > 0;
        device.drain();
        held.until(|| order.lock().unwrap().len() == 2);
        if in_time {
            assert_eq!(*order.lock().unwrap(), ["small", "bulk"]);
            return Ok(());
        }
    }
    panic!("the large one was over every time");
}

/// In commands, which no scheduler can change.
pub(crate) fn a_message_of_high_priority_is_behind_two_chunks_at_most(rig: &Rig) -> Result<()> {
    let device = rig.open();
    let low = device.queue("bulk").priority(Priority::Low).chunk(MIB as u64).bytes(1 << 30).open();
    let high = device.queue("urgent").priority(Priority::High).open();
    let (bulk, small) = (device.buffer::<u8>(64 * MIB)?, device.buffer::<u8>(64)?);
    let mut data = vec![1_u8; 64 * MIB];
    for _ in 0..10 {
        let large = device.upload(&bulk).on(&low).send(data)?;
        let mut behind = Vec::new();
        while low.stats().unresolved > 0 {
            let done = device.upload(&small).on(&high).send(vec![2_u8; 64])?.wait();
            behind.push(done.receipt.behind());
            done.ok()?;
        }
        let large = large.wait();
        let (own, urgent) = (large.receipt.behind().commands as usize, behind.len());
        assert_eq!(large.receipt.chunks, 64);
        assert!(own == urgent || own + 1 == urgent, "all but the last of {urgent} were over before it, not {own}");
        data = large.ok()?;
        let most = behind.iter().map(|behind| behind.commands).max().unwrap_or(0);
        assert!(most <= 2, "the lane is given two chunks ahead: {behind:?}");
        // Else this thread was kept from sending for as long as the large one took.
        if most > 0 {
            assert!(behind.iter().all(|behind| behind.commands > 0 || behind.took.is_zero()), "{behind:?}");
            return Ok(());
        }
    }
    panic!("nothing was before an urgent message, ever");
}

pub(crate) fn a_ticket_that_is_dropped_may_cancel(rig: &Rig) -> Result<()> {
    let held = rig.hold();
    let queue = held.device.queue("dropped").window(1).open();
    let x = held.device.buffer::<u32>(1)?;
    let running = held.busy();
    let blocked = held.device.download(&held.gate[1]).on(&queue).send()?;
    drop(held.device.upload(&x).on(&queue).send(vec![1])?.cancel_on_drop());
    held.release();
    assert!(running.wait().result.is_ok() && blocked.wait().result.is_ok());
    held.device.drain();
    let letters = held.device.dead_letters().take();
    assert_eq!(letters.iter().map(|l| &l.error.kind).collect::<Vec<_>>(), [&FailureKind::Cancelled]);
    let stats = held.device.stats();
    assert_eq!(stats.accepted, stats.delivered + stats.detached_ok + stats.dead_lettered + stats.in_flight);
    Ok(())
}

pub(crate) fn what_takes_back_or_ends_needs_no_credit(rig: &Rig) -> Result<()> {
    let held = rig.hold();
    let device = &held.device;
    let x = device.buffer::<u32>(4)?;
    let (promise, signal) = device.promise();
    let full = |name| -> Result<_> {
        let queue = device.queue(name).depth(2).bytes(32).open();
        queue.wait_for(&promise)?;
        let send = || device.upload(&x).on(&queue).or_refuse().send(vec![1; 4]);
        let tickets = [send()?, send()?];
        assert!(matches!(send().unwrap_err().error, Error::Refused { why: Refusal::Full { free_ops: 0, .. }, .. }));
        Ok((queue, tickets))
    };
    let ((cancelled, [first, second]), (aborted, [third, fourth])) = (full("cancelled")?, full("aborted")?);
    let ((closed, [fifth, sixth]), (dropped, [seventh, eighth])) = (full("closed")?, full("dropped")?);
    // The first keeps its turn, so the second stays in its queue, which is as full as before.
    assert_eq!(second.cancel(), CancelOutcome::NotStarted);
    cancelled.flush();
    aborted.abort("enough");
    closed.close();
    cancelled.resume();
    // None of them has waited: nothing comes back before this.
    drop(dropped);
    signal.signal();
    first.wait().ok()?;
    assert_eq!(second.wait().result.expect_err("cancelled").kind, FailureKind::Cancelled);
    for ticket in [third, fourth] {
        let done = ticket.wait();
        assert_eq!(done.result.expect_err("aborted").kind, FailureKind::Abandoned("enough".into()));
        assert_eq!(done.buffer, Some(vec![1; 4]));
    }
    for ticket in [fifth, sixth, seventh, eighth] {
        assert_eq!(ticket.wait().ok()?, [1; 4], "what was accepted completes");
    }
    Ok(())
}

pub(crate) fn a_queue_says_what_it_waits_for(rig: &Rig) -> Result<()> {
    let held = rig.hold();
    let queue = held.device.queue("why").window(1).open();
    assert!(queue.explain().is_none());
    let running = held.busy();
    let first = held.device.download(&held.gate[1]).on(&queue).send()?;
    let x = held.device.buffer::<u32>(1)?;
    let second = held.device.upload(&x).on(&queue).send(vec![1])?;
    let third = held.device.download(&x).on(&queue).send()?;
    held.until(|| queue.stats().in_driver == 1);
    assert_eq!(queue.explain().expect("unresolved").message, first.id());
    assert_eq!(first.explain().expect("unresolved").waits, Wait::Device);
    assert_eq!(second.explain().expect("unresolved").waits, Wait::Room(Lane::Upload));
    let why = third.explain().expect("unresolved");
    assert_eq!(why.waits, Wait::Behind(second.id()));
    let [edge] = &why.after[..] else { panic!("one edge: {why}") };
    assert_eq!((edge.on, edge.cause, edge.buffer.as_deref()), (second.id(), Cause::ReadAfterWrite, Some(x.name())));
    held.release();
    assert!(running.wait().result.is_ok() && third.wait().result.is_ok());
    assert!(second.wait().result.is_ok() && first.wait().result.is_ok());
    assert!(queue.explain().is_none());
    Ok(())
}
