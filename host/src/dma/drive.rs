//! Moves messages on: submits, takes reports, tells those who wait. Any thread may do it.

use std::{
    cell::Cell,
    mem,
    panic::{self, AssertUnwindSafe},
    time::{Duration, Instant},
};

use super::{
    baton::Call,
    cell::{ReceiverOf, Wake},
    core::{Clock, Core, Effects},
    model::Event,
    shared::{Mode, Shared},
    sync::{
        MutexGuard,
        atomic::{AtomicU64, Ordering::Relaxed},
        thread, thread_local,
    },
};
use crate::{
    backend::{self, Command},
    trace,
};

/// Rounds after which a thread that helps has done its share.
const SHARE: u32 = 8;
/// How often a thread that sends one message after the other takes reports in: to take in several together costs
/// little more than one.
const COMPANY: Duration = Duration::from_micros(2);

thread_local! {
    /// This thread tells: what it calls may be the user's code, which must not wait for this thread.
    static TELLING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside a message's end: then it cannot wait for other messages.
pub(super) fn is_telling() -> bool {
    TELLING.with(Cell::get)
}

/// What the one who drives works with.
#[derive(Debug, Default)]
pub(crate) struct Driver {
    pub(super) batch: Vec<Command>,
    pub(super) events: Vec<backend::Event>,
    /// When somebody who sends looks for reports of others again.
    look: Option<Instant>,
}

/// What a turn has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Moved,
    Idle,
    /// Another thread drives.
    Taken,
}

/// What has come of submitting.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Submitted {
    /// Anything.
    moved: bool,
    /// Some of it may be over already.
    done: bool,
}

/// What a round has come to.
struct Round {
    /// It has moved something.
    moved: bool,
    /// Another round may move more.
    more: bool,
}

impl Shared {
    /// Something changed that may let messages go on: sees to it that somebody looks.
    pub(crate) fn kick(&self, core: MutexGuard<'_, Core>) {
        self.kick_at(core, Clock::default());
    }

    /// Messages were accepted: sees to it that they go on, where they are not over already.
    pub(super) fn sent(&self, core: MutexGuard<'_, Core>, clock: Clock) {
        if core.unresolved > 0 {
            return self.kick_at(core, clock);
        }
        let news = !core.effects.is_empty();
        drop(core);
        if news {
            self.tell();
        }
    }

    /// The same, where it has just been asked what time it is.
    fn kick_at(&self, mut core: MutexGuard<'_, Core>, clock: Clock) {
        core.dirty = true;
        let (asleep, early) = (core.asleep, core.sleeps_too_long());
        if early {
            self.backend.pace(core.next_deadline());
        }
        match self.mode {
            Mode::Manual => {}
            Mode::Threads => {
                drop(core);
                if asleep {
                    self.pump.notify_one();
                }
            }
            Mode::Helped => {
                if early {
                    self.pump.notify_one();
                }
                self.help_in(Some(core), clock);
            }
        }
    }

    /// Does what there is to do, if nobody is at it; leaves the rest to the device's thread where it is
    /// much.
    pub(crate) fn help(&self) {
        self.help_in(None, Clock::default());
    }

    /// The same for who may have the lock, and have just been asked what time it is. The lock is released.
    fn help_in<'a>(&'a self, mut core: Option<MutexGuard<'a, Core>>, mut clock: Clock) {
        let mut left = false;
        let call = self.driver.call(SHARE, |driver| {
            self.guard(|| {
                left = (0..SHARE).all(|_| {
                    let core = core.take().unwrap_or_else(|| self.lock());
                    self.round(driver, core, mem::take(&mut clock), Duration::ZERO).more
                });
            });
        });
        // Another thread is at it.
        drop(core);
        if left || call == Call::Left {
            self.lock().left = true;
            self.pump.notify_one();
        }
    }

    /// One round, on a device without threads of its own. Waits for at most `timeout` where there is
    /// nothing to do.
    pub(super) fn turn(&self, timeout: Duration) -> Turn {
        let mut moved = false;
        let call = self.driver.call(1, |driver| {
            self.guard(|| moved = self.round(driver, self.lock(), Clock::default(), timeout).moved);
        });
        // Callbacks may wait for messages themselves: they run when the baton is down.
        while let Ok(ReceiverOf(f, resolved)) = self.calls.1.try_recv() {
            run_users(&self.callback_panics, || f(resolved));
            moved = true;
        }
        self.watch();
        match call {
            _ if moved => Turn::Moved,
            Call::Taken => Turn::Taken,
            Call::Done | Call::Left => Turn::Idle,
        }
    }

    /// Submits, takes what has happened, tells.
    #[inline(always)]
    fn round(&self, driver: &mut Driver, core: MutexGuard<'_, Core>, clock: Clock, timeout: Duration) -> Round {
        let began = clock.known();
        let Submitted { moved, done } = self.submit(&mut driver.batch, core, clock);
        if let Some(began) = began.filter(|_| !done) {
            if driver.look.is_some_and(|look| began < look) {
                return Round { moved, more: false };
            }
            driver.look = Some(began + COMPANY);
        }
        let timeout = if moved { Duration::ZERO } else { self.until_due(timeout) };
        self.backend.reap(&mut driver.events, timeout);
        if driver.events.is_empty() {
            // Nothing may go to the driver that did not a moment ago.
            return Round { moved, more: false };
        }
        let more = self.absorb(&mut driver.events, began);
        Round { moved: true, more }
    }

    /// `most`, but not beyond the next deadline: the clock may be one that passes only while this waits.
    fn until_due(&self, most: Duration) -> Duration {
        let due = if most.is_zero() { None } else { self.lock().next_deadline() };
        due.map_or(most, |due| most.min(due.saturating_duration_since(self.backend.now())))
    }

    /// Gives the backend what may go there now.
    #[inline(always)]
    pub(super) fn submit<'a>(
        &'a self,
        batch: &mut Vec<Command>,
        mut core: MutexGuard<'a, Core>,
        mut clock: Clock,
    ) -> Submitted {
        let mut sent = Submitted::default();
        loop {
            let (news, more) = self.pump_into(batch, core, clock);
            sent.moved |= news || !batch.is_empty();
            if !batch.is_empty() {
                sent.done |= self.backend.submit(batch, &mut |events, batch| {
                    if !events.is_empty() {
                        self.absorb(events, None);
                    }
                    self.pump_into(batch, self.lock(), Clock::default());
                });
            }
            if !more {
                return sent;
            }
            (core, clock) = (self.lock(), Clock::default());
        }
    }

    /// Appends what may go to the driver now. Answers whether anything else has moved, and whether there is
    /// more to append.
    fn pump_into(&self, batch: &mut Vec<Command>, mut core: MutexGuard<'_, Core>, mut clock: Clock) -> (bool, bool) {
        if let Some(deadline) = core.next_deadline() {
            let now = clock.read(self);
            core.dirty |= deadline <= now;
            core.tick(now, &mut clock, self);
        }
        if !mem::take(&mut core.dirty) {
            return (false, false);
        }
        core.step(Event::Pump, batch, &mut clock, self);
        let (news, more) = (!core.effects.is_empty(), core.machine.is_cut());
        core.dirty |= more;
        drop(core);
        if news {
            self.tell();
        }
        (news, more)
    }

    /// Takes the backend's reports in. Answers whether there may be something to submit now. Where the caller
    /// `began` at that time, and waited for nothing since, what has ended since is also told of at its end: the
    /// clock is not read again for that.
    pub(super) fn absorb(&self, events: &mut Vec<backend::Event>, began: Option<Instant>) -> bool {
        let last = |events: &[backend::Event]| events.iter().filter_map(backend::Event::finished).max();
        let mut clock = Clock::at(began.and_then(|began| last(events).filter(|&end| end >= began)));
        let mut core = self.lock();
        for event in &mut *events {
            let event = match event {
                backend::Event::Lost(cause) => Event::Lost(cause.clone()),
                backend::Event::Done(done) => {
                    core.write_down(done);
                    Event::Over(done.token, mem::replace(&mut done.result, Ok(())))
                }
            };
            core.take(event);
        }
        events.clear();
        core.act_only(&mut clock, self);
        core.dirty |= core.unresolved > 0;
        let dirty = core.dirty;
        let wake = dirty && core.asleep && self.mode == Mode::Threads;
        let news = !core.effects.is_empty();
        drop(core);
        if wake {
            self.pump.notify_one();
        }
        if news {
            self.tell();
        }
        dirty
    }

    /// Carries out what the machine's steps have left to do, in their order. One thread at a time tells,
    /// so that messages are told of in the order in which they were resolved.
    pub(crate) fn tell(&self) {
        self.teller.call(u32::MAX, |effects| {
            std::mem::swap(&mut self.lock().effects, effects);
            let before = TELLING.with(|telling| telling.replace(true));
            self.carry_out(effects);
            TELLING.with(|telling| telling.set(before));
        });
    }

    fn carry_out(&self, effects: &mut Effects) {
        for block in effects.blocks.drain(..) {
            self.backend.host_free(block);
        }
        for mem in effects.mems.drain(..) {
            self.memory.free(mem);
        }
        if std::mem::take(&mut effects.settled) {
            self.settled.notify_all();
        }
        if std::mem::take(&mut effects.ended) {
            self.pump.notify_one();
        }
        for (span, is_dead) in effects.traced.drain(..) {
            run_users(&self.callback_panics, || trace::events::tell(&span, is_dead));
        }
        for wake in effects.wakes.drain(..) {
            match wake {
                // A waker is the user's code, as a callback is.
                Wake::Task(waker) => run_users(&self.callback_panics, || waker.wake()),
                Wake::Thread(thread) => thread.unpark(),
                Wake::Forward(ReceiverOf(f, resolved)) => f(resolved),
                Wake::Fence(state, outcome) => state.set(outcome, &self.callback_panics),
                Wake::Callback(call) => self.call_back(call),
            }
        }
        for slip in effects.graves.drain(..) {
            run_users(&self.callback_panics, || drop(slip));
        }
    }

    /// Runs what drives. Where it panics, by a bug of ours or of a driver, the device is lost: no ticket
    /// waits for what nobody does.
    pub(super) fn guard(&self, run: impl FnOnce()) {
        if panic::catch_unwind(AssertUnwindSafe(run)).is_ok() {
            return;
        }
        let name = thread::current().name().unwrap_or("a thread").to_owned();
        self.lose(&format!("its thread `{name}` panicked"));
    }

    /// The device is gone: everything unresolved fails now, whatever the backend still does.
    pub(crate) fn lose(&self, cause: &str) {
        self.backend.abandon(cause);
        self.lock().stage(Event::Lost(cause.into()), self);
        self.pump.notify_one();
        self.tell();
    }
}

/// Runs the user's code. A panic's own message goes where the program's panic hook sends it.
pub(super) fn run_users(panics: &AtomicU64, f: impl FnOnce()) {
    if panic::catch_unwind(AssertUnwindSafe(f)).is_err() {
        panics.fetch_add(1, Relaxed);
    }
}
