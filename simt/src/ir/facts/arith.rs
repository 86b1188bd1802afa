//! Arithmetic on ranges. Words wrap: a range that may leave its type becomes any word.

use super::range::Range;
use crate::ir::{Binary, Lane, Unary};

/// The words that `op` may give.
pub(super) fn unary(op: Unary, ty: Lane, a: Range) -> Range {
    match (op, ty) {
        (Unary::Not, Lane::Bool | Lane::I32 | Lane::U32) => {
            Range { u: (!a.u.1, !a.u.0), s: (!a.s.1, !a.s.0), ..Range::ANY }
        }
        (Unary::Negate, Lane::I32) => Range::signed(-i64::from(a.s.1), -i64::from(a.s.0)),
        (Unary::Abs, Lane::I32) if a.is_natural() => a,
        (Unary::Abs, Lane::I32) => Range::signed(0, i64::from(a.s.1).max(-i64::from(a.s.0))),
        (Unary::Abs, Lane::U32) => a,
        (Unary::CountOneBits | Unary::CountLeadingZeros | Unary::CountTrailingZeros, Lane::I32 | Lane::U32) => {
            Range::unsigned(0, 32)
        }
        (Unary::FirstLeadingBit | Unary::FirstTrailingBit, Lane::I32 | Lane::U32) => Range::signed(-1, 31),
        (Unary::ZeroExtend16, _) if a.u.1 <= 0xffff => a,
        (Unary::ZeroExtend16, _) => Range::unsigned(0, 0xffff),
        (Unary::SignExtend16, _) => Range::signed(i16::MIN.into(), i16::MAX.into()),
        _ => Range::ANY,
    }
}

/// The words that a conversion may give.
pub(super) fn convert(from: Lane, to: Lane, a: Range) -> Range {
    match (from, to) {
        (Lane::Bool, Lane::I32 | Lane::U32) => Range::unsigned(0, 1),
        (Lane::I32 | Lane::U32, Lane::I32 | Lane::U32) => a,
        _ => Range::ANY,
    }
}

/// The words that `op` may give.
pub(super) fn binary(op: Binary, ty: Lane, a: Range, b: Range) -> Range {
    match (op, ty) {
        (Binary::And, Lane::Bool | Lane::I32 | Lane::U32) => {
            let least = if a.is_natural() || b.is_natural() { 0 } else { i32::MIN };
            let known = Range { u: (0, a.u.1.min(b.u.1)), s: (least, i32::MAX), ..upper(a, b) };
            known.tight()
        }
        (Binary::Or, Lane::Bool | Lane::I32 | Lane::U32) => Range::unsigned(a.u.0.max(b.u.0), ones(a.u.1 | b.u.1)),
        (Binary::Xor, Lane::Bool | Lane::I32 | Lane::U32) => Range::unsigned(0, ones(a.u.1 | b.u.1)),
        (_, Lane::U32) => natural(op, a, b),
        (Binary::Add, Lane::I32) => sums(a, b),
        (Binary::Sub, Lane::I32) => differences(a, b),
        (Binary::Mul, Lane::I32) => products(a, b),
        (Binary::Min, Lane::I32) => {
            let lengths = if a.is_natural() && b.is_natural() { upper(a, b) } else { Range::ANY };
            Range { s: (a.s.0.min(b.s.0), a.s.1.min(b.s.1)), ..lengths }.tight()
        }
        (Binary::Max, Lane::I32) => Range { s: (a.s.0.max(b.s.0), a.s.1.max(b.s.1)), ..Range::ANY }.tight(),
        (Binary::Div | Binary::Rem | Binary::Shl | Binary::Shr, Lane::I32) if a.is_natural() && b.is_natural() => {
            natural(op, a, b)
        }
        (Binary::Rem, Lane::I32) => {
            // By zero it is zero; else it is nearer to zero than either operand.
            let most = i64::from(b.s.1).max(-i64::from(b.s.0)).max(1) - 1;
            let least = i64::from(a.s.0).clamp(-most, 0);
            Range::signed(least, i64::from(a.s.1).clamp(0, most))
        }
        (Binary::Shr, Lane::I32) => Range::signed(i64::from(a.s.0).min(0), i64::from(a.s.1).max(-1)),
        _ => Range::ANY,
    }
}

/// What is known to be above both, where the result is not above either.
fn upper(a: Range, b: Range) -> Range {
    Range { below: a.below | b.below, most: a.most | b.most, ..Range::ANY }
}

/// A result from `least` to `greatest` that is not above `a`.
fn within(a: Range, least: u32, greatest: u32) -> Range {
    Range { below: a.below, most: a.most, ..Range::unsigned(least, greatest) }
}

/// `op` on words taken as `u32`.
fn natural(op: Binary, a: Range, b: Range) -> Range {
    match op {
        Binary::Add => sums(a, b),
        Binary::Sub if a.u.0 >= b.u.1 => within(a, a.u.0 - b.u.1, a.u.1 - b.u.0),
        Binary::Sub => differences(a, b),
        Binary::Mul => products(a, b),
        // By zero it is the dividend.
        Binary::Div => within(a, a.u.0 / b.u.1.max(1), a.u.1 / b.u.0.max(1)),
        // By zero it is zero.
        Binary::Rem => {
            let known = within(a, 0, a.u.1.min(b.u.1.saturating_sub(1)));
            if b.u.0 > 0 { Range { below: known.below | b.below | b.most, ..known } } else { known }
        }
        Binary::Shr if b.u.1 < 32 => within(a, a.u.0 >> b.u.1, a.u.1 >> b.u.0),
        Binary::Shr => within(a, 0, a.u.1),
        Binary::Shl if b.u.1 < 32 => match u32::try_from(u64::from(a.u.1) << b.u.1) {
            Ok(greatest) => Range::unsigned(a.u.0 << b.u.0, greatest),
            Err(_) => Range::ANY,
        },
        Binary::Min => {
            let known = Range { u: (a.u.0.min(b.u.0), a.u.1.min(b.u.1)), ..upper(a, b) };
            known.tight()
        }
        Binary::Max => Range {
            below: a.below & b.below,
            most: a.most & b.most,
            ..Range::unsigned(a.u.0.max(b.u.0), a.u.1.max(b.u.1))
        },
        _ => Range::ANY,
    }
}

/// The bits are the same for both ways to read them, so each bounds the sum where it does not overflow.
fn sums(a: Range, b: Range) -> Range {
    let unsigned = match (a.u.0.checked_add(b.u.0), a.u.1.checked_add(b.u.1)) {
        (Some(least), Some(greatest)) => Range::unsigned(least, greatest),
        _ => Range::ANY,
    };
    unsigned.and(Range::signed(i64::from(a.s.0) + i64::from(b.s.0), i64::from(a.s.1) + i64::from(b.s.1)))
}

fn differences(a: Range, b: Range) -> Range {
    let unsigned = match a.u.0.checked_sub(b.u.1) {
        Some(least) => Range::unsigned(least, a.u.1 - b.u.0),
        None => Range::ANY,
    };
    unsigned.and(Range::signed(i64::from(a.s.0) - i64::from(b.s.1), i64::from(a.s.1) - i64::from(b.s.0)))
}

fn products(a: Range, b: Range) -> Range {
    let unsigned = match a.u.1.checked_mul(b.u.1) {
        Some(greatest) => Range::unsigned(a.u.0 * b.u.0, greatest),
        None => Range::ANY,
    };
    let corners = [(a.s.0, b.s.0), (a.s.0, b.s.1), (a.s.1, b.s.0), (a.s.1, b.s.1)];
    let corners = corners.map(|(a, b)| i64::from(a) * i64::from(b));
    let (least, greatest) = (corners.iter().min(), corners.iter().max());
    unsigned.and(Range::signed(*least.unwrap_or(&i64::MIN), *greatest.unwrap_or(&i64::MAX)))
}

/// The least number of all ones that is not below.
fn ones(word: u32) -> u32 {
    u32::MAX.checked_shr(word.leading_zeros()).unwrap_or(0)
}
