//! What a lane has seen: which launches are over in a moment, and whether others take its reports in.

use std::time::{Duration, Instant};

use crate::backend::Op;

/// What is brief: handing it over, and telling of it, costs no less.
pub(super) const MOMENT: Duration = Duration::from_micros(5);

/// For each pipeline, the most workgroups that were over in a moment when they last ran.
#[derive(Debug, Default)]
pub(super) struct Brief {
    groups: Vec<u64>,
}

/// A pipeline and how many of its workgroups.
type Key = (usize, u64);

impl Brief {
    /// What is learnt of an operation, if anything.
    pub(super) fn key(&self, op: &Op) -> Option<Key> {
        let Op::Launch(launch) = op else { return None };
        let groups = launch.groups.iter().fold(1_u64, |product, &side| product.saturating_mul(side.into()));
        Some((usize::try_from(launch.pipeline.0).ok()?, groups))
    }

    /// Whether the operation is a launch that was brief when it last ran.
    pub(super) fn knows(&self, op: &Op) -> bool {
        self.key(op).is_some_and(|(pipeline, groups)| self.groups.get(pipeline).is_some_and(|&most| groups <= most))
    }

    /// It took so long.
    pub(super) fn learn(&mut self, key: Option<Key>, took: Duration) {
        let Some((pipeline, groups)) = key else { return };
        if self.groups.len() <= pipeline {
            self.groups.resize(pipeline + 1, 0);
        }
        let most = &mut self.groups[pipeline];
        *most = if took <= MOMENT { groups.max(*most) } else { 0 };
    }
}

/// How long reports are left to those who send or wait.
const GRACE: Duration = Duration::from_micros(5);
/// Reports that are not left to anybody after such as nobody took.
const SKIPPED: u32 = 64;

/// The time that others have for a lane's reports. Where they let it pass, the next reports get none.
#[derive(Debug, Default)]
pub(super) struct Grace {
    /// When the oldest report was made that may still be there.
    since: Option<Instant>,
    skip: u32,
}

impl Grace {
    /// A report was made.
    pub(super) fn begin(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// Reports may be there.
    pub(super) fn is_running(&self) -> bool {
        self.since.is_some()
    }

    /// All were taken in.
    pub(super) fn end(&mut self) {
        self.since = None;
    }

    /// Whether nobody is waited for any more at this time, or whatever the time; if so, it ends.
    pub(super) fn is_over(&mut self, now: Option<Instant>) -> bool {
        let Some(since) = self.since else { return false };
        let over = match now {
            None => true,
            Some(_) if self.skip > 0 => {
                self.skip -= 1;
                true
            }
            Some(now) => {
                let late = now.saturating_duration_since(since) >= GRACE;
                self.skip = if late { SKIPPED } else { 0 };
                late
            }
        };
        if over {
            self.since = None;
        }
        over
    }
}
