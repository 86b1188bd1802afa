//! One opened device: its errors as values, its loss as a fact.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{
            AtomicBool,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::{Duration, Instant},
};

use wgpu::{ErrorFilter, PollError, PollType, SubmissionIndex};

use super::{adapter, lock};
use crate::error::{BackendKind, Error, FailureKind, Result, Shortage};

/// A driver call that failed.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// The driver's words, and the bytes asked for, where that is known.
    OutOfMemory(Arc<str>, Option<u64>),
    Failed(Arc<str>),
}

impl Fault {
    pub(super) fn message(&self) -> &Arc<str> {
        let (Self::OutOfMemory(message, _) | Self::Failed(message)) = self;
        message
    }

    pub(super) fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::OutOfMemory(..))
    }

    /// The same, of a call that asked for so many bytes.
    pub(super) fn asking(self, bytes: u64) -> Self {
        match self {
            Self::OutOfMemory(message, _) => Self::OutOfMemory(message, Some(bytes)),
            other => other,
        }
    }

    pub(super) fn error(&self, op: &'static str, requested_bytes: u64) -> Error {
        match self {
            Self::OutOfMemory(..) => Error::OutOfMemory {
                device: "wgpu".into(),
                requested_bytes,
                in_use_bytes: 0,
                limit_bytes: None,
                evicted_bytes: None,
            },
            Self::Failed(message) => Error::device(BackendKind::Wgpu, op, message),
        }
    }
}

impl From<Fault> for FailureKind {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::OutOfMemory(message, bytes) => Self::OutOfMemory(Shortage::new(message, bytes)),
            Fault::Failed(message) => Self::Backend(message),
        }
    }
}

impl From<wgpu::Error> for Fault {
    fn from(error: wgpu::Error) -> Self {
        let text = one_line(&error.to_string());
        match error {
            wgpu::Error::OutOfMemory { .. } => Self::OutOfMemory("the driver has no more".into(), None),
            wgpu::Error::Validation { .. } | wgpu::Error::Internal { .. } => Self::Failed(text.into()),
        }
    }
}

/// Why a device was lost. The driver may have no words for it.
fn cause(reason: wgpu::DeviceLostReason, message: &str) -> String {
    let words = one_line(message);
    let colon = if words.is_empty() { "" } else { ": " };
    format!("{reason:?}{colon}{words}")
}

/// wgpu's tree of causes on one line.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
    lines.filter(|l| !matches!(*l, "Validation Error" | "Caused by:")).collect::<Vec<_>>().join(": ")
}

/// What the reaping thread is told by others.
#[derive(Debug, Default)]
pub(super) struct Signal {
    state: Mutex<Told>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Told {
    news: bool,
    lost: Option<Arc<str>>,
}

impl Signal {
    /// There is something new.
    pub(super) fn wake(&self) {
        lock(&self.state).news = true;
        self.changed.notify_all();
    }

    pub(super) fn lose(&self, cause: &str) {
        let mut told = lock(&self.state);
        told.lost.get_or_insert_with(|| cause.into());
        told.news = true;
        drop(told);
        self.changed.notify_all();
    }

    /// Why the device is gone, if it is.
    pub(super) fn lost(&self) -> Option<Arc<str>> {
        lock(&self.state).lost.clone()
    }

    /// Waits for news until `deadline`; says whether there is some.
    pub(super) fn wait_until(&self, deadline: Instant) -> bool {
        let mut told = lock(&self.state);
        while !told.news {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.changed.wait_timeout(told, left);
            told = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
        told.news = false;
        true
    }
}

/// The device, its queue, and what it says of itself.
#[derive(Debug)]
pub(super) struct Gpu {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) signal: Arc<Signal>,
    closing: Arc<AtomicBool>,
    /// Held by the thread that looks at the queue: one that submits, or one that waits. wgpu 30 panics
    /// where another thread clears the queue between the end of a wait and its look at the queue.
    ///
    /// Waits are short and give way, so that a submission waits for at most `LONGEST_WAIT`, and only
    /// while the device has work; a wait ends by itself when that work does.
    turn: Mutex<()>,
    /// A submission waits for its turn.
    wanted: AtomicBool,
}

/// How long one wait for the driver may take, at first and at most, and the part of the time waited before that it
/// may take in between: so much later than without a wait a submission comes, which may be a small and urgent one.
const SHORTEST_WAIT: Duration = Duration::from_micros(50);
const LONGEST_WAIT: Duration = Duration::from_millis(1);
const PART_OF_WAIT: u32 = 8;

impl Gpu {
    pub(super) fn open(adapter: &wgpu::Adapter, id: &str) -> Result<Self> {
        let descriptor = wgpu::DeviceDescriptor {
            label: Some(id),
            required_features: adapter::features(adapter),
            required_limits: adapter.limits(),
            memory_hints: wgpu::MemoryHints::Performance,
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))
            .map_err(|e| Error::device(BackendKind::Wgpu, "open device", e))?;
        let (signal, closing) = (Arc::new(Signal::default()), Arc::new(AtomicBool::new(false)));
        let told = signal.clone();
        let ends = closing.clone();
        device.set_device_lost_callback(move |reason, message| {
            if !ends.load(Relaxed) {
                told.lose(&cause(reason, &message));
            }
        });
        // Calls that can fail are made inside `guard`, which takes their errors. What still comes here
        // was raised by a callback of the driver, and belongs to no command: the commands that suffer
        // from it fail by themselves.
        device.on_uncaptured_error(Arc::new(drop));
        Ok(Self { device, queue, signal, closing, turn: Mutex::default(), wanted: AtomicBool::new(false) })
    }

    /// Runs driver calls on this thread. Gives the first error that they raised; wgpu's panics too.
    pub(super) fn guard<T>(&self, calls: impl FnOnce() -> T) -> std::result::Result<T, Fault> {
        let internal = self.device.push_error_scope(ErrorFilter::Internal);
        let validation = self.device.push_error_scope(ErrorFilter::Validation);
        let memory = self.device.push_error_scope(ErrorFilter::OutOfMemory);
        let outcome = catch_unwind(AssertUnwindSafe(calls));
        let errors = [taken(memory.pop()), taken(validation.pop()), taken(internal.pop())];
        match (outcome, errors.into_iter().flatten().next()) {
            (_, Some(error)) => Err(error.into()),
            (Ok(value), None) => Ok(value),
            (Err(panic), None) => Err(Fault::Failed(words(&*panic).into())),
        }
    }

    /// The same for calls that ask for so many bytes: they are tried again where they find no memory and
    /// `let_go` gives some back.
    pub(super) fn guard_memory<T>(
        &self,
        bytes: u64,
        let_go: impl FnOnce() -> u64,
        calls: impl Fn() -> T,
    ) -> std::result::Result<T, Fault> {
        let made = match self.guard(&calls) {
            Err(fault) if fault.is_out_of_memory() && let_go() > 0 => self.guard(&calls),
            other => other,
        };
        made.map_err(|fault| fault.asking(bytes))
    }

    /// Submits. See [`Gpu::turn`].
    pub(super) fn submit(&self, commands: wgpu::CommandBuffer) -> SubmissionIndex {
        self.wanted.store(true, Release);
        let turn = lock(&self.turn);
        self.wanted.store(false, Release);
        let index = self.queue.submit([commands]);
        drop(turn);
        index
    }

    /// Whether the device is lost, as it says by now: calls on a lost device fail, and no error scope says why.
    pub(super) fn is_lost(&self) -> bool {
        if self.signal.lost().is_none() {
            self.wanted.store(true, Release);
            let turn = lock(&self.turn);
            self.wanted.store(false, Release);
            self.call_back(turn);
        }
        self.signal.lost().is_some()
    }

    /// Whether the submission is over; waits for about `timeout` at most. Runs the driver's callbacks.
    pub(super) fn finished(&self, index: &SubmissionIndex, timeout: Duration) -> bool {
        let began = Instant::now();
        let mut slice = SHORTEST_WAIT;
        loop {
            while self.wanted.load(Acquire) {
                std::thread::yield_now();
            }
            let turn = lock(&self.turn);
            let wait = PollType::Wait { submission_index: Some(index.clone()), timeout: Some(slice) };
            let outcome = catch_unwind(AssertUnwindSafe(|| self.device.poll(wait)));
            drop(turn);
            let cause = match outcome {
                Ok(Ok(_)) => return true,
                Ok(Err(PollError::Timeout)) => {
                    let waited = began.elapsed();
                    if waited >= timeout {
                        return false;
                    }
                    slice = (waited / PART_OF_WAIT).clamp(SHORTEST_WAIT, LONGEST_WAIT);
                    continue;
                }
                Ok(Err(error)) => error.to_string(),
                Err(panic) => words(&*panic),
            };
            self.signal.lose(&cause);
            return false;
        }
    }

    /// Whether the submission is over, as far as can be told without waiting. Runs the driver's callbacks.
    pub(super) fn is_over(&self, index: &SubmissionIndex) -> bool {
        let Ok(turn) = self.turn.try_lock() else { return false };
        let look = PollType::Wait { submission_index: Some(index.clone()), timeout: Some(Duration::ZERO) };
        let outcome = catch_unwind(AssertUnwindSafe(|| self.device.poll(look)));
        drop(turn);
        match outcome {
            Ok(over) => over.is_ok(),
            Err(panic) => {
                self.signal.lose(&words(&*panic));
                false
            }
        }
    }

    /// Runs the driver's callbacks that are due, unless another thread is at it. Not on a lost device:
    /// wgpu would free what is mapped, and somebody may be writing there.
    pub(super) fn poll(&self) {
        if self.signal.lost().is_some() {
            return;
        }
        if let Ok(turn) = self.turn.try_lock() {
            self.call_back(turn);
        }
    }

    /// Runs the driver's callbacks that are due, in this thread's turn.
    fn call_back(&self, turn: MutexGuard<'_, ()>) {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.device.poll(PollType::Poll)));
        drop(turn);
        if let Err(panic) = outcome {
            self.signal.lose(&words(&*panic));
        }
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        self.closing.store(true, Relaxed);
    }
}

/// What a future holds that the native backends make ready.
fn taken<T>(future: impl Future<Output = Option<T>>) -> Option<T> {
    pollster::block_on(future)
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    one_line(text.unwrap_or("the driver's interface panicked"))
}
