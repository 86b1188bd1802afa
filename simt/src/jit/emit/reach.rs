//! How many lanes a region's loop over blocks goes through: where nothing is done but in the first lanes, as in
//! `if lane < half`, the blocks behind those are left out.

use super::value::Kind;
use super::*;
use crate::ir::{Binary, Input as Given, Lane, Node, Op, Reg};
use crate::jit::plan::Home;

/// What a region asks before it does anything: `lane < bound` or the like.
struct Guard {
    how: Binary,
    bound: Reg,
}

impl Emit<'_, '_> {
    /// Lanes behind which a region does nothing, as a value; none if there may be no such.
    pub(super) fn reach(&mut self, nodes: &[&Node]) -> Option<Value> {
        let Guard { how, bound } = self.first_lanes(nodes)?;
        let bound = self.get_one(bound, Kind::Bits);
        let count = self.lane_count();
        if how == Binary::Lt {
            let count = self.word(count);
            return Some(self.b.ins().umin(bound, count));
        }
        let last = self.word(count - 1);
        let last = self.b.ins().umin(bound, last);
        Some(self.b.ins().iadd_imm_s(last, 1))
    }

    /// The guard of a region that is nothing else than it and what is done behind it.
    fn first_lanes(&self, nodes: &[&Node]) -> Option<Guard> {
        let (Node::If { cond, accept: _, reject }, before) = nodes.split_last()? else {
            return None;
        };
        let mut guard = None;
        for node in before {
            let Node::Inst(inst) = node else { return None };
            let (Op::Unary { dst, .. }
            | Op::Convert { dst, .. }
            | Op::Binary { dst, .. }
            | Op::Copy { dst, words: 1, .. }) = inst.op
            else {
                return None;
            };
            // Of what others read no lane may be left out.
            if self.home(dst) != Home::Temp {
                return None;
            }
            if let Op::Binary { op: how @ (Binary::Lt | Binary::Le | Binary::Eq), ty: Lane::U32, dst, a, b } = inst.op
                && dst == *cond
                && self.is_lane(a)
                && matches!(self.home(b), Home::Const(_) | Home::Scalar)
            {
                guard = Some(Guard { how, bound: b });
            }
        }
        guard.filter(|_| reject.is_empty())
    }

    /// Whether a register is the number of the invocation in its workgroup.
    fn is_lane(&self, reg: Reg) -> bool {
        let [_, ny, nz] = self.input.kernel.workgroup;
        match self.home(reg) {
            Home::Input(Given::LocalIndex) => true,
            Home::Input(Given::LocalId(0)) => ny == 1 && nz == 1,
            _ => false,
        }
    }
}
