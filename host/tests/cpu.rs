//! The public promises of queues and tickets, on the CPU device.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use wharf::{
    CompletionQueue, Device, Error, FailPolicy, FailureKind, Grid, Kernel, Need, Path, Refusal, native::Dispatch,
};

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
    assert!(!by.is_nan(), "by is NaN");
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
fn what_goes_up_comes_down() -> wharf::Result<()> {
    let device = device();
    for n in [0, 1, 3, 16, 17, 1023, 1 << 20] {
        let data: Vec<u32> = (0..n).map(|i| i * 2_654_435_761).collect();
        let buffer = device.buffer::<u32>(data.len())?;
        let back = device.upload(&buffer).send(data.clone())?.wait();
        assert_eq!(back.ok()?, data, "the owned buffer comes back");
        assert_eq!(*device.download(&buffer).wait()?, *data);
    }
    Ok(())
}

#[test]
fn bytes_of_any_length_survive() -> wharf::Result<()> {
    let device = device();
    for n in [1_usize, 2, 3, 5, 63, 65, 67, 4097] {
        let data: Vec<u8> = (0..n).map(|i| i as u8 ^ 0x5a).collect();
        let buffer = device.buffer::<u8>(n)?;
        device.upload(&buffer).send(data.clone())?.wait().ok()?;
        assert_eq!(*device.download(&buffer).wait()?, *data);
    }
    Ok(())
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
fn a_failure_travels_along_the_data_and_a_rewrite_heals_it() -> wharf::Result<()> {
    let device = device();
    let (x, y) = (device.buffer::<f32>(64)?, device.buffer::<f32>(64)?);
    let broken = device.launch(&KERNEL).bind(&x).bind(&y).arg("by", f32::NAN).run()?;
    let download = device.download(&y).send()?;
    let first = broken.wait().result.unwrap_err();
    assert!(first.to_string().contains("by is NaN"), "{first}");
    let second = download.wait();
    assert_eq!(second.buffer.map(|buffer| buffer.len()), Some(64), "the buffer comes back with the failure");
    let FailureKind::Upstream { root } = &second.result.unwrap_err().kind.clone() else { panic!("not upstream") };
    assert_eq!(*root, first);
    assert!(device.download(&y).wait().is_err(), "what was never made stays unmade");
    drop(device.upload(&y).fill(|_| 1.0)?);
    assert_eq!(device.download(&y).wait()?[63], 1.0);
    Ok(())
}

#[test]
fn a_queue_that_stops_aborts_what_is_behind_and_resumes() -> wharf::Result<()> {
    let device = device();
    let queue = device.queue("work").open();
    let (x, y, z) = (device.buffer::<f32>(64)?, device.buffer::<f32>(64)?, device.buffer::<f32>(64)?);
    // The slow upload keeps everything behind it waiting until all is accepted.
    let big = device.buffer::<u8>(64 << 20)?;
    let slow = device.upload(&big).on(&queue).send(vec![1; 64 << 20])?;
    let bad = device.launch(&KERNEL).bind(&x).bind(&y).arg("by", f32::NAN).on(&queue).run()?;
    let behind = device.download(&z).on(&queue).send();
    slow.wait().ok()?;
    let bad = bad.wait().result.unwrap_err();
    if let Ok(behind) = behind {
        match behind.wait().result {
            Ok(()) => {}
            Err(error) => assert_eq!(error.kind, FailureKind::Aborted { after: bad.id }),
        }
    }
    let refused = device.download(&z).on(&queue).send().unwrap_err();
    assert!(matches!(refused, Error::Refused { why: Refusal::Failed(_), .. }), "{refused}");
    queue.resume();
    assert_eq!(device.download(&z).on(&queue).wait()?.len(), 64);
    Ok(())
}

#[test]
fn a_full_queue_hands_the_message_back() -> wharf::Result<()> {
    let device = device();
    let queue = device.queue("narrow").depth(2).policy(FailPolicy::Continue).open();
    let gate = device.queue("gate").open();
    let big = device.buffer::<u8>(256 << 20)?;
    let slow = device.upload(&big).on(&gate).send(vec![1; 256 << 20])?;
    queue.wait_for(&gate.fence()?)?;
    let small = device.buffer::<u32>(64)?;
    let send = || device.upload(&small).on(&queue).or_refuse().send(vec![7; 64]);
    let (first, second) = (send()?, send()?);
    match send() {
        Err(refused) => {
            assert_eq!(refused.buffer, [7; 64]);
            assert!(matches!(refused.error, Error::Refused { why: Refusal::Full { free_ops: 0, .. }, .. }));
        }
        Ok(_) => assert!(slow.try_take().is_ok(), "accepted only where the gate was open"),
    }
    first.wait().ok()?;
    second.wait().ok()?;
    send()?.wait().ok()?;
    Ok(())
}

#[test]
fn tickets_are_futures_callbacks_and_channels() -> wharf::Result<()> {
    let device = device();
    let buffer = device.buffer::<u32>(16)?;
    let done = pollster::block_on(device.upload(&buffer).send(vec![1; 16])?);
    assert_eq!(done.ok()?, [1; 16]);

    let (sender, called) = mpsc::channel();
    let again = device.clone();
    device.download(&buffer).send()?.on_complete(move |done| {
        // A callback may send messages of its own.
        let next = again.buffer::<u32>(1).and_then(|b| again.download(&b).wait().map(|d| d[0]));
        sender.send((done.ok(), next)).unwrap();
    });
    let (done, next) = called.recv_timeout(Duration::from_secs(10)).expect("the callback runs");
    assert_eq!((done?, next?), (vec![1; 16], 0));

    let queue = CompletionQueue::new();
    for key in 0..3 {
        device.download(&buffer).send()?.forward(&queue, key);
    }
    let keys: Vec<_> = (0..3).map(|_| queue.receiver().recv().unwrap().0).collect();
    assert_eq!(keys, [0, 1, 2], "in the order of acceptance");
    Ok(())
}

#[test]
fn a_panic_in_a_callback_stops_nothing() -> wharf::Result<()> {
    let device = device();
    let buffer = device.buffer::<u32>(16)?;
    device.download(&buffer).send()?.on_complete(|_| panic!("the user's own"));
    let (sender, called) = mpsc::channel();
    device.download(&buffer).send()?.on_complete(move |_| sender.send(()).unwrap());
    called.recv_timeout(Duration::from_secs(10)).expect("the next callback runs");
    assert_eq!(device.stats().callback_panics, 1);
    Ok(())
}

#[test]
fn dropped_tickets_detach_and_their_failures_are_kept() -> wharf::Result<()> {
    let device = device();
    let (x, y) = (device.buffer::<f32>(64)?, device.buffer::<f32>(64)?);
    drop(device.launch(&KERNEL).bind(&x).bind(&y).arg("by", f32::NAN).label("the bad one").run()?);
    drop(y);
    drop(device.upload(&x).fill(|_| 0.0)?);
    device.drain();
    let letters = device.dead_letters().take();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].error.label.as_deref(), Some("the bad one"));
    let stats = device.stats();
    assert_eq!((stats.detached_ok, stats.dead_lettered, stats.in_flight), (1, 1, 0));
    Ok(())
}

#[test]
fn waiting_has_a_timeout_and_gives_the_ticket_back() -> wharf::Result<()> {
    let device = device();
    let big = device.buffer::<u8>(128 << 20)?;
    let mut ticket = device.upload(&big).send(vec![3; 128 << 20])?;
    let mut waits = 0;
    let done = loop {
        match ticket.wait_timeout(Duration::from_micros(50)) {
            Ok(done) => break done,
            Err(again) => (ticket, waits) = (again, waits + 1),
        }
    };
    assert!(waits > 0, "128 MiB take longer than 50 us");
    assert_eq!(done.ok()?.len(), 128 << 20);
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
fn a_fence_carries_the_failure_before_it() -> wharf::Result<()> {
    let device = device();
    let queue = device.queue("work").policy(FailPolicy::Continue).open();
    let (x, y) = (device.buffer::<f32>(64)?, device.buffer::<f32>(64)?);
    drop(device.launch(&KERNEL).bind(&x).bind(&y).arg("by", f32::NAN).on(&queue).run()?);
    let bad = queue.fence()?;
    let good = queue.fence()?;
    assert!(bad.wait().is_err());
    assert_eq!(good.wait(), Ok(()));
    assert!(matches!(device.queue("other").open().wait_for(&bad), Err(Error::Transfer(_))));
    Ok(())
}

#[test]
fn pinned_memory_goes_up_and_comes_down_again_and_again() -> wharf::Result<()> {
    let device = device();
    let buffer = device.buffer::<u32>(1000)?;
    let mut pinned = device.pinned::<u32>(1000)?;
    for round in 0..3 {
        pinned.iter_mut().enumerate().for_each(|(i, x)| *x = i as u32 + round);
        let back = device.upload(&buffer).send(pinned)?.wait().ok()?;
        pinned = device.download(&buffer).range(500..1000).into(back)?.wait().ok()?;
        assert_eq!((pinned.len(), pinned[0], pinned[499]), (500, 500 + round, 999 + round));
        pinned = device.download(&buffer).into(pinned)?.wait().ok()?;
    }
    let short = device.download(&buffer).into(device.pinned::<u32>(10)?).unwrap_err();
    assert!(matches!(short.error, Error::Length { expected: 1000, .. }), "{short}");
    assert_eq!(short.buffer.len(), 10);
    Ok(())
}
