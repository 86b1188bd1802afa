//! What a condition tells of the registers that it compares.

use super::bounds::{Walk, is_word};
use super::range::Range;
use crate::ir::{Binary, Lane, Op, Reg, Unary};

/// How far a condition is followed to what it was made of.
const DEEPEST: u32 = 16;

impl Walk<'_> {
    /// Goes on where `cond` has this value; `shared` says that all invocations agree on it.
    pub(super) fn assume(&mut self, cond: Reg, value: bool, shared: bool) {
        self.suppose(cond, value, shared, DEEPEST);
    }

    fn suppose(&mut self, cond: Reg, value: bool, shared: bool, depth: u32) {
        if depth == 0 {
            return;
        }
        let impossible = if value { 0 } else { u32::MAX };
        if self.state.known(cond).active == Range::word(impossible) {
            self.live = false;
        }
        for (part, value) in self.state.told_by(cond, value).into_iter().flatten() {
            self.suppose(part, value, shared, depth - 1);
        }
        match self.maker(cond) {
            Some(&Op::Copy { dst, src, .. }) => self.suppose(src + (cond - dst), value, shared, depth - 1),
            Some(&Op::Unary { op: Unary::Not, ty: Lane::Bool, a, .. }) => {
                self.suppose(a, !value, shared, depth - 1);
            }
            Some(&Op::Binary { op, ty: Lane::Bool, a, b, .. })
                if (op == Binary::And && value) || (op == Binary::Or && !value) =>
            {
                self.suppose(a, value, shared, depth - 1);
                self.suppose(b, value, shared, depth - 1);
            }
            Some(&Op::Binary { op, ty, a, b, .. }) if is_word(ty) => {
                let op = if value { Some(op) } else { opposite(op) };
                if let Some(op) = op {
                    self.compared(op, ty, a, b, shared);
                }
            }
            _ => {}
        }
    }

    /// `op(a, b)` is known to hold.
    fn compared(&mut self, op: Binary, ty: Lane, a: Reg, b: Reg, shared: bool) {
        let (left, right) = (self.state.known(a), self.state.known(b));
        let (active_a, active_b) = narrowed(op, ty, left.active, right.active);
        let (always_a, always_b) =
            if shared { narrowed(op, ty, left.always, right.always) } else { (left.always, right.always) };
        for (reg, active, always) in [(a, active_a, always_a), (b, active_b, always_b)] {
            self.live &= !active.is_empty();
            self.narrow(reg, active, if shared { Some(always) } else { None }, DEEPEST);
        }
    }

    /// Narrows a register, and what it is a copy of.
    fn narrow(&mut self, reg: Reg, active: Range, always: Option<Range>, depth: u32) {
        if !self.live || depth == 0 || self.homes_array(reg) {
            return;
        }
        let mut known = self.state.known(reg);
        known.active = known.active.and(active);
        if let Some(always) = always {
            known.always = known.always.and(always);
        }
        self.live &= !known.active.is_empty();
        if known.always.is_empty() {
            // Nobody who is active contradicts it, so what is known of the idle is of no use.
            known.always = self.state.known(reg).always;
        }
        if known != self.state.known(reg) {
            self.state.put(reg, known);
        }
        match self.maker(reg) {
            Some(&Op::Copy { dst, src, .. }) => self.narrow(src + (reg - dst), active, always, depth - 1),
            Some(&Op::Convert { from, to, a, .. }) if is_word(from) && is_word(to) => {
                self.narrow(a, active, always, depth - 1);
            }
            _ => {}
        }
    }
}

fn opposite(op: Binary) -> Option<Binary> {
    Some(match op {
        Binary::Lt => Binary::Ge,
        Binary::Ge => Binary::Lt,
        Binary::Gt => Binary::Le,
        Binary::Le => Binary::Gt,
        Binary::Eq => Binary::Ne,
        Binary::Ne => Binary::Eq,
        _ => return None,
    })
}

/// What is left of two ranges where `op` holds between them.
fn narrowed(op: Binary, ty: Lane, a: Range, b: Range) -> (Range, Range) {
    match op {
        Binary::Lt => below(ty, a, b, true),
        Binary::Le => below(ty, a, b, false),
        Binary::Gt => swap(below(ty, b, a, true)),
        Binary::Ge => swap(below(ty, b, a, false)),
        Binary::Eq => (a.and(b), b.and(a)),
        Binary::Ne => (without(a, b), without(b, a)),
        _ => (a, b),
    }
}

fn swap((a, b): (Range, Range)) -> (Range, Range) {
    (b, a)
}

/// An empty range.
const NONE: Range = Range { u: (1, 0), s: (1, 0), below: 0, most: 0 };

/// `a < b` if `strict`, else `a <= b`.
fn below(ty: Lane, mut a: Range, mut b: Range, strict: bool) -> (Range, Range) {
    let gap = u32::from(strict);
    if ty == Lane::U32 {
        let (Some(most), Some(least)) = (b.u.1.checked_sub(gap), a.u.0.checked_add(gap)) else {
            return (NONE, NONE);
        };
        a.u.1 = a.u.1.min(most);
        b.u.0 = b.u.0.max(least);
    } else {
        let (Some(most), Some(least)) = (b.s.1.checked_sub(gap as i32), a.s.0.checked_add(gap as i32)) else {
            return (NONE, NONE);
        };
        a.s.1 = a.s.1.min(most);
        b.s.0 = b.s.0.max(least);
    }
    // Above a natural number is a natural number, and both compare alike.
    if ty == Lane::U32 || a.is_natural() {
        a.below |= if strict { b.below | b.most } else { b.below };
        a.most |= b.most | b.below;
    }
    (a.tight(), b.tight())
}

/// `a` without the only word of `b`, where that is at one of its ends.
fn without(a: Range, b: Range) -> Range {
    if b.u.0 != b.u.1 {
        return a;
    }
    let (word, signed) = (b.u.0, b.u.0 as i32);
    if a.u == (word, word) {
        return NONE;
    }
    let mut left = a;
    left.u.0 += u32::from(left.u.0 == word);
    left.u.1 -= u32::from(left.u.1 == word);
    if a.s.0 < a.s.1 {
        left.s.0 += i32::from(left.s.0 == signed);
        left.s.1 -= i32::from(left.s.1 == signed);
    }
    left.tight()
}
