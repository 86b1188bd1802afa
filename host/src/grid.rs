//! How many workgroups a launch has, what its parameters are, and whether its buffers are long enough.

use wharf_simt::{Leaf, Scalar, Slot};

use crate::{
    backend::Capabilities,
    buffer::Bound,
    error::{Error, Result},
    kernel::{Grid, Kernel, Operand, Step},
};

/// The bytes of a launch's uniform bindings while they are filled in.
#[derive(Debug)]
pub(crate) struct Uniform {
    pub(crate) bytes: Vec<u8>,
    slots: Vec<(String, u64, u64)>,
    leaves: Vec<(Leaf, bool)>,
}

impl Uniform {
    pub(crate) fn new(slots: &[&Slot]) -> Self {
        let mut uniform = Self { bytes: Vec::new(), slots: Vec::new(), leaves: Vec::new() };
        for slot in slots {
            let start = uniform.bytes.len().next_multiple_of(16);
            uniform.bytes.resize(start + slot.min_bytes as usize, 0);
            uniform.slots.push((slot.name.clone(), start as u64, slot.min_bytes));
            uniform.leaves.extend(slot.layout.scalars(1).into_iter().map(|leaf| {
                let path = if leaf.path.is_empty() { slot.name.clone() } else { leaf.path };
                (Leaf { path, offset: leaf.offset + start as u64, scalar: leaf.scalar }, false)
            }));
        }
        uniform
    }

    /// All bytes of one binding.
    pub(crate) fn set_slot(&mut self, kernel: &str, name: &str, bytes: &[u8]) -> Result<()> {
        let what = || format!("{kernel}.{name}");
        let Some((_, start, len)) = self.slots.iter().find(|(slot, ..)| slot == name) else {
            return Err(Error::argument(what(), "no such uniform binding"));
        };
        if bytes.len() as u64 != *len {
            return Err(Error::Length { what: what() + " (in bytes)", expected: *len, got: bytes.len() as u64 });
        }
        let range = *start..*start + *len;
        self.bytes[range.start as usize..range.end as usize].copy_from_slice(bytes);
        for (leaf, given) in &mut self.leaves {
            *given |= range.contains(&leaf.offset);
        }
        Ok(())
    }

    /// One scalar.
    pub(crate) fn set(&mut self, kernel: &str, name: &str, scalar: Scalar, bytes: [u8; 4]) -> Result<()> {
        let what = || format!("{kernel}.{name}");
        let Some((leaf, given)) = self.leaves.iter_mut().find(|(leaf, _)| leaf.path == name) else {
            let there: Vec<_> = self.leaves.iter().map(|(leaf, _)| leaf.path.as_str()).collect();
            return Err(Error::argument(what(), format!("no such parameter, there is: {}", there.join(", "))));
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

    /// The `u32` parameter `n`, where the kernel has one and the caller has not given it.
    pub(crate) fn default_n(&mut self, kernel: &str, elements: u64) -> Result<()> {
        let open = self.leaves.iter().any(|(leaf, given)| leaf.path == "n" && leaf.scalar == Scalar::U32 && !given);
        if !open {
            return Ok(());
        }
        let n = u32::try_from(elements).map_err(|_| Error::Limit {
            what: format!("{kernel}.n"),
            limit_name: "u32",
            requested: elements,
            limit: u32::MAX.into(),
        })?;
        self.set(kernel, "n", Scalar::U32, n.to_le_bytes())
    }

    /// Whether everything was given.
    pub(crate) fn complete(&self, kernel: &str) -> Result<()> {
        match self.leaves.iter().find(|(_, given)| !given) {
            Some((leaf, _)) => {
                Err(Error::argument(format!("{kernel}.{}", leaf.path), format!("{} is not given", leaf.scalar)))
            }
            None => Ok(()),
        }
    }

    /// The value of a `u32` parameter.
    fn u32(&self, kernel: &str, name: &str) -> Result<u32> {
        let leaf =
            self.leaves.iter().map(|(leaf, _)| leaf).find(|leaf| leaf.path == name && leaf.scalar == Scalar::U32);
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

fn elements(kernel: &Kernel, storage: &[&Slot], bound: &[Bound], name: &str) -> Result<u64> {
    let found = storage.iter().position(|slot| slot.name == name);
    let index = found.ok_or_else(|| {
        Error::argument(
            format!("{}.{name}", kernel.name()),
            "the kernel's descriptor names a binding that its WGSL lacks",
        )
    })?;
    Ok(elements_of(storage[index], &bound[index]))
}

/// Elements that the binding has as the kernel sees it, whatever the buffer's own are: bytes may be
/// bound to anything.
pub(crate) fn elements_of(slot: &Slot, bound: &Bound) -> u64 {
    let bytes = bound.region.bytes;
    slot.layout.elements_in(bytes).unwrap_or(bytes / bound.element_bytes)
}

/// Workgroups by the kernel's own rule; those of the parameter `n` where it is smaller than the
/// counted buffer.
pub(crate) fn groups(kernel: &Kernel, storage: &[&Slot], bound: &[Bound], uniform: &Uniform) -> Result<[u32; 3]> {
    let count = |of: &str, per_group: u32| -> Result<u64> {
        let there = elements(kernel, storage, bound, of)?;
        let n = uniform.u32(kernel.name(), "n").map_or(there, u64::from);
        Ok(n.div_ceil(per_group.into()))
    };
    let clamp = |groups: u64| u32::try_from(groups).unwrap_or(u32::MAX);
    Ok(match kernel.grid() {
        Grid::Explicit => return Err(Error::argument(kernel.name(), "needs `.groups([x, y, z])`")),
        Grid::Fixed(groups) => groups,
        Grid::Elements { of, per_group } => [clamp(count(of, per_group)?), 1, 1],
        Grid::Strided { of, per_group, most } => [clamp(count(of, per_group)?).clamp(1, most.max(1)), 1, 1],
        Grid::Rectangle { width, height, tile: [x, y] } => {
            [uniform.u32(kernel.name(), width)?.div_ceil(x), uniform.u32(kernel.name(), height)?.div_ceil(y), 1]
        }
    })
}

/// The same workgroups, folded from x into y where x is over the device's limit and the kernel
/// numbers its workgroups so that it does not matter.
pub(crate) fn within_limits(kernel: &Kernel, groups: [u32; 3], device: &Capabilities) -> Result<[u32; 3]> {
    let limit = device.max_workgroups_per_dimension;
    let mut folded = groups;
    if groups[0] > limit && groups[1] == 1 && kernel.has_linear_ids() {
        folded[1] = groups[0].div_ceil(limit);
        folded[0] = groups[0].div_ceil(folded[1]);
    }
    match folded.iter().find(|&&count| count > limit) {
        None => Ok(folded),
        Some(&count) => Err(Error::Limit {
            what: format!("{} workgroups of {}", groups.map(|g| g.to_string()).join(" x "), kernel.name()),
            limit_name: "max_workgroups_per_dimension",
            requested: count.into(),
            limit: limit.into(),
        }),
    }
}

/// Whether a workgroup of this kernel fits the device.
pub(crate) fn check_workgroup(kernel: &Kernel, overrides: &[(String, f64)], device: &Capabilities) -> Result<()> {
    let set: Vec<(&str, f64)> = overrides.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let build = |source: wharf_simt::Error| Error::Build {
        kernel: kernel.name().to_owned(),
        log: source.to_string(),
        source: Some(source.into()),
    };
    let module = kernel.module()?;
    let size = module.workgroup_size(kernel.name(), &set).map_err(build)?;
    let bytes = module.workgroup_bytes(kernel.name(), &set).map_err(build)?;
    let limit = |what: &str, limit_name, requested: u64, limit: u64| match requested > limit {
        true => Err(Error::Limit { what: format!("{}'s {what}", kernel.name()), limit_name, requested, limit }),
        false => Ok(()),
    };
    let invocations = size.iter().map(|&s| u64::from(s)).product();
    limit("workgroup", "max_workgroup_invocations", invocations, device.max_workgroup_invocations.into())?;
    for (size, most) in size.iter().zip(device.max_workgroup_size) {
        limit("workgroup", "max_workgroup_size", (*size).into(), most.into())?;
    }
    limit("workgroup memory", "max_workgroup_bytes", bytes, device.max_workgroup_bytes.into())
}

/// Whether the buffers are as long as the kernel says they must be.
pub(crate) fn check_needs(
    kernel: &Kernel,
    storage: &[&Slot],
    bound: &[Bound],
    uniform: &Uniform,
    groups: [u32; 3],
) -> Result<()> {
    for need in kernel.needs() {
        let mut expected: u64 = match need.per_group {
            Some(each) => groups.iter().fold(u64::from(each), |n, &g| n.saturating_mul(g.into())),
            None => 1,
        };
        for name in need.product {
            expected = expected.saturating_mul(uniform.u32(kernel.name(), name)?.into());
        }
        let got = elements(kernel, storage, bound, need.binding)?;
        if got < expected {
            return Err(Error::Length { what: format!("{}.{}", kernel.name(), need.binding), expected, got });
        }
    }
    Ok(())
}

/// What the binding is that the step's grid counts.
pub(crate) fn counted_operand(step: &Step) -> Option<Operand> {
    let (Grid::Elements { of, .. } | Grid::Strided { of, .. }) = step.kernel.grid() else { return None };
    let entry = step.kernel.entry().ok()?;
    let storage = entry.bindings.iter().filter(|slot| slot.access != wharf_simt::Access::Uniform);
    let index = storage.into_iter().position(|slot| slot.name == of)?;
    step.operands.get(index).copied()
}
