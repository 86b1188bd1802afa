//! Where each register lives.

use std::collections::HashMap;

use super::plan::{Home, Stage, place, registers};
use super::shapes::Shapes;
use crate::ir::{Input, Kernel, Label, Node, Op, Reg, Root, Use};
use crate::lower::shape;

/// The number of a stage of the workgroup.
type Region = u32;

/// What [`find`] finds; see [`super::plan::Plan`].
pub(super) struct Found {
    pub homes: Vec<Home>,
    pub rows: u32,
    pub left: HashMap<Label, u32>,
    pub floats: Vec<bool>,
    pub used: Vec<bool>,
}

/// Finds each register of a kernel its home.
pub(super) fn find(kernel: &Kernel, shapes: &Shapes, stages: &[Stage<'_>]) -> Found {
    let count = kernel.regs.len();
    let mut homes = Homes {
        kernel,
        shapes,
        homes: vec![Home::Temp; count],
        seen: vec![None; count],
        crossing: vec![false; count],
        loose: vec![false; count],
        made: vec![None; count],
        lists: Vec::new(),
        next_list: 0,
        region: 0,
        rows: 0,
        left: HashMap::new(),
        floats: vec![false; count],
        used: vec![false; count],
        assigned: vec![false; count],
    };
    homes.stages(stages);
    homes.settle();
    let Homes { homes, rows, left, floats, used, .. } = homes;
    Found { homes, rows, left, floats, used }
}

/// Finds each register its home.
struct Homes<'k> {
    kernel: &'k Kernel,
    shapes: &'k Shapes,
    homes: Vec<Home>,
    /// The region in which a register was first met.
    seen: Vec<Option<Region>>,
    /// Whether it was met in another region too.
    crossing: Vec<bool>,
    /// Whether it is read where its making is not sure to have been.
    loose: Vec<bool>,
    /// The list in which a temporary is made.
    made: Vec<Option<u32>>,
    /// The lists that are open.
    lists: Vec<u32>,
    next_list: u32,
    region: Region,
    rows: u32,
    left: HashMap<Label, u32>,
    floats: Vec<bool>,
    used: Vec<bool>,
    assigned: Vec<bool>,
}

impl Homes<'_> {
    fn open(&mut self) {
        self.lists.push(self.next_list);
        self.next_list += 1;
    }

    fn stages(&mut self, stages: &[Stage<'_>]) {
        self.open();
        for stage in stages {
            self.region += 1;
            match stage {
                Stage::Region(nodes) => {
                    self.open();
                    nodes.iter().for_each(|node| self.node(node));
                    self.lists.pop();
                }
                Stage::Once(inst) | Stage::Agree(inst) => self.op(&inst.op),
                Stage::Barrier(_) | Stage::Exit(_) => {}
                Stage::If { cond, accept, reject } => {
                    self.touch(*cond, Use::Read);
                    self.stages(accept);
                    self.stages(reject);
                }
                Stage::Scope { label, body } => {
                    self.left.insert(*label, self.rows);
                    self.rows += 1;
                    self.stages(body);
                }
                Stage::Loop { body } => self.stages(body),
            }
        }
        self.lists.pop();
    }

    fn list(&mut self, nodes: &[Node]) {
        self.open();
        nodes.iter().for_each(|node| self.node(node));
        self.lists.pop();
    }

    fn node(&mut self, node: &Node) {
        match node {
            Node::Inst(inst) => self.op(&inst.op),
            Node::If { cond, accept, reject } => {
                self.touch(*cond, Use::Read);
                self.list(accept);
                self.list(reject);
            }
            Node::Scope { body, .. } | Node::Loop { body, .. } => self.list(body),
            Node::Exit(_) | Node::Barrier { .. } => {}
        }
    }

    fn op(&mut self, op: &Op) {
        if let Some(place) = place(op)
            && place.root == Root::Local
        {
            let variable = &self.kernel.variables[place.var as usize];
            let words = shape::words(&variable.layout).unwrap_or(0);
            if self.homes[variable.base as usize] == Home::Temp {
                for word in 0..words {
                    self.homes[(variable.base + word) as usize] = Home::Memory(self.rows + word);
                }
                self.rows += words;
            }
        }
        registers(op, &mut |reg, how| self.touch(reg, how));
        let float = match op {
            Op::Copy { src, .. } | Op::Set { src, .. } => self.floats[*src as usize],
            _ => result_is_float(op),
        };
        registers(op, &mut |reg, how| {
            if how != Use::Read {
                self.floats[reg as usize] |= float;
            }
        });
    }

    fn touch(&mut self, reg: Reg, how: Use) {
        let i = reg as usize;
        let first = *self.seen[i].get_or_insert(self.region);
        self.crossing[i] |= first != self.region;
        match how {
            Use::Write => self.made[i] = self.lists.last().copied(),
            Use::Update => self.assigned[i] = true,
            Use::Read => {
                self.used[i] = true;
                self.loose[i] |= self.made[i].is_none_or(|list| !self.lists.contains(&list));
            }
        }
    }

    fn settle(&mut self) {
        let consts: HashMap<Reg, u32> = self.kernel.consts.iter().copied().collect();
        let inputs: HashMap<Reg, Input> = self.kernel.inputs.iter().copied().collect();
        for reg in 0..self.homes.len() {
            if matches!(self.homes[reg], Home::Memory(_)) {
                continue;
            }
            let index = reg as Reg;
            let crosses = self.crossing[reg];
            self.homes[reg] = if let Some(&bits) = consts.get(&index) {
                Home::Const(bits)
            } else if let Some(&input) = inputs.get(&index) {
                Home::Input(input)
            } else if self.assigned[reg] || self.loose[reg] {
                match self.shapes.step(index) {
                    _ if self.shapes.is_uniform(index) => Home::Scalar,
                    Some(step) => Home::Line { step, row: crosses.then(|| self.row()) },
                    None => Home::Lanes(crosses.then(|| self.row())),
                }
            } else if crosses {
                match self.shapes.step(index) {
                    _ if self.shapes.is_uniform(index) => Home::Scalar,
                    Some(step) => Home::Line { step, row: Some(self.row()) },
                    None => Home::Row(self.row()),
                }
            } else {
                Home::Temp
            };
        }
    }

    fn row(&mut self) -> u32 {
        self.rows += 1;
        self.rows - 1
    }
}

fn result_is_float(op: &Op) -> bool {
    use crate::ir::Lane;
    match op {
        Op::Unary { op, ty, .. } => op.result(*ty) == Lane::F32,
        Op::Binary { op, ty, .. } => op.result(*ty) == Lane::F32,
        Op::Convert { to, .. } => *to == Lane::F32,
        Op::Select { ty, .. } | Op::Gather { ty, .. } | Op::Collective { ty, .. } => *ty == Lane::F32,
        Op::Load { ty, .. } | Op::LoadUniform { ty, .. } => Lane::of(*ty) == Lane::F32,
        _ => false,
    }
}
