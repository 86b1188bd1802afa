//! No kernel has a race, a divergent barrier, an access out of bounds or a read of what nobody wrote: the
//! checker of `wharf-simt` runs each of them on its own cases.

use std::sync::Mutex;

use wharf::{
    Device, Job, Kernel, Plan, Step,
    native::{Arg, Dispatch},
};
use wharf_kernels::{ALL, Inputs, Spec, conformance};
use wharf_simt::{Access, Budget, Engine, Memory, Module};

/// A twin that runs this WGSL under the checker, and panics with what it finds.
fn check(name: &str, source: &str, dispatch: &mut Dispatch<'_>) {
    let program = Module::new(source).and_then(|module| module.compile(name, &[], Engine::Interpreter)).expect("valid");
    let mut words = vec![0_u128; dispatch.uniform.len().div_ceil(16)];
    let uniform = &mut bytemuck::cast_slice_mut(&mut words)[..dispatch.uniform.len()];
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
    let findings = program.check(dispatch.groups, &memories, Budget::default()).expect("it runs");
    assert!(findings.is_empty(), "{name}: {}", findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
}

/// The kernel whose WGSL [`current`] checks: a native twin is not told whose it is.
static CURRENT: Mutex<(&str, &str)> = Mutex::new(("", ""));

fn current(dispatch: &mut Dispatch<'_>) {
    let (name, source) = *CURRENT.lock().expect("nobody panics with it");
    check(name, source, dispatch);
}

fn checked(kernel: &'static Kernel) -> &'static Kernel {
    *CURRENT.lock().expect("nobody panics with it") = (kernel.name(), kernel.wgsl());
    let bare = Kernel::new(kernel.name(), kernel.wgsl()).with_native(current).with_grid(kernel.grid());
    Box::leak(Box::new(bare.with_needs(kernel.needs()).with_linear_ids()))
}

fn under_the_checker(spec: &Spec) -> Spec {
    let job = match spec.job {
        Job::Kernel(kernel) => Job::Kernel(checked(kernel)),
        Job::Plan(plan) => {
            let steps = plan.steps.iter().map(|step| Step { kernel: checked(step.kernel), ..*step });
            let steps = Vec::leak(steps.collect());
            Job::Plan(Box::leak(Box::new(Plan { steps, ..*plan })))
        }
    };
    Spec { job, ..*spec }
}

#[test]
fn the_checker_finds_nothing_in_any_kernel() {
    let device = Device::open("cpu").expect("the CPU device is always there");
    for spec in ALL {
        let checked = under_the_checker(spec);
        let matrices = spec.sizes.iter().all(|&n| n < 2000);
        for n in if matrices { [1, 33, 70] } else { [1, 1025, 10_007] } {
            let case = (spec.case)(n, Inputs::Exact);
            let got = conformance::run(&checked, &device, &case).unwrap_or_else(|e| panic!("n = {n}: {e}"));
            conformance::compare(&(spec.oracle)(&case), &got).unwrap_or_else(|e| panic!("{}, n = {n}: {e}", spec.name));
        }
    }
}

/// The net has no hole: without its barrier, a kernel is caught.
#[test]
fn a_missing_barrier_is_found() {
    fn racing(dispatch: &mut Dispatch<'_>) {
        let source = wharf_shaders::TRANSPOSE.replace("workgroupBarrier();", "");
        check("transpose", &source, dispatch);
    }
    static RACING: Kernel = Kernel::new("transpose", wharf_shaders::TRANSPOSE).with_native(racing);
    let spec = wharf_kernels::find("transpose").expect("in the library");
    let device = Device::open("cpu").expect("the CPU device is always there");
    let case = (spec.case)(40, Inputs::Exact);
    let placed = conformance::Placed::new(&device, &case).expect("room for two small matrices");
    let racing = Spec { job: Job::Kernel(&RACING), ..*spec };
    let done = placed.launch_with(&racing, &case, [2, 2, 1]).expect("accepted").wait();
    let message = done.ok().expect_err("a race").to_string();
    assert!(message.contains("race"), "{message}");
}
