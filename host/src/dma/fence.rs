//! A point in a queue that others can wait for.

use std::{
    fmt,
    sync::{Arc, Condvar, Mutex, PoisonError},
};

use super::{
    MessageId,
    engine::{Mode, Shared},
};
use crate::{backend::Token, error::TransferError};

/// Everything that its queue accepted before it, and whether that went well.
///
/// A fence fails where a message between it and the fence before it has failed; who waits for it
/// inherits the failure.
#[derive(Clone)]
pub struct Fence {
    pub(crate) state: Arc<FenceState>,
    pub(crate) shared: Arc<Shared>,
    /// Its message in the machine of `shared`.
    pub(crate) token: Token,
    pub(crate) id: MessageId,
}

#[derive(Debug, Default)]
pub(crate) struct FenceState {
    outcome: Mutex<Option<Result<(), Arc<TransferError>>>>,
    reached: Condvar,
}

impl FenceState {
    pub(crate) fn set(&self, outcome: Result<(), Arc<TransferError>>) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        self.reached.notify_all();
    }
}

impl Fence {
    /// Waits until everything before it is resolved.
    ///
    /// # Errors
    /// The first failure among the messages it stands for, wrapped as
    /// [`FailureKind::Upstream`](crate::FailureKind::Upstream), or the loss of the device.
    pub fn wait(&self) -> Result<(), Arc<TransferError>> {
        if self.shared.mode == Mode::Manual {
            loop {
                match self.poll() {
                    Some(outcome) => return outcome,
                    None => self.shared.pause(None),
                }
            }
        }
        let mut outcome = self.state.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match &*outcome {
                Some(outcome) => return outcome.clone(),
                None => outcome = self.state.reached.wait(outcome).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// The outcome, if everything before it is resolved. Never blocks.
    pub fn poll(&self) -> Option<Result<(), Arc<TransferError>>> {
        self.state.outcome.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its message.
    pub fn id(&self) -> MessageId {
        self.id
    }
}

impl fmt::Debug for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let device = &self.shared.device;
        f.debug_struct("Fence").field("device", device).field("id", &self.id).field("outcome", &self.poll()).finish()
    }
}
