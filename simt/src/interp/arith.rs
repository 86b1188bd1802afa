//! Arithmetic: from a lane type to the loop over its numbers.

use super::exec::Run;
use super::lanes::{File, Mask, Number};
use super::{float, int};
use crate::half;
use crate::ir::{Binary, Lane, Reg, Unary};

impl Run<'_> {
    pub(super) fn unary(&self, op: Unary, ty: Lane, dst: Reg, a: Reg) {
        let file = &self.state.file;
        match (op, ty) {
            (Unary::SignExtend16, _) => file.map(dst, a, |a: u32| i32::from(a as i16)),
            (Unary::ZeroExtend16, _) => file.map(dst, a, |a: u32| a & 0xffff),
            (Unary::HalfFromBits, _) => file.map(dst, a, |a: u32| half::to_f32(a as u16)),
            (_, Lane::Bool | Lane::U32) => int::unary::<u32>(file, op, dst, a),
            (_, Lane::I32) => int::unary::<i32>(file, op, dst, a),
            (_, Lane::I64) => int::unary::<i64>(file, op, dst, a),
            (_, Lane::U64) => int::unary::<u64>(file, op, dst, a),
            (_, Lane::F32) => float::unary::<f32>(file, op, dst, a),
            (_, Lane::F64) => float::unary::<f64>(file, op, dst, a),
        }
    }

    pub(super) fn binary(&self, op: Binary, ty: Lane, dst: Reg, a: Reg, b: Reg) {
        let file = &self.state.file;
        match ty {
            Lane::Bool | Lane::U32 => int::binary::<u32>(file, op, dst, a, b),
            Lane::I32 => int::binary::<i32>(file, op, dst, a, b),
            Lane::I64 => int::binary::<i64>(file, op, dst, a, b),
            Lane::U64 => int::binary::<u64>(file, op, dst, a, b),
            Lane::F32 => float::binary::<f32>(file, op, dst, a, b),
            Lane::F64 => float::binary::<f64>(file, op, dst, a, b),
        }
    }

    /// Rust's `as` has WGSL's rules: toward zero and saturating from floats, modulo 2^n between integers.
    pub(super) fn convert(&self, from: Lane, to: Lane, dst: Reg, a: Reg) {
        let file = &self.state.file;
        match from {
            Lane::Bool => from_bool(file, to, dst, a),
            Lane::I32 => cast::<i32>(file, to, dst, a),
            Lane::U32 => cast::<u32>(file, to, dst, a),
            Lane::F32 => cast::<f32>(file, to, dst, a),
            Lane::I64 => cast::<i64>(file, to, dst, a),
            Lane::U64 => cast::<u64>(file, to, dst, a),
            Lane::F64 => cast::<f64>(file, to, dst, a),
        }
    }
}

fn from_bool(file: &File, to: Lane, dst: Reg, a: Reg) {
    let one = |a: Mask| a.0 & 1;
    match to {
        Lane::Bool => file.map(dst, a, |a: Mask| a),
        Lane::I32 | Lane::U32 => file.map(dst, a, one),
        Lane::F32 => file.map(dst, a, |a| if one(a) == 1 { 1.0_f32 } else { 0.0 }),
        Lane::I64 | Lane::U64 => file.map(dst, a, |a| u64::from(one(a))),
        Lane::F64 => file.map(dst, a, |a| f64::from(one(a))),
    }
}

/// A number that becomes any other.
trait Cast: Number {
    fn bool(self) -> bool;
    fn i32(self) -> i32;
    fn u32(self) -> u32;
    fn f32(self) -> f32;
    fn i64(self) -> i64;
    fn u64(self) -> u64;
    fn f64(self) -> f64;
}

macro_rules! cast {
    ($($type:ty: $zero:literal),*) => {$(
        impl Cast for $type {
            fn bool(self) -> bool {
                self != $zero
            }
            fn i32(self) -> i32 {
                self as i32
            }
            fn u32(self) -> u32 {
                self as u32
            }
            fn f32(self) -> f32 {
                self as f32
            }
            fn i64(self) -> i64 {
                self as i64
            }
            fn u64(self) -> u64 {
                self as u64
            }
            fn f64(self) -> f64 {
                self as f64
            }
        }
    )*};
}

cast!(i32: 0, u32: 0, f32: 0.0, i64: 0, u64: 0, f64: 0.0);

fn cast<T: Cast>(file: &File, to: Lane, dst: Reg, a: Reg) {
    match to {
        Lane::Bool => file.map(dst, a, |a: T| Mask::from(a.bool())),
        Lane::I32 => file.map(dst, a, T::i32),
        Lane::U32 => file.map(dst, a, T::u32),
        Lane::F32 => file.map(dst, a, T::f32),
        Lane::I64 => file.map(dst, a, T::i64),
        Lane::U64 => file.map(dst, a, T::u64),
        Lane::F64 => file.map(dst, a, T::f64),
    }
}
