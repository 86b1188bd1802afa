//! Which messages go to the driver now.

use super::{Machine, root_of};
use crate::{
    backend::{After, Lane, Token},
    dma::model::{Action, Command, Kind, Message, Priority, QueueId, State, Submit},
    error::FailureKind,
};

/// What came of a queue's turn.
#[derive(Debug, PartialEq, Eq)]
enum Progress {
    /// It may have more to submit.
    Moved,
    /// The driver or the lane has no room.
    NoRoom,
    /// Its oldest message waits for something; the queue is woken when that happens.
    Blocked,
}

impl Machine {
    /// Bytes of the messages that travel in one command.
    const JOINED_BYTES: u64 = 4 << 10;

    /// The commands that this one waits for and that its lane does not keep before it by itself.
    pub(crate) fn after(&self, command: Token) -> After {
        let mut after = After::default();
        let Some(&Command { message, first: true, .. }) = self.commands.get(command) else { return after };
        let message = self.messages.get(message).expect("it outlives its commands");
        if message.across == 0 {
            return after;
        }
        for edge in &message.edges {
            let earlier = self.messages.get(edge.on);
            let Some(earlier) = earlier.filter(|m| m.state == State::Submitted && m.kind != message.kind) else {
                continue;
            };
            if after.iter().all(|known| known != earlier.last) {
                let room = after.push(earlier.last);
                debug_assert!(room, "a message is submitted with more edges than fit");
            }
        }
        after
    }

    /// Submits what may be, queues of higher priority first, those of equal priority by turns. Where small
    /// messages join, it stops at as many as fill a command, so that the device has that while the others are
    /// looked at.
    pub(super) fn pump(&mut self, actions: &mut Vec<Action>) {
        self.shut = [Priority::COUNT; 3];
        let most = if self.max_joined > 1 { actions.len() + self.max_joined as usize } else { usize::MAX };
        let mut place = 0;
        while place < Priority::COUNT {
            self.woken = Priority::COUNT;
            self.go_round(place, most, actions);
            self.cut = actions.len() >= most;
            if self.cut {
                return;
            }
            place = if self.woken < place { self.woken } else { place + 1 };
        }
    }

    /// Whether the last pump has left what it might have submitted: then another one does.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut
    }

    /// Gives each queue of one priority its turns, until none moves, a higher one is woken, or there are `most`
    /// actions.
    fn go_round(&mut self, place: usize, most: usize, actions: &mut Vec<Action>) {
        let mut left = self.ready[place].len();
        while left > 0 {
            let queue = self.ready[place].pop_front().expect("as many as were counted");
            match self.advance(queue, actions) {
                Progress::Moved if self.queues[queue].waiting.is_empty() => {
                    self.queues[queue].ready = false;
                    left = self.ready[place].len();
                }
                Progress::Moved => {
                    self.ready[place].push_back(queue);
                    left = self.ready[place].len();
                }
                Progress::NoRoom => {
                    self.ready[place].push_back(queue);
                    left -= 1;
                }
                Progress::Blocked => {
                    self.queues[queue].ready = false;
                    left -= 1;
                }
            }
            if self.woken < place || actions.len() >= most {
                return;
            }
        }
    }

    /// Moves the first waiting message of the queue on, if it may.
    fn advance(&mut self, id: QueueId, actions: &mut Vec<Action>) -> Progress {
        let queue = &self.queues[id];
        let Some(&token) = queue.waiting.front() else { return Progress::Blocked };
        let message = self.messages.get(token).expect("a waiting message is alive");
        if let Some(doom) = &message.doom {
            // It ends after the work that it would have waited for: who waits for it waits for that, too.
            // What the driver has of it ends first.
            if message.commands > 0 || self.comes_after_work(message) {
                return Progress::Blocked;
            }
            let doom = doom.clone();
            self.queues[id].waiting.pop_front();
            self.finish(token, Err(doom), actions);
            return Progress::Moved;
        }
        let Some(lane) = message.lane() else { return self.pass_fence(id, token, actions) };
        let begun = message.state == State::Sending;
        let known =
            begun || queue.is_rung(message.id) && (message.unsent == 0 && message.across as usize <= After::MOST);
        if !known || queue.in_driver >= queue.limits.window {
            return Progress::Blocked;
        }
        let bytes = queue.limits.chunk_on(lane).min(message.moves - message.sent);
        let before = self.lanes[lane as usize];
        let room = before == 0 || before.saturating_add(bytes) <= queue.limits.ahead_on(lane);
        let (place, shut) = (queue.limits.priority.place(), &mut self.shut[lane as usize]);
        if !room || *shut <= place || self.in_driver >= self.max_in_driver {
            // Who comes after it would take, with less, the room that it waits for.
            *shut = place.min(*shut);
            return Progress::NoRoom;
        }
        self.submit(token, lane, bytes, actions);
        Progress::Moved
    }

    /// Whether something that is not over comes before it, promises apart: those move no memory.
    fn comes_after_work(&self, message: &Message) -> bool {
        message
            .edges
            .iter()
            .filter_map(|edge| self.messages.get(edge.on))
            .any(|earlier| earlier.kind != Some(Kind::Promise) && !matches!(earlier.state, State::Over(_)))
    }

    /// A fence is over when it is the oldest, as everything before it has been resolved, and when the fences
    /// are that its queue waits for.
    fn pass_fence(&mut self, id: QueueId, token: Token, actions: &mut Vec<Action>) -> Progress {
        let queue = &mut self.queues[id];
        let gated = self.messages.get(token).is_some_and(|message| message.unended > 0);
        if gated || queue.order.front() != Some(&token) {
            return Progress::Blocked;
        }
        let result = match queue.fence_failure.take() {
            Some(error) => Err(FailureKind::Upstream { root: root_of(error) }),
            None => Ok(()),
        };
        queue.waiting.pop_front();
        self.finish(token, result, actions);
        Progress::Moved
    }

    /// Hands the next `bytes` of the message to the driver, and with them what may travel in the same command.
    fn submit(&mut self, token: Token, lane: Lane, bytes: u64, actions: &mut Vec<Action>) {
        let message = self.messages.get_mut(token).expect("alive");
        let id = message.queue;
        let whole = message.sent == 0 && bytes == message.moves;
        let (name, command) = self.commands.take();
        *command = Command { message: token, bytes, first: message.state == State::Waiting, messages: 1 };
        let part = (!whole).then_some(message.sent..message.sent + bytes);
        let in_lane = self.lanes[lane as usize] + bytes;
        let all = message.give(name, bytes, in_lane);
        let (told, joins) = (all && !message.dependants.is_empty(), whole && message.joins);
        let queue = &mut self.queues[id];
        queue.in_driver += 1;
        self.in_driver += 1;
        self.lanes[lane as usize] = in_lane;
        if all {
            queue.waiting.pop_front();
        }
        actions.push(Action::Submit(Submit { message: token, command: name, part }));
        if told {
            self.announce(token, true, false);
        }
        if joins && self.max_joined > 1 {
            self.join(name, lane, actions);
        }
    }

    /// Takes the messages behind this command's one into it, as far as they may travel in it, and until a queue of
    /// higher priority is woken.
    fn join(&mut self, name: Token, lane: Lane, actions: &mut Vec<Action>) {
        let &Command { message: mut tail, mut bytes, mut messages, .. } = self.commands.get(name).expect("just taken");
        let id = self.messages.get(tail).expect("just submitted").queue;
        let place = self.queues[id].limits.priority.place();
        while messages < self.max_joined && self.woken >= place {
            let queue = &mut self.queues[id];
            let Some(&token) = queue.waiting.front() else { break };
            let message = self.messages.get_mut(token).expect("a waiting message is alive");
            let in_lane = self.lanes[lane as usize] + message.moves;
            let fits = bytes + message.moves <= Self::JOINED_BYTES
                && message.moves <= queue.limits.chunk_on(lane)
                && in_lane <= queue.limits.ahead_on(lane);
            if !fits || !message.may_join() || !queue.is_rung(message.id) {
                break;
            }
            debug_assert_eq!(message.lane(), Some(lane), "what joins is of one lane");
            messages += 1;
            bytes += message.moves;
            message.give(name, message.moves, in_lane);
            let told = !message.dependants.is_empty();
            self.lanes[lane as usize] = in_lane;
            queue.waiting.pop_front();
            self.messages.get_mut(tail).expect("it is with the driver").next = Some(token);
            tail = token;
            actions.push(Action::Submit(Submit { message: token, command: name, part: None }));
            if told {
                self.announce(token, true, false);
            }
        }
        let command = self.commands.get_mut(name).expect("just taken");
        (command.bytes, command.messages) = (bytes, messages);
    }
}
