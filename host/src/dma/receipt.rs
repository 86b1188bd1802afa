//! What became of a message: which way it took, and when.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    MessageId,
    behind::{Behind, Tally, Waited},
    label::Label,
};
use crate::backend::{Done, Lane, Path};

/// The path and the times of one message.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Receipt {
    /// The message.
    pub id: MessageId,
    /// The user's number for it; 0 unless one was given.
    pub tag: u64,
    pub(super) address: Arc<Address>,
    pub(super) label: Label,
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
    pub(super) waited: Waited,
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

/// The names of a device and of one of its queues: one text for all messages of that queue, as to count the
/// owners of two costs a message as much as all else that its receipt says.
#[derive(Debug)]
pub(crate) struct Address {
    pub(crate) device: Arc<str>,
    pub(crate) queue: Arc<str>,
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
    pub(super) waited: Waited,
}

impl Log {
    /// A queue accepts the message.
    pub(super) fn begin(&mut self, id: MessageId, now: Instant, waited: Waited) {
        *self = Self { id: id.0, accepted: Some(now), waited, ..Self::default() };
    }

    /// The driver is given it, or a chunk of it.
    pub(super) fn submit(&mut self, now: Instant) {
        if self.submitted.is_none() {
            // Asked before another sender was accepted, it may be earlier.
            self.submitted = Some(now).max(self.accepted);
        }
    }

    /// What the backend says of the message, or of one of its chunks, which is its lane's `own` tally of `all`.
    pub(super) fn add(&mut self, done: &Done, own: Tally, all: Tally) {
        self.waited.end(own, all);
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
    /// The device, e.g. `cpu` or `wgpu:0`.
    pub fn device(&self) -> &str {
        &self.address.device
    }

    /// The queue.
    pub fn queue(&self) -> &str {
        &self.address.queue
    }

    /// The user's label, or the kernel's name where a launch has none.
    pub fn label(&self) -> Option<&str> {
        self.label.as_str()
    }

    /// What its lane did for others between its acceptance and the end of its last command; nothing where it never
    /// came to the device.
    pub fn behind(&self) -> Behind {
        self.waited.behind()
    }

    /// From start (where known, else submission) to finish.
    pub fn duration(&self) -> Option<Duration> {
        Some(self.finished?.saturating_duration_since(self.started.or(self.submitted)?))
    }

    /// Seconds that the work took: on the device's clock where it has one, else on the host's.
    pub fn seconds(&self) -> Option<f64> {
        self.device_seconds.or_else(|| Some(self.duration()?.as_secs_f64()))
    }

    /// Whether its time is that of others, too: they were [done together](Receipt::together), and what each of
    /// them took is not known.
    pub fn shares_its_time(&self) -> bool {
        self.together > 1
    }

    /// Bytes copied per second, in units of 10^9; `None` where nothing [was copied](Path::is_copied), where the
    /// message [shared its time](Receipt::shares_its_time) with others, and where no time passed.
    pub fn gbytes_per_s(&self) -> Option<f64> {
        let is_own = self.path.is_copied() && self.bytes > 0 && !self.shares_its_time();
        let seconds = self.seconds().filter(|&s| is_own && s > 0.0)?;
        Some(self.bytes as f64 / seconds / 1e9)
    }

    /// From acceptance to delivery.
    pub fn latency(&self) -> Option<Duration> {
        Some(self.delivered?.saturating_duration_since(self.accepted))
    }
}

/// `cpu, 4096 bytes staged, 2.0 us, 2.05 GB/s`: the device, the form, the way of the bytes, the time and the rate,
/// what there is of them; `2.0 us as one of 4 together` where the time is not its own.
impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.device())?;
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
            if self.shares_its_time() {
                write!(f, " as one of {} together", self.together)?;
            }
        }
        if let Some(rate) = self.gbytes_per_s() {
            write!(f, ", {rate:.2} GB/s")?;
        }
        Ok(())
    }
}

impl Path {
    /// Whether the bytes were copied, so that there is a rate at which that was done. Where the block itself
    /// became the device's memory there is none, nor where nothing moved.
    pub fn is_copied(self) -> bool {
        !matches!(self, Self::None | Self::Direct)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Of 4096 bytes in two microseconds.
    fn receipt(path: Path, together: u32) -> Receipt {
        let accepted = Instant::now();
        Receipt {
            id: MessageId(7),
            tag: 0,
            address: Arc::new(Address { device: "cpu".into(), queue: "upload".into() }),
            label: Label::None,
            lane: Some(Lane::Upload),
            path,
            why: None,
            form: None,
            bytes: 4096,
            chunks: 1,
            together,
            waited: Waited::default(),
            accepted,
            submitted: Some(accepted),
            started: Some(accepted),
            finished: Some(accepted + Duration::from_micros(2)),
            delivered: Some(accepted + Duration::from_micros(3)),
            device_seconds: None,
        }
    }

    #[test]
    fn who_was_copied_alone_and_in_some_time_has_a_rate() {
        for path in [Path::Inline, Path::Pinned, Path::Filled, Path::Staged, Path::Host] {
            assert_eq!(receipt(path, 1).gbytes_per_s(), Some(2.048), "{path}");
            assert_eq!(receipt(path, 2).gbytes_per_s(), None, "{path}, together with another");
        }
        assert_eq!(receipt(Path::Direct, 1).gbytes_per_s(), None, "nothing was copied");
        assert_eq!(receipt(Path::None, 1).gbytes_per_s(), None, "it was not moved");
        assert_eq!(Receipt { bytes: 0, ..receipt(Path::Staged, 1) }.gbytes_per_s(), None);
        let at_once = receipt(Path::Staged, 1);
        assert_eq!(Receipt { finished: at_once.started, ..at_once }.gbytes_per_s(), None);
        let on_its_clock = Receipt { device_seconds: Some(1e-6), ..receipt(Path::Staged, 1) };
        assert_eq!(on_its_clock.gbytes_per_s(), Some(4.096), "the device's clock comes first");
    }

    #[test]
    fn it_is_told_in_words() {
        let told = |receipt: Receipt| receipt.to_string();
        assert_eq!(told(receipt(Path::Staged, 1)), "cpu, 4096 bytes staged, 2.0 us, 2.05 GB/s");
        assert_eq!(told(receipt(Path::Staged, 4)), "cpu, 4096 bytes staged, 2.0 us as one of 4 together");
        assert_eq!(told(receipt(Path::Direct, 1)), "cpu, 4096 bytes direct, 2.0 us");
        assert_eq!(told(receipt(Path::Direct, 2)), "cpu, 4096 bytes direct, 2.0 us as one of 2 together");
        let launch = Receipt { bytes: 0, form: Some("native twin: forced"), ..receipt(Path::None, 1) };
        assert_eq!(told(launch), "cpu, native twin: forced, 2.0 us");
        let why = Some("its buffer is pageable");
        let slow = Receipt { why, finished: None, ..receipt(Path::Staged, 1) };
        assert_eq!(told(slow), "cpu, 4096 bytes staged (its buffer is pageable)");
        let waits = Receipt { submitted: None, started: None, finished: None, ..receipt(Path::None, 0) };
        assert_eq!(told(waits), "cpu");
    }
}
