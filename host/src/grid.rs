//! How many workgroups a launch has, and whether its buffers are long enough.

use crate::{
    backend::Capabilities,
    buffer::Bound,
    error::{Error, Result},
    kernel::{Kernel, Operand, Step},
    uniform::{Storage, Uniform},
};

fn elements(kernel: &Kernel, storage: &[Storage], bound: &[&Bound], name: &str) -> Result<u64> {
    let found = storage.iter().position(|known| known.slot.name == name);
    let index = found.ok_or_else(|| {
        Error::argument(
            format!("{}.{name}", kernel.name()),
            "the kernel's descriptor names a binding that its WGSL lacks",
        )
    })?;
    Ok(elements_of(&storage[index], bound[index]))
}

/// Elements that the binding has as the kernel sees it, whatever the buffer's own are: bytes may be
/// bound to anything.
pub(crate) fn elements_of(storage: &Storage, bound: &Bound) -> u64 {
    let bytes = bound.bytes;
    storage.slot.layout.elements_in(bytes).unwrap_or(bytes / bound.element_bytes)
}

/// Workgroups by the kernel's own rule.
pub(crate) fn groups(
    kernel: &Kernel,
    storage: &[Storage],
    bound: &[&Bound],
    uniform: &Uniform<'_>,
) -> Result<[u32; 3]> {
    let groups =
        kernel.grid().groups(|of| elements(kernel, storage, bound, of), |name| uniform.u32(kernel.name(), name))?;
    groups.ok_or_else(|| Error::argument(kernel.name(), "needs `.groups([x, y, z])`"))
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
    let what = || format!("{} workgroups of {}", groups.map(|g| g.to_string()).join(" x "), kernel.name());
    if let Some(&count) = folded.iter().find(|&&count| count > limit) {
        let (requested, limit) = (count.into(), limit.into());
        return Err(Error::Limit { what: what(), limit_name: "max_workgroups_per_dimension", requested, limit });
    }
    // Each side may be in bounds where together they are past counting.
    let [x, y, z] = folded.map(u64::from);
    match x.checked_mul(y).and_then(|plane| plane.checked_mul(z)) {
        Some(_) => Ok(folded),
        None => Err(Error::argument(what(), "more than 2^64 - 1 in all")),
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
    storage: &[Storage],
    bound: &[&Bound],
    uniform: &Uniform<'_>,
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
    let of = step.kernel.grid().counted()?;
    let index = step.kernel.shape().ok()?.storage.iter().position(|known| known.slot.name == of)?;
    step.operands.get(index).copied()
}
