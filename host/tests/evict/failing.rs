//! What goes wrong on the way out and back: nothing is lost by it.

use std::{
    thread,
    time::{Duration, Instant},
};

use wharf::{Error, FailureKind, Options};

use crate::{LARGE, QUARTER, card, cards, eventually, evicted, faulty, holds, is_at_rest, large, words};

/// Operations are counted from 1: an upload, the download of the eviction, the upload back. Whether a download of
/// what does not come back is an operation of its own depends on when that is known.
#[test]
fn contents_that_do_not_come_back_are_sent_again() -> wharf::Result<()> {
    for device in faulty(",fail=3,fail=4,fail=5") {
        let x = evicted(&device, 1)?;
        let Err(Error::Transfer(error)) = device.download(&x).wait() else { panic!("it did not come back") };
        let FailureKind::Upstream { root } = &error.kind else { panic!("{error}") };
        assert_eq!((&*root.queue, root.label.as_deref()), ("evict", Some("restore")));
        assert_eq!(device.stats().evicted_bytes, 4 * LARGE as u64, "the host has them");
        let failures = (0..5).take_while(|_| device.download(&x).wait().is_err()).count();
        assert!((1..=2).contains(&failures), "{failures}");
        assert!(holds(&device, &x, &words(1, LARGE)));
        eventually(&device, |stats| (stats.restores, stats.evicted_bytes) == (1, 0));
        drop(x);
        is_at_rest(&device);
    }
    Ok(())
}

/// Its device memory is free for others meanwhile.
#[test]
fn contents_that_do_not_come_back_need_no_device_memory() -> wharf::Result<()> {
    for device in faulty(",fail=3") {
        let x = evicted(&device, 1)?;
        device.download(&x).wait().expect_err("scripted");
        let accepted = device.stats().accepted;
        let y = device.buffer::<u32>(LARGE)?;
        assert_eq!(device.stats().accepted, accepted, "the host has them: nothing is moved");
        drop(y);
        assert!(holds(&device, &x, &words(1, LARGE)));
    }
    Ok(())
}

/// A part that is written while the contents are on their way back is not there without them: else it would be
/// lost when they are sent again.
#[test]
fn what_is_written_beside_contents_that_do_not_come_back_fails_with_them() -> wharf::Result<()> {
    for device in faulty(",fail=3") {
        let x = evicted(&device, 1)?;
        let part = device.upload(&x).at(10).send(vec![7; 10])?;
        assert!(matches!(part.wait().result, Err(error) if matches!(error.kind, FailureKind::Upstream { .. })));
        device.upload(&x).at(20).send(vec![8; 10])?.wait().ok()?;
        let mut expected = words(1, LARGE);
        expected[20..30].fill(8);
        assert!(holds(&device, &x, &expected));
    }
    Ok(())
}

/// So it is where all parts are written, as none of them has overwritten anything.
#[test]
fn contents_that_do_not_come_back_outlive_what_is_written_beside_them_in_pieces() -> wharf::Result<()> {
    // By hand: nothing has failed when the pieces are sent.
    let [_, device] = faulty(",fail=3");
    let x = evicted(&device, 1)?;
    let half = |at| device.upload(&x).at(at).send(vec![7; LARGE / 2]);
    for half in [half(0)?, half(LARGE / 2)?] {
        assert!(matches!(half.wait().result, Err(error) if matches!(error.kind, FailureKind::Upstream { .. })));
    }
    assert!(holds(&device, &x, &words(1, LARGE)));
    Ok(())
}

#[test]
fn what_is_written_over_contents_that_do_not_come_back_stays() -> wharf::Result<()> {
    for device in faulty(",fail=3") {
        let x = evicted(&device, 1)?;
        let lost = device.download(&x).send()?;
        device.upload(&x).send(words(2, LARGE))?.wait().ok()?;
        assert!(lost.wait().result.is_err());
        // Nobody needs the old ones, as soon as it is known that they did not come back.
        eventually(&device, |stats| {
            assert!(holds(&device, &x, &words(2, LARGE)));
            stats.evicted_bytes == 0
        });
    }
    Ok(())
}

#[test]
fn an_eviction_that_fails_is_tried_again_and_then_given_up() -> wharf::Result<()> {
    for device in faulty(",fail=2") {
        let x = evicted(&device, 1)?;
        assert_eq!(device.stats().evictions, 1);
        assert!(holds(&device, &x, &words(1, LARGE)));
    }
    for device in faulty(",fail=2,fail=3,fail=4,fail=5,fail=6") {
        let x = large(&device, 1)?;
        device.buffer::<u32>(2 * QUARTER).map(drop).expect_err("four times is enough");
        assert_eq!(device.stats().evictions, 0);
        device.download(&x).wait().expect_err("the fifth");
        assert!(holds(&device, &x, &words(1, LARGE)));
    }
    Ok(())
}

#[test]
fn a_buffer_without_its_data_stays_and_stays_failed() -> wharf::Result<()> {
    for device in faulty(",fail=1") {
        let x = device.buffer::<u32>(LARGE)?;
        device.upload(&x).send(words(1, LARGE))?.wait().ok().expect_err("scripted");
        let error = device.buffer::<u32>(2 * QUARTER).map(drop).expect_err("zeroes are no contents");
        assert!(matches!(error, Error::OutOfMemory { evicted_bytes: Some(0), .. }), "{error}");
        device.download(&x).wait().expect_err("it never was there");
        device.upload(&x).send(words(2, LARGE))?.wait().ok()?;
        device.buffer::<u32>(2 * QUARTER).map(drop)?;
        assert!(holds(&device, &x, &words(2, LARGE)));
    }
    Ok(())
}

#[test]
fn a_buffer_may_leave_once_all_of_it_was_written_anew_in_pieces() -> wharf::Result<()> {
    for device in faulty(",fail=1") {
        let (x, data) = (device.buffer::<u32>(LARGE)?, words(2, LARGE));
        device.upload(&x).send(words(1, LARGE))?.wait().ok().expect_err("scripted");
        for at in (0..LARGE).step_by(LARGE / 4) {
            device.buffer::<u32>(2 * QUARTER).map(drop).expect_err("some of it is no contents");
            device.upload(&x).at(at).send(data[at..at + LARGE / 4].to_vec())?.wait().ok()?;
        }
        device.buffer::<u32>(2 * QUARTER).map(drop)?;
        assert!(holds(&device, &x, &data));
    }
    Ok(())
}

/// The download never ends; somebody gives the device up.
#[test]
fn a_loss_ends_the_wait_for_an_eviction() -> wharf::Result<()> {
    let device = card("sim:memory=1MiB,never=2", Options::new());
    let x = large(&device, 1)?;
    let began = Instant::now();
    let watching = device.clone();
    let watchdog = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        watching.declare_lost("by hand");
    });
    device.buffer::<u32>(2 * QUARTER).map(drop).expect_err("the device is lost");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    watchdog.join().expect("no panic");
    let error = device.download(&x).wait().expect_err("the device is lost");
    assert!(error.to_string().contains("by hand"), "{error}");
    Ok(())
}

/// Contents on the host are the lost device's all the same: which were there nobody can tell from outside.
#[test]
fn what_was_evicted_is_lost_with_its_device() -> wharf::Result<()> {
    for device in cards() {
        let x = large(&device, 1)?;
        let y = device.buffer::<u32>(2 * QUARTER)?;
        device.declare_lost("by hand");
        for buffer in [&x, &y] {
            device.download(buffer).wait().expect_err("the device is lost");
            device.upload(buffer).send(vec![1; 4]).map(drop).expect_err("the device is lost");
        }
        drop((x, y));
        eventually(&device, |stats| (stats.buffer_bytes, stats.evicted_bytes) == (0, 0));
    }
    Ok(())
}
