//! The host's own cores as a device.
//!
//! Each lane is a thread that takes its commands in order, but for small ones (`lanes`); kernels spread
//! over a pool of threads, one for each core (`WHARF_THREADS` says otherwise). Device memory is host memory: a block that
//! was filled in place and covers a whole buffer becomes the buffer's memory without a copy.

use std::{
    any::Any,
    env::VarError,
    mem,
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use super::{
    Backend, Capabilities, Command, Done, Event, HostBlock, HostSpan, Lane, Launch, MemId, More, Op, Path, PipelineId,
    PoolUse, Region, Ring, Source,
};
use crate::{
    discover::{Door, Found, Open},
    error::{BackendKind, Error, FailureKind, Result},
    kernel::Kernel,
    options::{Options, Progress, Twin},
};

mod brief;
mod choice;
mod lanes;
pub(super) mod memory;
pub(super) mod program;
mod trial;

use lanes::{Lanes, Run};
use memory::Memories;
use program::Program;
use trial::Trial;

/// Bounds the threads of the CPU device.
const THREADS_VARIABLE: &str = "WHARF_THREADS";

/// The CPU device, which is always there.
pub(crate) const DOOR: Door = Door {
    kind: BackendKind::Cpu,
    survey: || vec![survey()],
    open: Open::Only(|options| Ok(Arc::new(Cpu::open(options)?))),
};

/// The CPU device.
#[derive(Debug)]
pub(crate) struct Cpu {
    capabilities: Capabilities,
    shared: Arc<Shared>,
    twin: Twin,
}

#[derive(Debug)]
struct Shared {
    memories: Memories,
    programs: Mutex<Vec<Arc<Program>>>,
    pool: rayon::ThreadPool,
    lanes: Lanes,
}

/// Bytes that are copied under the lock of the queues: to copy so few is nothing beside what is done there for a message
/// in any case, also where a batch has thousands.
const NOW_BYTES: u64 = 128;

/// More than any machine has cores; each is a thread that is really started.
const MOST_THREADS: usize = 1024;

/// As many as the environment says, else one for each core.
fn threads() -> Result<usize> {
    match std::env::var(THREADS_VARIABLE) {
        Ok(text) if !text.is_empty() => wished(&text),
        Err(VarError::NotUnicode(text)) => wished(&text.to_string_lossy()),
        _ => Ok(thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS)),
    }
}

fn wished(text: &str) -> Result<usize> {
    text.parse().ok().filter(|n| (1..=MOST_THREADS).contains(n)).ok_or_else(|| {
        Error::argument(THREADS_VARIABLE, format!("`{text}` is no number of threads: 1 to {MOST_THREADS} is expected"))
    })
}

/// The CPU device, or why it cannot be opened.
fn survey() -> Found {
    match threads() {
        Ok(threads) => Found::there("cpu".into(), capabilities(threads)),
        Err(e) => Found::missing("cpu", BackendKind::Cpu, e),
    }
}

/// What the CPU device can do.
pub(crate) fn capabilities(threads: usize) -> Capabilities {
    let plural = if threads == 1 { "" } else { "s" };
    Capabilities {
        backend: BackendKind::Cpu,
        name: format!("{threads} thread{plural}, {}", std::env::consts::ARCH),
        driver: "wharf".into(),
        software: true,
        unified_memory: true,
        max_workgroup_bytes: 64 << 10,
        max_workgroup_invocations: 1024,
        max_workgroup_size: [1024, 1024, 64],
        max_workgroups_per_dimension: u32::MAX,
        max_storage_bindings: 64,
        // `simt` addresses a binding's bytes with 32 bits.
        max_binding_bytes: u64::from(u32::MAX) - 15,
        max_buffer_bytes: 1 << 40,
        storage_alignment: 16,
        memory_bytes: None,
        subgroup_sizes: (wharf_simt::Program::SUBGROUP_SIZE, wharf_simt::Program::SUBGROUP_SIZE),
        f16: true,
        timestamps: false,
        copy_engines: 2,
        copy_overlaps_compute: true,
        max_in_flight: 4096,
    }
}

/// As many threads as the CPU device has.
pub(super) fn pool(name: &'static str) -> Result<rayon::ThreadPool> {
    let builder = rayon::ThreadPoolBuilder::new().num_threads(threads()?);
    let built = builder.thread_name(move |i| format!("wharf {name} {i}")).build();
    built.map_err(|e| Error::device(BackendKind::Cpu, "start threads", e))
}

impl Cpu {
    pub(crate) fn open(options: &Options) -> Result<Self> {
        let failed = |e: &dyn std::fmt::Display| Error::device(BackendKind::Cpu, "start threads", e);
        let pool = pool("cpu")?;
        let threads = pool.current_num_threads();
        let run = match options.progress {
            Progress::Threads => Run::Lanes { spin: options.spin },
            Progress::Manual => Run::AtOnce,
        };
        let lanes = Lanes::new(run);
        let shared = Arc::new(Shared { memories: Memories::default(), programs: Mutex::default(), pool, lanes });
        let device = Self { capabilities: capabilities(threads), shared, twin: options.twin };
        if options.progress == Progress::Threads {
            for (lane, name) in ["upload", "compute", "download"].into_iter().enumerate() {
                let shared = device.shared.clone();
                let run = move || {
                    shared
                        .lanes
                        .run(lane, &shared.memories, |command, started, now| shared.execute(command, started, now))
                };
                thread::Builder::new().name(format!("wharf cpu {name}")).spawn(run).map_err(|e| failed(&e))?;
            }
        }
        Ok(device)
    }
}

impl Drop for Cpu {
    fn drop(&mut self) {
        self.shared.lanes.close();
    }
}

impl Shared {
    /// Does the command; `now` is asked when it is done.
    fn execute(&self, command: &mut Command, started: Instant, now: impl FnOnce() -> Instant) -> Event {
        let (mut trials, op) = (Vec::new(), &mut command.op);
        let outcome = match op {
            // A native twin may panic on its data: that is this message's failure and nobody else's.
            Op::Launch(_) | Op::Replay(_) => panic::catch_unwind(AssertUnwindSafe(|| self.perform(op, &mut trials))),
            _ => Ok(self.perform(op, &mut trials)),
        };
        let finished = now();
        let (result, path, form) = match outcome {
            Ok(Ok((path, form))) => (Ok(()), path, form),
            Ok(Err(kind)) => (Err(kind), Path::None, None),
            Err(cause) => (Err(FailureKind::Backend(words_of(&*cause).into())), Path::None, None),
        };
        for trial in trials {
            // A twin that panics only now leaves the question open.
            let _ = panic::catch_unwind(AssertUnwindSafe(|| trial.run(&self.pool)));
        }
        Event::Done(Done {
            token: command.token,
            result,
            started: Some(started),
            finished,
            device_seconds: None,
            path,
            why: (path == Path::Host).then_some("the device's memory is the host's"),
            together: lanes::messages(&command.op),
            form,
        })
    }

    fn perform(&self, op: &mut Op, trials: &mut Vec<Trial>) -> Result<(Path, Option<&'static str>), FailureKind> {
        if self.memories.are_kept().load(Relaxed) {
            return Err(FailureKind::DeviceLost("given up".into()));
        }
        match *op {
            Op::Nothing => Ok((Path::None, None)),
            Op::Upload { src: Source::Block(_), dst } => match mem::replace(op, Op::Nothing) {
                Op::Upload { src: Source::Block(block), .. } => Ok((self.memories.adopt(block, dst), None)),
                _ => unreachable!("just looked at"),
            },
            Op::Upload { src: Source::Part { span, .. }, dst } => {
                self.memories.write(dst, span, &self.pool);
                Ok((Path::Filled, None))
            }
            Op::Upload { src: Source::Span(span), dst } => {
                self.memories.write(dst, span, &self.pool);
                Ok((Path::Host, None))
            }
            Op::Upload { src: Source::Carried(span), dst } => {
                self.memories.write_small([(dst, span)]);
                Ok((Path::Inline, None))
            }
            Op::Download { src, dst } => {
                self.memories.read(src, dst, &self.pool);
                Ok((Path::Host, None))
            }
            Op::Joined(ref ops) => {
                self.memories.write_small(ops.iter().map(|op| match *op {
                    Op::Upload { src: Source::Carried(span), dst } => (dst, span),
                    ref other => panic!("our bug: {other:?} among uploads that carry their bytes"),
                }));
                Ok((Path::Inline, None))
            }
            Op::Replay(ref recorded) => {
                recorded.ops.iter().try_for_each(|op| self.inside(op, trials).map(drop))?;
                Ok((Path::None, Some("one command")))
            }
            ref op => self.inside(op, trials),
        }
    }

    /// What a graph may hold.
    fn inside(&self, op: &Op, trials: &mut Vec<Trial>) -> Result<(Path, Option<&'static str>), FailureKind> {
        match op {
            &Op::Upload { src: Source::Span(span), dst } => self.memories.write(dst, span, &self.pool),
            &Op::Download { src, dst } => self.memories.read(src, dst, &self.pool),
            &Op::Copy { src, dst } => self.memories.copy(src, dst),
            &Op::Clear { dst } => self.memories.clear(dst),
            Op::Launch(launch) => return self.launch(launch, trials).map(|form| (Path::None, Some(form))),
            other => panic!("our bug: {other:?} inside the device"),
        }
        Ok((Path::Device, None))
    }

    fn launch(&self, launch: &Launch, trials: &mut Vec<Trial>) -> Result<&'static str, FailureKind> {
        let programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        let program = programs[launch.pipeline.0 as usize].clone();
        drop(programs);
        program.run(launch, &self.memories, &self.pool, trials)
    }
}

pub(super) fn words_of(cause: &(dyn Any + Send)) -> String {
    let words = cause.downcast_ref::<&str>().copied().or_else(|| cause.downcast_ref::<String>().map(String::as_str));
    format!("the kernel panicked: {}", words.unwrap_or("no words"))
}

impl Backend for Cpu {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn alloc(&self, bytes: u64, _label: Option<&str>) -> Result<MemId> {
        self.shared.memories.alloc(bytes)
    }

    fn free(&self, mem: MemId) {
        self.shared.memories.free(mem);
    }

    fn import(&self, span: HostSpan, keep: Box<dyn Any + Send + Sync>) -> Option<MemId> {
        self.shared.memories.import(span, keep)
    }

    fn host_alloc(&self, bytes: u64) -> Result<HostBlock> {
        self.shared.memories.host_alloc(bytes)
    }

    fn host_free(&self, block: HostBlock) {
        self.shared.memories.host_free(block);
    }

    fn reclaim(&self) -> u64 {
        self.shared.memories.reclaim()
    }

    fn pools(&self, pools: &mut Vec<PoolUse>) {
        pools.push(self.shared.memories.pool());
    }

    fn adopts(&self, block: &HostBlock, dst: Region) -> bool {
        self.shared.memories.adopts(block, dst)
    }

    fn prepare(&self, kernel: &Kernel, overrides: &[(String, f64)]) -> Result<PipelineId> {
        let program = Program::new(kernel, overrides, self.twin, Some(self.shared.pool.current_num_threads()))?;
        let mut programs = self.shared.programs.lock().unwrap_or_else(PoisonError::into_inner);
        programs.push(Arc::new(program));
        Ok(PipelineId(programs.len() as u64 - 1))
    }

    fn report_to(&self, ring: Ring) -> bool {
        self.shared.lanes.answer(ring);
        true
    }

    fn joins(&self) -> u32 {
        64
    }

    fn submit(&self, batch: &mut Vec<Command>, _: &mut More<'_>) -> bool {
        self.shared
            .lanes
            .submit(batch, &self.shared.memories, |command, started, now| self.shared.execute(command, started, now))
    }

    fn reap(&self, events: &mut Vec<Event>, timeout: Duration) {
        self.shared.lanes.reap(events, timeout);
    }

    fn write_now(&self, src: HostSpan, dst: Region) -> bool {
        let may = src.bytes <= NOW_BYTES && !self.shared.memories.are_kept().load(Relaxed);
        if may {
            self.shared.memories.write_small([(dst, src)]);
        }
        may
    }

    fn has_reports(&self) -> bool {
        self.shared.lanes.has_reports()
    }

    fn abandon(&self, _cause: &str) {
        self.shared.memories.keep_all();
    }

    fn wake(&self) {
        self.shared.lanes.wake();
    }
}

/// The lane's place among the lanes.
const _: () = assert!(Lane::Upload as usize == 0 && Lane::Compute as usize == 1 && Lane::Download as usize == 2);

#[cfg(test)]
mod tests {
    use super::wished;

    #[test]
    fn a_number_of_threads_is_1_to_1024() {
        for (text, threads) in [("1", 1), ("16", 16), ("1024", 1024)] {
            assert_eq!(wished(text).expect("a number"), threads);
        }
        for text in ["0", "-3", "x", "1.5", "1025", "100000", " 2"] {
            let error = wished(text).expect_err("refused").to_string();
            assert_eq!(error, format!("WHARF_THREADS: `{text}` is no number of threads: 1 to 1024 is expected"));
        }
    }
}
