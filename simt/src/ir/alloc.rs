//! Register assignment: temporaries whose lives do not overlap share a row of the register file.
//!
//! The file of a workgroup is what the interpreter streams through; small enough, it stays in the cache.

use super::{Kernel, Node, Reg, Root};

/// What is known of each virtual register.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Info {
    /// Constants, inputs and variables keep their place for the whole program.
    pub pinned: bool,
    /// The first of so many registers that stay in a row; 0 for those behind the first.
    pub words: u32,
}

/// The life of a temporary, in instruction numbers.
#[derive(Clone, Copy)]
struct Life {
    first: u32,
    last: u32,
}

/// The same kernel on as few registers as there are rows in the interpreter's file.
///
/// A temporary is assigned where it is first written. Where a loop holds a use but not that place, the
/// temporary lives to the loop's end.
pub(crate) fn assign(kernel: &Kernel) -> Kernel {
    let mut kernel = kernel.clone();
    let (rows, count) = rows(&mut kernel.body, &kernel.regs);
    let row = |reg: Reg| rows[reg as usize];
    rename(&mut kernel.body, &rows);
    kernel.consts.iter_mut().for_each(|(reg, _)| *reg = row(*reg));
    kernel.inputs.iter_mut().for_each(|(reg, _)| *reg = row(*reg));
    for variable in kernel.variables.iter_mut().filter(|variable| variable.root == Root::Local) {
        variable.base = row(variable.base);
    }
    kernel.regs = vec![Info { pinned: true, words: 1 }; count as usize];
    kernel
}

/// The first and the last instruction that touches each register, by their numbers, loops seen to.
#[cfg(feature = "jit")]
pub(crate) fn lives(kernel: &Kernel) -> Vec<Option<(u32, u32)>> {
    let count = kernel.regs.len();
    let mut scan = Scan { lives: vec![None; count], leaders: (0..count).collect(), clock: 0, loops: Vec::new() };
    scan.block(&mut kernel.body.clone());
    scan.lives.into_iter().map(|life| life.map(|life| (life.first, life.last))).collect()
}

/// The row of each register, and how many rows there are.
fn rows(body: &mut [Node], regs: &[Info]) -> (Vec<Reg>, u32) {
    let mut leader = 0;
    let leaders = (regs.iter().enumerate())
        .map(|(reg, info)| {
            if info.words > 0 {
                leader = reg;
            }
            leader
        })
        .collect();
    let mut scan = Scan { lives: vec![None; regs.len()], leaders, clock: 0, loops: Vec::new() };
    scan.block(body);
    let mut rows = vec![Reg::MAX; regs.len()];
    let mut next = 0;
    let groups = || regs.iter().enumerate().filter(|(_, info)| info.words > 0);
    for (first, info) in groups().filter(|(_, info)| info.pinned) {
        for word in 0..info.words {
            rows[first + word as usize] = next + word;
        }
        next += info.words;
    }
    let mut order: Vec<_> = groups()
        .filter(|(_, info)| !info.pinned)
        .filter_map(|(first, info)| Some((scan.lives[first]?, first, info.words)))
        .collect();
    order.sort_by_key(|(life, ..)| life.first);
    let mut busy = std::collections::BinaryHeap::new();
    let mut free: std::collections::HashMap<u32, Vec<Reg>> = std::collections::HashMap::new();
    for (life, first, words) in order {
        while let Some(&(std::cmp::Reverse(last), row, size)) = busy.peek() {
            if last >= life.first {
                break;
            }
            busy.pop();
            free.entry(size).or_default().push(row);
        }
        let row = free.get_mut(&words).and_then(Vec::pop).unwrap_or_else(|| {
            next += words;
            next - words
        });
        for word in 0..words {
            rows[first + word as usize] = row + word;
        }
        busy.push((std::cmp::Reverse(life.last), row, words));
    }
    (rows, next)
}

struct Scan {
    /// By the first register of a row.
    lives: Vec<Option<Life>>,
    /// The first register of the row that each belongs to.
    leaders: Vec<usize>,
    clock: u32,
    /// When each open loop began, and the temporaries from outside that it uses.
    loops: Vec<(u32, Vec<Reg>)>,
}

impl Scan {
    fn touch(&mut self, reg: Reg) {
        let now = self.clock;
        let life = self.lives[self.leaders[reg as usize]].get_or_insert(Life { first: now, last: now });
        life.last = now;
        let first = life.first;
        for (start, outside) in &mut self.loops {
            if first < *start {
                outside.push(reg);
            }
        }
    }

    fn block(&mut self, body: &mut [Node]) {
        for node in body {
            self.clock += 1;
            match node {
                Node::Inst(inst) => {
                    // Reads and writes have the same time, so a result never shares a row with an operand.
                    inst.op.registers(&mut |reg, words, _| {
                        (*reg..*reg + words).for_each(|reg| self.touch(reg));
                    });
                }
                Node::If { cond, accept, reject, .. } => {
                    self.touch(*cond);
                    self.block(accept);
                    self.block(reject);
                    // The condition is read again between the two sides.
                    self.touch(*cond);
                }
                Node::Scope { body, .. } => self.block(body),
                Node::Loop { body, .. } => {
                    self.loops.push((self.clock, Vec::new()));
                    self.block(body);
                    self.clock += 1;
                    let (_, outside) = self.loops.pop().unwrap_or_default();
                    for reg in outside {
                        self.touch(reg);
                    }
                }
                Node::Exit(_) | Node::Barrier { .. } => {}
            }
        }
    }
}

fn rename(body: &mut [Node], rows: &[Reg]) {
    for node in body {
        match node {
            Node::Inst(inst) => inst.op.registers(&mut |reg, _, _| *reg = rows[*reg as usize]),
            Node::If { cond, accept, reject, .. } => {
                *cond = rows[*cond as usize];
                rename(accept, rows);
                rename(reject, rows);
            }
            Node::Scope { body, .. } | Node::Loop { body, .. } => rename(body, rows),
            Node::Exit(_) | Node::Barrier { .. } => {}
        }
    }
}
