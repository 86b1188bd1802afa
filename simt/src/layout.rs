//! WGSL's memory layout, as data.
//!
//! Source: WGSL, "Memory Layout" (alignment and size table, structure and array layout rules).

use std::fmt;

/// A scalar as it lies in memory, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each variant is the WGSL type of that name")]
pub enum Scalar {
    Bool,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    F16,
    F32,
    F64,
}

impl Scalar {
    /// Size and alignment in bytes. `bool` never lies in a buffer; in workgroup memory it takes 4.
    pub const fn bytes(self) -> u32 {
        match self {
            Self::I16 | Self::U16 | Self::F16 => 2,
            Self::Bool | Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
        }
    }

    /// The WGSL name: `f32`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::I16 => "i16",
            Self::U16 => "u16",
            Self::I32 => "i32",
            Self::U32 => "u32",
            Self::I64 => "i64",
            Self::U64 => "u64",
            Self::F16 => "f16",
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }

    /// The scalar naga means, or none for its abstract kinds, which no valid module holds.
    pub(crate) fn of(scalar: naga::Scalar) -> Option<Self> {
        use naga::ScalarKind as Kind;
        Some(match (scalar.kind, scalar.width) {
            (Kind::Bool, _) => Self::Bool,
            (Kind::Sint, 2) => Self::I16,
            (Kind::Uint, 2) => Self::U16,
            (Kind::Sint, 4) => Self::I32,
            (Kind::Uint, 4) => Self::U32,
            (Kind::Sint, 8) => Self::I64,
            (Kind::Uint, 8) => Self::U64,
            (Kind::Float, 2) => Self::F16,
            (Kind::Float, 4) => Self::F32,
            (Kind::Float, 8) => Self::F64,
            _ => return None,
        })
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One member of a structure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name in the source.
    pub name: String,
    /// Bytes from the beginning of the structure.
    pub offset: u32,
    /// What lies there.
    pub layout: Layout,
}

/// How a WGSL type lies in memory. `Display` prints the WGSL type.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// `f32`
    Scalar(Scalar),
    /// `atomic<u32>`: lies as its scalar.
    Atomic(Scalar),
    /// `vec3<u32>`: components are packed; a `vec3` is aligned like a `vec4`.
    Vector {
        /// Components, 2 to 4.
        size: u32,
        /// Component type.
        scalar: Scalar,
    },
    /// `mat3x2<f32>`: an array of column vectors.
    Matrix {
        /// Column vectors, 2 to 4.
        columns: u32,
        /// Components of each, 2 to 4.
        rows: u32,
        /// Component type.
        scalar: Scalar,
    },
    /// `array<T, N>`, or `array<T>` whose length the buffer decides.
    Array {
        /// What each element is.
        element: Box<Layout>,
        /// Bytes from one element to the next.
        stride: u32,
        /// Elements, or none for a runtime-sized array.
        len: Option<u32>,
    },
    /// A structure.
    Struct {
        /// Its name in the source.
        name: String,
        /// Its members, in order.
        members: Vec<Member>,
        /// Bytes, padding at the end included; with one element where the last member is runtime-sized.
        size: u32,
        /// Alignment in bytes, of its members' types; naga folds `@align` into the offsets and `size`.
        align: u32,
    },
}

/// One scalar of a flattened layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// How WGSL would reach it from the variable: `light.color.x`, `w[3]`, `m[1].y`; empty for a plain scalar.
    pub path: String,
    /// Bytes from the beginning.
    pub offset: u64,
    /// What lies there.
    pub scalar: Scalar,
}

impl Layout {
    /// Size in bytes when the runtime-sized array, if there is one, has `elements` elements.
    ///
    /// Saturates at `u64::MAX`.
    pub fn bytes(&self, elements: u64) -> u64 {
        match self {
            Self::Scalar(scalar) | Self::Atomic(scalar) => scalar.bytes().into(),
            Self::Vector { size, scalar } => u64::from(size * scalar.bytes()),
            Self::Matrix { columns, rows, scalar } => u64::from(columns * column_stride(*rows, *scalar)),
            Self::Array { stride, len, .. } => u64::from(*stride).saturating_mul(len.map_or(elements, u64::from)),
            Self::Struct { members, size, align, .. } => match members.last() {
                Some(tail) if tail.layout.tail_stride().is_some() => u64::from(tail.offset)
                    .saturating_add(tail.layout.bytes(elements))
                    .checked_next_multiple_of(u64::from(*align))
                    .unwrap_or(u64::MAX),
                _ => u64::from(*size),
            },
        }
    }

    /// The fewest bytes a buffer needs to be bound as this: one element where the length is open.
    pub fn min_bytes(&self) -> u64 {
        self.bytes(1)
    }

    /// Alignment in bytes.
    pub fn align(&self) -> u32 {
        match self {
            Self::Scalar(scalar) | Self::Atomic(scalar) => scalar.bytes(),
            Self::Vector { size, scalar } => size.next_power_of_two() * scalar.bytes(),
            Self::Matrix { rows, scalar, .. } => rows.next_power_of_two() * scalar.bytes(),
            Self::Array { element, .. } => element.align(),
            Self::Struct { align, .. } => *align,
        }
    }

    /// Bytes from one element of the runtime-sized array to the next, or none where the size is fixed.
    pub fn tail_stride(&self) -> Option<u32> {
        match self {
            Self::Array { stride, len: None, .. } => Some(*stride),
            Self::Struct { members, .. } => members.last()?.layout.tail_stride(),
            _ => None,
        }
    }

    /// How many elements the runtime-sized array has in a buffer of `bytes`: what `arrayLength` answers.
    /// None where the size is fixed.
    pub fn elements_in(&self, bytes: u64) -> Option<u64> {
        let stride = u64::from(self.tail_stride()?);
        let start = match self {
            Self::Struct { members, .. } => u64::from(members.last()?.offset),
            _ => 0,
        };
        Some(bytes.saturating_sub(start) / stride)
    }

    /// The scalars in memory order, with `elements` elements in the runtime-sized array.
    pub fn scalars(&self, elements: u64) -> Vec<Leaf> {
        let mut leaves = Vec::new();
        self.flatten(String::new(), 0, elements, &mut leaves);
        leaves
    }

    fn flatten(&self, path: String, at: u64, elements: u64, out: &mut Vec<Leaf>) {
        match self {
            Self::Scalar(scalar) | Self::Atomic(scalar) => {
                out.push(Leaf { path, offset: at, scalar: *scalar });
            }
            Self::Vector { size, scalar } => {
                for (i, component) in ["x", "y", "z", "w"].iter().take(*size as usize).enumerate() {
                    let path = join(&path, component);
                    let offset = at + i as u64 * u64::from(scalar.bytes());
                    out.push(Leaf { path, offset, scalar: *scalar });
                }
            }
            Self::Matrix { columns, rows, scalar } => {
                let column = Self::Vector { size: *rows, scalar: *scalar };
                let stride = u64::from(column_stride(*rows, *scalar));
                for i in 0..u64::from(*columns) {
                    column.flatten(format!("{path}[{i}]"), at + i * stride, elements, out);
                }
            }
            Self::Array { element, stride, len } => {
                for i in 0..len.map_or(elements, u64::from) {
                    let offset = at + i * u64::from(*stride);
                    element.flatten(format!("{path}[{i}]"), offset, elements, out);
                }
            }
            Self::Struct { members, .. } => {
                for member in members {
                    let offset = at + u64::from(member.offset);
                    member.layout.flatten(join(&path, &member.name), offset, elements, out);
                }
            }
        }
    }

    /// The layout of `handle`, or none where the type does not lie in memory (a texture). A length that
    /// an override decides is known only once the overrides are `resolved`; before that, none too.
    pub(crate) fn of(module: &naga::Module, handle: naga::Handle<naga::Type>, resolved: bool) -> Option<Self> {
        let ty = &module.types[handle];
        Some(match &ty.inner {
            naga::TypeInner::Scalar(scalar) => Self::Scalar(Scalar::of(*scalar)?),
            naga::TypeInner::Atomic(scalar) => Self::Atomic(Scalar::of(*scalar)?),
            naga::TypeInner::Vector { size, scalar } => {
                Self::Vector { size: u32::from(*size), scalar: Scalar::of(*scalar)? }
            }
            naga::TypeInner::Matrix { columns, rows, scalar } => {
                Self::Matrix { columns: u32::from(*columns), rows: u32::from(*rows), scalar: Scalar::of(*scalar)? }
            }
            naga::TypeInner::Array { base, size, stride } => {
                let element = Box::new(Self::of(module, *base, resolved)?);
                let len = match size {
                    naga::ArraySize::Constant(len) => Some(len.get()),
                    naga::ArraySize::Dynamic => None,
                    naga::ArraySize::Pending(_) if !resolved => return None,
                    naga::ArraySize::Pending(_) => Some(fixed_len(module, *size)?),
                };
                Self::Array { element, stride: *stride, len }
            }
            naga::TypeInner::Struct { members, span } => {
                let mut align = 1;
                let members = members.iter().enumerate().map(|(i, member)| {
                    let layout = Self::of(module, member.ty, resolved)?;
                    align = align.max(layout.align());
                    let name = member.name.clone().unwrap_or_else(|| format!("_{i}"));
                    Some(Member { name, offset: member.offset, layout })
                });
                let members = members.collect::<Option<Vec<_>>>()?;
                let name = ty.name.clone().unwrap_or_default();
                Self::Struct { name, members, size: *span, align }
            }
            _ => return None,
        })
    }
}

/// The length of an array whose overrides have been resolved.
fn fixed_len(module: &naga::Module, size: naga::ArraySize) -> Option<u32> {
    match size.resolve(module.to_ctx()).ok()? {
        naga::proc::IndexableLength::Known(len) => Some(len),
        naga::proc::IndexableLength::Dynamic => None,
    }
}

/// Bytes from one column of a matrix to the next.
pub(crate) fn column_stride(rows: u32, scalar: Scalar) -> u32 {
    rows.next_power_of_two() * scalar.bytes()
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(scalar) => write!(f, "{scalar}"),
            Self::Atomic(scalar) => write!(f, "atomic<{scalar}>"),
            Self::Vector { size, scalar } => write!(f, "vec{size}<{scalar}>"),
            Self::Matrix { columns, rows, scalar } => write!(f, "mat{columns}x{rows}<{scalar}>"),
            Self::Array { element, len: Some(len), .. } => write!(f, "array<{element}, {len}>"),
            Self::Array { element, len: None, .. } => write!(f, "array<{element}>"),
            Self::Struct { name, .. } => f.write_str(name),
        }
    }
}
