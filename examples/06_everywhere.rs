//! The same kernel on every device of this machine, software adapters included.
//!
//! ```text
//! $ cargo run --release --example 06_everywhere
//! cpu      native twin: measured faster 2 threads, x86_64                        the same 256 bins
//! wgpu:0   WGSL                         llvmpipe (LLVM 15.0.6, 256 bits)         the same 256 bins
//! ```

use wharf::Device;
use wharf_kernels::HISTOGRAM;

const N: usize = 1_000_000;

fn main() -> wharf::Result<()> {
    let mut expected = vec![0_u32; 256];
    (0..N).for_each(|i| expected[(value(i) >> 24) as usize] += 1);

    let found = Device::discover();
    for door in &found {
        let device = Device::open(&door.id)?;
        let (values, bins) = (device.buffer::<u32>(N)?, device.buffer::<u32>(256)?);
        device.upload(&values).fill(value)?;
        let launch = device.launch(&HISTOGRAM).bind(&values).bind(&bins).arg("shift", 24_u32).run()?;
        let bins = device.download(&bins).wait()?;
        let form = launch.wait().receipt.form.unwrap_or("");
        println!("{:8} {form:28} {:40} the same 256 bins", device.id(), device.capabilities().name);
        assert_eq!(*bins, *expected, "on {}", device.id());
    }
    assert!(!found.is_empty(), "the CPU device is always there");
    Ok(())
}

fn value(i: usize) -> u32 {
    (i as u32).wrapping_mul(2_654_435_761)
}
