//! Floating point, by the functions of Rust's standard library.

use super::lanes::{File, Mask, Number};
use crate::half;
use crate::ir::{Binary, Reg, Unary};

/// What both floating-point types share.
pub(super) trait Float: Number + PartialOrd + std::ops::Neg<Output = Self> {
    fn arith(op: Binary) -> Option<fn(Self, Self) -> Self>;
    fn function(op: Unary) -> Option<fn(Self) -> Self>;
    fn add(self, b: Self) -> Self;
    fn sub(self, b: Self) -> Self;
    fn mul(self, b: Self) -> Self;
    fn div(self, b: Self) -> Self;
    fn abs(self) -> Self;
    fn ceil(self) -> Self;
    fn floor(self) -> Self;
    /// To the nearest, ties to even.
    fn round(self) -> Self;
    fn trunc(self) -> Self;
    fn sqrt(self) -> Self;
    fn inverse_sqrt(self) -> Self;
    fn sign(self) -> Self;
    fn frexp(self) -> (Self, i32);
    fn ldexp(self, exponent: i32) -> Self;
    fn nan(self) -> bool;
    fn infinite(self) -> bool;
    fn narrow(self) -> f32;
    fn widen(value: f32) -> Self;
}

macro_rules! float {
    ($type:ident, $bits:ty, $mantissa:expr, $bias:expr) => {
        impl Float for $type {
            fn arith(op: Binary) -> Option<fn(Self, Self) -> Self> {
                Some(match op {
                    Binary::Rem => |a, b| a % b,
                    Binary::Pow => $type::powf,
                    Binary::Atan2 => $type::atan2,
                    _ => return None,
                })
            }
            fn function(op: Unary) -> Option<fn(Self) -> Self> {
                Some(match op {
                    Unary::Sin => $type::sin,
                    Unary::Cos => $type::cos,
                    Unary::Tan => $type::tan,
                    Unary::Asin => $type::asin,
                    Unary::Acos => $type::acos,
                    Unary::Atan => $type::atan,
                    Unary::Sinh => $type::sinh,
                    Unary::Cosh => $type::cosh,
                    Unary::Tanh => $type::tanh,
                    Unary::Asinh => $type::asinh,
                    Unary::Acosh => $type::acosh,
                    // The standard library's loses digits near -1.
                    Unary::Atanh => |x: $type| x.abs().atanh().copysign(x),
                    Unary::Exp => $type::exp,
                    Unary::Exp2 => $type::exp2,
                    Unary::Log => $type::ln,
                    Unary::Log2 => $type::log2,
                    _ => return None,
                })
            }
            #[inline(always)]
            fn add(self, b: Self) -> Self {
                self + b
            }
            #[inline(always)]
            fn sub(self, b: Self) -> Self {
                self - b
            }
            #[inline(always)]
            fn mul(self, b: Self) -> Self {
                self * b
            }
            #[inline(always)]
            fn div(self, b: Self) -> Self {
                self / b
            }
            #[inline(always)]
            fn abs(self) -> Self {
                $type::abs(self)
            }
            #[inline(always)]
            fn ceil(self) -> Self {
                $type::ceil(self)
            }
            #[inline(always)]
            fn floor(self) -> Self {
                $type::floor(self)
            }
            #[inline(always)]
            fn round(self) -> Self {
                $type::round_ties_even(self)
            }
            #[inline(always)]
            fn trunc(self) -> Self {
                $type::trunc(self)
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                $type::sqrt(self)
            }
            #[inline(always)]
            fn inverse_sqrt(self) -> Self {
                1.0 / $type::sqrt(self)
            }
            #[inline(always)]
            fn sign(self) -> Self {
                if self > 0.0 {
                    1.0
                } else if self < 0.0 {
                    -1.0
                } else {
                    self
                }
            }
            fn frexp(self) -> (Self, i32) {
                if self == 0.0 || !self.is_finite() {
                    return (self, 0);
                }
                let exponent_bits = |value: Self| (value.to_bits() >> $mantissa) as i32 & (2 * $bias + 1);
                // A subnormal is scaled into the normal range first.
                let scale = $mantissa + 1;
                let (value, shift) =
                    if exponent_bits(self) == 0 { (self * (2.0 as $type).powi(scale), scale) } else { (self, 0) };
                let exponent = exponent_bits(value) - ($bias - 1);
                let field: $bits = (2 * $bias + 1) << $mantissa;
                let half: $bits = ($bias - 1) << $mantissa;
                ($type::from_bits(value.to_bits() & !field | half), exponent - shift)
            }
            fn ldexp(self, exponent: i32) -> Self {
                // Two steps, each within the range of a normal power of two, reach every result.
                let step = |value: Self, by: i32| {
                    let power: $bits = ((by.clamp(1 - $bias, $bias) + $bias) as $bits) << $mantissa;
                    value * $type::from_bits(power)
                };
                let mut value = self;
                let mut left = exponent.clamp(-4 * $bias, 4 * $bias);
                while left != 0 {
                    let by = left.clamp(1 - $bias, $bias);
                    value = step(value, by);
                    left -= by;
                }
                value
            }
            #[inline(always)]
            fn nan(self) -> bool {
                self.is_nan()
            }
            #[inline(always)]
            fn infinite(self) -> bool {
                self.is_infinite()
            }
            fn narrow(self) -> f32 {
                self as f32
            }
            fn widen(value: f32) -> Self {
                value.into()
            }
        }
    };
}

float!(f32, u32, 23, 127);
float!(f64, u64, 52, 1023);

pub(super) fn unary<T: Float>(file: &File, op: Unary, dst: Reg, a: Reg) {
    match op {
        Unary::Negate => file.map(dst, a, |a: T| -a),
        Unary::Abs => file.map(dst, a, T::abs),
        Unary::Sign => file.map(dst, a, T::sign),
        Unary::Ceil => file.map(dst, a, T::ceil),
        Unary::Floor => file.map(dst, a, T::floor),
        Unary::Round => file.map(dst, a, T::round),
        Unary::Trunc => file.map(dst, a, T::trunc),
        Unary::Sqrt => file.map(dst, a, T::sqrt),
        Unary::InverseSqrt => file.map(dst, a, T::inverse_sqrt),
        Unary::FrexpFraction => file.map(dst, a, |a: T| a.frexp().0),
        Unary::FrexpExponent => file.map(dst, a, |a: T| a.frexp().1),
        Unary::IsNan => file.map(dst, a, |a: T| Mask::from(a.nan())),
        Unary::IsInf => file.map(dst, a, |a: T| Mask::from(a.infinite())),
        Unary::Quantize => file.map(dst, a, |a: T| T::widen(half::quantize(a.narrow()))),
        Unary::HalfToBits => file.map(dst, a, |a: T| u32::from(half::from_f32(a.narrow()))),
        _ => match T::function(op) {
            Some(function) => file.map(dst, a, function),
            // Integers only; naga's types see to it.
            None => file.map(dst, a, |a: T| a),
        },
    }
}

pub(super) fn binary<T: Float>(file: &File, op: Binary, dst: Reg, a: Reg, b: Reg) {
    match op {
        Binary::Add => file.zip(dst, a, b, T::add),
        Binary::Sub => file.zip(dst, a, b, T::sub),
        Binary::Mul => file.zip(dst, a, b, T::mul),
        Binary::Div => file.zip(dst, a, b, T::div),
        Binary::Min => file.zip(dst, a, b, |a: T, b: T| if b < a { b } else { a }),
        Binary::Max => file.zip(dst, a, b, |a: T, b: T| if a < b { b } else { a }),
        Binary::Eq => file.zip(dst, a, b, |a: T, b: T| Mask::from(a == b)),
        Binary::Ne => file.zip(dst, a, b, |a: T, b: T| Mask::from(a != b)),
        Binary::Lt => file.zip(dst, a, b, |a: T, b: T| Mask::from(a < b)),
        Binary::Le => file.zip(dst, a, b, |a: T, b: T| Mask::from(a <= b)),
        Binary::Gt => file.zip(dst, a, b, |a: T, b: T| Mask::from(a > b)),
        Binary::Ge => file.zip(dst, a, b, |a: T, b: T| Mask::from(a >= b)),
        Binary::Ldexp => file.zip(dst, a, b, T::ldexp),
        _ => match T::arith(op) {
            Some(function) => file.zip(dst, a, b, function),
            // Integers only.
            None => file.map(dst, a, |a: T| a),
        },
    }
}
