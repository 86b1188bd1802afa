//! The shape of every register, as a fixpoint over the whole kernel.
//!
//! A *context* is a set of invocations that run a stretch of code together. A condition that parts them
//! opens a narrower one, and so does the code behind an exit that only some took, and the body of a loop
//! that they leave one by one. A variable keeps the shape of what is assigned to it where everybody who
//! will read it assigns it at once; else its shape is taken down by how far the contexts differ.

use super::home::{Homes, Position};
use super::shape::{self, Known, Level, Shape};
use crate::ir::{Inst, Kernel, Label, Node, Op, Reg, Root, Use};

/// Rounds after which nothing is claimed of a kernel.
const MOST_ROUNDS: usize = 64;

/// What the analysis found.
#[derive(Debug)]
pub(super) struct Spread {
    /// By register.
    pub shapes: Vec<Shape>,
    /// How far apart invocations leave each loop, in the order in which loops open.
    pub loops: Vec<Level>,
    /// How far apart invocations leave each scope by its exits.
    pub exits: Vec<Level>,
}

pub(super) fn of(kernel: &Kernel, homes: &Homes, read_only: &[bool]) -> Spread {
    let count = kernel.regs.len();
    let mut walk = Walk {
        homes,
        read_only,
        constants: vec![None; count],
        shapes: vec![None; count],
        loops: Vec::new(),
        exits: vec![Level::Uniform; kernel.labels as usize],
        changed: true,
        contexts: Vec::new(),
        scopes: vec![(0, 0); kernel.labels as usize],
        lives: vec![Life::default(); count],
        assigned: Vec::new(),
        open: Open::default(),
    };
    for &(reg, bits) in &kernel.consts {
        walk.constants[reg as usize] = Some(bits);
        walk.shapes[reg as usize] = Some(Shape::UNIFORM);
    }
    for &(reg, input) in &kernel.inputs {
        walk.shapes[reg as usize] = Some(Shape::of_input(input, kernel.workgroup));
    }
    let mut rounds = 0;
    while std::mem::take(&mut walk.changed) {
        rounds += 1;
        if rounds > MOST_ROUNDS {
            walk.shapes.fill(Some(Shape::Varying));
            walk.loops.fill(Level::Lane);
            walk.exits.fill(Level::Lane);
            break;
        }
        walk.round(&kernel.body);
    }
    let shapes = &walk.shapes;
    let shape = |&unit: &Reg| shapes[unit as usize].unwrap_or(Shape::UNIFORM);
    Spread { shapes: homes.unit.iter().map(shape).collect(), loops: walk.loops, exits: walk.exits }
}

/// Invocations that run together.
#[derive(Clone, Copy, Debug, Default)]
struct Context {
    parent: u32,
    /// Contexts around it.
    depth: u32,
    /// Loops around the place where it opens.
    loops: u32,
    parted: Parted,
}

/// The depth of the innermost context that opened because invocations parted within a row, and of the
/// one because rows parted; 0 for none.
#[derive(Clone, Copy, Debug, Default)]
struct Parted {
    lane: u32,
    row: u32,
}

impl Parted {
    /// How far it parts invocations of a context around it, which is `depth` deep.
    fn since(self, depth: u32) -> Level {
        if self.lane > depth {
            Level::Lane
        } else if self.row > depth {
            Level::Row
        } else {
            Level::Uniform
        }
    }

    fn or(self, other: Self) -> Self {
        Self { lane: self.lane.max(other.lane), row: self.row.max(other.row) }
    }
}

/// Where a variable is used, in one round.
#[derive(Clone, Copy, Debug, Default)]
struct Life {
    /// Where it begins: the context, and the loops around.
    home: Option<(u32, u32)>,
    /// The innermost context around everything later.
    around: Option<u32>,
}

/// Numbers of what opens next, in one round.
#[derive(Debug, Default)]
struct Open {
    blocks: u32,
    loops: usize,
}

struct Walk<'a> {
    homes: &'a Homes,
    read_only: &'a [bool],
    constants: Vec<Option<u32>>,
    /// By unit; none before anything is written.
    shapes: Vec<Option<Shape>>,
    loops: Vec<Level>,
    exits: Vec<Level>,
    changed: bool,
    contexts: Vec<Context>,
    /// The context in which each scope opened, and the loops around it.
    scopes: Vec<(u32, u32)>,
    lives: Vec<Life>,
    /// Units, the context in which each was assigned, and what.
    assigned: Vec<(Reg, u32, Shape)>,
    open: Open,
}

impl Known for Walk<'_> {
    fn shape(&self, reg: Reg) -> Option<Shape> {
        self.shapes[self.homes.unit[reg as usize] as usize]
    }
    fn constant(&self, reg: Reg) -> Option<u32> {
        self.constants[reg as usize]
    }
    fn read_only(&self, binding: u32) -> bool {
        self.read_only[binding as usize]
    }
}

impl Walk<'_> {
    fn round(&mut self, body: &[Node]) {
        self.contexts.clear();
        self.contexts.push(Context::default());
        self.lives.fill(Life::default());
        self.assigned.clear();
        self.open = Open::default();
        self.block(body, 0, 0);
        for (unit, context, shape) in std::mem::take(&mut self.assigned) {
            let readers = self.readers(self.lives[unit as usize]);
            let parted = self.contexts[context as usize].parted;
            self.join(unit, shape.under(parted.since(self.contexts[readers as usize].depth)));
        }
    }

    /// The widest context whose invocations, from the variable's home on, only ever leave it: whoever
    /// reads the variable was there when it was assigned.
    fn readers(&self, life: Life) -> u32 {
        let (Some((home, loops)), Some(around)) = (life.home, life.around) else {
            return 0;
        };
        let (mut found, mut context) = (around, around);
        while self.contexts[context as usize].depth > self.contexts[home as usize].depth {
            let Context { parent, loops: at, .. } = self.contexts[context as usize];
            // In a loop it opens again and again, each time for others.
            if at != loops {
                found = parent;
            }
            context = parent;
        }
        found
    }

    fn join(&mut self, reg: Reg, shape: Shape) {
        let unit = self.homes.unit[reg as usize] as usize;
        let joined = self.shapes[unit].map_or(shape, |before| before.or(shape));
        if self.shapes[unit] != Some(joined) {
            self.shapes[unit] = Some(joined);
            self.changed = true;
        }
    }

    /// Walks a block; answers the labels that were left for, and how far apart.
    fn block(&mut self, body: &[Node], mut context: u32, loops: u32) -> Vec<(Label, Parted)> {
        let block = self.open.blocks;
        self.open.blocks += 1;
        let mut gone: Vec<(Label, Parted)> = Vec::new();
        for (index, node) in body.iter().enumerate() {
            let left = match node {
                Node::Inst(inst) => {
                    self.inst(inst, context, loops, (block, index as u32));
                    continue;
                }
                Node::Barrier { .. } => continue,
                Node::If { cond, accept, reject } => {
                    self.touch(*cond, context);
                    let level = self.shape(*cond).map_or(Level::Uniform, Shape::level);
                    let side = self.narrow(context, level, loops);
                    let mut left = self.block(accept, side, loops);
                    let side = self.narrow(context, level, loops);
                    left.append(&mut self.block(reject, side, loops));
                    left
                }
                Node::Scope { label, body } => {
                    self.scopes[*label as usize] = (context, loops);
                    let mut left = self.block(body, context, loops);
                    left.retain(|(to, _)| to != label);
                    left
                }
                Node::Loop { body, .. } => {
                    let number = self.open.loops;
                    self.open.loops += 1;
                    if number == self.loops.len() {
                        self.loops.push(Level::Uniform);
                    }
                    let inner = self.narrow(context, self.loops[number], loops);
                    let left = self.block(body, inner, loops + 1);
                    let level = self.level(left.iter(), context);
                    self.changed |= level > self.loops[number];
                    self.loops[number] = level.max(self.loops[number]);
                    left
                }
                Node::Exit(label) => {
                    let parted = self.contexts[context as usize].parted;
                    let (from, _) = self.scopes[*label as usize];
                    let level = parted.since(self.contexts[from as usize].depth);
                    let known = &mut self.exits[*label as usize];
                    *known = level.max(*known);
                    vec![(*label, parted)]
                }
            };
            // Who leaves the loop for good is not missed in what its body assigns for its next round.
            let back = left.iter().filter(|(to, _)| self.scopes[*to as usize].1 >= loops);
            let level = self.level(back, context);
            context = self.narrow(context, level, loops);
            for (label, parted) in left {
                match gone.iter_mut().find(|(to, _)| *to == label) {
                    Some((_, known)) => *known = known.or(parted),
                    None => gone.push((label, parted)),
                }
            }
        }
        gone
    }

    fn level<'l>(&self, left: impl Iterator<Item = &'l (Label, Parted)>, context: u32) -> Level {
        let depth = self.contexts[context as usize].depth;
        left.map(|(_, parted)| parted.since(depth)).max().unwrap_or_default()
    }

    fn narrow(&mut self, parent: u32, level: Level, loops: u32) -> u32 {
        let Context { depth, mut parted, .. } = self.contexts[parent as usize];
        let depth = depth + 1;
        match level {
            Level::Uniform => return parent,
            Level::Row => parted.row = depth,
            Level::Lane => parted.lane = depth,
        }
        self.contexts.push(Context { parent, depth, loops, parted });
        (self.contexts.len() - 1) as u32
    }

    fn inst(&mut self, inst: &Inst, context: u32, loops: u32, at: Position) {
        inst.op.clone().registers(&mut |reg, words, how| {
            for reg in *reg..*reg + words.max(1) {
                let unit = self.homes.unit[reg as usize];
                if how == Use::Update && self.homes.home[unit as usize] == Some(at) {
                    self.lives[unit as usize] = Life { home: Some((context, loops)), around: None };
                } else {
                    self.touch(reg, context);
                }
            }
        });
        match &inst.op {
            Op::Copy { dst, src, words } => {
                for word in 0..*words {
                    if let Some(shape) = self.shape(src + word) {
                        self.join(dst + word, shape);
                    }
                }
            }
            Op::Set { dst, src, words } => {
                for word in 0..*words {
                    if let Some(shape) = self.shape(src + word) {
                        self.assign(dst + word, context, shape);
                    }
                }
            }
            Op::Store { src, ty, place } if place.root == Root::Local => {
                let addr = place.addr.map_or(Some(Shape::UNIFORM), |addr| self.shape(addr));
                for word in 0..crate::ir::Lane::of(*ty).words() {
                    if let (Some(addr), Some(shape)) = (addr, self.shape(src + word)) {
                        self.assign(place.offset, context, shape.under(addr.level()));
                    }
                }
            }
            Op::Store { .. } => {}
            op => {
                if let Some(shape) = shape::result(op, self) {
                    op.clone().registers(&mut |reg, words, how| {
                        if how == Use::Write {
                            (*reg..*reg + words).for_each(|reg| self.join(reg, shape));
                        }
                    });
                }
            }
        }
    }

    fn assign(&mut self, reg: Reg, context: u32, shape: Shape) {
        let unit = self.homes.unit[reg as usize];
        // What comes before a variable's home, nobody reads.
        if self.homes.home[unit as usize].is_none() || self.lives[unit as usize].home.is_some() {
            self.assigned.push((unit, context, shape));
        }
    }

    /// Notes that a variable is used in a context.
    fn touch(&mut self, reg: Reg, context: u32) {
        let unit = self.homes.unit[reg as usize] as usize;
        if !self.homes.variable[unit] {
            return;
        }
        let around = self.lives[unit].around.map_or(context, |around| self.common(around, context));
        self.lives[unit].around = Some(around);
    }

    /// The innermost context around two.
    fn common(&self, mut a: u32, mut b: u32) -> u32 {
        while a != b {
            if self.contexts[a as usize].depth < self.contexts[b as usize].depth {
                std::mem::swap(&mut a, &mut b);
            }
            a = self.contexts[a as usize].parent;
        }
        a
    }
}
