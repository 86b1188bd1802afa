//! Loops without a barrier that the workgroup as a whole goes through nevertheless: each lap runs for all
//! blocks before the next, so that neighbours' memory is touched one block after the other.

use std::collections::HashSet;

use super::plan;
use super::shapes::Shapes;
use crate::ir::{Label, Node, Op, Reg, Root, Use, each_op};

/// Whether a node is a loop whose laps are better outside than inside the loop over blocks: it goes along
/// memory, all invocations stay equally long, and no lap hands the next one value for each invocation.
pub(super) fn outside(node: &Node, shapes: &Shapes) -> bool {
    let Node::Loop { body, .. } = node else {
        return false;
    };
    goes_along(body, shapes) && leave_together(body, Some(shapes), &mut Vec::new()) && hands_on_little(body, shapes)
}

/// Whether neighbours read neighbouring words of buffers, and never others.
fn goes_along(body: &[Node], shapes: &Shapes) -> bool {
    let (mut along, mut across) = (false, false);
    each_op(body, &mut |op| {
        if let Op::Load { place, .. } = op
            && let (Root::Binding(_), Some(addr)) = (place.root, place.addr)
        {
            let step = shapes.address_step(addr);
            along |= step == Some(4);
            across |= !matches!(step, Some(0 | 4));
        }
    });
    along && !across
}

/// Whether every exit from the loop stands under nothing but conditions that are the same for all; `shapes`
/// is none where something else is around already.
fn leave_together(nodes: &[Node], shapes: Option<&Shapes>, inner: &mut Vec<Label>) -> bool {
    nodes.iter().all(|node| match node {
        Node::Exit(label) => shapes.is_some() || inner.contains(label),
        Node::If { cond, accept, reject } => {
            let shapes = shapes.filter(|shapes| shapes.is_uniform(*cond));
            leave_together(accept, shapes, inner) && leave_together(reject, shapes, inner)
        }
        Node::Scope { label, body } => {
            inner.push(*label);
            let together = leave_together(body, None, inner);
            inner.pop();
            together
        }
        Node::Loop { body, .. } => leave_together(body, None, inner),
        Node::Inst(_) | Node::Barrier { .. } => true,
    })
}

/// Whether all variables that are assigned in a lap are the same for all invocations, and so is what comes
/// from before the loop, or lies on a line.
fn hands_on_little(body: &[Node], shapes: &Shapes) -> bool {
    let mut made: HashSet<Reg> = HashSet::new();
    let mut little = true;
    for node in body {
        plan::each_register(node, &mut |reg, how| {
            if how == Use::Write {
                made.insert(reg);
            }
        });
    }
    for node in body {
        plan::each_register(node, &mut |reg, how| {
            little &= match how {
                Use::Read => made.contains(&reg) || shapes.step(reg).is_some(),
                Use::Update => shapes.is_uniform(reg),
                Use::Write => true,
            };
        });
    }
    little
}
