//! Runs a kernel and holds every claim against what happens.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::AtomicU32;

use super::Subject;
use crate::interp::watch::{self, View, Watch};
use crate::ir::facts::{Bounds, Known, Level, Shape};
use crate::ir::{Label, Len, NOWHERE, Node, Op, Reg, Root, Use};
use crate::lower;
use crate::memory::Memory;

/// What a run shows of the claims.
struct Witness<'s> {
    subject: &'s Subject,
    steps_left: usize,
    /// The one copy that stands for each register: its base, or those of its rows.
    bases: HashMap<(Reg, usize), u32>,
    /// Who was active where each scope opened.
    scopes: HashMap<Label, Vec<bool>>,
    /// Results of indices.
    addresses: Vec<bool>,
}

impl Witness<'_> {
    fn row(&self, lane: usize) -> usize {
        lane / self.subject.kernel.workgroup[0] as usize
    }

    /// What the strides of a register make of its base in a lane, and the number of that base.
    fn part(&self, reg: Reg, lane: usize) -> Option<(u32, usize)> {
        let [nx, ny, _] = self.subject.kernel.workgroup;
        let index = lane as u32;
        let at = [index % nx, index / nx % ny, index / nx / ny];
        match self.subject.facts.shape(reg) {
            Shape::Affine(strides) => {
                let sum = (0..3).fold(0_u32, |sum, axis| sum.wrapping_add(strides[axis].wrapping_mul(at[axis])));
                Some((sum, 0))
            }
            Shape::Row(stride) => Some((stride.wrapping_mul(at[0]), self.row(lane))),
            Shape::Varying => None,
        }
    }

    fn is_strided_address(&self, reg: Reg) -> bool {
        self.addresses[reg as usize] && self.subject.facts.shape(reg).level() == Level::Lane
    }

    fn wrote(&mut self, reg: Reg, view: &View<'_>) {
        for lane in (0..view.lanes).filter(|&lane| view.is_active(lane)) {
            let word = view.word(reg, lane);
            if word == NOWHERE && self.is_strided_address(reg) {
                continue;
            }
            if let Some((part, number)) = self.part(reg, lane) {
                self.bases.insert((reg, number), word.wrapping_sub(part));
            }
        }
    }

    fn read(&self, reg: Reg, view: &View<'_>) {
        for lane in (0..view.lanes).filter(|&lane| view.is_active(lane)) {
            let word = view.word(reg, lane);
            if word == NOWHERE && self.is_strided_address(reg) {
                continue;
            }
            if let Some((part, number)) = self.part(reg, lane)
                && let Some(&base) = self.bases.get(&(reg, number))
            {
                let shape = self.subject.facts.shape(reg);
                assert_eq!(word, base.wrapping_add(part), "lane {lane} of register {reg}, which is {shape:?}");
            }
        }
    }

    /// The words of a register in all that run together, as far as its shape tells those of the idle.
    fn all(&self, reg: Reg, view: &View<'_>) -> Vec<u32> {
        let word = |lane: usize| {
            if view.is_active(lane) {
                return Some(view.word(reg, lane));
            }
            let (part, number) = self.part(reg, lane)?;
            let mut active = (0..view.lanes).filter(|&other| view.is_active(other));
            let other = active.find(|&other| number == 0 || self.row(other) == number)?;
            let (other_part, other_number) = self.part(reg, other)?;
            (other_number == number).then(|| view.word(reg, other).wrapping_sub(other_part).wrapping_add(part))
        };
        (0..view.lanes).filter_map(word).collect()
    }

    fn check_index(&self, dst: Reg, index: Reg, len: Len, view: &View<'_>) {
        let len = match len {
            Len::Fixed(len) => len,
            Len::Runtime(slot) => view.lengths[slot as usize],
        };
        let bounds = self.subject.facts.bounds(dst);
        if bounds >= Bounds::Active {
            for lane in (0..view.lanes).filter(|&lane| view.is_active(lane)) {
                assert!(view.word(index, lane) < len, "lane {lane} of index {index} into {len}, {bounds:?}");
            }
        }
        if bounds == Bounds::Always {
            assert!(self.all(index, view).iter().all(|&index| index < len), "index {index} into {len} of all");
        }
    }

    fn check_made(&self, reg: Reg, view: &View<'_>) {
        let Known { active, always } = self.subject.facts.made(reg);
        for lane in (0..view.lanes).filter(|&lane| view.is_active(lane)) {
            let word = view.word(reg, lane);
            assert!(active.holds(word, view.lengths), "{word:#x} in register {reg}, which is {active:x?}");
        }
        if !self.is_strided_address(reg) {
            for word in self.all(reg, view) {
                assert!(always.holds(word, view.lengths), "{word:#x} in register {reg}, which is always {always:x?}");
            }
        }
    }

    fn check_exit(&self, label: Label, view: &View<'_>) {
        let Some(open) = self.scopes.get(&label) else { return };
        for (lane, &open_here) in open.iter().enumerate() {
            let together = match self.subject.facts.exit_level(label) {
                Level::Uniform => open_here,
                Level::Row => {
                    let row = self.row(lane);
                    open_here && (0..view.lanes).any(|other| view.is_active(other) && self.row(other) == row)
                }
                Level::Lane => continue,
            };
            assert_eq!(together, view.is_active(lane), "lane {lane} at an exit to {label}");
        }
    }
}

/// A witness, behind a cell: a run only lends itself.
struct Cell<'s>(RefCell<Witness<'s>>);

impl Watch for Cell<'_> {
    fn node(&self, node: &Node, view: &View<'_>, done: bool) -> bool {
        self.0.borrow_mut().node(node, view, done)
    }
}

impl Witness<'_> {
    fn node(&mut self, node: &Node, view: &View<'_>, done: bool) -> bool {
        match node {
            Node::Inst(inst) => {
                let mut op = inst.op.clone();
                if let Op::Store { place, .. } | Op::Load { place, .. } = &op
                    && place.root == Root::Local
                {
                    // Any of its elements may be the one; they are looked at again where they are assigned by name.
                    let variable = &self.subject.kernel.variables[place.var as usize];
                    let end = variable.base + lower::shape::words(&variable.layout).expect("a fixed size");
                    self.bases.retain(|&(reg, _), _| !(variable.base..end).contains(&reg));
                    if matches!(op, Op::Store { .. }) {
                        return true;
                    }
                }
                if !done
                    && let Op::Binary { dst, a, b, .. } = &op
                    && self.subject.facts.is_natural(*dst)
                {
                    for lane in (0..view.lanes).filter(|&lane| view.is_active(lane)) {
                        let words = [*a, *b].map(|reg| view.word(reg, lane));
                        assert!(words.iter().all(|&word| word <= i32::MAX as u32), "{words:x?} for register {dst}");
                    }
                }
                if !done && let Op::Index { dst, index, len, .. } = &op {
                    self.addresses[*dst as usize] = true;
                    self.check_index(*dst, *index, *len, view);
                }
                op.registers(&mut |reg, words, how| {
                    for reg in *reg..*reg + words {
                        match (how, done) {
                            (Use::Read, false) => self.read(reg, view),
                            (Use::Write, true) => {
                                self.wrote(reg, view);
                                self.read(reg, view);
                                self.check_made(reg, view);
                            }
                            (Use::Update, true) => self.wrote(reg, view),
                            _ => {}
                        }
                    }
                });
            }
            Node::If { cond, .. } => self.read(*cond, view),
            Node::Scope { label, .. } => {
                let open = (0..view.lanes).map(|lane| view.is_active(lane)).collect();
                self.scopes.insert(*label, open);
            }
            Node::Exit(label) => self.check_exit(*label, view),
            Node::Loop { .. } | Node::Barrier { .. } => {}
        }
        self.steps_left = self.steps_left.saturating_sub(1);
        self.steps_left > 0
    }
}

/// Runs a kernel on words below `most` and holds every claim against what happens.
pub(super) fn witness(subject: &Subject, words: usize, most: u32, groups: [u32; 3]) {
    let mut seed = 1_u32;
    let mut random = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) % most
    };
    let buffers: Vec<Vec<AtomicU32>> = (subject.slots.iter())
        .map(|slot| {
            let count = (slot.min_bytes as usize).div_ceil(4).max(words);
            (0..count).map(|_| AtomicU32::new(random())).collect()
        })
        .collect();
    let args: Vec<Memory<'_>> = buffers.iter().map(|words| Memory::shared(words)).collect();
    let witness = Witness {
        subject,
        steps_left: 200_000,
        bases: HashMap::new(),
        scopes: HashMap::new(),
        addresses: vec![false; subject.kernel.regs.len()],
    };
    watch::run(&subject.kernel, &subject.slots, groups, &args, &Cell(RefCell::new(witness)));
}
