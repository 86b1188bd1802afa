//! Memory that runs out: what is idle is given back first, what is on its way back is waited for, and what
//! is really not there is refused with numbers.

use std::time::{Duration, Instant};

use wharf::{Device, Error, Faults, Plan, Simulation};

#[path = "common/hop.rs"]
mod hop;
#[path = "common/two_hops.rs"]
mod two_hops;

const KIB: usize = 1 << 10;

/// A card of 1 MiB.
fn small_card() -> Device {
    Device::open("sim:memory=1MiB").expect("a description")
}

#[test]
fn memory_of_a_buffer_that_was_dropped_in_flight_is_waited_for() -> wharf::Result<()> {
    let sim = Simulation::open("memory=1MiB")?;
    for device in [small_card(), sim.device().clone()] {
        for round in 0..20 {
            let buffer = device.buffer::<u8>(600 * KIB)?;
            drop(device.upload(&buffer).send(vec![round; 600 * KIB])?);
            // It is freed with its last message, which nobody has waited for.
            drop(buffer);
        }
        assert_eq!(device.stats().buffer_bytes, 0);
    }
    Ok(())
}

#[test]
fn memory_that_the_caller_holds_back_itself_is_not_waited_for_long() -> wharf::Result<()> {
    let device = small_card();
    let queue = device.queue("gated").open();
    let (fence, signal) = device.promise();
    queue.wait_for(&fence)?;
    let buffer = device.buffer::<u8>(600 * KIB)?;
    let upload = device.upload(&buffer).on(&queue).send(vec![1; 600 * KIB])?;
    drop(buffer);
    let began = Instant::now();
    let error = device.buffer::<u8>(600 * KIB).expect_err("the promise is the caller's to keep");
    assert!(began.elapsed() < Duration::from_secs(5), "it is a moment: {:?}", began.elapsed());
    let expected = (600 * KIB as u64, 600 * KIB as u64, Some(1 << 20));
    let Error::OutOfMemory { requested_bytes, in_use_bytes, limit_bytes, .. } = error else { panic!("{error}") };
    assert_eq!((requested_bytes, in_use_bytes, limit_bytes), expected);
    signal.signal();
    upload.wait().ok()?;
    device.buffer::<u8>(600 * KIB).map(drop)
}

/// With 512 KiB of scratch, which the device keeps for the next launch.
static TWO_HOPS: Plan = two_hops::two_hops::<{ 128 << 10 }>();

#[test]
fn scratch_that_is_kept_for_later_makes_room() -> wharf::Result<()> {
    let device = small_card();
    let (x, y) = (device.buffer::<u32>(1)?, device.buffer::<u32>(1)?);
    device.upload(&x).send(vec![7])?;
    for _ in 0..3 {
        device.launch(&TWO_HOPS).bind(&x).bind(&y).run()?.wait().ok()?;
        let pools = device.pools();
        let scratch = pools.iter().find(|pool| pool.name == "scratch of plans").expect("it is reported");
        assert_eq!(scratch.idle_bytes, 512 << 10);
        drop(device.buffer::<u8>(900 * KIB)?);
        assert_eq!(device.pools()[1].idle_bytes, 0, "it has made room");
    }
    assert_eq!(*device.download(&y).wait()?, [7]);
    Ok(())
}

#[test]
fn an_allocation_that_fails_once_is_tried_again() -> wharf::Result<()> {
    let sim = Simulation::open_with("", Faults::new().out_of_memory(2).out_of_memory(5))?;
    let device = sim.device();
    let buffers: Vec<_> = (0..4).map(|_| device.buffer::<u32>(100)).collect::<Result<_, _>>()?;
    let bytes: u64 = buffers.iter().map(|buffer| buffer.bytes().next_multiple_of(16)).sum();
    assert_eq!(device.stats().buffer_bytes, bytes);
    Ok(())
}

/// On every device of this machine, and on a simulated one: what was lent is counted, stays within its cap, and
/// comes back.
#[test]
fn pools_say_what_they_hold_and_let_go_of_what_is_idle() -> wharf::Result<()> {
    for id in Device::discover().into_iter().map(|found| found.id).chain(["sim".to_owned()]) {
        let device = Device::open(&id)?;
        let staging = || device.pools().into_iter().find(|pool| pool.name == "staging blocks").expect("it has some");
        let buffer = device.buffer::<u32>(1 << 18)?;
        let fill = device.upload(&buffer).reserve(1 << 18)?;
        assert!(staging().in_use_bytes >= 1 << 20, "{id}: {:?}", staging());
        fill.commit()?.wait().ok()?;
        // A part of the buffer: on the CPU device, too, the block comes back.
        device.upload(&buffer).at(1 << 17).fill(|i| i as u32)?.wait().ok()?;
        device.download(&buffer).wait()?;
        let end = Instant::now() + Duration::from_secs(10);
        while staging().in_use_bytes > 0 {
            assert!(Instant::now() < end, "{id}: {:?}", staging());
            device.upload(&buffer).send(vec![1; 1 << 18])?.wait().ok()?;
        }
        let before = staging();
        assert!(before.idle_bytes > 0 && before.high_water_bytes >= 1 << 20, "{id}: {before:?}");
        assert!(before.idle_bytes <= before.idle_cap_bytes.expect("there is a cap"));
        assert!(device.reclaim() >= before.idle_bytes);
        assert_eq!(staging().idle_bytes, 0, "{id}");
        let buffers = device.pools()[0];
        assert_eq!((buffers.name, buffers.in_use_bytes), ("buffers", 1 << 20));
        drop(buffer);
        assert_eq!((device.pools()[0].in_use_bytes, device.pools()[0].high_water_bytes), (0, 1 << 20));
    }
    Ok(())
}
