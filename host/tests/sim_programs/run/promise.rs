//! Fences that the program signals.

use wharf::{FailureKind, Fence, Signal};

use super::Harness;
use crate::program::Keeps;

/// Promises that are open at a time.
const MOST: usize = 3;

pub(super) struct Promise {
    pub(super) fence: Fence,
    signal: Signal,
}

impl Harness<'_> {
    pub(super) fn promise(&mut self) {
        if self.promises.len() < MOST {
            let (fence, signal) = self.sim.device().promise();
            self.promises.push(Promise { fence, signal });
        }
    }

    /// Something may be waiting for the program itself.
    pub(super) fn has_promised(&self) -> bool {
        !self.promises.is_empty()
    }

    pub(super) fn keep(&mut self, promise: usize, how: Keeps) {
        if self.promises.is_empty() {
            return;
        }
        let Promise { fence, signal } = self.promises.swap_remove(promise % self.promises.len());
        let before = fence.outcome();
        match how {
            Keeps::Signals => signal.signal(),
            Keeps::Fails => signal.fail("the program says so"),
            Keeps::Drops => drop(signal),
        }
        let outcome = fence.outcome().expect("it is out at once");
        if let Some(before) = before {
            assert_eq!(before, outcome, "it comes out once");
            self.outcomes.promises_lost += 1;
            return;
        }
        match outcome.map_err(|error| error.kind.clone()) {
            Ok(()) if how == Keeps::Signals => self.outcomes.promises_kept += 1,
            Err(FailureKind::Promise(_)) if how != Keeps::Signals => self.outcomes.promises_broken += 1,
            outcome => panic!("{how:?} gives {outcome:?}"),
        }
    }

    /// What is open is not out, but where the device is lost.
    pub(super) fn check_promises(&self) {
        for Promise { fence, .. } in &self.promises {
            match fence.outcome().transpose() {
                Ok(None) => {}
                Err(error) if matches!(error.kind, FailureKind::DeviceLost(_)) => {}
                outcome => panic!("nobody has kept it, and it is {outcome:?}"),
            }
        }
    }
}
