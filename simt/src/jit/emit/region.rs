//! Regions: code without a barrier, run for one block of lanes after another.

use std::collections::BTreeSet;

use super::flow::Mask;
use super::*;
use crate::ir::{Node, Reg, Use};
use crate::jit::plan::{self, Home};

/// The variables of a region.
#[derive(Default)]
struct Touched {
    /// Those that live in lanes.
    lanes: BTreeSet<Reg>,
    /// Of those, the ones that are assigned here.
    assigned: BTreeSet<Reg>,
    /// Those that are a value and a step.
    lines: BTreeSet<Reg>,
    /// Those of the whole workgroup that are assigned here.
    scalars: BTreeSet<Reg>,
}

impl Emit<'_, '_> {
    pub(super) fn region(&mut self, nodes: &[&Node]) {
        let partial = self.input.plan.partial;
        let loses = nodes.iter().any(|node| self.leaves_whole(node));
        if !partial {
            return self.blocks(nodes, false, false);
        }
        // Most often everybody is still there.
        let count = self.b.use_var(self.active);
        let all = i64::from(self.lane_count());
        let full = self.b.ins().icmp_imm_u(IntCC::Equal, count, all);
        let (all, some, done) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        self.b.ins().brif(full, all, &[], some, &[]);
        for (block, masked) in [(all, false), (some, true)] {
            self.start(block);
            self.blocks(nodes, masked, loses);
            self.b.ins().jump(done, &[]);
        }
        self.start(done);
    }

    fn leaves_whole(&self, node: &Node) -> bool {
        self.whole.iter().any(|scope| plan::exits(node, scope.label))
    }

    /// The loop over blocks. With `masked` the lanes that run are those of the workgroup's mask; with
    /// `loses` some may leave for good, and the mask is kept up.
    fn blocks(&mut self, nodes: &[&Node], masked: bool, loses: bool) {
        let touched = self.touched(nodes);
        let (count, width) = (self.lane_count(), self.width());
        let before: Vec<(Variable, Value)> = (touched.scalars.iter())
            .map(|&reg| {
                let var = self.scalar_var(reg);
                (var, self.b.use_var(var))
            })
            .collect();
        let lane_var = self.b.declare_var(I32);
        let zero = self.word(0);
        self.b.def_var(lane_var, zero);
        if loses {
            self.b.def_var(self.active, zero);
        }
        let (head, done) = (self.b.create_block(), self.b.create_block());
        let reach = if masked || loses { None } else { self.reach(nodes) };
        match reach {
            Some(reach) => self.b.ins().brif(reach, head, &[], done, &[]),
            None => self.b.ins().jump(head, &[]),
        };
        self.b.switch_to_block(head);
        let lane = if count <= width { zero } else { self.b.use_var(lane_var) };
        let wide = self.b.ins().uextend(I64, lane);
        let offset = self.b.ins().ishl_imm_u(wide, 2);
        self.lane = Some((lane, offset));
        // Each block begins with what the workgroup had.
        for &(var, value) in &before {
            self.b.def_var(var, value);
        }
        for &reg in &touched.lanes {
            let vars = self.lane_vars(reg);
            let kind = self.lane_kind(reg);
            let lanes = match self.home(reg) {
                Home::Lanes(Some(row)) => self.load_row(row),
                _ => [self.quad([0; 4]); 4],
            };
            for i in 0..self.vectors {
                let lanes = self.cast_quad(lanes[i], kind);
                self.b.def_var(vars[i], lanes);
            }
        }
        for &reg in &touched.lines {
            let var = self.scalar_var(reg);
            let base = match self.home(reg) {
                Home::Line { row: Some(row), .. } => {
                    let (at, offset) = self.row_address(row);
                    self.b.ins().load(I32, PLAIN, at, offset)
                }
                _ => self.word(0),
            };
            let kind = self.line_kind(reg);
            let base = self.cast_one(base, kind);
            self.b.def_var(var, base);
        }
        self.mask = Mask::Full;
        if masked {
            let mask = self.load_row(self.mask_row());
            self.set_mask(mask);
            self.guarded(nodes);
        } else {
            if count % width != 0 {
                let tail = self.tail(lane, count);
                self.set_mask(tail);
            }
            if !self.list(nodes.iter().copied()) {
                let nowhere = self.b.create_block();
                self.start(nowhere);
            }
        }
        if loses {
            let mask = self.keep_mask();
            self.store_row(self.mask_row(), mask);
            let bits = self.bits(mask);
            let here = self.b.ins().popcnt(bits);
            let so_far = self.b.use_var(self.active);
            let sum = self.b.ins().iadd(so_far, here);
            self.b.def_var(self.active, sum);
        }
        for &reg in &touched.assigned {
            if let Home::Line { row: Some(row), .. } = self.home(reg) {
                let value = self.get(reg);
                let lanes = self.lanes_of(&value, super::value::Kind::Bits);
                self.store_row(row, lanes);
            }
            if let Home::Lanes(Some(row)) = self.home(reg) {
                let vars = self.lane_vars(reg);
                let lanes = self.each(|e, i| {
                    let lanes = e.b.use_var(vars[i]);
                    e.cast_quad(lanes, super::value::Kind::Bits)
                });
                self.store_row(row, lanes);
            }
        }
        let next = self.b.ins().iadd_imm_s(lane, i64::from(width));
        self.b.def_var(lane_var, next);
        let end = reach.unwrap_or_else(|| self.word(count));
        let more = self.b.ins().icmp(IntCC::UnsignedLessThan, next, end);
        self.b.ins().brif(more, head, &[], done, &[]);
        self.b.seal_block(head);
        self.start(done);
        self.lane = None;
        self.mask = Mask::Full;
        self.temps.iter_mut().for_each(|temp| *temp = None);
    }

    /// A block in which maybe nobody is active.
    fn guarded(&mut self, nodes: &[&Node]) {
        let mask = self.keep_mask();
        let any = self.any(mask);
        let (run, done) = (self.b.create_block(), self.b.create_block());
        self.b.ins().brif(any, run, &[], done, &[]);
        self.start(run);
        if self.list(nodes.iter().copied()) {
            self.keep_mask();
            self.b.ins().jump(done, &[]);
        }
        self.start(done);
        self.mask = Mask::Kept;
    }

    /// The lanes of the last block that are invocations.
    fn tail(&mut self, lane: Value, count: u32) -> Lanes {
        let count = self.quad([count; 4]);
        let start = self.b.ins().splat(I32X4, lane);
        self.each(|e, i| {
            let own = e.quad([0, 1, 2, 3].map(|lane| 4 * i as u32 + lane));
            let own = e.b.ins().iadd(start, own);
            e.b.ins().icmp(IntCC::UnsignedLessThan, own, count)
        })
    }

    fn touched(&self, nodes: &[&Node]) -> Touched {
        let mut touched = Touched::default();
        nodes.iter().for_each(|node| self.touch(node, &mut touched));
        touched
    }

    fn touch(&self, node: &Node, touched: &mut Touched) {
        match node {
            Node::Inst(inst) => plan::registers(&inst.op, &mut |reg, how| self.touch_reg(reg, how, touched)),
            Node::If { cond, accept, reject } => {
                self.touch_reg(*cond, Use::Read, touched);
                accept.iter().chain(reject).for_each(|node| self.touch(node, touched));
            }
            Node::Scope { body, .. } | Node::Loop { body, .. } => {
                body.iter().for_each(|node| self.touch(node, touched));
            }
            Node::Exit(_) | Node::Barrier { .. } => {}
        }
    }

    fn touch_reg(&self, reg: Reg, how: Use, touched: &mut Touched) {
        match self.home(reg) {
            Home::Lanes(_) => {
                touched.lanes.insert(reg);
                if how != Use::Read {
                    touched.assigned.insert(reg);
                }
            }
            Home::Line { .. } => {
                touched.lines.insert(reg);
                if how != Use::Read {
                    touched.assigned.insert(reg);
                }
            }
            Home::Scalar if how == Use::Update => {
                touched.scalars.insert(reg);
            }
            _ => {}
        }
    }
}
