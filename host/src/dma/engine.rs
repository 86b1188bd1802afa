//! Drives the machine: one lock, a submitting and a reaping thread, and a thread for callbacks.
//!
//! The lock is held for bookkeeping only: never while a driver is called, a buffer is copied, a
//! waiter is woken or user code runs.

use std::{
    fmt,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

use crossbeam::channel::{self, Receiver, Sender};

use super::{
    MessageId,
    cell::{Cell, ReceiverOf, Waiter},
    core::{Core, Effects},
    machine::Machine,
    model::{Event, Kind, Limits, Offer, QueueId},
    parcel::Parcel,
    receipt::Receipt,
    threads::spawn,
};
use crate::{
    backend::{Backend, Lane, MemId, Op, Path, Source, Token},
    dma::hazard::Access,
    error::Refusal,
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
    pub(crate) label: Option<Arc<str>>,
}

/// How long a sender waits for a credit.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Patience {
    Never,
    Forever,
    Until(Instant),
}

/// What handles of one device share. Tickets hold only this; the threads end when the last
/// [`Engine`] is dropped and everything is resolved.
pub(crate) struct Shared {
    pub(crate) device: Arc<str>,
    pub(crate) backend: Arc<dyn Backend>,
    pub(super) core: Mutex<Core>,
    /// Held by a thread that resolves messages until their owners are told, so that the two threads
    /// tell in the order in which they resolved.
    pub(super) telling: Mutex<()>,
    /// Something to pump, or time to end.
    pub(super) pump: Condvar,
    /// Messages were resolved: credits came back.
    pub(super) settled: Condvar,
    pub(super) callbacks: OnceLock<Sender<ReceiverOf>>,
    pub(crate) callback_panics: Arc<AtomicU64>,
    pub(crate) staging: Staging,
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

    pub(super) fn telling(&self) -> MutexGuard<'_, ()> {
        self.telling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something changed that a sender waiting for a credit must know.
    pub(crate) fn settled(&self) {
        self.settled.notify_all();
    }

    /// Waits until every message that the queue has accepted is resolved.
    pub(crate) fn drain_queue(&self, queue: QueueId) {
        let mut core = self.lock();
        while core.machine.level(queue).unresolved > 0 {
            core = self.settled.wait(core).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until every accepted message is resolved.
    pub(crate) fn drain(&self) {
        let mut core = self.lock();
        while core.unresolved > 0 {
            core = self.settled.wait(core).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Owns a device's threads.
pub(crate) struct Engine {
    pub(crate) shared: Arc<Shared>,
    threads: [ThreadId; 2],
    /// Disconnected once both threads have ended.
    ended: Receiver<()>,
}

impl Engine {
    pub(crate) fn new(device: Arc<str>, backend: Arc<dyn Backend>) -> Self {
        let most = backend.capabilities().max_in_flight;
        let shared = Arc::new(Shared {
            core: Mutex::new(Core::new(Machine::new(device.clone(), most))),
            telling: Mutex::default(),
            device,
            backend,
            pump: Condvar::new(),
            settled: Condvar::new(),
            callbacks: OnceLock::new(),
            callback_panics: Arc::default(),
            staging: Staging::default(),
        });
        let (alive, ended) = channel::bounded(0);
        let start = |name: &str, run: fn(&Shared)| {
            let (shared, alive) = (shared.clone(), alive.clone());
            spawn(&shared.device.clone(), name, move || {
                shared.guard(run);
                drop(alive);
            })
        };
        let threads = [start("submit", Shared::submit_loop), start("reap", Shared::reap_loop)];
        Self { shared, threads, ended }
    }

    pub(crate) fn open_queue(&self, name: Arc<str>, limits: Limits) -> QueueId {
        let mut core = self.shared.lock();
        core.queues.push(name.clone());
        core.machine.open_queue(name, limits)
    }

    /// A name for a buffer's accesses.
    pub(crate) fn register(&self, mem: MemId) -> Token {
        let mut core = self.shared.lock();
        let token = core.machine.register();
        let slot = token.index as usize;
        if core.mem_of.len() <= slot {
            core.mem_of.resize(slot + 1, mem);
        }
        core.mem_of[slot] = mem;
        token
    }

    /// The buffer's owner is gone; its memory is freed when the last message on it is resolved.
    pub(crate) fn release(&self, resource: Token) {
        let mut effects = Effects::default();
        self.shared.lock().step(Event::Release(resource), &mut Vec::new(), &mut effects, &self.shared);
        self.shared.run(&mut effects);
    }

    /// Puts the message into its queue, taking operation and parcel out of `work`, which is untouched
    /// where it is refused. Gives the name of its cell.
    pub(crate) fn send(
        &self,
        work: &mut Work,
        accesses: &[(Token, Access)],
        patience: Patience,
    ) -> Result<(Token, MessageId), Refusal> {
        self.accept(work, accesses, patience).map(|(cell, _, id)| (cell, id))
    }

    /// Puts a fence into its queue. Gives its cell, its message and its id.
    pub(crate) fn send_fence(&self, work: &mut Work) -> Result<(Token, Token, MessageId), Refusal> {
        self.accept(work, &[], Patience::Forever)
    }

    fn accept(
        &self,
        work: &mut Work,
        accesses: &[(Token, Access)],
        patience: Patience,
    ) -> Result<(Token, Token, MessageId), Refusal> {
        let offer =
            Offer { queue: work.queue, kind: work.kind, bytes: work.bytes, accesses, label: work.label.clone() };
        let mut core = self.shared.lock();
        let (token, id) = loop {
            match core.machine.accept(&offer) {
                Ok(accepted) => break accepted,
                Err(full @ Refusal::Full { .. }) => match patience {
                    Patience::Never => return Err(full),
                    Patience::Forever => core = self.wait_for_credit(core, None)?,
                    Patience::Until(end) => core = self.wait_for_credit(core, Some(end))?,
                },
                Err(refusal) => return Err(refusal),
            }
        };
        let name = core.cells.take();
        let slot = token.index as usize;
        if core.cell_of.len() <= slot {
            core.cell_of.resize(slot + 1, name);
        }
        core.cell_of[slot] = name;
        let queue = core.queues[work.queue].clone();
        let lane = match work.kind {
            Kind::Work(lane) => Some(lane),
            Kind::Fence => None,
        };
        let lent = matches!(work.op, Some(Op::Upload { src: Source::Span(_), .. } | Op::Download { .. }));
        *core.cells.get_mut(name).expect("just taken") = Cell {
            lent,
            op: work.op.take(),
            parcel: work.parcel.take(),
            staging: work.staging,
            receipt: Some(Receipt {
                device: self.shared.device.clone(),
                queue,
                label: work.label.take(),
                lane,
                path: Path::None,
                form: None,
                bytes: if lane == Some(Lane::Compute) { 0 } else { work.bytes },
                accepted: self.shared.backend.now(),
                submitted: None,
                started: None,
                finished: None,
                delivered: None,
                device_seconds: None,
            }),
            waiter: Waiter::Nobody,
            outcome: None,
            leaked: false,
        };
        core.ledger.accept();
        core.unresolved += 1;
        core.dirty = true;
        drop(core);
        self.shared.pump.notify_one();
        Ok((name, token, id))
    }

    fn wait_for_credit<'a>(
        &'a self,
        core: MutexGuard<'a, Core>,
        end: Option<Instant>,
    ) -> Result<MutexGuard<'a, Core>, Refusal> {
        let settled = &self.shared.settled;
        let Some(end) = end else {
            return Ok(settled.wait(core).unwrap_or_else(PoisonError::into_inner));
        };
        let left = end.saturating_duration_since(self.shared.backend.now());
        if left.is_zero() {
            return Err(Refusal::Timeout);
        }
        Ok(settled.wait_timeout(core, left).unwrap_or_else(PoisonError::into_inner).0)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shared.lock().ending = true;
        self.shared.pump.notify_one();
        self.shared.backend.wake();
        // A callback may hold the last handle: a thread does not wait for itself.
        if !self.threads.contains(&thread::current().id()) {
            let _ = self.ended.recv_timeout(CLOSE_TIMEOUT);
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("device", &self.shared.device).finish_non_exhaustive()
    }
}
