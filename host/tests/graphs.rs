//! Recorded graphs, on the CPU device and on wgpu, against the same messages sent one by one.

use std::time::Duration;

use wharf::{
    Buffer, CancelOutcome, CompletionQueue, Device, Error, FailPolicy, FailureKind, Grid, Kernel, Message, Result,
};

const MIX: &str = "
struct Params { n: u32, by: u32 }
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;
@compute @workgroup_size(64)
fn mix(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < params.n { y[id.x] = 3u * y[id.x] + x[id.x] + params.by; }
}";

const TURN: &str = "
@group(0) @binding(0) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(64)
fn turn(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < arrayLength(&y) { y[id.x] = (y[id.x] << 5u) | (y[id.x] >> 27u); }
}";

static MIXES: Kernel = Kernel::new("mix", MIX).with_grid(Grid::Elements { of: "x", per_group: 64 });
static TURNS: Kernel = Kernel::new("turn", TURN).with_grid(Grid::Elements { of: "y", per_group: 64 });

/// The CPU device, and wgpu's where the machine has one or `WHARF_REQUIRE` asks for it.
fn devices() -> Vec<Device> {
    let mut devices = vec![Device::open("cpu").expect("always there")];
    #[cfg(feature = "wgpu")]
    match Device::open("wgpu") {
        Ok(device) => devices.push(device),
        Err(e) if e.is_unavailable() && !std::env::var("WHARF_REQUIRE").unwrap_or_default().contains("wgpu") => {
            eprintln!("SKIP {e}");
        }
        Err(e) => panic!("{e}"),
    }
    devices
}

const N: usize = 300;

/// Four buffers whose words tell positions apart.
fn buffers(device: &Device) -> Result<Vec<Buffer<u32>>> {
    let filled = |k: u32| {
        let buffer = device.buffer::<u32>(N)?;
        device.upload(&buffer).fill(|i| (i as u32).wrapping_mul(2_654_435_761).rotate_left(k))?;
        Ok(buffer)
    };
    (0..4).map(filled).collect()
}

/// The messages of one random sequence on these buffers.
fn sequence(device: &Device, buffers: &[Buffer<u32>], seed: u64, steps: usize) -> Result<Vec<Message<()>>> {
    let mut state = seed;
    let mut next = |n: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let mut messages = Vec::new();
    for _ in 0..steps {
        let (kind, from) = (next(8), next(4) as usize);
        let to = (from + 1 + next(3) as usize) % 4;
        let (x, y) = (&buffers[from], &buffers[to]);
        match kind {
            0 => messages.push(device.clear(y).message()?),
            1..=2 => messages.push(device.copy(x, y).message()?),
            3..=4 => messages.extend(device.launch(&TURNS).bind(y).messages()?),
            _ => messages.extend(device.launch(&MIXES).bind(x).bind(y).arg("by", next(100) as u32).messages()?),
        }
    }
    Ok(messages)
}

fn contents(device: &Device, buffers: &[Buffer<u32>]) -> Result<Vec<Vec<u32>>> {
    buffers.iter().map(|buffer| Ok(device.download(buffer).wait()?.to_vec())).collect()
}

#[test]
fn a_replay_does_what_its_messages_do_one_by_one() -> Result<()> {
    for device in devices() {
        let queue = device.queue("one by one").open();
        for seed in 0..60 {
            let (single, recorded) = (buffers(&device)?, buffers(&device)?);
            let steps = 1 + seed as usize % 24;
            let graph = device.graph(sequence(&device, &recorded, seed, steps)?)?;
            assert_eq!(graph.len(), steps);
            for replay in 0..3 {
                drop(graph.replay().run()?);
                for message in sequence(&device, &single, seed, steps)? {
                    drop(queue.send(message)?);
                }
                let (expected, got) = (contents(&device, &single)?, contents(&device, &recorded)?);
                assert!(expected == got, "sequence {seed}, replay {replay} on {}", device.id());
            }
        }
        assert!(device.dead_letters().is_empty());
    }
    Ok(())
}

#[test]
fn a_replay_is_one_message_and_one_submission() -> Result<()> {
    for device in devices() {
        let buffers = buffers(&device)?;
        let graph = device.graph(sequence(&device, &buffers, 7, 40)?)?;
        device.drain();
        let before = device.stats().accepted;
        for _ in 0..5 {
            let done = graph.replay().label("forty steps").run()?.wait();
            let form = if device.id() == "cpu" { "one command" } else { "one submission" };
            assert_eq!((done.receipt.form, done.receipt.label.as_deref()), (Some(form), Some("forty steps")));
            done.ok()?;
        }
        assert_eq!(device.stats().accepted, before + 5);
    }
    Ok(())
}

/// Parameters of so many launches are more than a submission on wgpu has room for.
#[test]
fn a_graph_may_be_as_long_as_it_likes() -> Result<()> {
    const LAUNCHES: u32 = 20_000;
    for device in devices() {
        let (x, y) = (device.buffer::<u32>(N)?, device.buffer::<u32>(N)?);
        device.upload(&x).fill(|i| i as u32)?;
        let mut steps = Vec::new();
        for by in 0..LAUNCHES {
            steps.extend(device.launch(&MIXES).bind(&x).bind(&y).arg("by", by).messages()?);
        }
        let done = device.graph(steps)?.replay().run()?.wait();
        let form = if device.id() == "cpu" { "one command" } else { "several submissions" };
        assert_eq!(done.receipt.form, Some(form));
        done.ok()?;
        let got = device.download(&y).wait()?;
        for (i, &word) in got.iter().enumerate() {
            let step = |y: u32, by| y.wrapping_mul(3).wrapping_add(i as u32).wrapping_add(by);
            assert_eq!(word, (0..LAUNCHES).fold(0, step), "word {i} on {}", device.id());
        }
    }
    Ok(())
}

#[test]
fn replays_are_ordered_with_what_else_touches_their_buffers() -> Result<()> {
    for device in devices() {
        let (x, y) = (device.buffer::<u32>(N)?, device.buffer::<u32>(N)?);
        let mut steps = vec![device.clear(&y).message()?];
        steps.extend(device.launch(&MIXES).bind(&x).bind(&y).arg("by", 1_u32).messages()?);
        let graph = device.graph(steps)?;
        let mut answers = Vec::new();
        for round in 0..200_u32 {
            // Nobody waits: each of the three is on a queue of its own.
            drop(device.upload(&x).send(vec![round; N])?);
            drop(graph.replay().run()?);
            answers.push(device.download(&y).send()?);
        }
        for (round, answer) in (0..).zip(answers) {
            assert_eq!(answer.wait().ok()?, [round + 1; N], "on {}", device.id());
        }
    }
    Ok(())
}

#[test]
fn a_graph_keeps_its_buffers() -> Result<()> {
    for device in devices() {
        let out = device.buffer::<u32>(N)?;
        let graph = {
            let hidden = buffers(&device)?;
            device.graph([device.copy(&hidden[2], &out).message()?])?
        };
        // Memory that was freed would be somebody else's by now.
        let others = buffers(&device)?;
        graph.replay().run()?.wait().ok()?;
        assert!(contents(&device, &others[2..3])? == contents(&device, &[out])?, "on {}", device.id());
        drop(graph);
        device.drain();
    }
    Ok(())
}

#[test]
fn what_cannot_be_recorded_is_refused() -> Result<()> {
    let (here, there) = (Device::open("cpu")?, Device::open("cpu")?);
    let x = here.buffer::<u32>(4)?;
    let refused = there.graph([here.clear(&x).message()?]);
    assert!(matches!(refused, Err(Error::Argument { .. })), "{refused:?}");
    let graph = here.graph([here.clear(&x).message()?])?;
    let refused = here.graph([graph.replay().message()]).expect_err("a graph of graphs");
    assert_eq!(refused.to_string(), "message 0 of a graph: is no launch, no copy and no clear");
    let other = there.queue("there").open();
    assert!(matches!(graph.replay().on(&other).run(), Err(Error::Argument { .. })));

    let nothing = here.graph([])?;
    assert!(nothing.is_empty());
    nothing.replay().run()?.wait().ok()
}

static BREAKS: Kernel = Kernel::new("turn", TURN)
    .with_grid(Grid::Elements { of: "y", per_group: 64 })
    .with_native(|_| panic!("a twin with a bug"));

#[test]
fn a_step_that_fails_fails_the_replay_and_what_reads_it() -> Result<()> {
    let device = Device::open("cpu")?;
    let [x, y, z] = [device.buffer::<u32>(N)?, device.buffer::<u32>(N)?, device.buffer::<u32>(N)?];
    let mut steps = vec![device.clear(&x).message()?];
    steps.extend(device.launch(&BREAKS).bind(&y).messages()?);
    let graph = device.graph(steps)?;
    let queue = device.queue("goes on").policy(FailPolicy::Continue).open();
    let failed = graph.replay().on(&queue).run()?;
    let (reader, other) = (device.download(&x).send()?, device.download(&z).send()?);
    let error = failed.wait().result.expect_err("a step panicked");
    assert!(matches!(&error.kind, FailureKind::Backend(why) if why.contains("a twin with a bug")), "{error}");
    let error = reader.wait().result.expect_err("it reads what the graph writes");
    assert!(matches!(&error.kind, FailureKind::Upstream { .. }), "{error}");
    other.wait().ok()?;
    Ok(())
}

#[test]
fn a_replay_is_taken_back_before_it_starts() -> Result<()> {
    let device = Device::open("cpu")?;
    let x = device.buffer::<u32>(4)?;
    device.upload(&x).send(vec![7; 4])?;
    let graph = device.graph([device.clear(&x).message()?])?;
    let queue = device.queue("gated").open();
    let (fence, signal) = device.promise();
    queue.wait_for(&fence)?;
    let taken = graph.replay().on(&queue).run()?;
    let late = graph.replay().on(&queue).deadline(Duration::ZERO).run()?;
    assert_eq!(taken.cancel(), CancelOutcome::NotStarted);
    signal.signal();
    assert_eq!(taken.wait().result.expect_err("cancelled").kind, FailureKind::Cancelled);
    assert_eq!(late.wait().result.expect_err("late").kind, FailureKind::Deadline);
    let done = CompletionQueue::new();
    device.upload(&x).send(vec![7; 4])?;
    device.download(&x).send()?.forward(&done, ());
    assert_eq!(done.receiver().recv().expect("it comes").1.ok()?, [7; 4], "what is overwritten is good again");
    Ok(())
}
