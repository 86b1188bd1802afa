//! When messages are to be cancelled.

use std::{cmp::Reverse, collections::BinaryHeap, time::Instant};

use crate::backend::Token;

/// A heap, earliest first. Entries of resolved messages stay in it until they come to the top or
/// outnumber the others: its memory is bounded by the messages that are unresolved.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    heap: BinaryHeap<Reverse<(Instant, Token)>>,
    /// Entries of messages that are not resolved.
    live: usize,
}

impl Deadlines {
    /// Entries that may be dead without anybody looking for them.
    const SLACK: usize = 64;

    pub(super) fn push(&mut self, at: Instant, token: Token, is_alive: impl Fn(Token) -> bool) {
        if self.heap.len() >= 2 * self.live + Self::SLACK {
            self.heap.retain(|Reverse((_, token))| is_alive(*token));
        }
        self.heap.push(Reverse((at, token)));
        self.live += 1;
    }

    /// A message that has an entry is resolved, or expired.
    pub(super) fn forget(&mut self) {
        self.live -= 1;
    }

    /// Where all entries are dead, nobody waits for their times.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().filter(|_| self.live > 0).map(|Reverse((at, _))| *at)
    }

    /// Takes the earliest message out if its time has come.
    pub(super) fn expired(&mut self, now: Instant) -> Option<Token> {
        self.next().filter(|&at| at <= now)?;
        self.heap.pop().map(|Reverse((_, token))| token)
    }

    pub(super) fn clear(&mut self) {
        self.heap.clear();
        self.live = 0;
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }
}
