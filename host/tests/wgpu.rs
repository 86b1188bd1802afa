//! The public promises of queues and tickets, on the first adapter that wgpu sees.

#![cfg(feature = "wgpu")]

use std::{
    panic,
    sync::atomic::{AtomicU32, Ordering::SeqCst},
    time::{Duration, Instant},
};

use wharf::{BackendKind, CancelOutcome, Device, Error, FailureKind, Grid, Kernel, Path, Refusal, Ticket};

const ADD: &str = "
struct Params { n: u32, by: u32 }
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;
@compute @workgroup_size(64)
fn add(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var i = id.x; i < params.n; i += 64u * groups.x) { y[i] = x[i] + params.by; }
}";

const COUNT: &str = "
@group(0) @binding(0) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(64)
fn count(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < arrayLength(&y) { y[id.x] += 1u; }
}";

static KERNEL: Kernel = Kernel::new("add", ADD).with_grid(Grid::Strided { of: "x", per_group: 64, most: 1024 });
static COUNTER: Kernel = Kernel::new("count", COUNT).with_grid(Grid::Elements { of: "y", per_group: 64 });

/// The device, or nothing where the machine has none and `WHARF_REQUIRE` does not ask for it.
fn device() -> Option<Device> {
    match Device::open("wgpu") {
        Ok(device) => Some(device),
        Err(e) if e.is_unavailable() && !std::env::var("WHARF_REQUIRE").unwrap_or_default().contains("wgpu") => {
            eprintln!("SKIP {e}");
            None
        }
        Err(e) => panic!("{e}"),
    }
}

/// Data that tells positions apart.
fn pattern(n: usize, seed: u32) -> Vec<u32> {
    (0..n as u32).map(|i| i.wrapping_mul(2_654_435_761).wrapping_add(seed)).collect()
}

#[test]
fn what_goes_up_comes_down() -> wharf::Result<()> {
    let Some(device) = device() else { return Ok(()) };
    // Around the inline limit, the smallest block, a chunk of the ring, and the whole ring.
    for n in [0, 1, 15, 16, 17, 1023, 16_384, 16_385, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 6_000_003] {
        let data = pattern(n, 7);
        let buffer = device.buffer::<u32>(n)?;
        let up = device.upload(&buffer).send(data.clone())?.wait();
        let path = up.receipt.path;
        assert_eq!(up.ok()?, data, "the owned buffer comes back");
        match n {
            0 => {}
            1..=16 => assert_eq!(path, Path::Inline, "{n}"),
            _ => assert_eq!(path, Path::Staged, "{n}"),
        }
        assert!(*device.download(&buffer).wait()? == *data, "{n} elements");
    }
    Ok(())
}

#[test]
fn bytes_of_any_length_and_place_survive() -> wharf::Result<()> {
    let Some(device) = device() else { return Ok(()) };
    for n in [1_usize, 2, 3, 5, 63, 65, 67, 4097] {
        let data: Vec<u8> = (0..n).map(|i| i as u8 ^ 0x5a).collect();
        let buffer = device.buffer::<u8>(n)?;
        device.upload(&buffer).send(data.clone())?.wait().ok()?;
        assert_eq!(*device.download(&buffer).wait()?, *data);
    }
    let buffer = device.buffer::<u32>(1000)?;
    device.upload(&buffer).at(990).send(pattern(10, 3))?.wait().ok()?;
    assert_eq!(*device.download(&buffer).range(980..1000).wait()?, *[vec![0; 10], pattern(10, 3)].concat());
    Ok(())
}

#[test]
fn memory_is_zeroed_and_cleared() -> wharf::Result<()> {
    let Some(device) = device() else { return Ok(()) };
    let buffer = device.buffer::<u32>(100_000)?;
    assert!(device.download(&buffer).wait()?.iter().all(|&x| x == 0));
    device.upload(&buffer).send(pattern(100_000, 1))?.wait().ok()?;
    device.clear(&buffer).send()?.wait().ok()?;
    assert!(device.download(&buffer).wait()?.iter().all(|&x| x == 0));
    Ok(())
}

#[test]
fn a_fill_is_written_in_place_and_blocks_are_used_again() -> wharf::Result<()> {
    let Some(device) = device() else { return Ok(()) };
    let buffer = device.buffer::<u32>(100_003)?;
    for round in 0..100_u32 {
        let receipt = device.upload(&buffer).fill(|i| i as u32 ^ round)?.wait().receipt;
        assert_eq!(receipt.path, Path::Filled);
        if round % 10 == 0 {
            let data = device.download(&buffer).wait()?;
            assert!(data.iter().enumerate().all(|(i, &x)| x == i as u32 ^ round), "round {round}");
        }
    }
    let aborted = device.upload(&buffer).reserve(1000)?;
    drop(aborted);
    let mut fill = device.upload(&buffer).at(5).reserve(3)?;
    fill.copy_from_slice(&[8, 9, 10]);
    fill.commit()?.wait().ok()?;
    assert_eq!(device.download(&buffer).range(5..8).wait()?[..], [8, 9, 10]);
    assert_eq!(device.stats().staging_bytes, 0);
    Ok(())
}

#[test]
fn a_launch_waits_for_its_uploads_and_a_download_for_the_launch() -> wharf::Result<()> {
    let Some(device) = device() else { return Ok(()) };
    let (x, y) = (device.buffer::<u32>(100_003)?, device.buffer::<u32>(100_003)?);
    for round in 0..50 {
        drop(device.upload(&x).fill(|i| i as u32)?);
        drop(device.launch(&KERNEL).bind(&x).bind(&y).arg("by", round).run()?);
        let y = device.download(&y).wait()?;
        assert!(y.iter().enumerate().all(|(i, &y)| y == i as u32 + round), "round {round}");
    }
    device.drain();
    let stats = device.stats();
    assert_eq!((stats.accepted, stats.dead_lettered, stats.in_flight), (150, 0, 0));
    Ok(())
}

#[test]
fn launches_with_many_parameters_in_one_batch_each_see_their_own() -> wharf::Result<()> {
    let Some(device) = device() else { return Ok(()) };
    let (x, y) = (device.buffer::<u32>(64)?, device.buffer::<u32>(64 * 3000)?);
    device.upload(&x).send(pattern(64, 0))?.wait().ok()?;
    // More than the parameter buffer holds, sent faster than they run.
    for i in 0..3000_u32 {
        let part = y.view(64 * i as usize..64 * (i as usize + 1))?;
        drop(device.launch(&KERNEL).bind(&x).bind(&part).arg("by", i).run()?);
    }
    let y = device.download(&y).wait()?;
    for (i, &y) in y.iter().enumerate() {
        assert_eq!(y, pattern(64, 0)[i % 64].wrapping_add(i as u32 / 64), "element {i}");
    }
    Ok(())
}

#[test]
fn dependent_launches_run_one_after_the_other() -> wharf::Result<()> {
    let Some(device) = device() else { return Ok(()) };
    let y = device.buffer::<u32>(1000)?;
    let tickets: Vec<Ticket<()>> =
        (0..1000).map(|_| device.launch(&COUNTER).bind(&y).run()).collect::<wharf::Result<_>>()?;
    assert!(device.download(&y).wait()?.iter().all(|&y| y == 1000));
    for ticket in tickets {
        let completion = ticket.wait();
        assert_eq!(completion.receipt.form, Some("WGSL"));
        completion.ok()?;
    }
    Ok(())
}

#[test]
fn many_messages_in_flight_keep_their_data() -> wharf::Result<()> {
    let Some(device) = device() else { return Ok(()) };
    let sizes = [1_usize, 16, 17, 1000, 20_000, 300_000];
    let rounds: Vec<_> = (0..120_u32)
        .map(|i| {
            let data = pattern(sizes[i as usize % sizes.len()], i);
            let buffer = device.buffer::<u32>(data.len())?;
            let up = device.upload(&buffer).send(data.clone())?;
            let down = device.download(&buffer).send()?;
            Ok((data, buffer, up, down))
        })
        .collect::<wharf::Result<_>>()?;
    for (data, _buffer, up, down) in rounds {
        assert!(up.wait().ok()? == data);
        assert!(down.wait().ok()? == data);
    }
    Ok(())
}

#[test]
fn tickets_and_buffers_may_be_dropped_in_flight() -> wharf::Result<()> {
    let Some(device) = device() else { return Ok(()) };
    let kept = device.buffer::<u32>(50_000)?;
    for i in 0..60 {
        let buffer = device.buffer::<u32>(50_000)?;
        drop(device.upload(&buffer).send(pattern(50_000, i))?);
        drop(device.copy(&buffer, &kept).send()?);
        drop(device.download(&buffer).send()?);
    }
    assert!(*device.download(&kept).wait()? == *pattern(50_000, 59));
    device.drain();
    let stats = device.stats();
    assert_eq!((stats.accepted, stats.in_flight, stats.dead_lettered), (181, 0, 0));
    Ok(())
}

#[test]
fn a_launch_that_reads_and_writes_parts_of_one_buffer_reads_a_copy() -> wharf::Result<()> {
    let Some(device) = device() else { return Ok(()) };
    let both = device.buffer::<u32>(2048)?;
    device.upload(&both).send(pattern(2048, 0))?.wait().ok()?;
    let (read, write) = (both.view(0..1024)?, both.view(1024..2048)?);
    for _ in 0..2 {
        let done = device.launch(&KERNEL).bind(&read).bind(&write).arg("by", 5_u32).run()?.wait();
        assert_eq!(done.receipt.path, Path::Device, "the receipt says that bytes were moved");
        done.ok()?;
    }
    let expected: Vec<u32> = pattern(1024, 0).iter().map(|x| x.wrapping_add(5)).collect();
    assert!(device.download(&both).wait()?[1024..] == expected);
    Ok(())
}

#[test]
fn what_does_not_compile_is_an_error_with_a_line() {
    let Some(device) = device() else { return };
    // naga takes it, and so does reflection; the device has no such limit.
    let huge = Kernel::from_wgsl(
        "var<workgroup> tile: array<u32, 100000000>;
         @group(0) @binding(0) var<storage, read_write> y: array<u32>;
         @compute @workgroup_size(1) fn main() { tile[0] = y[0]; workgroupBarrier(); y[0] = tile[1]; }",
    );
    match huge.and_then(|kernel| device.prepare(&kernel)) {
        Err(Error::Build { log, .. }) => assert_eq!(log.lines().count(), 1, "{log}"),
        Err(Error::Limit { .. } | Error::NoForm { .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn too_much_memory_is_refused_with_numbers() -> wharf::Result<()> {
    let Some(device) = device() else { return Ok(()) };
    let most = device.capabilities().max_buffer_bytes;
    match device.buffer::<u8>(most as usize + 1) {
        Err(Error::Limit { requested, limit, .. }) => assert_eq!((requested, limit), (most + 1, most)),
        other => panic!("{other:?}"),
    }
    // Reserving is not touching: whatever the device says, it says as a value.
    let all: Result<Vec<_>, _> = (0..4).map(|_| device.buffer::<u8>((most / 2) as usize)).collect();
    assert!(all.is_ok() || matches!(all, Err(Error::OutOfMemory { .. } | Error::Device { .. })));
    Ok(())
}

/// The blocks that uploads go through are made anew for each size: on a lost device none is mapped.
#[test]
fn uploads_to_a_device_that_is_gone_fail_without_a_panic() -> wharf::Result<()> {
    static PANICS: AtomicU32 = AtomicU32::new(0);
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |what| {
        if what.location().is_some_and(|at| at.file().contains("backend")) {
            PANICS.fetch_add(1, SeqCst);
        }
        before(what);
    }));
    for n in [100, 100_000, 3_000_000] {
        let Some(device) = device() else { return Ok(()) };
        let buffer = device.buffer::<u32>(n)?;
        assert!(device.break_down());
        let error = match device.upload(&buffer).send(vec![1; n]) {
            Ok(ticket) => ticket.wait().result.expect_err("the device is gone"),
            Err(refused) => match refused.error {
                Error::Refused { why: Refusal::Failed(error), .. } => error,
                other => panic!("{other}"),
            },
        };
        assert_eq!(error.kind, FailureKind::DeviceLost("Destroyed".into()), "wgpu says no more");
    }
    assert_eq!(PANICS.load(SeqCst), 0);
    Ok(())
}

#[test]
fn an_adapter_that_is_not_there_is_unavailable() {
    match Device::open("wgpu:99") {
        Err(Error::Unavailable { device, .. }) => assert_eq!(device, "wgpu:99"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_survey_lists_adapters_that_open() -> wharf::Result<()> {
    for found in Device::discover().iter().filter(|found| found.kind == BackendKind::Wgpu) {
        let device = Device::open(&found.id)?;
        assert_eq!(device.capabilities(), found.capabilities.as_ref().expect("discovered"));
    }
    Ok(())
}

#[test]
fn closing_a_device_is_quick_and_an_idle_one_opens_again() {
    for _ in 0..3 {
        let Some(device) = device() else { return };
        let buffer = device.buffer::<u32>(1 << 16).expect("it fits");
        drop(device.upload(&buffer).send(pattern(1 << 16, 1)).expect("accepted"));
        drop(buffer);
        let start = Instant::now();
        drop(device);
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    }
}

#[test]
fn more_parameters_than_the_device_holds_at_once_are_that_launchs_failure() -> wharf::Result<()> {
    let Some(device) = device() else { return Ok(()) };
    let blocks: String =
        (1..=6).map(|i| format!("@group(0) @binding({i}) var<uniform> p{i}: array<vec4<f32>, 3072>;\n")).collect();
    let sum = (1..=6).map(|i| format!("p{i}[0].x")).collect::<Vec<_>>().join(" + ");
    let kernel = Kernel::from_wgsl(format!(
        "@group(0) @binding(0) var<storage, read_write> y: array<f32>;\n{blocks}
         @compute @workgroup_size(1) fn main() {{ y[0] = {sum}; }}"
    ))?;
    let y = device.buffer::<f32>(1)?;
    let bytes = vec![0; 3072 * 16];
    let launch = device.launch(&kernel).bind(&y).groups([1, 1, 1]);
    let launch = ["p1", "p2", "p3", "p4", "p5", "p6"].iter().fold(launch, |l, name| l.uniform(name, &bytes));
    let done = launch.run()?.wait_timeout(Duration::from_secs(60)).expect("it ends");
    assert!(done.result.is_err());
    let other = device.buffer::<f32>(1)?;
    assert_eq!(*device.download(&other).wait()?, [0.0], "the device goes on");
    Ok(())
}

#[test]
fn a_block_is_sent_in_chunks_and_comes_back_whatever_happens() -> wharf::Result<()> {
    let Some(device) = device() else { return Ok(()) };
    let n = 3 << 20;
    let queue = device.queue("cut").chunk(1 << 20).open();
    let buffer = device.buffer::<u32>(n)?;
    for round in 0..6 {
        let data = pattern(n, round);
        let ticket = device.upload(&buffer).on(&queue).fill(|i| data[i])?;
        if round % 2 == 1 {
            // Somewhere on its way, or before, or after: the next round shows what it left.
            let outcome = ticket.cancel();
            let done = ticket.wait();
            assert_eq!(done.result.is_ok(), outcome == CancelOutcome::TooLate, "{outcome:?}");
            assert_eq!(done.residue() % (1 << 20), 0, "whole chunks");
            continue;
        }
        let done = ticket.wait();
        assert_eq!(done.receipt.path, Path::Filled);
        done.ok()?;
        assert!(*device.download(&buffer).on(&queue).wait()? == *data, "round {round}");
    }
    device.drain();
    assert_eq!(device.stats().staging_bytes, 0);
    Ok(())
}
