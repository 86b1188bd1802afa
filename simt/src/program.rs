//! [`Program`]: a compiled entry point, ready to run.

use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::dispatch::{Job, Sharing};
use crate::error::{Error, Location};
use crate::finding::{Budget, Finding};
use crate::front;
use crate::interp;
use crate::ir;
#[cfg(feature = "jit")]
use crate::jit;
use crate::lower;
use crate::memory::Memory;
use crate::reflect::{Access, Module, Slot};

/// What runs a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Engine {
    /// Machine code, made when the entry point is compiled. What the machine, the build or the size of the
    /// kernel does not allow it for is interpreted; [`Program::fallback`] tells so, and why.
    #[default]
    Jit,
    /// Each instruction runs over all invocations of a workgroup before the next. Needs no code generation.
    Interpreter,
}

/// Why the interpreter runs what was to be compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fallback {
    /// The crate was built without the compiler.
    Build,
    /// The compiler knows no code for this machine.
    Machine,
    /// The kernel has so many instructions that compiling it would take long.
    Length,
    /// What the invocations of a workgroup keep across barriers takes too much memory.
    Memory,
}

/// A compute entry point, compiled with its overrides. It can be dispatched by many threads at once.
#[derive(Debug)]
pub struct Program {
    name: String,
    source: String,
    slots: Vec<Slot>,
    workgroup: [u32; 3],
    /// Invocations of a workgroup.
    lanes: u32,
    #[cfg(feature = "jit")]
    code: Option<jit::Compiled>,
    fallback: Option<Fallback>,
    /// What the interpreter's rows are made of.
    kernel: ir::Kernel,
    /// Made when it first runs something: a compiled program may never ask for it.
    rows: OnceLock<interp::Rows>,
    sharing: Sharing,
}

/// What a dispatch did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Workgroups that ran.
    pub workgroups: u64,
    /// Invocations that ran.
    pub invocations: u64,
}

impl Module {
    /// Compiles an entry point with overrides `set` by name or `@id`.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchEntry`]; [`Error::Override`] where one is unknown, missing or does not fit;
    /// [`Error::Limit`] where the kernel is larger than what is run here.
    pub fn compile(&self, entry: &str, set: &[(&str, f64)], engine: Engine) -> Result<Program, Error> {
        let found = self.entry(entry)?;
        let (module, info) = self.resolve(&found.name, set)?;
        let kernel = lower::kernel(&module, &info, &found.bindings, self.source())?;
        #[cfg(feature = "jit")]
        let (code, fallback) = match engine {
            Engine::Interpreter => (None, None),
            Engine::Jit => match jit::Compiled::new(&kernel, &found.bindings) {
                Ok(code) => (Some(code), None),
                Err(why) => (None, Some(why)),
            },
        };
        #[cfg(not(feature = "jit"))]
        let fallback = (engine == Engine::Jit).then_some(Fallback::Build);
        let program = Program {
            name: found.name.clone(),
            source: self.source().to_owned(),
            slots: found.bindings.clone(),
            workgroup: kernel.workgroup,
            lanes: kernel.lanes,
            kernel,
            rows: OnceLock::new(),
            #[cfg(feature = "jit")]
            code,
            fallback,
            sharing: Sharing::default(),
        };
        if program.engine() == Engine::Interpreter {
            program.rows()?;
        }
        Ok(program)
    }
}

impl Program {
    /// Invocations of a subgroup, the last of a workgroup excepted.
    pub const SUBGROUP_SIZE: u32 = ir::SUBGROUP;

    /// The entry point's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The engine that runs it.
    pub fn engine(&self) -> Engine {
        #[cfg(feature = "jit")]
        if self.code.is_some() {
            return Engine::Jit;
        }
        Engine::Interpreter
    }

    /// Why it is interpreted although it was to be compiled; none where it is run as was asked.
    pub fn fallback(&self) -> Option<Fallback> {
        self.fallback
    }

    /// Invocations of a workgroup along x, y and z, overrides applied.
    pub fn workgroup(&self) -> [u32; 3] {
        self.workgroup
    }

    /// The buffers to give to [`Program::dispatch`], in this order.
    pub fn bindings(&self) -> &[Slot] {
        &self.slots
    }

    /// Sets for how long a dispatch runs on the calling thread alone, 20 microseconds unless set. After that
    /// the threads of the pool are woken, if so much is left to do; where the last dispatch lets expect that,
    /// they are woken at once. With zero every dispatch of several workgroups runs on all threads.
    #[must_use]
    pub fn alone_for(mut self, time: Duration) -> Self {
        self.sharing.alone = time;
        self
    }

    /// Runs `groups` workgroups on the calling thread and on those of `pool`, together as many as `pool` has,
    /// with a buffer for each of [`Program::bindings`].
    ///
    /// Out of bounds a load gives zero and a store does nothing. Workgroup memory starts as zeros. The
    /// order of workgroups is not defined. A dispatch of one workgroup runs on the calling thread.
    ///
    /// # Errors
    ///
    /// One of the `Argument` errors before anything runs. [`Error::Divergence`] and [`Error::NotUniform`]
    /// where a workgroup breaks WGSL's uniformity rules; [`Error::Stopped`] soon after `stop` becomes true.
    /// After these three, buffers hold what was written so far.
    pub fn dispatch(
        &self,
        groups: [u32; 3],
        args: &[Memory<'_>],
        pool: &rayon::ThreadPool,
        stop: &AtomicBool,
    ) -> Result<Stats, Error> {
        self.check_arguments(args)?;
        let locate = |span| Location::of(span, &self.source);
        let job = Job { groups, lanes: self.lanes, pool, stop, sharing: &self.sharing, locate: &locate };
        #[cfg(feature = "jit")]
        match &self.code {
            Some(code) => code.dispatch(&self.slots, args, &job)?,
            None => interp::dispatch(self.rows()?, &self.slots, args, &job)?,
        }
        #[cfg(not(feature = "jit"))]
        interp::dispatch(self.rows()?, &self.slots, args, &job)?;
        let workgroups = groups.iter().map(|&side| u64::from(side)).product::<u64>();
        Ok(Stats { workgroups, invocations: workgroups.saturating_mul(self.lanes.into()) })
    }

    /// Runs `groups` workgroups one after another as [`Program::dispatch`] would, and answers what is wrong
    /// with the kernel, errors first.
    ///
    /// Found are races in workgroup and storage memory, within and across workgroups; barriers that not
    /// all invocations reach; accesses out of bounds; reads of workgroup memory and of
    /// [fresh](Memory::fresh) buffers before a write; and invocations that do not end. A barrier orders
    /// only the memory it names. Races are judged by who accesses what between barriers and not by what
    /// came out, so one run suffices for the paths that its data takes. Bindings that share bytes are one
    /// memory. Atomic accesses to workgroup memory do not race, but a load or store and an addition (or the
    /// like) that nothing orders are reported as well.
    ///
    /// Not found is an index of another element that the invocation may access there, inside its array, written
    /// before and in order: that breaks no rule, and only the answer is wrong.
    ///
    /// # Errors
    ///
    /// One of the `Argument` errors before anything runs; [`Error::Limit`] where the kernel was compiled and its
    /// workgroups are too large to be interpreted.
    pub fn check(&self, groups: [u32; 3], args: &[Memory<'_>], budget: Budget) -> Result<Vec<Finding>, Error> {
        self.check_arguments(args)?;
        Ok(interp::check(self.rows()?, &self.slots, groups, args, &self.source, budget))
    }

    /// The program as the interpreter runs it.
    fn rows(&self) -> Result<&interp::Rows, Error> {
        if let Some(rows) = self.rows.get() {
            return Ok(rows);
        }
        let rows = interp::Rows::new(&self.kernel).map_err(|what| {
            let at = front::entry_place(&self.name, &self.source);
            Error::Limit { at, what }
        })?;
        Ok(self.rows.get_or_init(|| rows))
    }

    fn check_arguments(&self, args: &[Memory<'_>]) -> Result<(), Error> {
        if args.len() != self.slots.len() {
            return Err(Error::ArgumentCount { entry: self.name.clone(), expected: self.slots.len(), got: args.len() });
        }
        // Addresses are 32 bits wide, and the last one means out of bounds.
        let max_bytes = u64::from(u32::MAX - 15);
        for (slot, memory) in self.slots.iter().zip(args) {
            let binding = slot.name.clone();
            let got = memory.len() as u64;
            if got < slot.min_bytes || got > max_bytes {
                return Err(Error::ArgumentSize { binding, min_bytes: slot.min_bytes, max_bytes, got });
            }
            if !memory.is_aligned() {
                return Err(Error::ArgumentAlign { binding, align: Memory::ALIGN as u64 });
            }
            if slot.access == Access::ReadWrite && !memory.is_writable() {
                return Err(Error::ArgumentReadOnly { binding });
            }
        }
        Ok(())
    }
}
