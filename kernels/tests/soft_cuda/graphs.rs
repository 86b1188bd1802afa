//! Graphs: captured once, launched by one call, and forked where nothing orders their steps.

use wharf::{Buffer, FailureKind, Message};
use wharf_kernels::SAXPY;

use super::{device, on_software};

#[test]
fn a_graph_is_launched_by_one_call_and_does_what_its_messages_do() {
    // Twelve replays are twelve launches of a graph: the eleventh fails, and its messages are no calls.
    on_software("graphs::graphs", &[("SOFT_CUDA_DELAY_US", "50"), ("SOFT_CUDA_FAULT", "graph:11:1")]);
}

#[test]
#[ignore = "runs on the software driver"]
fn graphs() -> wharf::Result<()> {
    const N: usize = 10_007;
    let device = device();
    type Buffers = [Buffer<f32>; 3];
    let buffers = || -> wharf::Result<Buffers> { Ok([device.buffer(N)?, device.buffer(N)?, device.buffer(N)?]) };
    let messages = |[x, y, z]: &Buffers| -> wharf::Result<Vec<Message<()>>> {
        let mut messages = device.launch(&SAXPY).bind(x).bind(y).arg("a", 2.0_f32).messages()?;
        messages.push(device.copy(y, z).message()?);
        messages.push(device.clear(y).message()?);
        messages.extend(device.launch(&SAXPY).bind(z).bind(y).arg("a", 0.5_f32).messages()?);
        messages.extend(device.launch(&SAXPY).bind(y).bind(x).arg("a", 1.0_f32).messages()?);
        Ok(messages)
    };
    let queue = device.queue("one by one").open();
    let (single, recorded) = (buffers()?, buffers()?);
    let graph = device.graph(messages(&recorded)?)?;
    assert_eq!(graph.len(), 5);
    for [x, y, _] in [&single, &recorded] {
        device.upload(x).fill(|i| (i % 8) as f32)?;
        device.upload(y).fill(|i| (i % 5) as f32)?;
    }
    for round in 1..=12 {
        let replay = graph.replay().run()?.wait();
        if round == 11 {
            let error = replay.result.expect_err("the fault");
            assert!(matches!(error.kind, FailureKind::Backend(_)), "{error}");
            // What it was to write is made anew from what the other one has.
            for (from, to) in single.iter().zip(&recorded) {
                device.upload(to).send(device.download(from).wait()?.to_vec())?;
            }
            continue;
        }
        assert_eq!(replay.receipt.form, Some("CUDA graph"));
        replay.ok()?;
        for message in messages(&single)? {
            queue.send(message)?.wait().ok()?;
        }
        for (a, b) in single.iter().zip(&recorded) {
            assert!(*device.download(a).wait()? == *device.download(b).wait()?, "round {round}");
        }
    }
    // It is launched no more than it is held.
    drop(graph);
    let again = device.graph(messages(&recorded)?)?;
    again.replay().run()?.wait().ok()?;
    Ok(())
}

#[test]
fn what_a_graph_leaves_unordered_runs_side_by_side() {
    on_software("graphs::forks", &[("SOFT_CUDA_MEET", "upload:4,launch:4,download:4")]);
}

/// Four chains of an upload from a slot, a launch and a download into one, recorded in turns. The four of each kind
/// wait for each other.
#[test]
#[ignore = "runs on the software driver"]
fn forks() -> wharf::Result<()> {
    const N: usize = 1003;
    let device = device();
    let pairs: Vec<[Buffer<f32>; 2]> =
        (0..4).map(|_| Ok([device.buffer(N)?, device.buffer(N)?])).collect::<wharf::Result<_>>()?;
    let mut recording = device.record();
    let inputs: Vec<_> = pairs.iter().map(|[x, _]| recording.upload(x)).collect::<wharf::Result<_>>()?;
    for [x, y] in &pairs {
        recording.add(device.launch(&SAXPY).bind(x).bind(y).arg("a", 2.0_f32).messages()?)?;
    }
    let outputs: Vec<_> = pairs.iter().map(|[_, y]| recording.download(y)).collect::<wharf::Result<_>>()?;
    let (graph, mut slots) = recording.finish();
    for round in 1..=3 {
        for (k, &input) in inputs.iter().enumerate() {
            slots[input].iter_mut().enumerate().for_each(|(i, x)| *x = (i % 8 + k) as f32);
        }
        let done = graph.replay().run(slots)?.wait();
        let form = done.receipt.form;
        slots = done.ok()?;
        assert_eq!(form, Some("CUDA graph"));
        for (k, &output) in outputs.iter().enumerate() {
            let expected = (0..N).map(|i| (round * 2 * (i % 8 + k)) as f32);
            assert!(slots[output].iter().copied().eq(expected), "chain {k}, round {round}");
        }
    }
    Ok(())
}

#[test]
fn forked_graphs_do_what_their_messages_do_one_by_one() {
    on_software("graphs::tangles", &[]);
}

/// Random sequences over parts of few buffers: nothing but the recorded order keeps them right.
#[test]
#[ignore = "runs on the software driver"]
fn tangles() -> wharf::Result<()> {
    const N: usize = 256;
    let device = device();
    let queue = device.queue("one by one").open();
    let mut state = 1_u64;
    let mut random = move |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    };
    for sequence in 0..60 {
        let buffers = || (0..3).map(|_| device.buffer::<f32>(N)).collect::<wharf::Result<Vec<_>>>();
        let (single, recorded) = (buffers()?, buffers()?);
        for of in [&single, &recorded] {
            for (k, buffer) in of.iter().enumerate() {
                device.upload(buffer).fill(|i| (i % 7 + k) as f32)?;
            }
        }
        let mut recording = device.record();
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        let mut expected = Vec::new();
        for step in 0..12 {
            let (from, to, half) = (random(3), random(2), random(2) * N / 2);
            let to = (from + 1 + to) % 3;
            match random(5) {
                0 => {
                    let part = half..half + N / 2;
                    inputs.push((recording.upload(recorded[to].view(part)?)?, step));
                    device.upload(&single[to]).at(half).on(&queue).send(vec![step as f32; N / 2])?.wait().ok()?;
                }
                1 => {
                    let part = half..half + N / 2;
                    outputs.push(recording.download(recorded[from].view(part.clone())?)?);
                    expected.push(device.download(&single[from]).range(part).wait()?.into_vec());
                }
                2 => {
                    recording.add([device.copy(&recorded[from], &recorded[to]).message()?])?;
                    device.copy(&single[from], &single[to]).on(&queue).send()?.wait().ok()?;
                }
                _ => {
                    let halves = |of: &[Buffer<f32>]| -> wharf::Result<Vec<Message<()>>> {
                        let (x, y) = (of[from].view(0..N / 2)?, of[to].view(half..half + N / 2)?);
                        device.launch(&SAXPY).bind(&x).bind(&y).arg("a", 0.5_f32).messages()
                    };
                    recording.add(halves(&recorded)?)?;
                    for message in halves(&single)? {
                        queue.send(message)?.wait().ok()?;
                    }
                }
            }
        }
        let (graph, mut slots) = recording.finish();
        inputs.iter().for_each(|&(input, step)| slots[input].fill(step as f32));
        let slots = graph.replay().run(slots)?.wait().ok()?;
        for (output, expected) in outputs.iter().zip(&expected) {
            assert!(slots[*output] == **expected, "sequence {sequence}");
        }
        for (a, b) in single.iter().zip(&recorded) {
            assert!(*device.download(a).wait()? == *device.download(b).wait()?, "sequence {sequence}");
        }
    }
    Ok(())
}
