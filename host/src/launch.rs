//! Launching kernels and plans: typed arguments, checked before anything is queued.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use wharf_simt::{Access as Declared, Entry, Scalar, Slot};

use crate::{
    backend::{self, Lane, Op, Region, Token},
    buffer::{Bindable, Bound},
    device::{Device, LEAST_BYTES},
    dma::{Access, DmaQueue, Parcel, Patience, Ticket},
    error::{Error, Result},
    grid,
    kernel::{Grid, Kernel, Operand, Plan},
    transfer::{Route, routed},
};

/// What [`Device::launch`] takes: a [`Kernel`] or a [`Plan`].
pub trait Launchable {
    /// Which of the two it is.
    fn job(&self) -> Job<'_>;
}

/// A kernel or a plan.
#[derive(Debug, Clone, Copy)]
pub enum Job<'a> {
    /// One launch.
    Kernel(&'a Kernel),
    /// Several launches.
    Plan(&'a Plan),
}

impl Launchable for Kernel {
    fn job(&self) -> Job<'_> {
        Job::Kernel(self)
    }
}

impl Launchable for Plan {
    fn job(&self) -> Job<'_> {
        Job::Plan(self)
    }
}

impl Launchable for Job<'_> {
    fn job(&self) -> Job<'_> {
        *self
    }
}

/// A scalar argument.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// `f32`
    F32(f32),
    /// `u32`
    U32(u32),
    /// `i32`
    I32(i32),
}

impl Value {
    fn scalar(self) -> Scalar {
        match self {
            Self::F32(_) => Scalar::F32,
            Self::U32(_) => Scalar::U32,
            Self::I32(_) => Scalar::I32,
        }
    }

    fn bytes(self) -> [u8; 4] {
        match self {
            Self::F32(v) => v.to_le_bytes(),
            Self::U32(v) => v.to_le_bytes(),
            Self::I32(v) => v.to_le_bytes(),
        }
    }
}

impl From<f32> for Value {
    fn from(v: f32) -> Self {
        Self::F32(v)
    }
}

impl From<u32> for Value {
    fn from(v: u32) -> Self {
        Self::U32(v)
    }
}

impl From<i32> for Value {
    fn from(v: i32) -> Self {
        Self::I32(v)
    }
}

/// A launch that is being described; see [`Device::launch`].
#[derive(Debug)]
#[must_use = "a launch is sent by `run`"]
pub struct Launch<'a> {
    device: &'a Device,
    job: Job<'a>,
    bound: Vec<(Option<&'a str>, Bound)>,
    args: Vec<(&'a str, Value)>,
    uniforms: Vec<(&'a str, &'a [u8])>,
    overrides: Vec<(String, f64)>,
    groups: Option<[u32; 3]>,
    route: Route<'a>,
}

routed!(Launch<'a>);

impl<'a> Launch<'a> {
    pub(crate) fn new(device: &'a Device, job: Job<'a>) -> Self {
        Self {
            device,
            job,
            bound: Vec::new(),
            args: Vec::new(),
            uniforms: Vec::new(),
            overrides: Vec::new(),
            groups: None,
            route: Route::default(),
        }
    }

    /// Binds a buffer or a view to the next storage binding, in order of group and binding.
    pub fn bind(mut self, what: &(impl Bindable + ?Sized)) -> Self {
        self.bound.push((None, what.bound()));
        self
    }

    /// Binds a buffer or a view to the storage binding of this name.
    pub fn bind_as(mut self, name: &'a str, what: &(impl Bindable + ?Sized)) -> Self {
        self.bound.push((Some(name), what.bound()));
        self
    }

    /// A member of the uniform binding by name. Where a `u32` member `n` is not given, it is the
    /// number of elements of the binding that the kernel's [`Grid`] counts.
    pub fn arg(mut self, name: &'a str, value: impl Into<Value>) -> Self {
        self.args.push((name, value.into()));
        self
    }

    /// All bytes of the uniform binding of this name, in WGSL layout.
    pub fn uniform(mut self, name: &'a str, bytes: &'a [u8]) -> Self {
        self.uniforms.push((name, bytes));
        self
    }

    /// A pipeline override by name, or by `@id` written as `@7`.
    pub fn set(mut self, name: &str, value: f64) -> Self {
        self.overrides.push((name.to_owned(), value));
        self
    }

    /// Workgroups in x, y, z, for kernels whose [`Grid`] does not say, or against what it says.
    pub fn groups(mut self, groups: [u32; 3]) -> Self {
        self.groups = Some(groups);
        self
    }

    /// Sends it. Waits for a credit if there is none (see [`Launch::or_refuse`]) and, the first
    /// time, for the kernel to compile; never for the work. Without workgroups there is no work,
    /// and the launch only takes its place in the queue.
    ///
    /// # Errors
    /// [`Error::Argument`], [`Error::Type`] and [`Error::Length`] where bindings and arguments are
    /// not what the kernel declares, [`Error::Limit`] where the device cannot run so much and the
    /// kernel may not be folded, [`Error::Build`] and [`Error::NoForm`] where the device cannot run
    /// it, [`Error::Refused`] by the queue. Then nothing was queued.
    pub fn run(self) -> Result<Ticket<()>> {
        match self.job {
            Job::Kernel(kernel) => self.kernel(kernel)?.send(self.device, &self.route),
            Job::Plan(plan) => self.plan(plan),
        }
    }

    fn kernel(&self, kernel: &Kernel) -> Result<Ready> {
        let entry = kernel.entry()?;
        let storage: Vec<&Slot> = entry.bindings.iter().filter(|s| s.access != Declared::Uniform).collect();
        let mut bound = self.in_order(kernel, &storage)?;
        for (slot, bound) in storage.iter().zip(&bound) {
            self.check(kernel, slot, bound)?;
        }
        check_aliases(kernel, &storage, &bound)?;
        let uniform = self.uniform_bytes(kernel, entry, &storage, &bound)?;
        let groups = match self.groups {
            Some(groups) => groups,
            None => grid::groups(kernel, &storage, &bound, &uniform)?,
        };
        let groups = grid::within_limits(kernel, groups, self.device.capabilities())?;
        grid::check_needs(kernel, &storage, &bound, &uniform, groups)?;
        let accesses = accesses(&storage, &bound);
        if groups.contains(&0) {
            return Ok(Ready { launch: None, accesses: Vec::new() });
        }
        for (slot, bound) in storage.iter().zip(&mut bound) {
            // No API binds nothing. An empty buffer that is read stands for its allocation's padding,
            // which is zeroes.
            if bound.allocation.bytes == 0 && slot.access == Declared::Read && slot.min_bytes <= LEAST_BYTES {
                bound.region.bytes = slot.min_bytes;
            }
            if bound.region.bytes < slot.min_bytes {
                let stride = slot.layout.tail_stride().map_or(1, u64::from);
                return Err(Error::Length {
                    what: format!("{}.{}", kernel.name(), slot.name),
                    expected: slot.min_bytes / stride,
                    got: bound.region.bytes / stride,
                });
            }
        }
        let pipeline = self.device.pipeline(kernel, &self.overrides)?;
        let launch = backend::Launch {
            pipeline,
            groups,
            storage: bound.iter().map(whole_grains).collect(),
            uniform: uniform.bytes,
        };
        Ok(Ready { launch: Some(launch), accesses })
    }

    /// The bound buffers in the order of the kernel's storage bindings.
    fn in_order(&self, kernel: &Kernel, storage: &[&Slot]) -> Result<Vec<Bound>> {
        let mut places: Vec<Option<&Bound>> = vec![None; storage.len()];
        for (name, bound) in self.bound.iter().filter_map(|(n, b)| n.map(|n| (n, b))) {
            let what = || format!("{}.{name}", kernel.name());
            let place = storage.iter().position(|slot| slot.name == name).ok_or_else(|| {
                let there: Vec<_> = storage.iter().map(|slot| slot.name.as_str()).collect();
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
            .map(|(slot, place)| {
                let what = || format!("{}.{}", kernel.name(), slot.name);
                place.cloned().ok_or_else(|| Error::argument(what(), format!("{} is not bound", slot.layout)))
            })
            .collect()
    }

    /// One buffer against its declaration.
    fn check(&self, kernel: &Kernel, slot: &Slot, bound: &Bound) -> Result<()> {
        let what = || format!("{}.{}", kernel.name(), slot.name);
        if !Arc::ptr_eq(&bound.allocation.engine, &self.device.inner.engine) {
            let owner = &bound.allocation.engine.shared.device;
            return Err(Error::argument(what(), format!("its buffer belongs to {owner}, not to {}", self.device.id())));
        }
        if bound.allocation.read_only && slot.access == Declared::ReadWrite {
            return Err(Error::argument(what(), "is written, and its buffer was imported and is read-only"));
        }
        let declared = element_of(slot);
        let stride = slot.layout.tail_stride().map(u64::from);
        let fits_size = stride.is_none_or(|stride| bound.element_bytes == 1 || bound.element_bytes == stride);
        let fits_type = match (bound.scalar, declared) {
            (Some(got), Some(expected)) => got == expected,
            _ => true,
        };
        if !(fits_size && fits_type) {
            return Err(Error::Type { what: what(), expected: slot.layout.to_string(), got: bound.element.into() });
        }
        let capabilities = self.device.capabilities();
        if bound.region.bytes > capabilities.max_binding_bytes {
            return Err(Error::Limit {
                what: what(),
                limit_name: "max_binding_bytes",
                requested: bound.region.bytes,
                limit: capabilities.max_binding_bytes,
            });
        }
        let alignment = capabilities.storage_alignment;
        if !bound.region.offset.is_multiple_of(alignment) {
            let at = bound.region.offset;
            return Err(Error::argument(what(), format!("its view begins at byte {at}, no multiple of {alignment}")));
        }
        Ok(())
    }

    fn uniform_bytes(
        &self,
        kernel: &Kernel,
        entry: &Entry,
        storage: &[&Slot],
        bound: &[Bound],
    ) -> Result<grid::Uniform> {
        let slots: Vec<&Slot> = entry.bindings.iter().filter(|s| s.access == Declared::Uniform).collect();
        let mut uniform = grid::Uniform::new(&slots);
        for (name, bytes) in &self.uniforms {
            uniform.set_slot(kernel.name(), name, bytes)?;
        }
        for &(name, value) in &self.args {
            uniform.set(kernel.name(), name, value.scalar(), value.bytes())?;
        }
        let counted = match kernel.grid() {
            Grid::Elements { of, .. } | Grid::Strided { of, .. } => storage.iter().position(|slot| slot.name == of),
            _ => None,
        };
        if let Some(counted) = counted {
            uniform.default_n(kernel.name(), grid::elements_of(storage[counted], &bound[counted]))?;
        }
        uniform.complete(kernel.name())?;
        Ok(uniform)
    }

    fn plan(self, plan: &Plan) -> Result<Ticket<()>> {
        if self.bound.len() != plan.bindings || self.bound.iter().any(|(name, _)| name.is_some()) {
            let (declared, got) = (plan.bindings, self.bound.len());
            return Err(Error::argument(plan.name, format!("takes {declared} buffers in order, {got} are bound")));
        }
        let counts: Vec<u64> = self.bound.iter().map(|(_, b)| b.region.bytes / b.element_bytes).collect();
        let scratch = (0..plan.scratch.len()).map(|i| self.scratch(plan, i, &counts)).collect::<Result<Vec<_>>>()?;
        let sent = self.steps(plan, &scratch);
        let mut kept = self.device.inner.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = (0..).map(|index| (std::ptr::from_ref(plan).addr(), index));
        kept.extend(keys.zip(scratch.into_iter().map(|bound| bound.allocation)));
        sent
    }

    fn steps(&self, plan: &Plan, scratch: &[Bound]) -> Result<Ticket<()>> {
        let mut ready = Vec::with_capacity(plan.steps.len());
        for step in plan.steps {
            let bound = step.operands.iter().map(|operand| match *operand {
                Operand::Caller(i) => (None, self.bound[i].1.clone()),
                Operand::Scratch(i) => (None, scratch[i].clone()),
            });
            let counts_scratch = grid::counted_operand(step).is_some_and(|o| matches!(o, Operand::Scratch(_)));
            let args = self.args.iter().copied().filter(|&(name, _)| !(counts_scratch && name == "n"));
            let launch = Launch {
                device: self.device,
                job: Job::Kernel(step.kernel),
                bound: bound.collect(),
                args: args.collect(),
                uniforms: Vec::new(),
                overrides: self.overrides.clone(),
                groups: None,
                route: self.route,
            };
            ready.push(launch.kernel(step.kernel)?);
        }
        // Everything is checked; only the queue itself may still refuse. Failures of earlier steps
        // reach the last one along the data.
        let last = ready.pop().expect("a plan has a step");
        for step in ready {
            drop(step.send(self.device, &self.route)?);
        }
        last.send(self.device, &self.route)
    }

    /// The plan's scratch buffer, kept by the device from launch to launch. It is taken away from there
    /// until all steps are sent: those of another thread's launch must not come between them.
    fn scratch(&self, plan: &Plan, index: usize, counts: &[u64]) -> Result<Bound> {
        let scratch = &plan.scratch[index];
        let bytes = (scratch.elements)(counts).max(1) * scratch.element_bytes;
        let key = (std::ptr::from_ref(plan).addr(), index);
        let mut kept = self.device.inner.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.remove(&key);
        drop(kept);
        let allocation = match known.filter(|known| known.bytes >= bytes) {
            Some(allocation) => allocation,
            None => Arc::new(self.device.allocate(bytes)?),
        };
        let region = Region { mem: allocation.mem, offset: 0, bytes };
        Ok(Bound { allocation, region, element_bytes: scratch.element_bytes, scalar: None, element: "scratch" })
    }
}

/// A launch that was checked.
struct Ready {
    /// `None` where there are no workgroups.
    launch: Option<backend::Launch>,
    accesses: Vec<(Token, Access)>,
}

impl Ready {
    fn send(self, device: &Device, route: &Route<'_>) -> Result<Ticket<()>> {
        let op = match self.launch {
            Some(launch) => Op::Launch(Box::new(launch)),
            None => Op::Nothing,
        };
        let mut work = route.work(Lane::Compute, 0, op, Parcel::new(()));
        route.send(device, Lane::Compute, &mut work, &self.accesses)
    }
}

/// The scalar that the binding's elements are made of, where they are of one kind.
fn element_of(slot: &Slot) -> Option<Scalar> {
    use wharf_simt::Layout::{Array, Atomic, Matrix, Scalar as Plain, Vector};
    fn of(layout: &wharf_simt::Layout) -> Option<Scalar> {
        match layout {
            Plain(scalar) | Atomic(scalar) | Vector { scalar, .. } | Matrix { scalar, .. } => Some(*scalar),
            Array { element, .. } => of(element),
            _ => None,
        }
    }
    of(&slot.layout)
}

/// Bindings are multiples of 4 bytes; the allocation has room for that.
fn whole_grains(bound: &Bound) -> Region {
    Region { bytes: bound.region.bytes.next_multiple_of(4), ..bound.region }
}

fn check_aliases(kernel: &Kernel, storage: &[&Slot], bound: &[Bound]) -> Result<()> {
    for (i, a) in bound.iter().enumerate() {
        for (j, b) in bound.iter().enumerate().skip(i + 1) {
            let writes = [i, j].iter().any(|&k| storage[k].access == Declared::ReadWrite);
            let (x, y) = (a.region, b.region);
            let overlap = x.mem == y.mem && x.offset < y.offset + y.bytes && y.offset < x.offset + x.bytes;
            if writes && overlap {
                let what = format!("{}.{} and .{}", kernel.name(), storage[i].name, storage[j].name);
                return Err(Error::argument(what, "share memory that one of them writes"));
            }
        }
    }
    Ok(())
}

/// One access for each buffer.
fn accesses(storage: &[&Slot], bound: &[Bound]) -> Vec<(Token, Access)> {
    let mut accesses: Vec<(Token, Access)> = Vec::with_capacity(bound.len());
    for (slot, bound) in storage.iter().zip(bound) {
        let access = if slot.access == Declared::Read { Access::Read } else { Access::ReadWrite };
        match accesses.iter_mut().find(|(token, _)| *token == bound.allocation.resource) {
            Some((_, known)) if access == Access::ReadWrite => *known = access,
            Some(_) => {}
            None => accesses.push((bound.allocation.resource, access)),
        }
    }
    accesses
}
