//! Failures of messages whose tickets were dropped.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use crate::error::TransferError;

/// A message that failed after its ticket was dropped.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeadLetter {
    /// What happened to which message.
    pub error: Arc<TransferError>,
    /// When the queue had accepted it.
    pub accepted: Instant,
    /// When it failed.
    pub failed: Instant,
}

/// A bounded ring: the oldest letter makes room for the newest, and is counted.
#[derive(Debug, Default)]
pub(crate) struct DeadLetters {
    ring: VecDeque<DeadLetter>,
    /// Letters that were pushed out.
    pub(crate) overflowed: u64,
}

impl DeadLetters {
    pub(crate) const MOST: usize = 1024;

    pub(crate) fn push(&mut self, letter: DeadLetter) {
        if self.ring.len() == Self::MOST {
            self.ring.pop_front();
            self.overflowed += 1;
        }
        self.ring.push_back(letter);
    }

    pub(crate) fn take(&mut self) -> Vec<DeadLetter> {
        self.ring.drain(..).collect()
    }
}
