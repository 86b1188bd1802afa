//! The registers of an instruction.

#[cfg(feature = "jit")]
use super::Node;
use super::op::Op;
use super::{Place, Reg, Root};

/// How an instruction touches registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Reads them.
    Read,
    /// Writes every lane.
    Write,
    /// Writes the active lanes, keeps the others.
    Update,
}

/// Calls `visit` with every instruction of `nodes`, in the order of the program.
#[cfg(feature = "jit")]
pub(crate) fn each_op(nodes: &[Node], visit: &mut dyn FnMut(&Op)) {
    for node in nodes {
        match node {
            Node::Inst(inst) => visit(&inst.op),
            Node::If { accept, reject, .. } => {
                each_op(accept, visit);
                each_op(reject, visit);
            }
            Node::Scope { body, .. } | Node::Loop { body, .. } => each_op(body, visit),
            Node::Exit(_) | Node::Barrier { .. } => {}
        }
    }
}

impl Op {
    /// Calls `visit` with each group of registers in a row: its first register, its length, its use.
    /// What is read comes before what is written. The first register may be replaced. Of an indexed
    /// variable only the first register is named, with length 0.
    pub(crate) fn registers(&mut self, visit: &mut dyn FnMut(&mut Reg, u32, Use)) {
        use Use::{Read, Update, Write};
        let place = |place: &mut Place, visit: &mut dyn FnMut(&mut Reg, u32, Use)| {
            if let Some(addr) = &mut place.addr {
                visit(addr, 1, Read);
            }
            if place.root == Root::Local {
                visit(&mut place.offset, 0, Read);
            }
        };
        match self {
            Self::Copy { dst, src, words } => {
                visit(src, *words, Read);
                visit(dst, *words, Write);
            }
            Self::Set { dst, src, words } => {
                visit(src, *words, Read);
                visit(dst, *words, Update);
            }
            Self::Unary { op, ty, dst, a } => {
                visit(a, ty.words(), Read);
                visit(dst, op.result(*ty).words(), Write);
            }
            Self::Convert { from, to, dst, a } => {
                visit(a, from.words(), Read);
                visit(dst, to.words(), Write);
            }
            Self::Binary { op, ty, dst, a, b } => {
                visit(a, ty.words(), Read);
                visit(b, op.second(*ty).words(), Read);
                visit(dst, op.result(*ty).words(), Write);
            }
            Self::Select { ty, dst, cond, yes, no } => {
                visit(cond, 1, Read);
                visit(yes, ty.words(), Read);
                visit(no, ty.words(), Read);
                visit(dst, ty.words(), Write);
            }
            Self::Index { dst, base, index, .. } => {
                if let Some(base) = base {
                    visit(base, 1, Read);
                }
                visit(index, 1, Read);
                visit(dst, 1, Write);
            }
            Self::Load { dst, ty, place: from } | Self::LoadUniform { dst, ty, place: from } => {
                place(from, visit);
                visit(dst, words(*ty), Write);
            }
            Self::Store { src, ty, place: to } => {
                place(to, visit);
                visit(src, words(*ty), Read);
            }
            Self::Atomic { ty, dst, place: at, value, .. } => {
                place(at, visit);
                visit(value, words(*ty), Read);
                visit(dst, words(*ty), Write);
            }
            Self::CompareExchange { ty, old, exchanged, place: at, compare, value } => {
                place(at, visit);
                visit(compare, words(*ty), Read);
                visit(value, words(*ty), Read);
                visit(old, words(*ty), Write);
                visit(exchanged, 1, Write);
            }
            Self::Ballot { dst, cond } => {
                if let Some(cond) = cond {
                    visit(cond, 1, Read);
                }
                visit(dst, 4, Write);
            }
            Self::Gather { ty, dst, value, index, .. } => {
                visit(value, ty.words(), Read);
                if let Some(index) = index {
                    visit(index, 1, Read);
                }
                visit(dst, ty.words(), Write);
            }
            Self::Collective { ty, dst, value, .. } => {
                visit(value, ty.words(), Read);
                visit(dst, ty.words(), Write);
            }
        }
    }
}

fn words(scalar: crate::layout::Scalar) -> u32 {
    super::Lane::of(scalar).words()
}
