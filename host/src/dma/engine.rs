//! The machine behind one lock, and those who drive it.
//!
//! On a device whose submissions may wait, a thread submits and another reaps. On one whose never do,
//! who sends submits, who reports reaps, and a thread does what they leave. With manual progress the
//! user's threads do it all. What they do is the same (`drive`).
//!
//! The lock is held for bookkeeping only: never while a driver is called, a buffer is copied, a
//! waiter is woken or user code runs.

use std::{
    fmt, hint,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use crossbeam::channel::{self, Receiver, Sender};

use super::{
    MessageId,
    baton::Baton,
    cell::ReceiverOf,
    core::{Clock, Core, Effects},
    drive::{self, Driver, Turn},
    fence::Fences,
    label::Labels,
    machine::Machine,
    model::{Event, Kind, Limits, QueueId},
    parcel::Parcel,
    permit::Permit,
    small::{Small, SmallPool},
    threads::spawn,
};
use crate::{
    backend::{Backend, Lane, MemId, Op, Ring, Token},
    dma::hazard::Accesses,
    error::{Error, Refusal},
    options::{Options, Progress},
};

/// How long dropping the last handle waits for work that was detached.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A message that has not been accepted yet.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) queue: QueueId,
    pub(crate) kind: Kind,
    pub(crate) bytes: u64,
    pub(crate) op: Option<Op>,
    pub(crate) parcel: Option<Parcel>,
    /// Bytes of staging memory that come back when it is resolved.
    pub(crate) staging: u64,
    /// What it uploads, where that was copied.
    pub(crate) small: Option<Small>,
    pub(crate) label: Option<Arc<str>>,
    /// What it does to which device buffers.
    pub(crate) accesses: Accesses,
    /// Bytes that its lane moves.
    pub(crate) moves: u64,
    /// When it is cancelled by itself; until then its sender waits for credits at most.
    pub(crate) deadline: Option<Instant>,
}

impl Work {
    /// The lane of work that is for the device.
    pub(crate) fn lane(&self) -> Lane {
        match self.kind {
            Kind::Work(lane) => lane,
            Kind::Fence | Kind::Promise => unreachable!("a fence is no work for the device"),
        }
    }
}

/// How a sender comes to its credits.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Patience<'a> {
    /// They are there now.
    Never,
    /// It waits.
    Forever,
    /// It waits for at most so long.
    Within(Duration),
    /// It has them already.
    Paid(&'a Permit<'a>),
}

/// An accepted message: its cell, its name in the machine, its number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Accepted {
    pub(crate) cell: Token,
    pub(crate) token: Token,
    pub(crate) id: MessageId,
}

/// Who drives a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A thread submits, another reaps.
    Threads,
    /// Whoever sends or reports, and a thread that does what they leave.
    Helped,
    /// The user's threads.
    Manual,
}

/// How long a thread with nothing to do looks for the end of what others do, with manual progress.
const MANUAL_WAIT: Duration = Duration::from_millis(1);

/// What handles of one device share. Tickets hold only this; the threads end when the last
/// [`Engine`] is dropped and everything is resolved.
pub(crate) struct Shared {
    pub(crate) device: Arc<str>,
    pub(crate) backend: Arc<dyn Backend>,
    pub(super) mode: Mode,
    pub(super) core: Mutex<Core>,
    /// How long a thread that waits looks about before it sleeps.
    spin: Duration,
    /// Grows when messages are resolved.
    pub(super) resolved: AtomicU64,
    /// Who submits and reaps, where that is not two threads.
    pub(super) driver: Baton<Driver>,
    pub(super) teller: Baton<Effects>,
    /// Something to pump, or time to end.
    pub(super) pump: Condvar,
    /// Messages were resolved: credits came back.
    pub(super) settled: Condvar,
    /// The users' callbacks, on their way to whoever runs them.
    pub(super) calls: (Sender<ReceiverOf>, Receiver<ReceiverOf>),
    /// The thread for callbacks was started.
    pub(super) callbacks: OnceLock<()>,
    pub(crate) callback_panics: Arc<AtomicU64>,
    pub(crate) staging: Staging,
    pub(crate) small: Arc<SmallPool>,
    pub(crate) labels: Labels,
    pub(super) fences: Fences,
}

/// Bytes of staging memory lent out.
#[derive(Debug, Default)]
pub(crate) struct Staging {
    in_use: AtomicU64,
    high_water: AtomicU64,
}

impl Staging {
    pub(crate) fn add(&self, bytes: u64) {
        let now = self.in_use.fetch_add(bytes, Relaxed) + bytes;
        self.high_water.fetch_max(now, Relaxed);
    }

    pub(crate) fn remove(&self, bytes: u64) {
        self.in_use.fetch_sub(bytes, Relaxed);
    }

    /// In use now, and the most there has been.
    pub(crate) fn report(&self) -> (u64, u64) {
        (self.in_use.load(Relaxed), self.high_water.load(Relaxed))
    }
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Core> {
        // Nothing panics under the lock but on a bug of ours; later callers still get their buffers.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something changed that a sender waiting for a credit must know.
    pub(crate) fn settled(&self) {
        self.settled.notify_all();
        let mut guard = self.lock();
        let core = &mut *guard;
        core.call_waiting();
        let news = !core.effects.is_empty();
        drop(guard);
        if news {
            self.tell();
        }
    }

    /// Does what there is to do, on a device with manual progress; answers whether there was anything.
    pub(crate) fn progress(&self) -> bool {
        self.mode == Mode::Manual && self.turn(Duration::ZERO) == Turn::Moved
    }

    /// Sleeps until this thread is unparked, for at most so long; it may also return early. With manual
    /// progress the thread does what there is to do instead.
    pub(crate) fn pause(&self, most: Option<Duration>) {
        if self.mode == Mode::Manual {
            let most = most.map_or(MANUAL_WAIT, |most| most.min(MANUAL_WAIT));
            if self.turn(most) == Turn::Taken {
                thread::park_timeout(most);
            }
        } else if let Some(most) = most {
            thread::park_timeout(most);
        } else {
            thread::park();
        }
    }

    /// Until when a thread that waits looks about before it sleeps.
    pub(super) fn spin_end(&self) -> Option<Instant> {
        (self.mode != Mode::Manual && !self.spin.is_zero()).then(|| Instant::now() + self.spin)
    }

    /// Looks about until messages are resolved that are not among the `seen`. Answers whether there are.
    pub(super) fn look_about(&self, seen: u64, end: Instant) -> bool {
        while self.resolved.load(Relaxed) == seen {
            if Instant::now() >= end {
                return false;
            }
            (0..16).for_each(|_| hint::spin_loop());
        }
        true
    }

    /// Waits for `settled`, for at most so long.
    fn wait_settled<'a>(&'a self, mut core: MutexGuard<'a, Core>, most: Option<Duration>) -> MutexGuard<'a, Core> {
        if self.mode == Mode::Manual {
            drop(core);
            self.pause(most);
            return self.lock();
        }
        core.waiting += 1;
        let mut core = match most {
            None => self.settled.wait(core).unwrap_or_else(PoisonError::into_inner),
            Some(most) => self.settled.wait_timeout(core, most).unwrap_or_else(PoisonError::into_inner).0,
        };
        core.waiting -= 1;
        core
    }

    /// Rings doorbells, and sees to it that what they let go goes.
    pub(crate) fn ring(&self, ring: impl FnOnce(&mut Core) -> bool) {
        let mut core = self.lock();
        if ring(&mut core) {
            self.kick(core);
        }
    }

    /// Waits until every message that the queue has accepted is resolved.
    pub(crate) fn drain_queue(&self, queue: QueueId) {
        self.ring(|core| core.machine.ring(queue));
        let mut core = self.lock();
        while core.machine.level(queue).unresolved > 0 {
            core = self.wait_settled(core, None);
        }
    }

    /// Waits until every accepted message is resolved.
    pub(crate) fn drain(&self) {
        let mut core = self.lock();
        core.machine.drain(true);
        self.kick(core);
        let mut core = self.lock();
        while core.unresolved > 0 {
            core = self.wait_settled(core, None);
        }
        core.machine.drain(false);
    }
}

/// What a backend calls when it has something to report.
fn answer(shared: Weak<Shared>) -> Ring {
    Box::new(move || {
        if let Some(shared) = shared.upgrade() {
            shared.help();
        }
    })
}

/// Owns a device's threads.
pub(crate) struct Engine {
    pub(crate) shared: Arc<Shared>,
    /// Disconnected once the device's threads have ended.
    ended: Receiver<()>,
}

impl Engine {
    /// # Errors
    /// [`Error::Argument`] where the backend cannot be driven so.
    pub(crate) fn new(device: Arc<str>, backend: Arc<dyn Backend>, options: &Options) -> Result<Self, Error> {
        let most = backend.capabilities().max_in_flight;
        let mode = match options.progress {
            Progress::Manual if backend.submit_may_wait() => {
                let reason = "cannot be driven by hand: its submissions may wait for what another thread reaps";
                return Err(Error::argument(device.to_string(), reason));
            }
            Progress::Manual => Mode::Manual,
            Progress::Threads => Mode::Threads,
        };
        let shared = Arc::new_cyclic(|shared: &Weak<Shared>| Shared {
            mode: match mode {
                Mode::Threads if backend.report_to(answer(shared.clone())) => Mode::Helped,
                mode => mode,
            },
            spin: options.spin,
            resolved: AtomicU64::new(0),
            core: Mutex::new(Core::new(Machine::new(device.clone(), most))),
            driver: Baton::default(),
            teller: Baton::default(),
            device,
            backend,
            pump: Condvar::new(),
            settled: Condvar::new(),
            calls: channel::unbounded(),
            callbacks: OnceLock::new(),
            callback_panics: Arc::default(),
            staging: Staging::default(),
            small: Arc::default(),
            labels: Labels::default(),
            fences: Fences::default(),
        });
        let (alive, ended) = channel::bounded(0);
        let start = |name: &str, run: fn(&Shared)| {
            let (shared, alive) = (shared.clone(), alive.clone());
            spawn(&shared.device.clone(), name, move || {
                shared.guard(|| run(&shared));
                drop(alive);
            });
        };
        match shared.mode {
            Mode::Manual => {}
            Mode::Helped => start("relief", Shared::submit_loop),
            Mode::Threads => {
                start("submit", Shared::submit_loop);
                start("reap", Shared::reap_loop);
            }
        }
        Ok(Self { shared, ended })
    }

    pub(crate) fn open_queue(&self, name: Arc<str>, limits: Limits) -> QueueId {
        self.shared.lock().machine.open_queue(name, limits)
    }

    /// A name for a buffer's accesses.
    pub(crate) fn register(&self, mem: MemId, name: Arc<str>) -> Token {
        let mut core = self.shared.lock();
        let token = core.machine.register(name);
        let slot = token.index as usize;
        if core.mem_of.len() <= slot {
            core.mem_of.resize(slot + 1, mem);
        }
        core.mem_of[slot] = mem;
        token
    }

    /// The buffer's owner is gone; its memory is freed when the last message on it is resolved.
    pub(crate) fn release(&self, resource: Token) {
        let mut core = self.shared.lock();
        core.stage(Event::Release(resource), &self.shared);
        let news = !core.effects.is_empty();
        drop(core);
        if news {
            self.shared.tell();
        }
    }

    /// Takes credits of the queue.
    pub(crate) fn reserve(&self, queue: QueueId, ops: u32, bytes: u64, patience: Patience<'_>) -> Result<(), Refusal> {
        self.credit(queue, (ops, bytes), patience, None).map(drop)
    }

    /// The books, with so many credits of the queue taken. Waits until `deadline` at most.
    fn credit(
        &self,
        queue: QueueId,
        (ops, bytes): (u32, u64),
        patience: Patience<'_>,
        deadline: Option<Instant>,
    ) -> Result<MutexGuard<'_, Core>, Refusal> {
        let mut end = deadline;
        if let Patience::Within(timeout) = patience {
            // A time that no clock will show is for ever.
            let late = self.shared.backend.now().checked_add(timeout);
            end = late.into_iter().chain(deadline).min();
        }
        let mut core = self.shared.lock();
        if let Patience::Paid(permit) = patience {
            core.machine.accepts(queue)?;
            permit.spend(ops, bytes)?;
            return Ok(core);
        }
        let mut turn = None;
        let refusal = loop {
            let refusal = match core.machine.reserve(queue, ops, bytes, turn) {
                Ok(()) if turn.is_some() => {
                    // There may be room for the next in line, too.
                    core.call_waiting();
                    self.shared.settled.notify_all();
                    return Ok(core);
                }
                Ok(()) => return Ok(core),
                Err(refusal) => refusal,
            };
            if !matches!(refusal, Refusal::Full { .. }) || matches!(patience, Patience::Never) {
                break refusal;
            }
            let left = end.map(|end| end.saturating_duration_since(self.shared.backend.now()));
            if left.is_some_and(|left| left.is_zero()) {
                break Refusal::Timeout;
            }
            turn.get_or_insert_with(|| core.machine.take_turn(queue));
            if core.machine.ring(queue) {
                // What is held would hold its credits for ever.
                self.shared.kick(core);
                core = self.shared.lock();
                continue;
            }
            core = self.shared.wait_settled(core, left);
        };
        if let Some(turn) = turn {
            core.machine.leave_turn(queue, turn);
            drop(core);
            self.shared.settled();
        }
        Err(refusal)
    }

    /// Puts the message into its queue, taking operation and parcel out of `work`, which is untouched
    /// where it is refused.
    pub(crate) fn send(&self, work: &mut Work, patience: Patience<'_>) -> Result<Accepted, Refusal> {
        let mut core = self.credit(work.queue, (1, work.bytes), patience, work.deadline)?;
        let mut clock = Clock::default();
        let accepted = core.put(work.queue, work, &mut clock, &self.shared);
        self.shared.kick_at(core, clock);
        Ok(accepted)
    }

    /// Puts all messages into the queue, or none: `total` are the credits that they take together.
    pub(crate) fn send_all<'w>(
        &self,
        queue: QueueId,
        total: (u32, u64),
        works: impl Iterator<Item = Option<&'w mut Work>>,
        patience: Patience<'_>,
        accepted: &mut Vec<Option<Accepted>>,
    ) -> Result<(), Refusal> {
        let mut core = self.credit(queue, total, patience, None)?;
        let mut clock = Clock::default();
        accepted.extend(works.map(|work| work.map(|work| core.put(queue, work, &mut clock, &self.shared))));
        self.shared.kick_at(core, clock);
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let mut core = self.shared.lock();
        core.ending = true;
        if core.machine.ring_all() {
            (core.dirty, core.left) = (true, true);
        }
        let mut over = core.unresolved == 0;
        drop(core);
        self.shared.pump.notify_one();
        if over {
            self.shared.backend.wake();
        }
        // The end of a message may hold the last handle: then this thread must not wait for itself.
        if drive::is_telling() {
            return;
        }
        if self.shared.mode != Mode::Manual {
            let _ = self.ended.recv_timeout(CLOSE_TIMEOUT);
            return;
        }
        let end = Instant::now() + CLOSE_TIMEOUT;
        while !over && Instant::now() < end {
            self.shared.pause(Some(MANUAL_WAIT));
            over = self.shared.lock().unresolved == 0;
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("device", &self.shared.device).finish_non_exhaustive()
    }
}
