//! Messages as events of `tracing`. One test: a process has one subscriber.

#![cfg(feature = "tracing")]

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard},
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};
use wharf::{Device, FailPolicy};

type Fields = HashMap<&'static str, String>;

static SEEN: Mutex<Vec<(Level, Fields)>> = Mutex::new(Vec::new());

fn seen() -> MutexGuard<'static, Vec<(Level, Fields)>> {
    SEEN.lock().expect("nobody panics with it")
}

/// Keeps what wharf says, and asks the device while it does: it is not called under the device's lock.
struct Keeps(Device);

impl Subscriber for Keeps {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "wharf"
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let _ = self.0.stats();
        let mut fields = Said::default();
        event.record(&mut fields);
        seen().push((*event.metadata().level(), fields.0));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[derive(Default)]
struct Said(Fields);

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

#[test]
fn each_message_is_an_event_and_a_dead_letter_a_warning() -> wharf::Result<()> {
    let device = Device::open("cpu")?;
    tracing::subscriber::set_global_default(Keeps(device.clone())).expect("the first");
    let queue = device.queue("work").policy(FailPolicy::Continue).open();
    let x = device.buffer::<u32>(4)?;
    device.upload(&x).on(&queue).label("weights").tag(42).send(vec![7; 4])?.wait().ok()?;
    // Behind a fence that fails: one failure is asked for, one never, one when it is over.
    let (fence, signal) = device.promise();
    let gated = device.queue("gated").policy(FailPolicy::Continue).open();
    gated.wait_for(&fence)?;
    let send = || device.clear(&x).on(&gated).send();
    let (asked, late) = (send()?, send()?);
    drop(send()?);
    signal.fail("the cable is out");
    assert!(asked.wait().result.is_err());
    device.drain();
    drop(late);
    // Another thread may be the one that tells.
    while seen().len() < 5 {
        std::thread::yield_now();
    }
    // What does not fit together is moved out and in.
    let small = Device::open("sim:memory=1MiB")?;
    let old = small.buffer_named::<u8>(600 << 10, "old")?;
    drop(small.buffer::<u8>(600 << 10)?);
    small.download(&old).wait()?;
    small.drain();
    while seen().iter().filter(|(level, _)| *level == Level::INFO).count() < 2 {
        std::thread::yield_now();
    }
    let events = seen();
    let moved: Vec<_> = events.iter().filter(|(level, _)| *level == Level::INFO).collect();
    for ((_, fields), what) in moved.into_iter().zip(["evicted", "restored"]) {
        assert_eq!((&*fields["message"], &*fields["buffer"], &*fields["bytes"]), (what, "old", "614400"));
    }
    let of = |queue: &str| {
        events.iter().filter(|(_, fields)| fields.get("queue").is_some_and(|of| of == queue)).collect::<Vec<_>>()
    };
    let work = of("work");
    let [(level, fields)] = work[..] else { panic!("{work:?}") };
    assert_eq!(*level, Level::DEBUG);
    let expected = [
        ("message", "message"),
        ("device", "cpu"),
        ("label", "weights"),
        ("lane", "Upload"),
        ("bytes", "16"),
        ("tag", "42"),
        ("chunks", "1"),
        ("together", "1"),
    ];
    assert!(expected.iter().all(|(name, value)| fields[name] == *value), "{fields:?}");
    assert!(
        ["id", "queued_us", "done_us", "latency_us", "path"].iter().all(|name| fields.contains_key(name)),
        "{fields:?}"
    );
    assert!(!fields.contains_key("error"), "{fields:?}");

    let warned: Vec<_> = of("gated").into_iter().filter(|(level, _)| *level == Level::WARN).collect();
    assert_eq!(warned.len(), 2, "{events:?}");
    assert!(warned.iter().all(|(_, fields)| fields["message"] == "dead letter" && fields.contains_key("error")));
    let told: Vec<_> = of("gated").into_iter().filter(|(level, _)| *level == Level::DEBUG).collect();
    assert!(told.len() == 2 && told.iter().all(|(_, fields)| fields.contains_key("error")), "{events:?}");
    Ok(())
}
