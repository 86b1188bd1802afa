//! The WGSL itself, run on the CPU device, against the oracle: no GPU is needed to know that
//! it is right.

use wharf::{Device, Job, Kernel, Plan, Step};
use wharf_kernels::{ALL, Inputs, Spec, conformance};

/// The same kernel without its native twin: then the CPU device runs the WGSL.
fn without_native_twin(kernel: &Kernel) -> &'static Kernel {
    let (name, source) = wharf_shaders::ALL.iter().find(|(name, _)| *name == kernel.name()).expect("it has a source");
    let bare = Kernel::new(name, source).with_grid(kernel.grid()).with_needs(kernel.needs()).with_linear_ids();
    Box::leak(Box::new(bare))
}

fn without_native_twins(spec: &Spec) -> Spec {
    let job = match spec.job {
        Job::Kernel(kernel) => Job::Kernel(without_native_twin(kernel)),
        Job::Plan(plan) => {
            let steps = plan.steps.iter().map(|step| Step { kernel: without_native_twin(step.kernel), ..*step });
            let steps = Vec::leak(steps.collect());
            Job::Plan(Box::leak(Box::new(Plan { steps, ..*plan })))
        }
    };
    Spec { job, ..*spec }
}

#[test]
fn the_wgsl_of_every_kernel_agrees_with_its_oracle() {
    let device = Device::open("cpu").expect("the CPU device is always there");
    let mut failures = Vec::new();
    for spec in ALL {
        let bare = without_native_twins(spec);
        // The interpreter is no place for the large ones.
        for &n in spec.sizes.iter().filter(|&&n| n <= 10_007) {
            for inputs in [Inputs::Exact, Inputs::Random(1)] {
                let case = (spec.case)(n, inputs);
                let got = conformance::run(&bare, &device, &case).unwrap_or_else(|e| panic!("{}: {e}", spec.name));
                if let Err(e) = conformance::compare(&(spec.oracle)(&case), &got) {
                    failures.push(format!("{}, {inputs:?}, n = {n}: {e}", spec.name));
                }
            }
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn the_receipt_says_that_the_wgsl_ran() -> wharf::Result<()> {
    let device = Device::open("cpu")?;
    let spec = wharf_kernels::find("saxpy").expect("in the library");
    let case = (spec.case)(100, Inputs::Exact);
    let placed = conformance::Placed::new(&device, &case)?;
    let form = |spec: &Spec| Ok::<_, wharf::Error>(placed.launch(spec, &case)?.wait().receipt.form);
    let (native, bare) = (form(spec)?, form(&without_native_twins(spec))?);
    assert!(native == Some("native twin") && bare.is_some() && bare != native, "{native:?}, {bare:?}");
    Ok(())
}

/// The order of additions is the WGSL's, so the bits are too.
#[test]
fn the_native_sum_of_f32_has_the_bits_of_the_wgsl() -> wharf::Result<()> {
    let device = Device::open("cpu")?;
    let spec = wharf_kernels::find("reduce_sum_f32").expect("in the library");
    for n in [1, 2048, 10_007, 100_003] {
        let case = (spec.case)(n, Inputs::Random(n as u64));
        let bits = |spec: &Spec| conformance::run(spec, &device, &case).map(|sum| sum[0].f32s()[0].to_bits());
        assert_eq!(bits(&without_native_twins(spec))?, bits(spec)?, "n = {n}");
    }
    Ok(())
}

/// A launch over a device's limit is folded into y: whatever the shape, each tile is done once.
#[test]
fn folded_launches_give_the_same() -> wharf::Result<()> {
    let device = Device::open("cpu")?;
    for spec in ALL.iter().filter(|spec| matches!(spec.job, Job::Kernel(_))) {
        let bare = without_native_twins(spec);
        let n = if matches!(spec.name, "matmul" | "transpose") { 127 } else { 10_007 };
        let case = (spec.case)(n, Inputs::Exact);
        for spec in [spec, &bare] {
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
