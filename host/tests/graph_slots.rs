//! Graphs with host memory of their own, on the CPU device, on wgpu and on a simulated device.

use std::{
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
    time::Duration,
};

use wharf::{CancelOutcome, Device, Error, FailureKind, Graph, Grid, Kernel, Refusal, Result, Slot, Slots};

const MIX: &str = "
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(64)
fn mix(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < arrayLength(&x) { y[id.x] = 3u * y[id.x] + x[id.x]; }
}";

static MIXES: Kernel = Kernel::new("mix", MIX).with_grid(Grid::Elements { of: "x", per_group: 64 });

/// The CPU device, a simulated one, and wgpu's where the machine has one or `WHARF_REQUIRE` asks for it.
fn devices() -> Vec<Device> {
    let mut devices: Vec<_> = ["cpu", "sim:gen5x16,h200"].map(|id| Device::open(id).expect("always there")).into();
    #[cfg(feature = "wgpu")]
    match Device::open("wgpu") {
        Ok(device) => devices.push(device),
        Err(e) if e.is_unavailable() && !std::env::var("WHARF_REQUIRE").unwrap_or_default().contains("wgpu") => {
            eprintln!("SKIP {e}");
        }
        Err(e) => panic!("{e}"),
    }
    devices
}

/// A graph, memory for its next replay, where it uploads from and where it downloads into.
type Mix = (Graph<Slots>, Slots, Slot<u32>, Slot<u32>);

/// `y = 3 y + x` with `x` from a slot, and `y` into one.
fn mix(device: &Device, n: usize) -> Result<Mix> {
    let (x, y) = (device.buffer::<u32>(n)?, device.buffer::<u32>(n)?);
    let mut recording = device.record();
    let input = recording.upload(&x)?;
    recording.add(device.launch(&MIXES).bind(&x).bind(&y).messages()?)?;
    let output = recording.download(&y)?;
    let (graph, slots) = recording.finish();
    Ok((graph, slots, input, output))
}

#[test]
fn a_replay_uploads_what_was_written_and_downloads_what_is_read() -> Result<()> {
    for device in devices() {
        // The last is more than wgpu stages in one piece, and less than it stages at once.
        for n in [1, 300, 2 << 20] {
            let (graph, mut slots, input, output) = mix(&device, n)?;
            assert_eq!((graph.len(), slots.len(), slots[input].len()), (3, 2, n));
            let mut expected = vec![0_u32; n];
            for round in 0..4_u32 {
                slots[input].iter_mut().zip(0..).for_each(|(x, i)| *x = round * i + 7);
                expected.iter_mut().zip(&slots[input]).for_each(|(y, x)| *y = y.wrapping_mul(3).wrapping_add(*x));
                let before = device.stats().accepted;
                let done = graph.replay().label("mix").run(slots)?.wait();
                assert_eq!(device.stats().accepted, before + 1, "one message");
                let form = if device.id().starts_with("wgpu") { "one submission" } else { "one command" };
                assert_eq!(done.receipt.form, Some(form));
                slots = done.ok()?;
                assert!(slots[output] == expected, "round {round} of {n} on {}", device.id());
            }
        }
    }
    Ok(())
}

#[test]
fn views_of_buffers_and_odd_ends_are_moved_and_nothing_else() -> Result<()> {
    for device in devices() {
        let bytes = device.buffer::<u8>(11)?;
        let words = device.buffer::<u32>(100)?;
        device.upload(&bytes).send((0..11).collect::<Vec<u8>>())?;
        device.upload(&words).send((0..100).collect::<Vec<u32>>())?;
        let mut recording = device.record();
        let (end, middle) = (recording.upload(bytes.view(8..11)?)?, recording.upload(words.view(10..20)?)?);
        let (all, some) = (recording.download(&bytes)?, recording.download(words.view(9..12)?)?);
        let none = recording.download(words.view(5..5)?)?;
        let (graph, mut slots) = recording.finish();
        slots[end].copy_from_slice(&[50, 51, 52]);
        slots[middle].fill(7);
        let slots = graph.replay().run(slots)?.wait().ok()?;
        assert_eq!(slots[all], [0, 1, 2, 3, 4, 5, 6, 7, 50, 51, 52], "on {}", device.id());
        assert_eq!((&slots[some], slots[none].len()), (&[9, 7, 7][..], 0));
        let words = device.download(&words).wait()?;
        assert!((0..100).all(|i| words[i] == if (10..20).contains(&i) { 7 } else { i as u32 }));
    }
    Ok(())
}

#[test]
fn replays_are_ordered_with_what_else_touches_the_same_bytes() -> Result<()> {
    for device in devices() {
        let x = device.buffer::<u32>(64)?;
        let mut recording = device.record();
        let input = recording.upload(x.view(0..32)?)?;
        let (graph, mut slots) = recording.finish();
        for round in 0..50_u32 {
            slots[input].fill(round);
            let replay = graph.replay().run(slots)?;
            let read = device.download(&x).range(16..48).send()?;
            drop(device.upload(&x).at(32).send(vec![round + 1; 32])?);
            assert!(read.wait().ok()?.into_iter().eq([[round; 16], [round; 16]].concat()), "on {}", device.id());
            slots = replay.wait().ok()?;
        }
    }
    Ok(())
}

#[test]
fn what_is_not_the_graphs_is_refused_and_comes_back() -> Result<()> {
    let device = Device::open("cpu")?;
    let (graph, slots, input, _) = mix(&device, 8)?;
    let (_, mut others, other, _) = mix(&device, 8)?;
    others[other].fill(9);
    let refused = graph.replay().run(others).expect_err("another graph's");
    assert_eq!(refused.error.to_string(), "the slots: are another graph's");
    assert_eq!(refused.buffer[other], [9; 8]);

    let imported = device.import::<u32>(vec![1; 8].into())?;
    let there = Device::open("cpu")?.buffer::<u32>(8)?;
    let mut recording = device.record();
    assert!(matches!(recording.upload(&imported), Err(Error::Argument { .. })), "it is read-only");
    assert!(matches!(recording.download(&there), Err(Error::Argument { .. })), "it is another device's");
    // Without its memory the first graph is not replayed any more, and that is all.
    drop((slots, graph));
    let (nothing, slots) = device.record().finish();
    assert!(slots.is_empty() && nothing.is_empty());
    let slots = nothing.replay().run(slots)?.wait().ok()?;
    let foreign = std::panic::AssertUnwindSafe(|| slots[input].len());
    assert!(std::panic::catch_unwind(foreign).is_err(), "a slot of another graph");
    Ok(())
}

#[test]
fn it_costs_the_bytes_that_it_moves_and_comes_back_when_it_is_taken_back() -> Result<()> {
    let device = Device::open("cpu")?;
    let (graph, mut slots, input, output) = mix(&device, 100)?;
    let queue = device.queue("tight").bytes(1000).open();
    let (fence, signal) = device.promise();
    queue.wait_for(&fence)?;
    slots[input].fill(5);
    let ticket = graph.replay().on(&queue).run(slots)?;
    assert_eq!(queue.stats().free_bytes, 200);
    assert_eq!(ticket.cancel(), CancelOutcome::NotStarted);
    signal.signal();
    let done = ticket.wait();
    assert_eq!(done.result.expect_err("cancelled").kind, FailureKind::Cancelled);
    let slots = done.buffer.expect("it never went out");
    assert_eq!((slots[input][0], slots[output][0]), (5, 0));
    queue.close();
    let refused = graph.replay().on(&queue).run(slots).expect_err("closed");
    assert!(matches!(refused.error, Error::Refused { why: Refusal::Closed, .. }));
    let again = graph.replay().run(refused.buffer)?.wait();
    let error = again.result.expect_err("it reads what the one that was cancelled was to write");
    assert!(matches!(error.kind, FailureKind::Upstream { .. }), "{error}");
    assert_eq!(again.buffer.expect("it comes back all the same")[input], [5; 100]);
    Ok(())
}

static DOOR: AtomicBool = AtomicBool::new(false);

static WAITS: Kernel = Kernel::new("mix", MIX).with_grid(Grid::Fixed([1, 1, 1])).with_native(|_| {
    while !DOOR.load(SeqCst) {
        thread::sleep(Duration::from_micros(100));
    }
});

#[test]
fn memory_that_a_lost_device_may_still_touch_is_nobodys() -> Result<()> {
    let device = Device::open("cpu")?;
    let (x, y) = (device.buffer::<u32>(8)?, device.buffer::<u32>(8)?);
    let mut recording = device.record();
    recording.upload(&x)?;
    recording.add(device.launch(&WAITS).bind(&x).bind(&y).messages()?)?;
    let output = recording.download(&y)?;
    let (graph, slots) = recording.finish();
    assert_eq!(slots[output], [0; 8]);
    let ticket = graph.replay().run(slots)?;
    while ticket.explain().is_some_and(|why| why.waits != wharf::Wait::Device) {
        thread::yield_now();
    }
    device.declare_lost("pulled");
    let done = ticket.wait();
    assert!(matches!(done.result.expect_err("lost").kind, FailureKind::DeviceLost(_)));
    assert!(done.buffer.is_none());
    assert_eq!(device.stats().leaked_buffers, 1);
    DOOR.store(true, SeqCst);
    Ok(())
}
