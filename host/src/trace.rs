//! A recording of receipts: what a trace is made of. With the feature `tracing` each message is an event of
//! the crate of that name, too.
//!
//! Off by default; then a message costs one relaxed load for each of the two.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Instant,
};

use crate::{dma::Receipt, error::TransferError};

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

/// One message of any device of this process.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Span {
    /// Its path and times.
    pub receipt: Receipt,
    /// Its failure, if it failed.
    pub error: Option<Arc<TransferError>>,
}

/// Starts to record every message of every device. Gives the moment from which times count.
pub fn start() -> Instant {
    SPANS.lock().unwrap_or_else(PoisonError::into_inner).clear();
    ON.store(true, Relaxed);
    Instant::now()
}

/// Ends the recording and gives what was recorded, in the order of delivery.
pub fn take() -> Vec<Span> {
    ON.store(false, Relaxed);
    std::mem::take(&mut SPANS.lock().unwrap_or_else(PoisonError::into_inner))
}

pub(crate) fn record(receipt: impl FnOnce() -> Receipt, error: Option<&Arc<TransferError>>) {
    if ON.load(Relaxed) {
        let span = Span { receipt: receipt(), error: error.cloned() };
        SPANS.lock().unwrap_or_else(PoisonError::into_inner).push(span);
    }
}
