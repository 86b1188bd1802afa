//! The register file, and how its words are read as numbers.
//!
//! Rows are slices of cells: an instruction may read and write the same row, and the compiler still
//! turns the loops into vector code behind a check that rows do not overlap.

use std::cell::Cell;

use super::vector::{self, Vector};
use crate::ir::Reg;

/// Registers, each a row of words, one per lane.
#[derive(Debug)]
pub(super) struct File {
    words: Vec<Cell<u32>>,
    lanes: usize,
    /// What this machine's vectors can do.
    pub(super) vector: Vector,
}

/// One row.
pub(super) type Row<'a> = &'a [Cell<u32>];

impl File {
    pub(super) fn new(regs: usize, lanes: usize) -> Self {
        Self { words: vec![Cell::new(0); regs * lanes], lanes, vector: Vector::detect() }
    }

    pub(super) fn lanes(&self) -> usize {
        self.lanes
    }

    pub(super) fn row(&self, reg: Reg) -> Row<'_> {
        let start = reg as usize * self.lanes;
        &self.words[start..start + self.lanes]
    }

    /// `words` rows at once.
    pub(super) fn rows(&self, reg: Reg, words: u32) -> Row<'_> {
        let start = reg as usize * self.lanes;
        &self.words[start..start + words as usize * self.lanes]
    }

    pub(super) fn fill(&self, reg: Reg, bits: u32) {
        self.row(reg).iter().for_each(|cell| cell.set(bits));
    }

    /// The register as a column of numbers.
    pub(super) fn column<T: Number>(&self, reg: Reg) -> Column<'_> {
        let low = self.row(reg);
        Column { low, high: if T::WIDE { self.row(reg + 1) } else { low } }
    }

    /// `dst = f(a)` in every lane.
    pub(super) fn map<T: Number, R: Number>(&self, dst: Reg, a: Reg, f: impl Fn(T) -> R) {
        let (to, a) = (self.column::<R>(dst), self.column::<T>(a));
        let lanes = self.lanes;
        // What the closures hold moves along: behind a reference it might be what a cell writes to.
        vector::run(self.vector, move || {
            let (to, a) = (to.cut(lanes), a.cut(lanes));
            for i in 0..lanes {
                R::set(to, i, f(T::get(a, i)));
            }
        });
    }

    /// `dst = f(a, b)` in every lane.
    pub(super) fn zip<A: Number, B: Number, R: Number>(&self, dst: Reg, a: Reg, b: Reg, f: impl Fn(A, B) -> R) {
        let (to, a, b) = (self.column::<R>(dst), self.column::<A>(a), self.column::<B>(b));
        let lanes = self.lanes;
        vector::run(self.vector, move || {
            let (to, a, b) = (to.cut(lanes), a.cut(lanes), b.cut(lanes));
            for i in 0..lanes {
                R::set(to, i, f(A::get(a, i), B::get(b, i)));
            }
        });
    }
}

/// The row or two rows of a number.
#[derive(Clone, Copy)]
pub(super) struct Column<'a> {
    low: Row<'a>,
    high: Row<'a>,
}

impl Column<'_> {
    /// Tells the compiler how long the rows are.
    #[inline(always)]
    fn cut(self, lanes: usize) -> Self {
        Self { low: &self.low[..lanes], high: &self.high[..lanes] }
    }
}

/// A type that a register can be read as.
pub(super) trait Number: Copy {
    const WIDE: bool;
    fn get(column: Column<'_>, lane: usize) -> Self;
    fn set(column: Column<'_>, lane: usize, value: Self);
}

/// A condition: all ones or zero.
#[derive(Clone, Copy)]
pub(super) struct Mask(pub u32);

impl From<bool> for Mask {
    fn from(value: bool) -> Self {
        Self(if value { u32::MAX } else { 0 })
    }
}

macro_rules! narrow {
    ($type:ty, $from:expr, $to:expr) => {
        impl Number for $type {
            const WIDE: bool = false;
            #[inline(always)]
            fn get(column: Column<'_>, lane: usize) -> Self {
                $from(column.low[lane].get())
            }
            #[inline(always)]
            fn set(column: Column<'_>, lane: usize, value: Self) {
                column.low[lane].set($to(value));
            }
        }
    };
}

macro_rules! wide {
    ($type:ty, $from:expr, $to:expr) => {
        impl Number for $type {
            const WIDE: bool = true;
            #[inline(always)]
            fn get(column: Column<'_>, lane: usize) -> Self {
                let high = u64::from(column.high[lane].get());
                $from(high << 32 | u64::from(column.low[lane].get()))
            }
            #[inline(always)]
            fn set(column: Column<'_>, lane: usize, value: Self) {
                let bits: u64 = $to(value);
                column.low[lane].set(bits as u32);
                column.high[lane].set((bits >> 32) as u32);
            }
        }
    };
}

narrow!(u32, |bits| bits, |value| value);
narrow!(i32, |bits| bits as i32, |value| value as u32);
narrow!(f32, f32::from_bits, f32::to_bits);
narrow!(Mask, Mask, |value: Mask| value.0);
wide!(u64, |bits| bits, |value| value);
wide!(i64, |bits| bits as i64, |value| value as u64);
wide!(f64, f64::from_bits, f64::to_bits);
