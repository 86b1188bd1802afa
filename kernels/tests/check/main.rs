//! No kernel has a race, a divergent barrier, an access out of bounds or a read of what nobody wrote: the
//! checker of `wharf-simt` runs each of them on its own cases. And the checker is checked: it notices when
//! a kernel is broken.

mod harness;
mod mutants;

use harness::{Groups, check};
use wharf_kernels::{ALL, Inputs};

#[test]
fn the_checker_finds_nothing_in_any_kernel() {
    for spec in ALL {
        let matrices = spec.sizes.iter().all(|&n| n < 2000);
        for n in if matrices { [1, 33, 70] } else { [1, 1025, 10_007] } {
            let case = (spec.case)(n, Inputs::Exact);
            let seen = check(spec, spec.kernels()[0].wgsl(), &case, Groups::All).expect("valid");
            assert_eq!(seen.findings, [], "{}, n = {n}", spec.name);
            seen.answer.unwrap_or_else(|e| panic!("{}, n = {n}: {e}", spec.name));
        }
    }
}
