//! Which messages go to the driver now.

use super::{Machine, root_of};
use crate::{
    backend::{After, Token},
    dma::{
        hazard::Edge,
        model::{Action, Kind, QueueId, State},
    },
    error::FailureKind,
};

impl Machine {
    /// The edges of a message that is being submitted which its lane does not keep by itself.
    pub(crate) fn after(&self, token: Token) -> After {
        let mut after = After::default();
        for on in self.unfinished_on_other_lanes(token) {
            let room = after.push(on);
            debug_assert!(room, "a message is submitted with more edges than fit");
        }
        after
    }

    fn unfinished_on_other_lanes(&self, token: Token) -> impl Iterator<Item = Token> + '_ {
        let message = self.messages.get(token).expect("a live message");
        message.edges.iter().map(|edge| edge.on).filter(move |&on| {
            self.messages.get(on).is_some_and(|m| m.state == State::Submitted && m.kind != message.kind)
        })
    }

    pub(super) fn pump(&mut self, actions: &mut Vec<Action>) {
        // Submitting in one queue may free the front of another, so go round until nothing moves.
        let mut moved = true;
        while moved {
            moved = false;
            for queue in 0..self.queues.len() {
                while self.advance(queue, actions) {
                    moved = true;
                }
            }
        }
    }

    fn is_running_or_waiting(&self, token: Token) -> bool {
        self.messages.get(token).is_some_and(|m| !matches!(m.state, State::Over(_)))
    }

    /// Moves the first waiting message of the queue on, if it may.
    fn advance(&mut self, queue: QueueId, actions: &mut Vec<Action>) -> bool {
        let state = &self.queues[queue];
        let Some(&token) = state.waiting.front() else { return false };
        let message = self.messages.get(token).expect("a waiting message is alive");
        if let Some(doom) = message.doom.clone() {
            // It ends after what it would have waited for: who waits for it waits for that, too.
            if message.edges.iter().any(|edge| self.is_running_or_waiting(edge.on)) {
                return false;
            }
            self.queues[queue].waiting.pop_front();
            self.finish(token, Err(doom), actions);
            return true;
        }
        if message.kind == Some(Kind::Fence) {
            // A fence is over when it is the oldest: everything before it has been resolved.
            if state.order.front() != Some(&token) {
                return false;
            }
            let result = match self.queues[queue].fence_failure.take() {
                Some(error) => Err(FailureKind::Upstream { root: root_of(error) }),
                None => Ok(()),
            };
            self.queues[queue].waiting.pop_front();
            self.finish(token, result, actions);
            return true;
        }
        let room = state.in_driver < state.limits.window && self.in_driver < self.max_in_driver;
        let known = |edge: &Edge| self.messages.get(edge.on).is_none_or(|m| m.state != State::Waiting);
        let few = || self.unfinished_on_other_lanes(token).take(After::MOST + 1).count() <= After::MOST;
        if !(room && message.edges.iter().all(known) && few()) {
            return false;
        }
        self.messages.get_mut(token).expect("alive").state = State::Submitted;
        let state = &mut self.queues[queue];
        state.waiting.pop_front();
        state.in_driver += 1;
        self.in_driver += 1;
        actions.push(Action::Submit(token));
        true
    }
}
