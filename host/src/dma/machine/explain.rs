//! Why a message waits, for people.

use std::{fmt, ops::Range, sync::Arc};

use super::Machine;
use crate::{
    backend::{After, Lane, Token},
    dma::{
        MessageId,
        hazard::{Cause, Edge},
        model::{Kind, State},
    },
};

/// What stands in the place of a queue's name where there is none.
pub(super) const PROMISE: &str = "promise";

/// An earlier message that another one comes after, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dependency {
    /// The earlier message.
    pub on: MessageId,
    /// Why it goes first.
    pub cause: Cause,
    /// The name of the buffer that both touch ([`Buffer::name`](crate::Buffer::name)); `None` for a fence.
    pub buffer: Option<Arc<str>>,
    /// The bytes of it that both touch, in multiples of 4; `None` where that is all of them, and for a fence.
    pub bytes: Option<Range<u64>>,
}

/// What a message waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wait {
    /// Older messages of its queue, the first of them not wholly submitted.
    Behind(MessageId),
    /// An earlier message, because of what both touch, or a fence.
    For(Dependency),
    /// This message, which is the oldest, and all that are older than the fence itself.
    Older(MessageId),
    /// The doorbell of its queue ([`Doorbell`](crate::Doorbell)).
    Doorbell,
    /// Earlier commands in the driver: those of its queue, of its lane or of the device.
    Room(Lane),
    /// The program, which was to signal it: it is the fence of a promise.
    Signal,
    /// The device has it, or a part of it that must end first.
    Device,
    /// Its turn to be told: it is over, or a fence that everything before it has passed.
    Turn,
}

/// An unresolved message: what it was ordered behind, and what it waits for now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// The message.
    pub message: MessageId,
    /// Its queue; `promise` for the fence of one.
    pub queue: Arc<str>,
    /// The user's label, or the kernel's name where a launch has none.
    pub label: Option<Arc<str>>,
    /// The unresolved messages that it comes after, besides those of its own queue, and why.
    pub after: Vec<Dependency>,
    /// What keeps it from its end.
    pub waits: Wait,
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.on)?;
        let Some(buffer) = &self.buffer else { return write!(f, "{}", self.cause) };
        let what = match &self.bytes {
            None => format!("`{buffer}`"),
            Some(bytes) => format!("bytes {}..{} of `{buffer}`", bytes.start, bytes.end),
        };
        match self.cause {
            Cause::ReadAfterWrite => write!(f, "it reads {what}, which that one writes"),
            Cause::WriteAfterRead => write!(f, "it writes {what}, which that one reads"),
            Cause::WriteAfterWrite => write!(f, "both write {what}"),
            Cause::Fence => write!(f, "{}", self.cause),
        }
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Behind(other) => write!(f, "waits behind {other} of its queue"),
            Self::For(dependency) => write!(f, "waits for {dependency}"),
            Self::Older(other) => write!(f, "a fence, waits for {other} and all before it"),
            Self::Doorbell => f.write_str("waits for its queue's doorbell"),
            Self::Room(lane) => write!(f, "waits for room in the driver ({lane:?})"),
            Self::Signal => f.write_str("waits for its signal"),
            Self::Device => f.write_str("is with the device"),
            Self::Turn => f.write_str("is over, and waits for older ones of its queue to be told first"),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "message {} of queue `{}`", self.message, self.queue)?;
        if let Some(label) = &self.label {
            write!(f, " (`{label}`)")?;
        }
        write!(f, " {}", self.waits)?;
        // What it waits for is not said twice.
        let said = |dependency: &&Dependency| matches!(&self.waits, Wait::For(other) if other == *dependency);
        for dependency in self.after.iter().filter(|dependency| !said(dependency)) {
            write!(f, "; after {dependency}")?;
        }
        Ok(())
    }
}

impl Machine {
    /// Why the message is not over; `None` once it is resolved.
    pub(crate) fn explain(&self, token: Token) -> Option<Explanation> {
        let message = self.messages.get(token)?;
        let mut after: Vec<_> = self.edges_of(token)?.collect();
        after.dedup();
        Some(Explanation {
            message: MessageId(message.id),
            queue: self.queues.get(message.queue).map_or_else(|| PROMISE.into(), |queue| queue.name.clone()),
            label: message.label.told(),
            after,
            waits: self.wait_of(token)?,
        })
    }

    /// Why the message is not over, then why that is not for which it waits, and so on to the one that waits
    /// for nobody.
    pub(crate) fn chain(&self, token: Token) -> Vec<Explanation> {
        let next = |&token: &Token| {
            let message = self.messages.get(token)?;
            let queue = self.queues.get(message.queue);
            match self.wait_of(token)? {
                Wait::For(earlier) => message
                    .edges
                    .iter()
                    .map(|edge| edge.on)
                    .find(|&on| self.messages.get(on).is_some_and(|other| other.id == earlier.on.0)),
                Wait::Behind(_) => queue?.waiting.front().copied(),
                Wait::Older(_) => queue?.order.front().copied(),
                Wait::Doorbell | Wait::Room(_) | Wait::Signal | Wait::Device | Wait::Turn => None,
            }
        };
        std::iter::successors(Some(token), next).filter_map(|token| self.explain(token)).collect()
    }

    /// The oldest unresolved message of each queue that has one.
    pub(crate) fn oldest_of_all(&self) -> impl Iterator<Item = Token> + '_ {
        self.queues.iter().filter_map(|queue| queue.order.front().copied())
    }

    /// The unresolved messages that this one has an edge to, and why; `None` once it is resolved.
    pub(crate) fn edges_of(&self, token: Token) -> Option<impl Iterator<Item = Dependency> + '_> {
        Some(self.messages.get(token)?.edges.iter().filter_map(|edge| self.dependency(edge)))
    }

    /// What users are told of an edge, while the earlier message is unresolved.
    fn dependency(&self, edge: &Edge) -> Option<Dependency> {
        let on = MessageId(self.messages.get(edge.on)?.id);
        let buffer = edge.buffer.map(|buffer| self.resources.get(buffer).expect("the later message uses it"));
        let bytes = buffer.and_then(|buffer| edge.part.bytes(buffer.bytes));
        Some(Dependency { on, cause: edge.cause, buffer: buffer.map(|buffer| buffer.name.clone()), bytes })
    }

    /// What the message waits for now; `None` once it is resolved.
    pub(crate) fn wait_of(&self, token: Token) -> Option<Wait> {
        let message = self.messages.get(token)?;
        if message.kind == Some(Kind::Promise) {
            return Some(Wait::Signal);
        }
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
            self.messages.get(edge.on).filter(|m| message.state == State::Waiting && holds(&m.state))?;
            self.dependency(edge).map(Wait::For)
        });
        let oldest = *queue.order.front().expect("it is unresolved itself");
        Some(held.unwrap_or_else(|| match message.lane() {
            Some(_) if message.state == State::Waiting && !queue.is_rung(message.id) => Wait::Doorbell,
            Some(lane) => Wait::Room(lane),
            None if oldest == token => Wait::Turn,
            None => Wait::Older(id(oldest)),
        }))
    }
}
