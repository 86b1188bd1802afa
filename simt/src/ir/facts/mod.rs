//! What is known of a kernel before it runs, for whoever makes it fast.
//!
//! It is computed on virtual registers, where each temporary is made at one place. Everything here is
//! claimed of invocations that are active; see [`Bounds`] for the others.

mod arith;
mod bounds;
mod guard;
mod home;
mod range;
mod shape;
mod spread;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use range::Range;
pub(crate) use shape::{Level, Shape};

use super::{Kernel, Label, Reg};
use crate::reflect::{Access, Slot};
use home::Homes;

/// What an index needs no check for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Bounds {
    /// It may lie outside.
    Unknown,
    /// It lies inside in the active invocations; an idle one may hold anything.
    Active,
    /// It lies inside in all invocations that run it together, the idle ones as well, if one value stands
    /// for each uniform register. What pads a workgroup to whole blocks is no invocation.
    Always,
}

/// The values of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// Of the active invocations.
    pub active: Range,
    /// Of all, as [`Bounds::Always`] has it.
    pub always: Range,
}

impl Known {
    const ANY: Self = Self { active: Range::ANY, always: Range::ANY };

    fn both(range: Range) -> Self {
        Self { active: range, always: range }
    }

    fn map(self, f: impl Fn(Range) -> Range) -> Self {
        Self { active: f(self.active), always: f(self.always) }
    }

    fn zip(self, other: Self, f: impl Fn(Range, Range) -> Range) -> Self {
        Self { active: f(self.active, other.active), always: f(self.always, other.always) }
    }

    fn or(self, other: Self) -> Self {
        self.zip(other, Range::or)
    }

    fn widen(self, next: Self) -> Self {
        self.zip(next, Range::widen)
    }
}

/// Everything that is known of a kernel.
#[derive(Debug)]
pub(crate) struct Facts {
    shapes: Vec<Shape>,
    loops: Vec<Level>,
    exits: Vec<Level>,
    bounds: Vec<Bounds>,
    made: Vec<Known>,
    natural: Vec<bool>,
}

impl Facts {
    /// Analyses a kernel with these bindings.
    pub(crate) fn of(kernel: &Kernel, slots: &[Slot]) -> Self {
        let read_only: Vec<bool> = slots.iter().map(|slot| slot.access != Access::ReadWrite).collect();
        let homes = Homes::of(kernel);
        let spread = spread::of(kernel, &homes, &read_only);
        let bounds::Found { bounds, made, natural } = bounds::of(kernel, &homes, &spread);
        Self { shapes: spread.shapes, loops: spread.loops, exits: spread.exits, bounds, made, natural }
    }

    /// How the values of a register lie over the active invocations, wherever it is read.
    ///
    /// One copy stands for a uniform register even where it is assigned by some invocations only: no
    /// other ever reads it again. A load from memory that may be written is uniform along `x` at most.
    /// The result of an index has this shape where it lies inside. What is assigned to a variable before its
    /// declaration, and so never read, may have another.
    pub(crate) fn shape(&self, reg: Reg) -> Shape {
        self.shapes[reg as usize]
    }

    /// How far apart invocations leave a loop, by its number in the order in which loops begin.
    pub(crate) fn loop_level(&self, number: usize) -> Level {
        self.loops[number]
    }

    /// How far apart invocations leave a scope through its exits: all of those in it at once, or not.
    pub(crate) fn exit_level(&self, label: Label) -> Level {
        self.exits[label as usize]
    }

    /// Whether the index with this result needs a check.
    pub(crate) fn bounds(&self, dst: Reg) -> Bounds {
        self.bounds[dst as usize]
    }

    /// Whether the unsigned operation with this result sees only words below 2^31 in active invocations, so
    /// that a signed one does the same.
    pub(crate) fn is_natural(&self, dst: Reg) -> bool {
        self.natural[dst as usize]
    }

    /// The values of a temporary.
    pub(crate) fn made(&self, temporary: Reg) -> Known {
        self.made[temporary as usize]
    }
}
