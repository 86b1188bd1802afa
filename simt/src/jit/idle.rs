//! Variables that a loop may write over in lanes that have left it.
//!
//! Where lanes leave a loop one by one, an assignment must keep what the others have, at the price of a blend
//! for each vector and of the old value's registers. Not so if a variable is read in the loop only and assigned
//! anew before the loop begins again: then who has left never reads it. Such assignments become copies, which
//! write all lanes.

use std::collections::HashSet;

use super::shapes::Shapes;
use super::{flat, plan};
use crate::ir::{Kernel, Node, Op, Reg};

/// Makes copies of the assignments that need not keep what idle lanes have.
pub(super) fn copies(kernel: &mut Kernel, shapes: &Shapes) {
    let reads = flat::reads(kernel);
    Idle { shapes, reads }.list(&mut kernel.body, &HashSet::new());
}

struct Idle<'a> {
    shapes: &'a Shapes,
    /// How often each register is read.
    reads: Vec<u32>,
}

impl Idle<'_> {
    /// `fresh` are the variables that every lane which comes here has just been given.
    fn list(&self, nodes: &mut [Node], fresh: &HashSet<Reg>) {
        let mut fresh = fresh.clone();
        for node in nodes {
            match node {
                Node::Inst(inst) => {
                    if let Op::Set { dst, words, .. } = inst.op {
                        fresh.extend(dst..dst + words);
                    }
                }
                Node::If { accept, reject, .. } => {
                    self.list(accept, &HashSet::new());
                    self.list(reject, &HashSet::new());
                }
                Node::Scope { body, .. } => self.list(body, &fresh),
                Node::Loop { .. } => self.laps(node, &fresh),
                Node::Exit(_) | Node::Barrier { .. } => {}
            }
        }
    }

    fn laps(&self, node: &mut Node, fresh: &HashSet<Reg>) {
        // Of what crosses a barrier the workgroup keeps the lanes.
        let collective = plan::has_barrier(node);
        let Node::Loop { body, .. } = node else { return };
        if !collective {
            let mut here = vec![0; self.reads.len()];
            flat::count(body, &mut here);
            let own = |&reg: &Reg| here[reg as usize] == self.reads[reg as usize] && self.shapes.step(reg).is_none();
            overwrite(body, &fresh.iter().copied().filter(own).collect());
        }
        self.list(body, &HashSet::new());
    }
}

/// Makes copies of the assignments to `own` that run in every lane which is still in the loop.
fn overwrite(nodes: &mut [Node], own: &HashSet<Reg>) {
    for node in nodes {
        match node {
            Node::Inst(inst) => {
                if let Op::Set { dst, src, words } = inst.op
                    && (dst..dst + words).all(|reg| own.contains(&reg))
                    && (words == 1 || src + words <= dst || dst + words <= src)
                {
                    inst.op = Op::Copy { dst, src, words };
                }
            }
            // Who goes the other way leaves the loop: no scope within it is open here.
            Node::If { accept, reject, .. } => match (leaves(accept), leaves(reject)) {
                (true, false) => overwrite(reject, own),
                (false, true) => overwrite(accept, own),
                _ => {}
            },
            // A lane that leaves the scope comes back for the next lap, and one in a loop within for this one.
            Node::Scope { .. } | Node::Loop { .. } | Node::Exit(_) | Node::Barrier { .. } => {}
        }
    }
}

fn leaves(nodes: &[Node]) -> bool {
    matches!(nodes.last(), Some(Node::Exit(_)))
}
