//! Fences that the user signals: messages of no queue, over when somebody says so.
//!
//! To the others they are messages that have not been submitted: whoever has an edge to one waits here,
//! so that no backend ever hears of them, and waiting before signalling needs nothing of it.

use std::sync::Arc;

use super::{Machine, explain::PROMISE};
use crate::{
    backend::Token,
    dma::{
        MessageId,
        label::Label,
        model::{Action, Kind, QueueId, State},
    },
    error::{FailureKind, TransferError},
};

impl Machine {
    /// A new promise.
    pub(crate) fn promise(&mut self, label: Option<Arc<str>>) -> (Token, MessageId) {
        let (token, message) = self.messages.take();
        let id = self.next_id;
        message.begin(id, QueueId::MAX, Kind::Promise);
        message.label = label.map_or(Label::None, Label::User);
        self.next_id += 1;
        self.promises.push(token);
        (token, MessageId(id))
    }

    /// Somebody has said how the promise comes out. Nothing, where it is out already.
    pub(super) fn keep(&mut self, token: Token, result: Result<(), FailureKind>, actions: &mut Vec<Action>) {
        let Some(message) = self.messages.get_mut(token) else { return };
        let error = |kind| {
            Arc::new(TransferError {
                kind,
                device: self.device.clone(),
                queue: PROMISE.into(),
                id: MessageId(message.id),
                label: message.label.told(),
                bytes: 0,
                bytes_done: 0,
            })
        };
        let result = result.map_err(error);
        message.state = State::Over(result.clone());
        message.label = Label::None;
        if let Err(error) = &result {
            self.spread(token, error);
        }
        self.announce(token, true, true);
        self.promises.retain(|&other| other != token);
        self.messages.free(token);
        actions.push(Action::Kept { token, result });
    }

    /// No promise is kept on a lost device.
    pub(super) fn break_promises(&mut self, cause: &Arc<str>, actions: &mut Vec<Action>) {
        for token in std::mem::take(&mut self.promises) {
            self.keep(token, Err(FailureKind::DeviceLost(cause.clone())), actions);
        }
    }

    /// Why the device is lost, if it is.
    pub(crate) fn lost(&self) -> Option<&Arc<str>> {
        self.lost.as_ref()
    }
}
