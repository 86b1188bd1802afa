//! Queues that seem to stand still, and what they wait for.

use std::{fmt, sync::Arc, time::Duration};

use super::{machine::Explanation, shared::Shared};

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
            write!(f, "{then}message {} {}", why.message, why.waits)?;
        }
        Ok(())
    }
}

impl Shared {
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
