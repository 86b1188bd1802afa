//! Typed device memory.

use std::{any::TypeId, fmt, marker::PhantomData, ops::Range, sync::Arc};

use bytemuck::Pod;
use wharf_simt::Scalar;

use crate::{
    allocate::Usage,
    backend::{MemId, Region, Token},
    dma::{Access, Engine, Part},
    error::{Error, Result},
    evict::Residence,
};

/// What buffers are made of: plain data that any thread may hold. Every `bytemuck::Pod` type that is
/// `Send` and `Sync` is one. Buffers are made of those that have a size and align to 64 bytes at most;
/// others do not compile.
pub trait Element: Pod + Send + Sync {}

impl<T: Pod + Send + Sync> Element for T {}

/// Device memory and its place in the order of accesses; freed with the last message that uses it. Its
/// contents may be on the host instead, where the device was short of memory: see [`Residence`].
#[derive(Debug)]
pub(crate) struct Allocation {
    pub(crate) engine: Arc<Engine>,
    pub(crate) residence: Residence,
    /// What explanations, drivers and the user call it.
    pub(crate) name: Arc<str>,
    /// Bytes in use; the allocation itself is rounded up.
    pub(crate) bytes: u64,
    /// Kernels may only read it.
    pub(crate) read_only: bool,
    /// Bytes it counts for in the device's `in_use`.
    pub(crate) charged: u64,
    pub(crate) in_use: Arc<Usage>,
}

impl Allocation {
    /// Its memory; for those that have brought it in and hold it, as long as they do.
    pub(crate) fn mem(&self) -> MemId {
        self.residence.mem()
    }

    /// Its name in the machine; for the same.
    pub(crate) fn resource(&self) -> Token {
        self.residence.resource()
    }

    /// What a message counts as doing to a part of it. While the contents are on their way back, what is
    /// written beside them counts as read: else it would be lost if they did not arrive and were sent again.
    pub(crate) fn until_it_is_back(&self, access: Access, part: Part) -> Access {
        match access {
            Access::Overwrite if part != Part::WHOLE && self.residence.is_returning() => Access::ReadWrite,
            access => access,
        }
    }

    /// Says that it is not this device's.
    pub(crate) fn not_of(&self, device: &str) -> String {
        not_of(&self.engine.shared.device, device)
    }
}

/// Says that what is `owner`'s is not this device's.
pub(crate) fn not_of(owner: &str, device: &str) -> String {
    if owner == device {
        return format!("belongs to another `Device::open` of {owner}, which is a device of its own");
    }
    format!("belongs to {owner}, not to {device}")
}

impl Drop for Allocation {
    fn drop(&mut self) {
        if let Some(resource) = self.residence.leave() {
            self.in_use.remove(self.charged);
            self.engine.release(resource);
        }
    }
}

/// `len` elements of `T` in a device's memory.
///
/// Dropping it while messages on it are under way is fine: the memory is freed after the last.
pub struct Buffer<T> {
    pub(crate) allocation: Arc<Allocation>,
    len: usize,
    element: PhantomData<fn() -> T>,
}

impl<T: Element> Buffer<T> {
    pub(crate) fn new(allocation: Arc<Allocation>, len: usize) -> Self {
        Self { allocation, len, element: PhantomData }
    }

    /// Elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The name that it was given, or `buffer` and a number: what explanations and drivers call it.
    pub fn name(&self) -> &str {
        &self.allocation.name
    }

    /// Bytes: `len` times the size of `T`.
    pub fn bytes(&self) -> u64 {
        self.allocation.bytes
    }

    /// The elements in `range`, to be bound in the buffer's place.
    ///
    /// # Errors
    /// [`Error::Length`] where the range reaches beyond the buffer, [`Error::Argument`] where it ends before it
    /// begins.
    pub fn view(&self, range: Range<usize>) -> Result<View<'_, T>> {
        let what = || format!("range {}..{} of `{}`", range.start, range.end, self.name());
        if range.end > self.len {
            return Err(Error::Length { what: what(), expected: range.end as u64, got: self.len as u64 });
        }
        if range.start > range.end {
            return Err(Error::argument(what(), "ends before it begins"));
        }
        Ok(View { buffer: self, range })
    }
}

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        self.allocation.residence.disown();
    }
}

impl<T> fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("name", &self.allocation.name)
            .field("element", &std::any::type_name::<T>())
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

/// Some of a buffer's elements.
#[derive(Debug, Clone)]
pub struct View<'a, T> {
    buffer: &'a Buffer<T>,
    range: Range<usize>,
}

impl<'a, T> View<'a, T> {
    pub(crate) fn parts(self) -> (&'a Buffer<T>, Range<usize>) {
        (self.buffer, self.range)
    }
}

impl<'a, T: Element> From<&'a Buffer<T>> for View<'a, T> {
    fn from(buffer: &'a Buffer<T>) -> Self {
        Self { buffer, range: 0..buffer.len }
    }
}

/// What a launch can bind: a [`Buffer`] or a [`View`].
pub trait Bindable: sealed::Sealed {}

impl<T: Element> Bindable for Buffer<T> {}
impl<T: Element> Bindable for View<'_, T> {}

/// Something bound: where it is and what its elements are.
#[derive(Debug, Clone)]
pub struct Bound {
    pub(crate) allocation: Arc<Allocation>,
    /// Where it begins in the buffer, and how much it is.
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    pub(crate) element_bytes: u64,
    /// The element's scalar, where `T` is one or an array of one; `None` fits every type.
    pub(crate) scalar: Option<Scalar>,
    pub(crate) element: &'static str,
}

impl Bound {
    /// Where it is in device memory, once the buffer was brought in.
    pub(crate) fn region(&self) -> Region {
        Region { mem: self.allocation.mem(), offset: self.offset, bytes: self.bytes }
    }
}

mod sealed {
    /// Gives away what is bound.
    pub trait Sealed {
        fn bound(&self) -> super::Bound;
    }
}

pub(crate) use sealed::Sealed as Bind;

impl<T: Element> Bind for Buffer<T> {
    fn bound(&self) -> Bound {
        View { buffer: self, range: 0..self.len }.bound()
    }
}

impl<T: Element> Bind for View<'_, T> {
    fn bound(&self) -> Bound {
        let element_bytes = size_of::<T>() as u64;
        Bound {
            offset: self.range.start as u64 * element_bytes,
            bytes: self.range.len() as u64 * element_bytes,
            allocation: self.buffer.allocation.clone(),
            element_bytes,
            scalar: scalar_of::<T>(),
            element: std::any::type_name::<T>(),
        }
    }
}

/// The scalar that `T` is made of, where that can be told: user structs and bytes fit any layout of
/// their size.
pub(crate) fn scalar_of<T: 'static>() -> Option<Scalar> {
    fn made_of<T: 'static, S: 'static>() -> bool {
        let t = TypeId::of::<T>();
        [TypeId::of::<S>(), TypeId::of::<[S; 2]>(), TypeId::of::<[S; 3]>(), TypeId::of::<[S; 4]>()].contains(&t)
    }
    if made_of::<T, f32>() {
        Some(Scalar::F32)
    } else if made_of::<T, u32>() {
        Some(Scalar::U32)
    } else if made_of::<T, i32>() {
        Some(Scalar::I32)
    } else {
        None
    }
}
