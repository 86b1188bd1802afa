//! Messages that touch the same bytes of a buffer wait for each other; those that touch other parts of it do
//! not, and fail apart. A launch that stays until a door opens shows which is which.

use std::{
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
    time::Duration,
};

use wharf::{Cause, Device, FailPolicy, FailureKind, Grid, Kernel, Result, Wait};

const SOURCE: &str = "
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(1) fn step() { y[0] = x[0] + 1; }";

static DOOR: AtomicBool = AtomicBool::new(false);

/// Reads `x` and writes `y` once the door is open.
static STEP: Kernel = Kernel::new("step", SOURCE).with_grid(Grid::Fixed([1, 1, 1])).with_native(|dispatch| {
    let [x, y] = dispatch.args else { unreachable!("two bindings") };
    while !DOOR.load(SeqCst) {
        thread::sleep(Duration::from_micros(100));
    }
    y.write::<u32>()[0] = x.read::<u32>()[0] + 1;
});

#[test]
fn parts_of_a_buffer_that_do_not_overlap_go_side_by_side() -> Result<()> {
    let device = Device::open("cpu")?;
    let cells = device.buffer_named::<u32>(12, "cells")?;
    device.upload(&cells).send((100..112).collect::<Vec<_>>())?.wait().ok()?;
    let (x, y) = (cells.view(0..1)?, cells.view(4..8)?);
    let launch = device.launch(&STEP).bind(&x).bind(&y).run()?;
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
    DOOR.store(true, SeqCst);
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
