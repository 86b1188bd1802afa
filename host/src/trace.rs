//! A recording of receipts, and of what the host does in between: what a trace is made of. With the feature
//! `tracing` each message is an event of the crate of that name, too.
//!
//! Off by default; then a message costs one relaxed load for each of the two, and a stage of the host's one.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Instant,
};

use crate::{device::Device, dma::Receipt, error::TransferError};

#[cfg(feature = "tracing")]
pub(crate) mod events;

/// Without the feature nobody listens.
#[cfg(not(feature = "tracing"))]
pub(crate) mod events {
    pub(crate) fn are_wanted(_is_dead: bool) -> bool {
        false
    }

    pub(crate) fn tell(_span: &super::Span, _is_dead: bool) {}

    pub(crate) fn stalled(_device: &str, _stall: &crate::dma::Stall) {}

    pub(crate) fn moved(_device: &str, _buffer: &str, _bytes: u64, _what: &'static str) {}
}

static ON: AtomicBool = AtomicBool::new(false);
static SPANS: Mutex<Vec<Span>> = Mutex::new(Vec::new());
static HOST_SPANS: Mutex<Vec<HostSpan>> = Mutex::new(Vec::new());

/// One message of any device of this process.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Span {
    /// Its path and times.
    pub receipt: Receipt,
    /// Its failure, if it failed.
    pub error: Option<Arc<TransferError>>,
}

/// What the host did for a device between two messages: a stage of the program's own.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostSpan {
    /// The device, e.g. `cpu` or `wgpu:0`.
    pub device: Arc<str>,
    /// What the program calls it.
    pub name: &'static str,
    /// The program's number for it, as the [`tag`](Receipt::tag) of the messages to which it belongs.
    pub tag: u64,
    /// When it began, on the clock of the device's receipts.
    pub began: Instant,
    /// When it was over, on the same clock. A simulated device's stands still while the host works.
    pub ended: Instant,
}

/// A stage that is under way; see [`stage`].
#[derive(Debug)]
#[must_use = "a stage is recorded by `end`"]
pub struct Stage<'d> {
    device: &'d Device,
    name: &'static str,
    tag: u64,
    /// `None` where nothing is recorded.
    began: Option<Instant>,
}

/// Begins a stage of the host's, which [`Stage::end`] records if every message is recorded now. Dropping it records
/// nothing.
///
/// ```
/// use wharf::{Device, trace};
///
/// let device = Device::open("cpu")?;
/// let x = device.buffer::<u32>(1000)?;
/// trace::start();
/// let stage = trace::stage(&device, "read", 7);
/// let data: Vec<u32> = (0..1000).collect(); // from a file, say
/// stage.end();
/// device.upload(&x).tag(7).send(data)?.wait().ok()?;
/// let (messages, host) = (trace::take(), trace::take_host());
/// assert_eq!((host.len(), host[0].name, host[0].tag), (1, "read", messages[0].receipt.tag));
/// assert!(host[0].ended <= messages[0].receipt.accepted);
/// # Ok::<(), wharf::Error>(())
/// ```
pub fn stage<'d>(device: &'d Device, name: &'static str, tag: u64) -> Stage<'d> {
    Stage { device, name, tag, began: ON.load(Relaxed).then(|| device.inner.backend.now()) }
}

impl Stage<'_> {
    /// It is over now.
    pub fn end(self) {
        let Self { device, name, tag, began } = self;
        // Not where the recording has ended meanwhile.
        let Some(began) = began.filter(|_| ON.load(Relaxed)) else { return };
        let shared = &device.inner.engine.shared;
        let (device, ended) = (shared.device.clone(), shared.backend.now());
        let span = HostSpan { device, name, tag, began, ended };
        HOST_SPANS.lock().unwrap_or_else(PoisonError::into_inner).push(span);
    }
}

/// Starts to record every message of every device. Gives the moment from which times count.
pub fn start() -> Instant {
    SPANS.lock().unwrap_or_else(PoisonError::into_inner).clear();
    HOST_SPANS.lock().unwrap_or_else(PoisonError::into_inner).clear();
    ON.store(true, Relaxed);
    Instant::now()
}

/// Ends the recording and gives what was recorded, in the order of delivery.
pub fn take() -> Vec<Span> {
    ON.store(false, Relaxed);
    std::mem::take(&mut SPANS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// What the host did until the recording ended, in the order in which it was over.
pub fn take_host() -> Vec<HostSpan> {
    std::mem::take(&mut HOST_SPANS.lock().unwrap_or_else(PoisonError::into_inner))
}

pub(crate) fn record(receipt: impl FnOnce() -> Receipt, error: Option<&Arc<TransferError>>) {
    if ON.load(Relaxed) {
        let span = Span { receipt: receipt(), error: error.cloned() };
        SPANS.lock().unwrap_or_else(PoisonError::into_inner).push(span);
    }
}
