//! What the lanes have, under their lock.

use std::{collections::VecDeque, time::Instant};

use crate::backend::{Command, Event, Op, Source, Token, cpu::memory::Memories};

/// Bytes of a command that is done at once, and of all that one submission does so.
pub(super) const SMALL_BYTES: u64 = 4 << 10;
pub(super) const AT_ONCE_BYTES: u64 = 16 << 10;
/// Commands that a lane takes at a time.
pub(super) const BURST: usize = 16;

#[derive(Default)]
pub(super) struct Books {
    pub(super) queues: [VecDeque<Command>; 3],
    /// Commands of the lane that are submitted and unfinished.
    pub(super) unfinished: [u32; 3],
    /// The same by slot: the generation of the command that is.
    pub(super) running: Vec<Option<u32>>,
    pub(super) events: Vec<Event>,
    pub(super) asleep: [bool; 3],
    /// Somebody waits for a report.
    pub(super) awaited: bool,
    pub(super) woken: bool,
    pub(super) closed: bool,
}

impl Books {
    pub(super) fn is_over(&self, token: Token) -> bool {
        self.running.get(token.index as usize) != Some(&Some(token.generation))
    }

    pub(super) fn may_start(&self, command: &Command) -> bool {
        command.after.iter().all(|token| self.is_over(token))
    }

    pub(super) fn begin(&mut self, command: &Command) {
        let slot = command.token.index as usize;
        if self.running.len() <= slot {
            self.running.resize(slot + 1, None);
        }
        self.running[slot] = Some(command.token.generation);
        self.unfinished[command.lane as usize] += 1;
    }

    /// Takes the lane's next commands, as far as they may start.
    pub(super) fn take(&mut self, lane: usize, burst: &mut VecDeque<Command>) {
        while burst.len() < BURST && self.queues[lane].front().is_some_and(|command| self.may_start(command)) {
            burst.extend(self.queues[lane].pop_front());
        }
    }

    /// The lanes that sleep and have something to do: they are woken. One whose first command comes after
    /// another's waits for the report of that.
    pub(super) fn sleepers(&mut self) -> [bool; 3] {
        std::array::from_fn(|lane| {
            let wakes = self.asleep[lane] && self.queues[lane].front().is_some_and(|first| self.may_start(first));
            self.asleep[lane] &= !wakes;
            wakes
        })
    }

    /// Does small commands that other lanes have not taken and that may start now, as a command that they were
    /// to come after has ended: to wake their threads would cost more.
    pub(super) fn finish_small(
        &mut self,
        memories: &Memories,
        execute: impl Fn(&mut Command, Instant, &dyn Fn() -> Instant) -> Event,
    ) {
        let mut left = AT_ONCE_BYTES;
        for lane in 0..self.queues.len() {
            // What a lane has taken comes first.
            while self.unfinished[lane] as usize == self.queues[lane].len()
                && let Some(command) = self.queues[lane].front()
                && self.may_start(command)
                && let Some(bytes) = small(&command.op, memories).filter(|&bytes| bytes <= left)
                && let Some(mut command) = self.queues[lane].pop_front()
            {
                left -= bytes;
                self.unfinished[lane] -= 1;
                self.running[command.token.index as usize] = None;
                let event = execute(&mut command, Instant::now(), &Instant::now);
                self.events.push(event);
            }
        }
    }
}

/// Bytes that the host moves for it; `None` where that is not known or many.
pub(super) fn small(op: &Op, memories: &Memories) -> Option<u64> {
    let bytes = match op {
        Op::Nothing => 0,
        Op::Upload { src: Source::Block(block), dst } if memories.adopts_for_nothing(block, *dst) => 0,
        Op::Upload { src: Source::Span(_) | Source::Part { .. } | Source::Carried(_), dst: region }
        | Op::Download { src: region, .. }
        | Op::Copy { dst: region, .. }
        | Op::Clear { dst: region } => region.bytes,
        // Copied, and freed.
        Op::Upload { src: Source::Block(_), dst } => dst.bytes,
        // As many bytes as travel together at most; so few that their sum matters less than looking.
        Op::Joined(ops) => ops.iter().map(|op| small(op, memories).unwrap_or(u64::MAX)).sum(),
        Op::Launch(_) | Op::Replay(_) => return None,
    };
    (bytes <= SMALL_BYTES).then_some(bytes)
}
