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
/// Reports at most that are not left to anybody after such as nobody took.
const SKIPPED: u32 = 64;

/// The time that others have for a lane's reports. Where they let it pass, the next reports get none: one at
/// first, for a thread may be kept from coming once, and twice as many each time that nobody comes again. For
/// two threads that take reports in by turns are in each other's way.
#[derive(Debug, Default)]
pub(super) struct Grace {
    /// When the oldest report was made that may still be there.
    since: Option<Instant>,
    /// Reports to come that get no time.
    skip: u32,
    /// As many as that were the last time; none since somebody came.
    skipped: u32,
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

    /// All were taken in, by others where there was time for that.
    pub(super) fn end(&mut self) {
        if self.since.take().is_some() {
            self.skipped = 0;
        }
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
                if late {
                    self.skipped = (2 * self.skipped).clamp(1, SKIPPED);
                    self.skip = self.skipped;
                }
                late
            }
        };
        if over {
            self.since = None;
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Launch, MemId, PipelineId, Pool, Region};

    fn launch(pipeline: u64, groups: [u32; 3]) -> Op {
        let mut launch = Pool::<Launch>::default().take();
        (launch.pipeline, launch.groups) = (PipelineId(pipeline), groups);
        Op::Launch(launch)
    }

    const LONG: Duration = Duration::from_millis(1);

    #[test]
    fn a_launch_is_brief_where_one_as_large_was_and_until_one_is_not() {
        let mut brief = Brief::default();
        let (small, large) = (launch(3, [4, 2, 1]), launch(3, [9, 1, 1]));
        assert!(!brief.knows(&small), "nothing is known at first");
        brief.learn(brief.key(&small), MOMENT);
        assert!(brief.knows(&small) && brief.knows(&launch(3, [1, 1, 1])) && !brief.knows(&large));
        assert!(!brief.knows(&launch(2, [1, 1, 1])) && !brief.knows(&launch(4, [1, 1, 1])), "of another kernel");
        brief.learn(brief.key(&launch(3, [2, 1, 1])), MOMENT);
        assert!(brief.knows(&small), "the most that was brief counts");
        brief.learn(brief.key(&small), LONG);
        assert!(!brief.knows(&launch(3, [1, 1, 1])), "its data, or the machine, has changed");
    }

    #[test]
    fn sizes_that_no_number_holds_and_what_is_no_launch_are_known_of_too() {
        let mut brief = Brief::default();
        let huge = launch(0, [u32::MAX; 3]);
        brief.learn(brief.key(&huge), MOMENT);
        assert!(brief.knows(&huge) && brief.knows(&launch(0, [u32::MAX, u32::MAX, 1])));
        let clear = Op::Clear { dst: Region { mem: MemId(0), offset: 0, bytes: 4 } };
        assert_eq!(brief.key(&clear), None);
        brief.learn(None, MOMENT);
        assert!(!brief.knows(&clear));
    }

    #[test]
    fn reports_are_left_to_others_for_a_while_and_then_to_nobody() {
        let start = Instant::now();
        let mut grace = Grace::default();
        assert!(!grace.is_running() && !grace.is_over(Some(start)), "there is nothing to take in");
        grace.begin(start);
        grace.begin(start + GRACE);
        assert!(grace.is_running() && !grace.is_over(Some(start + GRACE / 2)));
        assert!(grace.is_over(Some(start + GRACE)), "it counts from the oldest report");
        assert!(!grace.is_running(), "and is over once");
        // Nobody came: the next is not left to anybody, whatever the time, then two, then four.
        for skipped in [1, 2, 4, 8, 16, 32, SKIPPED, SKIPPED] {
            for turn in 0..skipped {
                grace.begin(start);
                assert!(grace.is_over(Some(start)), "turn {turn} of {skipped}");
            }
            grace.begin(start);
            assert!(!grace.is_over(Some(start)), "then somebody may come again");
            assert!(grace.is_over(Some(start + GRACE)));
        }
        (0..SKIPPED).for_each(|_| {
            grace.begin(start);
            assert!(grace.is_over(Some(start)));
        });
        grace.begin(start);
        grace.end();
        grace.begin(start);
        assert!(grace.is_over(Some(start + GRACE)), "somebody came, and then did not");
        grace.begin(start);
        assert!(grace.is_over(Some(start)), "once");
        grace.begin(start);
        assert!(!grace.is_over(Some(start)), "and no more often");
    }

    #[test]
    fn what_others_took_in_leaves_their_time_as_it_was() {
        let start = Instant::now();
        let mut grace = Grace::default();
        grace.begin(start);
        grace.end();
        assert!(!grace.is_running() && !grace.is_over(Some(start + LONG)));
        grace.begin(start + LONG);
        assert!(!grace.is_over(Some(start + LONG)), "each report has its own time");
        assert!(grace.is_over(None), "but where something long begins there is none");
        grace.begin(start + LONG);
        assert!(!grace.is_over(Some(start + LONG)), "which is nobody's fault");
    }
}
