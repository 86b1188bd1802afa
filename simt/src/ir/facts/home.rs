//! Where the life of each variable begins.
//!
//! A variable of an inner block is assigned at its declaration before anything reads it; what the
//! function's beginning put there is dead. From that assignment on, its *home*, only the invocations
//! that were active there ever read it.

use crate::ir::{Kernel, Node, Op, Reg, Root, Use, each_op};
use crate::lower::shape::words;

/// A node: its block, in the order in which blocks open, and its place there.
pub(super) type Position = (u32, u32);

/// How many assignments at a variable's beginning may be dead.
const DEAD: usize = 4;

#[derive(Debug)]
pub(super) struct Homes {
    /// The register that stands for each: the first of an array that is indexed at run time, else itself.
    pub unit: Vec<Reg>,
    /// Whether it belongs to such an array.
    array: Vec<bool>,
    /// Whether it is assigned, not made once.
    pub variable: Vec<bool>,
    /// The assignment that precedes every read; none where it is not known to be one.
    pub home: Vec<Option<Position>>,
}

impl Homes {
    /// Whether a register belongs to an array that is indexed at run time.
    pub(super) fn is_array(&self, reg: Reg) -> bool {
        self.array[reg as usize]
    }

    pub(super) fn of(kernel: &Kernel) -> Self {
        let count = kernel.regs.len();
        let mut homes = Self {
            unit: (0..count as Reg).collect(),
            array: vec![false; count],
            variable: vec![false; count],
            home: vec![None; count],
        };
        let mut indexed = vec![false; kernel.variables.len()];
        each_op(&kernel.body, &mut |op| match op {
            Op::Load { place, .. } | Op::Store { place, .. } if place.root == Root::Local => {
                indexed[place.var as usize] = true;
            }
            Op::Set { dst, words, .. } => {
                (*dst..*dst + *words).for_each(|reg| homes.variable[reg as usize] = true);
            }
            _ => {}
        });
        for (variable, _) in kernel.variables.iter().zip(&indexed).filter(|(_, indexed)| **indexed) {
            let end = variable.base + words(&variable.layout).unwrap_or(0);
            for reg in variable.base..end {
                homes.unit[reg as usize] = variable.base;
                homes.array[reg as usize] = true;
                homes.variable[reg as usize] = true;
            }
        }
        let mut scan = Scan { homes: &homes, parents: Vec::new(), accesses: vec![Vec::new(); count] };
        scan.block(&kernel.body, None);
        let (parents, accesses) = (scan.parents, scan.accesses);
        for (home, accesses) in homes.home.iter_mut().zip(accesses) {
            let definitions = accesses.iter().take_while(|access| access.defines).take(DEAD).count();
            let precedes =
                |&at: &usize| accesses[at + 1..].iter().all(|later| is_behind(&parents, accesses[at].at, later.at));
            *home = (0..definitions).rev().find(precedes).map(|at| accesses[at].at);
        }
        homes
    }
}

/// Whether whoever comes to `at` came through `first` on its way, in the same run of that block.
fn is_behind(parents: &[Option<Position>], first: Position, mut at: Position) -> bool {
    while at.0 > first.0 {
        match parents[at.0 as usize] {
            Some(parent) => at = parent,
            None => return false,
        }
    }
    at.0 == first.0 && at.1 > first.1
}

#[derive(Clone, Copy)]
struct Access {
    at: Position,
    /// Whether it gives all of it a new value.
    defines: bool,
}

struct Scan<'h> {
    homes: &'h Homes,
    /// The node that holds each block.
    parents: Vec<Option<Position>>,
    accesses: Vec<Vec<Access>>,
}

impl Scan<'_> {
    fn block(&mut self, body: &[Node], parent: Option<Position>) {
        let block = self.parents.len() as u32;
        self.parents.push(parent);
        for (index, node) in body.iter().enumerate() {
            let at = (block, index as u32);
            match node {
                Node::Inst(inst) => inst.op.clone().registers(&mut |reg, words, how| {
                    for reg in *reg..*reg + words.max(1) {
                        self.access(reg, at, how == Use::Update);
                    }
                }),
                Node::If { cond, accept, reject } => {
                    self.access(*cond, at, false);
                    self.block(accept, Some(at));
                    self.block(reject, Some(at));
                }
                Node::Scope { body, .. } | Node::Loop { body, .. } => self.block(body, Some(at)),
                Node::Exit(_) | Node::Barrier { .. } => {}
            }
        }
    }

    fn access(&mut self, reg: Reg, at: Position, assigned: bool) {
        let homes = self.homes;
        let unit = homes.unit[reg as usize];
        if homes.variable[unit as usize] {
            // An assignment to an element leaves the others as they were.
            let defines = assigned && !homes.is_array(reg);
            self.accesses[unit as usize].push(Access { at, defines });
        }
    }
}
