//! What became of a message: which way it took, and when.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use super::MessageId;
use crate::backend::{Done, Lane, Path};

/// The path and the times of one message.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Receipt {
    /// The message.
    pub id: MessageId,
    /// The user's number for it; 0 unless one was given.
    pub tag: u64,
    /// The device, e.g. `cpu` or `wgpu:0`.
    pub device: Arc<str>,
    /// The queue.
    pub queue: Arc<str>,
    /// The user's label, or the kernel's name where a launch has none.
    pub label: Option<Arc<str>>,
    /// What it did; `None` for a fence.
    pub lane: Option<Lane>,
    /// Which way the bytes took.
    pub path: Path,
    /// Why they took no better one, where the backend has something to say.
    pub why: Option<&'static str>,
    /// Which form of the kernel ran, for launches; on the CPU device also why, e.g. `simt jit: forced`.
    pub form: Option<&'static str>,
    /// Bytes that were moved; 0 for launches.
    pub bytes: u64,
    /// Commands that it was to the device: 1, or as many as it had chunks; 0 where it never came there.
    pub chunks: u32,
    /// How many were done together, it among them, where that is cheaper than one by one: small ones on the
    /// CPU device, those of one submission on wgpu. Of several chunks, the most.
    pub together: u32,
    /// When the queue accepted it.
    pub accepted: Instant,
    /// When it was given to the driver.
    pub submitted: Option<Instant>,
    /// When it started on the device, where the backend knows. Small messages that the CPU device does
    /// together share their start and their finish.
    pub started: Option<Instant>,
    /// When the backend saw it finished.
    pub finished: Option<Instant>,
    /// When its outcome was there for its owner.
    pub delivered: Option<Instant>,
    /// Seconds on the device's own clock, where it has one.
    pub device_seconds: Option<f64>,
}

/// What becomes of a message, written down as it happens: its receipt is made of this where somebody wants
/// one.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// The message's number.
    pub(super) id: u64,
    pub(super) accepted: Option<Instant>,
    pub(super) submitted: Option<Instant>,
    pub(super) started: Option<Instant>,
    pub(super) finished: Option<Instant>,
    pub(super) delivered: Option<Instant>,
    pub(super) device_seconds: Option<f64>,
    pub(super) path: Path,
    pub(super) why: Option<&'static str>,
    pub(super) form: Option<&'static str>,
    pub(super) chunks: u32,
    pub(super) together: u32,
}

impl Log {
    /// A queue accepts the message.
    pub(super) fn begin(&mut self, id: MessageId, now: Instant) {
        *self = Self { id: id.0, accepted: Some(now), ..Self::default() };
    }

    /// The driver is given it, or a chunk of it.
    pub(super) fn submit(&mut self, now: Instant) {
        if self.submitted.is_none() {
            // Asked before another sender was accepted, it may be earlier.
            self.submitted = Some(now).max(self.accepted);
        }
    }

    /// What the backend says of the message, or of one of its chunks.
    pub(super) fn add(&mut self, done: &Done) {
        self.started = self.started.or(done.started);
        self.finished = Some(done.finished);
        self.device_seconds = match (self.device_seconds, done.device_seconds) {
            (Some(before), Some(now)) => Some(before + now),
            (before, now) => before.or(now),
        };
        self.chunks += 1;
        self.together = self.together.max(done.together);
        self.path = done.path;
        self.why = done.why;
        self.form = done.form;
    }
}

impl Receipt {
    /// From start (where known, else submission) to finish.
    pub fn duration(&self) -> Option<Duration> {
        Some(self.finished?.saturating_duration_since(self.started.or(self.submitted)?))
    }

    /// Seconds that the work took: on the device's clock where it has one, else on the host's.
    pub fn seconds(&self) -> Option<f64> {
        self.device_seconds.or_else(|| Some(self.duration()?.as_secs_f64()))
    }

    /// Bytes moved per second, in units of 10^9; `None` where nothing was moved or no time passed.
    pub fn gbytes_per_s(&self) -> Option<f64> {
        let seconds = self.seconds().filter(|&s| s > 0.0 && self.bytes > 0)?;
        Some(self.bytes as f64 / seconds / 1e9)
    }

    /// From acceptance to delivery.
    pub fn latency(&self) -> Option<Duration> {
        Some(self.delivered?.saturating_duration_since(self.accepted))
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.device)?;
        if let Some(form) = self.form {
            write!(f, ", {form}")?;
        }
        if self.path != Path::None {
            write!(f, ", {} bytes {}", self.bytes, self.path)?;
            if let Some(why) = self.why {
                write!(f, " ({why})")?;
            }
        }
        if let Some(seconds) = self.seconds() {
            write!(f, ", {:.1} us", seconds * 1e6)?;
        }
        if let Some(rate) = self.gbytes_per_s() {
            write!(f, ", {rate:.2} GB/s")?;
        }
        Ok(())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "not moved",
            Self::Inline => "inline",
            Self::Pinned => "pinned",
            Self::Filled => "filled in place",
            Self::Staged => "staged",
            Self::Host => "copied by the host",
            Self::Direct => "direct",
            Self::Device => "on the device",
        })
    }
}
