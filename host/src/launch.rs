//! Launching kernels and plans: typed arguments, checked before anything is queued.

use wharf_simt::Scalar;

use crate::{
    buffer::{Bindable, Bound},
    device::Device,
    dma::Ticket,
    error::Result,
    few::Few,
    kernel::{Kernel, Plan},
    message::Message,
    transfer::{Route, routed},
};

mod check;
mod plan;

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
    bound: Few<(Option<&'a str>, Bound), 4>,
    args: Few<(&'a str, Value), 4>,
    uniforms: Few<(&'a str, &'a [u8]), 1>,
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
            bound: Few::new(),
            args: Few::new(),
            uniforms: Few::new(),
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
    /// number of elements of the binding that the kernel's [`Grid`](crate::Grid) counts.
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

    /// Workgroups in x, y, z, for kernels whose [`Grid`](crate::Grid) does not say, or against what it says.
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
    /// it, [`Error::Refused`] by the queue, [`Error::Argument`] where it is not deep enough for a plan's
    /// steps, [`Error::OutOfMemory`] where buffers were [evicted](Device::buffer) and all that are bound have no
    /// room together, or a plan's scratch has none. Then nothing was queued, not even the first steps of a plan.
    ///
    /// [`Error::Argument`]: crate::Error::Argument
    /// [`Error::Type`]: crate::Error::Type
    /// [`Error::Length`]: crate::Error::Length
    /// [`Error::Limit`]: crate::Error::Limit
    /// [`Error::Build`]: crate::Error::Build
    /// [`Error::NoForm`]: crate::Error::NoForm
    /// [`Error::OutOfMemory`]: crate::Error::OutOfMemory
    /// [`Error::Refused`]: crate::Error::Refused
    pub fn run(self) -> Result<Ticket<()>> {
        match self.job {
            Job::Kernel(kernel) => Ok(self.route.send(self.device, self.message(kernel)?)?),
            Job::Plan(plan) => self.plan(plan),
        }
    }

    /// The launch as messages that are not sent yet, in their order: one for a kernel, one for each step
    /// of a plan. They belong on one queue; scratch memory is theirs alone and goes with them.
    ///
    /// # Errors
    /// As [`Launch::run`], but for the queue.
    pub fn messages(self) -> Result<Vec<Message<()>>> {
        match self.job {
            Job::Kernel(kernel) => Ok(vec![self.message(kernel)?]),
            Job::Plan(plan) => self.plan_messages(plan),
        }
    }
}
