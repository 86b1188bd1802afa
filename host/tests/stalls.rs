//! A queue that stands still is told of once. One test: a process has one subscriber.

#![cfg(feature = "tracing")]

use std::{
    fmt,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};
use wharf::{Device, Options, Progress};

static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Keeps;

impl Subscriber for Keeps {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "wharf" && *metadata.level() == Level::WARN
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut said = Said(String::new());
        event.record(&mut said);
        SEEN.lock().expect("nobody panics with it").push(said.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Said(String);

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0 += &format!("{}={value:?};", field.name());
    }
}

fn seen() -> Vec<String> {
    SEEN.lock().expect("nobody panics with it").clone()
}

#[test]
fn a_queue_that_stands_still_is_told_of_once_with_what_it_waits_for() -> wharf::Result<()> {
    tracing::subscriber::set_global_default(Keeps).expect("the first");
    for (nth, progress) in [Progress::Threads, Progress::Manual].into_iter().enumerate() {
        let options = Options::new().progress(progress).stall_warn(Duration::from_millis(5));
        let device = Device::open_with("cpu", options)?;
        let queue = device.queue("sensor").open();
        let x = device.buffer::<u32>(1)?;
        let before = seen().len();
        for round in 1..=2 {
            let (ready, signal) = device.promise_named("the sample");
            queue.wait_for(&ready)?;
            let upload = device.upload(&x).on(&queue).send(vec![7])?;
            let end = Instant::now() + Duration::from_secs(10);
            while seen().len() < before + round && Instant::now() < end {
                device.progress();
                thread::sleep(Duration::from_millis(1));
            }
            for _ in 0..30 {
                device.progress();
                thread::sleep(Duration::from_millis(1));
            }
            let seen = seen();
            assert_eq!(seen.len(), before + round, "once for each: {seen:?}");
            let words = &seen[before + round - 1];
            let expected = ["stalled queue", "queue=\"sensor\"", "waits for its signal"];
            assert!(expected.iter().all(|part| words.contains(part)), "{nth}: {words}");
            signal.signal();
            upload.wait().ok()?;
        }
    }
    // Nobody is told of anything where nobody asked.
    let device = Device::open("cpu")?;
    let queue = device.queue("quiet").open();
    let (ready, signal) = device.promise();
    queue.wait_for(&ready)?;
    let upload = device.upload(&device.buffer::<u32>(1)?).on(&queue).send(vec![7])?;
    let before = seen().len();
    thread::sleep(Duration::from_millis(30));
    assert_eq!(seen().len(), before);
    signal.signal();
    upload.wait().ok()?;
    Ok(())
}
