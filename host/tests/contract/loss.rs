//! A device is lost with everything in flight: as many completions as messages, in order and within a
//! second, each buffer back or counted, and everybody who waits is told the root cause.

use std::{
    sync::{
        Arc,
        mpsc::{self, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use wharf::{Completion, Error, FailureKind, Refusal, Result, TransferError};

use super::rig::{Held, Rig};

const QUEUES: usize = 4;
/// Of each queue; a quarter each uploads, launches, copies and downloads.
const EACH: usize = 2600;
/// From the moment in which the loss was noticed to the last completion.
const WITHIN: Duration = Duration::from_secs(1);
/// Machines that do other things, too, may take so many times as long.
const NOISE: u32 = 3;

/// How a message of a queue ended; the buffer of one that has none is always back.
struct End {
    queue: usize,
    number: usize,
    result: Result<(), Arc<TransferError>>,
    has_buffer: bool,
    at: Instant,
}

/// A callback that tells.
fn tell<B: Send>(ends: &Sender<End>, queue: usize, number: usize) -> impl FnOnce(Completion<B>) + Send + use<B> {
    let ends = ends.clone();
    move |done| {
        let has_buffer = done.buffer.is_some();
        let end = End { queue, number, result: done.result, has_buffer, at: Instant::now() };
        ends.send(end).expect("somebody listens");
    }
}

fn root(error: &TransferError) -> &FailureKind {
    match &error.kind {
        FailureKind::Upstream { root } => &root.kind,
        kind => kind,
    }
}

/// Gives up a device of any kind.
pub(crate) fn everything_in_flight_is_resolved_when_a_device_is_given_up(rig: &Rig) -> Result<()> {
    let took = everything_in_flight_is_resolved(
        &rig.hold(),
        |held| {
            let began = Instant::now();
            held.device.declare_lost("the operator pulled the plug");
            assert_eq!(held.device.stats().in_flight, held.device.stats().uncollected, "all are resolved by then");
            began.elapsed()
        },
        "pulled the plug",
        false,
    )?;
    assert!(took < NOISE * WITHIN, "the call itself takes no longer: {took:?}");
    Ok(())
}

/// The same for every way in which a device may be lost; `words` are of its cause. Where the loss `lets_end`
/// what the driver has, that may go well.
pub(crate) fn everything_in_flight_is_resolved<T>(
    held: &Held,
    lose: impl FnOnce(&Held) -> T,
    words: &str,
    lets_end: bool,
) -> Result<T> {
    let device = &held.device;
    let lost = |kind: &FailureKind| matches!(kind, FailureKind::DeviceLost(why) if why.contains(words));
    let busy = held.busy();
    let gate = &held.gate[1];
    let queues: Vec<_> = (0..QUEUES).map(|i| device.queue(&format!("q{i}")).open()).collect();
    let others = [device.buffer::<f32>(1)?, device.buffer::<f32>(1)?, device.buffer::<f32>(1)?];
    let (ends, ended) = mpsc::channel();
    // All of them touch what the launch writes, so that none can be over before it.
    for number in 0..EACH {
        for (place, queue) in queues.iter().enumerate() {
            match number % 4 {
                0 => device.download(gate).on(queue).into(vec![7.0])?.on_complete(tell(&ends, place, number)),
                1 => held.launch_with(gate, &others[0]).on(queue).run()?.on_complete(tell(&ends, place, number)),
                2 => device.copy(gate, &others[1]).on(queue).send()?.on_complete(tell(&ends, place, number)),
                _ => device.upload(gate).on(queue).send(vec![9.0])?.on_complete(tell(&ends, place, number)),
            }
        }
    }
    let fences: Vec<_> = queues.iter().map(|queue| queue.fence()).collect::<Result<_>>()?;
    let (promise, signal) = device.promise_named("the sensor");
    let gated = device.queue("gated").open();
    gated.wait_for(&promise)?;
    let waiting = device.upload(&others[2]).on(&gated).send(vec![1.0])?;
    let unresolved: u32 = queues.iter().map(|queue| queue.stats().unresolved).sum();
    assert_eq!(unresolved as usize, QUEUES * (EACH + 1), "none is over, fences counted");
    assert!(busy.explain().is_some());

    let answer = lose(held);
    let mut all = Vec::with_capacity(QUEUES * EACH);
    held.until(|| {
        all.extend(ended.try_iter());
        all.len() == QUEUES * EACH
    });
    // What goes well goes before the loss is noticed, maybe long before.
    let noticed = all.iter().find(|end| end.result.is_err()).expect("not all went well").at;
    let took = all.last().expect("many").at - noticed;
    eprintln!("{}: {} messages resolved in {took:?}", device.id(), all.len());
    assert!(took < NOISE * WITHIN, "{took:?}");

    match busy.wait().result {
        Err(error) => assert!(lost(root(&error)), "{error}"),
        Ok(()) => assert!(lets_end, "it was running"),
    }
    let (mut next, mut fine, mut leaked) = ([0; QUEUES], [0; QUEUES], 0);
    for End { queue, number, result, has_buffer, .. } in all {
        assert_eq!(number, next[queue], "in order of acceptance, once each");
        next[queue] += 1;
        let Err(error) = result else {
            assert!(lets_end && has_buffer && fine[queue] == number, "nothing goes well behind the loss");
            fine[queue] += 1;
            continue;
        };
        assert!(lost(root(&error)) || matches!(error.kind, FailureKind::Aborted { .. }), "{number}: {error}");
        leaked += u64::from(!has_buffer);
    }
    assert_eq!(next, [EACH; QUEUES]);
    assert!(fine.iter().all(|&fine| fine <= 256), "what the driver had: {fine:?}");
    for fence in &fences {
        let error = fence.wait().expect_err("everything before it has failed");
        assert!(lost(root(&error)), "{error}");
    }
    assert!(lost(root(&promise.wait().expect_err("nobody keeps it any more"))));
    let waiting = waiting.wait();
    assert!(lost(root(&waiting.result.expect_err("it waited for the promise"))));
    assert_eq!(waiting.buffer, Some(vec![1.0]), "the device has never heard of it");
    signal.signal();

    let stats = device.stats();
    assert_eq!(stats.leaked_buffers, leaked, "what did not come back is counted");
    assert!(leaked <= (QUEUES * 256) as u64, "only what the driver had: {leaked}");
    assert_eq!((stats.in_flight, stats.accepted), (0, stats.delivered + stats.detached_ok + stats.dead_lettered));

    let late = device.queue("late").open();
    for queue in queues.iter().chain([&late, device.own_queue(wharf::Lane::Upload)]) {
        let refused = device.upload(&others[2]).on(queue).send(vec![7.0]).expect_err("lost");
        assert_eq!(refused.buffer, [7.0], "handed back");
        let Error::Refused { why: Refusal::Failed(why), .. } = refused.error else { panic!("{}", refused.error) };
        assert!(lost(&why.kind), "{why}");
        queue.resume();
    }
    assert!(lost(root(&device.promise().0.wait().expect_err("a lost device keeps no promise"))));
    device.declare_lost("again");
    device.drain();
    Ok(answer)
}

pub(crate) fn who_waits_for_credits_is_told_where_nothing_was_in_flight(rig: &Rig) -> Result<()> {
    let device = rig.open();
    let queue = Arc::new(device.queue("narrow").depth(1).open());
    let x = Arc::new(device.buffer::<u32>(4)?);
    let _permit = queue.reserve(1, 0)?;
    let (told, waiters) = mpsc::channel();
    let (sender, same, to, of_sender, of_task) =
        (told.clone(), device.clone(), x.clone(), queue.clone(), queue.clone());
    // Threads of their own, so that one that is forgotten fails the test rather than stopping it.
    thread::spawn(move || {
        let refused = same.upload(&to).on(&of_sender).send(vec![1; 4]).map(drop).map_err(Error::from);
        drop(sender.send(refused));
    });
    thread::spawn(move || {
        let refused = pollster::block_on(of_task.reserve_async(1, 0)).map(drop);
        drop(told.send(refused));
    });
    thread::sleep(Duration::from_millis(5));
    device.declare_lost("pulled");
    for _ in 0..2 {
        let refused = waiters.recv_timeout(Duration::from_secs(30)).expect("it is told").expect_err("it is lost");
        let Error::Refused { why: Refusal::Failed(error), .. } = &refused else { panic!("{refused}") };
        assert!(matches!(error.kind, FailureKind::DeviceLost(_)), "{error}");
    }
    Ok(())
}
