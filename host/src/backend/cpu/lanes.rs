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
use crate::backend::{Command, Event, Op, Ring, Source, Token};

/// Bytes of a command that is done at once, and of all that one submission does so.
const SMALL_BYTES: u64 = 4 << 10;
const AT_ONCE_BYTES: u64 = 16 << 10;
/// Commands that a lane takes at a time.
const BURST: usize = 16;

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

#[derive(Default)]
struct Books {
    queues: [VecDeque<Command>; 3],
    /// Commands of the lane that are submitted and unfinished.
    unfinished: [u32; 3],
    /// The same by slot: the generation of the command that is.
    running: Vec<Option<u32>>,
    events: Vec<Event>,
    asleep: [bool; 3],
    /// Somebody waits for a report.
    awaited: bool,
    woken: bool,
    closed: bool,
}

impl Books {
    fn is_over(&self, token: Token) -> bool {
        self.running.get(token.index as usize) != Some(&Some(token.generation))
    }

    fn may_start(&self, command: &Command) -> bool {
        command.after.iter().all(|token| self.is_over(token))
    }

    fn begin(&mut self, command: &Command) {
        let slot = command.token.index as usize;
        if self.running.len() <= slot {
            self.running.resize(slot + 1, None);
        }
        self.running[slot] = Some(command.token.generation);
        self.unfinished[command.lane as usize] += 1;
    }

    /// Takes the lane's next commands, as far as they may start.
    fn take(&mut self, lane: usize, burst: &mut VecDeque<Command>) {
        while burst.len() < BURST && self.queues[lane].front().is_some_and(|command| self.may_start(command)) {
            burst.extend(self.queues[lane].pop_front());
        }
    }

    /// The lanes that sleep and have something to do: they are woken. One whose first command comes after
    /// another's waits for the report of that.
    fn sleepers(&mut self) -> [bool; 3] {
        std::array::from_fn(|lane| {
            let wakes = self.asleep[lane] && self.queues[lane].front().is_some_and(|first| self.may_start(first));
            self.asleep[lane] &= !wakes;
            wakes
        })
    }

    /// Does small commands that other lanes have not taken and that may start now, as a command that they were
    /// to come after has ended: to wake their threads would cost more.
    fn finish_small(
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
fn small(op: &Op, memories: &Memories) -> Option<u64> {
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
        let (mut brief, mut grace) = (Brief::default(), Grace::default());
        let (mut burst, mut ended) = (VecDeque::with_capacity(BURST), Vec::with_capacity(BURST));
        while self.take(lane, &mut burst, &mut grace) {
            let mut now = Instant::now();
            let mut told = now;
            while let Some(mut command) = burst.pop_front() {
                // What was taken while others were reported may be younger than the end of those.
                now = now.max(command.given);
                if small(&command.op, memories).is_none() && !brief.knows(&command.op) {
                    // What is over is told of before anything begins that may take long.
                    self.report(lane, &mut burst, &mut ended, &mut grace, now, memories, &execute);
                    self.see_to(&mut grace, None);
                    told = now;
                }
                let (token, what) = (command.token, brief.key(&command.op));
                let event = execute(&mut command, now, &Instant::now);
                if let Event::Done(done) = &event {
                    brief.learn(what, done.finished.saturating_duration_since(now));
                    // The next begins where this one ends: to read the clock again would cost as much.
                    now = done.finished;
                }
                ended.push((token, event));
                if burst.is_empty() || now.saturating_duration_since(told) > MOMENT {
                    self.report(lane, &mut burst, &mut ended, &mut grace, now, memories, &execute);
                    self.see_to(&mut grace, Some(now));
                    told = now;
                }
            }
        }
    }

    /// Writes the ends of commands into the books, and takes the next ones.
    fn report(
        &self,
        lane: usize,
        burst: &mut VecDeque<Command>,
        ended: &mut Vec<(Token, Event)>,
        grace: &mut Grace,
        now: Instant,
        memories: &Memories,
        execute: impl Fn(&mut Command, Instant, &dyn Fn() -> Instant) -> Event,
    ) {
        if ended.is_empty() {
            return;
        }
        let mut books = self.lock();
        books.unfinished[lane] -= ended.len() as u32;
        for (token, event) in ended.drain(..) {
            books.running[token.index as usize] = None;
            books.events.push(event);
        }
        books.finish_small(memories, execute);
        books.take(lane, burst);
        self.told.store(true, Relaxed);
        // Another lane's next command may have waited for one of these.
        let sleepers = books.sleepers();
        drop(books);
        grace.begin(now);
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
    fn take(&self, lane: usize, burst: &mut VecDeque<Command>, grace: &mut Grace) -> bool {
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
