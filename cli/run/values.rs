//! Making a binding's bytes from its SPEC, laid out by the WGSL's own types.

use std::{fs, path::Path};

use half::f16;
use wharf_simt::{Access, Layout, Leaf, Scalar, Slot};

use super::{
    npy,
    numbers::{Bytes, number, refusal},
    spec::{Element, Spec},
};
use crate::exit::{Failure, Outcome};

/// A binding that is a scalar, a vector, or an array of them.
pub(crate) struct Plain {
    pub(crate) element: Element,
    /// Bytes from one element to the next.
    pub(crate) stride: u64,
    /// Elements, where the type says.
    len: Option<u64>,
    /// Whether it is an array at all.
    pub(crate) is_array: bool,
}

impl Plain {
    /// `None` for structures, matrices and arrays of arrays.
    pub(crate) fn of(layout: &Layout) -> Option<Self> {
        let element = |layout: &Layout| match *layout {
            Layout::Scalar(scalar) | Layout::Atomic(scalar) => Some(Element { scalar, size: 1 }),
            Layout::Vector { size, scalar } => Some(Element { scalar, size }),
            _ => None,
        };
        match layout {
            Layout::Array { element: inner, stride, len } => Some(Self {
                element: element(inner)?,
                stride: u64::from(*stride),
                len: len.map(u64::from),
                is_array: true,
            }),
            single => Some(Self { element: element(single)?, stride: single.bytes(1), len: Some(1), is_array: false }),
        }
    }

    fn element_bytes(&self) -> u64 {
        u64::from(self.element.size * self.element.scalar.bytes())
    }

    /// The components of bytes in WGSL layout, without padding.
    pub(crate) fn packed(&self, bytes: &[u8]) -> Vec<u8> {
        let elements = bytes.chunks(self.stride as usize);
        elements.flat_map(|element| element.iter().take(self.element_bytes() as usize)).copied().collect()
    }

    /// Elements of bytes in WGSL layout.
    pub(crate) fn elements(&self, bytes: &[u8]) -> u64 {
        (bytes.len() as u64).div_ceil(self.stride)
    }
}

/// Bytes that [`make`] will give, or a little more: known without making them.
pub(crate) fn bytes_of(slot: &Slot, spec: &Spec, limit: u64) -> Outcome<u64> {
    match spec {
        Spec::Bin(path) | Spec::Npy(path) | Spec::Raw(path, _) => {
            fs::metadata(path).map(|file| file.len()).map_err(|e| Failure::file(path, &e))
        }
        Spec::Zeros(element, n) | Spec::Fresh(element, n) | Spec::Iota(element, n) | Spec::Random(element, n, _) => {
            let bytes = size(slot, &typed(slot, *element)?, *n, limit)?;
            check_size(slot, bytes, limit).map(|()| bytes)
        }
        Spec::Values(values) => Ok(8 * values.len() as u64),
    }
}

/// Whether the contents never pass through the host: device memory is cleared, or left as it is.
pub(crate) fn is_made_on_device(slot: &Slot, spec: &Spec) -> bool {
    slot.access != Access::Uniform && matches!(spec, Spec::Zeros(..) | Spec::Fresh(..))
}

/// The bytes that `spec` gives to `slot`, of at most `limit` bytes.
pub(crate) fn make(slot: &Slot, spec: &Spec, limit: u64) -> Outcome<Vec<u8>> {
    let wrong = |what: std::fmt::Arguments<'_>| Failure::usage(format_args!("binding `{}`: {what}", slot.name));
    let bytes = match spec {
        Spec::Bin(path) => read(path)?,
        Spec::Npy(path) => from_npy(slot, path, &read(path)?)?,
        Spec::Raw(path, scalar) => {
            let data = read(path)?;
            let plain = plain(slot)?;
            if plain.element.scalar != *scalar {
                return Err(wrong(format_args!("{} is {}, {} is given", slot.name, slot.layout, path.display())));
            }
            let whole = plain.element_bytes();
            if !(data.len() as u64).is_multiple_of(whole) {
                let (len, element) = (data.len(), plain.element);
                return Err(wrong(format_args!("{}: {len} bytes are no whole number of {element}", path.display())));
            }
            spread(slot, &plain, data.len() as u64 / whole, limit, |k| {
                let at = k as usize * scalar.bytes() as usize;
                data[at..at + scalar.bytes() as usize].iter().copied().collect()
            })?
        }
        Spec::Zeros(element, n) | Spec::Fresh(element, n) => {
            let plain = typed(slot, *element)?;
            vec![0; size(slot, &plain, *n, limit)? as usize]
        }
        Spec::Iota(element, n) => {
            let scalar = element.scalar;
            spread(slot, &typed(slot, *element)?, *n, limit, |k| counted(scalar, k))?
        }
        Spec::Random(element, n, seed) => {
            let (scalar, mut state) = (element.scalar, *seed);
            spread(slot, &typed(slot, *element)?, *n, limit, |_| random(scalar, split_mix_64(&mut state)))?
        }
        Spec::Values(values) => from_values(slot, values)?,
    };
    check_size(slot, bytes.len() as u64, limit)?;
    Ok(bytes)
}

fn read(path: &Path) -> Outcome<Vec<u8>> {
    fs::read(path).map_err(|e| Failure::file(path, &e))
}

/// The slot as scalars or vectors.
fn plain(slot: &Slot) -> Outcome<Plain> {
    Plain::of(&slot.layout).ok_or_else(|| {
        Failure::usage(format_args!("binding `{}`: {} takes value:V,V,... or a .bin file", slot.name, slot.layout))
    })
}

/// The slot, which must have elements of this type.
fn typed(slot: &Slot, element: Element) -> Outcome<Plain> {
    let plain = plain(slot)?;
    if plain.element == element {
        return Ok(plain);
    }
    Err(Failure::usage(format_args!("binding `{}`: is {}, not of {element}", slot.name, slot.layout)))
}

/// Bytes of `n` elements.
fn size(slot: &Slot, plain: &Plain, n: u64, limit: u64) -> Outcome<u64> {
    if let Some(len) = plain.len.filter(|&len| len != n) {
        return Err(Failure::usage(format_args!(
            "binding `{}`: {} has {len} elements, {n} are given",
            slot.name, slot.layout
        )));
    }
    let bytes = n.saturating_mul(plain.stride);
    check_size(slot, bytes, limit).map(|()| bytes)
}

fn check_size(slot: &Slot, bytes: u64, limit: u64) -> Outcome {
    let Slot { name, layout, min_bytes, .. } = slot;
    if bytes > limit {
        return Err(Failure::usage(format_args!(
            "binding `{name}`: {bytes} bytes are over the device's limit of {limit} bytes for a binding"
        )));
    }
    if bytes < *min_bytes {
        return Err(Failure::usage(format_args!(
            "binding `{name}`: {layout} needs at least {min_bytes} bytes, got {bytes}"
        )));
    }
    let fits = match layout.elements_in(bytes) {
        Some(n) => layout.bytes(n) == bytes,
        None => bytes == *min_bytes,
    };
    if !fits {
        return Err(Failure::usage(format_args!("binding `{name}`: {bytes} bytes are no whole {layout}")));
    }
    Ok(())
}

/// `n` elements whose components, in order, are what `component` gives; padding is zero.
fn spread(slot: &Slot, plain: &Plain, n: u64, limit: u64, mut component: impl FnMut(u64) -> Bytes) -> Outcome<Vec<u8>> {
    let mut bytes = vec![0; size(slot, plain, n, limit)? as usize];
    let (components, width) = (u64::from(plain.element.size), plain.element.scalar.bytes() as usize);
    for i in 0..n {
        for c in 0..components {
            let at = (i * plain.stride) as usize + c as usize * width;
            bytes[at..at + width].copy_from_slice(component(i * components + c).as_slice());
        }
    }
    Ok(bytes)
}

fn counted(scalar: Scalar, k: u64) -> Bytes {
    match scalar {
        Scalar::F32 => (k as f32).to_le_bytes().into_iter().collect(),
        Scalar::F16 => f16::from_f64(k as f64).to_le_bytes().into_iter().collect(),
        _ => (k as u32).to_le_bytes().into_iter().collect(),
    }
}

/// Floats in [0, 1), integers over their full range.
fn random(scalar: Scalar, bits: u64) -> Bytes {
    match scalar {
        Scalar::F32 => ((bits >> 40) as f32 / (1_u32 << 24) as f32).to_le_bytes().into_iter().collect(),
        Scalar::F16 => f16::from_f64((bits >> 53) as f64 / 2048.0).to_le_bytes().into_iter().collect(),
        _ => ((bits >> 32) as u32).to_le_bytes().into_iter().collect(),
    }
}

/// Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
fn split_mix_64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn from_npy(slot: &Slot, path: &Path, bytes: &[u8]) -> Outcome<Vec<u8>> {
    let array = npy::read(bytes).map_err(|e| Failure::usage(format_args!("{}: {e}", path.display())))?;
    let plain = plain(slot)?;
    let Element { scalar, size } = plain.element;
    let is_whole = size == 1 || array.shape.last() == Some(&u64::from(size));
    if array.scalar != scalar || !is_whole {
        return Err(Failure::usage(format_args!(
            "binding `{}`: is {}, {} has {} of shape {:?}",
            slot.name,
            slot.layout,
            path.display(),
            array.scalar,
            array.shape
        )));
    }
    let n = array.data.len() as u64 / plain.element_bytes();
    let width = scalar.bytes() as usize;
    spread(slot, &plain, n, u64::MAX, |k| array.data[k as usize * width..][..width].iter().copied().collect())
}

/// Numbers in the order of the type's scalars; as many elements of a runtime-sized array as there
/// are numbers for.
fn from_values(slot: &Slot, values: &[String]) -> Outcome<Vec<u8>> {
    let Slot { name, layout, .. } = slot;
    let given = values.len() as u64;
    let fixed = layout.scalars(0).len() as u64;
    let elements = if layout.tail_stride().is_some() {
        let per_element = layout.scalars(1).len() as u64 - fixed;
        match given.checked_sub(fixed).filter(|rest| rest % per_element == 0) {
            Some(rest) => rest / per_element,
            None => {
                return Err(Failure::usage(format_args!(
                    "binding `{name}`: {layout} takes {fixed} numbers and {per_element} for each element, got {given}"
                )));
            }
        }
    } else if given == fixed {
        0
    } else {
        return Err(Failure::usage(format_args!("binding `{name}`: {layout} takes {fixed} numbers, got {given}")));
    };
    let mut bytes = vec![0; layout.bytes(elements) as usize];
    for (Leaf { path, offset, scalar }, text) in layout.scalars(elements).iter().zip(values) {
        let value = number(*scalar, text).ok_or_else(|| {
            let what = refusal(*scalar, text);
            Failure::usage(format_args!("binding `{name}`: `{text}` is {what} for {name}{}", reach(path)))
        })?;
        bytes[*offset as usize..][..value.1].copy_from_slice(value.as_slice());
    }
    Ok(bytes)
}

/// How WGSL reaches the scalar from the variable.
fn reach(path: &str) -> String {
    if path.is_empty() || path.starts_with('[') { path.to_owned() } else { format!(".{path}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots() -> Vec<Slot> {
        let module = wharf_simt::Module::new(
            "struct P { n: u32, color: vec3<f32>, w: array<i32, 2> }
             @group(0) @binding(0) var<storage, read> p: P;
             @group(0) @binding(1) var<storage, read> v: array<vec3<u32>>;
             @group(0) @binding(2) var<storage, read_write> a: array<atomic<u32>>;
             @group(0) @binding(3) var<storage, read_write> f: array<f32, 4>;
             @compute @workgroup_size(1) fn main() { a[0] = v[0].x + p.n + u32(f[0]); }",
        );
        let module = module.expect("valid");
        module.entries()[0].bindings.clone()
    }

    fn made(slot: usize, spec: &str) -> Result<Vec<u8>, String> {
        make(&slots()[slot], &spec.parse().expect("a SPEC"), 1 << 20).map_err(|failure| failure.line)
    }

    fn words(bytes: &[u8]) -> Vec<u32> {
        bytemuck::pod_collect_to_vec(bytes)
    }

    #[test]
    fn numbers_follow_the_structure_and_its_padding() {
        let bytes = made(0, "value:7,1.5,-2,0.25,-1,-2").expect("six numbers");
        let f = f32::to_bits;
        let (minus_1, minus_2) = (u32::MAX, u32::MAX - 1);
        assert_eq!(words(&bytes), [7, 0, 0, 0, f(1.5), f(-2.0), f(0.25), minus_1, minus_2, 0, 0, 0]);
    }

    #[test]
    fn infinity_is_a_number_where_it_is_meant() {
        let [inf, one] = [f32::INFINITY, 1.0].map(f32::to_bits);
        assert_eq!(words(&made(3, "value:inf,-inf,1,1").expect("four")), [inf, inf | 1 << 31, one, one]);
    }

    #[test]
    fn a_vec3_is_counted_without_its_padding_and_laid_out_with_it() {
        assert_eq!(words(&made(1, "iota:vec3<u32>:2").expect("two")), [0, 1, 2, 0, 3, 4, 5, 0]);
        assert_eq!(words(&made(1, "value:9,8,7").expect("one")), [9, 8, 7, 0]);
        let plain = Plain::of(&slots()[1].layout).expect("vectors");
        assert_eq!(words(&plain.packed(&made(1, "iota:vec3<u32>:2").expect("two"))), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn random_numbers_are_split_mix_64() {
        // The first two outputs for seed 0, as in the reference implementation.
        let mut state = 0;
        assert_eq!(split_mix_64(&mut state), 0xe220_a839_7b1d_cdaf);
        assert_eq!(split_mix_64(&mut state), 0x6e78_9e6a_a1b9_65f4);
        assert_eq!(words(&made(2, "random:atomic<u32>:2").expect("two")), [0xe220_a839, 0x6e78_9e6a]);
        let floats: Vec<f32> = bytemuck::pod_collect_to_vec(&made(3, "random:f32:4:1").expect("four"));
        assert!(floats.iter().all(|f| (0.0..1.0).contains(f)), "{floats:?}");
    }

    #[test]
    fn what_does_not_fit_says_what_would() {
        for (slot, spec, expected) in [
            (0, "zeros:u32:4", "binding `p`: P takes value:V,V,... or a .bin file"),
            (0, "value:1,2", "binding `p`: P takes 6 numbers, got 2"),
            (0, "value:-1,1,1,1,1,1", "binding `p`: `-1` is no u32 for p.n"),
            (3, "value:0,1,2,1e40", "binding `f`: `1e40` is out of the range of f32 for f[3]"),
            (3, "value:0,1,2,-1e999", "binding `f`: `-1e999` is out of the range of f32 for f[3]"),
            (1, "value:1,2", "binding `v`: array<vec3<u32>> takes 0 numbers and 3 for each element, got 2"),
            (1, "zeros:u32:4", "binding `v`: is array<vec3<u32>>, not of u32"),
            (2, "zeros:f32:4", "binding `a`: is array<atomic<u32>>, not of f32"),
            (2, "zeros:u32:0", "binding `a`: array<atomic<u32>> needs at least 4 bytes, got 0"),
            (3, "zeros:f32:5", "binding `f`: array<f32, 4> has 4 elements, 5 are given"),
            (
                2,
                "zeros:u32:300000",
                "binding `a`: 1200000 bytes are over the device's limit of 1048576 bytes for a binding",
            ),
            (
                2,
                "zeros:u32:18446744073709551615",
                "binding `a`: 18446744073709551615 bytes are over the device's limit of 1048576 bytes for a binding",
            ),
        ] {
            assert_eq!(made(slot, spec), Err(expected.to_owned()), "{spec}");
        }
    }
}
