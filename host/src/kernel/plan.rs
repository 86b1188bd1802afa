//! Kernels of several passes.

use super::Kernel;

/// Several launches and their scratch memory, as data: what a kernel of several passes is.
#[derive(Debug)]
pub struct Plan {
    /// The name, as errors print it.
    pub name: &'static str,
    /// How many buffers the caller binds.
    pub bindings: usize,
    /// Scratch buffers that live as long as the launch.
    pub scratch: &'static [Scratch],
    /// The launches, in order.
    pub steps: &'static [Step],
}

/// One scratch buffer of a [`Plan`].
#[derive(Debug, Clone, Copy)]
pub struct Scratch {
    /// Elements it has, from the element counts of the caller's buffers.
    pub elements: fn(&[u64]) -> u64,
    /// Bytes of an element.
    pub element_bytes: u64,
}

/// One launch of a [`Plan`].
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// The kernel.
    pub kernel: &'static Kernel,
    /// What each of its storage bindings is, in order.
    pub operands: &'static [Operand],
}

/// A buffer in a [`Step`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operand {
    /// The caller's buffer of that number.
    Caller(usize),
    /// The plan's scratch buffer of that number.
    Scratch(usize),
}
