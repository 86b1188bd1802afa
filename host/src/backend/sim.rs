//! A device that is not there: its times are computed, its results are real.
//!
//! Device memory is host memory and kernels run as on the CPU device, at the virtual moment in which
//! their command ends; how long a command takes follows from a [`Description`] of link and card. Time
//! passes only in [`Backend::reap`], and where a scripted driver blocks, so one thread that drives the
//! device sees the same times and the same order of events in every run. Where the device's own threads
//! drive it, the [`Clock`] says how far it may pass.
//!
//! A kernel takes as long as the card's memory needs for the bytes of its bindings, those that it
//! writes counted twice: a bound from below, which kernels that compute much do not reach. Caches,
//! several kernels at once and the host's own copies are left out.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::{
    Backend, Capabilities, Command, Event, HostBlock, MemId, More, PipelineId, PoolUse, Token,
    cpu::{self, memory::Memories, program::Program},
};
use crate::{
    discover::{Door, Open},
    error::{BackendKind, Error, Result},
    kernel::Kernel,
    options::{Options, Progress, Twin},
};

mod by_token;
mod clock;
mod description;
mod faults;
mod held;
mod model;
mod parts;
mod play;
mod time;

use by_token::ByToken;
use clock::Clock;
pub(crate) use description::{Description, ITEMS};
pub use faults::{Faults, ScriptedFault};
use faults::{Item, Outcomes};
use held::Held;
use model::{Engines, Model};
use play::Planned;
pub(crate) use time::Time;

/// Simulated devices, which are only ever opened by name.
pub(crate) const DOOR: Door = Door {
    kind: BackendKind::Sim,
    survey: Vec::new,
    open: Open::Described(|text, options| Ok(Arc::new(Sim::new(text.parse()?, options)?))),
};

/// How long the caller sleeps where nothing can happen any more: a wait for what never comes is no
/// reason to burn a core.
const HUNG: Duration = Duration::from_millis(1);

/// A simulated device.
#[derive(Debug)]
pub(crate) struct Sim {
    capabilities: Capabilities,
    description: Description,
    memories: Memories,
    pipelines: Mutex<Vec<Arc<Pipeline>>>,
    twin: Twin,
    /// Threads of the device drive it.
    has_threads: bool,
    /// The model's time, to be read while a kernel runs.
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug)]
struct Pipeline {
    program: Program,
    /// How often each storage binding's bytes travel between card and memory.
    passes: Vec<u64>,
}

#[derive(Debug)]
struct State {
    model: Model,
    /// Commands that have not ended.
    commands: ByToken<Planned>,
    /// Ends that will be reported again: when, whose, the operation's number, and how much later.
    repeats: BinaryHeap<Reverse<(Time, Token, u64, Time)>>,
    reports: Vec<Event>,
    /// Ends that wait for others to be reported first.
    held: Vec<Held>,
    /// Time does not pass beyond this.
    horizon: Time,
    lost: bool,
    /// Bytes of each allocation on the card, and of all.
    sizes: HashMap<MemId, u64>,
    in_use: u64,
    counts: Counts,
    outcomes: Outcomes,
    random: u64,
}

impl State {
    /// Nothing is under way, and nothing is to be said.
    fn is_idle(&self) -> bool {
        self.commands.len() == 0 && self.repeats.is_empty() && self.held.is_empty() && self.reports.is_empty()
    }
}

/// How many there have been.
#[derive(Debug, Default)]
struct Counts {
    operations: u64,
    allocations: u64,
    downloads: u64,
    /// How long the driver has made its caller wait.
    blocked: Time,
}

/// The threads that kernels of simulated devices run on.
fn pool() -> Result<&'static rayon::ThreadPool> {
    static POOL: OnceLock<rayon::ThreadPool> = OnceLock::new();
    if let Some(pool) = POOL.get() {
        return Ok(pool);
    }
    let pool = cpu::pool("sim")?;
    Ok(POOL.get_or_init(|| pool))
}

fn capabilities(description: &Description) -> Capabilities {
    let Description { link, card, .. } = description;
    Capabilities {
        backend: BackendKind::Sim,
        name: format!("{} behind {}, simulated", card.name, link.name),
        driver: format!("virtual clock, {description}"),
        software: false,
        unified_memory: false,
        max_buffer_bytes: card.memory_bytes,
        memory_bytes: Some(card.memory_bytes),
        timestamps: true,
        copy_engines: if description.overlap { description.copy_engines } else { 0 },
        copy_overlaps_compute: description.overlap && description.copy_engines > 0,
        max_in_flight: description.cap,
        ..cpu::capabilities(1)
    }
}

impl Sim {
    pub(crate) fn new(description: Description, options: &Options) -> Result<Self> {
        pool()?;
        let Description { link, copy_engines, overlap, seed, .. } = &description;
        let state = State {
            model: Model::new(Engines::new(link.duplex, *copy_engines, *overlap)),
            commands: ByToken::new(),
            repeats: BinaryHeap::new(),
            reports: Vec::new(),
            held: Vec::new(),
            horizon: Time::NEVER,
            lost: false,
            sizes: HashMap::new(),
            in_use: 0,
            counts: Counts::default(),
            outcomes: Outcomes::of(&description.faults),
            random: *seed,
        };
        Ok(Self {
            capabilities: capabilities(&description),
            description,
            memories: Memories::default(),
            pipelines: Mutex::default(),
            twin: options.twin,
            has_threads: options.progress == Progress::Threads,
            clock: Clock::new(),
            state: Mutex::new(state),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The virtual clock.
    pub(crate) fn time(&self) -> Time {
        self.clock.now()
    }

    /// How long the driver has made its caller wait.
    pub(crate) fn blocked(&self) -> Time {
        self.lock().counts.blocked
    }

    /// Time does not pass beyond `horizon` from now on.
    pub(crate) fn set_horizon(&self, horizon: Time) {
        self.lock().horizon = horizon;
    }

    fn pipeline(&self, id: PipelineId) -> Arc<Pipeline> {
        self.pipelines.lock().unwrap_or_else(PoisonError::into_inner)[id.0 as usize].clone()
    }

    /// Whether there is memory for one more allocation; the lock with which to take it.
    fn room(&self, bytes: u64, on_device: bool) -> Result<MutexGuard<'_, State>> {
        let mut state = self.lock();
        if state.lost {
            return Err(Error::device(BackendKind::Sim, "allocate", "the device is lost"));
        }
        state.counts.allocations += 1;
        let in_use_bytes = state.in_use;
        let limit_bytes = Some(self.description.card.memory_bytes).filter(|_| on_device);
        let full = limit_bytes.is_some_and(|limit| in_use_bytes + bytes > limit);
        let number = state.counts.allocations;
        let is_scripted = self.description.faults.out_of_memory.contains(&number);
        if full && is_scripted {
            // It would have found none anyway.
            state.outcomes.note(Item::OutOfMemory(number));
        } else if is_scripted {
            state.outcomes.starve(Item::OutOfMemory(number), (bytes, on_device));
        }
        if full || is_scripted {
            let device = BackendKind::Sim.to_string();
            return Err(Error::OutOfMemory {
                device,
                requested_bytes: bytes,
                in_use_bytes,
                limit_bytes,
                evicted_bytes: None,
            });
        }
        state.outcomes.feed((bytes, on_device));
        Ok(state)
    }
}

impl Backend for Sim {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn alloc(&self, bytes: u64, _label: Option<&str>) -> Result<MemId> {
        let mut state = self.room(bytes, true)?;
        let mem = self.memories.alloc(bytes)?;
        state.in_use += bytes;
        state.sizes.insert(mem, bytes);
        Ok(mem)
    }

    fn free(&self, mem: MemId) {
        let mut state = self.lock();
        state.in_use -= state.sizes.remove(&mem).expect("an allocation is freed once");
        drop(state);
        self.memories.free(mem);
    }

    fn host_alloc(&self, bytes: u64) -> Result<HostBlock> {
        drop(self.room(bytes, false)?);
        self.memories.host_alloc(bytes)
    }

    fn host_free(&self, block: HostBlock) {
        self.memories.host_free(block);
    }

    fn reclaim(&self) -> u64 {
        self.memories.reclaim()
    }

    fn pools(&self, pools: &mut Vec<PoolUse>) {
        pools.push(self.memories.pool());
    }

    fn scripted_faults(&self) -> Vec<ScriptedFault> {
        self.lock().outcomes.report()
    }

    fn prepare(&self, kernel: &Kernel, overrides: &[(String, f64)]) -> Result<PipelineId> {
        // What is measured on this machine must not choose: every run takes the same form.
        let program = Program::new(kernel, overrides, self.twin, None)?;
        let passes = kernel.shape()?.storage.iter().map(|known| if known.is_written() { 2 } else { 1 }).collect();
        let mut pipelines = self.pipelines.lock().unwrap_or_else(PoisonError::into_inner);
        pipelines.push(Arc::new(Pipeline { program, passes }));
        Ok(PipelineId(pipelines.len() as u64 - 1))
    }

    fn submit(&self, batch: &mut Vec<Command>, _: &mut More<'_>) -> bool {
        let mut state = self.lock();
        state.model.idle(self.clock.now());
        let full = |state: &State| self.description.faults.block.is_some_and(|n| state.model.unfinished() >= n);
        for command in batch.drain(..) {
            let before = state.model.now();
            if let Some(item) = self.description.faults.block.map(Item::Block).filter(|_| full(&state)) {
                state.outcomes.note(item);
            }
            while full(&state)
                && let Some(next) = self.next(&state)
            {
                self.pass(&mut state, next);
            }
            state.counts.blocked = state.counts.blocked + (state.model.now() - before);
            // A lost device has no answers but that one.
            if !state.lost {
                self.plan(&mut state, command);
            }
        }
        let next = self.next(&state);
        drop(state);
        self.clock.tell(next);
        true
    }

    fn reap(&self, events: &mut Vec<Event>, timeout: Duration) {
        let mut state = self.lock();
        let mut until = (state.model.now() + timeout.into()).min(state.horizon);
        let mut hung = self.next(&state).is_none() && state.reports.is_empty() && state.horizon == Time::NEVER;
        if self.has_threads && state.reports.is_empty() {
            // While nothing is under way, the script's end of the device comes in its time, too.
            let next = if state.is_idle() { None } else { self.next(&state) };
            drop(state);
            (until, hung) = (self.clock.wait(next, timeout), false);
            state = self.lock();
        }
        while state.reports.is_empty() && self.pass(&mut state, until) {}
        let now = state.model.now();
        // All of one moment travel together.
        while self.next(&state).is_some_and(|next| next <= now) {
            self.pass(&mut state, now);
        }
        events.append(&mut state.reports);
        drop(state);
        if hung && !timeout.is_zero() {
            thread::sleep(timeout.min(HUNG));
        }
    }

    fn wake(&self) {
        self.clock.tell(None);
    }

    fn pace(&self, due: Option<Instant>) {
        if self.has_threads {
            self.clock.pace(due);
        }
    }

    fn abandon(&self, _cause: &str) {
        Self::stop(&mut self.lock());
    }

    fn now(&self) -> Instant {
        self.clock.instant(self.clock.now())
    }
}
