//! For how long a lane was busy.

use std::time::{Duration, Instant};

use wharf::Receipt;

/// The times of a lane's messages.
#[derive(Debug, Default)]
pub(super) struct Busy {
    on_device: f64,
    /// From start (or submission) to end, where the device has no clock.
    on_host: Vec<(Instant, Instant)>,
}

impl Busy {
    pub(super) fn add(&mut self, receipt: &Receipt) {
        match (receipt.device_seconds, receipt.started.or(receipt.submitted), receipt.finished) {
            (Some(seconds), ..) => self.on_device += seconds,
            (None, Some(start), Some(end)) => self.on_host.push((start, end.max(start))),
            _ => {}
        }
    }

    /// Seconds in which at least one message was under way: messages that wait for each other are
    /// not counted twice.
    pub(super) fn seconds(&mut self) -> f64 {
        self.on_host.sort_unstable();
        let mut busy = Duration::ZERO;
        let mut until: Option<Instant> = None;
        for &(start, end) in &self.on_host {
            let from = until.map_or(start, |until| until.max(start));
            busy += end.saturating_duration_since(from);
            until = Some(until.map_or(end, |until| until.max(end)));
        }
        self.on_device + busy.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_overlaps_is_counted_once() {
        let zero = Instant::now();
        let at = |ms| zero + Duration::from_millis(ms);
        let on_host = vec![(at(30), at(40)), (at(0), at(10)), (at(5), at(20)), (at(6), at(7))];
        let mut busy = Busy { on_device: 0.5, on_host };
        assert!((busy.seconds() - 0.530).abs() < 1e-9);
    }
}
