//! Dead letters: what becomes of failures that nobody waits for.

use std::time::Duration;

use wharf::{Device, DmaQueue, Error, FailureKind, Refusal, Requeued};

use super::rig::Rig;

/// A failed launch, with everything that is behind it in its queue and waits for its buffers.
fn wreck(
    rig: &Rig,
    device: &Device,
    queue: &DmaQueue,
    uploads: usize,
    len: usize,
) -> wharf::Result<wharf::Buffer<f32>> {
    let (x, y) = (device.buffer::<f32>(len)?, device.buffer::<f32>(len)?);
    let mut batch = queue.batch();
    for message in rig.fails(device, &x, &y).label("bad").messages()? {
        batch.push(message)?;
    }
    for i in 0..uploads {
        batch.push(device.upload(&x).label("held").message(vec![i as f32; len])?)?;
    }
    drop(batch.commit()?);
    device.drain();
    Ok(x)
}

pub(crate) fn a_letter_has_its_cause_and_its_buffer(rig: &Rig) -> wharf::Result<()> {
    let device = rig.open();
    let queue = device.queue("work").open();
    wreck(rig, &device, &queue, 2, 64)?;
    assert_eq!((device.dead_letters().len(), queue.stats().dead_letters), (3, 3));
    assert_eq!(device.own_queue(wharf::Lane::Upload).stats().dead_letters, 0);
    let mut seen = Vec::new();
    device.dead_letters().look(|letter| seen.push((letter.error.label.clone().unwrap(), letter.can_requeue())));
    assert_eq!(seen, [("bad".into(), false), ("held".into(), true), ("held".into(), true)]);

    let mut letters = device.dead_letters().take();
    assert!(device.dead_letters().is_empty());
    assert!(matches!(&letters[0].error.kind, FailureKind::Backend(_)));
    let root = letters[0].error.clone();
    assert_eq!(letters[1].error.kind, FailureKind::Aborted { after: root.id, root });
    assert!(letters[1].accepted <= letters[1].failed);
    assert_eq!(letters[1].take_buffer::<Vec<u8>>(), None, "it is another type");
    assert_eq!(letters[1].take_buffer::<Vec<f32>>(), Some(vec![0.0; 64]));
    assert_eq!((letters[1].take_buffer::<Vec<f32>>(), letters[1].can_requeue()), (None, false));
    let stats = device.stats();
    assert_eq!((stats.accepted, stats.dead_lettered, stats.in_flight), (3, 3, 0));
    Ok(())
}

pub(crate) fn what_still_owns_its_operation_is_sent_again(rig: &Rig) -> wharf::Result<()> {
    let device = rig.open();
    let queue = device.queue("work").open();
    let x = wreck(rig, &device, &queue, 3, 64)?;
    let mut nth = 0;
    let requeued = device.dead_letters().requeue(|_| {
        nth += 1;
        nth <= 3
    });
    assert_eq!((requeued.sent, requeued.kept), (2, 1), "the launch has run; the last upload was not chosen");
    device.drain();
    assert_eq!(device.download(&x).wait()?[63], 1.0);
    assert_eq!(device.dead_letters().len(), 2);
    // The buffer that it was for is gone.
    drop(x);
    let none = device.dead_letters().requeue(|letter| letter.can_requeue());
    assert_eq!((none.sent, none.kept), (0, 1));
    let mut letters = device.dead_letters().take();
    assert_eq!(letters[1].take_buffer::<Vec<f32>>(), Some(vec![2.0; 64]));
    assert_eq!(device.dead_letters().requeue(|_| true), Requeued::default());
    let stats = device.stats();
    assert_eq!(stats.accepted, stats.delivered + stats.detached_ok + stats.dead_lettered);
    Ok(())
}

pub(crate) fn what_was_copied_is_sent_again_whatever_its_size(rig: &Rig) -> wharf::Result<()> {
    let device = rig.open();
    let queue = device.queue("work").open();
    let (x, y, other) = (device.buffer::<f32>(1024)?, device.buffer::<f32>(1024)?, device.buffer::<f32>(1024)?);
    let data: Vec<f32> = (1..1025_u16).map(f32::from).collect();
    for len in [1, 16, 25, 32, 33, 250, 1024] {
        let mut batch = queue.batch();
        rig.fails(&device, &x, &y).messages()?.into_iter().try_for_each(|message| batch.push(message).map(drop))?;
        // It waits for the launch, and is aborted with it.
        batch.push(device.upload(&x).at(1024 - len).copy_message(&data[..len])?)?;
        drop(batch.commit()?);
        device.drain();
        // The memory that it was copied into would be somebody else's by now, were it not kept.
        (0..4).try_for_each(|_| device.upload(&other).copy_from(&vec![-1.0; len]).map(drop))?;
        [&x, &y].into_iter().try_for_each(|buffer| device.clear(buffer).send()?.wait().ok())?;
        assert_eq!(device.dead_letters().requeue(|letter| letter.can_requeue()).sent, 1, "{len} elements");
        device.drain();
        let found = device.download(&x).wait()?;
        assert_eq!(found[1024 - len..], data[..len], "{len} elements");
        assert!(found[..1024 - len].iter().all(|&x| x == 0.0), "{len} elements");
        assert_eq!(device.dead_letters().take().len(), 1, "the launch has run");
        queue.resume();
    }
    Ok(())
}

pub(crate) fn copies_clears_and_what_was_late_are_sent_again(rig: &Rig) -> wharf::Result<()> {
    let held = rig.hold();
    let device = &held.device;
    let [x, y, z] = [device.buffer::<u32>(4)?, device.buffer::<u32>(4)?, device.buffer::<u32>(4)?];
    device.upload(&x).send(vec![7; 4])?.wait().ok()?;
    device.upload(&z).send(vec![8; 4])?.wait().ok()?;
    let (queue, gated) = (device.queue("broken").open(), device.queue("gated").open());
    let ((broken, breaks), (promise, signal)) = (device.promise(), device.promise());
    queue.wait_for(&broken)?;
    gated.wait_for(&promise)?;
    drop(device.copy(&x, &y).on(&queue).send()?);
    drop(device.clear(&z).on(&queue).send()?);
    breaks.fail("no data");
    device.drain();
    assert!(device.download(&y).wait().is_err() && device.download(&z).wait().is_err(), "they were never made");
    let requeued = device.dead_letters().requeue(|_| true);
    assert_eq!((requeued.sent, requeued.kept), (2, 0));
    assert_eq!((&device.download(&y).wait()?[..], &device.download(&z).wait()?[..]), (&[7; 4][..], &[0; 4][..]));

    // Its time was over: the new message has none.
    drop(device.upload(&x).on(&gated).deadline(Duration::from_millis(1)).send(vec![9; 4])?);
    held.until(|| device.dead_letters().len() == 1);
    device.dead_letters().look(|letter| assert_eq!(letter.error.kind, FailureKind::Deadline));
    assert_eq!(device.dead_letters().requeue(|_| true).sent, 1);
    assert_eq!(*device.download(&x).wait()?, [9; 4]);
    assert!(device.dead_letters().is_empty());
    signal.signal();
    Ok(())
}

pub(crate) fn a_full_queue_keeps_the_letter(rig: &Rig) -> wharf::Result<()> {
    let device = rig.open();
    let queue = device.queue("work").open();
    let x = wreck(rig, &device, &queue, 1, 64)?;
    let own = device.own_queue(wharf::Lane::Upload);
    let all = own.reserve(own.stats().free_ops, 0)?;
    let refused = device.upload(&x).or_refuse().send(vec![0.0; 64]).expect_err("it is full");
    assert!(matches!(refused.error, Error::Refused { why: Refusal::Full { .. }, .. }));
    let held = |letter: &wharf::DeadLetter| letter.can_requeue();
    assert_eq!(device.dead_letters().requeue(held).kept, 1);
    drop(all);
    assert_eq!(device.dead_letters().requeue(held).sent, 1);
    Ok(())
}

pub(crate) fn the_ring_is_bounded_in_letters_and_in_bytes(rig: &Rig) -> wharf::Result<()> {
    let device = rig.open();
    let queue = device.queue("work").open();
    wreck(rig, &device, &queue, 1500, 64)?;
    let letters = device.dead_letters();
    assert_eq!((letters.len(), letters.overflowed(), device.stats().dead_letters_lost), (1024, 477, 477));
    assert_eq!(device.stats().dead_lettered, 1501);
    drop(letters.take());

    queue.resume();
    wreck(rig, &device, &queue, 5, 5 << 20)?;
    let mut letters = device.dead_letters().take();
    let kept: Vec<bool> = letters.iter_mut().map(|letter| letter.take_buffer::<Vec<f32>>().is_some()).collect();
    assert_eq!(kept, [false, false, false, true, true, true], "20 MiB each, 64 MiB in all");
    Ok(())
}
