//! Runs a kernel's cases with any WGSL in its place, under the checker.

use std::sync::{Mutex, PoisonError};

use wharf::{
    Device, Job, Kernel, Plan, Step, Twin,
    native::{Arg, Dispatch},
};
use wharf_kernels::{Case, Spec, conformance};
use wharf_simt::{Access, Budget, Engine, Finding, Memory, Module, Program};

/// What a checked case has shown.
pub(crate) struct Seen {
    pub(crate) findings: Vec<Finding>,
    /// Whether the answer is the oracle's.
    pub(crate) answer: Result<(), String>,
}

/// Steps of an invocation after which a case is endless: many times what any case takes.
const BUDGET: Budget = Budget { max_steps: 1_000_000 };

/// One case at a time: a native twin is not told whose it is.
static TURN: Mutex<()> = Mutex::new(());
static RUNNING: Mutex<Option<Running>> = Mutex::new(None);

struct Running {
    program: Program,
    findings: Vec<Finding>,
    groups: Groups,
    dispatches: usize,
}

/// How many workgroups run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Groups {
    /// As many as the kernel asks for.
    All,
    /// Half as many, each with more to do; for kernels that can.
    Half,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a case with `wgsl` for its kernel; the launches of a plan are launches of one kernel.
///
/// # Errors
///
/// Where the WGSL is refused.
pub(crate) fn check(spec: &Spec, wgsl: &str, case: &Case, groups: Groups) -> Result<Seen, wharf_simt::Error> {
    let _turn = lock(&TURN);
    let name = spec.kernels()[0].name();
    assert!(spec.kernels().iter().all(|kernel| kernel.name() == name), "{} launches several kernels", spec.name);
    let program = Module::new(wgsl)?.compile(name, &[], Engine::Interpreter)?;
    *lock(&RUNNING) = Some(Running { program, findings: Vec::new(), groups, dispatches: 0 });
    // Forced, so that the checker is neither passed over nor measured as if it were the native twin.
    let device = Device::open_with("cpu", Twin::Native).expect("the CPU device is always there");
    let got = conformance::run(&watched(spec), &device, case).map_err(|e| e.to_string());
    let compare =
        |got: Vec<wharf_kernels::Data>| conformance::compare(&(spec.oracle)(case), &got).map_err(|e| e.to_string());
    let Running { findings, dispatches, .. } = lock(&RUNNING).take().expect("it was put there");
    assert!(dispatches > 0, "{name}: nothing was checked");
    Ok(Seen { findings, answer: got.and_then(compare) })
}

/// The twin that runs the program under the checker.
fn twin(dispatch: &mut Dispatch<'_>) {
    let mut running = lock(&RUNNING);
    let Running { program, findings, groups, dispatches } = running.as_mut().expect("a case is running");
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
    let groups = match groups {
        Groups::All => dispatch.groups,
        Groups::Half => dispatch.groups.map(|side| side.div_ceil(2)),
    };
    *dispatches += 1;
    findings.extend(program.check(groups, &memories, BUDGET).expect("the arguments fit"));
}

/// The same work, done by [`twin`].
fn watched(spec: &Spec) -> Spec {
    let job = match spec.job {
        Job::Kernel(kernel) => Job::Kernel(with_twin(kernel)),
        Job::Plan(plan) => {
            let steps = plan.steps.iter().map(|step| Step { kernel: with_twin(step.kernel), ..*step });
            Job::Plan(Box::leak(Box::new(Plan { steps: Vec::leak(steps.collect()), ..*plan })))
        }
    };
    Spec { job, ..*spec }
}

fn with_twin(kernel: &'static Kernel) -> &'static Kernel {
    let bare = Kernel::new(kernel.name(), kernel.wgsl()).with_native(twin).with_grid(kernel.grid());
    Box::leak(Box::new(bare.with_needs(kernel.needs()).with_linear_ids()))
}
