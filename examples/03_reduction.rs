//! A sum, three times: how workgroup memory turns many slow writes into few.
//!
//! ```text
//! $ cargo run --release --example 03_reduction
//! 16777216 elements on cpu
//! an atomic for each element      316.9 ms    0.2 GB/s
//! a tree in workgroup memory      320.8 ms    0.2 GB/s
//! a stride first, then the tree    16.1 ms    4.2 GB/s
//! ```

use wharf::{Device, Kernel};

const N: usize = 1 << 24;

const HEAD: &str = "
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> sum: atomic<u32>;
const WIDTH = 256u;
var<workgroup> part: array<u32, WIDTH>;
";

/// Every invocation adds to one word of storage: they all queue for it.
const ATOMIC: &str = "
@compute @workgroup_size(WIDTH)
fn each(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < arrayLength(&x) { atomicAdd(&sum, x[id.x]); }
}";

/// A workgroup adds up its elements in its own memory, half as many invocations in each round, and
/// touches storage once.
const TREE: &str = "
@compute @workgroup_size(WIDTH)
fn tree(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) i: u32) {
    if id.x < arrayLength(&x) { part[i] = x[id.x]; }
    for (var half = WIDTH / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if i < half { part[i] += part[i + half]; }
    }
    if i == 0u { atomicAdd(&sum, part[0]); }
}";

/// Each invocation first adds up many elements alone: fewer workgroups, fewer barriers.
const STRIDE: &str = "
@compute @workgroup_size(WIDTH)
fn stride(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) i: u32,
) {
    var mine = 0u;
    for (var at = id.x; at < arrayLength(&x); at += groups.x * WIDTH) { mine += x[at]; }
    part[i] = mine;
    for (var half = WIDTH / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if i < half { part[i] += part[i + half]; }
    }
    if i == 0u { atomicAdd(&sum, part[0]); }
}";

fn main() -> wharf::Result<()> {
    let device = Device::best()?;
    let (x, sum) = (device.buffer::<u32>(N)?, device.buffer::<u32>(1)?);
    device.upload(&x).fill(value)?;
    let expected = (0..N).map(value).fold(0, u32::wrapping_add);
    println!("{N} elements on {}", device.id());

    let all = (N / 256) as u32;
    let versions = [
        ("an atomic for each element", ATOMIC, all / 2),
        ("a tree in workgroup memory", TREE, all / 2),
        ("a stride first, then the tree", STRIDE, 512),
    ];
    for (name, source, groups) in versions {
        let kernel = Kernel::from_wgsl(format!("{HEAD}{source}"))?;
        // A dimension holds at most 65,535 workgroups: the first two take one half at a time.
        let halves = if groups == 512 { vec![x.view(0..N)?] } else { vec![x.view(0..N / 2)?, x.view(N / 2..N)?] };
        let mut seconds = 0.0;
        for round in 0..2 {
            device.clear(&sum).send()?;
            seconds = 0.0;
            for half in &halves {
                let done = device.launch(&kernel).bind(half).bind(&sum).groups([groups, 1, 1]).run()?.wait();
                seconds += done.receipt.seconds().unwrap_or_default();
                done.ok()?;
            }
            assert_eq!(device.download(&sum).wait()?[0], expected, "{name}, round {round}");
        }
        println!("{name:30} {:6.1} ms {:6.1} GB/s", seconds * 1e3, 4.0 * N as f64 / seconds / 1e9);
    }
    Ok(())
}

fn value(i: usize) -> u32 {
    (i as u32).wrapping_mul(2_654_435_761) >> 8
}
