//! The WGSL itself, run on the CPU by `wharf-simt`, against the oracle: no GPU is needed to know that
//! it is right.

use std::sync::atomic::AtomicBool;

use wharf::{
    Device, Job, Kernel, Plan, Step,
    native::{Arg, Dispatch, Native},
};
use wharf_kernels::{ALL, Inputs, Spec, conformance};
use wharf_simt::{Access, Engine, Memory, Module};

/// A twin that is the WGSL of that number in `wharf_shaders::ALL`.
fn interpreted<const INDEX: usize>(dispatch: &mut Dispatch<'_>) {
    let (name, source) = wharf_shaders::ALL[INDEX];
    let program = Module::new(source).and_then(|module| module.compile(name, &[], Engine::Interpreter)).expect("valid");
    let mut uniform = vec![0_u128; dispatch.uniform.len().div_ceil(16)];
    let uniform = &mut bytemuck::cast_slice_mut(&mut uniform)[..dispatch.uniform.len()];
    uniform.copy_from_slice(dispatch.uniform);
    let mut storage = dispatch.args.iter_mut().map(|arg| match arg {
        Arg::Read(bytes) => Memory::read(bytes),
        Arg::Write(bytes) => Memory::read_write(bytes),
    });
    let memories: Vec<_> = (program.bindings().iter())
        .map(|slot| match slot.access {
            Access::Uniform => Memory::read(uniform),
            _ => storage.next().expect("as many as the WGSL declares"),
        })
        .collect();
    program.dispatch(dispatch.groups, &memories, dispatch.pool, &AtomicBool::new(false)).expect("it runs");
}

const TWINS: [Native; 7] = [
    interpreted::<0>,
    interpreted::<1>,
    interpreted::<2>,
    interpreted::<3>,
    interpreted::<4>,
    interpreted::<5>,
    interpreted::<6>,
];

/// The same kernel with its WGSL in the place of its native twin.
fn without_native_twin(kernel: &Kernel) -> &'static Kernel {
    let index = wharf_shaders::ALL.iter().position(|(name, _)| *name == kernel.name()).expect("it has a source");
    let (name, source) = wharf_shaders::ALL[index];
    let bare = Kernel::new(name, source).with_native(TWINS[index]).with_grid(kernel.grid()).with_needs(kernel.needs());
    Box::leak(Box::new(bare.with_linear_ids()))
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
