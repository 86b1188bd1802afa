//! Integers by WGSL's rules: they wrap, division by zero gives the dividend, shifts count modulo the width.

use super::lanes::{File, Mask, Number};
use crate::ir::{Binary, Reg, Unary};

/// What the four integer types share.
pub(super) trait Int: Number + Ord {
    fn add(self, b: Self) -> Self;
    fn sub(self, b: Self) -> Self;
    fn mul(self, b: Self) -> Self;
    fn div(self, b: Self) -> Self;
    fn rem(self, b: Self) -> Self;
    fn and(self, b: Self) -> Self;
    fn or(self, b: Self) -> Self;
    fn xor(self, b: Self) -> Self;
    fn shl(self, b: u32) -> Self;
    fn shr(self, b: u32) -> Self;
    fn not(self) -> Self;
    fn negate(self) -> Self;
    fn abs(self) -> Self;
    fn sign(self) -> Self;
    fn small(value: u32) -> Self;
    fn ones(self) -> u32;
    fn leading(self) -> u32;
    fn trailing(self) -> u32;
    fn reverse(self) -> Self;
    /// The highest bit that differs from the sign.
    fn first_leading(self) -> Self;
    fn first_trailing(self) -> Self;
}

macro_rules! int {
    ($type:ty, $abs:expr, $sign:expr, $leading:expr) => {
        impl Int for $type {
            #[inline(always)]
            fn add(self, b: Self) -> Self {
                self.wrapping_add(b)
            }
            #[inline(always)]
            fn sub(self, b: Self) -> Self {
                self.wrapping_sub(b)
            }
            #[inline(always)]
            fn mul(self, b: Self) -> Self {
                self.wrapping_mul(b)
            }
            #[inline(always)]
            fn div(self, b: Self) -> Self {
                if b == 0 { self } else { self.wrapping_div(b) }
            }
            #[inline(always)]
            fn rem(self, b: Self) -> Self {
                if b == 0 { 0 } else { self.wrapping_rem(b) }
            }
            #[inline(always)]
            fn and(self, b: Self) -> Self {
                self & b
            }
            #[inline(always)]
            fn or(self, b: Self) -> Self {
                self | b
            }
            #[inline(always)]
            fn xor(self, b: Self) -> Self {
                self ^ b
            }
            #[inline(always)]
            fn shl(self, b: u32) -> Self {
                self.wrapping_shl(b)
            }
            #[inline(always)]
            fn shr(self, b: u32) -> Self {
                self.wrapping_shr(b)
            }
            #[inline(always)]
            fn not(self) -> Self {
                !self
            }
            #[inline(always)]
            fn negate(self) -> Self {
                self.wrapping_neg()
            }
            #[inline(always)]
            fn abs(self) -> Self {
                $abs(self)
            }
            #[inline(always)]
            fn sign(self) -> Self {
                $sign(self)
            }
            #[inline(always)]
            fn small(value: u32) -> Self {
                value as Self
            }
            #[inline(always)]
            fn ones(self) -> u32 {
                self.count_ones()
            }
            #[inline(always)]
            fn leading(self) -> u32 {
                self.leading_zeros()
            }
            #[inline(always)]
            fn trailing(self) -> u32 {
                self.trailing_zeros()
            }
            #[inline(always)]
            fn reverse(self) -> Self {
                self.reverse_bits()
            }
            #[inline(always)]
            fn first_leading(self) -> Self {
                let differing: Self = $leading(self);
                if differing == 0 { !0 } else { (Self::BITS - 1 - differing.leading_zeros()) as Self }
            }
            #[inline(always)]
            fn first_trailing(self) -> Self {
                if self == 0 { !0 } else { self.trailing_zeros() as Self }
            }
        }
    };
}

int!(i32, i32::wrapping_abs, i32::signum, |a: i32| if a < 0 { !a } else { a });
int!(i64, i64::wrapping_abs, i64::signum, |a: i64| if a < 0 { !a } else { a });
int!(u32, |a| a, |a: u32| a.min(1), |a: u32| a);
int!(u64, |a| a, |a: u64| a.min(1), |a: u64| a);

pub(super) fn unary<T: Int>(file: &File, op: Unary, dst: Reg, a: Reg) {
    match op {
        Unary::Negate => file.map(dst, a, T::negate),
        Unary::Not => file.map(dst, a, T::not),
        Unary::Abs => file.map(dst, a, T::abs),
        Unary::Sign => file.map(dst, a, T::sign),
        Unary::CountOneBits => file.map(dst, a, |a: T| T::small(a.ones())),
        Unary::CountLeadingZeros => file.map(dst, a, |a: T| T::small(a.leading())),
        Unary::CountTrailingZeros => file.map(dst, a, |a: T| T::small(a.trailing())),
        Unary::ReverseBits => file.map(dst, a, T::reverse),
        Unary::FirstLeadingBit => file.map(dst, a, T::first_leading),
        Unary::FirstTrailingBit => file.map(dst, a, T::first_trailing),
        // The rest exists for floats only; naga's types see to it.
        _ => file.map(dst, a, |a: T| a),
    }
}

pub(super) fn binary<T: Int>(file: &File, op: Binary, dst: Reg, a: Reg, b: Reg) {
    match op {
        Binary::Add => file.zip(dst, a, b, T::add),
        Binary::Sub => file.zip(dst, a, b, T::sub),
        Binary::Mul => file.zip(dst, a, b, T::mul),
        Binary::Div => file.zip(dst, a, b, T::div),
        Binary::Rem => file.zip(dst, a, b, T::rem),
        Binary::And => file.zip(dst, a, b, T::and),
        Binary::Or => file.zip(dst, a, b, T::or),
        Binary::Xor => file.zip(dst, a, b, T::xor),
        Binary::Shl => file.zip(dst, a, b, T::shl),
        Binary::Shr => file.zip(dst, a, b, T::shr),
        Binary::Min => file.zip(dst, a, b, |a: T, b: T| if b < a { b } else { a }),
        Binary::Max => file.zip(dst, a, b, |a: T, b: T| if a < b { b } else { a }),
        Binary::Eq => file.zip(dst, a, b, |a: T, b: T| Mask::from(a == b)),
        Binary::Ne => file.zip(dst, a, b, |a: T, b: T| Mask::from(a != b)),
        Binary::Lt => file.zip(dst, a, b, |a: T, b: T| Mask::from(a < b)),
        Binary::Le => file.zip(dst, a, b, |a: T, b: T| Mask::from(a <= b)),
        Binary::Gt => file.zip(dst, a, b, |a: T, b: T| Mask::from(a > b)),
        Binary::Ge => file.zip(dst, a, b, |a: T, b: T| Mask::from(a >= b)),
        // Floats only.
        Binary::Pow | Binary::Atan2 | Binary::Ldexp => file.map(dst, a, |a: T| a),
    }
}
