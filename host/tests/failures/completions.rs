//! Every message has one completion, whatever happens to the device.

use std::time::{Duration, Instant};

use wharf::{
    CancelOutcome, CompletionQueue, Device, Error, FailPolicy, FailureKind, Faults, Grid, Kernel, MessageId, Refusal,
    native::Dispatch,
};

use crate::{WORDS, buffer, queue, simulation, went_well, words};

#[test]
fn f01_every_message_of_a_lost_device_completes_in_order() -> wharf::Result<()> {
    const QUEUES: usize = 4;
    const EACH: usize = 2_500;
    let sim = simulation(Faults::new().lose_at(Duration::from_millis(5)));
    let device = sim.device();
    let ends = CompletionQueue::new();
    let mut lanes = Vec::new();
    for _ in 0..QUEUES {
        lanes.push((queue(device), buffer(device)));
    }
    for number in 0..EACH {
        for (lane, (queue, buffer)) in lanes.iter().enumerate() {
            device.upload(buffer).on(queue).or_refuse().send(words(number))?.forward(&ends, (lane, number));
        }
    }
    assert_eq!(device.stats().in_flight, (QUEUES * EACH) as u64);
    let began = Instant::now();
    device.drain();
    println!("{} messages of a lost device resolved in {:?}", QUEUES * EACH, began.elapsed());
    let (mut next, mut lost, mut leaked) = ([0; QUEUES], [false; QUEUES], 0);
    for ((lane, number), done) in ends.receiver().try_iter() {
        assert_eq!(number, next[lane], "in order of acceptance");
        next[lane] += 1;
        match &done.result {
            Ok(()) => assert!(!lost[lane], "nothing goes well behind the loss"),
            Err(error) => {
                assert!(matches!(error.kind, FailureKind::DeviceLost(_)), "{error}");
                lost[lane] = true;
            }
        }
        match done.buffer {
            Some(back) => assert_eq!(back, words(number)),
            None => leaked += 1,
        }
    }
    assert_eq!(next, [EACH; QUEUES]);
    assert!(lost.iter().any(|&lost| lost), "the device was lost on the way");
    assert_eq!(device.stats().leaked_buffers, leaked);
    let refused = device.upload(&lanes[0].1).on(&lanes[0].0).send(words(0)).unwrap_err();
    assert_eq!(refused.buffer, words(0));
    assert!(matches!(refused.error, Error::Refused { why: Refusal::Failed(_), .. }));
    Ok(())
}

static ADD: Kernel = Kernel::new(
    "add",
    "@group(0) @binding(0) var<storage, read> x: array<u32>;
     @group(0) @binding(1) var<storage, read_write> y: array<u32>;
     @compute @workgroup_size(64)
     fn add(@builtin(global_invocation_id) id: vec3<u32>) {
         if id.x < arrayLength(&x) { y[id.x] += x[id.x]; }
     }",
)
.with_native(|dispatch: &mut Dispatch<'_>| {
    let [x, y] = dispatch.args else { unreachable!("two bindings") };
    y.write::<u32>().iter_mut().zip(x.read::<u32>()).for_each(|(y, x)| *y = y.wrapping_add(*x));
})
.with_grid(Grid::Elements { of: "x", per_group: 64 });

/// A graph of 1000 nodes over 8 buffers: additions, and now and then a fresh upload.
#[test]
fn f02_a_failure_reaches_whatever_is_made_of_it_and_nothing_else() -> wharf::Result<()> {
    const NODES: usize = 1000;
    const BUFFERS: usize = 8;
    for failing in 0..NODES {
        let sim = simulation(Faults::new().fail(failing as u64 + 1));
        let device = sim.device();
        let queue = queue(device);
        let buffers: Vec<_> = (0..BUFFERS).map(|_| buffer(device)).collect();
        let mut wrong = [false; BUFFERS];
        let mut nodes = Vec::with_capacity(NODES);
        for node in 0..NODES {
            let (x, y) = (node * 5 % BUFFERS, (node * 7 + 1) % BUFFERS);
            let fresh = x == y || node % 20 == 0;
            let ticket = if fresh {
                device.upload(&buffers[y]).on(&queue).or_refuse().fill(|i| i as u32)?
            } else {
                device.launch(&ADD).bind(&buffers[x]).bind(&buffers[y]).on(&queue).or_refuse().run()?
            };
            wrong[y] = node == failing || (!fresh && (wrong[x] || wrong[y]));
            nodes.push((ticket, wrong[y]));
        }
        let root = nodes[failing].0.id();
        for (node, (ticket, wrong)) in nodes.into_iter().enumerate() {
            let result = ticket.wait().result;
            assert_eq!(result.is_err(), wrong, "node {node} with {failing} failing: {result:?}");
            let Err(error) = result else { continue };
            match &error.kind {
                FailureKind::Backend(_) => assert_eq!(node, failing),
                FailureKind::Upstream { root: first } => assert_eq!(first.id, root),
                kind => panic!("{kind}"),
            }
        }
    }
    Ok(())
}

#[test]
fn f03_a_message_is_accepted_or_handed_back() -> wharf::Result<()> {
    const MESSAGES: usize = 1000;
    let sim = simulation(Faults::new().fail(100).fail(300));
    let device = sim.device();
    // It stops on failures, so that it refuses for that, too.
    let queue = device.queue("narrow").depth(5).open();
    let buffer = buffer(device);
    let (mut accepted, mut back, mut reasons) = (Vec::new(), 0, [0; 3]);
    for number in 0..MESSAGES {
        if number == 900 {
            queue.close();
        }
        match device.upload(&buffer).on(&queue).or_refuse().send(words(number)) {
            Ok(ticket) => accepted.push((number, ticket)),
            Err(refused) => {
                assert_eq!(refused.buffer, words(number));
                back += 1;
                let Error::Refused { why, .. } = refused.error else { panic!("{}", refused.error) };
                reasons[match why {
                    Refusal::Full { .. } => 0,
                    Refusal::Failed(_) => 1,
                    _ => 2,
                }] += 1;
                device.progress();
                sim.host_work(Duration::from_micros(20));
                if number % 10 == 0 {
                    queue.resume();
                }
            }
        }
    }
    assert!(reasons.iter().all(|&n| n > 0), "full, failed, closed: {reasons:?}");
    let completed = accepted.len();
    accepted.into_iter().for_each(|(number, ticket)| {
        went_well(number, ticket.wait());
    });
    assert_eq!(completed + back, MESSAGES);
    let stats = device.stats();
    assert_eq!((stats.accepted, stats.delivered, stats.in_flight), (completed as u64, completed as u64, 0));
    Ok(())
}

#[test]
fn f04_deadlines_need_no_room_in_a_full_queue() -> wharf::Result<()> {
    const MESSAGES: usize = 10_000;
    // The first one keeps the device busy while the deadlines of all others pass.
    let sim = simulation(Faults::new().late(1, Duration::from_millis(50)));
    let device = sim.device();
    let queue = device.queue("full").depth(MESSAGES as u32).policy(FailPolicy::Continue).window(16).open();
    let buffer = buffer(device);
    let send =
        |number| device.upload(&buffer).on(&queue).or_refuse().deadline(Duration::from_millis(1)).send(words(number));
    let tickets = (0..MESSAGES).map(send).collect::<Result<Vec<_>, _>>()?;
    assert!(matches!(send(0).unwrap_err().error, Error::Refused { why: Refusal::Full { .. }, .. }));
    let mut late = 0;
    for (number, ticket) in tickets.into_iter().enumerate() {
        let done = ticket.wait();
        late += usize::from(matches!(&done.result, Err(error) if error.kind == FailureKind::Deadline));
        let early = done.result.is_ok();
        assert_eq!(went_well(number, done), early);
    }
    assert_eq!(late, MESSAGES - 16, "all but those that the driver had");
    Ok(())
}

#[test]
fn f05_a_stale_completion_ends_no_other_message() -> wharf::Result<()> {
    const MESSAGES: usize = 2000;
    let later = |n: u64| Duration::from_micros(n % 40);
    let faults = (1..=2 * MESSAGES as u64).fold(Faults::new().reorder(), |faults, n| faults.twice(n, later(n)));
    let sim = simulation(faults);
    let device = sim.device();
    let (up, down) = (queue(device), queue(device));
    let buffers = [buffer(device), buffer(device), buffer(device)];
    let mut flying = Vec::new();
    for number in 0..MESSAGES {
        let buffer = &buffers[number % 3];
        let sent = device.upload(buffer).on(&up).or_refuse().send(words(number))?;
        flying.push((number, sent, device.download(buffer).on(&down).or_refuse().send()?));
        if flying.len() == 8 {
            for (number, sent, got) in flying.drain(..) {
                assert_eq!(got.wait().ok()?, words(number));
                assert!(went_well(number, sent.wait()));
            }
        }
    }
    device.drain();
    assert_eq!(device.stats().accepted, 2 * MESSAGES as u64);
    Ok(())
}

#[test]
fn f06_what_was_cancelled_leaks_nothing() -> wharf::Result<()> {
    let sim = simulation(Faults::new().reorder());
    let device = sim.device();
    let (up, down) = (queue(device), queue(device));
    let buffer = buffer(device);
    let data: std::sync::Arc<[u32]> = words(7).into();
    let mut cancelled = 0;
    for round in 0..3000_u64 {
        let sent = device.upload(&buffer).on(&up).send(data.clone())?;
        let got = device.download(&buffer).on(&down).send()?;
        sim.host_work(Duration::from_micros(round * 7 % 15));
        cancelled += u32::from(sent.cancel() != CancelOutcome::TooLate);
        match round % 3 {
            0 => drop((sent, got)),
            1 => drop((sent, got.cancel_on_drop())),
            _ => {
                let (sent, got) = (sent.wait(), got.wait());
                assert!(sent.buffer.is_some() && got.buffer.is_some(), "buffers come back whatever happens");
                assert_eq!(sent.result.is_ok(), got.result.is_ok(), "there is no data without the upload");
            }
        }
    }
    device.drain();
    assert!(cancelled > 100, "{cancelled}");
    // What is kept for being sent again lets go, too.
    drop(device.dead_letters().take());
    assert_eq!(std::sync::Arc::strong_count(&data), 1);
    let stats = device.stats();
    assert_eq!((stats.in_flight, stats.leaked_buffers), (0, 0));
    Ok(())
}

#[test]
fn f11_every_failure_is_reported() -> wharf::Result<()> {
    const MESSAGES: u64 = 1000;
    let faults = (1..=MESSAGES / 10).fold(Faults::new(), |faults, n| faults.fail(10 * n));
    let sim = simulation(faults);
    let device = sim.device();
    let (queue, buffer) = (queue(device), buffer(device));
    let mut tickets = Vec::new();
    for number in 0..MESSAGES as usize {
        tickets.push(device.upload(&buffer).on(&queue).or_refuse().send(words(number))?);
    }
    // Half of them by ticket, half of them as dead letters.
    let kept = tickets.split_off(tickets.len() / 2);
    let expected: Vec<MessageId> = tickets.iter().skip(9).step_by(10).map(|ticket| ticket.id()).collect();
    drop(tickets);
    let failed = kept.into_iter().map(|ticket| ticket.wait()).filter(|done| done.result.is_err());
    assert_eq!(failed.count(), 50);
    let letters = device.dead_letters().take();
    assert_eq!(letters.iter().map(|letter| letter.error.id).collect::<Vec<_>>(), expected);
    assert!(letters.iter().all(|letter| matches!(letter.error.kind, FailureKind::Backend(_))));
    Ok(())
}

/// On threads of their own: closing races with sending.
#[test]
fn f16_closing_amid_a_flood_loses_nothing() -> wharf::Result<()> {
    const SENDERS: usize = 4;
    let device = Device::open("cpu")?;
    let queue = device.queue("flood").depth(64).open();
    let buffer = device.buffer::<u32>(WORDS)?;
    let (ends, sent) = (CompletionQueue::new(), std::sync::atomic::AtomicU64::new(0));
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            let (device, queue, buffer, ends, sent) = (&device, &queue, &buffer, &ends, &sent);
            scope.spawn(move || {
                for number in 0.. {
                    match device.upload(buffer).on(queue).send(words(number)) {
                        Ok(ticket) => ticket.forward(ends, (sender, number)),
                        Err(refused) => {
                            assert!(matches!(refused.error, Error::Refused { why: Refusal::Closed, .. }));
                            assert_eq!(refused.buffer, words(number));
                            sent.fetch_add(number as u64, std::sync::atomic::Ordering::Relaxed);
                            break;
                        }
                    }
                }
            });
        }
        while device.stats().accepted < 1000 {
            std::thread::yield_now();
        }
        queue.close();
    });
    queue.drain();
    let sent = sent.into_inner();
    let mut next = [0; SENDERS];
    for _ in 0..sent {
        let ((sender, number), done) = ends.receiver().recv_timeout(Duration::from_secs(60)).expect("none is lost");
        assert_eq!(number, next[sender]);
        next[sender] += 1;
        assert!(went_well(number, done));
    }
    let stats = device.stats();
    assert_eq!((stats.accepted, stats.delivered, stats.in_flight), (sent, sent, 0));
    Ok(())
}
