//! `lane < n` and the like: a line against one value. Most blocks agree on it, which scalars tell.

use cranelift_codegen::ir::condcodes::CondCode;

use super::flow::Mask;
use super::value::{Kind, Val};
use super::*;
use crate::ir::{Binary, Lane, Node};
use crate::jit::plan;

/// Nodes of a condition's sides that are emitted a second time, for the blocks that agree.
const TWICE: usize = 64;

/// `base + step * lane` against `bound`, in each lane of a block; the step is small and not 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compare {
    how: IntCC,
    base: Value,
    step: u32,
    bound: Value,
}

impl Compare {
    fn opposite(self) -> Self {
        Self { how: self.how.complement(), ..self }
    }
}

/// How integers are compared by `op`, if they are.
pub(super) fn comparison(op: Binary, signed: bool) -> Option<IntCC> {
    let how = match op {
        Binary::Eq => IntCC::Equal,
        Binary::Ne => IntCC::NotEqual,
        Binary::Lt => IntCC::SignedLessThan,
        Binary::Le => IntCC::SignedLessThanOrEqual,
        Binary::Gt => IntCC::SignedGreaterThan,
        Binary::Ge => IntCC::SignedGreaterThanOrEqual,
        _ => return None,
    };
    Some(if signed { how } else { how.unsigned() })
}

impl Emit<'_, '_> {
    /// What `op` compares, if that is a line against one value.
    pub(super) fn compare(&mut self, op: Binary, ty: Lane, a: &Val, b: &Val) -> Option<Compare> {
        let signed = match ty {
            Lane::I32 => true,
            Lane::U32 => false,
            _ => return None,
        };
        let how = comparison(op, signed)?;
        let (how, base, step, bound) = match (a, b) {
            (Val::Line { base, step }, Val::One(bound)) => (how, *base, *step, *bound),
            (Val::One(bound), Val::Line { base, step }) => (how.swap_args(), *base, *step, *bound),
            _ => return None,
        };
        let bound = self.cast_one(bound, Kind::Bits);
        (1..1 << 16).contains(&step).then_some(Compare { how, base, step, bound })
    }

    pub(super) fn compare_lanes(&mut self, compare: Compare) -> Lanes {
        let Compare { how, base, step, bound } = compare;
        let lanes = self.lanes_of(&Val::Line { base, step }, Kind::Bits);
        let bound = self.b.ins().splat(I32X4, bound);
        self.each(|e, i| e.b.ins().icmp(how, lanes[i], bound))
    }

    /// Whether it holds in every lane; none where it cannot.
    fn holds_everywhere(&mut self, compare: Compare) -> Option<Value> {
        let Compare { how, base, step, bound } = compare;
        let signed = how != how.unsigned();
        let [first, bound] = [base, bound].map(|word| match signed {
            true => self.b.ins().sextend(I64, word),
            false => self.b.ins().uextend(I64, word),
        });
        // In 64 bits nothing wraps, so the last lane shows whether it would have.
        let reach = i64::from(step * (self.width() - 1));
        let last = self.b.ins().iadd_imm_s(first, reach);
        let most = if signed { i64::from(i32::MAX) } else { i64::from(u32::MAX) };
        let mut above = |how: IntCC| {
            let above = self.b.ins().icmp(how, first, bound);
            let whole = self.b.ins().icmp_imm_s(IntCC::SignedLessThanOrEqual, last, most);
            self.b.ins().band(above, whole)
        };
        match how {
            IntCC::Equal => None,
            IntCC::NotEqual => {
                let above = above(IntCC::SignedGreaterThan);
                let below = self.b.ins().icmp(IntCC::SignedLessThan, last, bound);
                Some(self.b.ins().bor(above, below))
            }
            IntCC::SignedGreaterThan | IntCC::UnsignedGreaterThan => Some(above(IntCC::SignedGreaterThan)),
            IntCC::SignedGreaterThanOrEqual | IntCC::UnsignedGreaterThanOrEqual => {
                Some(above(IntCC::SignedGreaterThanOrEqual))
            }
            IntCC::SignedLessThan | IntCC::UnsignedLessThan => {
                Some(self.b.ins().icmp(IntCC::SignedLessThan, last, bound))
            }
            IntCC::SignedLessThanOrEqual | IntCC::UnsignedLessThanOrEqual => {
                Some(self.b.ins().icmp(IntCC::SignedLessThanOrEqual, last, bound))
            }
        }
    }

    /// A branch on which most blocks agree: they go one way without a mask. Answers whether it was emitted;
    /// it is where all lanes are active, and none leaves for behind its end by the mask.
    pub(super) fn agreed_branch(&mut self, compare: Compare, accept: &[Node], reject: &[Node]) -> bool {
        if self.mask != Mask::Full || plan::size(accept) + plan::size(reject) > TWICE {
            return false;
        }
        let join = self.block();
        for (compare, nodes) in [(compare, accept), (compare.opposite(), reject)] {
            let Some(agreed) = self.holds_everywhere(compare) else {
                continue;
            };
            let (together, next) = (self.block(), self.block());
            self.b.ins().brif(agreed, together, &[], next, &[]);
            self.start(together);
            if self.list(nodes) {
                self.b.ins().jump(join, &[]);
            }
            self.mask = Mask::Full;
            self.start(next);
        }
        let before = std::mem::replace(&mut self.ragged, true);
        self.rarely(|e| {
            let parted = e.block();
            e.b.ins().jump(parted, &[]);
            e.start(parted);
            let cond = e.compare_lanes(compare);
            if e.parted(cond, accept, reject, false) {
                e.b.ins().jump(join, &[]);
            }
        });
        self.ragged = before;
        self.start(join);
        self.mask = Mask::Full;
        true
    }

    /// What lanes have that stay, where all are active and a node does nothing but let those go that do not.
    pub(super) fn guard(&mut self, node: &Node) -> Option<Compare> {
        let Node::If { cond, accept, reject } = node else {
            return None;
        };
        let (leave, stays) = match (&accept[..], &reject[..]) {
            (leave, []) => (leave, false),
            ([], leave) => (leave, true),
            _ => return None,
        };
        if self.mask != Mask::Full || self.leaves_at_once(leave).is_none() {
            return None;
        }
        match self.get(*cond) {
            Val::Compare(compare) => Some(if stays { compare } else { compare.opposite() }),
            _ => None,
        }
    }

    /// A guard and what comes behind it: without a mask in a block that stays as a whole.
    pub(super) fn behind_guard(&mut self, stay: Compare, guard: &Node, rest: &[&Node]) -> bool {
        let size: usize = rest.iter().map(|&node| plan::size(std::slice::from_ref(node))).sum();
        let all = if size <= TWICE { self.holds_everywhere(stay) } else { None };
        let Some(all) = all else {
            return self.node(guard) && self.nodes(rest.iter().copied());
        };
        let (fast, slow, join) = (self.block(), self.rarely(Self::block), self.block());
        self.b.ins().brif(all, fast, &[], slow, &[]);
        let mut live = false;
        for (block, parted) in [(fast, false), (slow, true)] {
            self.start(block);
            self.mask = Mask::Full;
            let before = (self.ragged, self.cold);
            self.ragged |= parted;
            self.cold |= parted;
            if (!parted || self.node(guard)) && self.nodes(rest.iter().copied()) {
                live = true;
                self.keep_mask();
                self.b.ins().jump(join, &[]);
            }
            (self.ragged, self.cold) = before;
        }
        self.mask = Mask::Kept;
        if live {
            self.start(join);
        }
        live
    }
}
