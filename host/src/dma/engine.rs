//! The machine behind one lock, and those who drive it.
//!
//! On a device whose submissions may wait, a thread submits and another reaps. On one whose never do,
//! who sends submits, who reports reaps, and a thread does what they leave. With manual progress the
//! user's threads do it all. What they do is the same (`drive`).
//!
//! The lock is held for bookkeeping only: never while a driver is called, a buffer is copied, a
//! waiter is woken or user code runs.

use std::{
    fmt,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use crossbeam::channel::{self, Receiver, Sender};

use super::{
    MessageId,
    baton::Baton,
    cell::{Cell, ReceiverOf, Waiter},
    core::{Core, Effects},
    drive::{self, Driver, Turn},
    machine::Machine,
    model::{Event, Kind, Limits, Offer, QueueId},
    parcel::Parcel,
    receipt::Receipt,
    threads::spawn,
};
use crate::{
    backend::{Backend, Lane, MemId, Op, Path, Source, Token},
    dma::hazard::Access,
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
    pub(crate) label: Option<Arc<str>>,
}

/// How long a sender waits for a credit.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Patience {
    Never,
    Forever,
    Until(Instant),
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
    }

    /// Does what there is to do, on a device with manual progress; answers whether there was anything.
    pub(crate) fn progress(&self) -> bool {
        self.mode == Mode::Manual && self.turn(Duration::ZERO) == Turn::Moved
    }

    /// Sleeps until this thread is unparked, for at most so long; it may also return early. With manual
    /// progress the thread does what there is to do instead.
    pub(super) fn pause(&self, most: Option<Duration>) {
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

    /// Waits until every message that the queue has accepted is resolved.
    pub(crate) fn drain_queue(&self, queue: QueueId) {
        let mut core = self.lock();
        while core.machine.level(queue).unresolved > 0 {
            core = self.wait_settled(core, None);
        }
    }

    /// Waits until every accepted message is resolved.
    pub(crate) fn drain(&self) {
        let mut core = self.lock();
        while core.unresolved > 0 {
            core = self.wait_settled(core, None);
        }
    }
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
        let shared = Arc::new(Shared {
            mode,
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
        });
        let (alive, ended) = channel::bounded(0);
        let start = |name: &str, run: fn(&Shared)| {
            let (shared, alive) = (shared.clone(), alive.clone());
            spawn(&shared.device.clone(), name, move || {
                shared.guard(|| run(&shared));
                drop(alive);
            });
        };
        if mode != Mode::Manual {
            start("submit", Shared::submit_loop);
        }
        if mode == Mode::Threads {
            start("reap", Shared::reap_loop);
        }
        Ok(Self { shared, ended })
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
        let mut core = self.shared.lock();
        core.stage(Event::Release(resource), &self.shared);
        let news = !core.effects.is_empty();
        drop(core);
        if news {
            self.shared.tell();
        }
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
        self.shared.kick(core);
        Ok((name, token, id))
    }

    fn wait_for_credit<'a>(
        &'a self,
        core: MutexGuard<'a, Core>,
        end: Option<Instant>,
    ) -> Result<MutexGuard<'a, Core>, Refusal> {
        let left = end.map(|end| end.saturating_duration_since(self.shared.backend.now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Err(Refusal::Timeout);
        }
        Ok(self.shared.wait_settled(core, left))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let mut core = self.shared.lock();
        core.ending = true;
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
