//! The smallest program: upload, launch, download.
//!
//! ```text
//! $ cargo run --release --example 01_saxpy
//! y[10] = 2 * 10 + 1 = 21 on cpu
//! ```

use wharf::Device;
use wharf_kernels::SAXPY;

fn main() -> wharf::Result<()> {
    // The best device of this machine; WHARF_DEVICE=cpu|wgpu|cuda chooses another.
    let device = Device::best()?;

    let n = 1_000_003;
    let (x, y) = (device.buffer::<f32>(n)?, device.buffer::<f32>(n)?);

    // Written in place into memory that the device reads from, and on its way.
    device.upload(&x).fill(|i| i as f32)?;
    device.upload(&y).fill(|_| 1.0)?;

    // The launch waits for the uploads by itself, and the download for the launch.
    device.launch(&SAXPY).bind(&x).bind(&y).arg("a", 2.0_f32).run()?;
    let y = device.download(&y).wait()?;

    println!("y[10] = 2 * 10 + 1 = {} on {}", y[10], device.id());
    assert!(y.iter().enumerate().all(|(i, &y)| y == 2.0 * i as f32 + 1.0));
    Ok(())
}
