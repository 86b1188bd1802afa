//! The end of a message: its outcome, whom a failure drags along, and its turn in its queue.

use std::sync::Arc;

use super::Machine;
use crate::{
    backend::Token,
    dma::{
        MessageId,
        model::{Action, FailPolicy, Kind, Message, QueueId, State},
    },
    error::{FailureKind, TransferError},
};

impl Machine {
    pub(super) fn over(&mut self, token: Token, result: Result<(), FailureKind>, actions: &mut Vec<Action>) {
        // A token that is dead, or that was never submitted, is a late or doubled report.
        let Some(message) = self.messages.get(token).filter(|m| m.state == State::Submitted) else {
            return;
        };
        let result = match &message.doom {
            Some(doom) => Err(doom.clone()),
            None => result,
        };
        self.in_driver -= 1;
        self.queues[message.queue].in_driver -= 1;
        self.finish(token, result, actions);
    }

    /// The message is over; resolves what may be resolved in its queue.
    pub(super) fn finish(&mut self, token: Token, result: Result<(), FailureKind>, actions: &mut Vec<Action>) {
        let message = self.messages.get(token).expect("alive");
        let queue = message.queue;
        let result = result.map_err(|kind| {
            Arc::new(TransferError {
                kind,
                device: self.device.clone(),
                queue: self.queues[queue].name.clone(),
                id: MessageId(message.id),
                label: message.label.clone(),
                bytes: message.bytes,
            })
        });
        self.messages.get_mut(token).expect("alive").state = State::Over(result.clone());
        if let Err(error) = result {
            self.spread(token, &error);
        }
        self.settle(queue, actions);
    }

    /// Dooms what reads the failed message's data, and what stands behind it where the queue stops.
    fn spread(&mut self, failed: Token, error: &Arc<TransferError>) {
        let Message { queue, id, kind, ref accesses, .. } = *self.messages.get(failed).expect("alive");
        for &(resource, _) in accesses.iter().filter(|(_, access)| access.writes()) {
            if let Some(resource) = self.resources.get_mut(resource) {
                resource.fail(failed, error);
            }
        }
        let root = root_of(error.clone());
        let state = &mut self.queues[queue];
        // A fence only reports what failed before it.
        let own = kind != Some(Kind::Fence);
        if own {
            state.fence_failure.get_or_insert_with(|| error.clone());
        }
        let stop = own && state.limits.policy == FailPolicy::FailStop;
        if stop && state.failed.is_none() {
            state.failed = Some(error.clone());
        }
        for (_, message) in self.messages.iter_mut() {
            if matches!(message.state, State::Over(_)) || message.doom.is_some() {
                continue;
            }
            let fence = message.kind == Some(Kind::Fence);
            if message.edges.iter().any(|edge| edge.data && edge.on == failed) {
                message.doom = Some(FailureKind::Upstream { root: root.clone() });
            } else if stop && message.queue == queue && message.id > id && !fence {
                message.doom = Some(FailureKind::Aborted { after: MessageId(id) });
            }
        }
    }

    /// Resolves the oldest messages of the queue that are over.
    fn settle(&mut self, queue: QueueId, actions: &mut Vec<Action>) {
        while let Some(&token) = self.queues[queue].order.front() {
            let message = self.messages.get_mut(token).expect("an unresolved message is alive");
            let State::Over(result) = &mut message.state else { break };
            let result = std::mem::replace(result, Ok(()));
            self.resolve(token, result, false, actions);
        }
    }

    pub(super) fn resolve(
        &mut self,
        token: Token,
        result: Result<(), Arc<TransferError>>,
        in_driver: bool,
        actions: &mut Vec<Action>,
    ) {
        let message = self.messages.get_mut(token).expect("alive");
        let queue = &mut self.queues[message.queue];
        queue.order.pop_front();
        queue.ops -= 1;
        queue.bytes -= message.bytes;
        message.label = None;
        message.doom = None;
        let accesses = std::mem::take(&mut message.accesses);
        actions.push(Action::Resolve { token, result, in_driver });
        for &(name, _) in &accesses {
            let Some(resource) = self.resources.get_mut(name) else { continue };
            resource.users -= 1;
            if resource.users == 0 && resource.dropped {
                self.resources.free(name);
                actions.push(Action::Free(name));
            }
        }
        // The slot keeps the list's memory for its next message.
        self.messages.get_mut(token).expect("alive").accesses = accesses;
        self.messages.free(token);
    }
}

/// The first failure of a chain.
pub(super) fn root_of(error: Arc<TransferError>) -> Arc<TransferError> {
    match &error.kind {
        FailureKind::Upstream { root } => root.clone(),
        _ => error,
    }
}
