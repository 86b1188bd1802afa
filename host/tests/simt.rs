//! The CPU device runs any WGSL, and says which form ran.

use wharf::{Device, Error, Kernel, Twin};

const KERNEL: &str = "
struct Params { by: u32 }
override WIDTH: u32 = 32;
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;
@group(0) @binding(3) var<uniform> more: vec2<u32>;
var<workgroup> tile: array<u32, 64>;
@compute @workgroup_size(WIDTH)
fn turn(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) i: u32) {
    tile[i] = x[id.x] * params.by + more.y;
    workgroupBarrier();
    y[id.x] = tile[WIDTH - 1u - i];
}";

#[test]
fn workgroups_of_any_wgsl_share_memory_on_the_cpu() -> wharf::Result<()> {
    let (device, kernel) = (Device::open("cpu")?, Kernel::from_wgsl(KERNEL)?);
    let (x, y) = (device.buffer::<u32>(128)?, device.buffer::<u32>(128)?);
    device.upload(&x).fill(|i| i as u32)?;
    for width in [32_u32, 64] {
        let launch = device.launch(&kernel).bind(&x).bind(&y).arg("by", 10_u32).arg("x", 7_u32).arg("y", 1_u32);
        let done = launch.set("WIDTH", width.into()).groups([128 / width, 1, 1]).run()?.wait();
        let form = done.receipt.form.expect("a launch has a form");
        assert!(form.starts_with("simt ") && form.ends_with(": no native twin"), "{form}");
        done.ok()?;
        let turned = |i: u32| (i / width * width + width - 1 - i % width) * 10 + 1;
        assert_eq!(*device.download(&y).wait()?, *(0..128).map(turned).collect::<Vec<_>>());
    }
    Ok(())
}

#[test]
fn what_is_too_long_to_compile_is_interpreted_and_says_so() -> wharf::Result<()> {
    let steps = "n = n * 3u + 1u;".repeat(8000);
    let kernel = Kernel::from_wgsl(format!(
        "@group(0) @binding(0) var<storage, read_write> x: array<u32>;
         @compute @workgroup_size(1) fn long() {{ var n = x[0]; {steps} x[0] = n; }}"
    ))?;
    let device = Device::open("cpu")?;
    let x = device.buffer::<u32>(1)?;
    device.upload(&x).fill(|_| 5)?;
    let done = device.launch(&kernel).bind(&x).groups([1, 1, 1]).run()?.wait();
    assert_eq!(done.receipt.form, Some("simt interpreter: the kernel is too long to compile"));
    done.ok()?;
    let expected = (0..8000).fold(5_u32, |n, _| n.wrapping_mul(3).wrapping_add(1));
    assert_eq!(*device.download(&x).wait()?, [expected]);
    Ok(())
}

#[test]
fn a_device_of_native_twins_refuses_other_kernels() -> wharf::Result<()> {
    let (device, kernel) = (Device::open_with("cpu", Twin::Native)?, Kernel::from_wgsl(KERNEL)?);
    assert!(matches!(device.prepare(&kernel), Err(Error::NoForm { .. })));
    Ok(())
}

#[test]
fn a_workgroup_that_breaks_its_rules_fails_its_own_message() -> wharf::Result<()> {
    let kernel = Kernel::from_wgsl(
        "@group(0) @binding(0) var<storage, read_write> x: array<u32>;
         var<workgroup> seen: u32;
         @compute @workgroup_size(2)
         fn split(@builtin(local_invocation_index) i: u32) {
             if x[i] > 0u { workgroupBarrier(); }
             x[i] = seen;
         }",
    )?;
    let device = Device::open("cpu")?;
    let x = device.buffer::<u32>(2)?;
    device.upload(&x).fill(|i| i as u32)?;
    let done = device.launch(&kernel).bind(&x).groups([1, 1, 1]).run()?.wait();
    let line = done.result.unwrap_err().to_string();
    assert!(line.contains("barrier") && line.contains('5'), "the kind and the line: {line}");
    Ok(())
}

#[test]
fn what_the_device_says_of_subgroups_and_half_floats_is_what_kernels_see() -> wharf::Result<()> {
    let device = Device::open("cpu")?;
    let size = Kernel::from_wgsl(
        "@group(0) @binding(0) var<storage, read_write> x: array<u32>;
         @compute @workgroup_size(40)
         fn size(@builtin(subgroup_size) size: u32, @builtin(local_invocation_index) i: u32) { x[i] = size; }",
    )?;
    let x = device.buffer::<u32>(40)?;
    device.launch(&size).bind(&x).groups([1, 1, 1]).run()?.wait().ok()?;
    let (least, most) = device.capabilities().subgroup_sizes;
    let seen = device.download(&x).wait()?;
    assert!(seen.iter().all(|size| (least..=most).contains(size)), "{least} to {most}, seen {seen:?}");
    assert!(seen.contains(&least) && seen.contains(&most));

    let half = Kernel::from_wgsl(
        "enable f16;
         @group(0) @binding(0) var<storage, read_write> x: array<u32>;
         @compute @workgroup_size(1) fn half() { x[0] = u32(f16(x[1]) + 0.25h); }",
    )?;
    // Half floats count in twos from 2048 on.
    device.upload(&x).fill(|_| 2051)?;
    let ran = device.launch(&half).bind(&x).groups([1, 1, 1]).run()?.wait().ok();
    assert_eq!(ran.is_ok(), device.capabilities().f16, "{ran:?}");
    assert_eq!(device.download(&x).wait()?[0], 2052);
    Ok(())
}
