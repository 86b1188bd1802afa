//! Which indices stay inside their arrays: the ranges of all registers, along the control flow.
//!
//! Each register has two ranges: of the active invocations, and of all that run together. A condition
//! narrows the first, and the second only if they share it.

use std::collections::BTreeMap;

use super::home::Homes;
use super::range::Range;
use super::shape::{Level, Shape};
use super::spread::Spread;
use super::state::{Changes, Fact, State, Tells};
use super::{Bounds, Known, arith};
use crate::ir::{Input, Inst, Kernel, Label, Lane, Len, Node, Op, Reg, SUBGROUP, Use};

/// Visits of a node, on average, after which nothing is claimed of a kernel.
const MOST_VISITS: usize = 32;

/// What the analysis found, by register.
pub(super) struct Found {
    pub bounds: Vec<Bounds>,
    /// The values of each temporary where it is made.
    pub made: Vec<Known>,
    /// Operations on `u32` that see only words below 2^31 in active invocations, by their result.
    pub natural: Vec<bool>,
}

pub(super) fn of(kernel: &Kernel, homes: &Homes, spread: &Spread) -> Found {
    let count = kernel.regs.len();
    let nothing =
        || Found { bounds: vec![Bounds::Unknown; count], made: vec![Known::ANY; count], natural: vec![false; count] };
    let mut walk = Walk {
        homes,
        spread,
        makers: vec![None; count],
        assigned_in: Vec::new(),
        state: State::new(count),
        found: nothing(),
        live: true,
        scopes: BTreeMap::new(),
        parted: false,
        torn: Vec::new(),
        loops: 0,
        visits_left: 0,
    };
    let nodes = walk.prepare(&kernel.body, &mut Vec::new());
    walk.visits_left = nodes.saturating_mul(MOST_VISITS);
    for &(reg, bits) in &kernel.consts {
        walk.state.begin(reg, Known::both(Range::word(bits)));
    }
    for &(reg, input) in &kernel.inputs {
        walk.state.begin(reg, Known::both(of_input(input, kernel.workgroup)));
    }
    walk.block(&kernel.body);
    if walk.visits_left == 0 { nothing() } else { walk.found }
}

fn of_input(input: Input, size: [u32; 3]) -> Range {
    let lanes = size.iter().fold(1_u32, |lanes, &side| lanes.saturating_mul(side));
    match input {
        Input::LocalId(axis) => Range::unsigned(0, size[usize::from(axis)].saturating_sub(1)),
        Input::LocalIndex => Range::unsigned(0, lanes.saturating_sub(1)),
        Input::SubgroupInvocationId => Range::unsigned(0, SUBGROUP - 1),
        Input::SubgroupId => Range::unsigned(0, lanes.saturating_sub(1) / SUBGROUP),
        Input::Length(slot) => Range::length(slot),
        Input::GlobalId(_) | Input::WorkgroupId(_) | Input::NumWorkgroups(_) => Range::ANY,
    }
}

struct Scope {
    /// The log's length where it opened.
    mark: usize,
    /// The changes with which each exit left.
    exits: Vec<Changes>,
}

pub(super) struct Walk<'k> {
    homes: &'k Homes,
    spread: &'k Spread,
    /// What makes each temporary, by its first register.
    makers: Vec<Option<&'k Op>>,
    /// The variables that each loop assigns.
    assigned_in: Vec<Vec<Reg>>,
    pub(super) state: State,
    found: Found,
    /// Whether anybody comes here.
    pub(super) live: bool,
    scopes: BTreeMap<Label, Scope>,
    /// Whether a condition or loop around may have parted the invocations.
    parted: bool,
    /// Scopes that some have left.
    torn: Vec<Label>,
    loops: usize,
    visits_left: usize,
}

impl<'k> Walk<'k> {
    /// Finds what makes each temporary and what each loop assigns; answers how many nodes there are.
    fn prepare(&mut self, body: &'k [Node], open: &mut Vec<usize>) -> usize {
        let mut nodes = body.len();
        for node in body {
            match node {
                Node::Inst(inst) => inst.op.clone().registers(&mut |reg, words, how| match how {
                    Use::Write => self.makers[*reg as usize] = Some(&inst.op),
                    Use::Update => {
                        for &number in open.iter() {
                            self.assigned_in[number].extend(*reg..*reg + words);
                        }
                    }
                    Use::Read => {}
                }),
                Node::If { accept, reject, .. } => {
                    nodes += self.prepare(accept, open) + self.prepare(reject, open);
                }
                Node::Scope { body, .. } => nodes += self.prepare(body, open),
                Node::Loop { body, .. } => {
                    let number = self.assigned_in.len();
                    self.assigned_in.push(Vec::new());
                    open.push(number);
                    nodes += self.prepare(body, open);
                    open.pop();
                    self.assigned_in[number].sort_unstable();
                    self.assigned_in[number].dedup();
                }
                Node::Exit(_) | Node::Barrier { .. } => {}
            }
        }
        nodes
    }

    fn block(&mut self, body: &'k [Node]) {
        for node in body {
            self.visits_left = self.visits_left.saturating_sub(1);
            if self.visits_left == 0 {
                return;
            }
            if !self.live {
                // Loops keep their numbers.
                self.loops += loops_in(std::slice::from_ref(node));
                continue;
            }
            match node {
                Node::Inst(inst) => self.inst(inst),
                Node::If { cond, accept, reject } => self.branch(*cond, accept, reject),
                Node::Scope { label, body } => self.scope(*label, body),
                Node::Loop { body, .. } => self.repeat(body),
                Node::Exit(label) => {
                    if let Some(mark) = self.scopes.get(label).map(|scope| scope.mark) {
                        let changes = self.state.changes(mark);
                        self.scopes.entry(*label).and_modify(|scope| scope.exits.push(changes));
                    }
                    if self.spread.exits[*label as usize] != Level::Uniform && !self.torn.contains(label) {
                        self.torn.push(*label);
                    }
                    self.live = false;
                }
                Node::Barrier { .. } => {}
            }
        }
    }

    fn branch(&mut self, cond: Reg, accept: &'k [Node], reject: &'k [Node]) {
        let (mark, start, parted) = (self.state.mark(), self.state.now(), self.parted);
        let level = self.spread.shapes[cond as usize].level();
        let mut ways = Vec::new();
        self.parted |= level != Level::Uniform;
        for (value, body) in [(true, accept), (false, reject)] {
            self.live = true;
            self.assume(cond, value, level == Level::Uniform);
            self.block(body);
            if self.live {
                ways.push(self.state.changes(mark));
            }
            self.state.back_to(mark);
        }
        self.parted = parted;
        self.live = !ways.is_empty();
        self.state.join(&ways);
        if let [accept, reject] = &ways[..]
            && self.state.unchanged(cond, start)
        {
            self.conjunctions(cond, accept, reject);
        }
    }

    /// `t = a && b` and `t = a || b` have become a branch on `a` that assigns `b`, or what `a` already says.
    fn conjunctions(&mut self, cond: Reg, accept: &Changes, reject: &Changes) {
        for (&reg, yes) in accept {
            let Some((&Fact { tells: Tells::Source(yes, yes_at), .. }, Tells::Source(no, no_at))) =
                Some(yes).zip(reject.get(&reg).map(|no| no.tells))
            else {
                continue;
            };
            if !self.state.unchanged(yes, yes_at) || !self.state.unchanged(no, no_at) {
                continue;
            }
            let constant = |reg: Reg| match self.state.known(reg).active {
                range if range == Range::word(0) => Some(false),
                range if range == Range::word(u32::MAX) => Some(true),
                _ => None,
            };
            // Where it is not what the other side assigns, this side ran.
            let (when, parts) = match (constant(yes), constant(no)) {
                (None, Some(no)) => (!no, [(cond, true), (yes, !no)]),
                (Some(yes), None) => (!yes, [(cond, false), (no, !yes)]),
                _ => continue,
            };
            let known = self.state.known(reg);
            let at = self.state.tick();
            self.state.put_fact(reg, Fact { known, tells: Tells::Parts { when, parts, at } });
        }
    }

    fn scope(&mut self, label: Label, body: &'k [Node]) {
        let mark = self.state.mark();
        self.scopes.insert(label, Scope { mark, exits: Vec::new() });
        self.block(body);
        let mut ways = self.scopes.remove(&label).map_or_else(Vec::new, |scope| scope.exits);
        if self.live {
            ways.push(self.state.changes(mark));
        }
        self.state.back_to(mark);
        self.live = !ways.is_empty();
        self.state.join(&ways);
        self.torn.retain(|&torn| torn != label);
    }

    /// Runs the body until what is known at its beginning holds for every round.
    fn repeat(&mut self, body: &'k [Node]) {
        let number = self.loops;
        self.loops += 1;
        let (inner, parted) = (self.loops, self.parted);
        self.parted |= self.spread.loops[number] != Level::Uniform;
        let exits: Vec<(Label, usize)> = self.scopes.iter().map(|(&label, scope)| (label, scope.exits.len())).collect();
        self.state.unsettle(&self.assigned_in[number]);
        loop {
            let mark = self.state.mark();
            self.loops = inner;
            self.live = true;
            // Only the last round counts: it began with the most.
            for &(label, len) in &exits {
                self.scopes.entry(label).and_modify(|scope| scope.exits.truncate(len));
            }
            self.block(body);
            let back = if self.live { self.state.changes(mark) } else { Changes::new() };
            self.state.back_to(mark);
            let mut settled = true;
            for (reg, next) in back {
                let before = self.state.known(reg);
                if before.or(next.known) != before {
                    self.state.put(reg, before.widen(next.known));
                    settled = false;
                }
            }
            if settled || self.visits_left == 0 {
                break;
            }
        }
        self.parted = parted;
        self.live = false;
    }

    fn inst(&mut self, inst: &'k Inst) {
        match &inst.op {
            Op::Copy { dst, src, words } => {
                for word in 0..*words {
                    self.make(dst + word, self.state.known(src + word));
                }
                return;
            }
            Op::Set { dst, src, words } => {
                for word in 0..*words {
                    self.assign(dst + word, src + word);
                }
                return;
            }
            Op::Index { dst, base, index, len, .. } => {
                let (known, base) = (self.state.known(*index), base.map(|base| self.found.bounds[base as usize]));
                let inside = |range: Range| match *len {
                    Len::Fixed(len) => range.u.1 < len,
                    Len::Runtime(slot) => range.is_below(slot),
                };
                let own = match (inside(known.active), inside(known.always)) {
                    (true, true) => Bounds::Always,
                    (true, false) => Bounds::Active,
                    _ => Bounds::Unknown,
                };
                self.found.bounds[*dst as usize] = own.min(base.unwrap_or(Bounds::Always));
            }
            Op::Binary { ty: Lane::U32, dst, a, b, .. } => {
                let natural = |reg: Reg| self.state.known(reg).active.is_natural();
                self.found.natural[*dst as usize] = natural(*a) && natural(*b);
            }
            _ => {}
        }
        let known = |reg: Reg| self.state.known(reg);
        let result = match &inst.op {
            Op::Unary { op, ty, a, .. } => known(*a).map(|a| arith::unary(*op, *ty, a)),
            Op::Convert { from, to, a, .. } => known(*a).map(|a| arith::convert(*from, *to, a)),
            Op::Binary { op, ty, a, b, .. } => known(*a).zip(known(*b), |a, b| arith::binary(*op, *ty, a, b)),
            Op::Select { ty, yes, no, .. } if ty.words() == 1 => known(*yes).or(known(*no)),
            _ => Known::ANY,
        };
        inst.op.clone().registers(&mut |reg, words, how| {
            if how == Use::Write {
                (*reg..*reg + words).for_each(|reg| self.make(reg, result));
            }
        });
    }

    fn make(&mut self, reg: Reg, known: Known) {
        self.state.make(reg, known);
        self.found.made[reg as usize] = known;
    }

    fn assign(&mut self, reg: Reg, src: Reg) {
        if self.homes.is_array(reg) {
            return;
        }
        let (before, next) = (self.state.known(reg), self.state.known(src));
        // One value stands for a uniform variable, whoever is active.
        let for_all = !self.parted && self.torn.is_empty() || self.spread.shapes[reg as usize] == Shape::UNIFORM;
        let always = if for_all { next.always } else { before.always.or(next.always) };
        self.state.assign(reg, src, Known { active: next.active, always });
    }

    pub(super) fn homes_array(&self, reg: Reg) -> bool {
        self.homes.is_array(reg)
    }

    /// What made a temporary, if its operands still have the values it was made from.
    pub(super) fn maker(&self, reg: Reg) -> Option<&'k Op> {
        let op = self.makers[reg as usize]?;
        let made_at = self.state.made_at(reg);
        let mut intact = made_at > 0;
        op.clone().registers(&mut |reg, words, how| {
            if how == Use::Read {
                intact &= (*reg..*reg + words).all(|reg| self.state.unchanged(reg, made_at));
            }
        });
        intact.then_some(op)
    }
}

fn loops_in(body: &[Node]) -> usize {
    let count = |node: &Node| match node {
        Node::Loop { body, .. } => 1 + loops_in(body),
        Node::Scope { body, .. } => loops_in(body),
        Node::If { accept, reject, .. } => loops_in(accept) + loops_in(reject),
        Node::Inst(_) | Node::Exit(_) | Node::Barrier { .. } => 0,
    };
    body.iter().map(count).sum()
}

/// Whether a lane type is read as one 32-bit integer.
pub(super) fn is_word(ty: Lane) -> bool {
    matches!(ty, Lane::I32 | Lane::U32)
}
