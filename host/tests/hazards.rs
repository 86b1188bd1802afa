//! Messages that touch the same buffer wait for each other by themselves; those that do not, and those
//! that only read, go side by side. A launch that stays until a door opens shows which is which.

use std::{
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
    time::Duration,
};

use wharf::{Buffer, Cause, Device, FailPolicy, FailureKind, Grid, Kernel, Result, Ticket, Wait};

const SOURCE: &str = "
@group(0) @binding(0) var<storage, read> door: array<u32>;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(1) fn step() { y[0] = x[0] + door[0]; }";

static DOORS: [AtomicBool; 6] = [const { AtomicBool::new(false) }; 6];

/// Reads `x` and writes `y` once its door is open.
static STEP: Kernel = Kernel::new("step", SOURCE).with_grid(Grid::Fixed([1, 1, 1])).with_native(|dispatch| {
    let [door, x, y] = dispatch.args else { unreachable!("three bindings") };
    while !DOORS[door.read::<u32>()[0] as usize].load(SeqCst) {
        thread::sleep(Duration::from_micros(100));
    }
    y.write::<u32>()[0] = x.read::<u32>()[0] + 1;
});

/// A device on which a launch reads `x`, writes `y`, and stays.
struct Busy {
    device: Device,
    door: usize,
    x: Buffer<u32>,
    y: Buffer<u32>,
    launch: Ticket<()>,
}

impl Busy {
    /// Each test has a door of its own.
    fn new(door: usize) -> Result<Self> {
        let device = Device::open("cpu")?;
        let number = device.buffer::<u32>(1)?;
        let (x, y) = (device.buffer_named::<u32>(1, "weights")?, device.buffer_named::<u32>(1, "sums")?);
        device.upload(&number).send(vec![door as u32])?.wait().ok()?;
        device.upload(&x).send(vec![41])?.wait().ok()?;
        let launch = device.launch(&STEP).bind(&number).bind(&x).bind(&y).run()?;
        Ok(Self { device, door, x, y, launch })
    }

    /// Lets the launch go on, and waits for it.
    fn finish(self) -> Result<Device> {
        DOORS[self.door].store(true, SeqCst);
        self.launch.wait().ok()?;
        Ok(self.device)
    }
}

#[test]
fn readers_go_side_by_side() -> Result<()> {
    let busy = Busy::new(0)?;
    // The launch reads it, too, and is not over.
    for _ in 0..10 {
        assert_eq!(*busy.device.download(&busy.x).wait()?, [41]);
    }
    assert_eq!(busy.launch.explain().expect("unresolved").waits, Wait::Device);
    busy.finish().map(drop)
}

#[test]
fn what_is_independent_goes_side_by_side() -> Result<()> {
    let busy = Busy::new(1)?;
    let (device, z) = (&busy.device, busy.device.buffer::<u32>(1)?);
    for round in 0..10 {
        device.upload(&z).send(vec![round])?;
        assert_eq!(*device.download(&z).wait()?, [round]);
    }
    assert_eq!(busy.launch.explain().expect("unresolved").waits, Wait::Device);
    busy.finish().map(drop)
}

#[test]
fn what_depends_waits_and_says_for_what_and_why() -> Result<()> {
    let busy = Busy::new(2)?;
    let (device, first) = (&busy.device, busy.launch.id());
    let write = device.upload(&busy.x).send(vec![1])?;
    let read = device.download(&busy.y).send()?;
    let over = device.queue("over").open();
    let overwrite = device.upload(&busy.y).on(&over).send(vec![2])?;
    let reread = device.download(&busy.x).send()?;

    let edges = |why: wharf::Explanation| -> Vec<_> {
        why.after.into_iter().map(|edge| (edge.on, edge.cause, edge.buffer.expect("a buffer").to_string())).collect()
    };
    let explain = |ticket: &Ticket<Vec<u32>>| edges(ticket.explain().expect("unresolved"));
    assert_eq!(explain(&write), [(first, Cause::WriteAfterRead, "weights".into())]);
    assert_eq!(explain(&read), [(first, Cause::ReadAfterWrite, "sums".into())]);
    let both = [(first, Cause::WriteAfterWrite, "sums".into()), (read.id(), Cause::WriteAfterRead, "sums".into())];
    assert_eq!(explain(&overwrite), both);
    assert_eq!(explain(&reread), [(write.id(), Cause::ReadAfterWrite, "weights".into())]);
    let words = write.explain().expect("unresolved").to_string();
    assert!(words.ends_with(&format!("after {first}: it writes `weights`, which that one reads")), "{words}");

    let device = busy.finish()?;
    assert_eq!(read.wait().ok()?, [42], "before it was overwritten");
    assert_eq!(reread.wait().ok()?, [1], "after it was overwritten");
    write.wait().ok()?;
    overwrite.wait().ok()?;
    device.drain();
    Ok(())
}

#[test]
fn a_queue_that_waits_for_a_fence_says_so() -> Result<()> {
    let busy = Busy::new(3)?;
    let (fence, signal) = busy.device.promise_named("the sensor");
    let queue = busy.device.queue("gated").open();
    queue.wait_for(&fence)?;
    let z = busy.device.buffer::<u32>(1)?;
    let gated = busy.device.upload(&z).on(&queue).send(vec![1])?;
    let why = gated.explain().expect("unresolved");
    let Wait::For(edge) = &why.waits else { panic!("{why}") };
    assert_eq!((edge.on, edge.cause, &edge.buffer), (fence.id(), Cause::Fence, &None));
    assert_eq!(why.after, std::slice::from_ref(edge));
    signal.signal();
    gated.wait().ok()?;
    busy.finish().map(drop)
}

#[test]
fn who_waits_for_whom_is_told_to_the_end() -> Result<()> {
    let busy = Busy::new(4)?;
    let device = &busy.device;
    let (up, down) = (device.queue("up").open(), device.queue("down").open());
    let z = device.buffer_named::<u32>(1, "totals")?;
    let copy = device.copy(&busy.y, &z).on(&up).label("the copy").send()?;
    // The copy is with the device, behind the launch; the clear is held back by the program.
    let (fence, signal) = device.promise_named("the sensor");
    up.wait_for(&fence)?;
    let clear = device.clear(&z).on(&up).send()?;
    let last = device.download(&z).on(&down).send()?;
    let stalls = device.stalled(Duration::ZERO);
    let of = |name: &str| stalls.iter().find(|stall| &*stall.queue == name).expect("it has a message");
    let ids = |name| of(name).chain.iter().map(|why| why.message).collect::<Vec<_>>();
    assert_eq!(ids("down"), [last.id(), clear.id(), fence.id()]);
    assert_eq!(ids("up"), [copy.id()]);
    let chain = &of("down").chain;
    assert_eq!(chain[2].label.as_deref(), Some("the sensor"));
    let words = of("down").to_string();
    let tail = format!(
        "message {} waits for {}: it reads `totals`, which that one writes; message {} waits for {}: its queue waits for that fence; message {} waits for its signal",
        last.id(),
        clear.id(),
        clear.id(),
        fence.id(),
        fence.id()
    );
    assert!(words.starts_with("queue `down` for ") && words.ends_with(&tail), "{words}");
    assert!(device.stalled(Duration::MAX).is_empty());
    signal.signal();
    let device = busy.finish()?;
    copy.wait().ok()?;
    clear.wait().ok()?;
    assert_eq!(last.wait().ok()?, [0]);
    assert!(device.stalled(Duration::ZERO).is_empty());
    Ok(())
}

#[test]
fn parts_of_a_buffer_that_do_not_overlap_go_side_by_side() -> Result<()> {
    const DOOR: usize = 5;
    let device = Device::open("cpu")?;
    let number = device.buffer::<u32>(1)?;
    let cells = device.buffer_named::<u32>(12, "cells")?;
    device.upload(&number).send(vec![DOOR as u32])?.wait().ok()?;
    device.upload(&cells).send((100..112).collect::<Vec<_>>())?.wait().ok()?;
    let (x, y) = (cells.view(0..1)?, cells.view(4..8)?);
    let launch = device.launch(&STEP).bind(&number).bind(&x).bind(&y).run()?;
    for round in 0..10 {
        device.upload(&cells).at(8).send(vec![round; 4])?;
        assert_eq!(device.download(&cells).range(8..12).wait()?[..], [round; 4]);
        assert_eq!(device.download(&cells).range(0..4).wait()?[..], [100, 101, 102, 103], "both read the first");
    }
    assert_eq!(launch.explain().expect("unresolved").waits, Wait::Device);

    let written = device.download(&cells).range(6..10).send()?;
    let over = device.queue("over").open();
    let read = device.upload(&cells).at(0).on(&over).send(vec![7; 2])?;
    let edge = &written.explain().expect("unresolved").after[0];
    assert_eq!((edge.on, edge.cause, &edge.bytes), (launch.id(), Cause::ReadAfterWrite, &Some(24..32)));
    let words = read.explain().expect("unresolved").to_string();
    let tail = format!("after {}: it writes bytes 0..4 of `cells`, which that one reads", launch.id());
    assert!(words.ends_with(&tail), "{words}");
    DOORS[DOOR].store(true, SeqCst);
    launch.wait().ok()?;
    assert_eq!(written.wait().ok()?, [106, 107, 9, 9]);
    read.wait().ok()?;
    assert_eq!(device.download(&cells).range(0..5).wait()?[..], [7, 7, 102, 103, 101]);
    Ok(())
}

#[test]
fn a_part_that_failed_fails_what_reads_it_until_it_is_written_again() -> Result<()> {
    let device = Device::open("sim:gen5x16,h200,fail=2")?;
    let queue = device.queue("parts").policy(FailPolicy::Continue).open();
    let x = device.buffer::<u32>(100)?;
    let up = |from: usize, value| device.upload(&x).at(from).on(&queue).send(vec![value; 50]);
    let (first, second) = (up(0, 1)?, up(50, 2)?);
    let down = |from: usize, to| device.download(&x).range(from..to).on(&queue).send();
    let (early, late, all) = (down(0, 50)?, down(60, 70)?, down(0, 100)?);
    first.wait().ok()?;
    let root = second.wait().result.expect_err("the script says so");
    assert_eq!(early.wait().ok()?, [1; 50]);
    for reader in [late, all, down(99, 100)?] {
        let error = reader.wait().result.expect_err("it reads what was never made");
        assert!(matches!(&error.kind, FailureKind::Upstream { root: of } if *of == root), "{error}");
    }
    up(50, 3)?.wait().ok()?;
    assert_eq!(down(60, 70)?.wait().ok()?, [3; 10], "it is good again");
    Ok(())
}
