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

/// What a lane has done since its device was opened.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Served {
    commands: u64,
    took: Duration,
    /// The end of the last command.
    until: Option<Instant>,
}

impl Served {
    /// The same and this command.
    pub(super) fn and(self, done: &Done) -> Self {
        let began = done.started.max(self.until).filter(|_| done.started.is_some());
        let took = began.map_or(Duration::ZERO, |began| done.finished.saturating_duration_since(began));
        let until = self.until.max(Some(done.finished));
        Self { commands: self.commands + 1, took: self.took + took, until }
    }

    /// What it has done beyond what it had done `before`.
    pub(super) fn beyond(self, before: Self) -> Behind {
        let commands = u32::try_from(self.commands - before.commands).unwrap_or(u32::MAX);
        Behind { commands, took: self.took - before.took }
    }

    /// Leaves out a command that made `before` to `after`.
    pub(super) fn skip(&mut self, before: Self, after: Self) {
        self.commands += after.commands - before.commands;
        self.took += after.took - before.took;
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
        let accepted = Served::default().and(&done(Some(zero), at(5)));
        let two = accepted.and(&done(Some(at(5)), at(8))).and(&done(Some(at(6)), at(9)));
        assert_eq!(two.beyond(accepted), Behind { commands: 2, took: Duration::from_millis(4) });
        let unknown = two.and(&done(None, at(20)));
        assert_eq!(unknown.beyond(accepted), Behind { commands: 3, took: Duration::from_millis(4) });
        // A chunk of its own, and then another's again.
        let mut base = accepted;
        let own = two.and(&done(Some(at(9)), at(12)));
        base.skip(two, own);
        assert_eq!(own.beyond(base), two.beyond(accepted));
        let last = own.and(&done(Some(at(14)), at(15)));
        assert_eq!(last.beyond(base), Behind { commands: 3, took: Duration::from_millis(5) });
    }
}
