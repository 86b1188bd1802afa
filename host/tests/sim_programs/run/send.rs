//! Messages one by one, and what becomes of each.

use std::{mem, time::Duration};

use wharf::{Error, MessageId, Permit, Refusal, Ticket};

use super::{
    Expected, Harness, MIX, PART, PART_AT, Sent, WORDS,
    held::{Carried, Held},
    mix,
};
use crate::program::End;

/// Where a message goes, with whose credits, and what becomes of its ticket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way<'w> {
    pub(super) queue: usize,
    pub(super) permit: Option<&'w Permit<'w>>,
    pub(super) ends: End,
}

/// Says to a builder which way.
macro_rules! sent_by {
    ($builder:expr, $harness:expr, $way:expr) => {
        match $way.permit {
            Some(permit) => $builder.with(permit),
            None => $builder.on(&$harness.queues[$way.queue]).or_refuse(),
        }
    };
}
pub(super) use sent_by;

impl Harness<'_> {
    pub(super) fn upload(&mut self, way: Way<'_>, buffer: usize, whole: bool, within: Option<Duration>) {
        let (at, len) = if whole { (0, WORDS) } else { (PART_AT, PART) };
        let words = self.fresh(len);
        let Some(to) = &self.buffers[buffer] else { return };
        let (place, copy) = (words.as_ptr(), words.clone());
        let mut upload = sent_by!(self.sim.device().upload(to).at(at), self, way);
        if let Some(time) = within {
            upload = upload.deadline(time);
        }
        match upload.send(words) {
            Ok(ticket) => {
                self.words[buffer][at..at + copy.len()].copy_from_slice(&copy);
                self.data(way, ticket, Expected::Vector(place, copy), within.is_some());
            }
            Err(refused) => {
                assert_eq!((refused.buffer.as_ptr(), &refused.buffer), (place, &copy), "handed back as it was");
                self.refused(way.queue, 1, &refused.error);
            }
        }
    }

    pub(super) fn download(&mut self, way: Way<'_>, buffer: usize, within: Option<Duration>) {
        let Some(from) = &self.buffers[buffer] else { return };
        let mut download = sent_by!(self.sim.device().download(from), self, way);
        if let Some(time) = within {
            download = download.deadline(time);
        }
        match download.into(vec![u32::MAX; 3]) {
            Ok(ticket) => {
                let expected = Expected::Words(self.words[buffer].clone());
                self.data(way, ticket, expected, within.is_some());
            }
            Err(refused) => self.refused(way.queue, 1, &refused.error),
        }
    }

    pub(super) fn launch(&mut self, way: Way<'_>, x: usize, y: usize) {
        let (Some(from), Some(to)) = (&self.buffers[x], &self.buffers[y]) else { return };
        let sent = sent_by!(self.sim.device().launch(&MIX).bind(from).bind(to), self, way).run();
        if self.plain(way, sent, Expected::Nothing) {
            let from = self.words[x].clone();
            mix(&from, &mut self.words[y]);
        }
    }

    pub(super) fn copy(&mut self, way: Way<'_>, x: usize, y: usize) {
        let (Some(from), Some(to)) = (&self.buffers[x], &self.buffers[y]) else { return };
        let sent = sent_by!(self.sim.device().copy(from, to), self, way).send();
        if self.plain(way, sent, Expected::Nothing) {
            self.words[y] = self.words[x].clone();
        }
    }

    pub(super) fn clear(&mut self, way: Way<'_>, buffer: usize) {
        let Some(to) = &self.buffers[buffer] else { return };
        let sent = sent_by!(self.sim.device().clear(to), self, way).send();
        if self.plain(way, sent, Expected::Nothing) {
            self.words[buffer].fill(0);
        }
    }

    pub(super) fn fill(&mut self, way: Way<'_>, buffer: usize, commit: bool) {
        let words = self.fresh(WORDS);
        let Some(to) = &self.buffers[buffer] else { return };
        let upload = sent_by!(self.sim.device().upload(to), self, way);
        let sent = upload.reserve(WORDS).and_then(|mut fill| {
            fill.copy_from_slice(&words);
            commit.then(|| fill.commit()).transpose()
        });
        let Some(sent) = sent.transpose() else { return };
        if self.plain(way, sent, Expected::Filled) {
            self.words[buffer] = words;
        }
    }

    /// A message without a buffer; answers whether it was accepted.
    pub(super) fn plain(&mut self, way: Way<'_>, sent: Result<Ticket<()>, Error>, expected: Expected) -> bool {
        let ticket = match sent {
            Ok(ticket) => ticket,
            Err(error) => {
                self.refused(way.queue, 1, &error);
                return false;
            }
        };
        let message = self.accept(way, Some(ticket.id()), expected);
        match way.ends {
            End::Held => self.held.push(Held::Plain(message, ticket)),
            End::Forwarded | End::CalledBack => ticket.forward(&self.plain, message),
            End::Dropped => self.detach(Held::Plain(message, ticket)),
            End::Forgotten => self.forget(message, ticket),
        }
        true
    }

    /// An accepted message with a buffer.
    pub(super) fn data(&mut self, way: Way<'_>, ticket: Ticket<Vec<u32>>, expected: Expected, deadline: bool) {
        let message = self.accept(way, Some(ticket.id()), expected);
        self.sent[message].deadline = deadline;
        match way.ends {
            End::Held => self.held.push(Held::Data(message, ticket)),
            End::Forwarded => ticket.forward(&self.data, message),
            End::CalledBack => {
                let called = self.called.clone();
                ticket.on_complete(move |done| called.lock().unwrap().push((message, done)));
            }
            End::Dropped => self.detach(Held::Data(message, ticket)),
            End::Forgotten => self.forget(message, ticket),
        }
    }

    pub(super) fn accept(&mut self, way: Way<'_>, id: Option<MessageId>, expected: Expected) -> usize {
        assert!(!self.closed[way.queue], "accepted by a closed queue");
        self.outcomes.permit_sends += u64::from(way.permit.is_some());
        self.sent.push(Sent {
            queue: self.numbers[way.queue],
            id,
            expected,
            cancelled: false,
            deadline: false,
            settled: false,
        });
        self.sent.len() - 1
    }

    pub(super) fn detach(&mut self, held: Held) {
        let message = held.message();
        drop(held);
        self.is_detached(message);
    }

    /// The message's ticket was dropped.
    pub(super) fn is_detached(&mut self, message: usize) {
        assert!(!mem::replace(&mut self.sent[message].settled, true), "settled once");
        self.detached += 1;
    }

    fn forget<B: Carried>(&mut self, message: usize, ticket: Ticket<B>) {
        mem::forget(ticket);
        self.sent[message].settled = true;
        self.forgotten += 1;
    }

    /// A message, or so many together, were not accepted.
    pub(super) fn refused(&mut self, queue: usize, messages: u32, error: &Error) {
        let stats = self.queues[queue].stats();
        match error {
            Error::Refused { why: Refusal::Full { free_ops, free_bytes, bytes }, .. } => {
                assert!(messages > *free_ops || bytes > free_bytes, "refused with room");
                assert_eq!((*free_ops, *free_bytes), (stats.free_ops, stats.free_bytes), "a refusal changes nothing");
                self.outcomes.refused_full += 1;
            }
            Error::Refused { why: Refusal::Closed, .. } => {
                assert!(self.closed[queue], "an open queue says that it is closed");
                self.outcomes.refused_closed += 1;
            }
            Error::Refused { why: Refusal::Failed(_), .. } => self.outcomes.refused_failed += 1,
            Error::Refused { why: Refusal::Permit { left_ops, left_bytes, ops, bytes }, .. } => {
                assert!(ops > left_ops || bytes > left_bytes, "the permit has enough");
                self.outcomes.refused_permit += 1;
            }
            Error::Refused { why: Refusal::Timeout, .. } => self.outcomes.refused_timeout += 1,
            Error::OutOfMemory { .. } => self.outcomes.refused_memory += 1,
            // Allocations of a lost device.
            Error::Device { .. } => self.outcomes.refused_failed += 1,
            error => panic!("{error}"),
        }
    }
}
