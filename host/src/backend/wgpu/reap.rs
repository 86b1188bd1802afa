//! Submissions into events.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use wgpu::SubmissionIndex;

use super::{
    gpu::Gpu,
    lock,
    readback::{Arrival, Piece, Readbacks},
};
use crate::{
    backend::{Done, Event, Path, Token},
    error::FailureKind,
};

/// How long one wait for the driver may take. It ends by itself when the oldest submission does.
const WAIT: Duration = Duration::from_millis(100);
/// How long the driver may take to map what it has copied before it is asked again.
const MAPPING: Duration = Duration::from_micros(200);

fn why(path: Path, form: Option<&str>) -> Option<&'static str> {
    match path {
        Path::Staged => Some("wgpu reaches its own mapped memory only"),
        Path::Device if form.is_some() => Some("what it reads of a buffer that it writes was copied aside"),
        _ => None,
    }
}

/// A submission on its way.
#[derive(Debug)]
pub(super) struct Flight {
    /// None where nothing had to be submitted.
    pub(super) index: Option<SubmissionIndex>,
    pub(super) pieces: Vec<Piece>,
    pub(super) ends: Vec<End>,
    pub(super) submitted: Instant,
    pub(super) readbacks: Arc<Readbacks>,
}

impl Flight {
    /// There is nothing to copy to the host when it has landed.
    fn is_bare(&self) -> bool {
        self.pieces.is_empty()
    }
}

/// A command whose last step is in a submission.
#[derive(Debug)]
pub(super) struct End {
    pub(super) token: Token,
    pub(super) result: Result<(), FailureKind>,
    pub(super) path: Path,
    pub(super) form: Option<&'static str>,
    /// It moves little, and travels with what moves much.
    pub(super) came_along: bool,
}

#[derive(Debug)]
pub(super) struct Reaper {
    gpu: Arc<Gpu>,
    sky: Mutex<Sky>,
    landed: Condvar,
    /// Downloads of which a piece could not be read.
    failed: Mutex<HashMap<Token, FailureKind>>,
    told_of_loss: AtomicBool,
}

/// Who takes landed submissions in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// The submitting thread.
    Submits,
    /// The reaping thread.
    Reaps,
}

/// Submissions on their way, oldest first. Whoever sees the oldest landed takes it. What was in them is reported in
/// their order, as a failure must be known before what reads its data is said to have gone well.
#[derive(Debug, Default)]
struct Sky {
    /// Who has taken some, of which not all is reported yet: the other one takes none meanwhile.
    taken: Option<Who>,
    flights: VecDeque<Flight>,
    /// How many have landed, which is the number of the oldest.
    landed: u64,
    /// When the last one did.
    last: Option<Instant>,
}

impl Reaper {
    pub(super) fn new(gpu: Arc<Gpu>) -> Self {
        Self {
            gpu,
            sky: Mutex::default(),
            landed: Condvar::new(),
            failed: Mutex::default(),
            told_of_loss: AtomicBool::new(false),
        }
    }

    /// Submissions on their way.
    pub(super) fn flights(&self) -> usize {
        lock(&self.sky).flights.len()
    }

    pub(super) fn launch(&self, flight: Flight) {
        lock(&self.sky).flights.push_back(flight);
        self.gpu.signal.wake();
    }

    /// Waits until at most so many submissions are on their way, or `timeout` has passed.
    pub(super) fn wait_for_room(&self, most: usize, timeout: Duration) {
        let sky = lock(&self.sky);
        let waited = self.landed.wait_timeout_while(sky, timeout, |sky| sky.flights.len() > most);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn reap(&self, events: &mut Vec<Event>, timeout: Duration) {
        self.reported(Who::Reaps);
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(cause) = self.gpu.signal.lost() {
                if !self.told_of_loss.swap(true, Relaxed) {
                    events.push(Event::Lost(cause));
                } else {
                    self.gpu.signal.wait_until(deadline);
                }
                return;
            }
            let next = self.oldest(|flight| flight.index.clone());
            let left = deadline.saturating_duration_since(Instant::now());
            let landed = match next {
                None if events.is_empty() && self.gpu.signal.wait_until(deadline) => {
                    // News: a submission, or a call to stop waiting. The queue tells which.
                    if self.flights() == 0 {
                        return;
                    }
                    continue;
                }
                None => return,
                Some((number, None)) => Some(number),
                // A look without waiting would cost what handling the events costs: let them be handled.
                Some((_, Some(_))) if !events.is_empty() => return,
                Some((number, Some(index))) => self.gpu.finished(&index, WAIT.min(left)).then_some(number),
            };
            if landed.is_some() && self.gpu.signal.lost().is_some() {
                // A device that is gone takes submissions and says that they are over.
                continue;
            }
            match landed {
                Some(number) => {
                    self.land(number, Who::Reaps, events);
                    if events.is_empty() {
                        self.reported(Who::Reaps);
                    }
                }
                None if left.is_zero() => return,
                None => {}
            }
        }
    }

    /// Reports what is over, on the submitting thread, as far as that takes no waiting. It says when the events are
    /// [reported](Self::reported).
    pub(super) fn look(&self, events: &mut Vec<Event>) {
        while self.gpu.signal.lost().is_none()
            && let Some((number, Some(index))) = self.oldest(|flight| flight.index.clone().filter(|_| flight.is_bare()))
            && self.gpu.is_over(&index)
            && self.gpu.signal.lost().is_none()
            && self.land(number, Who::Submits, events)
        {}
    }

    /// What this thread has taken in is known to whoever drives the queues.
    pub(super) fn reported(&self, who: Who) {
        let mut sky = lock(&self.sky);
        if sky.taken == Some(who) {
            sky.taken = None;
            drop(sky);
            self.landed.notify_all();
        }
    }

    /// The number of the oldest submission on its way, and something of it.
    fn oldest<T>(&self, of: impl FnOnce(&Flight) -> T) -> Option<(u64, T)> {
        let sky = lock(&self.sky);
        sky.flights.front().map(|flight| (sky.landed, of(flight)))
    }

    /// The end of a submission: copies results out, then reports. Answers whether it has: not where the other thread
    /// was first, for which the reaping one waits.
    fn land(&self, number: u64, who: Who, events: &mut Vec<Event>) -> bool {
        let mut sky = lock(&self.sky);
        while who == Who::Reaps && sky.taken == Some(Who::Submits) && self.gpu.signal.lost().is_none() {
            sky = self.landed.wait_timeout(sky, MAPPING).unwrap_or_else(PoisonError::into_inner).0;
        }
        if sky.landed != number || sky.taken.is_some_and(|taken| taken != who) {
            return false;
        }
        sky.taken = Some(who);
        let flight = sky.flights.pop_front().expect("the oldest of this number is there until it is taken");
        sky.landed += 1;
        // One submission runs after the other.
        let last = sky.last.replace(Instant::now());
        drop(sky);
        self.landed.notify_all();
        let Flight { pieces, ends, submitted, readbacks, .. } = flight;
        let started = last.map_or(submitted, |last| last.max(submitted));
        for piece in pieces {
            let token = piece.token;
            if !self.arrive(piece, &readbacks) {
                if self.gpu.signal.lost().is_some() {
                    return true;
                }
                let failure = FailureKind::Backend("the driver could not map what it had copied".into());
                lock(&self.failed).insert(token, failure);
            }
        }
        let (finished, all) = (Instant::now(), ends.len() as u32);
        // What came along takes next to none of the time.
        let others = all - ends.iter().filter(|end| end.came_along).count() as u32;
        events.extend(ends.into_iter().map(|end| {
            let torn = lock(&self.failed).remove(&end.token);
            let result = torn.map_or(end.result, Err);
            Event::Done(Done {
                token: end.token,
                result,
                started: Some(started),
                finished,
                device_seconds: None,
                path: end.path,
                why: why(end.path, end.form),
                together: if end.came_along { all } else { others },
                form: end.form,
            })
        }));
        true
    }

    /// Waits until a piece whose copy is over is mapped, which takes one more call to the driver.
    fn arrive(&self, piece: Piece, readbacks: &Readbacks) -> bool {
        loop {
            match piece.arrival() {
                Arrival::Here => return readbacks.deliver(piece),
                Arrival::Never => {
                    readbacks.give_up(piece, false);
                    return false;
                }
                Arrival::NotYet if self.gpu.signal.lost().is_some() => return false,
                Arrival::NotYet => {
                    self.gpu.poll();
                    if piece.arrival() == Arrival::NotYet {
                        self.gpu.signal.wait_until(Instant::now() + MAPPING);
                    }
                }
            }
        }
    }
}
