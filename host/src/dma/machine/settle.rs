//! The end of a message: its outcome, whom a failure drags along, and its turn in its queue.

use std::sync::Arc;

use super::Machine;
use crate::{
    backend::Token,
    dma::{
        MessageId,
        hazard::Touch,
        label::Label,
        model::{Action, Command, FailPolicy, Kind, Message, QueueId, State},
    },
    error::{FailureKind, TransferError},
};

impl Machine {
    /// A command is over, and with it the messages, or the chunk of one, that travelled in it.
    pub(super) fn over(&mut self, command: Token, result: Result<(), FailureKind>, actions: &mut Vec<Action>) {
        // A name that is dead is a late or doubled report.
        let Some(&Command { message: first, bytes, messages, .. }) = self.commands.get(command) else { return };
        self.commands.free(command);
        let message = self.messages.get(first).expect("it outlives its commands");
        let (lane, queue) = (message.lane().expect("only work has commands"), message.queue);
        self.in_driver -= 1;
        self.lanes[lane as usize] -= bytes;
        self.queues[queue].in_driver -= 1;
        let mut next = Some(first);
        while let Some(token) = next {
            let message = self.messages.get_mut(token).expect("it outlives its commands");
            next = message.next.take();
            message.commands -= 1;
            match &result {
                // Behind a chunk that failed nothing counts; chunks of a message taken back do.
                Ok(()) if !message.torn => message.done += if messages == 1 { bytes } else { message.moves },
                Ok(()) => {}
                Err(kind) => {
                    message.torn = true;
                    message.doom.get_or_insert_with(|| kind.clone());
                }
            }
            if message.state == State::Submitted && message.commands == 0 {
                match message.doom.clone() {
                    None => self.succeed(token, actions),
                    Some(doom) => self.finish(token, Err(doom), actions),
                }
            }
        }
        self.settle(queue, actions);
    }

    /// The message has gone well. Where it is its queue's oldest and has nothing to tell of others it is resolved
    /// at once, which is what comes of most; else it waits for its turn.
    fn succeed(&mut self, token: Token, actions: &mut Vec<Action>) {
        let message = self.messages.get_mut(token).expect("alive");
        let queue = &self.queues[message.queue];
        let at_once = queue.order.front() == Some(&token) && queue.untold.is_none();
        if !at_once {
            message.state = State::Over(Ok(()));
        }
        if !message.dependants.is_empty() {
            self.announce(token, false, true);
        }
        if at_once {
            self.resolve(token, Ok(()), false, actions);
        }
    }

    /// The message is over; resolves what may be resolved in its queue.
    pub(super) fn finish(&mut self, token: Token, result: Result<(), FailureKind>, actions: &mut Vec<Action>) {
        let message = self.messages.get(token).expect("alive");
        let (queue, sent) = (message.queue, message.state == State::Submitted);
        let waited_for = !message.dependants.is_empty();
        let result = result.map_err(|kind| self.error_of(message, kind));
        self.messages.get_mut(token).expect("alive").state = State::Over(result.clone());
        if let Err(error) = result {
            self.spread(token, &error);
        }
        if waited_for {
            self.announce(token, !sent, true);
        }
        self.settle(queue, actions);
    }

    pub(super) fn error_of(&self, message: &Message, kind: FailureKind) -> Arc<TransferError> {
        let bytes = message.bytes.max(message.moves);
        Arc::new(TransferError {
            kind,
            device: self.device.clone(),
            queue: self.queues[message.queue].name.clone(),
            id: MessageId(message.id),
            label: message.label.told(),
            bytes,
            // The last grain may be longer than what the user sent.
            bytes_done: message.done.min(bytes),
        })
    }

    /// Dooms what reads the failed message's data, and what stands behind it where the queue stops.
    pub(super) fn spread(&mut self, failed: Token, error: &Arc<TransferError>) {
        let message = self.messages.get_mut(failed).expect("alive");
        let Message { queue, id, kind, .. } = *message;
        for touch in message.accesses.iter().filter(|touch| touch.access.writes()) {
            if let Some(resource) = self.resources.get_mut(touch.buffer) {
                resource.fail(failed, error);
            }
        }
        let root = root_of(error.clone());
        let dependants = std::mem::take(&mut message.dependants);
        for &(dependant, _) in dependants.iter().filter(|(_, data)| *data) {
            self.doom(dependant, || FailureKind::Upstream { root: root.clone() });
        }
        self.messages.get_mut(failed).expect("alive").dependants = dependants;
        // A fence only reports what failed before it, and a promise is in no queue.
        if matches!(kind, Some(Kind::Fence | Kind::Promise)) {
            for queue in self.queues.iter_mut().filter(|queue| queue.gates.contains(&failed)) {
                queue.gate_failure.get_or_insert_with(|| root.clone());
            }
            return;
        }
        let state = &mut self.queues[queue];
        state.fence_failure.get_or_insert_with(|| error.clone());
        // One stop is for all that was accepted before it: what it aborts does not stop the queue again.
        if state.limits.policy == FailPolicy::FailStop && !is_wish(&root.kind) && id >= state.stopped {
            state.failed.get_or_insert_with(|| error.clone());
            state.stopped = self.next_id;
            self.abort_behind(queue, id, &root);
        }
    }

    /// Dooms what the queue has accepted after this message.
    fn abort_behind(&mut self, queue: QueueId, id: u64, root: &Arc<TransferError>) {
        for place in (0..self.queues[queue].order.len()).rev() {
            let token = self.queues[queue].order[place];
            let message = self.messages.get(token).expect("an unresolved message is alive");
            if message.id <= id {
                return;
            }
            if message.kind != Some(Kind::Fence) {
                self.doom(token, || FailureKind::Aborted { after: MessageId(id), root: root.clone() });
            }
        }
    }

    /// The message will fail, unless it is over or has a reason already.
    fn doom(&mut self, token: Token, why: impl FnOnce() -> FailureKind) {
        let Some(message) = self.messages.get_mut(token) else { return };
        if message.doom.is_none() && !matches!(message.state, State::Over(_)) {
            message.doom = Some(why());
            let queue = message.queue;
            self.wake(queue);
        }
    }

    /// Resolves the oldest messages of the queue that are over.
    fn settle(&mut self, queue: QueueId, actions: &mut Vec<Action>) {
        while let Some(&token) = self.queues[queue].order.front() {
            let message = self.messages.get_mut(token).expect("an unresolved message is alive");
            let State::Over(result) = &mut message.state else { break };
            let result = std::mem::replace(result, Ok(()));
            let plain = result.is_ok() && self.queues[queue].untold.is_none();
            let result = if plain { result } else { self.fold(token, result) };
            self.resolve(token, result, false, actions);
        }
        // A fence may have become the oldest.
        self.wake(queue);
    }

    /// Keeps the failure of a message that nobody is told of for the next one that somebody is told of. That
    /// one itself went well: its data is there for those that read it.
    pub(super) fn fold(
        &mut self,
        token: Token,
        result: Result<(), Arc<TransferError>>,
    ) -> Result<(), Arc<TransferError>> {
        let message = self.messages.get(token).expect("alive");
        let (queue, is_fence) = (message.queue, message.kind == Some(Kind::Fence));
        let untold = &mut self.queues[queue].untold;
        match &result {
            Err(error) if message.unsignaled => drop(untold.get_or_insert_with(|| root_of(error.clone()))),
            _ if untold.is_none() => {}
            // It says so itself.
            _ if is_fence => *untold = None,
            Err(error) if matches!(error.kind, FailureKind::Aborted { .. }) => *untold = None,
            Ok(()) if !message.unsignaled => {
                let root = untold.take().expect("just seen");
                let error = Arc::unwrap_or_clone(self.error_of(message, FailureKind::Unsignaled { root }));
                return Err(Arc::new(TransferError { bytes_done: error.bytes, ..error }));
            }
            _ => {}
        }
        result
    }

    pub(super) fn resolve(
        &mut self,
        token: Token,
        result: Result<(), Arc<TransferError>>,
        in_driver: bool,
        actions: &mut Vec<Action>,
    ) {
        let message = self.messages.get_mut(token).expect("alive");
        let id = message.queue;
        let queue = &mut self.queues[id];
        queue.order.pop_front();
        queue.ops -= 1;
        queue.bytes -= message.bytes;
        let (retired, holds) = (queue.retired, queue.bell.ops > 0);
        message.label = Label::None;
        message.doom = None;
        if std::mem::take(&mut message.timed) {
            self.deadlines.forget();
        }
        actions.push(Action::Resolve { token, result, in_driver });
        for &Touch { buffer: name, .. } in &message.accesses {
            let Some(resource) = self.resources.get_mut(name) else { continue };
            resource.users -= 1;
            if resource.users == 0 && resource.dropped {
                self.resources.free(name);
                self.to_be_freed -= 1;
                actions.push(Action::Free(name));
            }
        }
        if holds {
            let (number, bytes) = (message.id, message.bytes);
            self.let_go(id, number, bytes);
        }
        self.messages.free(token);
        if retired {
            self.vacate(id);
        }
    }
}

/// The first failure of a chain.
pub(super) fn root_of(error: Arc<TransferError>) -> Arc<TransferError> {
    match &error.kind {
        FailureKind::Upstream { root } | FailureKind::Unsignaled { root } | FailureKind::Aborted { root, .. } => {
            root.clone()
        }
        _ => error,
    }
}

/// Somebody wanted it so.
pub(super) fn is_wish(kind: &FailureKind) -> bool {
    matches!(kind, FailureKind::Cancelled | FailureKind::Deadline | FailureKind::Abandoned(_))
}
