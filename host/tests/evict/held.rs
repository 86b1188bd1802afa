//! What keeps a buffer in device memory, and who may wait for room.

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use wharf::{Buffer, Device, Error, Options};

use crate::{KIB, LARGE, QUARTER, card, cards, faulty, holds, hop::HOP, is_at_rest, large, on_host, words};

/// It is held: an allocation that needs its memory is refused, and once it is let go of there is room.
fn stays_until_it_is_dropped<T>(device: &Device, x: &Buffer<u32>, held: T) -> wharf::Result<()> {
    let before = device.stats().evictions;
    let error = device.buffer::<u32>(2 * QUARTER).map(drop).expect_err("it is held");
    assert!(matches!(error, Error::OutOfMemory { evicted_bytes: Some(0), .. }), "{error}");
    assert_eq!(device.stats().evictions, before);
    drop(held);
    device.buffer::<u32>(2 * QUARTER).map(drop)?;
    assert_eq!(on_host(device).in_use_bytes, 768 * KIB as u64, "now it is not");
    assert!(holds(device, x, &words(5, LARGE)));
    Ok(())
}

#[test]
fn an_unsent_message_a_fill_a_graph_and_a_launch_hold_their_buffers() -> wharf::Result<()> {
    for device in cards() {
        let x = large(&device, 5)?;
        let unsent = device.download(&x).message(Vec::new()).map_err(Error::from)?;
        stays_until_it_is_dropped(&device, &x, unsent)?;
        let fill = device.upload(&x).at(4).reserve(8)?;
        stays_until_it_is_dropped(&device, &x, fill)?;
        let graph = device.graph([device.clear(&x).message()?])?;
        stays_until_it_is_dropped(&device, &x, graph)?;
        let launches = device.launch(&HOP).bind(&device.buffer::<u32>(1)?).bind(&x).messages()?;
        stays_until_it_is_dropped(&device, &x, launches)?;
        drop(x);
        is_at_rest(&device);
    }
    Ok(())
}

#[test]
fn a_message_that_is_under_way_holds_its_buffer() -> wharf::Result<()> {
    for device in cards() {
        let queue = device.queue("gated").open();
        let x = device.buffer::<u32>(LARGE)?;
        let (gate, signal) = device.promise();
        queue.wait_for(&gate)?;
        let upload = device.upload(&x).on(&queue).send(words(1, LARGE))?;
        let began = Instant::now();
        device.buffer::<u32>(2 * QUARTER).map(drop).expect_err("the promise is the caller's to keep");
        assert!(began.elapsed() < Duration::from_secs(5), "it is a moment: {:?}", began.elapsed());
        signal.signal();
        upload.wait().ok()?;
        device.buffer::<u32>(2 * QUARTER).map(drop)?;
        assert!(holds(&device, &x, &words(1, LARGE)));
    }
    Ok(())
}

/// A letter that can be sent again names its buffers: until it is taken they stay.
#[test]
fn a_dead_letter_that_can_be_sent_again_holds_its_buffers() -> wharf::Result<()> {
    for device in faulty(",fail=3") {
        let [x, y] = [device.buffer::<u32>(QUARTER)?, device.buffer::<u32>(QUARTER)?];
        for buffer in [&x, &y] {
            device.upload(buffer).send(words(1, QUARTER))?.wait().ok()?;
        }
        drop(device.copy(&x, &y).send()?);
        device.drain();
        assert_eq!(device.dead_letters().len(), 1);
        device.buffer::<u32>(LARGE).map(drop).expect_err("the letter holds x, what it failed to make y");
        assert_eq!(device.dead_letters().requeue(|_| true).sent, 1);
        device.drain();
        device.buffer::<u32>(LARGE).map(drop)?;
        assert_eq!(device.stats().evictions, 1);
        assert!(holds(&device, &y, &words(1, QUARTER)) && holds(&device, &x, &words(1, QUARTER)));
    }
    Ok(())
}

/// The message has the buffer's memory from its description on, whatever becomes of the buffer.
#[test]
fn an_unsent_message_holds_a_buffer_that_is_dropped() -> wharf::Result<()> {
    for device in cards() {
        let x = large(&device, 5)?;
        let unsent = device.download(&x).message(Vec::new()).map_err(Error::from)?;
        drop(x);
        let error = device.buffer::<u32>(2 * QUARTER).map(drop).expect_err("it is the message's");
        assert!(matches!(error, Error::OutOfMemory { evicted_bytes: Some(0), .. }), "{error}");
        let queue = device.queue("late").open();
        let answer = queue.send(unsent).map_err(Error::from)?;
        device.buffer::<u32>(2 * QUARTER).map(drop)?;
        assert_eq!(answer.wait().ok()?, words(5, LARGE));
        is_at_rest(&device);
    }
    Ok(())
}

#[test]
fn a_read_only_buffer_stays() -> wharf::Result<()> {
    for device in cards() {
        let data = device.import::<u32>(words(1, LARGE).into())?;
        device.drain();
        device.buffer::<u32>(2 * QUARTER).map(drop).expect_err("it is not moved");
        assert!(holds(&device, &data, &words(1, LARGE)));
    }
    Ok(())
}

#[test]
fn a_graph_on_what_was_evicted_is_replayed() -> wharf::Result<()> {
    for device in cards() {
        let [x, y] = [device.buffer::<u32>(QUARTER)?, device.buffer::<u32>(QUARTER)?];
        device.upload(&x).send(words(9, QUARTER))?.wait().ok()?;
        drop(device.buffer::<u32>(4 * QUARTER)?);
        assert_eq!(device.stats().evictions, 2);
        let mut recording = device.record();
        recording.add([device.copy(&x, &y).message()?])?;
        let output = recording.download(&y)?;
        let (graph, mut slots) = recording.finish();
        for _ in 0..3 {
            slots = graph.replay().run(slots)?.wait().ok()?;
            assert_eq!(slots[output], words(9, QUARTER));
        }
        drop((graph, slots));
        drop(device.buffer::<u32>(4 * QUARTER)?);
        assert!(holds(&device, &y, &words(9, QUARTER)));
    }
    Ok(())
}

/// All queues that the program can close or fill are.
#[test]
fn it_needs_no_queue_of_the_programs() -> wharf::Result<()> {
    for device in cards() {
        let x = large(&device, 2)?;
        let queue = device.queue("the last").depth(2).open();
        for lane in [wharf::Lane::Upload, wharf::Lane::Compute, wharf::Lane::Download] {
            device.own_queue(lane).close();
        }
        let (gate, signal) = device.promise();
        let y = device.buffer::<u32>(1)?;
        queue.wait_for(&gate)?;
        let waiting = device.upload(&y).on(&queue).send(vec![1])?;
        drop(device.buffer::<u32>(2 * QUARTER)?);
        assert_eq!(on_host(&device).in_use_bytes, 768 * KIB as u64);
        let back = device.download(&x).on(&queue).send()?;
        signal.signal();
        assert_eq!(back.wait().ok()?, words(2, LARGE));
        waiting.wait().ok()?;
    }
    Ok(())
}

#[test]
fn a_callback_may_need_room() -> wharf::Result<()> {
    for device in cards() {
        let x = large(&device, 4)?;
        let (told, answer) = mpsc::channel();
        let again = device.clone();
        device.download(&x).send()?.on_complete(move |done| {
            let old = done.ok().expect("it is there");
            let y = again.buffer::<u32>(LARGE).expect("the other one makes room");
            again.upload(&y).copy_from(&old).expect("there is room").wait().ok().expect("it goes well");
            let equal = holds(&again, &y, &old) && holds(&again, &x, &old);
            told.send(equal).expect("somebody listens");
        });
        device.drain();
        while device.progress() {}
        assert!(answer.recv_timeout(Duration::from_secs(60)).expect("it does not hang"));
        assert_eq!(device.stats().callback_panics, 0);
    }
    Ok(())
}

/// The end of a message waits for nothing: who allocates there is refused soon, or finds room.
#[test]
fn the_end_of_a_message_does_not_wait_for_room() -> wharf::Result<()> {
    struct Allocates(Device, mpsc::Sender<bool>);
    impl Drop for Allocates {
        fn drop(&mut self) {
            let _ = self.1.send(self.0.buffer::<u32>(LARGE).is_ok());
        }
    }
    let device = card("sim:memory=1MiB", Options::new());
    let x = large(&device, 4)?;
    let (told, answer) = mpsc::channel();
    let guard = Allocates(device.clone(), told);
    let completions = wharf::CompletionQueue::new();
    let receiver = completions.receiver().clone();
    drop(receiver);
    device.download(&x).send()?.forward(&completions, guard);
    drop(completions);
    answer.recv_timeout(Duration::from_secs(60)).expect("it does not hang");
    assert!(holds(&device, &x, &words(4, LARGE)));
    Ok(())
}
