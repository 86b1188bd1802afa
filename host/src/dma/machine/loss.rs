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
    /// Resolves everything, in order; nothing that is reported later is listened to.
    pub(super) fn lose(&mut self, cause: Arc<str>, actions: &mut Vec<Action>) {
        if self.lost.is_some() {
            return;
        }
        self.lost = Some(cause.clone());
        for id in 0..self.queues.len() {
            while let Some(&token) = self.queues[id].order.front() {
                let message = self.messages.get_mut(token).expect("alive");
                let in_driver = message.commands > 0;
                let result = match std::mem::take(&mut message.state) {
                    State::Over(result) => result,
                    _ => {
                        let message = self.messages.get(token).expect("alive");
                        Err(self.error_of(message, FailureKind::DeviceLost(cause.clone())))
                    }
                };
                let result = self.fold(token, result);
                self.resolve(token, result, in_driver, actions);
            }
            let refusal = self.lost_error(cause.clone(), &self.queues[id].name);
            let queue = &mut self.queues[id];
            queue.waiting.clear();
            queue.in_driver = 0;
            queue.ready = false;
            queue.failed = Some(refusal);
        }
        self.break_promises(&cause, actions);
        self.silence();
        self.ready.iter_mut().for_each(|ready| ready.clear());
        self.commands.clear();
        self.deadlines.clear();
        self.in_driver = 0;
        self.lanes = [0; 3];
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
            bytes_done: 0,
        })
    }
}
