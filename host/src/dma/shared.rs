//! What those who hold handles of a device share: the books, and who is told when they change.

use std::{
    hint,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

#[cfg(wharf_models)]
use super::sync::{Bug, has};
use super::{
    baton::Baton,
    cell::ReceiverOf,
    core::{Core, Effects},
    drive::{Driver, Turn, is_telling},
    fence::Fences,
    label::Labels,
    model::QueueId,
    small::SmallPool,
    stall::Watch,
    sync::{
        Condvar, Mutex, MutexGuard, Once,
        atomic::{AtomicU64, Ordering::Relaxed},
        channel::{Receiver, Sender},
        thread,
    },
};
use crate::{
    backend::{Backend, Token},
    device_memory::DeviceMemory,
};

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
pub(super) const MANUAL_WAIT: Duration = Duration::from_millis(1);

/// What handles of one device share. Tickets hold only this; the threads end when the last
/// [`Engine`] is dropped and everything is resolved.
pub(crate) struct Shared {
    pub(crate) device: Arc<str>,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) memory: DeviceMemory,
    pub(super) mode: Mode,
    pub(super) core: Mutex<Core>,
    /// How long a thread that waits looks about before it sleeps.
    pub(super) spin: Duration,
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
    pub(super) callbacks: Once,
    pub(crate) callback_panics: Arc<AtomicU64>,
    pub(crate) staging: Staging,
    pub(crate) small: Arc<SmallPool>,
    pub(crate) labels: Labels,
    pub(super) fences: Fences,
    /// Who warns of queues that stand still.
    pub(super) watch: Option<Watch>,
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
    #[inline(always)]
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

    /// Whether this thread is inside a message's end: then it cannot wait for other messages.
    #[expect(clippy::unused_self, reason = "threads tell of any device's messages")]
    pub(crate) fn is_telling(&self) -> bool {
        is_telling()
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

    /// Lets others go on for so long, before the caller looks for what nobody tells it of. With manual progress the
    /// thread does what there is to do instead.
    pub(crate) fn pause_before_a_look(&self, time: Duration) {
        if self.mode == Mode::Manual {
            self.pause(Some(time));
        } else {
            thread::sleep(time);
        }
    }

    /// Whether a thread that waits for the message in this cell looks about before it sleeps: its core may be wanted
    /// for what the message is behind.
    pub(super) fn is_worth_a_look(&self, core: &Core, cell: Token) -> bool {
        self.mode != Mode::Manual && !self.spin.is_zero() && core.may_end_within(self.spin, cell)
    }

    /// Looks about until messages are resolved that are not among the `seen`, and takes in what is reported
    /// meanwhile. Answers whether there are.
    pub(super) fn look_about(&self, seen: u64, end: Instant) -> bool {
        while self.resolved.load(Relaxed) == seen {
            if self.mode == Mode::Helped && self.backend.has_reports() {
                self.help();
            }
            if Instant::now() >= end {
                return false;
            }
            (0..16).for_each(|_| hint::spin_loop());
        }
        true
    }

    /// Waits for `settled`, for at most so long.
    pub(super) fn wait_settled<'a>(
        &'a self,
        mut core: MutexGuard<'a, Core>,
        most: Option<Duration>,
    ) -> MutexGuard<'a, Core> {
        if self.mode == Mode::Manual {
            drop(core);
            self.pause(most);
            return self.lock();
        }
        #[cfg(wharf_models)]
        if has(Bug::LooksThenSleeps) {
            drop(core);
            core = self.lock();
        }
        let waits = 1;
        #[cfg(wharf_models)]
        let waits = waits - u32::from(has(Bug::Unheard));
        core.waiting += waits;
        let mut core = match most {
            None => self.settled.wait(core).unwrap_or_else(PoisonError::into_inner),
            Some(most) => self.settled.wait_timeout(core, most).unwrap_or_else(PoisonError::into_inner).0,
        };
        core.waiting -= waits;
        core
    }

    /// Rings doorbells, and sees to it that what they let go goes.
    pub(crate) fn ring(&self, ring: impl FnOnce(&mut Core) -> bool) {
        self.ring_in(self.lock(), ring);
    }

    /// The same for who has the lock, which is released.
    pub(super) fn ring_in(&self, mut core: MutexGuard<'_, Core>, ring: impl FnOnce(&mut Core) -> bool) {
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
