//! Control flow within a block of lanes.
//!
//! Lanes that go different ways are kept apart by a mask; code runs only while some lane is active. A
//! scope that all active lanes leave together is left by a jump, another by taking lanes out of the mask.

use super::value::{Kind, Val};
use super::*;
use crate::ir::{Node, Reg};
use crate::jit::plan;

/// What is known of the mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mask {
    /// Every lane is active, and no mask is kept.
    Full,
    /// It is in variables.
    Kept,
}

/// A scope of the region.
pub(super) struct Scope {
    label: Label,
    how: Leave,
}

enum Leave {
    /// All active lanes at once, to this block.
    Together(Block),
    /// Each for itself: the lanes that have left, where that is not all who came.
    Apart(Option<[Variable; 4]>),
}

impl Emit<'_, '_> {
    /// One vector of the mask, if one is kept.
    pub(super) fn mask_quad(&mut self, i: usize) -> Option<Value> {
        (self.mask == Mask::Kept).then(|| self.b.use_var(self.mask_vars[i]))
    }

    pub(super) fn mask_lanes(&mut self) -> Option<Lanes> {
        (self.mask == Mask::Kept).then(|| {
            let vars = self.mask_vars;
            self.each(|e, i| e.b.use_var(vars[i]))
        })
    }

    pub(super) fn set_mask(&mut self, mask: Lanes) {
        self.define(self.mask_vars, mask);
        self.mask = Mask::Kept;
    }

    /// Begins to keep a mask.
    pub(super) fn keep_mask(&mut self) -> Lanes {
        if let Some(mask) = self.mask_lanes() {
            return mask;
        }
        let ones = self.quad([u32::MAX; 4]);
        self.set_mask([ones; 4]);
        [ones; 4]
    }

    /// Whether any lane has the condition.
    pub(super) fn any(&mut self, lanes: Lanes) -> Value {
        let any = (1..self.vectors).fold(lanes[0], |any, i| self.b.ins().bor(any, lanes[i]));
        self.b.ins().vany_true(any)
    }

    /// Whether lanes may leave `node` for somewhere behind its end, by the mask.
    fn loses(&self, node: &Node) -> bool {
        self.loses_to(node, &mut Vec::new())
    }

    fn loses_to(&self, node: &Node, inner: &mut Vec<Label>) -> bool {
        match node {
            Node::Exit(label) => !inner.contains(label) && self.is_apart(*label),
            Node::If { accept, reject, .. } => accept.iter().chain(reject).any(|node| self.loses_to(node, inner)),
            Node::Scope { label, body } => {
                inner.push(*label);
                let loses = body.iter().any(|node| self.loses_to(node, inner));
                inner.pop();
                loses
            }
            Node::Loop { body, .. } => body.iter().any(|node| self.loses_to(node, inner)),
            Node::Inst(_) | Node::Barrier { .. } => false,
        }
    }

    /// Whether a scope is left by the mask: some lanes leave it and others stay, or it is not of the region.
    fn is_apart(&self, label: Label) -> bool {
        self.whole.iter().any(|scope| scope.label == label) || self.input.plan.shapes.is_apart(label)
    }

    /// Runs nodes in order, while a lane is active. Answers whether anything reaches their end; then some
    /// lane does.
    pub(super) fn nodes<'n>(&mut self, nodes: impl IntoIterator<Item = &'n Node>) -> bool {
        let mut nodes = nodes.into_iter();
        while let Some(node) = nodes.next() {
            if let Some(stay) = self.guard(node) {
                return self.behind_guard(stay, node, &nodes.collect::<Vec<_>>());
            }
            if !self.node(node) {
                return false;
            }
        }
        true
    }

    /// The same, with an end where those meet who lost all their lanes on the way.
    pub(super) fn list<'n>(&mut self, nodes: impl IntoIterator<Item = &'n Node>) -> bool {
        self.ends.push(None);
        let live = self.nodes(nodes);
        match self.ends.pop().flatten() {
            Some(end) => {
                if live {
                    self.b.ins().jump(end, &[]);
                }
                self.start(end);
                true
            }
            None => live,
        }
    }

    /// Goes to the end of the list, as no lane is left for the rest of it.
    fn skip_rest(&mut self) {
        let end = self.end();
        self.b.ins().jump(end, &[]);
    }

    pub(super) fn end(&mut self) -> Block {
        let known = self.ends.last().copied().flatten();
        let block = known.unwrap_or_else(|| self.b.create_block());
        if let Some(end) = self.ends.last_mut() {
            *end = Some(block);
        }
        block
    }

    /// Goes on only if a lane is left.
    fn skip_unless_any(&mut self) {
        let mask = self.keep_mask();
        let any = self.any(mask);
        let (end, go_on) = (self.end(), self.block());
        self.b.ins().brif(any, go_on, &[], end, &[]);
        self.start(go_on);
    }

    pub(super) fn node(&mut self, node: &Node) -> bool {
        match node {
            Node::Inst(inst) => self.inst(inst),
            Node::Barrier { .. } => {}
            Node::If { cond, accept, reject } => {
                let loses = self.loses(node);
                return self.branch(*cond, accept, reject, loses);
            }
            Node::Scope { label, body } => return self.scope(*label, body, self.loses(node)),
            Node::Loop { body, .. } => return self.repeat(body, self.loses(node)),
            Node::Exit(label) => {
                self.exit(*label);
                return false;
            }
        }
        true
    }

    fn branch(&mut self, cond: Reg, accept: &[Node], reject: &[Node], loses: bool) -> bool {
        let cond = self.get(cond);
        if loses {
            self.keep_mask();
        }
        match cond {
            Val::One(_) => self.together(&cond, accept, reject),
            Val::Compare(compare) if !loses && self.agreed_branch(compare, accept, reject) => true,
            cond => {
                let cond = self.lanes_of(&cond, Kind::Truth);
                self.parted(cond, accept, reject, loses)
            }
        }
    }

    /// Goes one way or the other; each with whether it leaves something around it.
    ///
    /// Who leaves comes first. The compiler takes what stays the same in all laps out of a loop only where it
    /// meets the loop's blocks before those behind it, and it meets a branch's second side first.
    pub(super) fn fork(&mut self, cond: Value, (yes, yes_leaves): (Block, bool), (no, no_leaves): (Block, bool)) {
        if no_leaves && !yes_leaves {
            let not = self.b.ins().icmp_imm_u(IntCC::Equal, cond, 0);
            self.b.ins().brif(not, no, &[], yes, &[]);
        } else {
            self.b.ins().brif(cond, yes, &[], no, &[]);
        }
    }

    /// A condition that all lanes agree on.
    fn together(&mut self, cond: &Val, accept: &[Node], reject: &[Node]) -> bool {
        let before = self.mask;
        let (yes, no, join) = (self.block(), self.block(), self.block());
        let cond = self.one_of(cond, Kind::Truth);
        let leaves = |nodes: &[Node]| matches!(nodes.last(), Some(Node::Exit(_)));
        self.fork(cond, (yes, leaves(accept)), (no, leaves(reject)));
        let mut live = false;
        for (block, nodes) in [(yes, accept), (no, reject)] {
            self.start(block);
            self.mask = before;
            if self.nodes(nodes) {
                live = true;
                self.b.ins().jump(join, &[]);
            }
        }
        self.mask = before;
        if live {
            self.start(join);
        }
        live
    }

    /// A condition on which lanes may differ.
    pub(super) fn parted(&mut self, cond: Lanes, accept: &[Node], reject: &[Node], loses: bool) -> bool {
        let all = self.mask_lanes();
        let taken = match all {
            Some(mask) => self.each(|e, i| e.b.ins().band(mask[i], cond[i])),
            None => cond,
        };
        let others = match all {
            Some(mask) => self.each(|e, i| e.b.ins().band_not(mask[i], cond[i])),
            None => self.each(|e, i| e.b.ins().bnot(cond[i])),
        };
        for (own, nodes, rest, others) in [(taken, accept, others, reject), (others, reject, taken, accept)] {
            if let Some(label) = self.leaves_at_once(nodes) {
                self.leave(label, own);
                self.set_mask(rest);
                self.skip_unless_any();
                return self.nodes(others);
            }
        }
        // What is left of each side at its end.
        let ends = [taken, others].map(|mask| {
            let vars = [(); 4].map(|()| self.b.declare_var(I32X4));
            self.define(vars, mask);
            vars
        });
        let any = self.any(taken);
        let (yes, no) = (self.block(), self.block());
        let (between, join) = (self.block(), self.block());
        self.b.ins().brif(any, yes, &[], between, &[]);
        self.side(yes, taken, accept, ends[0], between);
        self.start(between);
        if reject.is_empty() {
            self.b.ins().jump(join, &[]);
        } else {
            let any = self.any(others);
            self.b.ins().brif(any, no, &[], join, &[]);
            self.side(no, others, reject, ends[1], join);
        }
        self.start(join);
        if loses {
            let [a, b] = ends;
            let left = self.each(|e, i| {
                let (a, b) = (e.b.use_var(a[i]), e.b.use_var(b[i]));
                e.b.ins().bor(a, b)
            });
            self.set_mask(left);
            self.skip_unless_any();
        } else if let Some(mask) = all {
            self.set_mask(mask);
        } else {
            self.mask = Mask::Full;
        }
        true
    }

    /// One side of a condition on which lanes differ.
    fn side(&mut self, block: Block, mask: Lanes, nodes: &[Node], end: [Variable; 4], next: Block) {
        self.start(block);
        self.set_mask(mask);
        if self.list(nodes) {
            let mask = self.keep_mask();
            self.define(end, mask);
            self.b.ins().jump(next, &[]);
        }
    }

    fn scope(&mut self, label: Label, body: &[Node], loses: bool) -> bool {
        if loses {
            self.keep_mask();
        }
        let before = self.mask;
        if !self.input.plan.shapes.is_apart(label) {
            let end = self.block();
            self.scopes.push(Scope { label, how: Leave::Together(end) });
            let live = self.nodes(body);
            self.scopes.pop();
            if live {
                self.b.ins().jump(end, &[]);
            }
            // A scope that is never left and whose end is not reached has no end.
            let reached = live || body.iter().any(|node| plan::exits(node, label));
            if !reached {
                return false;
            }
            self.start(end);
            self.mask = before;
            return true;
        }
        let all = self.mask_lanes();
        let left = loses.then(|| {
            let zero = self.quad([0; 4]);
            let left = [(); 4].map(|()| self.b.declare_var(I32X4));
            self.define(left, [zero; 4]);
            left
        });
        self.scopes.push(Scope { label, how: Leave::Apart(left) });
        // Exits end a list by its end block, so the end is reached.
        let live = self.list(body);
        self.scopes.pop();
        if !live {
            return false;
        }
        if let Some(left) = left {
            let mask = self.keep_mask();
            let joined = self.each(|e, i| {
                let left = e.b.use_var(left[i]);
                e.b.ins().bor(mask[i], left)
            });
            self.set_mask(joined);
            self.skip_unless_any();
        } else if let Some(mask) = all {
            self.set_mask(mask);
        } else {
            self.mask = Mask::Full;
        }
        true
    }

    fn repeat(&mut self, body: &[Node], loses: bool) -> bool {
        if loses {
            self.keep_mask();
        }
        let before = self.mask;
        let head = self.block();
        self.b.ins().jump(head, &[]);
        self.b.switch_to_block(head);
        // Here and not at the lap's end, where it would part a load from what reads it: the two are then
        // one instruction.
        self.poll();
        if self.nodes(body) {
            if loses {
                self.keep_mask();
            }
            self.b.ins().jump(head, &[]);
        }
        self.b.seal_block(head);
        self.mask = before;
        false
    }

    /// The scope that a side does nothing but leave, if that is done by the region's masks alone.
    pub(super) fn leaves_at_once(&self, side: &[Node]) -> Option<Label> {
        let [Node::Exit(label)] = side else {
            return None;
        };
        let scope = self.scopes.iter().rev().find(|scope| scope.label == *label)?;
        matches!(scope.how, Leave::Apart(_)).then_some(*label)
    }

    /// Notes that lanes have left a scope of the region.
    fn leave(&mut self, label: Label, lanes: Lanes) {
        let scope = self.scopes.iter().rev().find(|scope| scope.label == label);
        if let Some(&Scope { how: Leave::Apart(Some(left)), .. }) = scope {
            for i in 0..self.vectors {
                let so_far = self.b.use_var(left[i]);
                let all = self.b.ins().bor(so_far, lanes[i]);
                self.b.def_var(left[i], all);
            }
        }
    }

    fn exit(&mut self, label: Label) {
        let inner = self.scopes.iter().rev().find(|scope| scope.label == label);
        if let Some(Scope { how: Leave::Together(end), .. }) = inner {
            let end = *end;
            self.b.ins().jump(end, &[]);
            return;
        }
        let of_region = inner.is_some();
        let mask = self.keep_mask();
        if of_region {
            self.leave(label, mask);
        } else if let Some(row) = self.scope_row(label) {
            let so_far = self.load_row(row);
            let all = self.each(|e, i| e.b.ins().bor(so_far[i], mask[i]));
            self.store_row(row, all);
        }
        let zero = self.quad([0; 4]);
        self.set_mask([zero; 4]);
        self.skip_rest();
    }
}
