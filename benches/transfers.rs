//! Uploads and downloads on every device, from the call to the completion.
//!
//! `fill` writes staging memory in place, `send` hands over a vector, `download` takes one back into a
//! vector that is used again. The data of each is verified once.

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use wharf::{Device, Result};

const SIZES: [usize; 4] = [4 << 10, 256 << 10, 4 << 20, 64 << 20];

fn transfers(criterion: &mut Criterion) {
    for door in Device::discover() {
        let device = Device::open(&door.id).expect("a discovered device opens");
        let test = std::env::args().any(|arg| arg == "--test");
        for bytes in if test { &SIZES[..2] } else { &SIZES } {
            bench(criterion, &device, *bytes).unwrap_or_else(|e| panic!("{bytes} bytes on {}: {e}", device.id()));
        }
    }
}

fn bench(criterion: &mut Criterion, device: &Device, bytes: usize) -> Result<()> {
    let len = bytes / 4;
    let buffer = device.buffer::<u32>(len)?;
    let data: Vec<u32> = (0..len as u32).map(|i| i.wrapping_mul(2_654_435_761)).collect();
    device.upload(&buffer).send(data.clone())?.wait().ok()?;
    assert_eq!(*device.download(&buffer).wait()?, *data, "what goes up comes down");

    let mut group = criterion.benchmark_group("transfers");
    group.throughput(Throughput::Bytes(bytes as u64));
    let id = |name: &str| BenchmarkId::new(format!("{name}/{}", device.id()), bytes);
    group.bench_function(id("fill"), |bencher| {
        bencher.iter(|| {
            let mut fill = device.upload(&buffer).reserve(len).expect("staging memory");
            fill.copy_from_slice(&data);
            fill.commit().expect("accepted").wait().ok().expect("uploaded");
        });
    });
    // The vector goes into the message and comes back with the completion.
    group.bench_function(id("send"), |bencher| {
        bencher.iter_custom(|rounds| {
            let mut owned = data.clone();
            let start = Instant::now();
            for _ in 0..rounds {
                let ticket = device.upload(&buffer).send(owned).expect("accepted");
                owned = ticket.wait().ok().expect("uploaded");
            }
            start.elapsed()
        });
    });
    group.bench_function(id("download"), |bencher| {
        bencher.iter_custom(|rounds| {
            let mut owned = data.clone();
            let start = Instant::now();
            for _ in 0..rounds {
                let ticket = device.download(&buffer).into(owned).expect("accepted");
                owned = ticket.wait().ok().expect("downloaded");
            }
            let elapsed = start.elapsed();
            assert_eq!(owned, data, "a download brings what was uploaded");
            elapsed
        });
    });
    group.finish();
    Ok(())
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(2)).without_plots();
    targets = transfers
}
criterion_main!(benches);
