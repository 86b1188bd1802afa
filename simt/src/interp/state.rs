//! What a thread needs to run workgroups, kept from one dispatch to the next.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

use super::lanes::File;
use crate::ir::{Input, Kernel, SUBGROUP};

/// Lanes are padded to a multiple of this, so that loops over them have no remainder.
pub(super) const PAD: u32 = 16;

/// Lanes of a workgroup, with padding; the padding is never active.
pub(super) fn padded(kernel: &Kernel) -> u32 {
    let lanes = kernel.workgroup.iter().fold(1_u32, |product, &side| product.saturating_mul(side));
    lanes.saturating_add(PAD - 1) / PAD * PAD
}

/// The memory of one thread.
#[derive(Debug)]
pub(crate) struct State {
    pub(super) file: File,
    /// All ones for each active lane.
    pub(super) mask: Vec<Cell<u32>>,
    /// For each label the lanes that left for it, and how many.
    pub(super) exited: Vec<Vec<Cell<u32>>>,
    pub(super) counts: Vec<u32>,
    /// Masks that are not in use.
    pub(super) spare: Vec<Vec<Cell<u32>>>,
    pub(super) workgroup: Vec<Cell<u32>>,
    /// `local_invocation_id` of each lane, by axis.
    pub(super) local: [Vec<u32>; 3],
}

impl State {
    /// Registers with the constants and what an invocation's place gives; both stay.
    pub(crate) fn new(kernel: &Kernel) -> Self {
        let lanes = padded(kernel) as usize;
        let file = File::new(kernel.regs.len(), lanes);
        for &(reg, bits) in &kernel.consts {
            file.fill(reg, bits);
        }
        let [nx, ny, _] = kernel.workgroup;
        let count = kernel.lanes;
        let axis = |of: &dyn Fn(u32) -> u32| (0..count).map(of).collect::<Vec<u32>>();
        let local = [axis(&|lane| lane % nx), axis(&|lane| lane / nx % ny), axis(&|lane| lane / nx / ny)];
        for &(reg, input) in &kernel.inputs {
            let of_lane = |lane: u32| match input {
                Input::LocalId(axis) => local[usize::from(axis)][lane as usize],
                Input::LocalIndex => lane,
                Input::SubgroupId => lane / SUBGROUP,
                Input::SubgroupInvocationId => lane % SUBGROUP,
                _ => 0,
            };
            for (lane, cell) in (0..count).zip(file.row(reg)) {
                cell.set(of_lane(lane));
            }
        }
        Self {
            file,
            mask: vec![Cell::new(0); lanes],
            exited: vec![vec![Cell::new(0); lanes]; kernel.labels as usize],
            counts: vec![0; kernel.labels as usize],
            spare: Vec::new(),
            workgroup: vec![Cell::new(0); kernel.workgroup_words as usize],
            local,
        }
    }
}

/// States that no thread is using.
#[derive(Debug, Default)]
pub(crate) struct Pool(Mutex<Vec<State>>);

impl Pool {
    pub(super) fn take(&self, kernel: &Kernel) -> State {
        let spare = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        spare.unwrap_or_else(|| State::new(kernel))
    }

    pub(super) fn give(&self, state: State) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(state);
    }
}
