//! A simulated device that is opened by name: it has threads, as any other device has.

use std::{
    future::Future,
    sync::{Arc, mpsc},
    task::{Context, Poll, Wake, Waker},
    thread,
    time::{Duration, Instant},
};

use wharf::{
    BackendKind, CompletionQueue, Device, Doorbell, Error, FailPolicy, FailureKind, Options, Path, Refusal, Simulation,
};

const LONG: Duration = Duration::from_secs(60);

#[test]
fn nobody_needs_to_poll_and_times_are_computed() -> wharf::Result<()> {
    let device = Device::open("sim:latency=10us,rate=25GB/s")?;
    let x = device.buffer::<u8>(2_500_000)?;
    let done = pollster::block_on(device.upload(&x).fill(|i| i as u8)?);
    assert_eq!((done.receipt.device_seconds, done.receipt.path), (Some(110e-6), Path::Filled));
    let (sender, called) = mpsc::channel();
    device.download(&x).send()?.on_complete(move |done| sender.send(done).expect("somebody listens"));
    let done = called.recv_timeout(LONG).expect("it is called");
    assert_eq!(done.receipt.latency(), Some(Duration::from_micros(110)), "time stands still while nothing happens");
    assert!(done.ok()?.iter().enumerate().all(|(i, &byte)| byte == i as u8));
    Ok(())
}

#[test]
fn what_never_ends_loses_the_device_to_its_watchdog() -> wharf::Result<()> {
    let device = Device::open("sim:never=2,watchdog=1s")?;
    let x = device.buffer::<u32>(100)?;
    drop(device.upload(&x).send(vec![1; 100])?);
    let lost = device.upload(&x).send(vec![2; 100])?.wait();
    assert!(matches!(&lost.result, Err(error) if matches!(error.kind, FailureKind::DeviceLost(_))), "{lost:?}");
    assert_eq!((lost.buffer, device.stats().leaked_buffers), (None, 1));
    Ok(())
}

#[test]
fn it_says_that_it_is_simulated_and_is_never_chosen() {
    let device = Device::open("sim").expect("without items there are defaults");
    assert!(device.capabilities().is_simulated());
    assert!(device.capabilities().name.ends_with("simulated"), "{}", device.capabilities().name);
    assert!(Device::discover().iter().all(|found| found.kind != BackendKind::Sim));
}

#[test]
fn the_card_has_as_much_memory_as_its_description_says() -> wharf::Result<()> {
    let device = Device::open_with("sim:memory=1MiB", Options::new().evict_bytes(0))?;
    let half = device.buffer::<u8>(512 << 10)?;
    let error = device.buffer::<u8>((512 << 10) + 1).expect_err("it is full");
    assert!(matches!(error, Error::OutOfMemory { limit_bytes: Some(1_048_576), .. }), "{error}");
    drop(half);
    device.buffer::<u8>(1 << 20).map(drop)
}

/// Every kind of fault, where it happens and where the program is over before.
#[test]
fn it_tells_which_faults_of_its_script_have_happened() -> wharf::Result<()> {
    let told = |device: &Device| -> Vec<_> {
        device.scripted_faults().into_iter().map(|fault| (fault.item, fault.happened, fault.absorbed)).collect()
    };
    let run = |script: &str| -> wharf::Result<Device> {
        let device = Device::open(&format!("sim:watchdog=1s,{script}"))?;
        let queue = device.queue("work").policy(FailPolicy::Continue).open();
        let x = device.buffer::<u32>(64)?;
        let work = || -> wharf::Result<()> {
            for _ in 0..4 {
                drop(device.clear(&x).on(&queue).send()?.wait());
                drop(device.download(&x).on(&queue).send()?.wait());
            }
            drop(device.upload(&x).on(&queue).send(vec![7; 64])?.wait());
            Ok(())
        };
        let is_lost = work().is_err();
        assert_eq!(is_lost, script.contains("lose@1us"), "{script}: only a lost device refuses");
        device.drain();
        Ok(device)
    };
    // 9 operations, the last an upload, 4 downloads; one allocation.
    for (happens, does_not) in [
        ("fail=9", "fail=10"),
        ("exhaust=9", "exhaust=10"),
        ("late=9:1ms", "late=10:1ms"),
        ("never=9", "never=10"),
        ("overtaken=9", "overtaken=10"),
        ("twice=1", "twice=10"),
        ("twice=1:1us", "twice=10:1us"),
        ("corrupt=4", "corrupt=5"),
    ] {
        let device = run(&format!("{happens},{does_not}"))?;
        let expected = [(happens.to_owned(), 1, 0), (does_not.to_owned(), 0, 0)];
        let told = told(&device);
        assert!(told.len() == 2 && expected.iter().all(|fault| told.contains(fault)), "{told:?}");
    }
    assert_eq!(told(&run("lose@1us")?), [("lose@1us".to_owned(), 1, 0)]);
    assert_eq!(told(&run("lose@3600s")?), [("lose@3600s".to_owned(), 0, 0)]);
    assert_eq!(told(&run("reorder")?), [("reorder".to_owned(), 9, 0)]);
    assert_eq!(told(&run("oom=1,oom=2,oom=4")?)[..2], [("oom=1".to_owned(), 1, 1), ("oom=2".to_owned(), 1, 1)]);
    assert_eq!(told(&run("oom=1,oom=2,oom=4")?)[2], ("oom=4".to_owned(), 0, 0));
    assert_eq!(told(&run("block@8")?), [("block@8".to_owned(), 0, 0)], "there was one at a time");
    assert_eq!(told(&Device::open("cpu")?), []);

    let sim = Simulation::open("block@2")?;
    let x = sim.device().buffer::<u32>(64)?;
    let tickets: Vec<_> = (0..6).map(|_| sim.device().clear(&x).send()).collect::<Result<_, _>>()?;
    tickets.into_iter().for_each(|ticket| ticket.wait().result.expect("it only takes longer"));
    assert!(sim.device().scripted_faults()[0].happened > 0 && sim.blocked_seconds() > 0.0);

    // Nothing is absorbed where there is no room for all the tries.
    let full = Device::open_with("sim:memory=1MiB,oom=2", Options::new().evict_bytes(0))?;
    let half = full.buffer::<u8>(600 << 10)?;
    full.buffer::<u8>(600 << 10).expect_err("it is full");
    assert_eq!(told(&full), [("oom=2".to_owned(), 1, 0)]);
    drop(half);
    full.buffer::<u8>(600 << 10)?;
    assert_eq!(told(&full), [("oom=2".to_owned(), 1, 0)], "the card was full, whatever the script says");
    Ok(())
}

#[test]
fn a_graph_costs_one_launch() -> wharf::Result<()> {
    let device = Device::open("sim:launch=5us,bandwidth=1GB/s")?;
    let (x, y) = (device.buffer::<u8>(1000)?, device.buffer::<u8>(1000)?);
    device.upload(&x).fill(|_| 7)?;
    let graph = device.graph([device.copy(&x, &y).message()?, device.clear(&x).message()?])?;
    let done = graph.replay().run()?.wait();
    // The copy reads and writes all bytes, the clear writes them.
    assert_eq!(done.receipt.device_seconds.map(|seconds| (seconds * 1e9).round()), Some(5000.0 + 3.0 * 1000.0));
    assert_eq!((device.download(&x).wait()?[999], device.download(&y).wait()?[999]), (0, 7));
    Ok(())
}

#[test]
fn a_deadline_behind_a_promise_comes_when_it_would_on_a_device_that_is_there() -> wharf::Result<()> {
    const DEADLINE: Duration = Duration::from_millis(30);
    let device = Device::open("sim:latency=10us")?;
    let x = device.buffer::<u32>(4)?;
    let (fence, signal) = device.promise();
    let gated = device.queue("gated").open();
    gated.wait_for(&fence)?;
    let begin = Instant::now();
    let late = device.upload(&x).on(&gated).deadline(DEADLINE).send(vec![1; 4])?;
    // What else is under way does not bring it nearer.
    let y = device.buffer::<u8>(1 << 20)?;
    for _ in 0..100 {
        device.upload(&y).fill(|_| 1)?.wait().ok()?;
    }
    let done = late.wait();
    assert!(begin.elapsed() >= DEADLINE, "after {:?}", begin.elapsed());
    assert!(matches!(&done.result, Err(error) if error.kind == FailureKind::Deadline), "{done:?}");
    assert_eq!(done.receipt.submitted, None, "it never went");
    assert_eq!(done.buffer, Some(vec![1; 4]));
    signal.signal();
    Ok(())
}

/// Tells when it was woken.
struct WokenAt(Simulation, mpsc::SyncSender<f64>);

impl Wake for WokenAt {
    fn wake(self: Arc<Self>) {
        self.1.send(self.0.seconds()).expect("the test listens");
    }
}

#[test]
fn a_task_is_woken_exactly_at_its_deadline() -> wharf::Result<()> {
    let sim = Simulation::open("latency=10us")?;
    let device = sim.device();
    let queue = device.queue("narrow").depth(1).open();
    let x = device.buffer::<u32>(4)?;
    let _permit = queue.reserve(1, 0)?;
    let (told, woken) = mpsc::sync_channel(9);
    let waker = Waker::from(Arc::new(WokenAt(sim.clone(), told)));
    let mut context = Context::from_waker(&waker);
    let begin = sim.seconds();
    let mut sending = [5, 3, 7].map(|ms| {
        let message = device.upload(&x).deadline(Duration::from_millis(ms)).message(vec![1_u32; 4]).expect("it fits");
        let mut sending = Box::pin(queue.send_async(message));
        assert!(sending.as_mut().poll(&mut context).is_pending());
        sending
    });
    sim.host_work(Duration::from_millis(10));
    let woken: Vec<_> = woken.try_iter().map(|at| ((at - begin) * 1e6).round() as u64).collect();
    assert_eq!(woken, [3000, 5000, 7000], "each once, in microseconds");
    for sending in &mut sending {
        let Poll::Ready(Err(refused)) = sending.as_mut().poll(&mut context) else { panic!("its deadline has passed") };
        assert!(matches!(refused.error, Error::Refused { why: Refusal::Timeout, .. }), "{refused}");
    }
    Ok(())
}

#[test]
fn time_keeps_no_pace_with_the_host_for_a_task_that_has_given_up() -> wharf::Result<()> {
    let device = Device::open("sim:latency=1000s")?;
    let queue = device.queue("narrow").depth(1).open();
    let x = device.buffer::<u32>(4)?;
    let _permit = queue.reserve(1, 0)?;
    let message = device.upload(&x).deadline(Duration::from_secs(2000)).message(vec![1_u32; 4])?;
    let mut sending = Box::pin(queue.send_async(message));
    assert!(sending.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let (sender, called) = mpsc::channel();
    device.upload(&x).send(vec![7; 4])?.on_complete(move |done| sender.send(done).expect("somebody listens"));
    let early = called.recv_timeout(Duration::from_millis(20));
    assert!(early.is_err(), "a deadline is waited for: {early:?}");
    drop(sending);
    assert_eq!(called.recv_timeout(LONG).expect("nobody waits for a time").ok()?, [7; 4]);
    Ok(())
}

#[test]
fn a_scripted_loss_does_not_come_early_because_nothing_happens() -> wharf::Result<()> {
    let device = Device::open("sim:lose@1s,latency=10us")?;
    let x = device.buffer::<u32>(4)?;
    for word in 0..10 {
        device.upload(&x).send(vec![word; 4])?.wait().ok()?;
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(device.download(&x).wait()?[..], [9; 4]);
    Ok(())
}

#[test]
fn a_promise_that_is_kept_in_time_beats_the_deadline() -> wharf::Result<()> {
    let device = Device::open("sim:")?;
    let x = device.buffer::<u32>(4)?;
    let (fence, signal) = device.promise();
    let gated = device.queue("gated").open();
    gated.wait_for(&fence)?;
    let sent = device.upload(&x).on(&gated).deadline(Duration::from_secs(30)).send(vec![7; 4])?;
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(5));
            device.upload(&device.buffer::<u32>(1).expect("memory")).send(vec![1]).expect("accepted").wait();
            signal.signal();
        });
        assert_eq!(sent.wait().ok().expect("in time"), [7; 4]);
    });
    Ok(())
}

#[test]
fn a_doorbell_rings_by_itself() -> wharf::Result<()> {
    let device = Device::open("sim:latency=10us,rate=1GB/s")?;
    let x = device.buffer::<u32>(4)?;
    let linger = Duration::from_millis(3);
    let doorbell = Doorbell::Batched { ops: 100, bytes: u64::MAX, linger };
    let queue = device.queue("lingers").doorbell(doorbell).open();
    let done = CompletionQueue::new();
    let begin = Instant::now();
    device.upload(&x).on(&queue).send(vec![7; 4])?.forward(&done, ());
    let receipt = done.receiver().recv_timeout(LONG).expect("nobody flushes it").1.receipt;
    assert!(begin.elapsed() >= linger, "{:?}", begin.elapsed());
    let waited = receipt.submitted.expect("it went").duration_since(receipt.accepted);
    assert!(waited >= linger, "{waited:?}");
    assert_eq!(receipt.device_seconds, Some(10.016e-6));
    Ok(())
}

#[test]
fn a_wait_with_a_timeout_ends_though_nothing_happens() -> wharf::Result<()> {
    let device = Device::open("sim:")?;
    let x = device.buffer::<u32>(4)?;
    let (fence, signal) = device.promise();
    let gated = device.queue("gated").depth(1).open();
    gated.wait_for(&fence)?;
    let begin = Instant::now();
    let sent = device.upload(&x).on(&gated).send(vec![1; 4])?;
    let sent = sent.wait_timeout(Duration::from_millis(20)).expect_err("it waits for the promise");
    assert!(begin.elapsed() >= Duration::from_millis(20));
    let full = device.upload(&x).on(&gated).or_refuse_after(Duration::from_millis(20)).send(vec![2; 4]);
    assert!(full.is_err(), "no credit comes back");
    signal.signal();
    assert_eq!(sent.wait().ok()?, [1; 4]);
    Ok(())
}
