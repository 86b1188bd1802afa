//! Bit counting, bit fields and packed formats.

use std::rc::Rc;

use naga::MathFunction as Fun;

use super::Lower;
use crate::ir::{Binary, Lane, Reg, Unary};
use crate::layout::Scalar;

impl Lower<'_> {
    /// The bit functions of one operand. A 16-bit integer is counted inside its 32-bit register.
    pub(super) fn bits(&mut self, fun: Fun, s: Scalar, a: Reg) -> Reg {
        let op = match fun {
            Fun::CountTrailingZeros => Unary::CountTrailingZeros,
            Fun::CountLeadingZeros => Unary::CountLeadingZeros,
            Fun::CountOneBits => Unary::CountOneBits,
            Fun::ReverseBits => Unary::ReverseBits,
            Fun::FirstTrailingBit => Unary::FirstTrailingBit,
            _ => Unary::FirstLeadingBit,
        };
        if s.bytes() != 2 {
            return self.un(op, s, a);
        }
        let low = self.unary(Unary::ZeroExtend16, Lane::U32, a);
        let word = match op {
            Unary::CountLeadingZeros => {
                let zeros = self.unary(op, Lane::U32, low);
                let above = self.word(16);
                self.binary(Binary::Sub, Lane::U32, zeros, above)
            }
            Unary::CountTrailingZeros => {
                let end = self.word(1 << 16);
                let stopped = self.binary(Binary::Or, Lane::U32, low, end);
                self.unary(op, Lane::U32, stopped)
            }
            Unary::ReverseBits => {
                let reversed = self.unary(op, Lane::U32, low);
                let down = self.word(16);
                self.binary(Binary::Shr, Lane::U32, reversed, down)
            }
            // The sign-extended number has its first differing bit in the same place.
            Unary::FirstLeadingBit => self.unary(op, Lane::of(s), a),
            _ => self.unary(op, Lane::U32, low),
        };
        self.narrow(s, word)
    }

    fn width(&mut self, s: Scalar) -> Reg {
        self.word(s.bytes() * 8)
    }

    /// The field's offset and length, cut to the width of the type.
    fn field(&mut self, s: Scalar, offset: Reg, count: Reg) -> (Reg, Reg) {
        let width = self.width(s);
        let offset = self.binary(Binary::Min, Lane::U32, offset, width);
        let room = self.binary(Binary::Sub, Lane::U32, width, offset);
        (offset, self.binary(Binary::Min, Lane::U32, count, room))
    }

    pub(super) fn extract_bits(&mut self, s: Scalar, value: Reg, offset: Reg, count: Reg) -> Reg {
        let (offset, count) = self.field(s, offset, count);
        let width = self.width(s);
        let unused = self.binary(Binary::Sub, Lane::U32, width, count);
        let above = self.binary(Binary::Sub, Lane::U32, unused, offset);
        let high = self.bin(Binary::Shl, s, value, above);
        let field = self.bin(Binary::Shr, s, high, unused);
        let (none, zero) = (self.word(0), self.zero(s));
        let empty = self.binary(Binary::Eq, Lane::U32, count, none);
        self.select(Lane::of(s), empty, zero, field)
    }

    pub(super) fn insert_bits(&mut self, s: Scalar, value: Reg, new: Reg, offset: Reg, count: Reg) -> Reg {
        let (offset, count) = self.field(s, offset, count);
        let width = self.width(s);
        let (one, ones) = (self.int(s, 1), self.int(s, -1));
        let bit = self.bin(Binary::Shl, s, one, count);
        let mask = self.bin(Binary::Sub, s, bit, one);
        let whole = self.binary(Binary::Eq, Lane::U32, count, width);
        let mask = self.select(Lane::of(s), whole, ones, mask);
        let mask = self.bin(Binary::Shl, s, mask, offset);
        let moved = self.bin(Binary::Shl, s, new, offset);
        let inside = self.bin(Binary::And, s, moved, mask);
        let kept = self.un(Unary::Not, s, mask);
        let outside = self.bin(Binary::And, s, value, kept);
        self.bin(Binary::Or, s, outside, inside)
    }

    /// Puts fields of equal width side by side, the first lowest.
    fn join(&mut self, fields: &[Reg], width: u32) -> Reg {
        let mask = self.word(if width == 8 { 0xff } else { 0xffff });
        let mut word = None;
        for (&field, shift) in fields.iter().zip((0..).step_by(width as usize)) {
            let low = self.binary(Binary::And, Lane::U32, field, mask);
            let shift = self.word(shift);
            let moved = self.binary(Binary::Shl, Lane::U32, low, shift);
            word = Some(match word {
                Some(word) => self.binary(Binary::Or, Lane::U32, word, moved),
                None => moved,
            });
        }
        word.unwrap_or_else(|| self.word(0))
    }

    /// The fields of a word, sign- or zero-extended to 32 bits.
    pub(super) fn unpack_fields(&mut self, s: Scalar, word: Reg, width: u32) -> Rc<[Reg]> {
        let down = self.word(32 - width);
        (0..32 / width)
            .map(|i| {
                let up = self.word(32 - width * (i + 1));
                let high = self.binary(Binary::Shl, Lane::U32, word, up);
                self.binary(Binary::Shr, Lane::of(s), high, down)
            })
            .collect()
    }

    /// `floor(0.5 + most * clamp(a, low, 1))` in each field.
    pub(super) fn pack_norm(&mut self, a: &[Reg], width: u32, signed: bool) -> Reg {
        let (s, lane) = (Scalar::F32, Lane::F32);
        let most = self.float(s, norm(width, signed));
        let low = self.float(s, if signed { -1.0 } else { 0.0 });
        let (one, half) = (self.float(s, 1.0), self.float(s, 0.5));
        let fields = self.map(a, |this, a| {
            let inside = this.clamp(s, a, low, one);
            let scaled = this.mul(s, most, inside);
            let raised = this.add(s, half, scaled);
            let whole = this.unary(Unary::Floor, lane, raised);
            this.cast(lane, Lane::I32, whole)
        });
        self.join(&fields, width)
    }

    pub(super) fn unpack_norm(&mut self, word: Reg, width: u32, signed: bool) -> Rc<[Reg]> {
        let whole = if signed { Scalar::I32 } else { Scalar::U32 };
        let fields = self.unpack_fields(whole, word, width);
        let s = Scalar::F32;
        let most = self.float(s, norm(width, signed));
        let least = self.float(s, -1.0);
        self.map(&fields, |this, field| {
            let value = this.cast(Lane::of(whole), Lane::F32, field);
            let ratio = this.div(s, value, most);
            if signed { this.bin(Binary::Max, s, ratio, least) } else { ratio }
        })
    }

    pub(super) fn pack_half(&mut self, a: &[Reg]) -> Reg {
        let fields = self.map(a, |this, a| this.unary(Unary::HalfToBits, Lane::F32, a));
        self.join(&fields, 16)
    }

    pub(super) fn unpack_half(&mut self, word: Reg) -> Rc<[Reg]> {
        let fields = self.unpack_fields(Scalar::U32, word, 16);
        self.map(&fields, |this, a| this.unary(Unary::HalfFromBits, Lane::U32, a))
    }

    pub(super) fn pack_bytes(&mut self, a: &[Reg]) -> Reg {
        self.join(a, 8)
    }

    pub(super) fn pack_clamped(&mut self, s: Scalar, a: &[Reg], low: i64, high: i64) -> Reg {
        let (low, high) = (self.int(s, low), self.int(s, high));
        let fields = self.map(a, |this, a| this.clamp(s, a, low, high));
        self.join(&fields, 8)
    }

    pub(super) fn dot_packed(&mut self, s: Scalar, a: Reg, b: Reg) -> Reg {
        let (a, b) = (self.unpack_fields(s, a, 8), self.unpack_fields(s, b, 8));
        self.dot(s, &a, &b)
    }
}

/// What 1.0 is packed as.
fn norm(width: u32, signed: bool) -> f64 {
    let bits = if signed { width - 1 } else { width };
    f64::from((1_u32 << bits) - 1)
}
