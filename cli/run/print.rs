//! The first values of the bindings that a kernel writes: to look at, without a file.

use std::fmt;

use half::f16;
use serde::{Serialize, Serializer};
use wharf::Device;
use wharf_simt::{Access, Leaf, Scalar, Slot};

use super::{bindings::Bound, values::Plain};
use crate::exit::{Failure, Outcome};

/// The beginning of a binding.
#[derive(Debug, Serialize)]
pub(super) struct Printed<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    layout: String,
    /// How many values there are in all.
    of: u64,
    values: Vec<Value>,
}

/// One value: an element of an array of scalars or vectors, else one of the numbers that it is made of.
#[derive(Debug, PartialEq, Serialize)]
#[serde(untagged)]
enum Value {
    Scalar(Number),
    Vector(Vec<Number>),
    Member { path: String, value: Number },
}

/// A number in its own type.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Number {
    Signed(i64),
    Unsigned(u64),
    F32(f32),
    F64(f64),
}

impl Number {
    /// The one that lies at the beginning of these bytes.
    fn of(scalar: Scalar, bytes: &[u8]) -> Self {
        fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
            *bytes.first_chunk().expect("a binding ends with a whole number")
        }
        match scalar {
            Scalar::U16 => Self::Unsigned(u16::from_le_bytes(first(bytes)).into()),
            Scalar::U32 => Self::Unsigned(u32::from_le_bytes(first(bytes)).into()),
            Scalar::U64 => Self::Unsigned(u64::from_le_bytes(first(bytes))),
            Scalar::I16 => Self::Signed(i16::from_le_bytes(first(bytes)).into()),
            Scalar::I32 => Self::Signed(i32::from_le_bytes(first(bytes)).into()),
            Scalar::I64 => Self::Signed(i64::from_le_bytes(first(bytes))),
            Scalar::F16 => Self::F32(f16::from_le_bytes(first(bytes)).into()),
            Scalar::F32 => Self::F32(f32::from_le_bytes(first(bytes))),
            Scalar::F64 => Self::F64(f64::from_le_bytes(first(bytes))),
            other => unreachable!("a buffer holds no {other}"),
        }
    }
}

/// As `--bind NAME=value:` takes it; the fewest digits that are this number in its type.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signed(number) => write!(f, "{number}"),
            Self::Unsigned(number) => write!(f, "{number}"),
            Self::F32(number) => write!(f, "{number:?}"),
            Self::F64(number) => write!(f, "{number:?}"),
        }
    }
}

/// JSON has no number that is infinite or none: these are strings.
impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Signed(number) => serializer.serialize_i64(number),
            Self::Unsigned(number) => serializer.serialize_u64(number),
            Self::F32(number) if number.is_finite() => serializer.serialize_f32(number),
            Self::F64(number) if number.is_finite() => serializer.serialize_f64(number),
            other => serializer.collect_str(&other),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(number) => write!(f, "{number}"),
            Self::Vector(numbers) => write!(f, "({})", listed(numbers)),
            Self::Member { path, value } => write!(f, "{path}={value}"),
        }
    }
}

/// `y = 1.0, 2.5, 4.0, ... (3 of 100)`
impl fmt::Display for Printed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, of, values, .. } = self;
        write!(f, "{name} = {}", listed(values))?;
        match values.len() {
            0 => f.write_str("nothing"),
            n if (n as u64) < *of => write!(f, ", ... ({n} of {of})"),
            _ => Ok(()),
        }
    }
}

fn listed(all: &[impl fmt::Display]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Where the first values of a binding lie.
struct Beginning {
    /// How many there are in all.
    of: u64,
    /// The scalars of each.
    values: Vec<Vec<Leaf>>,
    /// Each is a member of something, and its path says which.
    are_members: bool,
}

impl Beginning {
    /// At most `most` values of a binding of so many bytes.
    fn of(slot: &Slot, bytes: u64, most: u64) -> Self {
        let Some(plain) = Plain::of(&slot.layout) else {
            let layout = &slot.layout;
            let count = |elements| layout.scalars(elements).len() as u64;
            let of = match layout.elements_in(bytes) {
                Some(elements) => count(0) + elements * (count(1) - count(0)),
                None => count(0),
            };
            // Each element has a number at least.
            let elements = layout.elements_in(bytes).unwrap_or(0).min(most);
            let first = layout.scalars(elements).into_iter().take(usize::try_from(most).unwrap_or(usize::MAX));
            return Self { of, values: first.map(|leaf| vec![leaf]).collect(), are_members: true };
        };
        let (scalar, of) = (plain.element.scalar, bytes.div_ceil(plain.stride));
        let leaf = |at: u64, c: u32| Leaf { path: String::new(), offset: at + u64::from(c * scalar.bytes()), scalar };
        let element = |i: u64| (0..plain.element.size).map(|c| leaf(i * plain.stride, c)).collect();
        Self { of, values: (0..of.min(most)).map(element).collect(), are_members: false }
    }

    /// Bytes up to the end of the last of them, in whole words.
    fn bytes(&self) -> u64 {
        let last = self.values.last().and_then(|leaves| leaves.last());
        last.map_or(0, |Leaf { offset, scalar, .. }| (offset + u64::from(scalar.bytes())).next_multiple_of(4))
    }

    fn read(self, bytes: &[u8]) -> Vec<Value> {
        let number = |leaf: &Leaf| Number::of(leaf.scalar, &bytes[leaf.offset as usize..]);
        let value = |leaves: Vec<Leaf>| match &leaves[..] {
            [leaf] if self.are_members => Value::Member { path: leaf.path.clone(), value: number(leaf) },
            [leaf] => Value::Scalar(number(leaf)),
            leaves => Value::Vector(leaves.iter().map(number).collect()),
        };
        self.values.into_iter().map(value).collect()
    }
}

/// Says early whether there is anything to print.
pub(super) fn check(slots: &[Slot]) -> Outcome {
    if slots.iter().any(is_written) {
        return Ok(());
    }
    Err(Failure::usage("--print: the kernel writes no binding"))
}

fn is_written(slot: &Slot) -> bool {
    slot.access == Access::ReadWrite
}

/// The first values, `most` of each, of the bindings that the kernel may write, as they are on the device now.
pub(super) fn first<'a>(device: &Device, bound: &'a [Bound<'_>], most: u64) -> Outcome<Vec<Printed<'a>>> {
    let written = bound.iter().filter(|bound| is_written(bound.slot));
    written
        .map(|Bound { slot, buffer, .. }| {
            let buffer = buffer.as_ref().expect("what is written has a buffer");
            let beginning = Beginning::of(slot, buffer.len() as u64, most);
            let (of, bytes) = (beginning.of, buffer.len().min(beginning.bytes() as usize));
            let bytes = device.download(buffer).range(0..bytes).label(&slot.name).wait()?;
            let values = beginning.read(&bytes);
            Ok(Printed { name: &slot.name, layout: slot.layout.to_string(), of, values })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is printed of a binding of this WGSL type, and its JSON.
    fn printed(ty: &str, bytes: &[u8], most: u64) -> (String, serde_json::Value) {
        let module = wharf_simt::Module::new(&format!(
            "struct P {{ n: u32, color: vec3<f32>, w: array<i32, 2> }}
             struct T {{ n: u32, pairs: array<vec2<i32>> }}
             @group(0) @binding(0) var<storage, read_write> b: {ty};
             @compute @workgroup_size(1) fn main() {{ let p = &b; }}"
        ));
        let slot = module.expect("valid").entries()[0].bindings[0].clone();
        let beginning = Beginning::of(&slot, bytes.len() as u64, most);
        let (of, end) = (beginning.of, (beginning.bytes() as usize).min(bytes.len()));
        let printed = Printed { name: "b", layout: ty.into(), of, values: beginning.read(&bytes[..end]) };
        (printed.to_string(), serde_json::to_value(&printed.values).expect("plain data"))
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn elements_are_printed_in_their_own_type() {
        let floats = [0.1_f32, 1.0, -2.5e30, f32::NAN].map(f32::to_bits);
        let (text, json) = printed("array<f32>", &words(&floats), 10);
        assert_eq!(text, "b = 0.1, 1.0, -2.5e30, NaN");
        assert_eq!(json[3], "NaN");
        assert_eq!(serde_json::to_string(&Number::F32(0.1)).expect("a number"), "0.1");
        let ints = words(&[u32::MAX, 7, 9]);
        assert_eq!(printed("array<i32>", &ints, 2).0, "b = -1, 7, ... (2 of 3)");
        assert_eq!(printed("array<atomic<u32>>", &ints, 1).0, "b = 4294967295, ... (1 of 3)");
        let (text, json) = printed("array<vec3<u32>>", &words(&[1, 2, 3, 0, 4, 5, 6, 0]), 2);
        assert_eq!(text, "b = (1, 2, 3), (4, 5, 6)");
        assert_eq!(json, serde_json::json!([[1, 2, 3], [4, 5, 6]]));
        assert_eq!(printed("vec2<f32>", &words(&[0, 0x3f80_0000]), 5).0, "b = (0.0, 1.0)");
        assert_eq!(printed("array<u32, 3>", &ints, 1).0, "b = 4294967295, ... (1 of 3)");
    }

    #[test]
    fn members_are_printed_with_their_paths() {
        let f = f32::to_bits;
        let bytes = words(&[7, 0, 0, 0, f(1.5), f(-2.0), f(f32::INFINITY), 8, u32::MAX, 0, 0, 0]);
        let (text, json) = printed("P", &bytes, 5);
        assert_eq!(text, "b = n=7, color.x=1.5, color.y=-2.0, color.z=inf, w[0]=8, ... (5 of 6)");
        assert_eq!(json[0], serde_json::json!({ "path": "n", "value": 7 }));
        let (text, _) = printed("T", &words(&[3, 0, 1, 2, 3, 4, 5, 6]), 3);
        assert_eq!(text, "b = n=3, pairs[0].x=1, pairs[0].y=2, ... (3 of 7)");
        assert!(printed("T", &words(&[3, 0, 1, 2]), 9).0.ends_with("pairs[0].y=2"));
    }
}
