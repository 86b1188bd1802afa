//! A kernel as the CPU device runs it: its native twin, or its WGSL through `simt`.
//!
//! Where both are allowed and nothing is known, the native twin runs, and its first launch of some size is
//! followed by a [`Trial`]; its answer is for the next device that is opened. A device never changes its
//! mind: its answers repeat to the last bit.

use std::{
    sync::{Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::Instant,
};

use wharf_simt::{Access, Engine, Fallback, Memory, Slot};

use super::{
    memory::Memories,
    trial::{Trial, Undecided},
};
use crate::{
    backend::Launch,
    error::{BackendKind, Error, FailureKind, Result},
    kernel::Kernel,
    native::{Arg, Dispatch, Native},
    options::Twin,
};

/// A compiled kernel.
#[derive(Debug)]
pub(in crate::backend) struct Program {
    form: Form,
    why: Why,
    bindings: Vec<Slot>,
    /// Until a launch has been measured.
    undecided: Mutex<Option<Undecided>>,
}

#[derive(Debug)]
enum Form {
    Native(Native),
    Simt(Box<wharf_simt::Program>),
}

/// Why this form runs.
#[derive(Debug, Clone, Copy)]
enum Why {
    /// It was asked for.
    Forced,
    /// It was measured.
    Faster,
    /// There is no other, or nothing is known of the other yet.
    Alone,
}

impl Program {
    /// The form that `twin` asks for; with [`Twin::Any`] that which was measured to be the faster one on so
    /// many threads, or where nothing is to be measured the native twin. That knows no overrides, so a kernel
    /// with overrides runs as WGSL.
    pub(in crate::backend) fn new(
        kernel: &Kernel,
        overrides: &[(String, f64)],
        twin: Twin,
        measured: Option<usize>,
    ) -> Result<Self> {
        let native = kernel.native().filter(|_| overrides.is_empty());
        let simt = || Ok::<_, Error>(Form::Simt(Box::new(compile(kernel, overrides)?)));
        let (form, why, undecided) = match (twin, native) {
            (Twin::Native, Some(native)) => (Form::Native(native), Why::Forced, None),
            (Twin::Simt, _) => (simt()?, Why::Forced, None),
            (Twin::Any, None) => (simt()?, Why::Alone, None),
            (Twin::Any, Some(native)) => {
                match measured.map(|threads| Undecided::new(kernel, native, threads)).transpose()?.flatten() {
                    None => (Form::Native(native), Why::Alone, None),
                    Some(undecided) => match undecided.answer() {
                        None => (Form::Native(native), Why::Alone, Some(undecided)),
                        Some(answer) if answer.simt_is_faster() => (simt()?, Why::Faster, None),
                        Some(_) => (Form::Native(native), Why::Faster, None),
                    },
                }
            }
            (Twin::Native, None) => {
                let what = if kernel.native().is_some() {
                    "its native twin knows no overrides"
                } else {
                    "it has no native twin"
                };
                return Err(Error::NoForm {
                    kernel: kernel.name().to_owned(),
                    backend: BackendKind::Cpu,
                    reason: format!("{what}, and only native twins were asked for"),
                });
            }
        };
        let bindings = kernel.entry()?.bindings.clone();
        Ok(Self { form, why, bindings, undecided: Mutex::new(undecided) })
    }

    /// Runs a dispatch; gives the form that ran and why, and what is to be measured then.
    pub(in crate::backend) fn run(
        &self,
        launch: &Launch,
        memories: &Memories,
        pool: &rayon::ThreadPool,
        trials: &mut Vec<Trial>,
    ) -> Result<&'static str, FailureKind> {
        let each = || {
            let storage = self.bindings.iter().filter(|slot| slot.access != Access::Uniform);
            storage.zip(&launch.storage).map(|(slot, &region)| match slot.access {
                Access::ReadWrite => Arg::Write(memories.bytes_mut(region)),
                _ => Arg::Read(memories.bytes(region)),
            })
        };
        match &self.form {
            Form::Native(native) => {
                // A few need no memory of their own.
                let (mut few, mut many) = ([const { Arg::Read(&[]) }; 8], Vec::new());
                let args = match few.get_mut(..launch.storage.len()) {
                    Some(few) => {
                        few.iter_mut().zip(each()).for_each(|(place, arg)| *place = arg);
                        few
                    }
                    None => {
                        many.extend(each());
                        &mut many
                    }
                };
                // Neither the lock nor the clock is for those that are over in a moment.
                let undecided = if Trial::is_worth_it(args) { self.undecided().take() } else { None };
                let copied = undecided.map(|known| (Trial::new(known, launch, args), Instant::now()));
                run_native(*native, launch.groups, args, &launch.uniform, pool);
                trials.extend(copied.and_then(|(trial, start)| trial.after(start.elapsed())));
            }
            Form::Simt(program) => {
                let args = each().collect();
                let ran = run_simt(program, launch.groups, args, &launch.uniform, pool, memories.are_kept());
                ran.map_err(|e| FailureKind::Backend(e.to_string().into()))?;
            }
        }
        Ok(self.says())
    }

    fn undecided(&self) -> MutexGuard<'_, Option<Undecided>> {
        self.undecided.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the receipt says.
    fn says(&self) -> &'static str {
        match (&self.form, self.why) {
            (Form::Native(_), Why::Forced) => "native twin: forced",
            (Form::Native(_), Why::Faster) => "native twin: measured faster",
            (Form::Native(_), Why::Alone) => "native twin: not measured",
            (Form::Simt(program), why) => match (program.fallback(), why) {
                (None, Why::Forced) => "simt jit: forced",
                (None, Why::Faster) => "simt jit: measured faster",
                (None, Why::Alone) => "simt jit: no native twin",
                (Some(Fallback::Length), _) => "simt interpreter: the kernel is too long to compile",
                (Some(Fallback::Memory), _) => "simt interpreter: its workgroups take too much memory to compile",
                (Some(Fallback::Build), _) => "simt interpreter: built without the compiler",
                (Some(_), _) => "simt interpreter: no compiler for this machine",
            },
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

pub(in crate::backend) fn run_native<'a>(
    native: Native,
    groups: [u32; 3],
    args: &'a mut [Arg<'a>],
    uniform: &'a [u8],
    pool: &'a rayon::ThreadPool,
) {
    native(&mut Dispatch { groups, args, uniform, pool });
}

/// `args` are the storage bindings, `uniform` the others' bytes.
pub(in crate::backend) fn run_simt(
    program: &wharf_simt::Program,
    groups: [u32; 3],
    args: Vec<Arg<'_>>,
    uniform: &[u8],
    pool: &rayon::ThreadPool,
    stop: &AtomicBool,
) -> Result<(), wharf_simt::Error> {
    // Bindings are aligned to 16 bytes, which a vector of bytes need not be.
    let mut aligned = vec![0_u128; uniform.len().div_ceil(16)];
    bytemuck::cast_slice_mut(&mut aligned)[..uniform.len()].copy_from_slice(uniform);
    let uniform: &[u8] = bytemuck::cast_slice(&aligned);
    let (mut storage, mut at) = (args.into_iter(), 0);
    let memories = program.bindings().iter().map(|slot| match slot.access {
        Access::Uniform => {
            let start = usize::next_multiple_of(at, 16);
            at = start + slot.min_bytes as usize;
            Memory::read(&uniform[start..at])
        }
        _ => match storage.next().expect("one for each") {
            Arg::Read(bytes) => Memory::read(bytes),
            Arg::Write(bytes) => Memory::read_write(bytes),
        },
    });
    program.dispatch(groups, &memories.collect::<Vec<_>>(), pool, stop).map(drop)
}
