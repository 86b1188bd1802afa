//! Copy forwarding: what reads a snapshot of a variable reads the variable, while it has not changed.

use super::alloc::Info;
use super::op::Op;
use super::visit::Use;
use super::{Node, Reg, Root};

/// How far ahead a copy's readers are looked for.
const REACH: usize = 128;

/// Drops each copy of a variable whose readers all come before the variable may change.
pub(crate) fn copies(body: &mut Vec<Node>, regs: &[Info]) {
    let mut reads = vec![0_u32; regs.len()];
    count(body, &mut reads);
    block(body, regs, &reads);
}

fn count(body: &mut [Node], reads: &mut [u32]) {
    for node in body {
        match node {
            Node::Inst(inst) => inst.op.registers(&mut |reg, words, how| {
                if how == Use::Read {
                    (*reg..*reg + words).for_each(|reg| reads[reg as usize] += 1);
                }
            }),
            Node::If { cond, accept, reject } => {
                reads[*cond as usize] += 1;
                count(accept, reads);
                count(reject, reads);
            }
            Node::Scope { body, .. } | Node::Loop { body, .. } => count(body, reads),
            Node::Exit(_) | Node::Barrier { .. } => {}
        }
    }
}

fn block(body: &mut Vec<Node>, regs: &[Info], reads: &[u32]) {
    let mut keep = vec![true; body.len()];
    for i in 0..body.len() {
        match &mut body[i] {
            Node::Inst(inst) => {
                if let Op::Copy { dst, src, words } = inst.op
                    && !regs[dst as usize].pinned
                    && regs[src as usize].pinned
                {
                    let all = reads[dst as usize..(dst + words) as usize].iter().sum();
                    keep[i] = !forward(&mut body[i + 1..], Copied { dst, src, words }, all);
                }
            }
            Node::If { accept, reject, .. } => {
                block(accept, regs, reads);
                block(reject, regs, reads);
            }
            Node::Scope { body, .. } | Node::Loop { body, .. } => block(body, regs, reads),
            Node::Exit(_) | Node::Barrier { .. } => {}
        }
    }
    let mut keep = keep.into_iter();
    body.retain(|_| keep.next().unwrap_or(true));
}

#[derive(Clone, Copy)]
struct Copied {
    dst: Reg,
    src: Reg,
    words: u32,
}

impl Copied {
    /// Where in the variable a register of the copy has its value.
    fn origin(self, reg: Reg) -> Option<Reg> {
        (reg >= self.dst && reg < self.dst + self.words).then(|| self.src + (reg - self.dst))
    }
}

/// Makes the readers read the variable, if `all` reads are found in time.
fn forward(rest: &mut [Node], copied: Copied, all: u32) -> bool {
    let mut found = 0;
    let mut reach = 0;
    for node in rest.iter_mut().take(REACH) {
        if found == all {
            break;
        }
        match node {
            Node::Inst(inst) => {
                let changes = changes(&mut inst.op, copied);
                // A long assignment to the variable itself may overtake its own source.
                if changes && matches!(inst.op, Op::Set { words: 2.., .. }) {
                    break;
                }
                inst.op.registers(&mut |reg, words, how| {
                    if how == Use::Read {
                        let of_copy = (*reg..*reg + words).filter(|&reg| copied.origin(reg).is_some());
                        found += of_copy.count() as u32;
                    }
                });
                reach += 1;
                if changes {
                    break;
                }
            }
            Node::If { cond, .. } => {
                found += u32::from(copied.origin(*cond).is_some());
                reach += 1;
                break;
            }
            _ => break,
        }
    }
    if found != all {
        return false;
    }
    for node in &mut rest[..reach] {
        match node {
            Node::Inst(inst) => inst.op.registers(&mut |reg, _, how| {
                if how == Use::Read
                    && let Some(origin) = copied.origin(*reg)
                {
                    *reg = origin;
                }
            }),
            Node::If { cond, .. } => *cond = copied.origin(*cond).unwrap_or(*cond),
            _ => {}
        }
    }
    true
}

/// Whether an instruction may change the variable.
fn changes(op: &mut Op, copied: Copied) -> bool {
    if let Op::Store { place, .. } = op
        && place.root == Root::Local
    {
        return true;
    }
    let mut changes = false;
    op.registers(&mut |reg, words, how| {
        let overlaps = *reg < copied.src + copied.words && copied.src < *reg + words;
        changes |= how != Use::Read && overlaps;
    });
    changes
}
