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

/// A command whose last step is in a submission.
#[derive(Debug)]
pub(super) struct End {
    pub(super) token: Token,
    pub(super) result: Result<(), FailureKind>,
    pub(super) path: Path,
    pub(super) form: Option<&'static str>,
}

#[derive(Debug)]
pub(super) struct Reaper {
    gpu: Arc<Gpu>,
    flights: Mutex<VecDeque<Flight>>,
    landed: Condvar,
    /// Downloads of which a piece could not be read.
    failed: Mutex<HashMap<Token, FailureKind>>,
    told_of_loss: AtomicBool,
    /// When the last submission was over.
    last: Mutex<Option<Instant>>,
}

impl Reaper {
    pub(super) fn new(gpu: Arc<Gpu>) -> Self {
        Self {
            gpu,
            flights: Mutex::default(),
            landed: Condvar::new(),
            failed: Mutex::default(),
            told_of_loss: AtomicBool::new(false),
            last: Mutex::default(),
        }
    }

    /// Submissions on their way.
    pub(super) fn flights(&self) -> usize {
        lock(&self.flights).len()
    }

    pub(super) fn launch(&self, flight: Flight) {
        lock(&self.flights).push_back(flight);
        self.gpu.signal.wake();
    }

    /// Waits until at most so many submissions are on their way, or `timeout` has passed.
    pub(super) fn wait_for_room(&self, most: usize, timeout: Duration) {
        let flights = lock(&self.flights);
        let waited = self.landed.wait_timeout_while(flights, timeout, |flights| flights.len() > most);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn reap(&self, events: &mut Vec<Event>, timeout: Duration) {
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
            let next = lock(&self.flights).front().map(|flight| flight.index.clone());
            let left = deadline.saturating_duration_since(Instant::now());
            let landed = match next {
                None if events.is_empty() && self.gpu.signal.wait_until(deadline) => {
                    // News: a submission, or a call to stop waiting. The queue tells which.
                    if lock(&self.flights).is_empty() {
                        return;
                    }
                    continue;
                }
                None => return,
                Some(None) => true,
                // A look without waiting would cost what handling the events costs: let them be handled.
                Some(Some(_)) if !events.is_empty() => return,
                Some(Some(index)) => self.gpu.finished(&index, WAIT.min(left)),
            };
            if landed && self.gpu.signal.lost().is_some() {
                // A device that is gone takes submissions and says that they are over.
                continue;
            }
            if landed {
                let flight = lock(&self.flights).pop_front().expect("only this thread takes flights");
                self.landed.notify_all();
                self.land(flight, events);
            } else if left.is_zero() {
                return;
            }
        }
    }

    /// The end of a submission: copies results out, then reports.
    fn land(&self, flight: Flight, events: &mut Vec<Event>) {
        let Flight { pieces, ends, submitted, readbacks, .. } = flight;
        // One submission runs after the other.
        let started = lock(&self.last).replace(Instant::now()).map_or(submitted, |last| last.max(submitted));
        for piece in pieces {
            let token = piece.token;
            if !self.arrive(piece, &readbacks) {
                if self.gpu.signal.lost().is_some() {
                    return;
                }
                let failure = FailureKind::Backend("the driver could not map what it had copied".into());
                lock(&self.failed).insert(token, failure);
            }
        }
        let (finished, together) = (Instant::now(), ends.len() as u32);
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
                together,
                form: end.form,
            })
        }));
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
