//! Messages that are taken back, by their owner or by the clock.

use std::{sync::Arc, time::Instant};

use super::{Machine, settle::is_wish};
use crate::{
    backend::Token,
    dma::model::{CancelOutcome, Kind, QueueId, State},
    error::FailureKind,
};

impl Machine {
    /// Sees to it that no more of the message goes to the driver. Needs no credit. What comes of it is
    /// done by the next [`Event::Pump`](crate::dma::model::Event::Pump).
    pub(crate) fn cancel(&mut self, token: Token) -> CancelOutcome {
        self.take_back(token, FailureKind::Cancelled)
    }

    pub(super) fn tick(&mut self, now: Instant) {
        while let Some(token) = self.deadlines.expired(now) {
            if let Some(message) = self.messages.get_mut(token) {
                message.timed = false;
                self.deadlines.forget();
                self.take_back(token, FailureKind::Deadline);
            }
        }
    }

    /// Cancels everything that the queue has accepted.
    pub(super) fn abandon(&mut self, queue: QueueId, why: &Arc<str>) {
        for place in 0..self.queues[queue].order.len() {
            let token = self.queues[queue].order[place];
            self.take_back(token, FailureKind::Abandoned(why.clone()));
        }
    }

    fn take_back(&mut self, token: Token, wish: FailureKind) -> CancelOutcome {
        let Some(message) = self.messages.get_mut(token) else { return CancelOutcome::TooLate };
        let outcome = match message.state {
            State::Waiting => CancelOutcome::NotStarted,
            State::Sending => CancelOutcome::Partial,
            State::Submitted | State::Over(_) => return CancelOutcome::TooLate,
        };
        match &message.doom {
            // A place in the queue is nothing that could be left undone.
            None if message.kind == Some(Kind::Fence) => return CancelOutcome::TooLate,
            None => message.doom = Some(wish),
            // Asked again.
            Some(wish) if is_wish(wish) => return outcome,
            Some(_) => return CancelOutcome::TooLate,
        }
        let queue = message.queue;
        self.wake(queue);
        outcome
    }
}
