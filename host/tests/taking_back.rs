//! Messages that are cancelled, run late, are cut into chunks or are overtaken, on the CPU device.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{
            AtomicBool, AtomicU32,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    thread,
    time::{Duration, Instant},
};

use wharf::{
    Buffer, CancelOutcome, Cause, Device, FailPolicy, FailureKind, Grid, Kernel, Priority, Refusal, Ticket, Wait,
};

const MIB: usize = 1 << 20;

const SOURCE: &str = "@group(0) @binding(0) var<storage, read_write> x: array<u32>;
    @compute @workgroup_size(1) fn stay() { x[0] = x[0]; }";

/// Runs until the door whose number is in its buffer is open.
static STAY: Kernel = Kernel::new("stay", SOURCE).with_grid(Grid::Fixed([1, 1, 1])).with_native(|dispatch| {
    let door = &OPEN[dispatch.args[0].read::<u32>()[0] as usize];
    while !door.load(Acquire) {
        thread::sleep(Duration::from_micros(100));
    }
});

static OPEN: [AtomicBool; 16] = [const { AtomicBool::new(false) }; 16];

/// A device with a launch that stays: what uses `gate` does not start, nor what stands behind that in a
/// queue with a window of one.
struct Held {
    device: Device,
    gate: Buffer<u32>,
    door: u32,
}

impl Held {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (device, door) = (Device::open("cpu").expect("always there"), NEXT.fetch_add(1, Relaxed));
        let gate = device.buffer(1).expect("4 bytes");
        device.upload(&gate).send(vec![door]).expect("sent").wait().ok().expect("it is there");
        Self { device, gate, door }
    }

    fn hold(&self) -> Ticket<()> {
        self.device.launch(&STAY).bind(&self.gate).run().expect("sent")
    }

    fn release(&self) {
        OPEN[self.door as usize].store(true, Release);
    }
}

/// Waits until the message is over but for its turn.
fn until_over<B: Send>(ticket: &Ticket<B>) {
    while ticket.explain().is_some_and(|why| why.waits != Wait::Turn) {
        thread::yield_now();
    }
}

#[test]
fn what_has_not_started_is_cancelled_and_its_destination_is_as_it_was() {
    let held = Held::new();
    let (device, queue) = (&held.device, held.device.queue("q").window(1).open());
    let x = device.buffer::<u32>(4).unwrap();
    device.upload(&x).send(vec![1, 2, 3, 4]).unwrap().wait().ok().unwrap();
    let running = held.hold();
    let blocked = device.download(&held.gate).on(&queue).send().unwrap();
    let upload = device.upload(&x).on(&queue).send(vec![9; 4]).unwrap();
    let reader = device.download(&x).send().unwrap();
    assert_eq!(upload.cancel(), CancelOutcome::NotStarted);
    held.release();
    let done = upload.wait();
    let error = done.result.clone().expect_err("cancelled");
    assert_eq!((&error.kind, error.bytes, error.bytes_done, done.residue()), (&FailureKind::Cancelled, 16, 0, 16));
    assert_eq!(done.buffer, Some(vec![9; 4]), "the buffer comes back");
    let error = reader.wait().result.expect_err("its data was never made");
    assert!(matches!(&error.kind, FailureKind::Upstream { root } if root.kind == FailureKind::Cancelled));
    assert!(blocked.wait().result.is_ok() && running.wait().result.is_ok());
    // What is overwritten as a whole is good again.
    device.upload(&x).on(&queue).send(vec![5; 4]).unwrap();
    assert_eq!(*device.download(&x).wait().unwrap(), [5; 4]);
}

#[test]
fn a_cancel_is_a_wish_and_stops_no_queue() {
    let held = Held::new();
    let device = &held.device;
    let queue = device.queue("stops").policy(FailPolicy::FailStop).window(1).open();
    let x = device.buffer::<u32>(1).unwrap();
    let running = held.hold();
    let blocked = device.download(&held.gate).on(&queue).send().unwrap();
    let wished = device.upload(&x).on(&queue).send(vec![1]).unwrap();
    let late = device.upload(&x).on(&queue).deadline(Duration::from_millis(1)).send(vec![2]).unwrap();
    let last = device.download(&held.gate).on(&queue).send().unwrap();
    assert_eq!(wished.cancel(), CancelOutcome::NotStarted);
    until_over(&late);
    held.release();
    assert_eq!(wished.wait().result.expect_err("cancelled").kind, FailureKind::Cancelled);
    assert_eq!(late.wait().result.expect_err("late").kind, FailureKind::Deadline);
    assert!(running.wait().result.is_ok() && blocked.wait().result.is_ok());
    assert!(last.wait().result.is_ok(), "the queue goes on");
    device.upload(&x).on(&queue).send(vec![3]).expect("and accepts");
}

#[test]
fn what_is_done_or_with_the_device_completes() {
    let device = Device::open("cpu").unwrap();
    let x = device.buffer::<u32>(4).unwrap();
    let ticket = device.upload(&x).send(vec![1; 4]).unwrap();
    device.drain();
    assert_eq!(ticket.cancel(), CancelOutcome::TooLate);
    assert_eq!(ticket.wait().residue(), 0);
}

#[test]
fn a_launch_is_cancelled_until_it_starts() {
    let held = Held::new();
    let first = held.hold();
    let queue = held.device.queue("launches").window(1).open();
    let launch = || held.device.launch(&STAY).bind(&held.gate).on(&queue).run().unwrap();
    let (second, third) = (launch(), launch());
    // The window holds one: the third is not with the driver.
    assert_eq!(third.cancel(), CancelOutcome::NotStarted);
    held.release();
    assert!(first.wait().result.is_ok() && second.wait().result.is_ok());
    assert_eq!(third.wait().result.expect_err("cancelled").kind, FailureKind::Cancelled);
}

#[test]
fn a_large_transfer_is_cancelled_between_two_chunks() {
    let device = Device::open("cpu").unwrap();
    let queue = device.queue("cut").chunk(64 << 10).bytes(1 << 30).open();
    let x = device.buffer::<u8>(32 * MIB).unwrap();
    let mut partial = 0;
    for _ in 0..20 {
        let ticket = device.upload(&x).on(&queue).send(vec![7_u8; 32 * MIB]).unwrap();
        while queue.stats().in_driver == 0 && queue.stats().unresolved > 0 {}
        let outcome = ticket.cancel();
        let done = ticket.wait();
        assert_eq!(done.buffer.as_ref().map(Vec::len), Some(32 * MIB));
        if outcome == CancelOutcome::Partial {
            let error = done.result.as_ref().expect_err("cancelled");
            assert_eq!(error.bytes_done % (64 << 10), 0, "whole chunks");
            assert!(error.bytes_done > 0 && error.bytes_done < 32 * MIB as u64);
            assert_eq!(done.residue(), 32 * MIB as u64 - error.bytes_done);
            partial += 1;
        }
        if partial > 0 {
            return;
        }
    }
    panic!("never cancelled midway");
}

#[test]
fn chunks_of_every_kind_of_transfer_move_every_byte() {
    let device = Device::open("cpu").unwrap();
    let queue = device.queue("chunks").chunk(256).open();
    let n = 10_007;
    let (x, y) = (device.buffer::<u8>(n).unwrap(), device.buffer::<u8>(n).unwrap());
    let data: Vec<u8> = (0..n).map(|i| (i * 7 % 251) as u8).collect();
    device.upload(&x).on(&queue).send(data.clone()).unwrap();
    device.copy(&x, &y).on(&queue).send().unwrap();
    assert_eq!(*device.download(&y).on(&queue).wait().unwrap(), data[..]);
    device.clear(&y).on(&queue).send().unwrap();
    assert!(device.download(&y).on(&queue).wait().unwrap().iter().all(|&b| b == 0));
    // In place, a part of the buffer: the block is cut, and comes back.
    let mut fill = device.upload(&x).at(4).on(&queue).reserve(8000).unwrap();
    fill.iter_mut().enumerate().for_each(|(i, b)| *b = (i * 3 % 241) as u8);
    let done = fill.commit().unwrap().wait();
    assert_eq!((done.result.is_ok(), done.receipt.path), (true, wharf::Path::Filled));
    let got = device.download(&x).on(&queue).wait().unwrap();
    assert!((0..8000).all(|i| got[4 + i] == (i * 3 % 241) as u8));
    assert_eq!((&got[..4], &got[8004..]), (&data[..4], &data[8004..]));
    // The whole buffer, in place: the block becomes the memory, in one piece.
    let whole = device.buffer::<u8>(8192).unwrap();
    let done = device.upload(&whole).on(&queue).fill(|i| i as u8).unwrap().wait();
    assert_eq!(done.receipt.path, wharf::Path::Direct);
    device.drain();
    assert_eq!(device.stats().staging_bytes, 0);
}

#[test]
fn a_small_message_overtakes_a_large_one_of_lower_priority() {
    let device = Device::open("cpu").unwrap();
    let low = device.queue("bulk").priority(Priority::Low).chunk(MIB as u64).bytes(1 << 30).open();
    let high = device.queue("urgent").priority(Priority::High).open();
    let (bulk, small) = (device.buffer::<u8>(128 * MIB).unwrap(), device.buffer::<u8>(64).unwrap());
    let order = Arc::new(Mutex::new(Vec::new()));
    let note = |what| {
        let order = order.clone();
        move || order.lock().unwrap().push(what)
    };
    let (told_bulk, told_small) = (note("bulk"), note("small"));
    let large = device.upload(&bulk).on(&low).send(vec![1_u8; 128 * MIB]).unwrap();
    large.on_complete(move |_| told_bulk());
    device.upload(&small).on(&high).send(vec![2_u8; 64]).unwrap().on_complete(move |_| told_small());
    device.drain();
    while order.lock().unwrap().len() < 2 {
        std::thread::yield_now();
    }
    assert_eq!(*order.lock().unwrap(), ["small", "bulk"]);
}

#[test]
fn a_sender_waits_for_a_credit_until_its_deadline_at_most() {
    let held = Held::new();
    let queue = held.device.queue("narrow").depth(1).open();
    let running = held.hold();
    let only = held.device.download(&held.gate).on(&queue).send().unwrap();
    let deadline = Instant::now() + Duration::from_millis(2);
    let refused = held.device.upload(&held.gate).on(&queue).deadline_at(deadline).send(vec![1]).unwrap_err();
    held.release();
    assert!(matches!(refused.error, wharf::Error::Refused { why: Refusal::Timeout, .. }), "{}", refused.error);
    assert!(running.wait().result.is_ok() && only.wait().result.is_ok());
}

#[test]
fn a_ticket_that_is_dropped_may_cancel() {
    let held = Held::new();
    let queue = held.device.queue("dropped").window(1).open();
    let x = held.device.buffer::<u32>(1).unwrap();
    let running = held.hold();
    let blocked = held.device.download(&held.gate).on(&queue).send().unwrap();
    drop(held.device.upload(&x).on(&queue).send(vec![1]).unwrap().cancel_on_drop());
    held.release();
    assert!(running.wait().result.is_ok() && blocked.wait().result.is_ok());
    held.device.drain();
    let letters = held.device.dead_letters().take();
    assert_eq!(letters.iter().map(|l| &l.error.kind).collect::<Vec<_>>(), [&FailureKind::Cancelled]);
    let stats = held.device.stats();
    assert_eq!(stats.accepted, stats.delivered + stats.detached_ok + stats.dead_lettered + stats.in_flight);
}

#[test]
fn ten_thousand_deadlines_pass_on_a_full_queue() {
    let held = Held::new();
    let queue = held.device.queue("full").depth(10_001).window(1).open();
    let x = held.device.buffer::<u32>(1).unwrap();
    let running = held.hold();
    let blocked = held.device.download(&held.gate).on(&queue).send().unwrap();
    let soon = Instant::now() + Duration::from_millis(20);
    let send = |i| held.device.upload(&x).on(&queue).or_refuse().deadline_at(soon).send(vec![i]);
    let tickets: Vec<_> = (0..10_000).map(|i| send(i).expect("room")).collect();
    assert!(send(0).is_err(), "full");
    until_over(tickets.last().expect("10,000"));
    held.release();
    assert!(running.wait().result.is_ok() && blocked.wait().result.is_ok());
    for done in tickets.into_iter().map(Ticket::wait) {
        assert_eq!(done.result.expect_err("late").kind, FailureKind::Deadline);
    }
    assert_eq!(queue.stats().unresolved, 0);
}

#[test]
fn a_queue_says_what_it_waits_for() {
    let held = Held::new();
    let queue = held.device.queue("why").window(1).open();
    assert!(queue.explain().is_none());
    let running = held.hold();
    let first = held.device.download(&held.gate).on(&queue).send().unwrap();
    let x = held.device.buffer::<u32>(1).unwrap();
    let second = held.device.upload(&x).on(&queue).send(vec![1]).unwrap();
    let third = held.device.download(&x).on(&queue).send().unwrap();
    while queue.stats().in_driver == 0 {}
    assert_eq!(queue.explain().expect("unresolved").message, first.id());
    assert_eq!(first.explain().expect("unresolved").waits, Wait::Device);
    assert_eq!(second.explain().expect("unresolved").waits, Wait::Room(wharf::Lane::Upload));
    let why = third.explain().expect("unresolved");
    assert_eq!(why.waits, Wait::Behind(second.id()));
    let [edge] = &why.after[..] else { panic!("one edge: {why}") };
    assert_eq!((edge.on, edge.cause, edge.buffer.as_deref()), (second.id(), Cause::ReadAfterWrite, Some(x.name())));
    held.release();
    assert!(running.wait().result.is_ok() && third.wait().result.is_ok());
    assert!(second.wait().result.is_ok() && first.wait().result.is_ok());
    assert!(queue.explain().is_none());
}
