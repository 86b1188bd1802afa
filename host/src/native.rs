//! Native CPU twins: what a kernel's Rust twin gets and how it sees its bindings.

use bytemuck::{AnyBitPattern, NoUninit, Pod};

/// A native twin computes a whole dispatch, on as many threads of [`Dispatch::pool`] as it likes.
///
/// It must give what the WGSL gives for the same workgroups; the conformance test of the kernels
/// compares both with the oracle.
pub type Native = fn(&mut Dispatch<'_>);

/// One dispatch as a native twin sees it.
#[derive(Debug)]
pub struct Dispatch<'a> {
    /// Workgroups in x, y, z.
    pub groups: [u32; 3],
    /// The storage bindings, in order of group and binding.
    pub args: &'a mut [Arg<'a>],
    /// The bytes of the uniform binding in WGSL layout; empty where the kernel has none.
    pub uniform: &'a [u8],
    /// The device's threads.
    pub pool: &'a rayon::ThreadPool,
}

/// A storage binding: bytes aligned to 16.
#[derive(Debug)]
pub enum Arg<'a> {
    /// Declared `read`.
    Read(&'a [u8]),
    /// Declared `read_write`.
    Write(&'a mut [u8]),
}

impl Arg<'_> {
    /// The elements.
    ///
    /// # Panics
    /// Where the binding's bytes are no whole number of `T`; launches check that before.
    pub fn read<T: AnyBitPattern + NoUninit>(&self) -> &[T] {
        match self {
            Self::Read(bytes) => bytemuck::cast_slice(bytes),
            Self::Write(bytes) => bytemuck::cast_slice(bytes),
        }
    }

    /// The elements, to be written.
    ///
    /// # Panics
    /// Where the binding is declared `read`, or as [`Arg::read`].
    pub fn write<T: Pod>(&mut self) -> &mut [T] {
        match self {
            Self::Read(_) => panic!("a native twin writes to a binding that its WGSL declares `read`"),
            Self::Write(bytes) => bytemuck::cast_slice_mut(bytes),
        }
    }
}

impl Dispatch<'_> {
    /// The uniform binding as a `#[repr(C)]` struct of the WGSL struct's layout.
    ///
    /// # Panics
    /// Where the sizes differ: the twin and its WGSL disagree.
    pub fn uniform<T: AnyBitPattern>(&self) -> T {
        bytemuck::pod_read_unaligned(self.uniform)
    }

    /// All workgroups, x fastest: for kernels with linear ids.
    pub fn group_count(&self) -> usize {
        self.groups.iter().map(|&g| g as usize).product()
    }
}
