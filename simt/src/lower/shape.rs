//! How layouts fall apart into scalars, in bytes and in registers.

use crate::ir::{Lane, Root};
use crate::layout::{Layout, Scalar, column_stride};

/// A scalar inside a layout.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub scalar: Scalar,
    /// From the beginning of the whole, in the unit of the memory asked for.
    pub offset: u32,
}

/// What indexing goes to.
pub(crate) struct Step {
    pub element: Layout,
    /// In the unit of the memory asked for.
    pub stride: u32,
    /// None for an array of runtime size.
    pub len: Option<u32>,
}

/// Words of registers or workgroup memory that `layout` takes, if it has a fixed size below 2^32.
pub(crate) fn words(layout: &Layout) -> Option<u32> {
    match layout {
        Layout::Scalar(scalar) | Layout::Atomic(scalar) => Some(Lane::of(*scalar).words()),
        Layout::Vector { size, scalar } => Some(size * Lane::of(*scalar).words()),
        Layout::Matrix { columns, rows, scalar } => Some(columns * rows * Lane::of(*scalar).words()),
        Layout::Array { element, len, .. } => words(element)?.checked_mul((*len)?),
        Layout::Struct { members, .. } => {
            members.iter().try_fold(0_u32, |sum, member| sum.checked_add(words(&member.layout)?))
        }
    }
}

/// How many scalars a layout has; 64-bit ones count once.
pub(crate) fn count(layout: &Layout) -> usize {
    match layout {
        Layout::Scalar(_) | Layout::Atomic(_) => 1,
        Layout::Vector { size, .. } => *size as usize,
        Layout::Matrix { columns, rows, .. } => (columns * rows) as usize,
        Layout::Array { element, len, .. } => count(element).saturating_mul(len.unwrap_or(0) as usize),
        Layout::Struct { members, .. } => {
            members.iter().fold(0, |sum, member| sum.saturating_add(count(&member.layout)))
        }
    }
}

/// The scalars of a layout of fixed size, in order.
pub(crate) fn parts(layout: &Layout, root: Root) -> Vec<Part> {
    let mut out = Vec::with_capacity(count(layout));
    collect(layout, root, 0, &mut out);
    out
}

fn collect(layout: &Layout, root: Root, at: u32, out: &mut Vec<Part>) {
    match layout {
        Layout::Scalar(scalar) | Layout::Atomic(scalar) => out.push(Part { scalar: *scalar, offset: at }),
        Layout::Struct { members, .. } => {
            for (i, member) in members.iter().enumerate() {
                collect(&member.layout, root, at + member_offset(layout, i, root), out);
            }
        }
        Layout::Vector { .. } | Layout::Matrix { .. } | Layout::Array { .. } => {
            let Some(step) = step(layout, root) else {
                return;
            };
            for i in 0..step.len.unwrap_or(0) {
                collect(&step.element, root, at + i * step.stride, out);
            }
        }
    }
}

/// Where a member of a structure begins.
pub(crate) fn member_offset(layout: &Layout, index: usize, root: Root) -> u32 {
    let Layout::Struct { members, .. } = layout else {
        return 0;
    };
    match root {
        Root::Binding(_) => members[index].offset,
        Root::Workgroup | Root::Local => members[..index].iter().map(|member| words(&member.layout).unwrap_or(0)).sum(),
    }
}

/// What indexing a vector, matrix or array goes to; none for the rest.
pub(crate) fn step(layout: &Layout, root: Root) -> Option<Step> {
    let in_bytes = matches!(root, Root::Binding(_));
    let scalar_size = |scalar: Scalar| {
        if in_bytes { scalar.bytes() } else { Lane::of(scalar).words() }
    };
    Some(match layout {
        Layout::Vector { size, scalar } => {
            Step { element: Layout::Scalar(*scalar), stride: scalar_size(*scalar), len: Some(*size) }
        }
        Layout::Matrix { columns, rows, scalar } => Step {
            element: Layout::Vector { size: *rows, scalar: *scalar },
            stride: if in_bytes { column_stride(*rows, *scalar) } else { rows * scalar_size(*scalar) },
            len: Some(*columns),
        },
        Layout::Array { element, stride, len } => {
            Step { stride: if in_bytes { *stride } else { words(element)? }, element: (**element).clone(), len: *len }
        }
        Layout::Scalar(_) | Layout::Atomic(_) | Layout::Struct { .. } => return None,
    })
}

/// The scalar type of a scalar, vector or matrix.
pub(crate) fn scalar(layout: &Layout) -> Option<Scalar> {
    match layout {
        Layout::Scalar(scalar)
        | Layout::Atomic(scalar)
        | Layout::Vector { scalar, .. }
        | Layout::Matrix { scalar, .. } => Some(*scalar),
        Layout::Array { .. } | Layout::Struct { .. } => None,
    }
}
