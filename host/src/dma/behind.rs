//! What a lane does for others while a message waits for it.

use std::time::{Duration, Instant};

use crate::backend::Done;

/// What the lane of a message did for others between its acceptance and its end: what it was behind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Behind {
    /// Commands of other messages that were over in that time; of a large message each chunk is one. Those that
    /// travelled in its own command are not among them.
    pub commands: u32,
    /// The time that they took. The first may have begun before the message was accepted, and counts whole; what
    /// ran side by side counts once; a command whose start the backend does not know counts nothing.
    pub took: Duration,
}

/// Commands that a lane has ended, and the nanoseconds that they took. Each message holds some, so it is short.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    commands: u64,
    nanos: u64,
}

/// What a lane has done since its device was opened.
#[derive(Debug, Default)]
pub(super) struct Served {
    pub(super) tally: Tally,
    /// The end of the last command.
    until: Option<Instant>,
}

impl Served {
    /// It has ended this command, too. Gives the command's own tally, and that of all.
    pub(super) fn add(&mut self, done: &Done) -> (Tally, Tally) {
        let began = done.started.map(|started| self.until.map_or(started, |until| until.max(started)));
        let took = began.map_or(Duration::ZERO, |began| done.finished.saturating_duration_since(began));
        self.until = self.until.max(Some(done.finished));
        // Five hundred years, in nanoseconds.
        let own = Tally { commands: 1, nanos: took.as_nanos() as u64 };
        self.tally = self.tally.and(own);
        (own, self.tally)
    }
}

impl Tally {
    fn and(self, other: Self) -> Self {
        Self { commands: self.commands + other.commands, nanos: self.nanos + other.nanos }
    }

    fn less(self, other: Self) -> Self {
        Self { commands: self.commands - other.commands, nanos: self.nanos - other.nanos }
    }
}

/// What the lane of one message has done.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Waited {
    /// When the message was accepted, and of it since.
    own: Tally,
    /// For others, until the end of its last command.
    others: Tally,
}

impl Waited {
    /// It is accepted when its lane has done so much.
    pub(super) fn since(tally: Tally) -> Self {
        Self { own: tally, others: Tally::default() }
    }

    /// A command of it is over, which is `own`; with it the lane has done `all`.
    pub(super) fn end(&mut self, own: Tally, all: Tally) {
        self.own = self.own.and(own);
        self.others = all.less(self.own);
    }

    pub(super) fn behind(&self) -> Behind {
        let commands = u32::try_from(self.others.commands).unwrap_or(u32::MAX);
        Behind { commands, took: Duration::from_nanos(self.others.nanos) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Path, Token};

    fn done(started: Option<Instant>, finished: Instant) -> Done {
        Done {
            token: Token::default(),
            result: Ok(()),
            started,
            finished,
            device_seconds: None,
            path: Path::Staged,
            why: None,
            together: 1,
            form: None,
        }
    }

    #[test]
    fn what_ran_side_by_side_counts_once_and_own_commands_do_not() {
        let zero = Instant::now();
        let at = |ms| zero + Duration::from_millis(ms);
        let behind = |commands, ms| Behind { commands, took: Duration::from_millis(ms) };
        let mut lane = Served::default();
        lane.add(&done(Some(zero), at(5)));
        let mut message = Waited::since(lane.tally);
        assert_eq!(message.behind(), behind(0, 0));
        lane.add(&done(Some(at(5)), at(8)));
        lane.add(&done(Some(at(6)), at(9)));
        let (chunk, all) = lane.add(&done(Some(at(9)), at(12)));
        message.end(chunk, all);
        assert_eq!(message.behind(), behind(2, 4));
        lane.add(&done(None, at(20)));
        assert_eq!(message.behind(), behind(2, 4), "until its own next command is over");
        let (chunk, all) = lane.add(&done(Some(at(14)), at(21)));
        message.end(chunk, all);
        assert_eq!(message.behind(), behind(3, 4), "when that began is not known");
    }
}
