//! What is decided before code is emitted: where barriers part the kernel, and where each register lives.

use std::collections::HashMap;

use naga::Span;

use super::homes::{self, Found};
use super::laps;
use super::shapes::Shapes;
use crate::ir::{Input, Inst, Kernel, Label, Node, Op, Reg, Root, Use, each_op};

/// A piece of the kernel as the workgroup as a whole runs it.
pub(super) enum Stage<'k> {
    /// Nodes without a barrier: run for one block of lanes after another.
    Region(Vec<&'k Node>),
    /// An instruction on uniform registers: run once.
    Once(&'k Inst),
    /// A uniform load, for which all invocations must agree on the place.
    Agree(&'k Inst),
    Barrier(Span),
    If {
        cond: Reg,
        accept: Vec<Stage<'k>>,
        reject: Vec<Stage<'k>>,
    },
    Scope {
        label: Label,
        body: Vec<Stage<'k>>,
    },
    Loop {
        body: Vec<Stage<'k>>,
    },
    Exit(Label),
}

/// Where a register lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    Const(u32),
    Input(Input),
    /// Made once and used where it is known.
    Temp,
    /// One value for the workgroup.
    Scalar,
    /// One value and a step for each block; where it crosses regions, in a row of the context meanwhile.
    Line {
        step: u32,
        row: Option<u32>,
    },
    /// A value for each lane of the block; where it crosses regions, in a row of the context meanwhile.
    Lanes(Option<u32>),
    /// Made in one region and used in another: in a row of the context.
    Row(u32),
    /// Indexed at run time: always in its row.
    Memory(u32),
}

pub(super) struct Plan<'k> {
    pub stages: Vec<Stage<'k>>,
    pub homes: Vec<Home>,
    pub shapes: Shapes,
    /// Registers that are read as floats more than as bits.
    pub floats: Vec<bool>,
    /// Registers that anything reads.
    pub used: Vec<bool>,
    /// Rows of the context for the lanes that left a scope of the whole workgroup.
    pub left: HashMap<Label, u32>,
    /// Whether a part of a workgroup may run, or have left, what the whole of it goes through.
    pub partial: bool,
    /// Rows of the context, one word for each lane.
    pub rows: u32,
    /// Conditions of the whole workgroup that are open at once.
    pub waiting: u32,
}

impl<'k> Plan<'k> {
    pub(super) fn new(kernel: &'k Kernel, shapes: Shapes) -> Self {
        let mut split = Split { shapes: &shapes, collective: Vec::new(), partial: false };
        let stages = split.list(&kernel.body, true);
        let partial = split.partial;
        let Found { homes, rows, left, floats, used } = homes::find(kernel, &shapes, &stages);
        let waiting = waiting(&stages);
        Self { stages, homes, shapes, floats, used, left, partial, rows, waiting }
    }
}

/// Parts the kernel at its barriers.
struct Split<'a> {
    shapes: &'a Shapes,
    /// The open scopes that hold a barrier.
    collective: Vec<Label>,
    partial: bool,
}

impl Split<'_> {
    fn list<'k>(&mut self, nodes: &'k [Node], full: bool) -> Vec<Stage<'k>> {
        let mut stages = Vec::new();
        let mut pending = Pending::default();
        for node in nodes {
            match node {
                Node::Inst(inst) if matches!(inst.op, Op::LoadUniform { .. }) => {
                    pending.flush(&mut stages);
                    stages.push(Stage::Agree(inst));
                }
                Node::Inst(inst) if self.is_once(inst) && pending.allows(inst) => stages.push(Stage::Once(inst)),
                Node::Barrier { scope, .. } if scope.subgroup_only => {}
                Node::Barrier { at, .. } => {
                    pending.flush(&mut stages);
                    stages.push(Stage::Barrier(*at));
                }
                Node::If { cond, accept, reject } if has_barrier(node) || self.leaves_together(node) => {
                    pending.flush(&mut stages);
                    let full = full && self.shapes.is_uniform(*cond);
                    self.partial |= !full;
                    let (accept, reject) = (self.list(accept, full), self.list(reject, full));
                    stages.push(Stage::If { cond: *cond, accept, reject });
                }
                Node::Scope { label, body }
                    if has_barrier(node) || body.iter().any(|node| laps::outside(node, self.shapes)) =>
                {
                    pending.flush(&mut stages);
                    self.collective.push(*label);
                    let body = self.list(body, full);
                    self.collective.pop();
                    stages.push(Stage::Scope { label: *label, body });
                }
                Node::Loop { body, .. } if has_barrier(node) || laps::outside(node, self.shapes) => {
                    pending.flush(&mut stages);
                    stages.push(Stage::Loop { body: self.list(body, full) });
                }
                Node::Exit(label) => {
                    pending.flush(&mut stages);
                    stages.push(Stage::Exit(*label));
                }
                _ => {
                    self.partial |= self.collective.iter().any(|&label| exits(node, label));
                    pending.push(node);
                }
            }
        }
        pending.flush(&mut stages);
        stages
    }

    /// Whether an instruction can be done for the workgroup as a whole.
    fn is_once(&self, inst: &Inst) -> bool {
        let pure = match &inst.op {
            Op::Copy { .. }
            | Op::Set { .. }
            | Op::Unary { .. }
            | Op::Convert { .. }
            | Op::Binary { .. }
            | Op::Select { .. }
            | Op::Index { .. } => true,
            Op::Load { place, .. } => place.root != Root::Local && !place.atomic,
            _ => false,
        };
        let mut uniform = pure;
        inst.op.clone().registers(&mut |reg, words, _| {
            uniform &= (*reg..*reg + words).all(|reg| self.shapes.is_uniform(reg));
        });
        uniform
    }

    /// Whether a uniform condition decides that everybody leaves a scope of the whole workgroup.
    fn leaves_together(&self, node: &Node) -> bool {
        let Node::If { cond, accept, reject } = node else {
            return false;
        };
        self.shapes.is_uniform(*cond)
            && accept.iter().chain(reject).any(|node| match node {
                Node::Exit(label) => self.collective.contains(label),
                node => self.leaves_together(node),
            })
    }
}

/// Nodes that wait to become a region.
#[derive(Default)]
struct Pending<'k> {
    nodes: Vec<&'k Node>,
    reads: std::collections::HashSet<Reg>,
    writes: std::collections::HashSet<Reg>,
    stores: bool,
    /// Whether something in them leaves for behind their end.
    leaves: bool,
}

impl<'k> Pending<'k> {
    fn push(&mut self, node: &'k Node) {
        self.nodes.push(node);
        self.leaves |= escapes(node, &mut Vec::new());
        let Self { reads, writes, stores, .. } = self;
        each_op(std::slice::from_ref(node), &mut |op| {
            *stores |= !matches!(op, Op::Load { .. }) && place(op).is_some();
            registers(op, &mut |reg, how| {
                let set = if how == Use::Read { &mut *reads } else { &mut *writes };
                set.insert(reg);
            });
        });
        conditions(node, &mut |cond| {
            reads.insert(cond);
        });
    }

    /// Whether an instruction may be done before the region. What an exit guards may not: it may be inside
    /// its array only for those that stay.
    fn allows(&self, inst: &Inst) -> bool {
        let mut free = !(self.leaves || self.stores && matches!(inst.op, Op::Load { .. }));
        registers(&inst.op, &mut |reg, how| {
            free &= !self.writes.contains(&reg) && (how == Use::Read || !self.reads.contains(&reg));
        });
        free
    }

    fn flush(&mut self, stages: &mut Vec<Stage<'k>>) {
        let Self { nodes, .. } = std::mem::take(self);
        if !nodes.is_empty() {
            stages.push(Stage::Region(nodes));
        }
    }
}

fn waiting(stages: &[Stage<'_>]) -> u32 {
    let of = |stage: &Stage<'_>| match stage {
        Stage::If { accept, reject, .. } => 1 + waiting(accept).max(waiting(reject)),
        Stage::Scope { body, .. } | Stage::Loop { body } => waiting(body),
        _ => 0,
    };
    stages.iter().map(of).max().unwrap_or(0)
}

/// Instructions and other nodes.
pub(super) fn size(nodes: &[Node]) -> usize {
    let of = |node: &Node| match node {
        Node::If { accept, reject, .. } => 1 + size(accept) + size(reject),
        Node::Scope { body, .. } | Node::Loop { body, .. } => 1 + size(body),
        Node::Inst(_) | Node::Exit(_) | Node::Barrier { .. } => 1,
    };
    nodes.iter().map(of).sum()
}

/// Calls `visit` with each single register of an instruction.
pub(super) fn registers(op: &Op, visit: &mut dyn FnMut(Reg, Use)) {
    op.clone().registers(&mut |reg, words, how| (*reg..*reg + words).for_each(|reg| visit(reg, how)));
}

/// The same with all registers of a node, conditions as well.
pub(super) fn each_register(node: &Node, visit: &mut dyn FnMut(Reg, Use)) {
    each_op(std::slice::from_ref(node), &mut |op| registers(op, visit));
    conditions(node, &mut |cond| visit(cond, Use::Read));
}

pub(super) fn place(op: &Op) -> Option<&crate::ir::Place> {
    match op {
        Op::Load { place, .. }
        | Op::LoadUniform { place, .. }
        | Op::Store { place, .. }
        | Op::Atomic { place, .. }
        | Op::CompareExchange { place, .. } => Some(place),
        _ => None,
    }
}

fn conditions(node: &Node, visit: &mut dyn FnMut(Reg)) {
    match node {
        Node::If { cond, accept, reject } => {
            visit(*cond);
            accept.iter().chain(reject).for_each(|node| conditions(node, visit));
        }
        Node::Scope { body, .. } | Node::Loop { body, .. } => {
            body.iter().for_each(|node| conditions(node, visit));
        }
        _ => {}
    }
}

pub(super) fn has_barrier(node: &Node) -> bool {
    match node {
        Node::Barrier { scope, .. } => !scope.subgroup_only,
        Node::Inst(inst) => matches!(inst.op, Op::LoadUniform { .. }),
        Node::If { accept, reject, .. } => accept.iter().chain(reject).any(has_barrier),
        Node::Scope { body, .. } | Node::Loop { body, .. } => body.iter().any(has_barrier),
        Node::Exit(_) => false,
    }
}

/// Whether something in a node leaves a scope that is not in it.
fn escapes(node: &Node, inner: &mut Vec<Label>) -> bool {
    match node {
        Node::Exit(label) => !inner.contains(label),
        Node::If { accept, reject, .. } => accept.iter().chain(reject).any(|node| escapes(node, inner)),
        Node::Scope { label, body } => {
            inner.push(*label);
            let escapes = body.iter().any(|node| escapes(node, inner));
            inner.pop();
            escapes
        }
        Node::Loop { body, .. } => body.iter().any(|node| escapes(node, inner)),
        Node::Inst(_) | Node::Barrier { .. } => false,
    }
}

/// Whether something in a node leaves a scope around it.
pub(super) fn exits(node: &Node, to: Label) -> bool {
    match node {
        Node::Exit(label) => *label == to,
        Node::If { accept, reject, .. } => accept.iter().chain(reject).any(|node| exits(node, to)),
        Node::Scope { body, .. } | Node::Loop { body, .. } => body.iter().any(|node| exits(node, to)),
        _ => false,
    }
}
