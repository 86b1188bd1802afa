//! The threads of a device: submitting, reaping, and the users' callbacks.

use std::{sync::PoisonError, time::Duration};

use super::{
    cell::ReceiverOf,
    core::Clock,
    drive::{Driver, run_users},
    shared::{Mode, Shared},
    sync::thread,
};

/// How long the reaping thread sleeps in the backend when nothing happens.
const REAP_TIMEOUT: Duration = Duration::from_millis(250);

impl Shared {
    /// Hands a user's callback to the thread for callbacks; on a device without threads, to whoever
    /// drives it next.
    pub(crate) fn call_back(&self, call: ReceiverOf) {
        if self.mode != Mode::Manual {
            self.callbacks.call_once(|| {
                let (calls, panics) = (self.calls.1.clone(), self.callback_panics.clone());
                spawn(&self.device, "callbacks", move || {
                    calls.iter().for_each(|ReceiverOf(f, resolved)| run_users(&panics, || f(resolved)));
                });
            });
        }
        self.calls.0.send(call).expect("the receiver is here, too");
    }

    /// Submits whenever there is something to submit; where those who send submit for themselves, does
    /// what they have left.
    pub(super) fn submit_loop(&self) {
        let mut driver = Driver::default();
        let helped = self.mode == Mode::Helped;
        loop {
            let mut core = self.lock();
            while !(if helped { std::mem::take(&mut core.left) } else { core.dirty }) {
                if core.ending && core.unresolved == 0 {
                    drop(core);
                    // The reaping thread ends, too.
                    return self.backend.wake();
                }
                core.alarm = core.next_deadline();
                self.backend.pace(core.alarm);
                let left = core.alarm.map(|deadline| deadline.saturating_duration_since(self.backend.now()));
                if left.is_some_and(|left| left.is_zero()) {
                    core.dirty = true;
                    break;
                }
                core.asleep = true;
                core = match left {
                    None => self.pump.wait(core).unwrap_or_else(PoisonError::into_inner),
                    Some(left) => self.pump.wait_timeout(core, left).unwrap_or_else(PoisonError::into_inner).0,
                };
                core.asleep = false;
            }
            if helped {
                drop(core);
                self.help();
            } else {
                self.submit(&mut driver.batch, core, Clock::default());
            }
        }
    }

    pub(super) fn reap_loop(&self) {
        let mut events = Vec::new();
        loop {
            self.backend.reap(&mut events, REAP_TIMEOUT);
            let _ = self.absorb(&mut events, None);
            let core = self.lock();
            if core.ending && core.unresolved == 0 {
                return;
            }
        }
    }
}

pub(super) fn spawn(device: &str, role: &str, run: impl FnOnce() + Send + 'static) {
    thread::Builder::new()
        .name(format!("wharf {device} {role}"))
        .spawn(run)
        .expect("the system gives a device its threads");
}
