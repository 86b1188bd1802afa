//! In the steady state a message costs no allocation of ours: counted by the allocator itself, in every
//! thread. One test, because others would allocate beside it.

mod counting;

use std::collections::VecDeque;

use wharf::{Device, Grid, Kernel, Options, Progress, Ticket, Twin, native::Dispatch};

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
    let by = f32::from_le_bytes(dispatch.uniform[4..8].try_into().unwrap());
    let [x, y] = dispatch.args else { unreachable!("two bindings") };
    for (y, x) in y.write::<f32>().iter_mut().zip(x.read::<f32>()) {
        *y = by * x;
    }
}

static KERNEL: Kernel =
    Kernel::new("scale", SCALE).with_native(scale).with_grid(Grid::Elements { of: "x", per_group: 64 });

/// Runs it until everything has the memory it needs: then a hundred rounds in a row allocate nothing. What
/// starts beside them, such as the threads of the pool, may spoil a hundred, but not all.
fn steady(what: &str, mut round: impl FnMut()) {
    let mut counts = [0; 10];
    for count in &mut counts {
        (0..100).for_each(|_| round());
        *count = counting::during(|| (0..100).for_each(|_| round()));
        if *count == 0 {
            return;
        }
    }
    panic!("{what}: allocations in each of ten hundreds of rounds: {counts:?}");
}

fn messages(name: &str, options: Options) -> wharf::Result<()> {
    println!("on {name}, {options:?}");
    let device = Device::open_with(name, options)?;
    let queue = device.queue("work").open();
    for len in [16_usize, 1 << 10, 1 << 16] {
        let (x, y) = (device.buffer::<f32>(len)?, device.buffer::<f32>(len)?);
        let mut host = Some(vec![1.0_f32; len]);
        steady(&format!("an upload of {len}"), || {
            let sent = device.upload(&x).on(&queue).label("up").send(host.take().unwrap()).unwrap();
            host = sent.wait().buffer;
        });
        steady(&format!("a download of {len}"), || {
            host = device.download(&x).on(&queue).into(host.take().unwrap()).unwrap().wait().buffer;
        });
        steady(&format!("a fill of {len}"), || device.upload(&x).fill(|_| 2.0).unwrap().wait().result.unwrap());
        steady(&format!("a fill of a part of {len}"), || {
            device.upload(&x).at(len / 2).fill(|_| 3.0).unwrap().wait().result.unwrap();
        });
        steady(&format!("a copy and a clear of {len}"), || {
            drop(device.copy(&x, &y).send().unwrap());
            device.clear(&y).send().unwrap().wait().result.unwrap();
        });
        let mut tickets: VecDeque<Ticket<()>> = VecDeque::with_capacity(8);
        steady(&format!("launches on {len}"), || {
            if tickets.len() == 8 {
                tickets.pop_front().unwrap().wait().result.unwrap();
            }
            let launch = device.launch(&KERNEL).bind(&x).bind(&y).arg("by", 2.0_f32).label("scale");
            tickets.push_back(launch.run().unwrap());
        });
        tickets.into_iter().for_each(|ticket| ticket.wait().result.unwrap());
        steady(&format!("a pipeline on {len}"), || {
            let up = device.upload(&x).send(host.take().unwrap()).unwrap();
            drop(device.launch(&KERNEL).bind(&x).bind(&y).arg("by", 2.0_f32).run().unwrap());
            let back = up.wait().buffer.unwrap();
            host = device.download(&y).into(back).unwrap().wait().buffer;
        });
    }
    let (x, y) = (device.buffer::<f32>(1 << 10)?, device.buffer::<f32>(1 << 10)?);
    let mut steps = device.launch(&KERNEL).bind(&x).bind(&y).arg("by", 2.0_f32).messages()?;
    steps.push(device.copy(&y, &x).message()?);
    let graph = device.graph(steps)?;
    steady("a replay", || graph.replay().on(&queue).run().unwrap().wait().result.unwrap());
    steady("a fence", || queue.fence().unwrap().wait().unwrap());
    let x = device.buffer::<f32>(16)?;
    let mut batch = queue.batch();
    let mut hosts: Vec<Vec<f32>> = (0..32).map(|i| vec![i as f32; 16]).collect();
    steady("a batch", || {
        let mut entries = [None; 32];
        for (host, entry) in hosts.iter_mut().zip(&mut entries) {
            *entry = Some(batch.push(device.upload(&x).message(std::mem::take(host)).unwrap()).unwrap());
        }
        let mut sent = batch.commit().unwrap();
        for (host, entry) in hosts.iter_mut().zip(entries) {
            *host = sent.ticket(entry.unwrap()).wait().buffer.unwrap();
        }
    });
    let small = [1.0_f32; 16];
    steady("posts", || {
        for _ in 0..32 {
            batch.post(device.upload(&x).copy_message(&small).unwrap()).unwrap();
        }
        drop(batch.commit().unwrap());
        queue.fence().unwrap().wait().unwrap();
    });
    let mut recording = device.record();
    let input = recording.upload(&x)?;
    let output = recording.download(x.view(0..8)?)?;
    let (graph, slots) = recording.finish();
    let mut slots = Some(slots);
    steady("a replay with slots", || {
        let mut own = slots.take().unwrap();
        own[input].fill(3.0);
        let done = graph.replay().on(&queue).run(own).unwrap().wait();
        slots = done.buffer;
        assert_eq!(slots.as_ref().unwrap()[output], [3.0; 8]);
    });
    Ok(())
}

#[test]
fn messages_are_sent_and_resolved_without_an_allocation() -> wharf::Result<()> {
    let options = Options::new().twin(Twin::Native);
    for name in ["cpu", "sim:"] {
        messages(name, options)?;
        messages(name, options.progress(Progress::Manual))?;
    }
    steady("what allocates nothing", || ());
    let one = counting::during(|| drop(std::hint::black_box(vec![1_u8; 100])));
    assert_eq!(one, 1, "the counter counts");
    Ok(())
}
