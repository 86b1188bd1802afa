//! What only the CPU device does, and how launches are checked.

use std::sync::Arc;

use wharf::{Device, Grid, Kernel, Need, Path, native::Dispatch};

const SCALE: &str = "
struct Params { n: u32, by: f32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;
@compute @workgroup_size(64)
fn scale(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < params.n { y[id.x] = params.by * x[id.x]; }
}";

fn scale(dispatch: &mut Dispatch<'_>) {
    let n = u32::from_le_bytes(dispatch.uniform[..4].try_into().unwrap()) as usize;
    let by = f32::from_le_bytes(dispatch.uniform[4..8].try_into().unwrap());
    let [x, y] = dispatch.args else { unreachable!("two bindings") };
    for (y, x) in y.write::<f32>().iter_mut().zip(&x.read::<f32>()[..n]) {
        *y = by * x;
    }
}

static KERNEL: Kernel = Kernel::new("scale", SCALE)
    .with_native(scale)
    .with_grid(Grid::Elements { of: "x", per_group: 64 })
    .with_needs(&[Need::product("x", &["n"]), Need::product("y", &["n"])]);

fn device() -> Device {
    Device::open("cpu").expect("the CPU device is always there")
}

#[test]
fn a_launch_waits_for_its_uploads_and_a_download_for_the_launch() -> wharf::Result<()> {
    let device = device();
    let (x, y) = (device.buffer::<f32>(100_003)?, device.buffer::<f32>(100_003)?);
    for round in 0..50_u32 {
        drop(device.upload(&x).fill(|i| i as f32 + round as f32)?);
        drop(device.launch(&KERNEL).bind(&x).bind(&y).arg("by", 2.0_f32).run()?);
        let y = device.download(&y).wait()?;
        assert!(y.iter().enumerate().all(|(i, &y)| y == 2.0 * (i as f32 + round as f32)), "round {round}");
    }
    device.drain();
    let stats = device.stats();
    assert_eq!((stats.accepted, stats.dead_lettered, stats.in_flight), (150, 0, 0));
    assert_eq!(stats.accepted, stats.delivered + stats.detached_ok);
    assert_eq!(stats.staging_bytes, 0);
    Ok(())
}

#[test]
fn a_fill_that_covers_a_buffer_becomes_its_memory() -> wharf::Result<()> {
    let device = device();
    let buffer = device.buffer::<u32>(1024)?;
    let receipt = device.upload(&buffer).fill(|i| i as u32)?.wait().receipt;
    assert_eq!(receipt.path, Path::Direct);
    let part = device.upload(&buffer).at(1000).fill(|i| i as u32)?.wait().receipt;
    assert_eq!(part.path, Path::Filled);
    assert_eq!(device.download(&buffer).range(999..1002).wait()?[..], [999, 0, 1]);
    Ok(())
}

/// Nothing is moved, so no thread is woken for it.
#[test]
fn a_large_fill_that_covers_a_buffer_is_over_once_it_is_sent() -> wharf::Result<()> {
    let device = device();
    let buffer = device.buffer::<u32>(1 << 20)?;
    for round in 0..20 {
        let sent = device.upload(&buffer).fill(|i| i as u32 + round)?;
        assert!(sent.try_take().is_ok_and(|done| done.receipt.path == Path::Direct), "round {round}");
    }
    assert_eq!(device.download(&buffer).range(7..8).wait()?[..], [26]);
    Ok(())
}

#[test]
fn imported_data_is_used_where_it_is_and_is_never_written() -> wharf::Result<()> {
    let device = device();
    let data: Arc<[f32]> = (0..1000).map(|i| i as f32).collect();
    let (x, y) = (device.import(data.clone())?, device.buffer::<f32>(1000)?);
    drop(device.launch(&KERNEL).bind(&x).bind(&y).arg("by", 3.0_f32).run()?);
    assert_eq!(device.download(&y).wait()?[999], 2997.0);
    let refused = device.launch(&KERNEL).bind(&y).bind(&x).arg("by", 3.0_f32).run().unwrap_err();
    assert_eq!(refused.to_string(), "scale.y: is written, and its buffer was imported and is read-only");
    assert!(device.upload(&x).send(vec![0.0; 1000]).is_err());
    Ok(())
}

#[test]
fn bad_launches_are_one_clear_line_and_queue_nothing() -> wharf::Result<()> {
    let device = device();
    let (x, y) = (device.buffer::<f32>(64)?, device.buffer::<f32>(63)?);
    let ints = device.buffer::<u32>(64)?;
    let launch = || device.launch(&KERNEL);
    let line = |launch: wharf::Launch<'_>| launch.run().unwrap_err().to_string();
    assert_eq!(line(launch().bind(&x).arg("by", 1.0_f32)), "scale.y: array<f32> is not bound");
    assert_eq!(line(launch().bind(&x).bind(&x).bind(&x)), "scale: has 2 storage bindings, 3 are bound");
    assert_eq!(line(launch().bind(&x).bind(&ints)), "scale.y is array<f32>, got u32");
    assert_eq!(line(launch().bind(&x).bind(&x)), "scale.x and .y: share memory that one of them writes");
    assert_eq!(line(launch().bind_as("z", &x)), "scale.z: no such storage binding, there is: x, y");
    assert_eq!(line(launch().bind(&x).bind(&y)), "scale.by: f32 is not given");
    assert_eq!(line(launch().bind(&x).bind(&y).arg("by", 1_u32)), "scale.by is f32, got u32");
    assert_eq!(line(launch().bind(&x).bind(&y).arg("of", 1_u32)), "scale.of: no such parameter, there is: n, by");
    assert_eq!(line(launch().bind(&x).bind(&y).arg("by", 1.0_f32)), "scale.y needs 64 elements, got 63");
    assert_eq!(device.stats().accepted, 0);
    Ok(())
}

#[test]
fn bad_transfers_are_one_clear_line_with_the_buffers_name() -> wharf::Result<()> {
    let (device, other) = (device(), Device::open("cpu")?);
    let (x, y) = (device.buffer_named::<u32>(4, "weights")?, device.buffer::<u32>(5)?);
    let name = y.name();
    let foreign = other.buffer_named::<u32>(4, "theirs")?;
    let constants = device.import(Arc::from([1_u8, 2, 3, 4]))?;
    let lines = [
        (
            device.upload(&x).at(2).send(vec![1; 3]).unwrap_err().error,
            "the upload to `weights` needs 5 elements, got 4",
        ),
        (device.upload(&x).at(5).fill(|_| 1).unwrap_err(), "the upload to `weights` needs 5 elements, got 4"),
        (device.upload(&x).copy_from(&[1; 5]).unwrap_err(), "the upload to `weights` needs 5 elements, got 4"),
        (device.download(&x).range(2..5).wait().unwrap_err(), "range 2..5 of `weights` needs 5 elements, got 4"),
        (
            device.download(&y).into(device.pinned(4)?).unwrap_err().error,
            &format!("the host memory that `{name}` is downloaded into needs 5 elements, got 4"),
        ),
        (
            device.download(&y).range(0..1).into(device.pinned(0)?).unwrap_err().error,
            &format!("the host memory that `{name}` is downloaded into needs 1 elements, got 0"),
        ),
        (
            device.copy(&x, &y).send().unwrap_err(),
            &format!("`{name}`, the destination of a copy of `weights`, needs 4 elements, got 5"),
        ),
        (device.copy(&x, &x).send().unwrap_err(), "the copy of `weights`: the source is the destination"),
        (device.clear(&foreign).send().unwrap_err(), "`theirs`: belongs to another `Device::open` of cpu"),
        (
            device.clear(&constants).send().unwrap_err(),
            &format!("`{}`: was imported and is read-only", constants.name()),
        ),
        (
            device.download(&constants).range(1..3).wait().unwrap_err(),
            &format!("elements 1..3 of `{}`, bytes 1..3: transfers begin at", constants.name()),
        ),
    ];
    for (error, words) in lines {
        assert!(error.to_string().starts_with(words), "{error}");
    }
    assert_eq!(device.stats().accepted, 0);
    Ok(())
}

#[test]
fn unknown_devices_say_what_would_be_right() {
    let built = cfg!(feature = "wgpu");
    for (name, words) in [
        ("gpu", "no device `gpu`: a device is called "),
        ("wgpu:x", if built { "is a number, as in `wgpu:0`" } else { "built without the feature `wgpu`" }),
        ("cpu:1", "no device `cpu:1`: there is one cpu device, called `cpu`"),
    ] {
        let error = Device::open(name).unwrap_err();
        assert!(error.is_unavailable());
        assert!(error.to_string().contains(words), "{error}");
    }
    assert_eq!(Device::open("cpu:0").map(|device| device.id().to_owned()).ok().as_deref(), Some("cpu"));
}

#[test]
fn looking_out_for_ever_is_looking_out_for_an_hour() -> wharf::Result<()> {
    let device = Device::open_with("cpu", wharf::Options::new().spin(std::time::Duration::MAX))?;
    let x = device.buffer::<u32>(100_000)?;
    // More than what is over as it is accepted: a lane's thread does it, and this one looks out for its end.
    let done = device.upload(&x).send(vec![7; 100_000])?.wait_timeout(std::time::Duration::from_secs(60));
    assert_eq!(done.expect("no thread has panicked").ok()?, [7; 100_000]);
    assert_eq!(device.download(&x).wait()?[..], [7; 100_000]);
    Ok(())
}

/// Each side is one that the device can do.
#[test]
fn workgroups_past_counting_are_refused_before_they_are_queued() -> wharf::Result<()> {
    let device = device();
    let (x, y) = (device.buffer::<f32>(1)?, device.buffer::<f32>(1)?);
    let error = device.launch(&KERNEL).bind(&x).bind(&y).arg("by", 2.0_f32).groups([u32::MAX; 3]).run().unwrap_err();
    let words = "4294967295 x 4294967295 x 4294967295 workgroups of scale: more than 2^64 - 1 in all";
    assert_eq!((error.to_string().as_str(), device.stats().accepted), (words, 0));
    Ok(())
}
