//! What an instruction does.

use super::{Len, Place, Reg};
use crate::layout::Scalar;

/// How the bits of a register are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    Bool,
    I32,
    U32,
    F32,
    I64,
    U64,
    F64,
}

impl Lane {
    /// The lane type that carries a scalar.
    pub(crate) fn of(scalar: Scalar) -> Self {
        match scalar {
            Scalar::Bool => Self::Bool,
            Scalar::I16 | Scalar::I32 => Self::I32,
            Scalar::U16 | Scalar::U32 => Self::U32,
            Scalar::F16 | Scalar::F32 => Self::F32,
            Scalar::I64 => Self::I64,
            Scalar::U64 => Self::U64,
            Scalar::F64 => Self::F64,
        }
    }

    /// Registers it takes.
    pub(crate) fn words(self) -> u32 {
        match self {
            Self::Bool | Self::I32 | Self::U32 | Self::F32 => 1,
            Self::I64 | Self::U64 | Self::F64 => 2,
        }
    }
}

/// One instruction. `dst` is always written, the other registers read.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// Makes a temporary from `words` registers in a row.
    Copy { dst: Reg, src: Reg, words: u32 },
    /// Assigns to a variable, in the active lanes.
    Set { dst: Reg, src: Reg, words: u32 },
    /// `dst = op(a)`
    Unary { op: Unary, ty: Lane, dst: Reg, a: Reg },
    /// `dst = to(a)`, with WGSL's rules for value conversion.
    Convert { from: Lane, to: Lane, dst: Reg, a: Reg },
    /// `dst = op(a, b)`
    Binary { op: Binary, ty: Lane, dst: Reg, a: Reg, b: Reg },
    /// `dst = cond ? yes : no`
    Select { ty: Lane, dst: Reg, cond: Reg, yes: Reg, no: Reg },
    /// The address of an element: `base + index * stride`, or [`super::NOWHERE`] where `index >= len` or
    /// the base is nowhere.
    Index { dst: Reg, base: Option<Reg>, index: Reg, stride: u32, len: Len },
    /// Reads a scalar. Out of bounds it is zero.
    Load { dst: Reg, ty: Scalar, place: Place },
    /// Reads a scalar of workgroup memory that is the same for every invocation; they must agree on where.
    LoadUniform { dst: Reg, ty: Scalar, place: Place },
    /// Writes a scalar in the active lanes. Out of bounds it does nothing.
    Store { src: Reg, ty: Scalar, place: Place },
    /// Reads, combines and writes at once, in the active lanes. Out of bounds it gives zero.
    Atomic { op: Atomic, ty: Scalar, dst: Reg, place: Place, value: Reg },
    /// Writes `value` where `compare` was found.
    CompareExchange { ty: Scalar, old: Reg, exchanged: Reg, place: Place, compare: Reg, value: Reg },
    /// One bit for each active lane of the subgroup that has the condition; four registers in a row.
    Ballot { dst: Reg, cond: Option<Reg> },
    /// Takes the value of another lane of the subgroup.
    Gather { mode: Gather, ty: Lane, dst: Reg, value: Reg, index: Option<Reg> },
    /// Combines over the active lanes of the subgroup.
    Collective { op: Combine, how: Collective, ty: Lane, dst: Reg, value: Reg },
}

/// Operations of one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Unary {
    /// `-a`
    Negate,
    /// `~a`, and `!a` of a bool.
    Not,
    Abs,
    Sign,
    Ceil,
    Floor,
    Round,
    Trunc,
    Sqrt,
    InverseSqrt,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Tanh,
    Asinh,
    Acosh,
    Atanh,
    Exp,
    Exp2,
    Log,
    Log2,
    /// The fraction of `frexp`.
    FrexpFraction,
    /// The exponent of `frexp`, as `i32`.
    FrexpExponent,
    IsNan,
    IsInf,
    CountOneBits,
    CountLeadingZeros,
    CountTrailingZeros,
    FirstLeadingBit,
    FirstTrailingBit,
    ReverseBits,
    /// Rounds an `f32` to the nearest `f16`, and keeps it as `f32`.
    Quantize,
    /// The 16 bits of an `f16` kept as `f32`.
    HalfToBits,
    /// The `f32` of an `f16` given by its 16 bits.
    HalfFromBits,
    /// Keeps the low 16 bits, as a signed number.
    SignExtend16,
    /// Keeps the low 16 bits, as an unsigned number.
    ZeroExtend16,
}

/// Operations of two operands of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    And,
    Or,
    Xor,
    /// `b` is `u32`, taken modulo the width.
    Shl,
    /// As `Shl`; keeps the sign of signed numbers.
    Shr,
    Min,
    Max,
    /// Comparisons give a bool.
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Pow,
    Atan2,
    /// `a * 2^b`; `b` is `i32`.
    Ldexp,
}

/// What an atomic combines with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Atomic {
    Add,
    Sub,
    And,
    Or,
    Xor,
    Min,
    Max,
    Exchange,
}

/// Which lane of the subgroup a value is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Gather {
    BroadcastFirst,
    Broadcast,
    Shuffle,
    ShuffleDown,
    ShuffleUp,
    ShuffleXor,
    QuadBroadcast,
    /// Swaps with the lane whose number differs in these bits.
    QuadSwap(u8),
}

/// What a collective operation combines with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Combine {
    All,
    Any,
    Add,
    Mul,
    Min,
    Max,
    And,
    Or,
    Xor,
}

/// How far a collective operation reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Collective {
    /// All active lanes.
    Reduce,
    /// The active lanes up to this one.
    Inclusive,
    /// The active lanes before this one.
    Exclusive,
}

impl Unary {
    /// What it gives, applied to `ty`.
    pub(crate) fn result(self, ty: Lane) -> Lane {
        match self {
            Self::IsNan | Self::IsInf => Lane::Bool,
            Self::FrexpExponent => Lane::I32,
            Self::HalfToBits => Lane::U32,
            Self::HalfFromBits => Lane::F32,
            _ => ty,
        }
    }
}

impl Binary {
    /// What it gives, applied to `ty`.
    pub(crate) fn result(self, ty: Lane) -> Lane {
        match self {
            Self::Eq | Self::Ne | Self::Lt | Self::Le | Self::Gt | Self::Ge => Lane::Bool,
            _ => ty,
        }
    }

    /// The type of the second operand, where the first is `ty`.
    pub(crate) fn second(self, ty: Lane) -> Lane {
        match self {
            Self::Shl | Self::Shr => Lane::U32,
            Self::Ldexp => Lane::I32,
            _ => ty,
        }
    }
}
