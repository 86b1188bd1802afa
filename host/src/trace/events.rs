//! Messages as events of `tracing`: one for each, when it is resolved.
//!
//! A subscriber is the user's code: it is never called under the lock.

use std::time::{Duration, Instant};

use tracing::{Level, level_filters::LevelFilter};

use super::Span;
use crate::dma::Stall;

/// A failure that nobody asks for is worth a warning.
fn level(is_dead: bool) -> Level {
    if is_dead { Level::WARN } else { Level::DEBUG }
}

/// Whether any subscriber may want such an event. Asks none.
pub(crate) fn are_wanted(is_dead: bool) -> bool {
    LevelFilter::current() >= level(is_dead)
}

/// Tells the subscriber of a message that is resolved; of a dead letter where it is one.
pub(crate) fn tell(span: &Span, is_dead: bool) {
    macro_rules! event {
        ($level:expr, $words:literal) => {{
            let receipt = &span.receipt;
            tracing::event!(
                target: "wharf",
                $level,
                device = receipt.device(),
                queue = receipt.queue(),
                id = receipt.id.number(),
                tag = receipt.tag,
                label = receipt.label(),
                lane = receipt.lane.map(|lane| format!("{lane:?}")),
                path = %receipt.path,
                why = receipt.why,
                form = receipt.form,
                chunks = receipt.chunks,
                together = receipt.together,
                behind = receipt.behind().commands,
                bytes = receipt.bytes,
                queued_us = between(Some(receipt.accepted), receipt.submitted),
                started_us = between(Some(receipt.accepted), receipt.started),
                done_us = between(Some(receipt.accepted), receipt.finished),
                ran_us = receipt.duration().map(micros),
                latency_us = receipt.latency().map(micros),
                error = span.error.as_ref().map(tracing::field::display),
                $words
            )
        }};
    }
    if is_dead {
        event!(Level::WARN, "dead letter");
    } else {
        event!(Level::DEBUG, "message");
    }
}

/// Tells the subscriber of a queue that stands still.
pub(crate) fn stalled(device: &str, stall: &Stall) {
    tracing::event!(
        target: "wharf",
        Level::WARN,
        device,
        queue = &*stall.queue,
        since_us = micros(stall.since),
        why = %stall,
        "stalled queue"
    );
}

/// Tells the subscriber of a buffer whose contents are on the host now, or on the device again.
pub(crate) fn moved(device: &str, buffer: &str, bytes: u64, what: &'static str) {
    tracing::event!(target: "wharf", Level::INFO, device, buffer, bytes, "{what}");
}

fn between(from: Option<Instant>, to: Option<Instant>) -> Option<u64> {
    Some(micros(to?.saturating_duration_since(from?)))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
