//! What a kernel takes, and the parameters of a launch.

use smallvec::SmallVec;
use wharf_simt::{Access, Entry, Layout, Leaf, Scalar, Slot};

use crate::{
    error::{Error, Result},
    kernel::Grid,
};

/// What a kernel takes: every launch asks, so it is found out once.
#[derive(Debug)]
pub(crate) struct Shape {
    /// The storage bindings, in order.
    pub(crate) storage: Vec<Storage>,
    /// Bytes of the uniform bindings together.
    bytes: usize,
    /// Each uniform binding's name, start and length.
    slots: Vec<(String, u64, u64)>,
    /// The parameters, and where they lie among those bytes.
    leaves: Vec<Leaf>,
}

/// A storage binding, and what its buffer's elements are held against.
#[derive(Debug)]
pub(crate) struct Storage {
    pub(crate) slot: Slot,
    /// The scalar that its elements are made of, where they are of one kind.
    pub(crate) scalar: Option<Scalar>,
    /// Bytes from one element to the next, where their number is open.
    pub(crate) stride: Option<u64>,
}

impl Storage {
    fn of(slot: &Slot) -> Self {
        fn scalar_of(layout: &Layout) -> Option<Scalar> {
            match layout {
                Layout::Scalar(scalar)
                | Layout::Atomic(scalar)
                | Layout::Vector { scalar, .. }
                | Layout::Matrix { scalar, .. } => Some(*scalar),
                Layout::Array { element, .. } => scalar_of(element),
                _ => None,
            }
        }
        let stride = slot.layout.tail_stride().map(u64::from);
        Self { slot: slot.clone(), scalar: scalar_of(&slot.layout), stride }
    }

    pub(crate) fn is_written(&self) -> bool {
        self.slot.access == Access::ReadWrite
    }
}

impl Shape {
    pub(crate) fn of(entry: &Entry) -> Self {
        let storage = entry.bindings.iter().filter(|slot| slot.access != Access::Uniform).map(Storage::of).collect();
        let mut shape = Self { storage, bytes: 0, slots: Vec::new(), leaves: Vec::new() };
        for slot in entry.bindings.iter().filter(|slot| slot.access == Access::Uniform) {
            let start = shape.bytes.next_multiple_of(16);
            shape.bytes = start + slot.min_bytes as usize;
            shape.slots.push((slot.name.clone(), start as u64, slot.min_bytes));
            shape.leaves.extend(slot.layout.scalars(1).into_iter().map(|leaf| {
                let path = if leaf.path.is_empty() { slot.name.clone() } else { leaf.path };
                Leaf { path, offset: leaf.offset + start as u64, scalar: leaf.scalar }
            }));
        }
        shape
    }
}

/// The bytes of a launch's uniform bindings while they are filled in.
#[derive(Debug)]
pub(crate) struct Uniform<'k> {
    pub(crate) bytes: Vec<u8>,
    shape: &'k Shape,
    given: SmallVec<[bool; 16]>,
}

impl<'k> Uniform<'k> {
    /// Nothing is given yet. The bytes are written to `memory`.
    pub(crate) fn new(shape: &'k Shape, mut memory: Vec<u8>) -> Self {
        memory.clear();
        memory.resize(shape.bytes, 0);
        Self { bytes: memory, shape, given: smallvec::smallvec![false; shape.leaves.len()] }
    }

    /// All bytes of one binding.
    pub(crate) fn set_slot(&mut self, kernel: &str, name: &str, bytes: &[u8]) -> Result<()> {
        let what = || format!("{kernel}.{name}");
        let Some((_, start, len)) = self.shape.slots.iter().find(|(slot, ..)| slot == name) else {
            return Err(Error::argument(what(), "no such uniform binding"));
        };
        if bytes.len() as u64 != *len {
            return Err(Error::Length { what: what() + " (in bytes)", expected: *len, got: bytes.len() as u64 });
        }
        let range = *start..*start + *len;
        self.bytes[range.start as usize..range.end as usize].copy_from_slice(bytes);
        for (leaf, given) in self.shape.leaves.iter().zip(&mut self.given) {
            *given |= range.contains(&leaf.offset);
        }
        Ok(())
    }

    /// One scalar.
    pub(crate) fn set(&mut self, kernel: &str, name: &str, scalar: Scalar, bytes: [u8; 4]) -> Result<()> {
        let what = || format!("{kernel}.{name}");
        let mut leaves = self.shape.leaves.iter().zip(&mut self.given);
        let Some((leaf, given)) = leaves.find(|(leaf, _)| leaf.path == name) else {
            let there: Vec<_> = self.shape.leaves.iter().map(|leaf| leaf.path.as_str()).collect();
            let there = if there.is_empty() { "none".into() } else { there.join(", ") };
            return Err(Error::argument(what(), format!("no such parameter, there is: {there}")));
        };
        if leaf.scalar != scalar {
            return Err(Error::Type { what: what(), expected: leaf.scalar.to_string(), got: scalar.to_string() });
        }
        if std::mem::replace(given, true) {
            return Err(Error::argument(what(), "is given twice"));
        }
        self.bytes[leaf.offset as usize..][..4].copy_from_slice(&bytes);
        Ok(())
    }

    /// The count, where the kernel has one and the caller has not given it.
    pub(crate) fn default_count(&mut self, kernel: &str, elements: u64) -> Result<()> {
        let mut leaves = self.shape.leaves.iter().zip(&self.given);
        let open = leaves.any(|(leaf, given)| leaf.path == Grid::COUNT && leaf.scalar == Scalar::U32 && !given);
        if !open {
            return Ok(());
        }
        let n = u32::try_from(elements).map_err(|_| Error::Limit {
            what: format!("{kernel}.{}", Grid::COUNT),
            limit_name: "u32",
            requested: elements,
            limit: u32::MAX.into(),
        })?;
        self.set(kernel, Grid::COUNT, Scalar::U32, n.to_le_bytes())
    }

    /// Whether everything was given.
    pub(crate) fn complete(&self, kernel: &str) -> Result<()> {
        match self.shape.leaves.iter().zip(&self.given).find(|(_, given)| !**given) {
            Some((leaf, _)) => {
                Err(Error::argument(format!("{kernel}.{}", leaf.path), format!("{} is not given", leaf.scalar)))
            }
            None => Ok(()),
        }
    }

    /// The value of a `u32` parameter.
    pub(crate) fn u32(&self, kernel: &str, name: &str) -> Result<u32> {
        let leaf = self.shape.leaves.iter().find(|leaf| leaf.path == name && leaf.scalar == Scalar::U32);
        let leaf = leaf.ok_or_else(|| {
            Error::argument(
                format!("{kernel}.{name}"),
                "the kernel's descriptor names a u32 parameter that its WGSL lacks",
            )
        })?;
        let bytes = self.bytes[leaf.offset as usize..][..4].try_into().expect("four bytes");
        Ok(u32::from_le_bytes(bytes))
    }
}
