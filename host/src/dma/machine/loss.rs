//! The device is gone.

use std::sync::Arc;

use super::Machine;
use crate::{
    dma::{
        MessageId,
        model::{Action, State},
    },
    error::{FailureKind, TransferError},
};

impl Machine {
    pub(super) fn lose(&mut self, cause: Arc<str>, actions: &mut Vec<Action>) {
        if self.lost.is_some() {
            return;
        }
        self.lost = Some(cause.clone());
        for queue in 0..self.queues.len() {
            let name = self.queues[queue].name.clone();
            let device = self.device.clone();
            let error = |id, label, bytes| {
                let (kind, device) = (FailureKind::DeviceLost(cause.clone()), device.clone());
                Arc::new(TransferError { kind, device, queue: name.clone(), id, label, bytes })
            };
            let refusal = self.lost_error(cause.clone(), &name);
            while let Some(&token) = self.queues[queue].order.front() {
                let message = self.messages.get_mut(token).expect("alive");
                let in_driver = message.state == State::Submitted;
                let result = match std::mem::take(&mut message.state) {
                    State::Over(result) => result,
                    _ => Err(error(MessageId(message.id), message.label.take(), message.bytes)),
                };
                self.resolve(token, result, in_driver, actions);
            }
            let state = &mut self.queues[queue];
            state.waiting.clear();
            state.in_driver = 0;
            state.failed = Some(refusal);
        }
        self.in_driver = 0;
    }

    /// What a queue of a lost device refuses messages with.
    pub(super) fn lost_error(&self, cause: Arc<str>, queue: &Arc<str>) -> Arc<TransferError> {
        Arc::new(TransferError {
            kind: FailureKind::DeviceLost(cause),
            device: self.device.clone(),
            queue: queue.clone(),
            id: MessageId(self.next_id),
            label: None,
            bytes: 0,
        })
    }
}
