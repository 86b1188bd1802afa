//! Memory that runs out, and calls of the driver that fail.

use std::time::{Duration, Instant};

use wharf::{Device, Error, FailureKind, Options, Shortage};
use wharf_kernels::SAXPY;

use crate::{device, on_software};

const MIB: usize = 1 << 20;

fn kind<T>(done: wharf::Completion<T>) -> Result<(), FailureKind> {
    done.result.map_err(|error| error.kind.clone())
}

#[test]
fn memory_that_is_not_there_is_refused_with_numbers() {
    on_software("faults::memory", &[("SOFT_CUDA_MEMORY", "1048576"), ("SOFT_CUDA_DELAY_US", "20000")]);
}

#[test]
#[ignore = "runs on the software driver"]
fn memory() -> wharf::Result<()> {
    let device = device();
    let half = device.buffer::<u8>(600_000)?;
    // It would be evicted, were it not for this message.
    let unsent = device.download(&half).message(Vec::new()).map_err(Error::from)?;
    match device.buffer::<u8>(600_000).map(drop) {
        Err(Error::OutOfMemory {
            requested_bytes: 600_000,
            in_use_bytes: 600_000,
            limit_bytes: Some(1_048_576),
            ..
        }) => {}
        other => panic!("{other:?}"),
    }
    drop(unsent);
    // The memory of a buffer that is dropped under way comes back when its last message is over.
    drop(device.upload(&half).send(vec![1; 600_000])?);
    drop(half);
    device.buffer::<u8>(600_000).map(drop)
}

#[test]
fn more_than_the_device_holds_is_used_in_turn() {
    let small = ("SOFT_CUDA_MEMORY", "1048576");
    on_software("faults::in_turn", &[small]);
    on_software("faults::in_turn", &[small, ("SOFT_CUDA_DELAY_US", "500")]);
    // Evictions whose downloads fail, and some of the program's: it asks until it has an answer.
    on_software("faults::in_turn", &[small, ("SOFT_CUDA_FAULT", "download:2:2,download:3:1,download:30:1,alloc:9:2")]);
}

#[test]
#[ignore = "runs on the software driver"]
fn in_turn() -> wharf::Result<()> {
    more_than_1_mib_in_turn(&device())
}

/// A device of which no more than 1 MiB may be used.
fn bounded_device() -> wharf::Result<Device> {
    Device::open_with("cuda:0", Options::new().memory_bytes(1 << 20))
}

#[test]
fn a_bound_on_memory_does_as_a_small_card() {
    on_software("faults::bounded", &[]);
    on_software("faults::bounded", &[("SOFT_CUDA_FAULT", "download:2:2,download:3:1,download:30:1,alloc:9:2")]);
}

#[test]
#[ignore = "runs on the software driver"]
fn bounded() -> wharf::Result<()> {
    more_than_1_mib_in_turn(&bounded_device()?)?;
    let device = bounded_device()?;
    assert_eq!(device.capabilities().memory_bytes, Some(1 << 20));
    let held = device.buffer::<u8>(600_000)?;
    let _hold = device.hold(&held)?;
    match device.buffer::<u8>(600_000).map(drop) {
        Err(Error::OutOfMemory {
            requested_bytes: 600_000,
            in_use_bytes: 600_000,
            limit_bytes: Some(1_048_576),
            evicted_bytes: Some(0),
            ..
        }) => Ok(()),
        other => panic!("{other:?}"),
    }
}

fn more_than_1_mib_in_turn(device: &Device) -> wharf::Result<()> {
    const LEN: usize = 64 << 10;
    let content = |which: usize, round: usize| (0..LEN).map(|i| (which * LEN + i + round) as f32).collect::<Vec<_>>();
    let buffers: Vec<_> = (0..12).map(|_| device.buffer::<f32>(LEN)).collect::<Result<_, _>>()?;
    let one = device.buffer::<f32>(LEN)?;
    let again = |mut send: Box<dyn FnMut() -> wharf::Result<()> + '_>| (0..3).any(|_| send().is_ok());
    assert!(again(Box::new(|| device.upload(&one).copy_from(&vec![1.0; LEN])?.wait().ok())));
    for (which, buffer) in buffers.iter().enumerate() {
        assert!(again(Box::new(|| device.upload(buffer).copy_from(&content(which, 0))?.wait().ok())));
    }
    for round in 0..3 {
        for (which, buffer) in buffers.iter().enumerate() {
            let launch = || device.launch(&SAXPY).bind(&one).bind(buffer).arg("a", 1.0_f32).run()?.wait().ok();
            assert!(again(Box::new(launch)), "launch {which} of round {round}");
            let mut answer = Vec::new();
            let download = || {
                answer = device.download(buffer).wait()?.into_vec();
                Ok(())
            };
            assert!(again(Box::new(download)), "download {which} of round {round}");
            assert!(answer == content(which, round + 1), "buffer {which} in round {round}");
        }
    }
    let stats = device.stats();
    assert!(stats.evictions >= 30 && stats.restores >= 30 && stats.buffer_bytes <= 1 << 20, "{stats:?}");
    drop((buffers, one));
    device.drain();
    // A message is resolved a moment before all are told of it.
    let end = Instant::now() + Duration::from_secs(10);
    while device.stats().evicted_bytes > 0 && Instant::now() < end {
        std::thread::yield_now();
    }
    assert_eq!((device.stats().buffer_bytes, device.stats().evicted_bytes, device.stats().in_flight), (0, 0, 0));
    Ok(())
}

#[test]
fn an_allocation_that_fails_once_is_tried_again() {
    on_software("faults::again", &[("SOFT_CUDA_FAULT", "alloc:1:2,alloc:4:2")]);
}

#[test]
#[ignore = "runs on the software driver"]
fn again() -> wharf::Result<()> {
    let device = device();
    let buffers: Vec<_> = (0..3).map(|_| device.buffer::<u32>(100)).collect::<Result<_, _>>()?;
    assert_eq!(device.stats().buffer_bytes, 3 * 400);
    device.upload(&buffers[2]).send(vec![1; 100])?.wait().ok()?;
    Ok(())
}

/// Room for one staging ring of 16 MiB and little more.
#[test]
fn idle_blocks_make_room_where_page_locked_memory_runs_out() {
    on_software("faults::pinned_memory", &[("SOFT_CUDA_PINNED", "18874368")]);
}

#[test]
#[ignore = "runs on the software driver"]
fn pinned_memory() -> wharf::Result<()> {
    let device = device();
    let buffer = device.buffer::<u8>(4 * MIB)?;
    let idle =
        || device.pools().into_iter().find(|pool| pool.name == "staging blocks").expect("it has some").idle_bytes;
    device.upload(&buffer).fill(|i| i as u8)?.wait().ok()?;
    assert_eq!(idle(), 4 * MIB as u64);
    // Pageable memory goes through the ring, for which the block makes room.
    device.upload(&buffer).send(vec![7; 4 * MIB])?.wait().ok()?;
    assert_eq!(idle(), 0);
    let rings = device.pools().into_iter().find(|pool| pool.name == "staging rings").expect("it has some");
    assert_eq!((rings.in_use_bytes, rings.idle_bytes), (16 << 20, 0), "the other direction has used none yet");
    // Neither a block nor the other direction's ring fits any more.
    let Err(Error::OutOfMemory { requested_bytes, .. }) = device.upload(&buffer).reserve(4 * MIB).map(drop) else {
        panic!("18 MiB are 18 MiB");
    };
    assert_eq!(requested_bytes, 4 * MIB as u64);
    let down = device.download(&buffer).send()?.wait();
    assert_eq!(down.buffer.as_ref().map(Vec::len), Some(4 * MIB), "the buffer comes back");
    let Err(FailureKind::OutOfMemory(Shortage { requested_bytes, in_use_bytes, limit_bytes, .. })) = kind(down) else {
        panic!("there is no ring");
    };
    assert_eq!((requested_bytes, in_use_bytes, limit_bytes), (Some(4 << 20), Some(4 << 20), Some(256 << 20)));
    // The device goes on with what it has.
    let small = device.buffer::<u8>(MIB)?;
    let mut pinned = device.pinned::<u8>(MIB)?;
    pinned.fill(9);
    let back = device.upload(&small).send(pinned)?.wait().ok()?;
    assert!(device.download(&small).into(back)?.wait().ok()?.iter().all(|&byte| byte == 9));
    Ok(())
}

#[test]
fn several_faults_each_fail_their_own_message() {
    on_software("faults::several", &[("SOFT_CUDA_FAULT", "upload:2:2,launch:1:1,download:1:1,upload:4:1")]);
}

#[test]
#[ignore = "runs on the software driver"]
fn several() -> wharf::Result<()> {
    let device = device();
    let [x, y] = [device.buffer::<f32>(1000)?, device.buffer::<f32>(1000)?];
    let upload = |to| Ok::<_, Error>(kind(device.upload(to).send(vec![1.0_f32; 1000])?.wait()));
    assert_eq!(upload(&y)?, Ok(()));
    assert!(matches!(upload(&x)?, Err(FailureKind::OutOfMemory(_))));
    assert_eq!(upload(&x)?, Ok(()));
    let launch = || Ok::<_, Error>(kind(device.launch(&SAXPY).bind(&x).bind(&y).arg("a", 1.0_f32).run()?.wait()));
    assert!(matches!(launch()?, Err(FailureKind::Backend(_))));
    assert!(matches!(upload(&y)?, Err(FailureKind::Backend(_))));
    assert_eq!(upload(&y)?, Ok(()));
    assert_eq!(launch()?, Ok(()));
    assert!(matches!(kind(device.download(&y).send()?.wait()), Err(FailureKind::Backend(_))));
    assert!(device.download(&y).wait()?.iter().all(|&y| y == 2.0));
    Ok(())
}

/// Each message takes two events, records them, and has them asked.
#[test]
fn events_that_cannot_be_had_fail_their_message() {
    for (fault, out_of_memory) in [("event:3:2", true), ("record:3:1", false)] {
        let words = if out_of_memory { "memory" } else { "other" };
        on_software("faults::events", &[("SOFT_CUDA_FAULT", fault), ("FAULT_IS", words)]);
    }
}

#[test]
#[ignore = "runs on the software driver"]
fn events() -> wharf::Result<()> {
    let device = device();
    let x = device.buffer::<u32>(1000)?;
    let send = || Ok::<_, Error>(device.upload(&x).fill(|i| i as u32)?.wait());
    let mut failures = Vec::new();
    // Many at once, so that events are not used again: unless each happens to be over before the next begins.
    for _ in 0..100 {
        let mut tickets = Vec::new();
        for _ in 0..8 {
            tickets.extend([device.upload(&x).fill(|i| i as u32)?, device.clear(&x).send()?]);
        }
        failures.extend(tickets.into_iter().filter_map(|ticket| kind(ticket.wait()).err()));
        if !failures.is_empty() {
            break;
        }
    }
    assert!(!failures.is_empty(), "the fault was hit");
    let memory = std::env::var("FAULT_IS").as_deref() == Ok("memory");
    for failure in &failures {
        match failure {
            FailureKind::OutOfMemory(_) => assert!(memory),
            FailureKind::Backend(_) => assert!(!memory, "{failure}"),
            FailureKind::Upstream { .. } => {}
            other => panic!("{other}"),
        }
    }
    send()?.ok()?;
    assert_eq!(device.download(&x).wait()?[999], 999, "the device goes on");
    Ok(())
}

#[test]
fn a_sticky_error_of_a_call_loses_the_device() {
    for fault in ["query:5:719", "record:9:700", "event:4:719"] {
        on_software("faults::sticky", &[("SOFT_CUDA_FAULT", fault)]);
    }
}

#[test]
#[ignore = "runs on the software driver"]
fn sticky() -> wharf::Result<()> {
    let device = device();
    let x = device.buffer::<u32>(1000)?;
    let end = Instant::now() + Duration::from_secs(30);
    let mut flying = Vec::new();
    // Several at once, so that there are more events than two.
    while let Ok(ticket) = device.upload(&x).or_refuse().send(vec![1; 1000]) {
        assert!(Instant::now() < end, "the fault was hit");
        flying.push(ticket);
    }
    let mut lost = false;
    for done in flying.into_iter().map(wharf::Ticket::wait) {
        match kind(done) {
            Ok(()) => assert!(!lost, "nothing goes well behind the loss"),
            Err(FailureKind::DeviceLost(why)) => {
                assert!(why.contains("CUDA_ERROR"), "{why}");
                lost = true;
            }
            Err(FailureKind::Upstream { .. } | FailureKind::Aborted { .. }) => lost = true,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(lost);
    assert!(matches!(device.buffer::<u32>(1), Err(Error::Device { .. })), "its driver has no more memory for anybody");
    Ok(())
}

#[test]
fn a_device_that_cannot_have_its_streams_is_not_opened() {
    for nth in ["1", "2", "3", "4"] {
        on_software("faults::streams", &[("SOFT_CUDA_FAULT", &format!("stream:{nth}:2"))]);
    }
}

#[test]
#[ignore = "runs on the software driver"]
fn streams() -> wharf::Result<()> {
    match Device::open("cuda:0") {
        Err(Error::Device { op, .. }) => assert_eq!(op, "create stream"),
        other => panic!("{other:?}"),
    }
    // The next time there are enough.
    let x = device().buffer::<u32>(100)?;
    assert_eq!(x.len(), 100);
    Ok(())
}
