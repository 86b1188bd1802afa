//! The threads of a device: submitting, reaping, and the users' callbacks.

use std::{
    panic::{self, AssertUnwindSafe},
    sync::{PoisonError, atomic::Ordering::Relaxed},
    thread::{self, ThreadId},
    time::Duration,
};

use crossbeam::channel;

use super::{
    cell::{ReceiverOf, Wake},
    core::Effects,
    engine::Shared,
    model::Event,
};
use crate::backend::{self, Command};

/// How long the reaping thread sleeps in the backend when nothing happens.
const REAP_TIMEOUT: Duration = Duration::from_millis(250);

impl Shared {
    /// Runs a thread of ours. Where it panics, by a bug of ours or of a driver, the device is lost: no
    /// ticket waits for a thread that is gone.
    pub(super) fn guard(&self, run: fn(&Self)) {
        if panic::catch_unwind(AssertUnwindSafe(|| run(self))).is_ok() {
            return;
        }
        let (mut batch, mut effects) = (Vec::new(), Effects::default());
        let telling = self.telling();
        let name = thread::current().name().unwrap_or("a thread").to_owned();
        let cause = format!("its thread `{name}` panicked").into();
        self.lock().step(Event::Lost(cause), &mut batch, &mut effects, self);
        self.pump.notify_one();
        self.run(&mut effects);
        drop(telling);
    }

    pub(super) fn run(&self, effects: &mut Effects) {
        for block in effects.blocks.drain(..) {
            self.backend.host_free(block);
        }
        for mem in effects.mems.drain(..) {
            self.backend.free(mem);
        }
        if std::mem::take(&mut effects.settled) {
            self.settled.notify_all();
        }
        for wake in effects.wakes.drain(..) {
            match wake {
                // A waker is the user's code, as a callback is.
                Wake::Task(waker) => {
                    if panic::catch_unwind(AssertUnwindSafe(|| waker.wake())).is_err() {
                        self.callback_panics.fetch_add(1, Relaxed);
                    }
                }
                Wake::Thread(thread) => thread.unpark(),
                Wake::Forward(ReceiverOf(f, resolved)) => f(resolved),
                Wake::Callback(call) => self.call_back(call),
            }
        }
    }

    /// Hands a user's callback to the thread for callbacks.
    pub(crate) fn call_back(&self, call: ReceiverOf) {
        let calls = self.callbacks.get_or_init(|| {
            let (sender, receiver) = channel::unbounded::<ReceiverOf>();
            let panics = self.callback_panics.clone();
            spawn(&self.device, "callbacks", move || {
                for ReceiverOf(f, resolved) in receiver {
                    // The panic's own message goes where the program's panic hook sends it.
                    if panic::catch_unwind(AssertUnwindSafe(|| f(resolved))).is_err() {
                        panics.fetch_add(1, Relaxed);
                    }
                }
            });
            sender
        });
        calls.send(call).expect("the callback thread lives as long as its sender");
    }

    pub(super) fn submit_loop(&self) {
        let (mut batch, mut effects) = (Vec::new(), Effects::default());
        loop {
            let mut core = self.lock();
            while !core.dirty {
                if core.ending && core.unresolved == 0 {
                    return;
                }
                core = self.pump.wait(core).unwrap_or_else(PoisonError::into_inner);
            }
            drop(core);
            self.pump_into(&mut batch, &mut effects);
            if !batch.is_empty() {
                self.backend.submit(&mut batch, &mut |batch| self.pump_into(batch, &mut effects));
            }
        }
    }

    /// Appends what may go to the driver now.
    fn pump_into(&self, batch: &mut Vec<Command>, effects: &mut Effects) {
        let telling = self.telling();
        let mut core = self.lock();
        core.dirty = false;
        core.step(Event::Pump, batch, effects, self);
        drop(core);
        self.run(effects);
        drop(telling);
    }

    pub(super) fn reap_loop(&self) {
        let (mut events, mut batch, mut effects) = (Vec::new(), Vec::new(), Effects::default());
        loop {
            self.backend.reap(&mut events, REAP_TIMEOUT);
            let telling = self.telling();
            let mut core = self.lock();
            if events.is_empty() && core.ending && core.unresolved == 0 {
                return;
            }
            for event in events.drain(..) {
                let event = match event {
                    backend::Event::Lost(cause) => Event::Lost(cause),
                    backend::Event::Done(done) => {
                        if let Some(receipt) = core.receipt_of(done.token) {
                            receipt.started = done.started;
                            receipt.finished = Some(done.finished);
                            receipt.device_seconds = done.device_seconds;
                            receipt.path = done.path;
                            receipt.form = done.form;
                        }
                        Event::Over(done.token, done.result)
                    }
                };
                core.step(event, &mut batch, &mut effects, self);
            }
            core.dirty |= core.unresolved > 0;
            let wake = core.dirty || core.ending;
            drop(core);
            debug_assert!(batch.is_empty(), "only the submitting thread submits");
            if wake {
                self.pump.notify_one();
            }
            self.run(&mut effects);
            drop(telling);
        }
    }
}

pub(super) fn spawn(device: &str, role: &str, run: impl FnOnce() + Send + 'static) -> ThreadId {
    thread::Builder::new()
        .name(format!("wharf {device} {role}"))
        .spawn(run)
        .expect("the system gives a device its threads")
        .thread()
        .id()
}
