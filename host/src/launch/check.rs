//! A launch against what its kernel declares and its device can do.

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};
use wharf_simt::Access as Declared;

use super::Launch;
use crate::{
    allocate::LEAST_BYTES,
    backend::{Lane, Op, Region},
    buffer::Bound,
    dma::Access,
    error::{Error, Result},
    grid,
    kernel::Kernel,
    message::{Draft, Message},
    transfer::Placed,
    uniform::{Storage, Uniform},
};

impl Launch<'_> {
    /// The launch of one kernel, checked.
    pub(super) fn message(&self, kernel: &Kernel) -> Result<Message<()>> {
        let storage = &kernel.shape()?.storage[..];
        let bound = &self.in_order(kernel, storage)?[..];
        for (storage, bound) in storage.iter().zip(bound) {
            self.check(kernel, storage, bound)?;
        }
        check_aliases(kernel, storage, bound)?;
        let mut launch = self.device.inner.launches.take();
        let memory = std::mem::take(&mut launch.uniform);
        let uniform = self.uniform_bytes(kernel, memory, storage, bound)?;
        let groups = match self.groups {
            Some(groups) => groups,
            None => grid::groups(kernel, storage, bound, &uniform)?,
        };
        let groups = grid::within_limits(kernel, groups, self.device.capabilities())?;
        grid::check_needs(kernel, storage, bound, &uniform, groups)?;
        let draft = || Draft::new(&self.device.inner.engine, Lane::Compute, 0);
        let message = |mut draft: Draft, op| {
            draft.does(op);
            self.route.describe(&mut draft);
            draft.slip.label.or_name_of(kernel);
            draft.owning(())
        };
        if groups.contains(&0) {
            return Ok(message(draft(), Op::Nothing));
        }
        launch.storage.clear();
        for (storage, bound) in storage.iter().zip(bound) {
            self.device.bring_in(&bound.allocation, false)?;
            launch.storage.push(region_of(kernel, storage, bound)?);
        }
        let pipeline = self.device.pipeline(kernel, &self.overrides)?;
        (launch.pipeline, launch.groups, launch.uniform) = (pipeline, groups, uniform.bytes);
        let mut touches = storage.iter().zip(bound).map(|(storage, bound)| {
            let access = if storage.is_written() { Access::ReadWrite } else { Access::Read };
            (&bound.allocation, access, whole_grains(bound.region()))
        });
        let mut draft = touches.next().map_or_else(draft, |(allocation, access, region)| {
            Draft::on(Placed { allocation: allocation.clone(), region }, access, Lane::Compute, 0)
        });
        touches.for_each(|(allocation, access, region)| draft.touch_again(allocation, access, region));
        Ok(message(draft, Op::Launch(launch)))
    }

    /// The bound buffers in the order of the kernel's storage bindings.
    fn in_order(&self, kernel: &Kernel, storage: &[Storage]) -> Result<SmallVec<[&Bound; 8]>> {
        if self.bound.len() == storage.len() && self.bound.iter().all(|(name, _)| name.is_none()) {
            return Ok(self.bound.iter().map(|(_, bound)| bound).collect());
        }
        let mut places: SmallVec<[Option<&Bound>; 8]> = smallvec![None; storage.len()];
        for (name, bound) in self.bound.iter().filter_map(|(n, b)| n.map(|n| (n, b))) {
            let what = || format!("{}.{name}", kernel.name());
            let place = storage.iter().position(|known| known.slot.name == name).ok_or_else(|| {
                let there: Vec<_> = storage.iter().map(|known| known.slot.name.as_str()).collect();
                Error::argument(what(), format!("no such storage binding, there is: {}", there.join(", ")))
            })?;
            if places[place].replace(bound).is_some() {
                return Err(Error::argument(what(), "is bound twice"));
            }
        }
        let mut rest = self.bound.iter().filter(|(name, _)| name.is_none()).map(|(_, bound)| bound);
        for place in places.iter_mut().filter(|place| place.is_none()) {
            *place = rest.next();
        }
        if rest.next().is_some() {
            let (declared, got) = (storage.len(), self.bound.len());
            return Err(Error::argument(kernel.name(), format!("has {declared} storage bindings, {got} are bound")));
        }
        storage
            .iter()
            .zip(places)
            .map(|(Storage { slot, .. }, place)| {
                let what = || format!("{}.{}", kernel.name(), slot.name);
                place.ok_or_else(|| Error::argument(what(), format!("{} is not bound", slot.layout)))
            })
            .collect()
    }

    /// One buffer against its declaration.
    fn check(&self, kernel: &Kernel, storage: &Storage, bound: &Bound) -> Result<()> {
        let slot = &storage.slot;
        let what = || format!("{}.{}", kernel.name(), slot.name);
        if !Arc::ptr_eq(&bound.allocation.engine, &self.device.inner.engine) {
            return Err(Error::argument(what(), format!("its buffer {}", bound.allocation.not_of(self.device.id()))));
        }
        if bound.allocation.read_only && storage.is_written() {
            return Err(Error::argument(what(), "is written, and its buffer was imported and is read-only"));
        }
        let fits_size = storage.stride.is_none_or(|stride| bound.element_bytes == 1 || bound.element_bytes == stride);
        let fits_type = match (bound.scalar, storage.scalar) {
            (Some(got), Some(expected)) => got == expected,
            _ => true,
        };
        if !(fits_size && fits_type) {
            return Err(Error::Type { what: what(), expected: slot.layout.to_string(), got: bound.element.into() });
        }
        let capabilities = self.device.capabilities();
        if bound.bytes > capabilities.max_binding_bytes {
            return Err(Error::Limit {
                what: what(),
                limit_name: "max_binding_bytes",
                requested: bound.bytes,
                limit: capabilities.max_binding_bytes,
            });
        }
        let alignment = capabilities.storage_alignment;
        if !bound.offset.is_multiple_of(alignment) {
            let at = bound.offset;
            return Err(Error::argument(what(), format!("its view begins at byte {at}, no multiple of {alignment}")));
        }
        Ok(())
    }

    /// The kernel's parameters, written to `memory`.
    fn uniform_bytes<'k>(
        &self,
        kernel: &'k Kernel,
        memory: Vec<u8>,
        storage: &[Storage],
        bound: &[&Bound],
    ) -> Result<Uniform<'k>> {
        let mut uniform = Uniform::new(kernel.shape()?, memory);
        for (name, bytes) in self.uniforms.iter() {
            uniform.set_slot(kernel.name(), name, bytes)?;
        }
        for &(name, value) in self.args.iter() {
            uniform.set(kernel.name(), name, value.scalar(), value.bytes())?;
        }
        let counted = kernel.grid().counted();
        if let Some(counted) = counted.and_then(|of| storage.iter().position(|known| known.slot.name == of)) {
            uniform.default_count(kernel.name(), grid::elements_of(&storage[counted], bound[counted]))?;
        }
        uniform.complete(kernel.name())?;
        Ok(uniform)
    }
}

/// What of the device's memory a binding is.
fn region_of(kernel: &Kernel, storage: &Storage, bound: &Bound) -> Result<Region> {
    let slot = &storage.slot;
    let mut bytes = bound.bytes;
    // No API binds nothing. An empty buffer that is read stands for its allocation's padding, which is
    // zeroes.
    if bound.allocation.bytes == 0 && slot.access == Declared::Read && slot.min_bytes <= LEAST_BYTES {
        bytes = slot.min_bytes;
    }
    if bytes < slot.min_bytes {
        let stride = storage.stride.unwrap_or(1);
        return Err(Error::Length {
            what: format!("{}.{}", kernel.name(), slot.name),
            expected: slot.min_bytes / stride,
            got: bytes / stride,
        });
    }
    Ok(whole_grains(Region { bytes, ..bound.region() }))
}

/// Bindings are multiples of 4 bytes; the allocation has room for that.
fn whole_grains(region: Region) -> Region {
    Region { bytes: region.bytes.next_multiple_of(4), ..region }
}

fn check_aliases(kernel: &Kernel, storage: &[Storage], bound: &[&Bound]) -> Result<()> {
    for (i, a) in bound.iter().enumerate() {
        for (j, b) in bound.iter().enumerate().skip(i + 1) {
            let writes = [i, j].iter().any(|&k| storage[k].is_written());
            let same = Arc::ptr_eq(&a.allocation, &b.allocation);
            let overlap = same && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
            if writes && overlap {
                let what = format!("{}.{} and .{}", kernel.name(), storage[i].slot.name, storage[j].slot.name);
                return Err(Error::argument(what, "share memory that one of them writes"));
            }
        }
    }
    Ok(())
}
