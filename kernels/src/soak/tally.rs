//! What messages have come to, and what they must not come to.

use std::{collections::BTreeMap, sync::Arc};

use wharf::{CancelOutcome, Completion, Device, Error, FailureKind, Refusal, TransferError};

/// What must not happen, in words.
pub(super) type Violation = String;

/// All that a soak counts: how messages end, why they are refused, and what else is done with them.
pub const OUTCOMES: [&str; 20] = [
    "ok",
    "failed: aborted",
    "failed: cancelled",
    "failed: deadline",
    "failed: device lost",
    "failed: driver",
    "failed: out of memory",
    "failed: upstream",
    "refused: deadline",
    "refused: failed",
    "refused: full",
    "refused: out of memory",
    "cancel: not started",
    "cancel: partly done",
    "cancel: too late",
    "ticket dropped",
    "ticket forwarded",
    "dead-lettered",
    "fence failed",
    "buffer kept by a lost device",
];

/// What was counted.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) messages: u64,
    pub(super) verified_bytes: u64,
    pub(super) leaked_bytes: u64,
    pub(super) outcomes: BTreeMap<&'static str, u64>,
    pub(super) is_device_lost: bool,
}

/// What comes back with a message that owns a buffer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Expected {
    /// What was given, whatever becomes of the upload: its fingerprint.
    Given(u64),
    /// What the device holds, where the download goes well.
    Asked(u64),
}

impl Tally {
    pub(super) fn count(&mut self, what: &'static str) {
        debug_assert!(OUTCOMES.contains(&what), "{what}");
        *self.outcomes.entry(what).or_default() += 1;
    }

    pub(super) fn cancelled(&mut self, outcome: CancelOutcome) {
        self.count(match outcome {
            CancelOutcome::NotStarted => "cancel: not started",
            CancelOutcome::Partial => "cancel: partly done",
            CancelOutcome::TooLate => "cancel: too late",
        });
    }

    pub(super) fn ended(&mut self, result: &Result<(), Arc<TransferError>>) -> Result<(), Violation> {
        match result {
            Ok(()) => self.count("ok"),
            Err(error) => self.failed(error)?,
        }
        Ok(())
    }

    fn failed(&mut self, error: &TransferError) -> Result<(), Violation> {
        self.is_device_lost |= matches!(error.kind, FailureKind::DeviceLost(_));
        self.count(match &error.kind {
            FailureKind::Aborted { .. } => "failed: aborted",
            FailureKind::Backend(_) => "failed: driver",
            FailureKind::Cancelled => "failed: cancelled",
            FailureKind::Deadline => "failed: deadline",
            FailureKind::DeviceLost(_) => "failed: device lost",
            FailureKind::OutOfMemory(_) => "failed: out of memory",
            FailureKind::Upstream { .. } => "failed: upstream",
            other => return Err(format!("an unexpected failure: {other}")),
        });
        Ok(())
    }

    /// A completion with a buffer, which is the one that was given, or holds what was asked for.
    pub(super) fn gave_back(&mut self, done: &Completion<Vec<u32>>, expected: Expected) -> Result<(), Violation> {
        self.ended(&done.result)?;
        let Some(buffer) = &done.buffer else {
            return match &done.result {
                Err(error) if matches!(error.kind, FailureKind::DeviceLost(_)) => {
                    self.kept(error.bytes);
                    Ok(())
                }
                result => Err(format!("message {} came back without its buffer ({result:?})", done.id)),
            };
        };
        let wanted = match expected {
            Expected::Given(wanted) => wanted,
            Expected::Asked(_) if done.result.is_err() => return Ok(()),
            Expected::Asked(wanted) => {
                self.verified_bytes += size_of_val(&buffer[..]) as u64;
                wanted
            }
        };
        if fingerprint(buffer) == wanted {
            return Ok(());
        }
        Err(format!("message {} came back with other data ({:?})", done.id, done.result))
    }

    fn kept(&mut self, bytes: u64) {
        self.count("buffer kept by a lost device");
        self.leaked_bytes += bytes;
    }

    /// Why something was not accepted; a refusal that no fault explains is a violation.
    pub(super) fn refused(&mut self, error: &Error) -> Result<(), Violation> {
        match error {
            Error::Refused { why: Refusal::Full { .. }, .. } => self.count("refused: full"),
            // Its deadline passed while it waited for a credit.
            Error::Refused { why: Refusal::Timeout, .. } => self.count("refused: deadline"),
            Error::Refused { why: Refusal::Failed(error), .. } => {
                self.is_device_lost |= matches!(error.kind, FailureKind::DeviceLost(_));
                self.count("refused: failed");
            }
            Error::Transfer(error) => {
                self.is_device_lost |= matches!(error.kind, FailureKind::DeviceLost(_));
                self.count("fence failed");
            }
            Error::OutOfMemory { .. } => self.count("refused: out of memory"),
            Error::Device { message, .. } if message.contains("lost") => {
                self.is_device_lost = true;
                self.count("refused: failed");
            }
            other => return Err(format!("an unexpected refusal: {other}")),
        }
        Ok(())
    }

    /// Failures of messages that nobody has asked for.
    pub(super) fn read_letters(&mut self, device: &Device) -> Result<(), Violation> {
        for mut letter in device.dead_letters().take() {
            self.count("dead-lettered");
            self.failed(&letter.error)?;
            let is_lost = matches!(letter.error.kind, FailureKind::DeviceLost(_));
            if is_lost && letter.take_buffer::<()>().is_none() && letter.take_buffer::<Vec<u32>>().is_none() {
                self.kept(letter.error.bytes);
            }
        }
        Ok(())
    }
}

/// Nothing is under way on the device any more: its counts add up, and nothing of it is left.
pub(super) fn at_rest(device: &Device, tally: &mut Tally) -> Result<(), Violation> {
    device.drain();
    while device.progress() {}
    tally.read_letters(device)?;
    let stats = device.stats();
    let ended = stats.delivered + stats.detached_ok + stats.dead_lettered;
    // What plans use between their launches stays with the device: that is all that `buffer_bytes` counts now.
    let is_empty = stats.in_flight == 0 && stats.staging_bytes == 0;
    if is_empty && stats.accepted == ended && stats.callback_panics == 0 && stats.dead_letters_lost == 0 {
        return Ok(());
    }
    Err(format!("the counts do not add up: {stats:?}"))
}

/// Tells any two contents apart that differ in a word or in a place, but for chance.
pub(super) fn fingerprint(words: &[u32]) -> u64 {
    let step = |hash: u64, word: &u32| (hash ^ u64::from(*word)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    words.iter().fold(words.len() as u64, step)
}
