//! Batches: messages that are accepted together, or not at all.

use wharf::{Batch, Entry, Error, Message, Refusal, Sent};

use super::{Expected, Harness, PART, PART_AT, PATIENCE, WORDS, permit::asked_once, send::Way};
use crate::program::{BUFFERS, Commit, End};

/// A message in a batch, with what comes back.
enum Pushed {
    Data(Entry<Vec<u32>>, Expected),
    Plain(Entry<()>),
}

/// What is in a batch, and what the buffers hold once it has run.
struct Plan {
    pushed: Vec<Pushed>,
    words: [Vec<u32>; BUFFERS],
}

impl Harness<'_> {
    pub(super) fn batch(&mut self, way: Way<'_>, (buffer, messages): (usize, usize), takes: bool, commit: Commit) {
        let queue = self.queues[way.queue].clone();
        let mut batch = queue.batch();
        let mut plan = Plan { pushed: Vec::new(), words: self.words.clone() };
        for place in 0..messages {
            self.push(&mut batch, &mut plan, buffer, place);
        }
        if takes {
            self.push_and_take(&mut batch, buffer);
        }
        let ops = plan.pushed.len() as u32;
        assert_eq!(batch.len(), plan.pushed.len());
        let done = self.commit(&mut batch, &way, &mut plan, commit);
        let Some(error) = done.err() else { return };
        self.outcomes.batches_refused += u64::from(error.is_some());
        self.outcomes.batches_dropped += u64::from(error.is_none());
        match error {
            Some(Error::Argument { .. }) => assert!(ops > self.bounds[way.queue].depth, "it may fit some day"),
            Some(error) => self.refused(way.queue, ops, &error),
            None => {}
        }
        // It is as it was.
        assert_eq!(batch.len(), plan.pushed.len());
        for pushed in plan.pushed {
            if let Pushed::Data(entry, Expected::Vector(place, words)) = pushed {
                let back = batch.take(entry).into_buffer();
                assert_eq!((back.as_ptr(), &back), (place, &words), "another buffer comes back");
            }
        }
    }

    /// Sends the batch; gives the reason where that did not come to pass, or none where it was not to.
    fn commit(
        &mut self,
        batch: &mut Batch<'_>,
        way: &Way<'_>,
        plan: &mut Plan,
        commit: Commit,
    ) -> Result<(), Option<Error>> {
        let patient = !self.has_promised() && self.reserved_of(way.queue) == (0, 0);
        let sent = match commit {
            Commit::Waits if patient => batch.commit(),
            Commit::Waits => batch.commit_timeout(PATIENCE),
            Commit::Within(time) => batch.commit_timeout(time),
            Commit::Tries => batch.try_commit(),
            Commit::Awaits => asked_once(batch.commit_async()).ok_or(None)?,
            Commit::Never => return Err(None),
        };
        match sent.map(|sent| self.sent(sent, way, plan)) {
            Ok(()) => Ok(()),
            Err(Error::Refused { why: Refusal::Full { .. }, .. }) if patient && commit == Commit::Tries => {
                self.outcomes.batches_full += 1;
                self.commit(batch, way, plan, Commit::Waits)
            }
            Err(error) => Err(Some(error)),
        }
    }

    fn sent(&mut self, mut sent: Sent<'_>, way: &Way<'_>, plan: &mut Plan) {
        self.outcomes.batches += 1;
        self.words.clone_from(&plan.words);
        let mut last = None;
        for (place, pushed) in plan.pushed.drain(..).enumerate() {
            // Some tickets are dropped with the others of their batch.
            if way.ends == End::Dropped && place % 2 == 1 {
                let expected = if let Pushed::Data(_, expected) = pushed { expected } else { Expected::Nothing };
                let message = self.accept(*way, None, expected);
                self.is_detached(message);
                continue;
            }
            let id = match pushed {
                Pushed::Data(entry, expected) => {
                    let ticket = sent.ticket(entry);
                    let id = ticket.id();
                    self.data(*way, ticket, expected, false);
                    id
                }
                Pushed::Plain(entry) => {
                    let ticket = sent.ticket(entry);
                    let id = ticket.id();
                    self.plain(*way, Ok(ticket), Expected::Nothing);
                    id
                }
            };
            assert!(last < Some(id), "{id} comes after {last:?} in its batch");
            last = Some(id);
        }
    }

    /// Adds a message: which kind its place says.
    fn push(&mut self, batch: &mut Batch<'_>, plan: &mut Plan, buffer: usize, place: usize) {
        let whole = self.fresh(WORDS);
        let y = (buffer + 1) % BUFFERS;
        let (Some(to), Some(other)) = (&self.buffers[buffer], &self.buffers[y]) else { return };
        let device = self.sim.device();
        let data = |batch: &mut Batch<'_>, message: Message<Vec<u32>>, expected| {
            Pushed::Data(batch.push(message).expect("for this device"), expected)
        };
        let plain = |batch: &mut Batch<'_>, message: wharf::Result<Message<()>>| {
            Pushed::Plain(batch.push(message.expect("well formed")).expect("for this device"))
        };
        let pushed = match (buffer + place) % 5 {
            0 => {
                let expected = Expected::Vector(whole.as_ptr(), whole.clone());
                plan.words[buffer].copy_from_slice(&whole);
                data(batch, device.upload(to).message(whole).expect("it fits"), expected)
            }
            1 => {
                plan.words[y] = plan.words[buffer].clone();
                plain(batch, device.copy(to, other).message())
            }
            2 => {
                let part = &whole[..PART];
                plan.words[buffer][PART_AT..][..PART].copy_from_slice(part);
                plain(batch, device.upload(to).at(PART_AT).copy_message(part))
            }
            3 => {
                plan.words[y].fill(0);
                plain(batch, device.clear(other).message())
            }
            _ => {
                let expected = Expected::Words(plan.words[buffer].clone());
                data(batch, device.download(to).message(vec![u32::MAX; 3]).expect("it fits"), expected)
            }
        };
        plan.pushed.push(pushed);
    }

    /// Adds a message and takes it out again.
    fn push_and_take(&mut self, batch: &mut Batch<'_>, buffer: usize) {
        let words = self.fresh(WORDS);
        let Some(to) = &self.buffers[buffer] else { return };
        let (place, copy, before) = (words.as_ptr(), words.clone(), batch.bytes());
        let message = self.sim.device().upload(to).message(words).expect("it fits");
        let entry = batch.push(message).expect("for this device");
        assert_eq!(batch.bytes(), before + size_of_val(&copy[..]) as u64);
        let back = batch.take(entry).into_buffer();
        assert_eq!((back.as_ptr(), back, batch.bytes()), (place, copy, before));
        self.outcomes.taken_out += 1;
    }
}
