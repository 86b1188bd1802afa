//! What programs have come to, counted.

/// How often each kind of outcome occurred.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Outcomes {
    pub(super) ok: u64,
    pub(super) ok_in_chunks: u64,
    pub(super) failed: u64,
    pub(super) failed_midway: u64,
    pub(super) not_started: u64,
    pub(super) partial: u64,
    pub(super) too_late: u64,
    pub(super) deadline: u64,
    pub(super) upstream: u64,
    pub(super) aborted: u64,
    pub(super) lost: u64,
    pub(super) full: u64,
    pub(super) closed: u64,
    pub(super) refused_failed: u64,
    pub(super) late_reports: u64,
    pub(super) overtaken: u64,
    pub(super) kept: u64,
    pub(super) not_kept: u64,
    pub(super) held: u64,
    pub(super) folded: u64,
    pub(super) abandoned: u64,
    pub(super) joined: u64,
}

impl Outcomes {
    pub(super) fn each(&self) -> [(&'static str, u64); 22] {
        [
            ("went well", self.ok),
            ("went well in chunks", self.ok_in_chunks),
            ("failed", self.failed),
            ("failed in a chunk", self.failed_midway),
            ("cancelled before its start", self.not_started),
            ("cancelled midway", self.partial),
            ("cancelled too late", self.too_late),
            ("deadline passed", self.deadline),
            ("upstream", self.upstream),
            ("aborted", self.aborted),
            ("lost with the device", self.lost),
            ("refused, full", self.full),
            ("refused, closed", self.closed),
            ("refused, failed", self.refused_failed),
            ("late report", self.late_reports),
            ("overtook a large one", self.overtaken),
            ("promise kept", self.kept),
            ("promise broken", self.not_kept),
            ("held by a doorbell", self.held),
            ("told of an unsignalled one", self.folded),
            ("aborted with its queue", self.abandoned),
            ("joined another's command", self.joined),
        ]
    }
}
