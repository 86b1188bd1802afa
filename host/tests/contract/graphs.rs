//! Recorded graphs, against the same messages sent one by one.

use std::time::Duration;

use wharf::{Buffer, CancelOutcome, CompletionQueue, Device, Error, FailPolicy, FailureKind, Message, Result};

use super::rig::Rig;

const N: usize = 300;

/// Four buffers whose words tell positions apart.
fn buffers(device: &Device) -> Result<Vec<Buffer<f32>>> {
    let filled = |k: u32| {
        let buffer = device.buffer::<f32>(N)?;
        device.upload(&buffer).fill(|i| ((i as u32).wrapping_mul(2_654_435_761).rotate_left(k) % 4096) as f32)?;
        Ok(buffer)
    };
    (0..4).map(filled).collect()
}

/// The messages of one random sequence on these buffers.
fn sequence(rig: &Rig, device: &Device, buffers: &[Buffer<f32>], seed: u64, steps: usize) -> Result<Vec<Message<()>>> {
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
            _ => messages.extend(rig.add(device, x, y, next(8) as f32 * 0.25 - 1.0).messages()?),
        }
    }
    Ok(messages)
}

/// As bits: what is no number is equal to itself, too.
fn contents(device: &Device, buffers: &[Buffer<f32>]) -> Result<Vec<Vec<u32>>> {
    let bits = |buffer| Ok(device.download(buffer).wait()?.iter().map(|x: &f32| x.to_bits()).collect());
    buffers.iter().map(bits).collect()
}

pub(crate) fn a_replay_does_what_its_messages_do_one_by_one(rig: &Rig) -> Result<()> {
    let device = rig.open();
    let queue = device.queue("one by one").open();
    for seed in 0..rig.rounds(60) as u64 {
        let (single, recorded) = (buffers(&device)?, buffers(&device)?);
        let steps = 1 + seed as usize % 24;
        let graph = device.graph(sequence(rig, &device, &recorded, seed, steps)?)?;
        assert_eq!(graph.len(), steps);
        for replay in 0..3 {
            drop(graph.replay().run()?);
            for message in sequence(rig, &device, &single, seed, steps)? {
                drop(queue.send(message)?);
            }
            let (expected, got) = (contents(&device, &single)?, contents(&device, &recorded)?);
            assert!(expected == got, "sequence {seed}, replay {replay} on {}", device.id());
        }
    }
    assert!(device.dead_letters().is_empty());
    Ok(())
}

pub(crate) fn a_replay_is_one_message_and_one_submission(rig: &Rig) -> Result<()> {
    let device = rig.open();
    let buffers = buffers(&device)?;
    let graph = device.graph(sequence(rig, &device, &buffers, 7, 40)?)?;
    device.drain();
    let before = device.stats().accepted;
    for _ in 0..5 {
        let done = graph.replay().label("forty steps").run()?.wait();
        assert_eq!((done.receipt.form, done.receipt.label()), (Some(rig.replay_form), Some("forty steps")));
        done.ok()?;
    }
    assert_eq!(device.stats().accepted, before + 5);
    Ok(())
}

/// Parameters of so many launches are more than a submission on wgpu has room for.
pub(crate) fn a_graph_may_be_as_long_as_it_likes(rig: &Rig) -> Result<()> {
    let launches = if rig.name == "wgpu" { 20_000 } else { 2000 };
    let device = rig.open();
    let (x, y) = (device.buffer::<f32>(N)?, device.buffer::<f32>(N)?);
    device.upload(&x).fill(|i| i as f32)?;
    let (mut steps, mut sum) = (Vec::new(), 0.0);
    for launch in 0..launches {
        let a = (launch % 4) as f32;
        steps.extend(rig.add(&device, &x, &y, a).messages()?);
        sum += a;
    }
    let done = device.graph(steps)?.replay().run()?.wait();
    let form = if rig.name == "wgpu" { "several submissions" } else { rig.replay_form };
    assert_eq!(done.receipt.form, Some(form));
    done.ok()?;
    // Integers below 2^24: nothing is rounded.
    assert!(device.download(&y).wait()?.iter().enumerate().all(|(i, &y)| y == sum * i as f32));
    Ok(())
}

pub(crate) fn replays_are_ordered_with_what_else_touches_their_buffers(rig: &Rig) -> Result<()> {
    let device = rig.open();
    let (x, y) = (device.buffer::<f32>(N)?, device.buffer::<f32>(N)?);
    let mut steps = vec![device.clear(&y).message()?];
    steps.extend(rig.add(&device, &x, &y, 2.0).messages()?);
    let graph = device.graph(steps)?;
    let mut answers = Vec::new();
    for round in 0..rig.rounds(200) {
        // Nobody waits: each of the three is on a queue of its own.
        drop(device.upload(&x).send(vec![round as f32; N])?);
        drop(graph.replay().run()?);
        answers.push(device.download(&y).send()?);
    }
    for (round, answer) in (0..).zip(answers) {
        assert_eq!(answer.wait().ok()?, [2.0 * round as f32; N], "on {}", device.id());
    }
    Ok(())
}

pub(crate) fn a_graph_keeps_its_buffers(rig: &Rig) -> Result<()> {
    let device = rig.open();
    let out = device.buffer::<f32>(N)?;
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
    Ok(())
}

pub(crate) fn what_cannot_be_recorded_is_refused(rig: &Rig) -> Result<()> {
    let (here, there) = (rig.open(), rig.open());
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

pub(crate) fn a_step_that_fails_fails_the_replay_and_what_reads_it(rig: &Rig) -> Result<()> {
    let device = rig.open();
    let [x, y, z] = [device.buffer::<f32>(N)?, device.buffer::<f32>(N)?, device.buffer::<f32>(N)?];
    let mut steps = vec![device.clear(&x).message()?];
    steps.extend(rig.fails(&device, &x, &y).messages()?);
    let graph = device.graph(steps)?;
    let queue = device.queue("goes on").policy(FailPolicy::Continue).open();
    let failed = graph.replay().on(&queue).run()?;
    let (reader, other) = (device.download(&x).send()?, device.download(&z).send()?);
    let error = failed.wait().result.expect_err("a step fails");
    assert!(matches!(&error.kind, FailureKind::Backend(_)), "{error}");
    let error = reader.wait().result.expect_err("it reads what the graph writes");
    assert!(matches!(&error.kind, FailureKind::Upstream { .. }), "{error}");
    other.wait().ok()?;
    Ok(())
}

pub(crate) fn a_replay_is_taken_back_before_it_starts(rig: &Rig) -> Result<()> {
    let device = rig.open();
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
