//! A kernel as the CPU device runs it: its native twin, or its WGSL through `simt`.

use wharf_simt::{Access, Engine, Memory, Slot};

use super::memory::Memories;
use crate::{
    backend::Launch,
    error::{BackendKind, Error, FailureKind, Result},
    kernel::Kernel,
    native::{Arg, Dispatch, Native},
    options::Twin,
};

/// A compiled kernel.
#[derive(Debug)]
pub(super) struct Program {
    form: Form,
    bindings: Vec<Slot>,
}

#[derive(Debug)]
enum Form {
    Native(Native),
    Simt(Box<wharf_simt::Program>),
}

impl Program {
    /// The native twin where there is one, unless `twin` says otherwise. A native twin knows no
    /// overrides, so a kernel with overrides runs as WGSL.
    pub(super) fn new(kernel: &Kernel, overrides: &[(String, f64)], twin: Twin) -> Result<Self> {
        let bindings = kernel.entry()?.bindings.clone();
        let native = kernel.native().filter(|_| overrides.is_empty());
        let form = match (twin, native) {
            (Twin::Any | Twin::Native, Some(native)) => Form::Native(native),
            (Twin::Any | Twin::Simt, _) => Form::Simt(Box::new(compile(kernel, overrides)?)),
            (Twin::Native, None) => {
                return Err(Error::NoForm {
                    kernel: kernel.name().to_owned(),
                    backend: BackendKind::Cpu,
                    reason: "it has no native twin for these overrides, and only native twins were asked for".into(),
                });
            }
        };
        Ok(Self { form, bindings })
    }

    /// Runs a dispatch; gives the form that ran.
    pub(super) fn run(
        &self,
        launch: &Launch,
        memories: &Memories,
        pool: &rayon::ThreadPool,
    ) -> Result<&'static str, FailureKind> {
        match &self.form {
            Form::Native(native) => {
                let storage = self.bindings.iter().filter(|slot| slot.access != Access::Uniform);
                let mut args: Vec<Arg<'_>> = storage
                    .zip(&launch.storage)
                    .map(|(slot, &region)| match slot.access {
                        Access::ReadWrite => Arg::Write(memories.bytes_mut(region)),
                        _ => Arg::Read(memories.bytes(region)),
                    })
                    .collect();
                native(&mut Dispatch { groups: launch.groups, args: &mut args, uniform: &launch.uniform, pool });
                Ok("native twin")
            }
            Form::Simt(program) => {
                // Bindings are aligned to 16 bytes, which a vector of bytes need not be.
                let mut uniform = vec![0_u128; launch.uniform.len().div_ceil(16)];
                bytemuck::cast_slice_mut(&mut uniform)[..launch.uniform.len()].copy_from_slice(&launch.uniform);
                let uniform: &[u8] = bytemuck::cast_slice(&uniform);
                let (mut storage, mut at) = (launch.storage.iter(), 0);
                let args: Vec<Memory<'_>> = self
                    .bindings
                    .iter()
                    .map(|slot| match slot.access {
                        Access::Uniform => {
                            let start = usize::next_multiple_of(at, 16);
                            at = start + slot.min_bytes as usize;
                            Memory::read(&uniform[start..at])
                        }
                        Access::Read => Memory::read(memories.bytes(*storage.next().expect("one for each"))),
                        Access::ReadWrite => {
                            Memory::read_write(memories.bytes_mut(*storage.next().expect("one for each")))
                        }
                    })
                    .collect();
                program
                    .dispatch(launch.groups, &args, pool, memories.are_kept())
                    .map_err(|e| FailureKind::Backend(e.to_string().into()))?;
                Ok("simt")
            }
        }
    }
}

fn compile(kernel: &Kernel, overrides: &[(String, f64)]) -> Result<wharf_simt::Program> {
    let set: Vec<(&str, f64)> = overrides.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let compiled = kernel.module()?.compile(kernel.name(), &set, Engine::default());
    compiled.map_err(|source| Error::Build {
        kernel: kernel.name().to_owned(),
        log: source.to_string(),
        source: Some(source.into()),
    })
}
