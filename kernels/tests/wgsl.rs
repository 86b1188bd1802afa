//! The WGSL itself, run on the CPU device, against the oracle: no GPU is needed to know that
//! it is right.

use wharf::{Device, Job, Twin};
use wharf_kernels::{ALL, Inputs, conformance};

fn cpu(twin: Twin) -> Device {
    Device::open_with("cpu", twin).expect("the CPU device is always there")
}

#[test]
fn the_wgsl_of_every_kernel_agrees_with_its_oracle() {
    let device = cpu(Twin::Simt);
    let mut failures = Vec::new();
    for spec in ALL {
        // The interpreter is no place for the large ones.
        for &n in spec.sizes.iter().filter(|&&n| n <= 10_007) {
            for inputs in [Inputs::Exact, Inputs::Random(1)] {
                let case = (spec.case)(n, inputs);
                let got = conformance::run(spec, &device, &case).unwrap_or_else(|e| panic!("{}: {e}", spec.name));
                if let Err(e) = conformance::compare(&(spec.oracle)(&case), &got) {
                    failures.push(format!("{}, {inputs:?}, n = {n}: {e}", spec.name));
                }
            }
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn the_receipt_says_which_form_ran() -> wharf::Result<()> {
    let spec = wharf_kernels::find("saxpy").expect("in the library");
    let case = (spec.case)(100, Inputs::Exact);
    for (twin, form) in [(Twin::Native, "native twin: forced"), (Twin::Simt, "simt ")] {
        let device = cpu(twin);
        let ran = conformance::Placed::new(&device, &case)?.launch(spec, &case)?.wait().receipt.form;
        assert!(ran.is_some_and(|ran| ran.starts_with(form)), "{ran:?}");
    }
    Ok(())
}

/// The order of additions is the WGSL's, so the bits are too.
#[test]
fn the_native_sum_of_f32_has_the_bits_of_the_wgsl() -> wharf::Result<()> {
    let (native, simt) = (cpu(Twin::Native), cpu(Twin::Simt));
    let spec = wharf_kernels::find("reduce_sum_f32").expect("in the library");
    for n in [1, 2048, 10_007, 100_003] {
        let case = (spec.case)(n, Inputs::Random(n as u64));
        let bits = |device: &Device| conformance::run(spec, device, &case).map(|sum| sum[0].f32s()[0].to_bits());
        assert_eq!(bits(&simt)?, bits(&native)?, "n = {n}");
    }
    Ok(())
}

/// A launch over a device's limit is folded into y: whatever the shape, each tile is done once.
#[test]
fn folded_launches_give_the_same() -> wharf::Result<()> {
    for device in [Twin::Native, Twin::Simt].map(cpu) {
        for spec in ALL.iter().filter(|spec| matches!(spec.job, Job::Kernel(_))) {
            let n = if matches!(spec.name, "matmul" | "transpose") { 127 } else { 10_007 };
            let case = (spec.case)(n, Inputs::Exact);
            for groups in [[30, 1, 1], [5, 6, 1], [4, 9, 1]] {
                let placed = conformance::Placed::new(&device, &case)?;
                placed.launch_with(spec, &case, groups)?.wait().ok()?;
                let got = (spec.answer)(placed.outputs()?);
                conformance::compare(&(spec.oracle)(&case), &got)
                    .unwrap_or_else(|e| panic!("{} with {groups:?} workgroups: {e}", spec.name));
            }
        }
    }
    Ok(())
}
