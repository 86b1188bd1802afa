//! CUDA on its driver in software, as a device of the queues' contract.

use std::fs;
use std::path::PathBuf;

use wharf::{Buffer, Device, Grid, Kernel, Launch, Operand, Options, Plan, Progress, Step};
use wharf_kernels::SAXPY;

use crate::contract::rig::{Held, Rig};

static THRICE: Plan = Plan {
    name: "thrice",
    bindings: 2,
    scratch: &[],
    steps: &[const { Step { kernel: &SAXPY, operands: &[Operand::Caller(0), Operand::Caller(1)] } }; 3],
};

/// The PTX of `saxpy` with another workgroup than it was made for, which the driver refuses to launch.
// SAFETY: no launch of it runs.
static REFUSED: Kernel = unsafe {
    Kernel::new(
        "saxpy",
        "struct Params { n: u32, a: f32 }
         @group(0) @binding(0) var<storage, read> x: array<f32>;
         @group(0) @binding(1) var<storage, read_write> y: array<f32>;
         @group(0) @binding(2) var<uniform> params: Params;
         @compute @workgroup_size(64)
         fn saxpy(@builtin(global_invocation_id) id: vec3<u32>) {
             if id.x < params.n { y[id.x] += params.a * x[id.x]; }
         }",
    )
    .with_ptx(include_str!("../../src/saxpy.ptx"))
    .with_grid(Grid::Elements { of: "x", per_group: 1024 })
};

/// The file that keeps launches waiting, where whoever has started this process has named one.
fn door() -> Option<PathBuf> {
    std::env::var_os("SOFT_CUDA_DOOR").map(Into::into)
}

pub(crate) fn cuda() -> Rig {
    Rig {
        name: "cuda",
        open: crate::device,
        by_hand: || Device::open_with("cuda:0", Options::new().progress(Progress::Manual)),
        saxpy: &SAXPY,
        thrice: &THRICE,
        fails: |device, x: &Buffer<f32>, y: &Buffer<f32>| -> Launch<'_> {
            device.launch(&REFUSED).bind(x).bind(y).arg("a", 1.0_f32)
        },
        hold: || {
            let close = Box::new(|| fs::write(door().expect("a door"), "").expect("a folder for it"));
            let open = Box::new(|| drop(door().map(fs::remove_file)));
            Held::new(crate::device(), &SAXPY).behind_a_door(1.0, close, open)
        },
        replay_form: "CUDA graph",
        slower: 10,
    }
}
