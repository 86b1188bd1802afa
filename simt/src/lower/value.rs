//! What an expression has become.

use std::rc::Rc;

use crate::ir::{Reg, Root, VarId};
use crate::layout::Layout;

/// The value of a naga expression.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// One register for each scalar, in memory order; for a 64-bit scalar the first of its two.
    Data(Rc<[Reg]>),
    /// A pointer. It exists only while lowering: what it points to is known but for an address.
    Pointer(Pointer),
}

/// A place in memory, and what lies there.
#[derive(Clone, Debug)]
pub(super) struct Pointer {
    /// Which memory.
    pub root: Root,
    /// The part of the address that is known only when running.
    pub addr: Option<Reg>,
    /// The part that is known now, in the unit of the root.
    pub offset: u32,
    /// What lies there.
    pub layout: Layout,
    /// The variable it belongs to.
    pub var: VarId,
}

impl Pointer {
    /// The pointer `offset` further on, at a part of what lies here.
    pub(super) fn at(&self, offset: u32, layout: Layout) -> Self {
        Self { offset: self.offset + offset, layout, ..self.clone() }
    }
}
