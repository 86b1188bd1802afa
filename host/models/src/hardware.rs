//! A device that moves bytes and nothing else, and watches over its memory.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::{
    memory::Memories,
    sync::{Condvar, Mutex},
};
use crate::{
    BackendKind, Capabilities, Error, FailureKind, Kernel, Result,
    backend::{
        Backend, Command, Done, Event, HostBlock, HostSpan, MemId, More, Op, Path, PipelineId, Region, Ring, Source,
        Token,
    },
};

/// How the device is driven, and what goes wrong. Commands count from 1.
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// Whoever sends or reports drives it, as on the CPU device; else a thread submits and another reaps.
    pub helped: bool,
    /// Commands are over when they are submitted; else a thread of the device's does one after the other.
    pub at_once: bool,
    /// What a message carries is written as the message is accepted, where nothing is before it; it counts as a
    /// command.
    pub passes: bool,
    /// This command fails.
    pub fails: Option<u64>,
    /// Bytes that buffers may take: [`Options::memory_bytes`](crate::Options::memory_bytes).
    pub memory_bytes: Option<u64>,
    /// This command is reported once more, when the next one has been submitted and is not done.
    pub twice: Option<u64>,
}

/// The device.
pub struct Hardware {
    script: Script,
    capabilities: Capabilities,
    works: Arc<Works>,
}

struct Works {
    state: Mutex<State>,
    /// There is something to do, or it is time to end.
    work: Condvar,
    /// There is something to report.
    news: Condvar,
    ring: OnceLock<Ring>,
    began: Instant,
    /// How often somebody asked for the time. No part of the model: nobody waits for it.
    asked: AtomicU64,
}

#[derive(Default)]
struct State {
    memories: Memories,
    commands: VecDeque<Command>,
    reports: Vec<Event>,
    /// What is reported once more.
    again: Option<Token>,
    done: u64,
    woken: bool,
    ending: bool,
}

impl Hardware {
    pub(super) fn new(script: Script) -> Self {
        let works = Arc::new(Works {
            state: Mutex::new(State { memories: Memories::new(script.memory_bytes), ..State::default() }),
            work: Condvar::new(),
            news: Condvar::new(),
            ring: OnceLock::new(),
            began: Instant::now(),
            asked: AtomicU64::new(0),
        });
        if !script.at_once {
            let (works, script) = (works.clone(), script.clone());
            shuttle::thread::spawn(move || works.run(&script));
        }
        Self { script, capabilities: capabilities(), works }
    }

    /// Commands that it has done: no more messages than these can have gone well.
    pub fn done(&self) -> u64 {
        self.works.state.lock().expect("no panic").done
    }

    /// Bytes of device memory that are out, and what was done wrong with them first, if anything was.
    pub fn memory(&self) -> (u64, Option<String>) {
        let state = self.works.state.lock().expect("no panic");
        (state.memories.in_use(), state.memories.violation().map(str::to_owned))
    }

    /// Does it under the lock. A violation is kept, as the engine takes a panic of a thread of its own for a
    /// device that is lost, and panics when nobody has the lock.
    fn with_memory<T>(&self, act: impl FnOnce(&mut Memories) -> Result<T, String>) -> T {
        let done = act(&mut self.works.state.lock().expect("no panic").memories);
        done.unwrap_or_else(|violation| panic!("{violation}"))
    }
}

impl Works {
    /// A clock that each look moves on by less than senders leave reports alone, so that what they do follows from the
    /// order of steps.
    fn now(&self) -> Instant {
        self.began + Duration::from_micros(self.asked.fetch_add(1, Relaxed))
    }

    /// Does one command after the other.
    fn run(&self, script: &Script) {
        let mut state = self.state.lock().expect("no panic");
        loop {
            match state.commands.pop_front() {
                Some(command) => {
                    state.finish(&command, script, self.now());
                    drop(state);
                    self.news.notify_one();
                    if let Some(ring) = self.ring.get() {
                        ring();
                    }
                    state = self.state.lock().expect("no panic");
                }
                None if state.ending => return,
                None => state = self.work.wait(state).expect("no panic"),
            }
        }
    }
}

impl State {
    fn finish(&mut self, command: &Command, script: &Script, now: Instant) {
        let token = command.token;
        self.done += 1;
        self.memories.end(&command.op, script.fails != Some(self.done));
        let result = if script.fails == Some(self.done) { Err(FailureKind::Backend("broke".into())) } else { Ok(()) };
        self.reports.push(report(token, result, now));
        self.again = Some(token).filter(|_| script.twice == Some(self.done));
    }
}

fn report(token: Token, result: Result<(), FailureKind>, finished: Instant) -> Event {
    Event::Done(Done {
        token,
        result,
        started: None,
        finished,
        device_seconds: None,
        path: Path::Host,
        why: None,
        together: 1,
        form: None,
    })
}

impl Backend for Hardware {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn alloc(&self, bytes: u64, _: Option<&str>) -> Result<MemId> {
        Ok(self.with_memory(|memories| memories.alloc(bytes)))
    }

    fn free(&self, mem: MemId) {
        self.with_memory(|memories| memories.free(mem));
    }

    fn host_alloc(&self, _: u64) -> Result<HostBlock> {
        Err(Error::argument("a model", "has no staging memory"))
    }

    fn host_free(&self, _: HostBlock) {}

    fn prepare(&self, _: &Kernel, _: &[(String, f64)]) -> Result<PipelineId> {
        Err(Error::argument("a model", "runs no kernels"))
    }

    fn submit(&self, batch: &mut Vec<Command>, _: &mut More<'_>) -> bool {
        batch.iter().for_each(|command| self.with_memory(|memories| memories.begin(&command.op)));
        let mut state = self.works.state.lock().expect("no panic");
        for command in batch.drain(..) {
            if let Some(again) = state.again.take() {
                state.reports.push(report(again, Ok(()), self.works.now()));
            }
            if self.script.at_once {
                state.finish(&command, &self.script, self.works.now());
            } else {
                state.commands.push_back(command);
            }
        }
        drop(state);
        self.works.news.notify_one();
        self.works.work.notify_one();
        self.script.at_once
    }

    fn reap(&self, events: &mut Vec<Event>, timeout: Duration) {
        let mut state = self.works.state.lock().expect("no panic");
        while !timeout.is_zero() && state.reports.is_empty() && !std::mem::take(&mut state.woken) {
            state = self.works.news.wait(state).expect("no panic");
        }
        events.append(&mut state.reports);
    }

    fn now(&self) -> Instant {
        self.works.now()
    }

    fn report_to(&self, ring: Ring) -> bool {
        self.script.helped && self.works.ring.set(ring).is_ok()
    }

    fn write_now(&self, src: HostSpan, dst: Region) -> bool {
        let mut state = self.works.state.lock().expect("no panic");
        let may = self.script.passes && self.script.fails != Some(state.done + 1);
        if may {
            assert!(state.commands.is_empty(), "something is before it");
            state.done += 1;
            drop(state);
            let op = Op::Upload { src: Source::Carried(src), dst };
            self.with_memory(|memories| memories.begin(&op));
            self.works.state.lock().expect("no panic").memories.end(&op, true);
        }
        may
    }

    fn abandon(&self, _: &str) {
        self.works.state.lock().expect("no panic").memories.abandon();
    }

    fn wake(&self) {
        self.works.state.lock().expect("no panic").woken = true;
        self.works.news.notify_one();
    }
}

impl Drop for Hardware {
    fn drop(&mut self) {
        self.works.state.lock().expect("no panic").ending = true;
        self.works.work.notify_one();
    }
}

impl fmt::Debug for Hardware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hardware").field("script", &self.script).finish_non_exhaustive()
    }
}

fn capabilities() -> Capabilities {
    Capabilities {
        backend: BackendKind::Sim,
        name: "model".into(),
        driver: "none".into(),
        software: true,
        unified_memory: false,
        max_workgroup_bytes: 0,
        max_workgroup_invocations: 1,
        max_workgroup_size: [1; 3],
        max_workgroups_per_dimension: 1,
        max_storage_bindings: 1,
        max_binding_bytes: 1 << 20,
        max_buffer_bytes: 1 << 20,
        storage_alignment: 16,
        memory_bytes: None,
        subgroup_sizes: (1, 1),
        f16: false,
        timestamps: false,
        copy_engines: 0,
        copy_overlaps_compute: false,
        max_in_flight: 4,
    }
}
