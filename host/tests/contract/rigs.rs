//! The devices of this crate.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use wharf::{Buffer, Device, Launch, Options, Progress, Simulation};

#[cfg(feature = "wgpu")]
use crate::adapter;
use crate::{
    contract::rig::{Held, Rig},
    kernels::{OPEN, PANICS, SAXPY, STAYS, THRICE},
};

fn manual() -> Options {
    Options::new().progress(Progress::Manual)
}

fn panics<'a>(device: &'a Device, x: &Buffer<f32>, y: &Buffer<f32>) -> Launch<'a> {
    device.launch(&PANICS).bind(x).bind(y).arg("a", 1.0_f32)
}

pub(crate) fn cpu() -> Option<Rig> {
    Some(Rig {
        name: "cpu",
        open: || Device::open("cpu").expect("always there"),
        by_hand: || Device::open_with("cpu", manual()),
        saxpy: &SAXPY,
        thrice: &THRICE,
        fails: panics,
        hold: || {
            static NEXT: AtomicUsize = AtomicUsize::new(1);
            let door = NEXT.fetch_add(1, SeqCst);
            let device = Device::open("cpu").expect("always there");
            let set = |is_open| Box::new(move || OPEN[door].store(is_open, SeqCst));
            Held::new(device, &STAYS).behind_a_door(door as f32, set(false), set(true))
        },
        replay_form: "one command",
        slower: 1,
    })
}

/// Kept busy, it is one whose time passes only while somebody waits, and where a launch takes an hour.
pub(crate) fn sim() -> Option<Rig> {
    Some(Rig {
        name: "sim",
        open: || Device::open("sim").expect("it needs nothing"),
        by_hand: || Device::open_with("sim", manual()),
        saxpy: &SAXPY,
        thrice: &THRICE,
        fails: panics,
        hold: || simulated("launch=3600s"),
        replay_form: "one command",
        slower: 10,
    })
}

pub(crate) fn simulated(description: &str) -> Held {
    let sim = Simulation::open(description).expect("a description");
    Held::new(sim.device().clone(), &SAXPY).passing_by(Box::new(move |time| sim.host_work(time)))
}

#[cfg(feature = "wgpu")]
mod wgpu {
    use std::sync::LazyLock;

    use wharf::Kernel;

    use super::*;

    /// More parameters than the device holds at once, which it finds when the launch comes to it.
    static TOO_MANY: LazyLock<Kernel> = LazyLock::new(|| {
        let blocks: String =
            (1..=6).map(|i| format!("@group(0) @binding({i}) var<uniform> p{i}: array<vec4<f32>, 3072>;\n")).collect();
        let sum = (1..=6).map(|i| format!("p{i}[0].x")).collect::<Vec<_>>().join(" + ");
        Kernel::from_wgsl(format!(
            "@group(0) @binding(0) var<storage, read> x: array<f32>;
             @group(0) @binding(7) var<storage, read_write> y: array<f32>;\n{blocks}
             @compute @workgroup_size(1) fn main() {{ y[0] = x[0] + {sum}; }}"
        ))
        .expect("a kernel")
    });

    fn fails<'a>(device: &'a Device, x: &Buffer<f32>, y: &Buffer<f32>) -> Launch<'a> {
        static BYTES: [u8; 3072 * 16] = [0; 3072 * 16];
        let launch = device.launch(&*TOO_MANY).bind(x).bind(y).groups([1, 1, 1]);
        ["p1", "p2", "p3", "p4", "p5", "p6"].iter().fold(launch, |launch, name| launch.uniform(name, &BYTES))
    }

    /// About a second of arithmetic: nothing that runs there can be let go. llvmpipe leaves an
    /// invocation's loops after 65,535 rounds, so there are many workgroups.
    static SLOW: LazyLock<Kernel> = LazyLock::new(|| {
        Kernel::from_wgsl(
            "struct Params { a: f32 }
             @group(0) @binding(0) var<storage, read> x: array<f32>;
             @group(0) @binding(1) var<storage, read_write> y: array<f32>;
             @group(0) @binding(2) var<uniform> params: Params;
             @compute @workgroup_size(1)
             fn slow(@builtin(global_invocation_id) id: vec3<u32>) {
                 var v = 0.5;
                 for (var i = 0u; i < 60000u; i++) { v = fract(v * 1.7 + 0.3); }
                 // It is never below zero, which no compiler knows.
                 if id.x == 0u || v < 0.0 { y[0] += params.a * x[0]; }
             }",
        )
        .expect("a kernel")
    });

    pub(super) fn rig() -> Rig {
        Rig {
            name: "wgpu",
            open: || Device::open("wgpu").expect("it was there before"),
            by_hand: || Device::open_with("wgpu", manual()),
            saxpy: &SAXPY,
            thrice: &THRICE,
            fails,
            hold: || Held::new(Device::open("wgpu").expect("it was there before"), &SLOW).of_groups([4000, 1, 1]),
            replay_form: "one submission",
            slower: 20,
        }
    }
}

/// The rig, or nothing where the machine has no adapter.
#[cfg(feature = "wgpu")]
pub(crate) fn wgpu() -> Option<Rig> {
    adapter::is_there().then(wgpu::rig)
}
