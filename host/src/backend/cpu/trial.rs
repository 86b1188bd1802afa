//! Measures both forms of a kernel on copies of what a launch was given, after that launch has run.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use wharf_simt::{Engine, Module};

use super::{
    choice::{self, Answer, Question},
    program::{run_native, run_simt},
};
use crate::{
    backend::Launch,
    error::Result,
    kernel::Kernel,
    native::{Arg, Native},
};

/// Launches that bind fewer bytes say little. Those that bind more are not copied, nor tried on a part of their
/// buffers: which workgroups stay within that part only the kernel knows. [`Twin::Any`](crate::Twin::Any) says so.
const BYTES: std::ops::RangeInclusive<usize> = 64 << 10..=256 << 20;
/// A launch that takes longer is not done again: that would be noticed.
const LONGEST: Duration = Duration::from_millis(100);
/// The WGSL is stopped where it takes twice as long as the native twin, and longer than this: it has lost.
const PATIENCE: Duration = Duration::from_millis(5);
/// Each form runs so often, and its best time counts; fewer times where that takes longer than [`LONGEST`].
const ROUNDS: usize = 3;

/// A kernel of which both forms could run, and nobody knows which is faster.
#[derive(Debug)]
pub(super) struct Undecided {
    native: Native,
    module: Arc<Module>,
    name: String,
    question: Question,
    /// Where the answer is kept.
    folder: PathBuf,
}

impl Undecided {
    /// `None` where answers cannot be kept.
    pub(super) fn new(kernel: &Kernel, native: Native, threads: usize) -> Result<Option<Self>> {
        let Some(folder) = choice::folder() else { return Ok(None) };
        let (module, name) = (kernel.module()?.clone(), kernel.name().to_owned());
        let question = Question::new(&name, kernel.wgsl(), Engine::default(), threads);
        Ok(Some(Self { native, module, name, question, folder }))
    }

    /// What was measured before.
    pub(super) fn answer(&self) -> Option<Answer> {
        self.question.answer(&self.folder)
    }
}

/// What a launch of it was given.
#[derive(Debug)]
pub(in crate::backend) struct Trial {
    of: Undecided,
    groups: [u32; 3],
    uniform: Vec<u8>,
    storage: Vec<Copied>,
    native_took: Duration,
}

/// A binding's bytes, aligned to 16.
#[derive(Debug)]
struct Copied {
    blocks: Vec<u128>,
    len: usize,
    write: bool,
}

impl Trial {
    pub(super) fn is_worth_it(args: &[Arg<'_>]) -> bool {
        BYTES.contains(&args.iter().map(|arg| arg.read::<u8>().len()).sum())
    }

    /// Copies what the launch is given, before it runs.
    pub(super) fn new(of: Undecided, launch: &Launch, args: &[Arg<'_>]) -> Self {
        let storage = args.iter().map(Copied::new).collect();
        Self { of, groups: launch.groups, uniform: launch.uniform.clone(), storage, native_took: Duration::ZERO }
    }

    /// Says how long the native twin took for the launch itself.
    pub(super) fn after(self, native_took: Duration) -> Option<Self> {
        (native_took <= LONGEST).then_some(Self { native_took, ..self })
    }

    /// Measures, and keeps the answer for the next device.
    pub(super) fn run(self, pool: &rayon::ThreadPool) {
        let Undecided { module, name, question, folder, .. } = &self.of;
        // What `simt` does not compile has one form.
        let Ok(program) = module.compile(name, &[], Engine::default()) else { return };
        let start = Instant::now();
        let (mut native, mut simt): (Duration, Option<Duration>) = (self.native_took, None);
        for round in 0..ROUNDS {
            if round > 0 && start.elapsed() > LONGEST {
                break;
            }
            native = native.min(self.native(pool));
            let Some(time) = self.simt(&program, PATIENCE.max(2 * native), pool) else { break };
            simt = Some(simt.map_or(time, |best| best.min(time)));
        }
        question.keep(Answer::new(native, simt), folder);
    }

    fn native(&self, pool: &rayon::ThreadPool) -> Duration {
        let mut storage: Vec<Copied> = self.storage.iter().map(Copied::again).collect();
        let mut args: Vec<Arg<'_>> = storage.iter_mut().map(Copied::arg).collect();
        let start = Instant::now();
        run_native(self.of.native, self.groups, &mut args, &self.uniform, pool);
        start.elapsed()
    }

    /// `None` where it takes longer than `limit`, or fails.
    fn simt(&self, program: &wharf_simt::Program, limit: Duration, pool: &rayon::ThreadPool) -> Option<Duration> {
        let mut storage: Vec<Copied> = self.storage.iter().map(Copied::again).collect();
        let args: Vec<Arg<'_>> = storage.iter_mut().map(Copied::arg).collect();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let watch = scope.spawn(|| {
                thread::park_timeout(limit);
                stop.store(true, Relaxed);
            });
            let start = Instant::now();
            let ran = run_simt(program, self.groups, args, &self.uniform, pool, &stop);
            let took = start.elapsed();
            watch.thread().unpark();
            ran.ok().map(|()| took)
        })
    }
}

impl Copied {
    fn new(arg: &Arg<'_>) -> Self {
        let bytes = arg.read::<u8>();
        let mut blocks = vec![0_u128; bytes.len().div_ceil(16)];
        bytemuck::cast_slice_mut(&mut blocks)[..bytes.len()].copy_from_slice(bytes);
        Self { blocks, len: bytes.len(), write: matches!(arg, Arg::Write(_)) }
    }

    fn again(&self) -> Self {
        Self { blocks: self.blocks.clone(), ..*self }
    }

    fn arg(&mut self) -> Arg<'_> {
        let bytes = &mut bytemuck::cast_slice_mut(&mut self.blocks)[..self.len];
        if self.write { Arg::Write(bytes) } else { Arg::Read(bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launches_are_measured_that_are_neither_tiny_nor_too_large_to_copy() {
        let bytes = vec![0_u8; 300 << 20];
        for (len, worth_it) in
            [(60 << 10, false), (64 << 10, true), (65 << 20, true), (256 << 20, true), (300 << 20, false)]
        {
            assert_eq!(Trial::is_worth_it(&[Arg::Read(&bytes[..len])]), worth_it, "{len} bytes");
        }
    }
}
