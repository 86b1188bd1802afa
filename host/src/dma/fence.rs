//! A point that others can wait for.

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::{
    MessageId,
    drive::run_users,
    shared::{Mode, Shared},
    sync::{Condvar, Mutex, MutexGuard, atomic::AtomicU64},
};
use crate::{backend::Token, error::TransferError};

/// A point that others wait for: queues ([`DmaQueue::wait_for`](crate::DmaQueue::wait_for)), threads
/// ([`Fence::wait`], [`Fence::wait_timeout`]) and tasks (it is a [`Future`]).
///
/// A queue's fence ([`DmaQueue::fence`](crate::DmaQueue::fence)) stands for everything that the queue
/// accepted before it, and fails where a message between it and the fence before it has failed. A
/// promise's ([`Device::promise`](crate::Device::promise)) is reached, or fails, when the program says
/// so. Who waits for a fence that fails inherits the failure, with the root cause.
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
    fate: Mutex<Fate>,
    reached: Condvar,
}

type Outcome = Result<(), Arc<TransferError>>;

#[derive(Debug, Default)]
struct Fate {
    outcome: Option<Outcome>,
    /// Tasks that await it.
    tasks: Vec<Waker>,
}

/// States that are used again once nobody has them any more, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Fences(Mutex<VecDeque<Arc<FenceState>>>);

impl Fences {
    const MOST: usize = 1024;

    pub(super) fn take(&self) -> Arc<FenceState> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut oldest) = known.pop_front() {
            if let Some(state) = Arc::get_mut(&mut oldest) {
                *state.fate.get_mut().unwrap_or_else(PoisonError::into_inner) = Fate::default();
                known.push_back(oldest.clone());
                return oldest;
            }
            known.push_back(oldest);
        }
        let state = Arc::<FenceState>::default();
        if known.len() < Self::MOST {
            known.push_back(state.clone());
        }
        state
    }
}

impl FenceState {
    fn lock(&self) -> MutexGuard<'_, Fate> {
        self.fate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says how it came out; a waker that panics is counted.
    pub(crate) fn set(&self, outcome: Outcome, panics: &AtomicU64) {
        let mut fate = self.lock();
        fate.outcome = Some(outcome);
        let tasks = std::mem::take(&mut fate.tasks);
        drop(fate);
        self.reached.notify_all();
        for waker in tasks {
            run_users(panics, || waker.wake());
        }
    }
}

impl Fence {
    /// Waits until it is reached.
    ///
    /// # Errors
    /// The first failure among the messages it stands for, wrapped as
    /// [`FailureKind::Upstream`](crate::FailureKind::Upstream), or the loss of the device.
    pub fn wait(&self) -> Result<(), Arc<TransferError>> {
        self.ring();
        if self.shared.mode == Mode::Manual {
            loop {
                match self.outcome() {
                    Some(outcome) => return outcome,
                    None => self.shared.pause(None),
                }
            }
        }
        let mut fate = self.state.lock();
        loop {
            match &fate.outcome {
                Some(outcome) => return outcome.clone(),
                None => fate = self.state.reached.wait(fate).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Waits for at most `timeout`; `None` where it is not reached by then: wait again, or do something else.
    ///
    /// # Errors
    /// As [`Fence::wait`].
    pub fn wait_timeout(&self, timeout: Duration) -> Option<Result<(), Arc<TransferError>>> {
        // A time that no clock will show is for ever.
        let Some(end) = self.shared.backend.now().checked_add(timeout) else { return Some(self.wait()) };
        self.ring();
        loop {
            let left = end.saturating_duration_since(self.shared.backend.now());
            let fate = self.state.lock();
            if left.is_zero() || fate.outcome.is_some() {
                return fate.outcome.clone();
            }
            if self.shared.mode == Mode::Manual {
                drop(fate);
                self.shared.pause(Some(left));
            } else {
                drop(self.state.reached.wait_timeout(fate, left));
            }
        }
    }

    /// The outcome, if it is reached. Never blocks.
    pub fn outcome(&self) -> Option<Result<(), Arc<TransferError>>> {
        self.state.lock().outcome.clone()
    }

    /// Who waits for it waits for no doorbell.
    fn ring(&self) {
        self.shared.ring(|core| core.machine.ring_for(self.token));
    }

    /// Its message.
    pub fn id(&self) -> MessageId {
        self.id
    }
}

/// For any executor; each clone may be awaited by another task.
impl Future for Fence {
    type Output = Result<(), Arc<TransferError>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut fate = self.state.lock();
        if let Some(outcome) = &fate.outcome {
            return Poll::Ready(outcome.clone());
        }
        if !fate.tasks.iter().any(|known| known.will_wake(context.waker())) {
            fate.tasks.push(context.waker().clone());
        }
        drop(fate);
        self.ring();
        Poll::Pending
    }
}

impl fmt::Debug for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let device = &self.shared.device;
        f.debug_struct("Fence").field("device", device).field("id", &self.id).field("outcome", &self.outcome()).finish()
    }
}
