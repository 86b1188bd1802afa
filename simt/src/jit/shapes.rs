//! How registers lie over the lanes of a block, and which scopes those lanes leave one by one.

use crate::ir::facts::{Bounds, Facts, Shape};
use crate::ir::{Kernel, Label, Node, Op, Reg, Root, SUBGROUP, each_op};
use crate::lower::shape::words;
use crate::reflect::Slot;

use super::{plan, pressure};

pub(super) struct Shapes {
    facts: Facts,
    workgroup: [u32; 3],
    /// Lanes of a block.
    width: u32,
    /// Registers that are indexed at run time; each lane has its own.
    indexed: Vec<bool>,
    /// Results of [`Op::Index`]. They lie on a line only where they are inside.
    addresses: Vec<bool>,
    /// Scopes that some lanes of a block leave by an exit while others stay or wait.
    apart: Vec<bool>,
}

impl Shapes {
    pub(super) fn of(kernel: &Kernel, slots: &[Slot]) -> Self {
        let mut indexed = vec![false; kernel.regs.len()];
        let mut addresses = indexed.clone();
        each_op(&kernel.body, &mut |op| {
            if let Op::Index { dst, .. } = op {
                addresses[*dst as usize] = true;
            }
            if let Some(place) = plan::place(op)
                && place.root == Root::Local
            {
                let variable = &kernel.variables[place.var as usize];
                let end = variable.base + words(&variable.layout).unwrap_or(0);
                indexed[variable.base as usize..end as usize].fill(true);
            }
        });
        let apart = vec![false; kernel.labels as usize];
        let facts = Facts::of(kernel, slots);
        let workgroup = kernel.workgroup;
        let mut shapes = Self { facts, workgroup, width: SUBGROUP, indexed, addresses, apart };
        shapes.width = pressure::width(kernel, &shapes);
        while shapes.part(&kernel.body, &mut Vec::new(), 0) {}
        shapes
    }

    /// Lanes of a block.
    pub(super) fn width(&self) -> u32 {
        self.width
    }

    /// Whether a register takes a vector for every four lanes.
    pub(super) fn is_vector(&self, reg: Reg) -> bool {
        self.facts.shape(reg).along_block(self.workgroup, self.width).is_none()
    }

    /// Whether a register holds one value for a whole workgroup.
    pub(super) fn is_uniform(&self, reg: Reg) -> bool {
        !self.indexed[reg as usize] && self.facts.shape(reg) == Shape::UNIFORM
    }

    /// By how much a register grows from lane to lane of every block, if by a constant.
    pub(super) fn step(&self, reg: Reg) -> Option<u32> {
        if self.indexed[reg as usize] {
            return None;
        }
        let step = self.facts.shape(reg).along_block(self.workgroup, self.width);
        step.filter(|&step| step == 0 || !self.addresses[reg as usize])
    }

    /// By how much an address grows from lane to lane of every block, where all are inside.
    pub(super) fn address_step(&self, addr: Reg) -> Option<u32> {
        self.facts.shape(addr).along_block(self.workgroup, self.width)
    }

    /// Whether the unsigned operation with this result may as well be a signed one, which costs less.
    pub(super) fn is_natural(&self, dst: Reg) -> bool {
        self.facts.is_natural(dst)
    }

    /// Whether a scope is left by some lanes of a block before others.
    pub(super) fn is_apart(&self, label: Label) -> bool {
        self.apart[label as usize]
    }

    /// Whether the result of an [`Op::Index`] is inside in every lane, or in every active one.
    pub(super) fn is_inside(&self, dst: Reg, all_active: bool) -> bool {
        match self.facts.bounds(dst) {
            Bounds::Always => true,
            Bounds::Active => all_active,
            Bounds::Unknown => false,
        }
    }

    /// Marks scopes with an exit that a varying condition, or a scope so marked, stands around. Answers
    /// whether there is a new one; `open` are the scopes around with the conditions around each.
    fn part(&mut self, nodes: &[Node], open: &mut Vec<(Label, usize)>, conditions: usize) -> bool {
        let mut changed = false;
        for node in nodes {
            match node {
                Node::If { cond, accept, reject } => {
                    let conditions = conditions + usize::from(self.step(*cond) != Some(0));
                    changed |= self.part(accept, open, conditions) | self.part(reject, open, conditions);
                }
                Node::Scope { label, body } => {
                    open.push((*label, conditions));
                    changed |= self.part(body, open, conditions);
                    open.pop();
                }
                Node::Loop { body, .. } => changed |= self.part(body, open, conditions),
                Node::Exit(label) => {
                    let from = open.iter().position(|(open, _)| open == label).unwrap_or(0);
                    let waits = open[from + 1..].iter().any(|&(open, _)| self.is_apart(open));
                    if waits || open[from].1 != conditions {
                        changed |= !std::mem::replace(&mut self.apart[*label as usize], true);
                    }
                }
                Node::Inst(_) | Node::Barrier { .. } => {}
            }
        }
        changed
    }
}
