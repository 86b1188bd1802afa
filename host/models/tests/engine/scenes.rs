//! What threads do with a device while others do the same. Each scene asserts what is promised whatever the
//! order, and ends only where nobody waits for what does not come.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use shuttle::{future::block_on, sync::mpsc, thread};
use wharf::{
    Buffer, CancelOutcome, Completion, CompletionQueue, Device, DmaQueue, Doorbell, Error, FailPolicy, FailureKind,
    Refusal, Refused, Ticket,
    models::{Hardware, Script, open},
};

type Sent = Result<Ticket<Vec<u32>>, Refused<Vec<u32>>>;

/// A device, a queue of so many operation credits, and a buffer for each of two senders.
struct Scene {
    device: Device,
    hardware: Arc<Hardware>,
    queue: DmaQueue,
    buffers: [Buffer<u32>; 2],
    /// Messages that were seen to have gone well.
    well: AtomicU64,
}

impl Scene {
    fn new(script: Script, depth: u32) -> Arc<Self> {
        Self::with(script, depth, Doorbell::Immediate)
    }

    fn with(script: Script, depth: u32, doorbell: Doorbell) -> Arc<Self> {
        let (device, hardware) = open(script);
        let queue = device.queue("scene").depth(depth).doorbell(doorbell).policy(FailPolicy::Continue).open();
        let buffers = [device.buffer(1).expect("there is room"), device.buffer(1).expect("there is room")];
        Arc::new(Self { device, hardware, queue, buffers, well: AtomicU64::new(0) })
    }

    /// Sends a word; waits for a credit.
    fn send(&self, to: usize) -> Sent {
        self.device.upload(&self.buffers[to]).on(&self.queue).send(vec![7])
    }

    fn sent(&self, to: usize) -> Ticket<Vec<u32>> {
        self.send(to).expect("the queue is open")
    }

    /// No more credits are out than there are, and nothing goes well that the device has not done.
    fn seen(&self, done: &Completion<Vec<u32>>) {
        assert_eq!(done.buffer.as_deref(), Some(&[7][..]), "its own buffer comes back");
        if done.result.is_ok() {
            let well = self.well.fetch_add(1, Relaxed) + 1;
            assert!(well <= self.hardware.done(), "{well} messages went well, of {} done", self.hardware.done());
        }
    }

    /// Everything has one end, once all threads of the scene are done.
    fn law(&self, accepted: u64) {
        self.device.drain();
        let stats = self.device.stats();
        let ends = stats.delivered + stats.detached_ok + stats.dead_lettered;
        assert_eq!((stats.accepted, ends, stats.in_flight), (accepted, accepted, 0), "{stats:?}");
        let level = self.queue.stats();
        assert_eq!((level.unresolved, level.in_driver), (0, 0), "{level:?}");
    }
}

/// Runs `a` and `b` beside each other.
pub(crate) fn beside(a: impl FnOnce() + Send + 'static, b: impl FnOnce()) {
    let other = thread::spawn(a);
    b();
    other.join().expect("it does not panic");
}

/// Two senders, one credit: who waits gets what comes back, one at a time.
pub(crate) fn two_senders_and_one_credit(script: Script) {
    let scene = Scene::new(script, 1);
    let sender = |to: usize| {
        let scene = scene.clone();
        move || {
            for _ in 0..2 {
                let ticket = scene.sent(to);
                assert!(scene.queue.stats().unresolved <= 1, "one credit");
                scene.seen(&ticket.wait());
            }
        }
    };
    beside(sender(0), sender(1));
    scene.law(4);
}

/// The same with one sender that is a task.
pub(crate) fn a_task_and_a_thread_and_one_credit(script: Script) {
    let scene = Scene::new(script, 1);
    let task = {
        let scene = scene.clone();
        move || {
            let message = scene.device.upload(&scene.buffers[0]).message(vec![7]).expect("it fits");
            let done = block_on(async { scene.queue.send_async(message).await.expect("open").await });
            scene.seen(&done);
        }
    };
    beside(task, || {
        for _ in 0..2 {
            scene.seen(&scene.sent(1).wait());
        }
    });
    scene.law(3);
}

/// A task waits for a credit that never comes, until its deadline, which only those see to who drive the device.
pub(crate) fn a_task_waits_until_its_deadline_while_others_drive(script: Script) {
    let scene = Scene::new(script, 1);
    let permit = scene.queue.try_reserve(1, 4).expect("it is empty");
    let ended = Arc::new(AtomicU64::new(0));
    let task = {
        let (scene, ended) = (scene.clone(), ended.clone());
        move || {
            let upload = scene.device.upload(&scene.buffers[0]).deadline(Duration::from_micros(20));
            let sent = block_on(scene.queue.send_async(upload.message(vec![7]).expect("it fits")));
            let refused = sent.expect_err("the credit is taken");
            assert!(matches!(refused.error, Error::Refused { why: Refusal::Timeout, .. }), "{refused}");
            assert_eq!(refused.buffer.into_buffer(), [7]);
            ended.fetch_add(1, Relaxed);
        }
    };
    let mut others = 0;
    beside(task, || {
        // Each message moves the clock on.
        while ended.load(Relaxed) == 0 {
            scene.seen(&scene.device.upload(&scene.buffers[1]).send(vec![7]).expect("it is open").wait());
            others += 1;
            thread::yield_now();
        }
    });
    drop(permit);
    scene.law(others);
}

/// A credit comes back by a permit that is dropped.
pub(crate) fn a_permit_is_dropped_while_a_sender_waits(script: Script) {
    let scene = Scene::new(script, 1);
    let permit = scene.queue.try_reserve(1, 4).expect("it is empty");
    let sender = {
        let scene = scene.clone();
        move || scene.seen(&scene.sent(0).wait())
    };
    beside(sender, move || drop(permit));
    scene.law(1);
}

/// Two threads wait for what the reaping one resolves; one for a while only.
pub(crate) fn tickets_are_waited_for_while_they_resolve(script: Script) {
    let scene = Scene::new(script, 4);
    let [first, second] = [scene.sent(0), scene.sent(1)];
    let waiter = {
        let scene = scene.clone();
        move || scene.seen(&first.wait())
    };
    beside(waiter, || {
        let done = second.try_take().unwrap_or_else(block_on);
        scene.seen(&done);
    });
    scene.law(2);
}

/// Two tickets are dropped and one is given a callback while they resolve, and the second fails.
pub(crate) fn tickets_are_let_go_while_they_resolve(script: Script) {
    let scene = Scene::new(Script { fails: Some(2), ..script }, 4);
    let (called, calls) = mpsc::channel();
    let [first, second, third] = [scene.sent(0), scene.sent(1), scene.sent(0)];
    beside(
        move || drop(second),
        || {
            drop(first);
            third.on_complete(move |done| called.send(done).expect("it is waited for"));
        },
    );
    scene.seen(&calls.recv().expect("it is called"));
    scene.law(3);
    let stats = scene.device.stats();
    assert_eq!((stats.detached_ok, stats.dead_lettered, stats.delivered), (1, 1, 1), "{stats:?}");
    assert_eq!(scene.device.dead_letters().take().len(), 1);
}

/// Completions are passed on in the order of their messages, also those that were there already.
pub(crate) fn tickets_are_forwarded_while_they_resolve(script: Script) {
    let scene = Scene::new(script, 4);
    let sender = {
        let scene = scene.clone();
        move || scene.seen(&scene.sent(1).wait())
    };
    let ends = CompletionQueue::new();
    beside(sender, || {
        (0..2).for_each(|number| scene.sent(0).forward(&ends, number));
        let (called, calls) = mpsc::channel();
        scene.sent(0).on_complete(move |done| called.send(done).expect("it is waited for"));
        scene.seen(&calls.recv().expect("it is called"));
    });
    let forwarded: Vec<_> = ends.receiver().try_iter().collect();
    assert_eq!(forwarded.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [0, 1], "told in order");
    forwarded.iter().for_each(|(_, done)| scene.seen(done));
    scene.law(4);
}

/// A message is cancelled while it goes out, or is over.
pub(crate) fn a_message_is_cancelled_while_it_ends(script: Script) {
    let scene = Scene::new(script, 4);
    let [first, second] = [scene.sent(0), scene.sent(1)];
    let canceller = |scene: Arc<Scene>, ticket: Ticket<Vec<u32>>| {
        move || {
            let outcome = ticket.cancel();
            let done = ticket.wait();
            match (outcome, done.result.as_ref().map_err(|error| &error.kind)) {
                (CancelOutcome::TooLate, Ok(())) | (CancelOutcome::NotStarted, Err(FailureKind::Cancelled)) => {}
                other => panic!("{other:?}"),
            }
            scene.seen(&done);
        }
    };
    beside(canceller(scene.clone(), first), canceller(scene.clone(), second));
    scene.law(2);
}

/// The first command is reported once more while its slot is another's.
pub(crate) fn a_late_report_meets_a_slot_that_is_used_again(script: Script) {
    let scene = Scene::new(Script { twice: Some(1), at_once: false, ..script }, 2);
    let sender = |to: usize| {
        let scene = scene.clone();
        move || (0..2).for_each(|_| scene.seen(&scene.sent(to).wait()))
    };
    beside(sender(0), sender(1));
    scene.law(4);
}

/// A sender waits for a credit that never comes, and the queue is closed.
pub(crate) fn a_queue_is_closed_while_a_sender_waits(script: Script) {
    let scene = Scene::new(script, 1);
    let permit = scene.queue.try_reserve(1, 4).expect("it is empty");
    let sender = {
        let scene = scene.clone();
        move || match scene.send(0) {
            Err(Refused { error: Error::Refused { why: Refusal::Closed, .. }, buffer }) => assert_eq!(buffer, [7]),
            other => panic!("{other:?}"),
        }
    };
    beside(sender, || scene.queue.close());
    drop(permit);
    scene.law(0);
}

/// The device is given up while one message is under way and a sender waits for its credit.
pub(crate) fn a_device_is_lost_while_a_sender_waits(script: Script) {
    let scene = Scene::new(script, 1);
    let first = scene.sent(0);
    let accepted = Arc::new(Mutex::new(1));
    let sender = {
        let (scene, accepted) = (scene.clone(), accepted.clone());
        move || match scene.send(1) {
            Ok(ticket) => {
                *accepted.lock().expect("no panic") += 1;
                ended(&ticket.wait());
            }
            Err(Refused { error: Error::Refused { why: Refusal::Failed(cause), .. }, buffer }) => {
                assert!(matches!(cause.kind, FailureKind::DeviceLost(_)) && buffer == [7]);
            }
            Err(other) => panic!("{other:?}"),
        }
    };
    beside(sender, || {
        scene.device.declare_lost("pulled");
        ended(&first.wait());
    });
    scene.law(*accepted.lock().expect("no panic"));
}

fn ended(done: &Completion<Vec<u32>>) {
    match done.result.as_ref().map_err(|error| &error.kind) {
        Ok(()) | Err(FailureKind::DeviceLost(_)) => {}
        other => panic!("{other:?}"),
    }
}

/// The last handles go while messages are under way that nobody holds; the device's threads end.
pub(crate) fn the_last_handle_goes_with_work_under_way(script: Script) {
    let scene = Scene::new(script, 2);
    let sender = {
        let scene = scene.clone();
        move || drop(scene.sent(0))
    };
    beside(sender, move || {
        drop(scene.sent(1));
        drop(scene);
    });
}

/// Messages wait for a doorbell that only those ring who wait for them.
pub(crate) fn who_waits_rings_the_doorbell(script: Script) {
    let scene = Scene::with(script, 2, Doorbell::Manual);
    let sender = {
        let scene = scene.clone();
        move || scene.seen(&scene.sent(0).wait())
    };
    beside(sender, || {
        let fence = scene.queue.fence().expect("it is open");
        assert_eq!(fence.wait(), Ok(()));
        scene.seen(&scene.sent(1).wait());
    });
    scene.law(3);
}

/// A fence is waited for by a thread and a queue while another thread signals it.
pub(crate) fn a_promise_is_kept_while_others_wait(script: Script) {
    let scene = Scene::new(script, 2);
    let (fence, signal) = scene.device.promise();
    scene.queue.wait_for(&fence).expect("it is open");
    let waiter = {
        let scene = scene.clone();
        move || {
            scene.seen(&scene.sent(0).wait());
            assert_eq!(fence.wait(), Ok(()));
        }
    };
    beside(waiter, || signal.signal());
    scene.law(1);
}

pub(crate) type Play = fn(Script);

/// Every scene with its name.
pub(crate) const SCENES: [(&str, Play); 14] = [
    ("two senders and one credit", two_senders_and_one_credit),
    ("a task and a thread and one credit", a_task_and_a_thread_and_one_credit),
    ("a task waits until its deadline while others drive", a_task_waits_until_its_deadline_while_others_drive),
    ("a permit is dropped while a sender waits", a_permit_is_dropped_while_a_sender_waits),
    ("tickets are waited for while they resolve", tickets_are_waited_for_while_they_resolve),
    ("tickets are let go while they resolve", tickets_are_let_go_while_they_resolve),
    ("tickets are forwarded while they resolve", tickets_are_forwarded_while_they_resolve),
    ("a message is cancelled while it ends", a_message_is_cancelled_while_it_ends),
    ("a late report meets a slot that is used again", a_late_report_meets_a_slot_that_is_used_again),
    ("a queue is closed while a sender waits", a_queue_is_closed_while_a_sender_waits),
    ("a device is lost while a sender waits", a_device_is_lost_while_a_sender_waits),
    ("the last handle goes with work under way", the_last_handle_goes_with_work_under_way),
    ("who waits rings the doorbell", who_waits_rings_the_doorbell),
    ("a promise is kept while others wait", a_promise_is_kept_while_others_wait),
];
