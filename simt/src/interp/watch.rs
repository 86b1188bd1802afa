//! A look at a run from outside, for tests: every node, with all registers, before and after it.

use std::sync::atomic::AtomicBool;

use super::exec::Run;
use super::state::State;
use super::{Context, lengths};
use crate::ir::{Kernel, Node, Reg};
use crate::memory::Memory;
use crate::reflect::Slot;

/// The registers and active lanes of a workgroup.
pub(crate) struct View<'v> {
    state: &'v State,
    pub(crate) lanes: usize,
    /// Elements of the runtime-sized array of each binding.
    pub(crate) lengths: &'v [u32],
}

impl View<'_> {
    pub(crate) fn word(&self, reg: Reg, lane: usize) -> u32 {
        self.state.file.row(reg)[lane].get()
    }

    pub(crate) fn is_active(&self, lane: usize) -> bool {
        self.state.mask[lane].get() != 0
    }
}

pub(crate) trait Watch {
    /// Called before each node with `done` false, and after each instruction with `done` true. False
    /// ends the run.
    fn node(&self, node: &Node, view: &View<'_>, done: bool) -> bool;
}

impl Run<'_> {
    pub(super) fn watched(&self, node: &Node, done: bool) {
        if let Some(watch) = self.watch {
            let view = View { state: self.state, lanes: self.lanes as usize, lengths: &self.context.lengths };
            if !watch.node(node, &view, done) {
                self.context.stop.store(true, std::sync::atomic::Ordering::Relaxed);
            }
        }
    }
}

/// Runs a kernel, on its registers as they are.
pub(crate) fn run(kernel: &Kernel, slots: &[Slot], groups: [u32; 3], args: &[Memory<'_>], watch: &dyn Watch) {
    let stop = AtomicBool::new(false);
    let context = Context { kernel, args, lengths: lengths(slots, args), groups, stop: &stop };
    let mut state = State::new(kernel);
    let mut run = Run::new(&context, &mut state);
    run.watch = Some(watch);
    let [nx, ny, nz] = groups;
    for group in (0..nz).flat_map(|z| (0..ny).flat_map(move |y| (0..nx).map(move |x| [x, y, z]))) {
        // A workgroup that breaks the rules ends early; what it did until then counts.
        let _ = run.workgroup(group);
    }
}
