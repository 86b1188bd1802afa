//! A kernel without end costs no more than its device: when that is gone, its threads are.

use std::time::{Duration, Instant};

use wharf::{Device, Kernel};

const ENDLESS: &str = "
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(64)
fn endless(@builtin(global_invocation_id) id: vec3<u32>) {
    loop { if x[id.x] == 1u { break; } }
}";

/// The threads of CPU devices in this process, where the system lists them.
fn threads() -> Option<usize> {
    let tasks = std::fs::read_dir("/proc/self/task").ok()?;
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    Some(names.filter(|name| name.starts_with("wharf cpu")).count())
}

#[test]
fn a_kernel_without_end_ends_some_time_after_its_device() -> wharf::Result<()> {
    let Some(before) = threads() else {
        println!("skipped: this system does not list a process's threads");
        return Ok(());
    };
    let (device, kernel) = (Device::open("cpu")?, Kernel::from_wgsl(ENDLESS)?);
    let x = device.buffer::<u32>(256)?;
    device.upload(&x).fill(|_| 0)?;
    let mut ticket = device.launch(&kernel).bind(&x).groups([4, 1, 1]).run()?;
    ticket = match ticket.wait_timeout(Duration::from_millis(50)) {
        Ok(_) => panic!("it has no end"),
        Err(ticket) => ticket,
    };
    drop((ticket, x, kernel));
    let running = threads().unwrap_or(0);
    assert!(running > before, "the device has threads");
    drop(device);
    let begun = Instant::now();
    while threads() > Some(before) {
        assert!(begun.elapsed() < Duration::from_secs(30), "{running} threads, {:?} now", threads());
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
