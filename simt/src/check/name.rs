//! From an address back to `name[index]`.

use super::Beyond;
use crate::ir::{Lane, Root, Variable};
use crate::layout::{Layout, Scalar};
use crate::lower::shape;

/// Whether a layout has scalars of two bytes.
pub(super) fn has_halves(layout: &Layout) -> bool {
    match layout {
        Layout::Scalar(scalar)
        | Layout::Atomic(scalar)
        | Layout::Vector { scalar, .. }
        | Layout::Matrix { scalar, .. } => scalar.bytes() == 2,
        Layout::Array { element, .. } => has_halves(element),
        Layout::Struct { members, .. } => members.iter().any(|member| has_halves(&member.layout)),
    }
}

/// How WGSL would write the scalar at an address of a variable's memory.
pub(super) fn of(variable: &Variable, address: u64) -> String {
    let mut name = variable.name.clone();
    let at = address.saturating_sub(variable.base.into());
    walk(&variable.layout, variable.root, at, None, &mut name);
    name
}

/// How WGSL would write the element that an index out of bounds means; `offset` is the known part of the
/// address.
pub(super) fn beyond(variable: &Variable, offset: u32, index: &Beyond) -> String {
    let mut name = variable.name.clone();
    if name.is_empty() {
        name.push_str("value");
    }
    let at = u64::from(offset.saturating_sub(variable.base)) + u64::from(index.base);
    walk(&variable.layout, variable.root, at, Some(index), &mut name);
    name
}

/// Goes down to the scalar at an address, or to the array whose end `beyond` passes.
fn walk(layout: &Layout, root: Root, at: u64, beyond: Option<&Beyond>, name: &mut String) {
    if let (Some(beyond), Some(step)) = (beyond, shape::step(layout, root))
        && beyond.stride == step.stride
        && step.len.is_none_or(|len| len == beyond.len)
    {
        // A negative index shows as it was written.
        let index = beyond.index;
        let index = if index > i32::MAX as u32 { i64::from(index as i32) } else { index.into() };
        name.push_str(&format!("[{index}]"));
        return;
    }
    match layout {
        Layout::Scalar(_) | Layout::Atomic(_) => {}
        Layout::Vector { scalar, .. } => {
            let component = at / u64::from(size(*scalar, root));
            let letters = [".x", ".y", ".z", ".w"];
            name.push_str(letters.get(component as usize).unwrap_or(&""));
        }
        Layout::Struct { members, .. } => {
            let starts = (0..members.len()).map(|i| u64::from(shape::member_offset(layout, i, root)));
            let Some((i, start)) = starts.enumerate().rev().find(|&(_, start)| start <= at) else {
                return;
            };
            name.push('.');
            name.push_str(&members[i].name);
            walk(&members[i].layout, root, at - start, beyond, name);
        }
        Layout::Matrix { .. } | Layout::Array { .. } => {
            let Some(step) = shape::step(layout, root) else { return };
            let index = at / u64::from(step.stride.max(1));
            name.push_str(&format!("[{index}]"));
            walk(&step.element, root, at % u64::from(step.stride.max(1)), beyond, name);
        }
    }
}

fn size(scalar: Scalar, root: Root) -> u32 {
    match root {
        Root::Binding(_) => scalar.bytes(),
        Root::Workgroup | Root::Local => Lane::of(scalar).words(),
    }
}
