//! Promises at their edges, on the CPU device.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Wake, Waker},
    thread,
    time::Duration,
};

use wharf::{Device, Error, Grid, Kernel, Need, Operand, Plan, Scratch, Step, Ticket};

#[path = "common/hop.rs"]
mod hop;
#[path = "common/two_hops.rs"]
mod two_hops;

use hop::PASS;

fn device() -> Device {
    Device::open("cpu").expect("the CPU device is always there")
}

#[test]
fn imported_bytes_of_no_whole_grain_are_copied_rather_than_read_beyond_their_end() -> wharf::Result<()> {
    let device = device();
    for n in [1_usize, 5, 7, 401] {
        let data: Arc<[u8]> = (0..n).map(|i| i as u8).collect();
        let buffer = device.import(data.clone())?;
        assert_eq!(*device.download(&buffer).wait()?, *data);
        assert_eq!(device.stats().buffer_bytes, n.next_multiple_of(16) as u64, "a copy, with room for its last grain");
    }
    Ok(())
}

#[test]
fn a_fence_of_another_device_of_the_same_name_is_refused() -> wharf::Result<()> {
    let (here, there) = (device(), device());
    let fence = there.queue("there").open().fence()?;
    let refused = here.queue("here").open().wait_for(&fence);
    assert!(matches!(refused, Err(Error::Argument { .. })), "{refused:?}");
    Ok(())
}

#[test]
fn a_timeout_may_be_for_ever() -> wharf::Result<()> {
    let device = device();
    let buffer = device.buffer::<u32>(4)?;
    let ticket = device.upload(&buffer).or_refuse_after(Duration::MAX).send(vec![7; 4])?;
    let done = ticket.wait_timeout(Duration::MAX).expect("it comes before the end of time");
    assert_eq!(done.ok()?, [7; 4]);
    Ok(())
}

static TWO_HOPS: Plan = two_hops::two_hops::<1>();

#[test]
fn a_plan_that_is_none_is_refused_in_a_line() -> wharf::Result<()> {
    let (device, whole) = (device(), two_hops::two_hops::<1>());
    let (from, to) = (device.buffer::<u32>(1)?, device.buffer::<u32>(1)?);
    let refused = |plan: &Plan| device.launch(plan).bind(&from).bind(&to).run().expect_err("no plan").to_string();
    assert_eq!(refused(&Plan { steps: &[], ..whole }), "two_hops: is a plan without a step");
    const BEYOND: &[Step] = &[Step { kernel: &hop::HOP, operands: &[Operand::Caller(0), Operand::Caller(2)] }];
    let words = "two_hops: step 0 takes Caller(2), of 2 buffers of the caller and 1 of scratch";
    assert_eq!(refused(&Plan { steps: BEYOND, ..whole }), words);
    let none = Plan { scratch: &[], ..two_hops::two_hops::<1>() };
    assert_eq!(refused(&none), "two_hops: step 0 takes Scratch(0), of 2 buffers of the caller and 0 of scratch");
    let vast =
        Plan { scratch: &[Scratch { elements: |_| u64::MAX / 2, element_bytes: 4 }], ..two_hops::two_hops::<1>() };
    let error = refused(&vast);
    assert!(error.starts_with("scratch 0 of two_hops, in elements of 4 bytes"), "{error}");
    Ok(())
}

#[test]
fn plans_launched_by_two_threads_do_not_share_their_scratch() -> wharf::Result<()> {
    let device = device();
    let work = |own: u32| {
        let device = device.clone();
        move || {
            let (x, y) = (device.buffer::<u32>(1)?, device.buffer::<u32>(1)?);
            device.upload(&x).send(vec![own])?;
            for _ in 0..5000 {
                device.launch(&TWO_HOPS).bind(&x).bind(&y).run()?;
                assert_eq!(*device.download(&y).wait()?, [own]);
            }
            wharf::Result::Ok(())
        }
    };
    let threads = [1, 2].map(|own| thread::spawn(work(own)));
    threads.into_iter().try_for_each(|thread| thread.join().expect("its own answer each time"))
}

const COUNT: &str = "
struct Params { n: u32 }
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<uniform> params: Params;
@compute @workgroup_size(64)
fn count(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < params.n { x[id.x] = f32(params.n); }
}";

static COUNTS: Kernel = Kernel::new("count", COUNT)
    .with_grid(Grid::Elements { of: "x", per_group: 64 })
    .with_needs(&[Need::product("x", &["n"])]);

#[test]
fn bytes_count_as_elements_of_the_binding() -> wharf::Result<()> {
    let device = device();
    let bytes = device.buffer::<u8>(400)?;
    device.launch(&COUNTS).bind(&bytes).run()?.wait().ok()?;
    assert_eq!(device.download(&bytes).wait()?[..4], 100_f32.to_le_bytes());
    let too_many = device.launch(&COUNTS).bind(&bytes).arg("n", 101_u32).run();
    assert!(matches!(too_many, Err(Error::Length { expected: 101, got: 100, .. })), "{too_many:?}");
    Ok(())
}

static DOOR: Mutex<()> = Mutex::new(());

static WAITS: Kernel = Kernel::new("hop", PASS).with_grid(Grid::Fixed([1, 1, 1])).with_native(|_| {
    drop(DOOR.lock());
});

/// What a waker that owns a task may own.
struct Task(#[expect(dead_code, reason = "kept for its drop")] Ticket<()>);

impl Wake for Task {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_waker_may_own_the_last_ticket_of_its_task() -> wharf::Result<()> {
    let device = device();
    let (x, y) = (device.buffer::<u32>(1)?, device.buffer::<u32>(1)?);
    let closed = DOOR.lock().expect("nobody panics behind it");
    let launch = || device.launch(&WAITS).bind(&x).bind(&y).run();
    let (mut awaited, dropped) = (launch()?, launch()?);
    let owner = Waker::from(Arc::new(Task(launch()?)));
    assert!(Pin::new(&mut awaited).poll(&mut Context::from_waker(&owner)).is_pending());
    drop(owner);
    assert!(Pin::new(&mut awaited).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let owner = Waker::from(Arc::new(Task(dropped)));
    assert!(Pin::new(&mut awaited).poll(&mut Context::from_waker(&owner)).is_pending());
    drop(owner);
    drop(awaited);
    drop(closed);
    device.drain();
    assert_eq!(device.stats().detached_ok, 3);
    Ok(())
}
