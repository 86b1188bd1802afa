//! How often each kind of outcome has occurred.

use wharf::{FailureKind, TransferError};

/// What messages came to, over all programs.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Outcomes {
    pub(crate) ok: u64,
    pub(crate) failed: u64,
    pub(crate) upstream: u64,
    pub(crate) aborted: u64,
    pub(crate) cancelled: u64,
    pub(crate) deadline: u64,
    pub(crate) lost: u64,
    pub(crate) refused_full: u64,
    pub(crate) refused_failed: u64,
    pub(crate) refused_closed: u64,
    pub(crate) refused_memory: u64,
    pub(crate) detached: u64,
    pub(crate) dead_lettered: u64,
    pub(crate) forgotten: u64,
    pub(crate) leaked: u64,
    pub(crate) refused_timeout: u64,
    pub(crate) refused_permit: u64,
    pub(crate) batches: u64,
    pub(crate) batches_full: u64,
    pub(crate) batches_refused: u64,
    pub(crate) batches_dropped: u64,
    pub(crate) taken_out: u64,
    pub(crate) permits: u64,
    pub(crate) permits_waited: u64,
    pub(crate) permit_sends: u64,
    pub(crate) permits_unspent: u64,
    pub(crate) replays: u64,
    pub(crate) replays_failed: u64,
    pub(crate) promises_kept: u64,
    pub(crate) promises_broken: u64,
    pub(crate) promises_lost: u64,
    pub(crate) held_back: u64,
}

impl Outcomes {
    pub(crate) fn count(&mut self, result: Result<&(), &TransferError>) {
        *match result.map_err(|error| &error.kind) {
            Ok(()) => &mut self.ok,
            Err(FailureKind::Backend(_) | FailureKind::OutOfMemory(_)) => &mut self.failed,
            Err(FailureKind::Upstream { .. }) => &mut self.upstream,
            Err(FailureKind::Aborted { .. }) => &mut self.aborted,
            Err(FailureKind::Cancelled) => &mut self.cancelled,
            Err(FailureKind::Deadline) => &mut self.deadline,
            Err(FailureKind::DeviceLost(_)) => &mut self.lost,
            Err(kind) => panic!("nothing here does that: {kind}"),
        } += 1;
    }

    /// Each with its name.
    pub(crate) fn table(&self) -> [(&'static str, u64); 32] {
        [
            ("ok", self.ok),
            ("failed", self.failed),
            ("upstream", self.upstream),
            ("aborted", self.aborted),
            ("cancelled", self.cancelled),
            ("deadline", self.deadline),
            ("lost", self.lost),
            ("refused, full", self.refused_full),
            ("refused, failed", self.refused_failed),
            ("refused, closed", self.refused_closed),
            ("refused, no memory", self.refused_memory),
            ("detached", self.detached),
            ("dead-lettered", self.dead_lettered),
            ("forgotten", self.forgotten),
            ("leaked", self.leaked),
            ("refused, too late", self.refused_timeout),
            ("refused, permit", self.refused_permit),
            ("batch sent", self.batches),
            ("batch on a full queue", self.batches_full),
            ("batch refused", self.batches_refused),
            ("batch not sent", self.batches_dropped),
            ("taken out of a batch", self.taken_out),
            ("permit", self.permits),
            ("permit not awaited", self.permits_waited),
            ("sent with a permit", self.permit_sends),
            ("permit not spent", self.permits_unspent),
            ("replay ok", self.replays),
            ("replay failed", self.replays_failed),
            ("promise kept", self.promises_kept),
            ("promise broken", self.promises_broken),
            ("promise lost", self.promises_lost),
            ("held back", self.held_back),
        ]
    }
}
