//! Why a message waits, for people.

use std::fmt;

use super::Machine;
use crate::{
    backend::{After, Lane, Token},
    dma::{MessageId, hazard::Cause, model::State},
};

/// What a message waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wait {
    /// Older messages of its queue, the first of them not wholly submitted.
    Behind(MessageId),
    /// An earlier message, because of what both touch.
    For(MessageId, Cause),
    /// This message, which is the oldest, and all that are older than the fence itself.
    Older(MessageId),
    /// The doorbell of its queue ([`Doorbell`](crate::Doorbell)).
    Doorbell,
    /// Earlier commands in the driver: those of its queue, of its lane or of the device.
    Room(Lane),
    /// The device has it, or a part of it that must end first.
    Device,
    /// Its turn to be told: it is over.
    Turn,
}

/// An unresolved message: what it was ordered behind, and what it waits for now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// The message.
    pub message: MessageId,
    /// The unresolved messages that it comes after, besides those of its own queue, and why.
    pub after: Vec<(MessageId, Cause)>,
    /// What keeps it from its end.
    pub waits: Wait,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Behind(other) => write!(f, "waits behind {other} of its queue"),
            Self::For(other, cause) => write!(f, "waits for {other}: {cause}"),
            Self::Older(other) => write!(f, "a fence, waits for {other} and all before it"),
            Self::Doorbell => f.write_str("waits for its queue's doorbell"),
            Self::Room(lane) => write!(f, "waits for room in the driver ({lane:?})"),
            Self::Device => f.write_str("is with the device"),
            Self::Turn => f.write_str("is over, and waits for older ones of its queue to be told first"),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "message {} {}", self.message, self.waits)?;
        for (other, cause) in &self.after {
            write!(f, "; after {other} ({cause})")?;
        }
        Ok(())
    }
}

impl Machine {
    /// Why the message is not over; `None` once it is resolved.
    pub(crate) fn explain(&self, token: Token) -> Option<Explanation> {
        let message = MessageId(self.messages.get(token)?.id);
        let mut after: Vec<_> = self.edges_of(token)?.collect();
        after.dedup();
        Some(Explanation { message, after, waits: self.wait_of(token)? })
    }

    /// The unresolved messages that this one has an edge to, and why; `None` once it is resolved.
    pub(crate) fn edges_of(&self, token: Token) -> Option<impl Iterator<Item = (MessageId, Cause)> + '_> {
        let message = self.messages.get(token)?;
        let live = |on| self.messages.get(on).map(|m| MessageId(m.id));
        Some(message.edges.iter().filter_map(move |edge| Some((live(edge.on)?, edge.cause))))
    }

    /// What the message waits for now; `None` once it is resolved.
    pub(crate) fn wait_of(&self, token: Token) -> Option<Wait> {
        let message = self.messages.get(token)?;
        let queue = &self.queues[message.queue];
        match message.state {
            State::Over(_) => return Some(Wait::Turn),
            State::Submitted => return Some(Wait::Device),
            State::Sending if message.doom.is_some() => return Some(Wait::Device),
            State::Sending | State::Waiting => {}
        }
        let id = |token| MessageId(self.messages.get(token).expect("an unresolved message is alive").id);
        let front = *queue.waiting.front().expect("it is waiting itself");
        if front != token {
            return Some(Wait::Behind(id(front)));
        }
        let few = message.across as usize <= After::MOST;
        let holds = |state: &State| match state {
            State::Over(_) => false,
            State::Submitted => message.doom.is_some() || !few,
            State::Waiting | State::Sending => true,
        };
        let held = message.edges.iter().find_map(|edge| {
            let earlier = self.messages.get(edge.on).filter(|m| message.state == State::Waiting && holds(&m.state))?;
            Some(Wait::For(MessageId(earlier.id), edge.cause))
        });
        let oldest = *queue.order.front().expect("it is unresolved itself");
        Some(held.unwrap_or_else(|| match message.lane() {
            Some(_) if message.state == State::Waiting && !queue.is_rung(message.id) => Wait::Doorbell,
            Some(lane) => Wait::Room(lane),
            None => Wait::Older(id(oldest)),
        }))
    }
}
