//! A kernel as the CPU device runs it.

use wharf_simt::Access;

use super::memory::Memories;
use crate::{
    backend::Launch,
    error::{BackendKind, Error, FailureKind, Result},
    kernel::Kernel,
    native::{Arg, Dispatch, Native},
};

/// A compiled kernel.
#[derive(Debug)]
pub(super) struct Program {
    native: Native,
    /// Which storage bindings are written.
    writes: Vec<bool>,
}

impl Program {
    pub(super) fn new(kernel: &Kernel, overrides: &[(String, f64)]) -> Result<Self> {
        let entry = kernel.entry()?;
        let no_form = |reason: &str| Error::NoForm {
            kernel: kernel.name().to_owned(),
            backend: BackendKind::Cpu,
            reason: reason.to_owned(),
        };
        let native = kernel.native().ok_or_else(|| no_form("it has no native twin"))?;
        if !overrides.is_empty() {
            return Err(no_form("its native twin takes no overrides"));
        }
        let storage = entry.bindings.iter().filter(|slot| slot.access != Access::Uniform);
        Ok(Self { native, writes: storage.map(|slot| slot.access == Access::ReadWrite).collect() })
    }

    /// Runs a dispatch; gives the form that ran.
    pub(super) fn run(
        &self,
        launch: &Launch,
        memories: &Memories,
        pool: &rayon::ThreadPool,
    ) -> Result<&'static str, FailureKind> {
        let bindings = launch.storage.iter().zip(&self.writes);
        let mut args: Vec<Arg<'_>> = bindings
            .map(|(&region, &write)| match write {
                true => Arg::Write(memories.bytes_mut(region)),
                false => Arg::Read(memories.bytes(region)),
            })
            .collect();
        let groups = launch.groups;
        (self.native)(&mut Dispatch { groups, args: &mut args, uniform: &launch.uniform, pool });
        Ok("native twin")
    }
}
