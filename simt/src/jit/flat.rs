//! Control flow that need not be there: `a && b` whose second side may as well always be looked at, and
//! what comes behind a branch that leaves, which is that branch's other side.
//!
//! The interpreter's copy stays as it is: what an invocation does not read in the source, the checker must
//! not see it read.

use std::collections::HashMap;

use naga::Span;

use super::plan;
use crate::ir::{Binary, Info, Inst, Kernel, Label, Lane, Node, Op, Reg, Root, Unary, Use, each_op, tail};
use crate::lower::shape;
use crate::reflect::{Access, Slot};

/// Instructions of a second side that are done though the first side has decided.
const MOST: usize = 10;

/// The same kernel with less control flow.
pub(super) fn of(kernel: &Kernel, slots: &[Slot]) -> Kernel {
    let mut kernel = kernel.clone();
    behind_exits(&mut kernel.body, &mut Vec::new());
    tail::exits(&mut kernel.body);
    let mut flat = Flat::new(&kernel, slots);
    flat.list(&mut kernel.body);
    kernel.regs = flat.regs;
    kernel
}

/// Moves what comes behind a branch that leaves a scope which ends here anyway to the branch's other side,
/// so that the exit is one to where control goes. `ends` are the scopes that end where this list does.
fn behind_exits(nodes: &mut Vec<Node>, ends: &mut Vec<Label>) {
    let leaves = |nodes: &[Node]| matches!(nodes.last(), Some(Node::Exit(label)) if ends.contains(label));
    let found = nodes.iter().position(|node| match node {
        Node::If { accept, reject, .. } => leaves(accept) != leaves(reject),
        _ => false,
    });
    if let Some(at) = found
        && at + 1 < nodes.len()
        && !nodes[at + 1..].iter().any(plan::has_barrier)
    {
        let mut rest = nodes.split_off(at + 1);
        if let Some(Node::If { accept, reject, .. }) = nodes.last_mut() {
            let stays = if leaves(accept) { reject } else { accept };
            stays.append(&mut rest);
        }
    }
    let last = nodes.len().saturating_sub(1);
    for (index, node) in nodes.iter_mut().enumerate() {
        let mut none = Vec::new();
        let ends = if index == last { &mut *ends } else { &mut none };
        match node {
            Node::If { accept, reject, .. } => {
                behind_exits(accept, ends);
                behind_exits(reject, ends);
            }
            Node::Scope { label, body } => {
                ends.push(*label);
                behind_exits(body, ends);
                ends.pop();
            }
            Node::Loop { body, .. } => behind_exits(body, &mut Vec::new()),
            Node::Inst(_) | Node::Exit(_) | Node::Barrier { .. } => {}
        }
    }
}

/// Makes values of the conditions that only choose between a truth and a constant.
struct Flat<'a> {
    regs: Vec<Info>,
    slots: &'a [Slot],
    consts: HashMap<Reg, u32>,
    /// How often each register is read; see [`reads`].
    reads: Vec<u32>,
}

/// `variable = cond && second`, or `||`.
struct Truth {
    variable: Reg,
    cond: Reg,
    second: Reg,
    /// Whether both must hold; else `cond` is the opposite of the first.
    all: bool,
    at: Span,
}

impl<'a> Flat<'a> {
    fn new(kernel: &Kernel, slots: &'a [Slot]) -> Self {
        let consts = kernel.consts.iter().copied().collect();
        Self { regs: kernel.regs.clone(), slots, consts, reads: reads(kernel) }
    }

    fn list(&mut self, nodes: &mut Vec<Node>) {
        let mut old = std::mem::take(nodes).into_iter();
        while let Some(mut node) = old.next() {
            match &mut node {
                Node::If { accept, reject, .. } => {
                    self.list(accept);
                    self.list(reject);
                }
                Node::Scope { body, .. } | Node::Loop { body, .. } => self.list(body),
                Node::Inst(_) | Node::Exit(_) | Node::Barrier { .. } => {}
            }
            let Some(truth) = self.truth(&node) else {
                nodes.push(node);
                continue;
            };
            let Node::If { accept, .. } = node else { continue };
            let (mut insts, at) = (accept, truth.at);
            insts.pop();
            nodes.append(&mut insts);
            let mut op = |op: Op| nodes.push(Node::Inst(Inst { op, at }));
            let cond = if truth.all {
                truth.cond
            } else {
                let not = self.temp();
                op(Op::Unary { op: Unary::Not, ty: Lane::Bool, dst: not, a: truth.cond });
                not
            };
            let how = if truth.all { Binary::And } else { Binary::Or };
            let dst = self.temp();
            op(Op::Binary { op: how, ty: Lane::Bool, dst, a: cond, b: truth.second });
            // Where everything that reads the variable comes behind this, nobody needs the variable.
            let mut rest: Vec<Node> = old.collect();
            let mut reads = vec![0; self.regs.len()];
            let until = rest.iter().position(|node| sets(node, truth.variable)).unwrap_or(rest.len());
            count(&rest[..until], &mut reads);
            if reads[truth.variable as usize] == self.reads[truth.variable as usize] {
                rest[..until].iter_mut().for_each(|node| replace(node, truth.variable, dst));
            } else {
                op(Op::Set { dst: truth.variable, src: dst, words: 1 });
            }
            old = rest.into_iter();
        }
    }

    fn temp(&mut self) -> Reg {
        self.regs.push(Info { pinned: false, words: 1 });
        self.reads.push(0);
        self.regs.len() as Reg - 1
    }
}

impl Flat<'_> {
    fn truth(&self, node: &Node) -> Option<Truth> {
        let Node::If { cond, accept, reject } = node else {
            return None;
        };
        let ([before @ .., Node::Inst(last)], [Node::Inst(other)]) = (&accept[..], &reject[..]) else {
            return None;
        };
        let (Op::Set { dst: variable, src: second, words: 1 }, Op::Set { dst, src, words: 1 }) = (&last.op, &other.op)
        else {
            return None;
        };
        let all = match self.consts.get(src)? {
            0 => true,
            &u32::MAX => false,
            _ => return None,
        };
        let mut is_truth = false;
        let free = before.len() <= MOST
            && before.iter().all(|node| match node {
                Node::Inst(inst) => {
                    is_truth |= makes_truth(&inst.op, *second);
                    self.is_free(&inst.op)
                }
                _ => false,
            });
        let found = variable == dst && free && is_truth;
        found.then_some(Truth { variable: *variable, cond: *cond, second: *second, all, at: last.at })
    }

    /// Whether it may be done by invocations that would not do it, at little cost.
    fn is_free(&self, op: &Op) -> bool {
        match op {
            Op::Copy { .. } | Op::Convert { .. } | Op::Select { .. } => true,
            Op::Unary { op, .. } => matches!(op, Unary::Not | Unary::Negate | Unary::Abs),
            Op::Binary { op, ty, .. } => {
                !matches!((op, ty), (Binary::Pow | Binary::Atan2 | Binary::Ldexp, _) | (Binary::Rem, Lane::F32))
            }
            Op::Load { place, .. } => match place.root {
                Root::Binding(slot) => place.addr.is_none() && self.slots[slot as usize].access != Access::ReadWrite,
                Root::Workgroup | Root::Local => false,
            },
            _ => false,
        }
    }
}

/// Whether an instruction makes `reg`, as a `bool`.
fn makes_truth(op: &Op, reg: Reg) -> bool {
    match op {
        Op::Binary { op, ty, dst, .. } => *dst == reg && op.result(*ty) == Lane::Bool,
        Op::Unary { op, ty, dst, .. } => *dst == reg && op.result(*ty) == Lane::Bool,
        _ => false,
    }
}

/// How often each register is read; `u32::MAX` for those that are indexed at run time.
pub(super) fn reads(kernel: &Kernel) -> Vec<u32> {
    let mut reads = vec![0; kernel.regs.len()];
    count(&kernel.body, &mut reads);
    each_op(&kernel.body, &mut |op| {
        if let Some(place) = plan::place(op)
            && place.root == Root::Local
        {
            let variable = &kernel.variables[place.var as usize];
            let end = variable.base + shape::words(&variable.layout).unwrap_or(0);
            reads[variable.base as usize..end as usize].fill(u32::MAX);
        }
    });
    reads
}

/// Adds up how often each register is read.
pub(super) fn count(nodes: &[Node], reads: &mut [u32]) {
    let mut read = |reg: Reg| reads[reg as usize] = reads[reg as usize].saturating_add(1);
    for node in nodes {
        plan::each_register(node, &mut |reg, how| {
            if how == Use::Read {
                read(reg);
            }
        });
    }
}

fn sets(node: &Node, variable: Reg) -> bool {
    let mut sets = false;
    plan::each_register(node, &mut |reg, how| sets |= reg == variable && how != Use::Read);
    sets
}

/// Has those who read `old` read `new`.
fn replace(node: &mut Node, old: Reg, new: Reg) {
    let of = |reg: &mut Reg| {
        if *reg == old {
            *reg = new;
        }
    };
    match node {
        Node::Inst(inst) => inst.op.registers(&mut |reg, words, how| {
            if how == Use::Read && words == 1 {
                of(reg);
            }
        }),
        Node::If { cond, accept, reject } => {
            of(cond);
            accept.iter_mut().chain(reject).for_each(|node| replace(node, old, new));
        }
        Node::Scope { body, .. } | Node::Loop { body, .. } => {
            body.iter_mut().for_each(|node| replace(node, old, new));
        }
        Node::Exit(_) | Node::Barrier { .. } => {}
    }
}
