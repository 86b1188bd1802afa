//! DMA queues: messages between host and device, each with exactly one completion.
//!
//! A message owns its host buffer from accept to completion and gives it back whatever happens. It
//! is accepted or handed back; accepted messages complete exactly once, in order within their
//! queue; failures are values that travel along the data; nothing needs the user to poll.
//!
//! `machine` is the contract as one state machine without threads; `engine` says who drives it, and
//! `drive` how; `shared` is what handles of one device share; the rest is what users hold.

use std::fmt;

mod batch;
mod baton;
#[cfg(test)]
mod baton_tests;
mod behind;
mod cell;
mod chunk;
mod core;
mod dead;
mod doorbell;
mod drive;
mod engine;
#[cfg(test)]
mod engine_tests;
mod evict;
mod fence;
mod hazard;
mod label;
mod machine;
#[cfg(test)]
mod machine_tests;
mod model;
mod parcel;
mod permit;
mod promise;
mod queue;
mod receipt;
mod shared;
mod slab;
mod slip;
mod small;
mod stall;
mod sync;
mod threads;
mod ticket;
mod work;

pub(crate) use core::Core;
pub(crate) use engine::Engine;
pub(crate) use hazard::{Access, Part, Resource, Touch};
pub(crate) use label::Label;
pub(crate) use model::Kind;
pub(crate) use parcel::Parcel;
pub(crate) use slip::Slip;
#[cfg(wharf_models)]
pub(crate) use sync::{Bug, has};
pub(crate) use sync::{Mutex, MutexGuard};
pub(crate) use work::{Accepted, Patience};

pub use batch::{Batch, Entry, Sent};
pub use behind::Behind;
pub use dead::{DeadLetter, DeadLetters, Requeued};
pub use doorbell::Doorbell;
pub use fence::Fence;
pub use hazard::Cause;
pub use machine::{Dependency, Explanation, Wait};
pub use model::{CancelOutcome, FailPolicy, Priority};
pub use permit::{Permit, Reserving};
pub use promise::Signal;
pub use queue::{DmaQueue, Draining, QueueOptions, QueueStats};
pub use receipt::Receipt;
pub use stall::Stall;
pub use ticket::{Completion, CompletionQueue, Refused, Ticket};

/// Names a message on its device: numbers grow in the order of acceptance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub(crate) u64);

impl MessageId {
    /// The number.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}
