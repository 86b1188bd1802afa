//! The virtual clock of a device, and how far it may go where threads of the device drive it.
//!
//! While commands are under way it goes from one end to the next, as fast as these can be computed. While
//! somebody waits for a time to come (a deadline, a doorbell that rings by itself) it keeps pace with the
//! host's clock, so that the program has as long as it would have on a device that is there. While there is
//! neither it stands still, for as long as the one who reaps is ready to wait, and then goes on by that.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::time::Time;

#[derive(Debug)]
pub(super) struct Clock {
    /// Virtual time counts from here.
    origin: Instant,
    hands: Mutex<Hands>,
    /// There are news, or another time is waited for.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Hands {
    now: Time,
    /// Something was submitted, or nobody is to wait: asked once.
    news: bool,
    pace: Option<Pace>,
}

/// Time keeps pace with the host's clock.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// The time that is waited for.
    due: Time,
    /// A moment on both clocks.
    host: Instant,
    here: Time,
    /// It does not go beyond this: there something happens, or is due.
    limit: Time,
}

impl Hands {
    fn now(&self) -> Time {
        self.pace.map_or(self.now, |pace| self.now.max((pace.here + pace.host.elapsed().into()).min(pace.limit)))
    }
}

impl Clock {
    pub(super) fn new() -> Self {
        Self { origin: Instant::now(), hands: Mutex::default(), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Hands> {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Time {
        self.lock().now()
    }

    pub(super) fn instant(&self, time: Time) -> Instant {
        self.origin + Duration::from(time)
    }

    /// It is so late now.
    pub(super) fn set(&self, time: Time) {
        let mut hands = self.lock();
        hands.now = hands.now.max(time);
    }

    /// Somebody waits for this time to come, or for none.
    pub(super) fn pace(&self, due: Option<Instant>) {
        let due = due.map(|due| Time::from(due.saturating_duration_since(self.origin)));
        let mut hands = self.lock();
        if hands.pace.map(|pace| pace.due) == due {
            return;
        }
        let now = hands.now();
        hands.now = now;
        hands.pace = due.map(|due| {
            let (host, here) = hands.pace.map_or((Instant::now(), now), |pace| (pace.host, pace.here));
            // Until somebody has looked what happens next, nothing is known to happen later than this.
            Pace { due, host, here, limit: hands.pace.map_or(now, |pace| pace.limit.min(due)) }
        });
        hands.news = true;
        drop(hands);
        self.changed.notify_one();
    }

    /// Something was submitted, and the next thing happens then; or nobody is to wait.
    pub(super) fn tell(&self, next: Option<Time>) {
        let mut hands = self.lock();
        if let (Some(pace), Some(next)) = (&mut hands.pace, next) {
            pace.limit = pace.limit.min(next);
        }
        hands.news = true;
        drop(hands);
        self.changed.notify_one();
    }

    /// How late it may become now, where the next thing happens at `next`. Waits for at most `timeout` until
    /// something may happen.
    pub(super) fn wait(&self, next: Option<Time>, timeout: Duration) -> Time {
        let end = Instant::now() + timeout;
        let mut hands = self.lock();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let most = match (&mut hands.pace, next) {
                (None, Some(next)) => return next,
                (None, None) if left.is_zero() => return hands.now + timeout.into(),
                (None, None) => left,
                (Some(pace), next) => {
                    let target = next.map_or(pace.due, |next| next.min(pace.due));
                    pace.limit = target;
                    let now = hands.now();
                    if now >= target && next == Some(target) || left.is_zero() {
                        return now;
                    }
                    // What is due is somebody else's to see to, who then says what is due next.
                    if now >= target { left } else { left.min((target - now).into()) }
                }
            };
            if std::mem::take(&mut hands.news) {
                return hands.now();
            }
            hands = self.changed.wait_timeout(hands, most).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn ms(n: u64) -> Time {
        Time::from(n as u32 * MS)
    }

    #[test]
    fn it_goes_to_what_happens_next_at_once() {
        let clock = Clock::new();
        assert_eq!(clock.wait(Some(ms(3_600_000)), MS), ms(3_600_000));
        assert_eq!(clock.now(), Time::ZERO, "it was only asked");
    }

    #[test]
    fn it_stands_still_until_the_one_who_waits_has_waited_long_enough() {
        let clock = Clock::new();
        clock.tell(None);
        assert_eq!(clock.wait(None, 1000 * MS), Time::ZERO, "there were news");
        let begin = Instant::now();
        assert_eq!(clock.wait(None, 5 * MS), ms(5));
        assert!(begin.elapsed() >= 5 * MS);
    }

    #[test]
    fn it_keeps_pace_with_the_host_while_a_time_is_waited_for() {
        let clock = Clock::new();
        let due = clock.instant(ms(20));
        let begin = Instant::now();
        clock.pace(Some(due));
        assert!(clock.wait(Some(ms(40)), Duration::ZERO) <= Time::from(begin.elapsed()), "it does not fly");
        clock.wait(Some(ms(40)), Duration::ZERO);
        std::thread::sleep(5 * MS);
        let now = clock.now();
        assert!(now >= ms(5) && now <= Time::from(begin.elapsed()), "{now} between the looks, too");
        while clock.now() < ms(20) {
            clock.wait(Some(ms(40)), MS);
        }
        assert!(begin.elapsed() >= 20 * MS);
        clock.wait(Some(ms(40)), 5 * MS);
        assert_eq!(clock.instant(clock.now()), due, "not beyond what is due");
        clock.pace(None);
        assert_eq!(clock.wait(Some(ms(40)), MS), ms(40));
    }

    #[test]
    fn an_end_before_what_is_due_comes_in_its_time() {
        let clock = Clock::new();
        let begin = Instant::now();
        clock.pace(Some(clock.instant(ms(1000))));
        let mut now = Time::ZERO;
        while now < ms(5) {
            now = clock.wait(Some(ms(5)), 100 * MS);
        }
        assert_eq!(now, ms(5), "exactly then");
        assert!(begin.elapsed() >= 5 * MS);
    }
}
