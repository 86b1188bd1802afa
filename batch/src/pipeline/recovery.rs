//! What helps against a failure.

use wharf::{FailureKind, Refusal, TransferError};

use crate::error::Error;

/// What to try next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Batches that need less memory on the same device.
    SmallerBatches,
    /// The same batches on another device.
    OtherDevice,
    /// Nothing: the same would happen again, or somebody wants it so.
    None,
}

pub(super) fn remedy(error: &Error) -> Remedy {
    let Error::Device(error) = error else { return Remedy::None };
    match error {
        wharf::Error::OutOfMemory { .. } | wharf::Error::Limit { .. } => Remedy::SmallerBatches,
        wharf::Error::Device { .. } => Remedy::OtherDevice,
        wharf::Error::Transfer(error) => of_transfer(error),
        wharf::Error::Refused { why: Refusal::Failed(error), .. } => of_transfer(error),
        _ => Remedy::None,
    }
}

fn of_transfer(error: &TransferError) -> Remedy {
    match &error.kind {
        FailureKind::Upstream { root } | FailureKind::Aborted { root, .. } => of_transfer(root),
        FailureKind::OutOfMemory(_) => Remedy::SmallerBatches,
        FailureKind::DeviceLost(_) | FailureKind::Backend(_) => Remedy::OtherDevice,
        _ => Remedy::None,
    }
}
