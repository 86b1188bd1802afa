//! The CPU device's lanes: commands in, reports out, order kept.
//!
//! A lane is a queue with a thread. Small commands are done at once by whoever submits them, where
//! their lane is idle and their edges are over: handing one to a thread costs more than doing it. For the
//! same reason a lane takes, and reports, brief commands several at a time.

use std::{
    collections::VecDeque,
    fmt, hint,
    sync::{
        Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use crossbeam::utils::CachePadded;

use super::{
    brief::{Brief, Grace, MOMENT},
    memory::Memories,
};
use crate::backend::{Command, Event, Op, Ring, Token};

mod books;

use books::{AT_ONCE_BYTES, BURST, Books, small};

/// Who runs the commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Run {
    /// The lanes' threads, but for what is small. One with nothing to do looks about for so long before
    /// it sleeps.
    Lanes { spin: Duration },
    /// Whoever submits.
    AtOnce,
}

pub(super) struct Lanes {
    run: Run,
    books: CachePadded<Mutex<Books>>,
    /// A lane that sleeps has something to do.
    work: [Condvar; 3],
    /// Whoever waits for a report has one.
    reported: Condvar,
    /// Grows when a lane that looks about should look into the books.
    news: CachePadded<AtomicU32>,
    /// There are events in the books: who finds it unset need not look. Written under the lock, and what it
    /// is about is only ever read there.
    told: CachePadded<AtomicBool>,
    ring: OnceLock<Ring>,
}

/// What a lane's thread has in hand.
struct Hand {
    lane: usize,
    /// Commands that it has taken.
    burst: VecDeque<Command>,
    /// Those that are over, until it writes that into the books.
    ended: Vec<(Token, Event)>,
    grace: Grace,
}

impl Hand {
    fn new(lane: usize) -> Self {
        let (burst, ended) = (VecDeque::with_capacity(BURST), Vec::with_capacity(BURST));
        Self { lane, burst, ended, grace: Grace::default() }
    }
}

/// Messages that travel in it.
pub(super) fn messages(op: &Op) -> u32 {
    if let Op::Joined(ops) = op { ops.len() as u32 } else { 1 }
}

impl Lanes {
    pub(super) fn new(run: Run) -> Self {
        Self {
            run,
            books: CachePadded::default(),
            work: Default::default(),
            reported: Condvar::new(),
            news: CachePadded::default(),
            told: CachePadded::default(),
            ring: OnceLock::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        // Nothing panics under the lock but on a bug of ours.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports go to whoever answers the ring.
    pub(super) fn answer(&self, ring: Ring) {
        self.ring.set(ring).unwrap_or_else(|_| panic!("a device has one driver"));
    }

    /// Takes commands in, and answers whether some are done already. Those that are done at once and together share
    /// their times: to read the clock for each would cost as much as doing it.
    pub(super) fn submit(
        &self,
        batch: &mut Vec<Command>,
        memories: &Memories,
        execute: impl Fn(&mut Command, Instant, &dyn Fn() -> Instant) -> Event,
    ) -> bool {
        let alone = batch.len() == 1;
        let mut books = self.lock();
        let (first, mut left, mut began, mut together) = (books.events.len(), AT_ONCE_BYTES, None, 0);
        // In place: to move a command costs as much as to copy what it moves.
        batch.retain_mut(|command| {
            if self.run == Run::AtOnce {
                let event = execute(command, Instant::now(), &Instant::now);
                books.events.push(event);
                return false;
            }
            let lane = command.lane as usize;
            let bytes = small(&command.op, memories).filter(|&bytes| bytes <= left);
            left -= bytes.unwrap_or(0);
            if bytes.is_some() && books.unfinished[lane] == 0 && books.may_start(command) {
                // Who gave one alone has just asked what time it is.
                let now = || if alone { command.given } else { Instant::now() };
                let began = *began.get_or_insert_with(now);
                together += messages(&command.op);
                let event = execute(command, began, &|| began);
                books.events.push(event);
                return false;
            }
            books.begin(command);
            true
        });
        let queued = !batch.is_empty();
        for command in batch.drain(..) {
            books.queues[command.lane as usize].push_back(command);
        }
        let sleepers = queued.then(|| books.sleepers());
        if began.is_some() {
            let ended = Instant::now();
            for event in &mut books.events[first..] {
                let Event::Done(done) = event else { continue };
                (done.finished, done.together) = (ended, together);
            }
        }
        let done = books.events.len() > first;
        if done {
            self.told.store(true, Relaxed);
        }
        drop(books);
        if let Some(sleepers) = sleepers {
            self.rouse(sleepers);
        }
        done
    }

    /// There is something new in the books, for those who look about and for those who sleep.
    fn rouse(&self, sleepers: [bool; 3]) {
        self.news.fetch_add(1, Relaxed);
        for (work, _) in self.work.iter().zip(sleepers).filter(|&(_, sleeps)| sleeps) {
            work.notify_one();
        }
    }

    /// The thread of a lane. `execute` is given the command, when it begins, and what to ask for the time of
    /// its end.
    pub(super) fn run(
        &self,
        lane: usize,
        memories: &Memories,
        execute: impl Fn(&mut Command, Instant, &dyn Fn() -> Instant) -> Event,
    ) {
        let (mut brief, mut hand) = (Brief::default(), Hand::new(lane));
        while self.take(&mut hand) {
            let mut now = Instant::now();
            let mut told = now;
            while let Some(mut command) = hand.burst.pop_front() {
                if small(&command.op, memories).is_none() && !brief.knows(&command.op) {
                    // What is over is told of before anything begins that may take long.
                    self.report(&mut hand, now, memories, &execute);
                    self.see_to(&mut hand.grace, None);
                    told = now;
                }
                let (token, what) = (command.token, brief.key(&command.op));
                let event = execute(&mut command, now, &Instant::now);
                if let Event::Done(done) = &event {
                    brief.learn(what, done.finished.saturating_duration_since(now));
                    // The next begins where this one ends: to read the clock again would cost as much.
                    now = done.finished;
                }
                hand.ended.push((token, event));
                let was_last = hand.burst.is_empty();
                if was_last || now.saturating_duration_since(told) > MOMENT {
                    self.report(&mut hand, now, memories, &execute);
                    self.see_to(&mut hand.grace, Some(now));
                    if was_last && !hand.burst.is_empty() {
                        // To report, and what else came after the end, is nothing that the next one does.
                        now = Instant::now();
                    }
                    told = now;
                }
            }
        }
    }

    /// Writes the ends of commands into the books, and takes the next ones.
    fn report(
        &self,
        hand: &mut Hand,
        now: Instant,
        memories: &Memories,
        execute: impl Fn(&mut Command, Instant, &dyn Fn() -> Instant) -> Event,
    ) {
        if hand.ended.is_empty() {
            return;
        }
        let mut books = self.lock();
        books.unfinished[hand.lane] -= hand.ended.len() as u32;
        for (token, event) in hand.ended.drain(..) {
            books.running[token.index as usize] = None;
            books.events.push(event);
        }
        books.finish_small(memories, execute);
        books.take(hand.lane, &mut hand.burst);
        self.told.store(true, Relaxed);
        // Another lane's next command may have waited for one of these.
        let sleepers = books.sleepers();
        drop(books);
        hand.grace.begin(now);
        self.rouse(sleepers);
    }

    /// Sees to it that reports are taken in. Whoever sends or waits has the messages at hand and does it in
    /// passing, if `now` is still within their time for it; else this thread does.
    fn see_to(&self, grace: &mut Grace, now: Option<Instant>) {
        if !self.told.load(Relaxed) {
            return grace.end();
        }
        if grace.is_over(now)
            && let Some(ring) = self.ring.get()
        {
            ring();
        }
    }

    /// Takes the lane's next commands once the first of them may start; `false` when the device is closed.
    fn take(&self, Hand { lane, burst, grace, .. }: &mut Hand) -> bool {
        let lane = *lane;
        let Run::Lanes { spin } = self.run else { unreachable!("there are no lanes") };
        let mut until = None;
        loop {
            let seen = self.news.load(Relaxed);
            let mut books = self.lock();
            books.take(lane, burst);
            if !burst.is_empty() {
                return true;
            }
            if books.closed && books.queues[lane].is_empty() {
                drop(books);
                self.see_to(grace, None);
                return false;
            }
            let until = *until.get_or_insert_with(|| Instant::now() + spin);
            let mut now = Instant::now();
            if now < until || grace.is_running() {
                drop(books);
                while self.news.load(Relaxed) == seen && now < until {
                    self.see_to(grace, Some(now));
                    (0..16).for_each(|_| hint::spin_loop());
                    now = Instant::now();
                }
                self.see_to(grace, Some(now).filter(|&now| now < until));
                continue;
            }
            books.asleep[lane] = true;
            while books.asleep[lane] {
                books = self.work[lane].wait(books).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Whether there is something to reap.
    pub(super) fn has_reports(&self) -> bool {
        self.told.load(Relaxed)
    }

    pub(super) fn reap(&self, events: &mut Vec<Event>, timeout: Duration) {
        if timeout.is_zero() && !self.told.load(Relaxed) {
            return;
        }
        let mut books = self.lock();
        if books.events.is_empty() && !timeout.is_zero() && !books.woken {
            books.awaited = true;
            books = self.reported.wait_timeout(books, timeout).unwrap_or_else(PoisonError::into_inner).0;
            books.awaited = false;
        }
        books.woken = false;
        self.told.store(false, Relaxed);
        if events.is_empty() {
            // The two lists change places, and neither is allocated again.
            std::mem::swap(events, &mut books.events);
        } else {
            events.append(&mut books.events);
        }
    }

    pub(super) fn wake(&self) {
        let mut books = self.lock();
        books.woken = true;
        if books.awaited {
            self.reported.notify_all();
        }
    }

    /// The lanes end when their queues are empty.
    pub(super) fn close(&self) {
        let mut books = self.lock();
        books.closed = true;
        let sleepers = std::mem::take(&mut books.asleep);
        drop(books);
        self.rouse(sleepers);
    }
}

impl fmt::Debug for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lanes").field("run", &self.run).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
