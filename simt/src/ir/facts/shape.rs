//! How the values of a register lie over the invocations of a workgroup.

use crate::ir::{Binary, Input, Lane, Op, Reg, Root};

/// How far the invocations that run something together may disagree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Not at all.
    #[default]
    Uniform,
    /// Only if their `y` or `z` differ.
    Row,
    /// Each may go its own way.
    Lane,
}

/// The values of a register, for `x, y, z` = `local_invocation_id`. Sums and products wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `base + x * s[0] + y * s[1] + z * s[2]`, one base for the workgroup. Axes of one invocation have
    /// stride 0.
    Affine([u32; 3]),
    /// `base + x * stride`, one base for each row along `x`.
    Row(u32),
    /// Anything.
    Varying,
}

impl Shape {
    /// The same for the whole workgroup.
    pub(crate) const UNIFORM: Self = Self::Affine([0; 3]);

    /// What an input looks like in workgroups of this size.
    pub(super) fn of_input(input: Input, [nx, ny, nz]: [u32; 3]) -> Self {
        let unit = |axis: u8| {
            let mut strides = [0; 3];
            strides[usize::from(axis)] = u32::from([nx, ny, nz][usize::from(axis)] > 1);
            Self::Affine(strides)
        };
        match input {
            Input::GlobalId(axis) | Input::LocalId(axis) => unit(axis),
            Input::LocalIndex => {
                let stride = |size: u32, stride: u32| if size > 1 { stride } else { 0 };
                Self::Affine([stride(nx, 1), stride(ny, nx), stride(nz, nx.wrapping_mul(ny))])
            }
            Input::WorkgroupId(_) | Input::NumWorkgroups(_) | Input::Length(_) => Self::UNIFORM,
            Input::SubgroupInvocationId | Input::SubgroupId => Self::Varying,
        }
    }

    /// The stride along `x` within a row.
    pub(crate) fn along_x(self) -> Option<u32> {
        match self {
            Self::Affine([x, _, _]) | Self::Row(x) => Some(x),
            Self::Varying => None,
        }
    }

    /// The stride from one invocation to the next within each block of `width` invocations in order of
    /// their index, blocks beginning at multiples of `width`.
    pub(crate) fn along_block(self, [nx, ny, nz]: [u32; 3], width: u32) -> Option<u32> {
        let rows = ny.saturating_mul(nz);
        match self {
            _ if nx.is_multiple_of(width) || rows == 1 => self.along_x(),
            Self::Affine([x, y, z]) => {
                // The first axis with more than one invocation says how the others would go on.
                let plane = nx.wrapping_mul(ny);
                let step = if nx > 1 {
                    x
                } else if ny > 1 {
                    y
                } else {
                    z
                };
                let goes_on = (ny == 1 || y == step.wrapping_mul(nx)) && (nz == 1 || z == step.wrapping_mul(plane));
                goes_on.then_some(step)
            }
            _ => None,
        }
    }

    /// How far a condition of this shape parts the invocations.
    pub(crate) fn level(self) -> Level {
        match self {
            Self::UNIFORM => Level::Uniform,
            Self::Affine([0, _, _]) | Self::Row(0) => Level::Row,
            _ => Level::Lane,
        }
    }

    /// The shape of any function of values that agree as far as `level`.
    pub(super) fn at(level: Level) -> Self {
        match level {
            Level::Uniform => Self::UNIFORM,
            Level::Row => Self::Row(0),
            Level::Lane => Self::Varying,
        }
    }

    /// Either of two shapes; all take the same one.
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            _ if self == other => self,
            _ => match (self.along_x(), other.along_x()) {
                (Some(a), Some(b)) if a == b => Self::Row(a),
                _ => Self::Varying,
            },
        }
    }

    /// What is left of it where only those that agree as far as `level` are known to have it.
    pub(super) fn under(self, level: Level) -> Self {
        match (level, self.along_x()) {
            (Level::Uniform, _) => self,
            (Level::Row, Some(x)) => Self::Row(x),
            _ => Self::Varying,
        }
    }

    /// The sum with `other` times `sign`.
    fn plus(self, other: Self, sign: u32) -> Self {
        let sum = |a: u32, b: u32| a.wrapping_add(b.wrapping_mul(sign));
        match (self, other) {
            (Self::Affine(a), Self::Affine(b)) => Self::Affine([0, 1, 2].map(|axis| sum(a[axis], b[axis]))),
            _ => match (self.along_x(), other.along_x()) {
                (Some(a), Some(b)) => Self::Row(sum(a, b)),
                _ => Self::Varying,
            },
        }
    }

    fn times(self, factor: u32) -> Self {
        match self {
            Self::Affine(strides) => Self::Affine(strides.map(|stride| stride.wrapping_mul(factor))),
            Self::Row(stride) => Self::Row(stride.wrapping_mul(factor)),
            Self::Varying => Self::Varying,
        }
    }
}

/// What is asked about an instruction's surroundings.
pub(super) trait Known {
    /// The shape of a register, if anything was written there yet.
    fn shape(&self, reg: Reg) -> Option<Shape>;
    fn constant(&self, reg: Reg) -> Option<u32>;
    fn read_only(&self, binding: u32) -> bool;
}

/// The shape of what `op` writes, but for [`Op::Copy`] and [`Op::Set`]; none while an operand has none.
pub(super) fn result(op: &Op, known: &impl Known) -> Option<Shape> {
    let word = |ty: Lane| matches!(ty, Lane::I32 | Lane::U32);
    Some(match op {
        Op::Binary { op: op @ (Binary::Add | Binary::Sub), ty, a, b, .. } if word(*ty) => {
            let sign = if *op == Binary::Add { 1 } else { u32::MAX };
            known.shape(*a)?.plus(known.shape(*b)?, sign)
        }
        Op::Binary { op: Binary::Mul, ty, a, b, .. } if word(*ty) => match (known.constant(*a), known.constant(*b)) {
            (_, Some(factor)) => known.shape(*a)?.times(factor),
            (Some(factor), _) => known.shape(*b)?.times(factor),
            _ => operands(op, known)?,
        },
        Op::Binary { op: Binary::Shl, ty, a, b, .. } if word(*ty) => match known.constant(*b) {
            Some(bits) => known.shape(*a)?.times(1_u32.wrapping_shl(bits)),
            None => operands(op, known)?,
        },
        Op::Convert { from, to, a, .. } if word(*from) && word(*to) => known.shape(*a)?,
        Op::Select { ty, cond, yes, no, .. } if ty.words() == 1 => {
            known.shape(*yes)?.or(known.shape(*no)?).under(known.shape(*cond)?.level())
        }
        Op::Index { base, index, stride, .. } => {
            let offset = known.shape(*index)?.times(*stride);
            match base {
                Some(base) => known.shape(*base)?.plus(offset, 1),
                None => offset,
            }
        }
        Op::Load { place, .. } => {
            let addr = match place.addr {
                Some(addr) => known.shape(addr)?.level(),
                None => Level::Uniform,
            };
            // What may be written meanwhile is the same only for those that load together.
            let stable = match place.root {
                Root::Binding(slot) if known.read_only(slot) => Level::Uniform,
                Root::Binding(_) | Root::Workgroup => Level::Row,
                Root::Local => known.shape(place.offset)?.level(),
            };
            Shape::at(addr.max(stable))
        }
        Op::LoadUniform { .. } => Shape::UNIFORM,
        Op::Atomic { .. }
        | Op::CompareExchange { .. }
        | Op::Ballot { .. }
        | Op::Gather { .. }
        | Op::Collective { .. } => Shape::Varying,
        _ => operands(op, known)?,
    })
}

/// Any function of the operands.
fn operands(op: &Op, known: &impl Known) -> Option<Shape> {
    let mut level = Some(Level::Uniform);
    op.clone().registers(&mut |reg, words, how| {
        if how == crate::ir::Use::Read {
            for reg in *reg..*reg + words {
                let next = known.shape(reg).map(Shape::level);
                level = level.and_then(|level| Some(level.max(next?)));
            }
        }
    });
    level.map(Shape::at)
}
