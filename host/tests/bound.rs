//! A bound on device memory, on every kind of device: what would pass it is refused with numbers, also where
//! threads ask at the same time.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    task::{Context, Wake, Waker},
    thread,
    time::Duration,
};

use wharf::{Device, Error, Options, Plan};

#[cfg(feature = "wgpu")]
#[path = "common/adapter.rs"]
mod adapter;
#[path = "common/hop.rs"]
mod hop;
#[path = "common/two_hops.rs"]
mod two_hops;

const KIB: u64 = 1 << 10;

/// Those of this machine that can be opened, and a simulated one.
fn names() -> Vec<&'static str> {
    let names = vec!["cpu", "sim"];
    #[cfg(feature = "wgpu")]
    let names = [names, adapter::is_there().then_some("wgpu").into_iter().collect()].concat();
    names
}

fn bounded(name: &str, bytes: u64) -> Device {
    Device::open_with(name, Options::new().memory_bytes(bytes)).expect("it is there")
}

/// Bytes asked for, in use, and the limit.
fn numbers<T>(refused: wharf::Result<T>) -> (u64, u64, u64) {
    match refused.map(drop).expect_err("there is no room") {
        Error::OutOfMemory { requested_bytes, in_use_bytes, limit_bytes: Some(limit), .. } => {
            (requested_bytes, in_use_bytes, limit)
        }
        error => panic!("{error}"),
    }
}

#[test]
fn what_would_pass_the_bound_is_refused_with_numbers() -> wharf::Result<()> {
    for name in names() {
        let device = bounded(name, 100 * KIB);
        assert_eq!(device.capabilities().memory_bytes, Some(100 * KIB), "{name}");
        let held = device.buffer::<u8>(60 << 10)?;
        let hold = device.hold(&held)?;
        assert_eq!(numbers(device.buffer::<u8>(60 << 10)), (60 * KIB, 60 * KIB, 100 * KIB), "{name}");
        // Exactly the rest fits, and then not the smallest.
        let rest = device.buffer::<u8>(40 << 10)?;
        let hold_rest = device.hold(&rest)?;
        assert_eq!(numbers(device.buffer::<u8>(0)), (16, 100 * KIB, 100 * KIB), "{name}");
        drop((rest, hold_rest));
        assert_eq!(numbers(device.buffer::<u8>(101 << 10)), (101 * KIB, 60 * KIB, 100 * KIB), "more than there can be");
        drop((held, hold));
        device.buffer::<u8>(100 << 10).map(drop)?;
        assert_eq!(device.stats().buffer_bytes, 0, "{name}");
    }
    Ok(())
}

#[test]
fn buffers_are_charged_in_whole_16s() -> wharf::Result<()> {
    for name in names() {
        let device = bounded(name, 64);
        let _full = (0..4)
            .map(|_| {
                let buffer = device.buffer::<u8>(1)?;
                Ok((device.hold(&buffer)?, buffer))
            })
            .collect::<wharf::Result<Vec<_>>>()?;
        assert_eq!(numbers(device.buffer::<u8>(1)), (16, 64, 64), "{name}");
    }
    Ok(())
}

/// The device has it until its last message is over.
#[test]
fn memory_that_was_dropped_in_flight_counts_until_it_is_freed() -> wharf::Result<()> {
    for name in names() {
        let device = bounded(name, 100 * KIB);
        let queue = device.queue("gated").open();
        let (gate, signal) = device.promise();
        queue.wait_for(&gate)?;
        let buffer = device.buffer::<u8>(60 << 10)?;
        let upload = device.upload(&buffer).on(&queue).send(vec![1; 60 << 10])?;
        drop(buffer);
        assert_eq!(device.stats().buffer_bytes, 0, "nobody has a handle of it");
        assert_eq!(numbers(device.buffer::<u8>(60 << 10)), (60 * KIB, 60 * KIB, 100 * KIB), "{name}");
        signal.signal();
        upload.wait().ok()?;
        device.buffer::<u8>(60 << 10).map(drop)?;
    }
    Ok(())
}

/// A waker that takes its time.
struct Slow(Mutex<mpsc::Sender<()>>);

impl Wake for Slow {
    fn wake(self: Arc<Self>) {
        self.0.lock().expect("nobody panics with it").send(()).expect("somebody listens");
        thread::sleep(Duration::from_millis(100));
    }
}

/// The last message is over, and the thread that is to free the memory is kept from it for a while.
#[test]
fn memory_that_is_about_to_be_freed_is_waited_for() -> wharf::Result<()> {
    for name in names() {
        let device = bounded(name, 100 * KIB);
        let queue = device.queue("gated").open();
        let ((gate, open), (fence, signal)) = (device.promise(), device.promise());
        queue.wait_for(&gate)?;
        let buffer = device.buffer::<u8>(60 << 10)?;
        let upload = device.upload(&buffer).on(&queue).send(vec![1; 60 << 10])?;
        drop(buffer);
        let (wakes, woken) = mpsc::channel();
        let waker = Waker::from(Arc::new(Slow(Mutex::new(wakes))));
        let mut fence = pin!(fence);
        assert!(fence.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        thread::scope(|scope| {
            scope.spawn(|| signal.signal());
            woken.recv().expect("it is woken");
            open.signal();
            device.buffer::<u8>(60 << 10).map(drop)
        })?;
        upload.wait().ok()?;
    }
    Ok(())
}

#[test]
fn of_the_bound_and_the_card_the_smaller_counts() -> wharf::Result<()> {
    for (bound, smaller) in [(512 * KIB, 512 * KIB), (2048 * KIB, 1024 * KIB), (u64::MAX, 1024 * KIB)] {
        let device = bounded("sim:memory=1MiB", bound);
        assert_eq!(device.capabilities().memory_bytes, Some(smaller));
        let held = device.buffer::<u8>(300 << 10)?;
        let _hold = device.hold(&held)?;
        assert_eq!(numbers(device.buffer::<u8>(800 << 10)), (800 * KIB, 300 * KIB, smaller));
    }
    Ok(())
}

/// The driver refuses three tries, each of all that the bound allows.
#[test]
fn what_the_driver_refuses_is_not_taken() -> wharf::Result<()> {
    let device = bounded("sim:oom=1,oom=2,oom=3", 100 * KIB);
    device.buffer::<u8>(100 << 10).map(drop)
}

#[test]
fn a_bound_that_no_buffer_fits_is_refused_in_a_line() {
    for name in names() {
        for bytes in [0, 15] {
            let error = Device::open_with(name, Options::new().memory_bytes(bytes)).expect_err("nothing fits");
            let expected =
                format!("memory_bytes: no buffer fits {bytes} bytes of device memory: the smallest takes 16");
            assert_eq!(error.to_string(), expected);
        }
    }
}

/// Data that is not copied takes no device memory.
#[test]
fn imported_data_counts_where_it_is_copied() -> wharf::Result<()> {
    let data: std::sync::Arc<[u32]> = vec![7; 50 << 10].into();
    let cpu = bounded("cpu", 16);
    let words = cpu.import(data.clone())?;
    assert_eq!(cpu.download(&words).wait()?[..], data[..]);
    drop(words);
    cpu.buffer::<u32>(4).map(drop)?;
    let sim = bounded("sim", 100 * KIB);
    assert_eq!(numbers(sim.import(data)), (200 * KIB, 0, 100 * KIB));
    Ok(())
}

/// With 60 KiB of scratch, which the device keeps for the next launch.
static TWO_HOPS: Plan = two_hops::two_hops::<{ 15 << 10 }>();

#[test]
fn scratch_counts_and_makes_room() -> wharf::Result<()> {
    for name in names() {
        let device = bounded(name, 100 * KIB);
        let [x, y] = [device.buffer::<u32>(1)?, device.buffer::<u32>(1)?];
        device.upload(&x).send(vec![7])?;
        for _ in 0..2 {
            device.launch(&TWO_HOPS).bind(&x).bind(&y).run()?.wait().ok()?;
            assert_eq!(device.pools()[1].idle_bytes, 60 * KIB, "{name}");
            device.buffer::<u8>(60 << 10).map(drop)?;
            assert_eq!(device.pools()[1].idle_bytes, 0, "{name}: it has made room");
        }
        assert_eq!(device.download(&y).wait()?[..], [7]);
        let _hold = [device.hold(&x)?, device.hold(&y)?];
        let held = device.buffer::<u8>(60 << 10)?;
        let _held = device.hold(&held)?;
        let launch = device.launch(&TWO_HOPS).bind(&x).bind(&y).run();
        assert_eq!(numbers(launch), (60 * KIB, 60 * KIB + 32, 100 * KIB), "{name}");
    }
    Ok(())
}

/// Four threads ask at the same moment, and there is room for one.
#[test]
fn of_threads_that_ask_together_as_many_pass_as_there_is_room_for() {
    const THREADS: usize = 4;
    for name in names() {
        let device = bounded(name, 100 * KIB);
        let (start, end) = (Barrier::new(THREADS), Barrier::new(THREADS));
        let passed = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for round in 0..50 {
                        start.wait();
                        let buffer = device.buffer::<u8>(60 << 10).ok();
                        // It stays in device memory until all have their answer.
                        let hold = buffer.as_ref().and_then(|buffer| device.hold(buffer).ok());
                        passed.fetch_add(usize::from(hold.is_some()), SeqCst);
                        if end.wait().is_leader() {
                            assert_eq!(passed.swap(0, SeqCst), 1, "{name}, round {round}");
                        }
                        drop((buffer, hold));
                    }
                });
            }
        });
        assert_eq!(device.stats().buffer_bytes, 0, "{name}");
    }
}
