//! A product of matrices, tiled through workgroup memory, against a plain loop on the host.
//!
//! ```text
//! $ cargo run --release --example 04_matmul
//! 512 x 512 x 512 on cpu (native twin: measured faster): 2.8 ms, 96.9 GFLOP/s
//! largest error: 2.0e-6
//! ```

use wharf::Device;
use wharf_kernels::MATMUL;

const N: usize = 512;

fn main() -> wharf::Result<()> {
    let device = Device::best()?;
    let (a, b, c) = (device.buffer::<f32>(N * N)?, device.buffer::<f32>(N * N)?, device.buffer::<f32>(N * N)?);
    device.upload(&a).fill(left)?;
    device.upload(&b).fill(right)?;

    let n = N as u32;
    let launch = || device.launch(&MATMUL).bind(&a).bind(&b).bind(&c).arg("m", n).arg("n", n).arg("k", n).run();
    launch()?; // the first one compiles
    let receipt = launch()?.wait().receipt;
    let c = device.download(&c).wait()?;

    let seconds = receipt.seconds().expect("a launch that succeeded has times");
    let rate = 2.0 * (N as f64).powi(3) / seconds / 1e9;
    let form = receipt.form.unwrap_or("a kernel");
    println!("{N} x {N} x {N} on {} ({form}): {:.1} ms, {rate:.1} GFLOP/s", device.id(), seconds * 1e3);

    // Every 97th element, in f64.
    let error = |i: usize| {
        let exact: f64 = (0..N).map(|l| f64::from(left(i / N * N + l)) * f64::from(right(l * N + i % N))).sum();
        (f64::from(c[i]) - exact).abs()
    };
    let worst = (0..N * N).step_by(97).map(error).fold(0.0, f64::max);
    println!("largest error: {worst:.1e}");
    // 512 products of magnitude below 1, each rounded by at most 2^-24 of the running sum.
    assert!(worst < 512.0 * 512.0 * f64::from(f32::EPSILON) / 2.0);
    Ok(())
}

fn left(i: usize) -> f32 {
    (i * 7919 % 2003) as f32 / 2003.0 - 0.5
}

fn right(i: usize) -> f32 {
    (i * 104_729 % 1999) as f32 / 1999.0 - 0.5
}
