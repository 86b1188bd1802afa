//! A step of a plan: it copies one word; and a plan of two.

use wharf::{Grid, Kernel, Operand, Plan, Scratch, Step, native::Dispatch};

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

/// Two of them, with so many words of scratch between.
pub(crate) const fn two_hops<const WORDS: u64>() -> Plan {
    Plan {
        name: "two_hops",
        bindings: 2,
        scratch: const { &[Scratch { elements: |_| WORDS, element_bytes: 4 }] },
        steps: const {
            &[
                Step { kernel: &HOP, operands: &[Operand::Caller(0), Operand::Scratch(0)] },
                Step { kernel: &HOP, operands: &[Operand::Scratch(0), Operand::Caller(1)] },
            ]
        },
    }
}
