//! The batch interpreter: each instruction runs over all invocations of a workgroup before the next.
//!
//! A barrier then costs nothing: whoever is active has arrived. What is left of it is the check that
//! everybody is.

mod arith;
mod atomic;
#[cfg(feature = "jit")]
mod block;
mod exec;
mod float;
mod index;
mod int;
mod lanes;
mod memory;
mod observe;
mod state;
mod subgroup;
mod vector;
#[cfg(test)]
pub(crate) mod watch;

use std::cell::RefCell;
use std::sync::atomic::AtomicBool;

use crate::check::Checker;
use crate::dispatch::{Halt, Job};
use crate::error::Error;
use crate::finding::{Budget, Finding};
use crate::ir::{Kernel, alloc};
use crate::memory::Memory;
use crate::reflect::Slot;
#[cfg(feature = "jit")]
pub(crate) use block::Block;
use exec::Run;
use state::Pool;
#[cfg(feature = "jit")]
pub(crate) use state::State;

/// Bytes of registers that one workgroup may take.
pub(crate) const MOST_BYTES: u64 = 1 << 30;

/// A kernel as the interpreter runs it: on the rows of its register file.
#[derive(Debug)]
pub(crate) struct Rows {
    kernel: Kernel,
    states: Pool,
}

impl Rows {
    /// Gives each register a row.
    ///
    /// # Errors
    ///
    /// What is too much, where the rows would not fit into memory.
    pub(crate) fn new(kernel: &Kernel) -> Result<Self, String> {
        let kernel = alloc::assign(kernel);
        check_size(&kernel)?;
        Ok(Self { kernel, states: Pool::default() })
    }
}

/// What a dispatch gives to every workgroup.
struct Context<'a> {
    kernel: &'a Kernel,
    args: &'a [Memory<'a>],
    /// Elements of the runtime-sized array of each binding.
    lengths: Vec<u32>,
    groups: [u32; 3],
    stop: &'a AtomicBool,
}

/// Refuses a kernel whose registers would not fit into memory.
fn check_size(kernel: &Kernel) -> Result<(), String> {
    let lanes = u64::from(state::padded(kernel));
    let bytes = lanes.saturating_mul(kernel.regs.len() as u64 + u64::from(kernel.labels)).saturating_mul(4);
    if bytes > MOST_BYTES {
        return Err(format!("a workgroup's registers take {bytes} bytes, over {MOST_BYTES}"));
    }
    Ok(())
}

/// Runs every workgroup once.
pub(crate) fn dispatch(
    Rows { kernel, states }: &Rows,
    slots: &[Slot],
    args: &[Memory<'_>],
    job: &Job<'_>,
) -> Result<(), Error> {
    let context = Context { kernel, args, lengths: lengths(slots, args), groups: job.groups, stop: job.stop };
    job.run(|all| {
        let mut state = states.take(kernel);
        let mut run = Run::new(&context, &mut state);
        let done = all.try_for_each(|group| run.workgroup(group).map_err(|halt| (halt, group)));
        states.give(state);
        done
    })
}

/// Runs the workgroups one after another and answers what was found. A workgroup that diverges is left
/// there; after one that does not end, the rest is not run.
pub(crate) fn check<'a>(
    Rows { kernel, states }: &'a Rows,
    slots: &'a [Slot],
    groups: [u32; 3],
    args: &'a [Memory<'a>],
    source: &'a str,
    budget: Budget,
) -> Vec<Finding> {
    let stop = AtomicBool::new(false);
    let context = Context { kernel, args, lengths: lengths(slots, args), groups, stop: &stop };
    let mut state = states.take(kernel);
    let mut run = Run::new(&context, &mut state);
    run.check = Some(RefCell::new(Checker::new(kernel, slots, args, groups, source, budget)));
    let [nx, ny, nz] = groups;
    let all = (0..nz).flat_map(|z| (0..ny).flat_map(move |y| (0..nx).map(move |x| [x, y, z])));
    for group in all {
        let halt = run.workgroup(group);
        run.told(|check| check.finish());
        if let Err(Halt::Stopped) = halt {
            break;
        }
    }
    let check = run.check.take();
    let findings = check.map(|check| check.into_inner().into_findings());
    states.give(state);
    findings.unwrap_or_default()
}

/// Elements of the runtime-sized array of each binding.
pub(crate) fn lengths(slots: &[Slot], args: &[Memory<'_>]) -> Vec<u32> {
    let elements = |(slot, memory): (&Slot, &Memory<'_>)| {
        let elements = slot.layout.elements_in(memory.len() as u64).unwrap_or(0);
        u32::try_from(elements).unwrap_or(u32::MAX)
    };
    slots.iter().zip(args).map(elements).collect()
}
