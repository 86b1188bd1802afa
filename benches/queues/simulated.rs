//! In virtual time, where goals are exact: pipelines over random links beside their ideal, and a small message
//! behind a large one.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use wharf::{Grid, Kernel, Priority, Simulation, native::Dispatch};
use wharf_batch::overlap::{self, Engines, Overlap, Stages};

use crate::{Error, Size, met};

pub(crate) const SIM_MOST: f64 = 1.01;
/// Batches in flight: as many as there are stages, and one more.
const SLOTS: usize = 6;

const COPY: &str = "
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(64)
fn copy(@builtin(global_invocation_id) id: vec3<u32>) { if id.x < arrayLength(&x) { y[id.x] = x[id.x]; } }";

fn copy(dispatch: &mut Dispatch<'_>) {
    let [x, y] = dispatch.args else { unreachable!("two bindings") };
    y.write::<u32>().copy_from_slice(x.read());
}

static KERNEL: Kernel =
    Kernel::new("copy", COPY).with_native(copy).with_grid(Grid::Elements { of: "x", per_group: 64 });

pub(crate) fn run(size: Size) -> Result<(), Error> {
    random(size)?;
    head(size)
}

/// A pipeline whose times are all computed: one thread makes and uses the batches.
#[derive(Debug, Clone)]
pub(crate) struct Virtual {
    pub(crate) name: String,
    pub(crate) words: usize,
    pub(crate) fill_us: u64,
    pub(crate) merge_us: u64,
    pub(crate) chunks: usize,
}

/// What came of it, in virtual seconds.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) seconds: f64,
    pub(crate) ideal: Overlap,
}

impl Run {
    pub(crate) fn times_ideal(&self) -> f64 {
        self.seconds / self.ideal.ideal_seconds
    }

    pub(crate) fn bound(&self) -> String {
        self.ideal.bound.map_or_else(|| "nothing".to_owned(), |bound| bound.to_string())
    }
}

impl Virtual {
    pub(crate) fn run(&self) -> Result<Run, Error> {
        let sim = Simulation::open(&self.name)?;
        let device = sim.device();
        // Chunks of messages are an affair of their own.
        let [up, down] = ["up", "down"].map(|name| device.queue(name).chunk(u64::MAX).open());
        let buffers = (0..2 * SLOTS).map(|_| device.buffer::<u32>(self.words)).collect::<wharf::Result<Vec<_>>>()?;
        let [fill, merge] = [self.fill_us, self.merge_us].map(Duration::from_micros);
        let alone = |seconds: Option<f64>| seconds.ok_or("a simulated device has a clock");
        let upload = device.upload(&buffers[0]).on(&up).fill(|_| 0)?.wait();
        let kernel = device.launch(&KERNEL).bind(&buffers[0]).bind(&buffers[1]).run()?.wait();
        let download = device.download(&buffers[1]).on(&down).send()?.wait();
        let solo = Stages {
            fill: fill.as_secs_f64(),
            upload: alone(upload.receipt.device_seconds)?,
            kernel: alone(kernel.receipt.device_seconds)?,
            download: alone(download.receipt.device_seconds)?,
            merge: merge.as_secs_f64(),
        };
        let begin = sim.seconds();
        let mut flying = VecDeque::with_capacity(SLOTS);
        for chunk in 0..self.chunks + SLOTS {
            if flying.len() == SLOTS || chunk >= self.chunks {
                let Some((number, ticket)) = flying.pop_front() else { break };
                let got: Vec<u32> = wharf::Ticket::wait(ticket).ok()?;
                if got.iter().any(|&word| word != number) {
                    return Err(format!("batch {number} came back as another").into());
                }
                sim.host_work(merge);
            }
            if chunk < self.chunks {
                let (x, y) = (&buffers[2 * (chunk % SLOTS)], &buffers[2 * (chunk % SLOTS) + 1]);
                let mut staging = device.upload(x).on(&up).reserve(self.words)?;
                staging.fill(chunk as u32);
                sim.host_work(fill);
                drop(staging.commit()?);
                drop(device.launch(&KERNEL).bind(x).bind(y).run()?);
                flying.push_back((chunk as u32, device.download(y).on(&down).send()?));
            }
        }
        let (seconds, batches) = (sim.seconds() - begin, self.chunks as u64);
        let engines = Engines::of(device.capabilities(), 1);
        Ok(Run { seconds, ideal: overlap::judge(&solo.scaled(batches), Some(seconds), batches, engines) })
    }
}

/// Pipelines over links, cards and hosts of any speed.
fn random(size: Size) -> Result<(), Error> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut within = |least: u64, most: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        least + (state >> 33) % (most - least)
    };
    let pipelines = size.of(8, 200);
    let (mut worst, mut at) = (0.0_f64, String::new());
    let mut bounds: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    for _ in 0..pipelines {
        let (up, down, kernel) = (within(5, 200), within(5, 200), within(5, 200));
        // Of each stage one microsecond is latency, the rest its bytes.
        let words = 1024;
        let rate = |us: u64, passes: f64| passes * (words * 4) as f64 / (us - 1) as f64;
        let case = Virtual {
            name: format!(
                "latency=1us,launch=1us,up={}MB/s,down={}MB/s,bandwidth={}MB/s,engines={}",
                rate(up, 1.0),
                rate(down, 1.0),
                rate(kernel, 3.0),
                within(0, 3)
            ),
            words,
            fill_us: within(5, 200),
            merge_us: within(5, 200),
            chunks: within(128, 256) as usize,
        };
        let run = case.run()?;
        *bounds.entry(run.ideal.bound.map_or("nothing", |bound| bound.stage)).or_default() += 1;
        if run.times_ideal() > worst {
            (worst, at) = (run.times_ideal(), case.name);
        }
    }
    let bounds: Vec<String> = bounds.iter().map(|(stage, count)| format!("{stage} {count} times")).collect();
    println!(
        "simulated, pipelines: {pipelines} over random links, at most {worst:.4} times ideal (sim:{at}), at most {SIM_MOST}: \
         {} | bound by {}",
        met(worst <= SIM_MOST),
        bounds.join(", ")
    );
    Ok(())
}

const CHUNK: u64 = 4 << 20;
/// Chunks that a lane of the driver has at most, and the one that comes after them.
const CHUNKS: f64 = 3.0;
const RATE_KEPT: f64 = 0.95;

/// A small message of higher priority behind a large one in chunks.
fn head(size: Size) -> Result<(), Error> {
    let len = size.of(64 << 20, 1 << 30);
    let sim = Simulation::open("latency=1us,rate=25GB/s")?;
    let device = sim.device();
    let (large, small) = (device.buffer::<u8>(len)?, device.buffer::<u32>(16)?);
    let bulk = device.queue("bulk").bytes(u64::MAX).chunk(CHUNK).open();
    let urgent = device.queue("urgent").priority(Priority::High).open();
    let data: std::sync::Arc<[u8]> = vec![0; len].into();
    let sent = device.upload(&large).on(&bulk).send(data)?;
    let chunk = 1e-6 + CHUNK as f64 / 25e9;
    let seconds = |from: Instant, to: Instant| to.saturating_duration_since(from).as_secs_f64();
    let (mut longest, rounds) = (0.0_f64, size.of(10, 100));
    for round in 0..rounds {
        sim.host_work(Duration::from_micros(137 * (round as u64 % 7) + 11));
        let receipt = device.upload(&small).on(&urgent).send(vec![round as u32; 16])?.wait().receipt;
        longest = longest.max(seconds(receipt.accepted, receipt.finished.ok_or("it failed")?));
    }
    let done = sent.wait();
    let finished = done.receipt.finished.ok_or("the large one failed")?;
    let kept = len as f64 / 25e9 / seconds(done.receipt.accepted, finished);
    if device.download(&small).wait()?[0] as usize != rounds - 1 {
        return Err("what arrived is not what was sent".into());
    }
    println!(
        "simulated, head: {rounds} messages of 64 bytes behind {} MiB waited for at most {:.2} chunks of {} MiB, at most \
         {CHUNKS}: {} | the large one kept {:.1} % of the link, at least {:.0} %: {}",
        len >> 20,
        longest / chunk,
        CHUNK >> 20,
        met(longest <= CHUNKS * chunk),
        100.0 * kept,
        100.0 * RATE_KEPT,
        met(kept >= RATE_KEPT)
    );
    Ok(())
}
