//! Queues that seem to stand still, and what they wait for.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use super::{
    MessageId,
    drive::run_users,
    machine::Explanation,
    shared::Shared,
    sync::channel::{Receiver, RecvTimeoutError},
};
use crate::trace::events;

/// A queue whose oldest message has waited for long; see [`Device::stalled`](crate::Device::stalled).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stall {
    /// The queue.
    pub queue: Arc<str>,
    /// For how long its oldest unresolved message has been accepted.
    pub since: Duration,
    /// Why that message is not over; then why that is not over for which it waits, and so on. The last one
    /// waits for nobody but the device, a doorbell or the program itself.
    pub chain: Vec<Explanation>,
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "queue `{}` for {:.1} s: ", self.queue, self.since.as_secs_f64())?;
        for (place, why) in self.chain.iter().enumerate() {
            let then = if place > 0 { "; " } else { "" };
            write!(f, "{then}message {}", why.message)?;
            if let Some(label) = &why.label {
                write!(f, " (`{label}`)")?;
            }
            write!(f, " {}", why.waits)?;
        }
        Ok(())
    }
}

/// Warns of queues that stand still.
#[derive(Debug)]
pub(crate) struct Watch {
    patience: Duration,
    /// The oldest messages of those that were warned of.
    told: Mutex<Vec<MessageId>>,
}

impl Watch {
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, told: Mutex::default() }
    }
}

/// Looks now and then, until the device's last handle is gone. It keeps nothing alive meanwhile.
pub(super) fn watch_loop(shared: &Weak<Shared>, patience: Duration, open: &Receiver<()>) {
    let pause = (patience / 4).clamp(Duration::from_millis(1), Duration::from_secs(1));
    while open.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
        let Some(shared) = shared.upgrade() else { return };
        shared.watch();
    }
}

impl Shared {
    /// Warns of what stands still since the last look, where that is wanted.
    pub(super) fn watch(&self) {
        let Some(watch) = &self.watch else { return };
        let stalls = self.stalled(watch.patience);
        let oldest = |stall: &Stall| stall.chain.first().map(|why| why.message);
        let mut told = watch.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|&id| stalls.iter().any(|stall| oldest(stall) == Some(id)));
        let new: Vec<_> = stalls.iter().filter(|stall| oldest(stall).is_some_and(|id| !told.contains(&id))).collect();
        told.extend(new.iter().copied().filter_map(oldest));
        // A subscriber is the user's code, and may do anything.
        drop(told);
        new.into_iter().for_each(|stall| run_users(&self.callback_panics, || events::stalled(&self.device, stall)));
    }

    /// The queues whose oldest message has been accepted for at least so long.
    pub(crate) fn stalled(&self, least: Duration) -> Vec<Stall> {
        let now = self.backend.now();
        let mut core = self.lock();
        let oldest: Vec<_> = core.machine.oldest_of_all().collect();
        let mut stalls = Vec::new();
        for token in oldest {
            let since = now.saturating_duration_since(core.accepted(token));
            let chain = if since >= least { core.machine.chain(token) } else { Vec::new() };
            stalls.extend(chain.first().map(|first| first.queue.clone()).map(|queue| Stall { queue, since, chain }));
        }
        stalls
    }
}
