//! The contract's kernels, in the forms that the devices of this crate run.

use std::{
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
    time::Duration,
};

use wharf::{Grid, Kernel, Need, Operand, Plan, Step, native::Dispatch};

const SOURCE: &str = "
struct Params { n: u32, a: f32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;
@compute @workgroup_size(64)
fn saxpy(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < params.n { y[id.x] += params.a * x[id.x]; }
}";

fn a_of(dispatch: &Dispatch<'_>) -> f32 {
    f32::from_le_bytes(dispatch.uniform[4..8].try_into().expect("four bytes"))
}

fn saxpy(dispatch: &mut Dispatch<'_>) {
    let a = a_of(dispatch);
    let [x, y] = dispatch.args else { unreachable!("two bindings") };
    y.write::<f32>().iter_mut().zip(x.read::<f32>()).for_each(|(y, x)| *y += a * x);
}

static NEEDS: [Need; 2] = [Need::product("x", &["n"]), Need::product("y", &["n"])];

const fn of_elements(kernel: Kernel) -> Kernel {
    kernel.with_grid(Grid::Elements { of: "x", per_group: 64 }).with_needs(&NEEDS)
}

pub(crate) static SAXPY: Kernel = of_elements(Kernel::new("saxpy", SOURCE).with_native(saxpy));

pub(crate) static THRICE: Plan = Plan {
    name: "thrice",
    bindings: 2,
    scratch: &[],
    steps: &[const { Step { kernel: &SAXPY, operands: &[Operand::Caller(0), Operand::Caller(1)] } }; 3],
};

/// Fails wherever native twins run.
pub(crate) static PANICS: Kernel = of_elements(Kernel::new("saxpy", SOURCE).with_native(|_| panic!("a bug")));

/// Which doors are open: each test that holds a device has one.
pub(crate) static OPEN: [AtomicBool; 64] = [const { AtomicBool::new(false) }; 64];

/// Waits until the door is open whose number is `a`.
pub(crate) static STAYS: Kernel = of_elements(Kernel::new("saxpy", SOURCE).with_native(|dispatch| {
    while !OPEN[a_of(dispatch) as usize].load(SeqCst) {
        thread::sleep(Duration::from_micros(100));
    }
    saxpy(dispatch);
}));
