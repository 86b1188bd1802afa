//! The machine behind one lock, and those who drive it.
//!
//! On a device whose submissions may wait, a thread submits and another reaps. On one whose never do,
//! who sends submits, who reports reaps, and a thread does what they leave. With manual progress the
//! user's threads do it all. What they do is the same (`drive`).
//!
//! The lock is held for bookkeeping only: never while a driver is called, a buffer is copied, a
//! waiter is woken or user code runs. But a few bytes that a message carries, and that nothing is before, are copied
//! where they go as the message is accepted: that costs less than to have it done and to be told of it.

use std::{
    fmt,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use super::{
    baton::Baton,
    core::{Clock, Core},
    drive,
    fence::Fences,
    label::Labels,
    machine::Machine,
    model::{Event, Limits, QueueId},
    shared::{MANUAL_WAIT, Mode, Shared, Staging},
    slip::Slip,
    stall::{Watch, watch_loop},
    sync::{
        Condvar, Mutex, MutexGuard, Once,
        atomic::AtomicU64,
        channel::{self, Receiver, RecvTimeoutError, Sender},
    },
    threads::spawn,
    work::{Accepted, Patience},
};
use crate::{
    backend::{Backend, MemId, Ring, Token},
    device_memory::DeviceMemory,
    error::{Error, Refusal},
    options::{Options, Progress},
};

/// How long dropping the last handle waits for work that was detached, before it gives the device up.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
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
    /// Dropped with the last handle: who watches for queues that stand still ends then.
    _watched: Option<Sender<()>>,
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
            core: Mutex::new(Core::new(Machine::new(device.clone(), most, backend.joins()))),
            driver: Baton::default(),
            teller: Baton::default(),
            memory: DeviceMemory::new(&device, backend.clone(), options.memory_bytes),
            device,
            backend,
            pump: Condvar::new(),
            settled: Condvar::new(),
            calls: channel::unbounded(),
            callbacks: Once::new(),
            callback_panics: Arc::default(),
            staging: Staging::default(),
            small: Arc::default(),
            labels: Labels::default(),
            fences: Fences::default(),
            watch: options.stall_warn.map(Watch::new),
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
        let watched = options.stall_warn.filter(|_| shared.mode != Mode::Manual).map(|patience| {
            let (open, closed) = channel::bounded(0);
            let weak = Arc::downgrade(&shared);
            spawn(&shared.device, "watch", move || watch_loop(&weak, patience, &closed));
            open
        });
        Ok(Self { shared, ended, _watched: watched })
    }

    pub(crate) fn open_queue(&self, name: Arc<str>, limits: Limits) -> QueueId {
        self.shared.lock().open_queue(&self.shared.device, name, limits)
    }

    /// A name for a buffer's accesses.
    pub(crate) fn register(&self, mem: MemId, name: Arc<str>, bytes: u64) -> Token {
        let mut core = self.shared.lock();
        let token = core.machine.register(name, bytes);
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

    /// Takes credits of the queue. Waits until `deadline` at most.
    pub(crate) fn reserve(
        &self,
        queue: QueueId,
        total: (u32, u64),
        patience: Patience<'_>,
        deadline: Option<Instant>,
    ) -> Result<(), Refusal> {
        self.credit(queue, total, patience, deadline).map(drop)
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

    /// Puts the message into its queue; it comes back where it is refused.
    pub(crate) fn send(&self, queue: QueueId, slip: Slip, patience: Patience<'_>) -> Result<Accepted, (Refusal, Slip)> {
        let mut core = match self.credit(queue, (1, slip.bytes), patience, slip.deadline) {
            Ok(core) => core,
            Err(refusal) => return Err((refusal, slip)),
        };
        let mut clock = Clock::default();
        let accepted = core.put(queue, slip, &mut clock, &self.shared);
        self.shared.sent(core, clock);
        Ok(accepted)
    }

    /// Puts all messages into the queue, or none: `total` are the credits that they take together, and the wait
    /// for them ends with `deadline`, the first of theirs. What is `accepted` stands where the message stood, but
    /// for those without a ticket.
    pub(crate) fn send_all(
        &self,
        queue: QueueId,
        total: (u32, u64),
        slips: impl Iterator<Item = Option<Slip>>,
        patience: Patience<'_>,
        deadline: Option<Instant>,
        accepted: &mut Vec<Option<Accepted>>,
    ) -> Result<(), Refusal> {
        let mut core = self.credit(queue, total, patience, deadline)?;
        let mut clock = Clock::default();
        accepted.extend(slips.map(|slip| {
            let slip = slip?;
            let unsignaled = slip.unsignaled;
            let accepted = core.put(queue, slip, &mut clock, &self.shared);
            // Its cell is gone when it is over.
            (!unsignaled).then_some(accepted)
        }));
        self.shared.sent(core, clock);
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
            if self.ended.recv_timeout(CLOSE_TIMEOUT) == Err(RecvTimeoutError::Timeout) {
                // What has no end must not keep the cores for ever.
                self.shared.backend.abandon("its last handle is gone");
            }
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
