//! The mid-level IR: one compute entry point, as a machine with one instruction stream and many lanes sees it.
//!
//! Calls are inlined, overrides resolved, vectors, matrices and structures taken apart into scalars.
//! A *register* holds one 32-bit word for every invocation of a workgroup; 64-bit scalars take two
//! registers in a row, low word first. `bool` is 0 or all ones. Half floats are kept as the `f32` of the
//! same value and 16-bit integers sign- or zero-extended, each rounded or wrapped after every operation.
//!
//! Temporaries are assigned at one place only and may be written for idle lanes too; variables change
//! with [`Op::Set`], which respects the active lanes. Control flow is structured: [`Node::Scope`] and
//! [`Node::Exit`] are what `break`, `continue`, `return` and `switch` have become.

pub(crate) mod alloc;
#[cfg(feature = "jit")]
#[cfg_attr(not(test), expect(dead_code, reason = "the tests hold more of it against runs than the compiler asks for"))]
pub(crate) mod facts;
pub(crate) mod forward;
pub(crate) mod op;
pub(crate) mod tail;
mod visit;

pub(crate) use alloc::Info;
use naga::Span;
pub(crate) use op::{Atomic, Binary, Collective, Combine, Gather, Lane, Op, Unary};
#[cfg(feature = "jit")]
pub(crate) use visit::{Use, each_op};

use crate::layout::Layout;

/// A register: an index, first virtual, then (after [`alloc::assign`]) of a row of the register file.
pub(crate) type Reg = u32;
/// A [`Node::Scope`]'s name; unique in the kernel.
pub(crate) type Label = u32;
/// Index into [`Kernel::variables`].
pub(crate) type VarId = u32;

/// Invocations of a subgroup: consecutive local invocation indices, the last subgroup may be partial.
pub(crate) const SUBGROUP: u32 = 16;

/// One compiled entry point. Lowering gives it on virtual registers; [`alloc::assign`] makes the
/// interpreter's copy.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    /// Invocations along x, y and z.
    pub workgroup: [u32; 3],
    /// Invocations in all.
    pub lanes: u32,
    /// The program.
    pub body: Vec<Node>,
    /// Registers that never change, and their bits.
    pub consts: Vec<(Reg, u32)>,
    /// Registers that hold what the dispatch, the workgroup or the invocation gives.
    pub inputs: Vec<(Reg, Input)>,
    /// What is known of each register.
    pub regs: Vec<Info>,
    /// How many labels there are.
    pub labels: u32,
    /// Words of workgroup memory.
    pub workgroup_words: u32,
    /// Every variable that lies in memory or in registers that are indexed at run time.
    pub variables: Vec<Variable>,
}

/// A variable of the source, so that a finding can name what an address belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Variable {
    /// Its name in the source.
    pub name: String,
    /// Where it lies.
    pub root: Root,
    /// Where it begins: a byte of the binding, a word of workgroup memory, a register.
    pub base: u32,
    /// What lies there.
    pub layout: Layout,
}

/// An instruction and where it came from.
#[derive(Clone, Debug)]
pub(crate) struct Inst {
    /// What it does.
    pub op: Op,
    /// The WGSL it was made from.
    pub at: Span,
}

/// A piece of structured control flow.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// Does one thing in every active lane.
    Inst(Inst),
    /// Splits the active lanes by a condition, and joins those again that reach the end.
    If {
        /// All ones where the lane takes `accept`.
        cond: Reg,
        /// For the lanes with the condition.
        accept: Vec<Node>,
        /// For the others.
        reject: Vec<Node>,
    },
    /// Runs `body`; lanes that left it by [`Node::Exit`] go on after it.
    Scope {
        /// What an exit names.
        label: Label,
        /// What is run.
        body: Vec<Node>,
    },
    /// Runs `body` again and again until no lane is left in it.
    Loop {
        /// What is run.
        body: Vec<Node>,
        /// The loop in the source.
        at: Span,
    },
    /// Takes the active lanes out of everything up to the end of the scope.
    Exit(Label),
    /// Every invocation of the workgroup waits here for the others.
    Barrier {
        /// Which memory it orders.
        scope: BarrierScope,
        /// Where it stands.
        at: Span,
    },
}

/// What a barrier orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BarrierScope {
    /// `storageBarrier()`
    pub storage: bool,
    /// `workgroupBarrier()`
    pub workgroup: bool,
    /// `subgroupBarrier()`: holds back a subgroup, not the workgroup.
    pub subgroup_only: bool,
}

/// A kind of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Root {
    /// A bound buffer, by its place among the entry point's bindings. Addresses are bytes in WGSL layout.
    Binding(u32),
    /// Workgroup memory. Addresses are words; every 32-bit scalar takes one.
    Workgroup,
    /// The lane's own registers. Addresses are registers.
    Local,
}

/// Where a load, store or atomic goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Which memory.
    pub root: Root,
    /// A register with an address per lane, made by [`Op::Index`]; [`NOWHERE`] where it is out of bounds.
    pub addr: Option<Reg>,
    /// Added to it.
    pub offset: u32,
    /// What is accessed, for messages.
    pub var: VarId,
    /// Whether an `atomic<T>` lies there.
    pub atomic: bool,
}

/// The address of an index out of bounds: loads from it give zero, stores to it do nothing.
pub(crate) const NOWHERE: u32 = u32::MAX;

/// How many elements an indexed array has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Len {
    /// So many.
    Fixed(u32),
    /// As many as the buffer bound to this binding holds.
    Runtime(u32),
}

/// What fills a register before a workgroup runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Input {
    GlobalId(u8),
    LocalId(u8),
    LocalIndex,
    WorkgroupId(u8),
    NumWorkgroups(u8),
    SubgroupInvocationId,
    SubgroupId,
    /// `arrayLength` of the binding.
    Length(u32),
}
