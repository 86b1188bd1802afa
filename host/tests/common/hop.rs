//! A step of a plan: it copies one word.

use wharf::{Grid, Kernel, native::Dispatch};

pub(crate) const PASS: &str = "
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(1)
fn hop() { y[0] = x[0]; }";

fn pass(dispatch: &mut Dispatch<'_>) {
    let [x, y] = dispatch.args else { unreachable!("two bindings") };
    y.write::<u32>()[0] = x.read::<u32>()[0];
}

pub(crate) static HOP: Kernel = Kernel::new("hop", PASS).with_native(pass).with_grid(Grid::Fixed([1, 1, 1]));
