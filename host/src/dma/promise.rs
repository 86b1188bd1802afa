//! Fences that the program signals itself.

use std::{collections::HashMap, fmt, sync::Arc};

use super::{
    engine::Engine,
    fence::{Fence, FenceState},
    model::Event,
    shared::Shared,
};
use crate::{backend::Token, error::FailureKind};

/// The fences of promises that are not kept yet, by their names in the machine.
pub(super) type Promises = HashMap<Token, Arc<FenceState>>;

/// Keeps a promise: made with its [`Fence`] by [`Device::promise`]. Dropping it unsignalled fails the
/// fence, so that nobody waits for what never comes.
///
/// [`Device::promise`]: crate::Device::promise
#[must_use = "a signal that is dropped fails its fence"]
pub struct Signal {
    shared: Arc<Shared>,
    token: Token,
    /// It has not been said how it comes out.
    open: bool,
}

impl Signal {
    /// The fence is reached: who waits for it goes on.
    pub fn signal(mut self) {
        self.settle(Ok(()));
    }

    /// The fence has failed: who waits for it fails, with this as the root cause.
    pub fn fail(mut self, why: impl fmt::Display) {
        self.settle(Err(FailureKind::Promise(why.to_string().into())));
    }

    fn settle(&mut self, result: Result<(), FailureKind>) {
        self.open = false;
        let mut core = self.shared.lock();
        core.stage(Event::Keep(self.token, result), &self.shared);
        self.shared.kick(core);
        self.shared.tell();
    }
}

impl Drop for Signal {
    fn drop(&mut self) {
        if self.open {
            self.settle(Err(FailureKind::Promise("its signal was dropped".into())));
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal").field("device", &self.shared.device).finish_non_exhaustive()
    }
}

impl Engine {
    /// A fence and what signals it.
    pub(crate) fn promise(&self, label: Option<&str>) -> (Fence, Signal) {
        let state = self.shared.fences.take();
        let mut core = self.shared.lock();
        let (token, id) = core.machine.promise(label.map(Into::into));
        core.promises.insert(token, state.clone());
        let lost = core.machine.lost().cloned();
        drop(core);
        let mut signal = Signal { shared: self.shared.clone(), token, open: true };
        if let Some(cause) = lost {
            signal.settle(Err(FailureKind::DeviceLost(cause)));
        }
        (Fence { state, shared: self.shared.clone(), token, id }, signal)
    }
}
