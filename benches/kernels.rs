//! Every kernel of the library on every device: seconds on the device's clock where it has one, else
//! from start to finish as the host saw it. `cargo bench --bench kernels -- <kernel>/<device>`.
//!
//! Not measured: transfers (see `transfers`), compiling, the queue's own time (see `tax`).

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use wharf::Device;
use wharf_kernels::{
    ALL, Inputs, Spec,
    conformance::{self, Placed},
};

/// What `n` is for each kernel: elements, or the side of a matrix.
fn size(spec: &Spec) -> usize {
    match spec.name {
        "matmul" => 512,
        "transpose" => 2048,
        _ => 1 << 22,
    }
}

fn kernels(criterion: &mut Criterion) {
    for door in Device::discover() {
        let device = Device::open(&door.id).expect("a discovered device opens");
        for spec in ALL {
            bench(criterion, &device, spec).unwrap_or_else(|e| panic!("{} on {}: {e}", spec.name, device.id()));
        }
    }
}

fn bench(criterion: &mut Criterion, device: &Device, spec: &Spec) -> wharf::Result<()> {
    let test = std::env::args().any(|arg| arg == "--test");
    let n = if test { 100 } else { size(spec) };
    // The answer first: a fast wrong kernel is not a fast kernel.
    let case = (spec.case)(n, Inputs::Random(1));
    let got = conformance::run(spec, device, &case)?;
    if let Err(wrong) = conformance::compare(&(spec.oracle)(&case), &got) {
        panic!("{} on {}: {wrong}", spec.name, device.id());
    }
    let placed = Placed::new(device, &case)?;
    let mut group = criterion.benchmark_group(spec.name);
    let cost = (spec.cost)(n as u64);
    group.throughput(match cost.flops > 8 * cost.bytes {
        true => Throughput::Elements(cost.flops),
        false => Throughput::Bytes(cost.bytes),
    });
    group.bench_function(BenchmarkId::new(device.id(), n), |bencher| {
        bencher.iter_custom(|rounds| {
            let mut seconds = 0.0;
            for _ in 0..rounds {
                let done = placed.launch(spec, &case).expect("it ran before").wait();
                seconds += done.receipt.seconds().expect("a finished launch has times");
                done.ok().expect("it ran before");
            }
            Duration::from_secs_f64(seconds)
        });
    });
    group.finish();
    Ok(())
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(2)).without_plots();
    targets = kernels
}
criterion_main!(benches);
