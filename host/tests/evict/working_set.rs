//! More than the device holds, used in turn.

use std::{sync::Barrier, thread};

use wharf::{Device, Error, Grid, Kernel, Options};

use crate::{KIB, LARGE, QUARTER, card, cards, eventually, evicted, holds, is_at_rest, on_host, words};

static PLUS_ONE: Kernel = Kernel::new(
    "plus_one",
    "@group(0) @binding(0) var<storage, read_write> x: array<u32>;
     @compute @workgroup_size(64)
     fn plus_one(@builtin(global_invocation_id) id: vec3<u32>) {
         if id.x < arrayLength(&x) { x[id.x] += 1u; }
     }",
)
.with_grid(Grid::Elements { of: "x", per_group: 64 });

static SUM: Kernel = Kernel::new(
    "sum",
    "@group(0) @binding(0) var<storage, read> a: array<u32>;
     @group(0) @binding(1) var<storage, read_write> b: array<u32>;
     @compute @workgroup_size(64)
     fn sum(@builtin(global_invocation_id) id: vec3<u32>) {
         if id.x < arrayLength(&a) { b[id.x] += a[id.x]; }
     }",
)
.with_grid(Grid::Elements { of: "a", per_group: 64 });

#[test]
fn three_times_the_memory_in_turn() -> wharf::Result<()> {
    for device in cards() {
        let mut places = Vec::new();
        for which in 0..12 {
            let buffer = device.buffer::<u32>(QUARTER)?;
            device.upload(&buffer).send(words(which, QUARTER))?.wait().ok()?;
            places.push((buffer, words(which, QUARTER)));
        }
        assert_eq!(on_host(&device).in_use_bytes, 8 * 256 * KIB as u64);
        for round in 0..4 {
            for (which, (buffer, content)) in places.iter_mut().enumerate() {
                assert!(holds(&device, buffer, content), "buffer {which} in round {round}");
                device.launch(&PLUS_ONE).bind(&*buffer).run()?.wait().ok()?;
                content.iter_mut().for_each(|word| *word += 1);
                device.upload(buffer).at(100 + round).send(vec![7; 50])?.wait().ok()?;
                content[100 + round..150 + round].fill(7);
            }
        }
        let stats = device.stats();
        assert!(stats.evictions >= 44 && stats.restores >= 44, "{stats:?}");
        eventually(&device, |stats| stats.moves == stats.evictions + stats.restores);
        assert!(stats.buffer_bytes <= 1 << 20, "{stats:?}");
        drop(places);
        is_at_rest(&device);
    }
    Ok(())
}

/// Nobody waits for a message before the next is sent: memory comes free as they end.
#[test]
fn messages_that_nobody_waits_for_find_their_memory() -> wharf::Result<()> {
    for device in cards() {
        let buffers: Vec<_> = (0..12).map(|_| device.buffer::<u32>(QUARTER)).collect::<Result<_, _>>()?;
        for round in 0..3 {
            for (which, buffer) in buffers.iter().enumerate() {
                drop(device.upload(buffer).send(words(which + round, QUARTER))?);
                drop(device.launch(&PLUS_ONE).bind(buffer).run()?);
            }
        }
        for (which, buffer) in buffers.iter().enumerate() {
            let expected: Vec<u32> = words(which + 2, QUARTER).into_iter().map(|word| word + 1).collect();
            assert!(holds(&device, buffer, &expected), "buffer {which}");
        }
        drop(buffers);
        is_at_rest(&device);
    }
    Ok(())
}

#[test]
fn what_was_used_last_stays() -> wharf::Result<()> {
    for device in cards() {
        let buffers: Vec<_> = (0..4).map(|_| device.buffer::<u32>(QUARTER)).collect::<Result<_, _>>()?;
        for which in [3, 0, 2, 1] {
            device.upload(&buffers[which]).send(words(which, QUARTER))?.wait().ok()?;
        }
        let more = device.buffer::<u32>(2 * QUARTER)?;
        assert_eq!(device.stats().evictions, 2);
        for which in [1, 2] {
            assert!(holds(&device, &buffers[which], &words(which, QUARTER)));
        }
        assert_eq!(device.stats().restores, 0, "these two never left");
        drop(more);
        for which in [0, 3] {
            assert!(holds(&device, &buffers[which], &words(which, QUARTER)));
        }
        eventually(&device, |stats| stats.restores == 2);
    }
    Ok(())
}

/// Also where the first of two has left by the time that somebody looks how much is on its way.
#[test]
fn no_more_is_evicted_than_is_missing() -> wharf::Result<()> {
    for device in cards() {
        let buffers: Vec<_> = (0..4).map(|_| device.buffer::<u32>(QUARTER)).collect::<Result<_, _>>()?;
        for round in 0..100 {
            for buffer in &buffers {
                device.clear(buffer).send()?.wait().ok()?;
            }
            let before = device.stats().evictions;
            drop(device.buffer::<u32>(2 * QUARTER)?);
            // Those that are too many may still be on their way.
            device.drain();
            assert_eq!(device.stats().evictions - before, 2, "in round {round} on {}", device.id());
        }
    }
    Ok(())
}

#[test]
fn what_is_overwritten_as_a_whole_is_not_uploaded_before() -> wharf::Result<()> {
    for device in cards() {
        let [x, y] = [device.buffer::<u32>(LARGE)?, device.buffer::<u32>(LARGE)?];
        for round in 0..4 {
            for (which, buffer) in [&x, &y].into_iter().enumerate() {
                let content = words(round + which, LARGE);
                device.upload(buffer).copy_from(&content)?.wait().ok()?;
                assert!(holds(&device, buffer, &content));
            }
        }
        device.clear(&x).send()?.wait().ok()?;
        assert!(holds(&device, &x, &vec![0; LARGE]));
        let stats = device.stats();
        assert_eq!((stats.evictions, stats.restores), (1 + 8 + 1, 0), "{stats:?}");
    }
    Ok(())
}

/// A message that would overwrite all of it is described, and not sent.
#[test]
fn an_overwrite_that_is_not_sent_overwrites_nothing() -> wharf::Result<()> {
    for device in cards() {
        let x = evicted(&device, 1)?;
        assert!(on_host(&device).in_use_bytes > 0);
        let unsent = device.upload(&x).message(words(2, LARGE)).map_err(Error::from)?;
        assert!(holds(&device, &x, &words(1, LARGE)), "it came back for the download");
        let queue = device.queue("late").open();
        queue.send(unsent).map_err(Error::from)?.wait().ok()?;
        assert!(holds(&device, &x, &words(2, LARGE)));
        eventually(&device, |stats| stats.evicted_bytes == 0);
        // And the same, where the message is dropped.
        drop(device.buffer::<u32>(LARGE)?);
        drop(device.upload(&x).message(words(3, LARGE)).map_err(Error::from)?);
        drop(device.buffer::<u32>(QUARTER)?);
        assert!(holds(&device, &x, &words(2, LARGE)));
    }
    Ok(())
}

#[test]
fn what_does_not_fit_together_is_refused_with_numbers_and_is_kept() -> wharf::Result<()> {
    for device in cards() {
        let [a, b] = [device.buffer::<u32>(LARGE)?, device.buffer::<u32>(LARGE)?];
        for (which, buffer) in [&a, &b].into_iter().enumerate() {
            device.upload(buffer).send(words(which, LARGE))?.wait().ok()?;
        }
        for _ in 0..2 {
            let error = device.launch(&SUM).bind(&a).bind(&b).run().expect_err("1.5 MiB");
            let words = error.to_string();
            let Error::OutOfMemory { requested_bytes, in_use_bytes, limit_bytes, evicted_bytes, .. } = error else {
                panic!("{error}");
            };
            let whole = 768 * KIB as u64;
            assert_eq!((requested_bytes, in_use_bytes), (whole, whole));
            assert_eq!((limit_bytes, evicted_bytes), (Some(1 << 20), Some(whole)), "{words}");
            assert!(
                words.contains(
                    "786432 of 1048576 bytes in use that cannot be evicted, 786432 bytes evicted to the host"
                ),
                "{words}"
            );
        }
        for (which, buffer) in [&a, &b].into_iter().enumerate() {
            assert!(holds(&device, buffer, &words(which, LARGE)));
        }
        // What can never fit moves nobody out of the way.
        let before = device.stats().evictions;
        device.buffer::<u32>(5 * QUARTER).map(drop).expect_err("more than there is");
        assert_eq!(device.stats().evictions, before);
    }
    Ok(())
}

#[test]
fn it_can_be_turned_off_and_bounded() -> wharf::Result<()> {
    let device = card("sim:memory=1MiB", Options::new().evict_bytes(0));
    let held = device.buffer::<u32>(LARGE)?;
    let error = device.buffer::<u32>(2 * QUARTER).map(drop).expect_err("nothing is evicted");
    assert!(matches!(error, Error::OutOfMemory { evicted_bytes: None, .. }), "{error}");
    assert!(device.pools().iter().all(|pool| !pool.name.contains("evicted")));
    drop(held);

    let device = card("sim:memory=1MiB", Options::new().evict_bytes(300 << 10));
    let buffers: Vec<_> = (0..5).map(|_| device.buffer::<u32>(QUARTER)).collect::<Result<_, _>>()?;
    let error = device.buffer::<u32>(QUARTER).map(drop).expect_err("room for one is all that the host gives");
    assert!(matches!(error, Error::OutOfMemory { evicted_bytes: Some(0x40000), .. }), "{error}");
    drop(buffers);
    is_at_rest(&device);

    // The CPU device's memory is the host's: nothing would be gained.
    assert!(Device::open("cpu")?.pools().iter().all(|pool| !pool.name.contains("evicted")));
    Ok(())
}

#[test]
fn threads_share_a_device_that_is_too_small_for_them() -> wharf::Result<()> {
    for device in cards() {
        let all = Barrier::new(4);
        thread::scope(|scope| {
            for number in 0..4 {
                let (device, all) = (&device, &all);
                scope.spawn(move || in_turn(device, number, all));
            }
        });
        assert!(device.stats().evictions > 0);
        is_at_rest(&device);
    }
    Ok(())
}

/// One of four threads, each with six buffers of 1/16 of the card.
fn in_turn(device: &Device, number: usize, all: &Barrier) {
    let len = 16 * KIB;
    let mut places: Vec<_> = (0..6).map(|_| (device.buffer::<u32>(len).expect("memory"), vec![0; len])).collect();
    all.wait();
    for round in 0..60 {
        let (buffer, content) = &mut places[(round * 5 + number) % 6];
        assert!(holds(device, buffer, content), "thread {number}, round {round}");
        *content = words(number * 100 + round, len);
        device.upload(buffer).send(content.clone()).expect("room").wait().ok().expect("it goes well");
        device.launch(&PLUS_ONE).bind(&*buffer).run().expect("room").wait().ok().expect("it goes well");
        content.iter_mut().for_each(|word| *word += 1);
    }
}
