//! Pipelines and priorities in virtual time: exact, on links and cards of any speed.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use wharf::{Faults, Grid, Kernel, Priority, Simulation, native::Dispatch};

static COPY: Kernel = Kernel::new(
    "copy",
    "@group(0) @binding(0) var<storage, read> x: array<u32>;
     @group(0) @binding(1) var<storage, read_write> y: array<u32>;
     @compute @workgroup_size(64)
     fn copy(@builtin(global_invocation_id) id: vec3<u32>) { if id.x < arrayLength(&x) { y[id.x] = x[id.x]; } }",
)
.with_native(|dispatch: &mut Dispatch<'_>| {
    let [x, y] = dispatch.args else { unreachable!("two bindings") };
    y.write::<u32>().copy_from_slice(x.read());
})
.with_grid(Grid::Elements { of: "x", per_group: 64 });

/// Words of a chunk.
const WORDS: usize = 1024;
/// Chunks in flight: as many as there are stages, and one more.
const SLOTS: usize = 6;

/// A machine, and how long the host needs to make a chunk and to use one. There are enough chunks for the
/// ends to be small beside them: where stages share an engine, it may take up to a stage's time longer until
/// all of them are at work, or done.
#[derive(Debug, Clone)]
struct Case {
    up_us: u64,
    down_us: u64,
    kernel_us: u64,
    fill_us: u64,
    consume_us: u64,
    duplex: bool,
    overlap: bool,
    chunks: usize,
}

fn case() -> impl Strategy<Value = Case> {
    let time = || 5..200_u64;
    let times = (time(), time(), time(), time(), time());
    (times, any::<bool>(), any::<bool>(), 128..256_usize).prop_map(|(times, duplex, overlap, chunks)| {
        let (up_us, down_us, kernel_us, fill_us, consume_us) = times;
        Case { up_us, down_us, kernel_us, fill_us, consume_us, duplex, overlap, chunks }
    })
}

impl Case {
    fn device(&self) -> String {
        // Of each stage one microsecond is latency, the rest its bytes.
        let bytes = (WORDS * 4) as f64;
        let rate = |us: u64, passes: f64| passes * bytes / (us - 1) as f64;
        let word = |yes| if yes { "yes" } else { "no" };
        format!(
            "latency=1us,launch=1us,up={}MB/s,down={}MB/s,bandwidth={}MB/s,duplex={},overlap={}",
            rate(self.up_us, 1.0),
            rate(self.down_us, 1.0),
            rate(self.kernel_us, 3.0),
            word(self.duplex),
            word(self.overlap)
        )
    }

    /// Seconds of the whole pipeline where everything overlaps that can: stages that share an engine
    /// are one, `max T + (sum T - max T) / n`.
    fn ideal(&self) -> f64 {
        let host = self.fill_us + self.consume_us;
        let Self { up_us, down_us, kernel_us, .. } = *self;
        let engines = match (self.overlap, self.duplex) {
            (false, _) => vec![host, up_us + kernel_us + down_us],
            (true, false) => vec![host, up_us + down_us, kernel_us],
            (true, true) => vec![host, up_us, down_us, kernel_us],
        };
        let slowest = *engines.iter().max().expect("there are engines");
        let others = engines.iter().sum::<u64>() - slowest;
        (slowest * self.chunks as u64 + others) as f64 * 1e-6
    }

    /// Runs it; gives the virtual seconds.
    fn run(&self) -> wharf::Result<f64> {
        let sim = Simulation::open(&self.device())?;
        let device = sim.device();
        let buffers = (0..2 * SLOTS).map(|_| device.buffer::<u32>(WORDS)).collect::<wharf::Result<Vec<_>>>()?;
        let [fill, consume] = [self.fill_us, self.consume_us].map(Duration::from_micros);
        let mut flying = std::collections::VecDeque::new();
        for chunk in 0..self.chunks + SLOTS {
            if flying.len() == SLOTS || chunk >= self.chunks {
                let Some((number, ticket)) = flying.pop_front() else { break };
                let got: Vec<u32> = wharf::Ticket::wait(ticket).ok()?;
                assert!(got.iter().all(|&word| word == number), "chunk {number}");
                sim.host_work(consume);
            }
            if chunk < self.chunks {
                let (x, y) = (&buffers[2 * (chunk % SLOTS)], &buffers[2 * (chunk % SLOTS) + 1]);
                let mut staging = device.upload(x).reserve(WORDS)?;
                staging.fill(chunk as u32);
                sim.host_work(fill);
                drop(staging.commit()?);
                drop(device.launch(&COPY).bind(x).bind(y).run()?);
                flying.push_back((chunk as u32, device.download(y).send()?));
            }
        }
        Ok(sim.seconds())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_pipeline_is_within_a_hundredth_of_its_ideal(case in case()) {
        let (took, ideal) = (case.run().expect("it runs"), case.ideal());
        prop_assert!(took <= 1.01 * ideal, "{took} s, the ideal is {ideal} s");
        // The slowest engine alone needs nearly as long: nothing is left out.
        let slots = SLOTS as f64 / case.chunks as f64;
        prop_assert!(took >= ideal * (1.0 - slots), "{took} s are too good, the ideal is {ideal} s");
    }
}

#[test]
fn the_same_program_has_the_same_times() {
    let case = Case {
        up_us: 50,
        down_us: 30,
        kernel_us: 70,
        fill_us: 20,
        consume_us: 10,
        duplex: false,
        overlap: true,
        chunks: 40,
    };
    let times: Vec<f64> = (0..3).map(|_| case.run().expect("it runs")).collect();
    assert!(times.iter().all(|time| time == &times[0]), "{times:?}");
}

#[test]
fn what_is_not_overlapped_is_noticed() -> wharf::Result<()> {
    let case = Case {
        up_us: 50,
        down_us: 50,
        kernel_us: 50,
        fill_us: 50,
        consume_us: 50,
        duplex: true,
        overlap: true,
        chunks: 16,
    };
    let alone = Case { overlap: false, ..case.clone() };
    assert!(alone.run()? > 1.3 * case.ideal());
    Ok(())
}

/// A small message of higher priority behind 1 GiB in chunks of 4 MiB.
#[test]
fn a_small_message_waits_for_the_submitted_chunks_and_the_large_one_keeps_the_link() -> wharf::Result<()> {
    const LARGE: usize = 1 << 30;
    const CHUNK: u64 = 4 << 20;
    /// Chunks that a lane of the driver has at most.
    const SUBMITTED: f64 = 2.0;
    let sim = Simulation::open_with("latency=1us,rate=25GB/s", Faults::new())?;
    let device = sim.device();
    let (large, small) = (device.buffer::<u8>(LARGE)?, device.buffer::<u32>(64)?);
    let bulk = device.queue("bulk").bytes(u64::MAX).chunk(CHUNK).open();
    let urgent = device.queue("urgent").priority(Priority::High).open();
    let data: std::sync::Arc<[u8]> = vec![0; LARGE].into();
    let sent = device.upload(&large).on(&bulk).send(data)?;
    let chunk = 1e-6 + CHUNK as f64 / 25e9;
    let seconds = |from: Instant, to: Instant| to.saturating_duration_since(from).as_secs_f64();
    let mut longest = 0.0_f64;
    for round in 0..50 {
        sim.host_work(Duration::from_micros(137 * (round % 7) + 11));
        let receipt = device.upload(&small).on(&urgent).send(vec![round as u32; 64])?.wait().receipt;
        longest = longest.max(seconds(receipt.accepted, receipt.finished.expect("it went well")));
    }
    assert!(sent.id().number() == 0, "the large one was first");
    let done = sent.wait();
    assert!(done.result.is_ok());
    let took = seconds(done.receipt.accepted, done.receipt.finished.expect("it went well"));
    println!(
        "the longest wait is {:.1} chunks; the large one has {:.1} % of the link",
        longest / chunk,
        LARGE as f64 / 25e7 / took
    );
    assert!(longest <= (SUBMITTED + 1.0) * chunk, "{longest} s, a chunk takes {chunk} s");
    assert!(longest > 0.5 * chunk, "there was something to wait for: {longest} s");
    assert!(took <= LARGE as f64 / 25e9 / 0.95, "{took} s");
    Ok(())
}
