//! Types of the generated programs, and what is known of a float.

pub(crate) use wharf_simt::Scalar;

/// The type of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ty {
    Scalar(Scalar),
    /// Components and their type.
    Vector(u32, Scalar),
    /// Columns and rows, of `f32`.
    Matrix(u32, u32),
}

/// The type of a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Leaf(Ty),
    Array(Box<Shape>, u32),
    /// Index into the module's structures.
    Struct(usize),
}

/// A float that no implementation may round: a multiple of `2^-grain` of at most `2^most`.
///
/// Sums and products of such numbers are exact in any order as long as all bits fit, so every
/// implementation must agree on them; that makes them fit for comparisons, indices and conversions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Class {
    pub(crate) most: i32,
    pub(crate) grain: i32,
}

pub(crate) const BOOL: Ty = Ty::Scalar(Scalar::Bool);
pub(crate) const I32: Ty = Ty::Scalar(Scalar::I32);
pub(crate) const U32: Ty = Ty::Scalar(Scalar::U32);
pub(crate) const F32: Ty = Ty::Scalar(Scalar::F32);

/// What is kept of a float.
pub(crate) fn is_float(scalar: Scalar) -> bool {
    matches!(scalar, Scalar::F16 | Scalar::F32 | Scalar::F64)
}

pub(crate) fn is_signed(scalar: Scalar) -> bool {
    is_float(scalar) || matches!(scalar, Scalar::I16 | Scalar::I32 | Scalar::I64)
}

impl Ty {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Scalar(scalar) => scalar.name().to_owned(),
            Self::Vector(n, scalar) => format!("vec{n}<{scalar}>"),
            Self::Matrix(columns, rows) => format!("mat{columns}x{rows}<f32>"),
        }
    }

    pub(crate) fn scalar(self) -> Scalar {
        match self {
            Self::Scalar(scalar) | Self::Vector(_, scalar) => scalar,
            Self::Matrix(..) => Scalar::F32,
        }
    }

    /// The same shape of another scalar; a matrix stays what it is.
    pub(crate) fn of(self, scalar: Scalar) -> Self {
        match self {
            Self::Scalar(_) => Self::Scalar(scalar),
            Self::Vector(n, _) => Self::Vector(n, scalar),
            Self::Matrix(..) => self,
        }
    }
}

impl Class {
    /// Whole numbers that `f32` conversions of flags and signs give.
    pub(crate) const UNIT: Self = Self { most: 0, grain: 0 };

    pub(crate) const fn new(most: i32, grain: i32) -> Self {
        Self { most, grain }
    }

    /// What variables hold, so that a few operations fit before a number is tamed again.
    pub(crate) fn tame(scalar: Scalar) -> Self {
        if scalar == Scalar::F16 { Self::new(3, 1) } else { Self::new(6, 2) }
    }

    /// Whether a float of this type holds every such number and every partial sum.
    pub(crate) fn fits(self, scalar: Scalar) -> bool {
        self.most + self.grain <= if scalar == Scalar::F16 { 11 } else { 24 }
    }

    pub(crate) fn within(self, other: Self) -> bool {
        self.most <= other.most && self.grain <= other.grain
    }

    pub(crate) fn join(self, other: Self) -> Self {
        Self::new(self.most.max(other.most), self.grain.max(other.grain))
    }

    pub(crate) fn sum(self, other: Self) -> Self {
        let both = self.join(other);
        Self::new(both.most + 1, both.grain)
    }

    pub(crate) fn product(self, other: Self) -> Self {
        Self::new(self.most + other.most, self.grain + other.grain)
    }
}

/// An expression.
#[derive(Clone, Debug)]
pub(crate) struct Expr {
    pub(crate) text: String,
    pub(crate) ty: Ty,
    /// Of floats; of others it says nothing.
    pub(crate) class: Class,
    /// Whether it is a constant expression, in which WGSL makes overflow and division by zero errors.
    pub(crate) constant: bool,
}

impl Expr {
    pub(crate) fn new(text: String, ty: Ty, class: Class) -> Self {
        Self { text, ty, class, constant: false }
    }
}
