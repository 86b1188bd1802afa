//! Messages that are cancelled, run late, are cut into chunks or are overtaken, on the CPU device.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use wharf::{CancelOutcome, Cause, Device, FailPolicy, FailureKind, Kernel, Priority, Refusal, Wait};

const MIB: usize = 1 << 20;

/// Runs for about a tenth of a second on the CPU device, whatever runs beside it.
fn slow() -> Kernel {
    Kernel::from_wgsl(
        "@group(0) @binding(0) var<storage, read_write> x: array<u32>;
         @compute @workgroup_size(1)
         fn slow() {
             var a = x[0];
             for (var i = 0u; i < 40000000u; i++) { a = a * 1664525u + 1013904223u; }
             x[0] = a;
         }",
    )
    .expect("it compiles")
}

/// A queue whose first message waits for a slow launch, so that what follows has not started.
struct Held {
    device: Device,
    kernel: Kernel,
    gate: wharf::Buffer<u32>,
}

impl Held {
    fn new() -> Self {
        let device = Device::open("cpu").expect("always there");
        let (kernel, gate) = (slow(), device.buffer(1).expect("4 bytes"));
        device.prepare(&kernel).expect("it compiles");
        Self { device, kernel, gate }
    }

    /// Everything that reads or writes `gate` starts only after this.
    fn hold(&self) -> wharf::Ticket<()> {
        self.device.launch(&self.kernel).bind(&self.gate).groups([1, 1, 1]).run().expect("sent")
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
    let kernel = &held.kernel;
    let launch = || held.device.launch(kernel).bind(&held.gate).groups([1, 1, 1]).on(&queue).run().unwrap();
    let (second, third) = (launch(), launch());
    // The window holds one: the third is not with the driver.
    assert_eq!(third.cancel(), CancelOutcome::NotStarted);
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
    assert!(running.wait().result.is_ok() && blocked.wait().result.is_ok());
    let kinds = tickets.into_iter().map(|ticket| ticket.wait());
    let late = kinds.filter(|done| done.result.as_ref().is_err_and(|e| e.kind == FailureKind::Deadline)).count();
    // The launch takes longer than the deadline is away; where it did not, they all went well.
    assert!(late == 10_000 || late == 0, "{late} of 10,000");
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
    assert_eq!((why.waits, why.after), (Wait::Behind(second.id()), vec![(second.id(), Cause::ReadAfterWrite)]));
    assert!(running.wait().result.is_ok() && third.wait().result.is_ok());
    assert!(second.wait().result.is_ok() && first.wait().result.is_ok());
    assert!(queue.explain().is_none());
}
