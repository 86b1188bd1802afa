//! Functions, and what a launch of one does.

#![expect(unsafe_code, reason = "arguments are read through untyped pointers")]

use std::ffi::c_void;
use std::sync::LazyLock;

use rayon::{ThreadPool, ThreadPoolBuilder};
use wharf::Kernel;
use wharf::native::{Arg, Dispatch};
use wharf_simt::{Access, Layout};

use crate::device::{DEVICE, pointer};

static POOL: LazyLock<ThreadPool> = LazyLock::new(|| ThreadPoolBuilder::new().build().expect("threads can be started"));

/// A loaded module: its PTX.
pub(crate) struct Module {
    ptx: String,
}

impl Module {
    /// `None` where the text is no PTX.
    pub(crate) fn new(ptx: &str) -> Option<Self> {
        ptx.contains(".version").then(|| Self { ptx: ptx.to_owned() })
    }

    /// The library's kernel of this name, where the PTX has a function of that name as well.
    pub(crate) fn function(&self, name: &str) -> Option<&'static Kernel> {
        let mut kernels = wharf_kernels::ALL.iter().flat_map(wharf_kernels::Spec::kernels);
        let kernel = kernels.find(|kernel| kernel.name() == name);
        kernel.filter(|_| self.ptx.contains(&format!(".entry {name}(")))
    }
}

/// A launch whose arguments were read, as the driver reads them before the call returns.
pub(crate) struct Launch {
    kernel: &'static Kernel,
    groups: [u32; 3],
    /// Address, bytes, and whether it is written.
    bindings: Vec<(u64, usize, bool)>,
    uniform: Vec<u8>,
}

impl Launch {
    /// Reads the arguments of a call; `None` where an address is not the device's.
    ///
    /// # Safety
    ///
    /// `arguments` points to one pointer for each parameter of the kernel, and each of those to a value
    /// of the parameter's type.
    pub(crate) unsafe fn read(
        kernel: &'static Kernel,
        groups: [u32; 3],
        arguments: *const *const c_void,
    ) -> Option<Self> {
        let entry = kernel.entry().expect("library kernels are valid");
        let (uniforms, storage): (Vec<_>, Vec<_>) =
            entry.bindings.iter().partition(|slot| slot.access == Access::Uniform);
        // SAFETY: the caller's promise; `at` stays below the number of parameters.
        let argument = |at: usize| unsafe { *arguments.add(at) };
        let mut bindings = Vec::new();
        for (at, slot) in storage.iter().enumerate() {
            // SAFETY: pointers come first, then their lengths in the same order.
            let (address, length) =
                unsafe { (argument(at).cast::<u64>().read(), argument(storage.len() + at).cast::<u32>().read()) };
            let bytes = bytes(&slot.layout, length.into());
            if bytes > 0 && !DEVICE.holds(address, bytes) {
                return None;
            }
            bindings.push((address, bytes as usize, slot.access == Access::ReadWrite));
        }
        let mut uniform = Vec::new();
        let mut at = 2 * storage.len();
        for slot in &uniforms {
            let base = uniform.len().next_multiple_of(16);
            uniform.resize(base + slot.layout.bytes(0) as usize, 0);
            for leaf in slot.layout.scalars(0) {
                let (to, bytes) = (base + leaf.offset as usize, leaf.scalar.bytes() as usize);
                // SAFETY: scalars follow the lengths, in memory order.
                let value = unsafe { std::slice::from_raw_parts(argument(at).cast::<u8>(), bytes) };
                uniform[to..to + bytes].copy_from_slice(value);
                at += 1;
            }
        }
        Some(Self { kernel, groups, bindings, uniform })
    }

    /// Runs the native twin.
    pub(crate) fn run(&self) {
        let native = self.kernel.native().expect("library kernels have a native twin");
        let mut args: Vec<_> = (self.bindings.iter())
            .map(|&(address, bytes, written)| {
                // SAFETY: in a block of device memory, which outlives the work given before it is freed;
                // whoever launches orders what touches it.
                unsafe {
                    match written {
                        true => Arg::Write(std::slice::from_raw_parts_mut(pointer(address), bytes)),
                        false => Arg::Read(std::slice::from_raw_parts(pointer(address), bytes)),
                    }
                }
            })
            .collect();
        native(&mut Dispatch { groups: self.groups, args: &mut args, uniform: &self.uniform, pool: &POOL });
    }
}

/// Bytes of a binding of this length in elements.
fn bytes(layout: &Layout, length: u64) -> u64 {
    match layout {
        Layout::Array { len: None, stride, .. } => length * u64::from(*stride),
        layout => layout.bytes(length),
    }
}
