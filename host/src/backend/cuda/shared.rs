//! What the lanes' threads, the submitter and the reaper of one device share.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use rayon::ThreadPool;

use super::api::{Context, Failure};
use super::staging::Blocks;
use super::stream::{Mark, Marks};
use crate::backend::{Done, Event, HostBlock, Lane, Path, Recorded, Token};
use crate::error::{FailureKind, Shortage};

/// Locks; a thread that panicked while it held the lock left nothing half-done in these.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What one command has come to, for its own lane and for commands of others that wait for it.
#[derive(Debug, Default)]
pub(super) struct Issue {
    state: Mutex<Issued>,
    changed: Condvar,
    /// The host has nothing to do with it any more: a download's bytes, for one, have left staging.
    landed: AtomicBool,
    /// Its end was given to the reaper's caller.
    reported: AtomicBool,
}

#[derive(Debug, Default)]
enum Issued {
    #[default]
    Pending,
    /// In its stream, before this mark.
    At(Arc<Mark>),
    /// It never got there, or is over.
    Over,
}

impl Issue {
    pub(super) fn settle(&self, mark: Option<Arc<Mark>>) {
        *lock(&self.state) = mark.map_or(Issued::Over, Issued::At);
        self.changed.notify_all();
    }

    /// Waits until the command is in its stream: a mark can be waited for only once it is recorded.
    /// `None` where there is nothing to wait for.
    pub(super) fn mark(&self) -> Option<Arc<Mark>> {
        let pending = |issued: &mut Issued| matches!(issued, Issued::Pending);
        let state = self.changed.wait_while(lock(&self.state), pending);
        match &*state.unwrap_or_else(PoisonError::into_inner) {
            Issued::At(mark) => Some(Arc::clone(mark)),
            Issued::Pending | Issued::Over => None,
        }
    }

    pub(super) fn land(&self) {
        self.landed.store(true, Ordering::Release);
    }

    fn has_landed(&self) -> bool {
        self.landed.load(Ordering::Acquire)
    }

    fn is_reported(&self) -> bool {
        self.reported.load(Ordering::Relaxed)
    }
}

/// A command in its stream, or one that did not get there: lanes report in order, failures too.
#[derive(Debug)]
pub(super) struct InStream {
    pub(super) token: Token,
    pub(super) issue: Arc<Issue>,
    /// Commands of other lanes whose ends are reported before this one's.
    pub(super) after: Vec<Arc<Issue>>,
    pub(super) outcome: Result<(Arc<Mark>, Arc<Mark>), FailureKind>,
    pub(super) started: Instant,
    pub(super) path: Path,
    pub(super) form: Option<&'static str>,
    /// The producer's block, which the engine reads until then.
    pub(super) block: Option<HostBlock>,
    /// The graph that is replayed: its executable stays as long as this.
    #[expect(dead_code, reason = "kept for its drop")]
    pub(super) graph: Option<Arc<Recorded>>,
    /// Commands that have the same two marks.
    pub(super) of: u32,
}

/// The lane's place among the lanes.
pub(super) const fn index(lane: Lane) -> usize {
    match lane {
        Lane::Upload => 0,
        Lane::Compute => 1,
        Lane::Download => 2,
    }
}

/// Everything that is not bound to one lane.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) context: Arc<Context>,
    pub(super) marks: Arc<Marks>,
    pub(super) blocks: Blocks,
    /// Threads that copy between pageable and page-locked memory.
    pub(super) copiers: ThreadPool,
    /// Commands that are not over, so that others can wait for them.
    pub(super) issues: Mutex<HashMap<Token, Arc<Issue>>>,
    inbox: Mutex<Inbox>,
    arrived: Condvar,
    /// Why the device is lost. Held for reading while a host span is touched, so that none is once
    /// the loss was reported.
    lost: RwLock<Option<Arc<str>>>,
}

#[derive(Debug, Default)]
struct Inbox {
    /// Why the device is lost, until that is reported.
    lost: Option<Arc<str>>,
    /// What is in the streams, by lane and in order.
    in_streams: [VecDeque<InStream>; 3],
    woken: bool,
}

impl Shared {
    pub(super) fn new(context: Arc<Context>, copiers: ThreadPool) -> Self {
        Self {
            marks: Marks::new(Arc::clone(&context)),
            blocks: Blocks::new(Arc::clone(&context)),
            context,
            copiers,
            issues: Mutex::default(),
            inbox: Mutex::default(),
            arrived: Condvar::new(),
            lost: RwLock::new(None),
        }
    }

    /// A mark that the caller records next.
    pub(super) fn mark(&self) -> Result<Mark, Failure> {
        self.marks.take()
    }

    /// Loses the device. What is on its way stays unresolved, as the contract has it.
    pub(super) fn lose(&self, why: &Failure) {
        if let Some(text) = self.declare_lost(why) {
            lock(&self.inbox).lost = Some(text);
            self.arrived.notify_one();
        }
    }

    /// Waits until no host span is being touched; from then on none is. Answers the first time.
    fn declare_lost(&self, why: &Failure) -> Option<Arc<str>> {
        let mut lost = self.lost.write().unwrap_or_else(PoisonError::into_inner);
        if lost.is_some() {
            return None;
        }
        let text: Arc<str> = format!("{}: {why}", why.op()).into();
        *lost = Some(Arc::clone(&text));
        Some(text)
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Leave to touch host spans: while the answer is held the device is not declared lost. `None`
    /// once it is, for then the spans are their owners' again.
    pub(super) fn touch_spans(&self) -> Option<RwLockReadGuard<'_, Option<Arc<str>>>> {
        let lost = self.lost.read().unwrap_or_else(PoisonError::into_inner);
        lost.is_none().then_some(lost)
    }

    /// `dma` has given the device up, and knows: nothing more is given to the streams, and no host span is
    /// touched from here on.
    pub(super) fn give_up(&self, cause: &str) {
        let mut lost = self.lost.write().unwrap_or_else(PoisonError::into_inner);
        lost.get_or_insert_with(|| cause.into());
    }

    /// What a refused call means for its command, which needed so many bytes at most; a sticky error also
    /// loses the device. The context is current.
    pub(super) fn judge(&self, failure: Failure, bytes: u64) -> FailureKind {
        let text: Arc<str> = format!("{}: {failure}", failure.op()).into();
        if failure.loses_device() {
            self.lose(&failure);
            FailureKind::DeviceLost(text)
        } else if failure.is_out_of_memory() {
            let memory = self.context.memory().ok();
            FailureKind::OutOfMemory(Shortage {
                in_use_bytes: memory.map(|(free, total)| total - free),
                limit_bytes: memory.map(|(_, total)| total),
                ..Shortage::new(text, Some(bytes))
            })
        } else {
            FailureKind::Backend(text)
        }
    }

    /// A command is in its stream; the reaper finds out when it is over.
    pub(super) fn watch(&self, lane: Lane, command: InStream) {
        lock(&self.inbox).in_streams[index(lane)].push_back(command);
        self.arrived.notify_one();
    }

    /// The host is done with a download.
    pub(super) fn land(&self, issue: &Issue) {
        issue.land();
        // Under the lock, so that a reaper which has just looked does not sleep on.
        drop(lock(&self.inbox));
        self.arrived.notify_one();
    }

    pub(super) fn wake(&self) {
        lock(&self.inbox).woken = true;
        self.arrived.notify_one();
    }

    /// Moves what is over into `events`; waits for at most `timeout` where nothing is.
    pub(super) fn reap(&self, events: &mut Vec<Event>, timeout: Duration) {
        /// A completion is often this near; sleeping costs more.
        const SPIN: Duration = Duration::from_micros(20);
        /// Marks do not call: the reaper sleeps an eighth of what it has waited, within these bounds, so
        /// that it sees the end of long work late by an eighth at most.
        const PAUSES: (Duration, Duration) = (Duration::from_micros(20), Duration::from_micros(500));

        let begin = Instant::now();
        let entered = self.context.enter().inspect_err(|failure| self.lose(failure));
        loop {
            let mut inbox = lock(&self.inbox);
            let watching = entered.is_ok() && self.collect(&mut inbox, events);
            events.extend(inbox.lost.take().map(Event::Lost));
            let waited = begin.elapsed();
            if !events.is_empty() || std::mem::take(&mut inbox.woken) || waited >= timeout {
                return;
            }
            if watching && waited < SPIN {
                drop(inbox);
                std::thread::yield_now();
                continue;
            }
            let left = timeout - waited;
            let pause = (waited / 8).clamp(PAUSES.0, PAUSES.1);
            let sleep = if watching { pause.min(left) } else { left };
            drop(self.arrived.wait_timeout(inbox, sleep));
        }
    }

    /// Reports what is over, each lane in order. Answers whether a mark is still to be looked at.
    fn collect(&self, inbox: &mut Inbox, events: &mut Vec<Event>) -> bool {
        let mut watching = false;
        let mut again = true;
        // What one lane has reported may let another report.
        while std::mem::take(&mut again) {
            watching = false;
            for lane in 0..inbox.in_streams.len() {
                while let Some(oldest) = inbox.in_streams[lane].front() {
                    match oldest.is_over() {
                        Ok(true) if oldest.after.iter().all(|issue| issue.is_reported()) => {}
                        Ok(_) => {
                            // A download that has not landed is announced.
                            watching |= oldest.issue.has_landed();
                            break;
                        }
                        Err(failure) => {
                            inbox.in_streams[lane].clear();
                            inbox.lost = self.declare_lost(&failure).or(inbox.lost.take());
                            return false;
                        }
                    }
                    let command = inbox.in_streams[lane].pop_front().expect("looked at above");
                    events.push(Event::Done(self.finish(command)));
                    again = true;
                }
            }
        }
        watching
    }

    /// The report of a command that is over.
    fn finish(&self, command: InStream) -> Done {
        if let Some(block) = command.block {
            self.blocks.give_back(block);
        }
        command.issue.reported.store(true, Ordering::Relaxed);
        command.issue.settle(None);
        lock(&self.issues).remove(&command.token);
        // What several took together is nobody's own time.
        let own = command.outcome.as_ref().ok().filter(|_| command.of == 1);
        let device_seconds = own.and_then(|(start, end)| end.seconds_since(start));
        Done {
            token: command.token,
            result: command.outcome.map(drop),
            started: Some(command.started),
            finished: Instant::now(),
            device_seconds,
            path: command.path,
            why: (command.path == Path::Staged).then_some("the host memory is not page-locked"),
            together: command.of,
            form: command.form,
        }
    }
}

impl InStream {
    /// Whether it failed, or the device is done with it and its bytes are where they belong.
    fn is_over(&self) -> Result<bool, Failure> {
        match &self.outcome {
            Ok((_, end)) => Ok(self.issue.has_landed() && end.is_reached()?),
            Err(_) => Ok(self.issue.has_landed()),
        }
    }
}
