//! Single instructions for the compiler: what it has no code for, it has the interpreter do, sixteen
//! invocations at a time. Both engines then agree on it to the bit.

use std::cell::Cell;
use std::sync::atomic::AtomicBool;

use super::Context;
use super::exec::Run;
use super::state::State;
use crate::ir::{Info, Inst, Kernel, SUBGROUP};
use crate::memory::Memory;

/// Registers that an instruction for a [`Block`] may name.
pub(crate) const ROWS: u32 = 16;

/// Sixteen invocations in a row, as a workgroup of their own with the memory of the whole one.
pub(crate) struct Block<'a> {
    context: Context<'a>,
    state: State,
}

impl<'a> Block<'a> {
    /// The kernel that stands behind blocks: a few registers, and so much workgroup memory.
    pub(crate) fn kernel(workgroup_words: u32) -> Kernel {
        Kernel {
            workgroup: [SUBGROUP, 1, 1],
            lanes: SUBGROUP,
            body: Vec::new(),
            consts: Vec::new(),
            inputs: Vec::new(),
            regs: vec![Info { pinned: true, words: 1 }; ROWS as usize],
            labels: 0,
            workgroup_words,
            variables: Vec::new(),
        }
    }

    pub(crate) fn new(
        kernel: &'a Kernel,
        state: State,
        args: &'a [Memory<'a>],
        lengths: Vec<u32>,
        stop: &'a AtomicBool,
    ) -> Self {
        Self { context: Context { kernel, args, lengths, groups: [0; 3], stop }, state }
    }

    /// The registers, [`SUBGROUP`] words each.
    pub(crate) fn rows(&self) -> &[Cell<u32>] {
        self.state.file.rows(0, ROWS)
    }

    /// The workgroup's memory.
    pub(crate) fn workgroup(&self) -> &[Cell<u32>] {
        &self.state.workgroup
    }

    /// Does one instruction, with those invocations active that have their bit set.
    pub(crate) fn run(&mut self, inst: &Inst, active: u32) {
        for (lane, mask) in self.state.mask.iter().enumerate() {
            mask.set(0_u32.wrapping_sub(active >> lane & 1));
        }
        let mut run = Run::new(&self.context, &mut self.state);
        run.active = active.count_ones();
        // Only uniform loads and barriers can fail, and neither comes here.
        let _ = run.inst(inst);
    }

    pub(crate) fn into_state(self) -> State {
        self.state
    }
}
