//! Tickets, failures and fences.

use std::{sync::mpsc, time::Duration};

use wharf::{CompletionQueue, Error, FailPolicy, FailureKind, Lane, Refusal, Result, Ticket};

use super::rig::Rig;

const LONG: Duration = Duration::from_secs(60);

pub(crate) fn what_goes_up_comes_down(rig: &Rig) -> Result<()> {
    let device = rig.open();
    for n in [0, 1, 3, 16, 17, 1023, 1 << 20] {
        let data: Vec<u32> = (0..n).map(|i| i * 2_654_435_761).collect();
        let buffer = device.buffer::<u32>(data.len())?;
        let back = device.upload(&buffer).send(data.clone())?.wait();
        assert_eq!(back.ok()?, data, "the owned buffer comes back");
        assert!(*device.download(&buffer).wait()? == *data, "{n} words");
    }
    for n in [1_usize, 2, 3, 5, 63, 65, 67, 4097] {
        let data: Vec<u8> = (0..n).map(|i| i as u8 ^ 0x5a).collect();
        let buffer = device.buffer::<u8>(n)?;
        device.upload(&buffer).send(data.clone())?.wait().ok()?;
        assert_eq!(*device.download(&buffer).wait()?, *data, "{n} bytes");
    }
    Ok(())
}

pub(crate) fn a_failure_travels_along_the_data_and_a_rewrite_heals_it(rig: &Rig) -> Result<()> {
    let device = rig.open();
    let (x, y) = (device.buffer::<f32>(64)?, device.buffer::<f32>(64)?);
    let broken = rig.fails(&device, &x, &y).run()?;
    let download = device.download(&y).send()?;
    let first = broken.wait().result.unwrap_err();
    assert!(matches!(first.kind, FailureKind::Backend(_)), "{first}");
    let second = download.wait();
    assert_eq!(second.buffer.map(|buffer| buffer.len()), Some(64), "the buffer comes back with the failure");
    let FailureKind::Upstream { root } = &second.result.unwrap_err().kind.clone() else { panic!("not upstream") };
    assert_eq!(*root, first);
    assert!(device.download(&y).wait().is_err(), "what was never made stays unmade");
    drop(device.upload(&y).fill(|_| 1.0)?);
    assert_eq!(device.download(&y).wait()?[63], 1.0);
    Ok(())
}

pub(crate) fn a_queue_that_stops_aborts_what_is_behind_and_resumes(rig: &Rig) -> Result<()> {
    let device = rig.open();
    let queue = device.queue("work").policy(FailPolicy::FailStop).open();
    let (x, y, z) = (device.buffer::<f32>(64)?, device.buffer::<f32>(64)?, device.buffer::<f32>(64)?);
    // The promise keeps everything waiting until all is accepted.
    let (fence, signal) = device.promise();
    queue.wait_for(&fence)?;
    let before = device.upload(&z).on(&queue).send(vec![7.0; 64])?;
    let bad = rig.fails(&device, &x, &y).on(&queue).run()?;
    let behind: Vec<_> = (0..20).map(|_| device.download(&z).on(&queue).send()).collect::<Result<_>>()?;
    let elsewhere = device.download(&z).send()?;
    signal.signal();
    before.wait().ok()?;
    let bad = bad.wait().result.unwrap_err();
    let mut aborted = 0;
    for behind in behind {
        let done = behind.wait();
        assert_eq!(done.buffer.map(|buffer| buffer.len()), Some(64));
        // Lanes overlap: the first of them may be over before the launch has failed.
        if let Err(error) = done.result {
            assert_eq!(error.kind, FailureKind::Aborted { after: bad.id, root: bad.clone() });
            aborted += 1;
        }
    }
    elsewhere.wait().ok()?;
    let refused = device.upload(&z).on(&queue).send(vec![1.0; 64]).unwrap_err();
    assert!(matches!(refused.error, Error::Refused { why: Refusal::Failed(_), .. }), "{refused}");
    assert_eq!(refused.buffer, [1.0; 64], "with its message");
    queue.resume();
    assert_eq!(*device.download(&z).on(&queue).wait()?, [7.0; 64], "{aborted} were aborted");
    Ok(())
}

pub(crate) fn a_queue_that_continues_fails_one_message_only(rig: &Rig) -> Result<()> {
    let device = rig.open();
    let queue = device.queue("work").policy(FailPolicy::Continue).open();
    let (x, y, z) = (device.buffer::<f32>(64)?, device.buffer::<f32>(64)?, device.buffer::<f32>(64)?);
    device.upload(&z).send(vec![7.0; 64])?;
    let bad = rig.fails(&device, &x, &y).on(&queue).run()?;
    let behind: Vec<_> = (0..20).map(|_| device.download(&z).on(&queue).send()).collect::<Result<_>>()?;
    assert!(bad.wait().result.is_err());
    for behind in behind {
        assert_eq!(behind.wait().ok()?, [7.0; 64]);
    }
    Ok(())
}

pub(crate) fn a_full_queue_hands_the_message_back(rig: &Rig) -> Result<()> {
    let device = rig.open();
    let queue = device.queue("narrow").depth(2).open();
    let (fence, signal) = device.promise();
    queue.wait_for(&fence)?;
    let small = device.buffer::<u32>(64)?;
    let send = || device.upload(&small).on(&queue).or_refuse().send(vec![7; 64]);
    let (first, second) = (send()?, send()?);
    let refused = send().expect_err("it is full");
    assert_eq!(refused.buffer, [7; 64]);
    assert!(matches!(refused.error, Error::Refused { why: Refusal::Full { free_ops: 0, .. }, .. }));
    signal.signal();
    first.wait().ok()?;
    second.wait().ok()?;
    send()?.wait().ok()?;
    Ok(())
}

pub(crate) fn tickets_are_futures_callbacks_and_channels(rig: &Rig) -> Result<()> {
    let device = rig.open();
    let buffer = device.buffer::<u32>(16)?;
    let done = pollster::block_on(device.upload(&buffer).send(vec![1; 16])?);
    assert_eq!(done.ok()?, [1; 16]);

    let (sender, called) = mpsc::channel();
    let again = device.clone();
    device.download(&buffer).send()?.on_complete(move |done| {
        // A callback may send messages of its own.
        let next = again.buffer::<u32>(1).and_then(|b| again.download(&b).wait().map(|d| d[0]));
        sender.send((done.ok(), next)).unwrap();
    });
    let (done, next) = called.recv_timeout(LONG).expect("the callback runs");
    assert_eq!((done?, next?), (vec![1; 16], 0));

    let queue = CompletionQueue::new();
    for key in 0..3 {
        device.download(&buffer).send()?.forward(&queue, key);
    }
    let keys: Vec<_> = (0..3).map(|_| queue.receiver().recv().unwrap().0).collect();
    assert_eq!(keys, [0, 1, 2], "in the order of acceptance");
    Ok(())
}

pub(crate) fn a_panic_in_a_callback_stops_nothing(rig: &Rig) -> Result<()> {
    let device = rig.open();
    let buffer = device.buffer::<u32>(16)?;
    device.download(&buffer).send()?.on_complete(|_| panic!("the user's own"));
    let (sender, called) = mpsc::channel();
    device.download(&buffer).send()?.on_complete(move |_| sender.send(()).unwrap());
    called.recv_timeout(LONG).expect("the next callback runs");
    assert_eq!(device.stats().callback_panics, 1);
    Ok(())
}

pub(crate) fn dropped_tickets_detach_and_their_failures_are_kept(rig: &Rig) -> Result<()> {
    let device = rig.open();
    let (x, y) = (device.buffer::<f32>(64)?, device.buffer::<f32>(64)?);
    drop(rig.fails(&device, &x, &y).label("the bad one").run()?);
    drop(y);
    drop(device.upload(&x).fill(|_| 0.0)?);
    device.drain();
    let letters = device.dead_letters().take();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].error.label.as_deref(), Some("the bad one"));
    let stats = device.stats();
    assert_eq!((stats.detached_ok, stats.dead_lettered, stats.in_flight), (1, 1, 0));
    Ok(())
}

pub(crate) fn a_launch_is_called_as_its_kernel_where_nobody_says_otherwise(rig: &Rig) -> Result<()> {
    let device = rig.open();
    let (x, y) = (device.buffer::<f32>(64)?, device.buffer::<f32>(64)?);
    let (name, launch) = (rig.saxpy.name(), || rig.add(&device, &x, &y, 1.0));
    let called = |ticket: Ticket<()>| ticket.wait().receipt.label().map(str::to_owned);
    assert_eq!(called(launch().run()?).as_deref(), Some(name));
    assert_eq!(called(launch().label("mine").run()?).as_deref(), Some("mine"));
    assert_eq!(called(launch().groups([0; 3]).run()?).as_deref(), Some(name), "without work, too");
    assert_eq!(called(device.clear(&y).send()?), None, "it launches nothing, in the memory of one that did");
    let steps = || device.launch(rig.thrice).bind(&x).bind(&y).arg("a", 1.0_f32);
    for (plan, label) in [(steps(), name), (steps().label("mine"), "mine")] {
        for step in plan.messages()? {
            assert_eq!(called(device.own_queue(Lane::Compute).send(step)?).as_deref(), Some(label));
        }
    }

    // Who is held back, who fails and who is not asked for is told of by that name.
    let gated = device.queue("gated").policy(FailPolicy::Continue).open();
    let (fence, signal) = device.promise();
    gated.wait_for(&fence)?;
    let asked = launch().on(&gated).run()?;
    drop(launch().on(&gated).run()?);
    let words = format!("(`{name}`)");
    let why = asked.explain().expect("unresolved");
    assert_eq!(why.label.as_deref(), Some(name));
    assert!(why.to_string().contains(&words), "{why}");
    let stalls = device.stalled(Duration::ZERO);
    let stall = stalls.iter().find(|stall| &*stall.queue == "gated").expect("it has messages");
    assert!(stall.to_string().contains(&format!("message {} {words} waits for", asked.id())), "{stall}");
    signal.fail("the cable is out");
    let error = asked.wait().result.expect_err("its fence has failed");
    assert_eq!((error.label.as_deref(), error.to_string().matches(name).count()), (Some(name), 1), "{error}");
    device.drain();
    let letters = device.dead_letters().take();
    assert_eq!((letters.len(), letters[0].error.label.as_deref()), (1, Some(name)));
    Ok(())
}

pub(crate) fn waiting_has_a_timeout_and_gives_the_ticket_back(rig: &Rig) -> Result<()> {
    let held = rig.hold();
    let device = &held.device;
    let queue = device.queue("gated").open();
    let buffer = device.buffer::<u32>(100)?;
    let (fence, signal) = device.promise();
    queue.wait_for(&fence)?;
    let mut ticket = device.upload(&buffer).on(&queue).send(vec![3; 100])?;
    for _ in 0..10 {
        ticket = ticket.wait_timeout(Duration::from_micros(50)).expect_err("nobody has signalled");
    }
    signal.signal();
    let done = ticket.wait_timeout(Duration::MAX).expect("it comes before the end of time");
    assert_eq!(done.ok()?, [3; 100]);
    Ok(())
}

pub(crate) fn a_fence_carries_the_failure_before_it(rig: &Rig) -> Result<()> {
    let device = rig.open();
    let queue = device.queue("work").policy(FailPolicy::Continue).open();
    let (x, y) = (device.buffer::<f32>(64)?, device.buffer::<f32>(64)?);
    let failed = rig.fails(&device, &x, &y).on(&queue).run()?;
    let (root, bad, good) = (failed.id(), queue.fence()?, queue.fence()?);
    let error = bad.wait().expect_err("what is before it has failed");
    assert!(matches!(&error.kind, FailureKind::Upstream { root: first } if first.id == root), "{error}");
    assert_eq!(good.wait(), Ok(()));
    assert!(matches!(device.queue("other").open().wait_for(&bad), Err(Error::Transfer(_))));
    Ok(())
}

pub(crate) fn who_has_seen_a_fence_has_the_completions_before_it(rig: &Rig) -> Result<()> {
    let device = rig.open();
    let queue = device.queue("q").open();
    let buffer = device.buffer::<u32>(4)?;
    let done = CompletionQueue::new();
    for i in 0..rig.rounds(20_000) as u32 {
        device.upload(&buffer).on(&queue).send(vec![i; 4])?.forward(&done, i);
        queue.fence()?.wait().expect("nothing fails");
        assert_eq!(done.receiver().try_recv().map(|(key, _)| key), Ok(i));
    }
    Ok(())
}

pub(crate) fn pinned_memory_goes_up_and_comes_down_again_and_again(rig: &Rig) -> Result<()> {
    let device = rig.open();
    let buffer = device.buffer::<u32>(1000)?;
    let mut pinned = device.pinned::<u32>(1000)?;
    for round in 0..3 {
        pinned.iter_mut().enumerate().for_each(|(i, x)| *x = i as u32 + round);
        let back = device.upload(&buffer).send(pinned)?.wait().ok()?;
        pinned = device.download(&buffer).range(500..1000).into(back)?.wait().ok()?;
        assert_eq!((pinned.len(), pinned[0], pinned[499]), (500, 500 + round, 999 + round));
        pinned = device.download(&buffer).into(pinned)?.wait().ok()?;
    }
    // Whatever room the grains of the memory behind it would have.
    for (len, most) in [(1000, 10), (11, 10), (1, 0), (16, 0)] {
        let short = device.download(&buffer).range(0..len).into(device.pinned::<u32>(most)?).unwrap_err();
        let told =
            matches!(short.error, Error::Length { expected, got, .. } if (expected, got) == (len as u64, most as u64));
        assert!(told, "{short}");
        assert_eq!(short.buffer.len(), most);
    }
    // The last grain has room for it, the pinned memory was not made for it.
    assert!(device.download(&device.buffer::<u8>(14)?).into(device.pinned::<u8>(13)?).is_err());
    let whole = device.buffer::<u8>(13)?;
    assert_eq!(device.download(&whole).into(device.pinned::<u8>(13)?)?.wait().ok()?.len(), 13);
    Ok(())
}
