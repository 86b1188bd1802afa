//! What is promised after every step, and at the end.

use std::{mem, time::Duration};

use wharf::{Completion, Doorbell, FailureKind};

use super::{Expected, Harness, WORDS, held::Carried};
use crate::program::Keeps;

impl Harness<'_> {
    /// A message's one completion.
    pub(super) fn seen<B: Carried>(&mut self, message: usize, done: Completion<B>) {
        let sent = &mut self.sent[message];
        assert!(!mem::replace(&mut sent.settled, true), "message {message} completes twice");
        assert_eq!(sent.id, Some(done.id), "another message's completion");
        self.seen += 1;
        match done.result.as_ref().map_err(|error| &error.kind) {
            Err(FailureKind::Cancelled) => assert!(sent.cancelled, "message {message} was not cancelled"),
            Err(FailureKind::Deadline) => assert!(sent.deadline, "message {message} has no deadline"),
            result => assert!(!(sent.cancelled && result.is_ok()), "message {message} was cancelled, and went well"),
        }
        let lost = matches!(&done.result, Err(error) if matches!(error.kind, FailureKind::DeviceLost(_)));
        match (&sent.expected, done.buffer.map(Carried::words)) {
            (Expected::Nothing, Some(None)) => {}
            (Expected::Replay, Some(None)) => match done.result.as_ref().map_err(|error| &error.kind) {
                Ok(()) => self.outcomes.replays += 1,
                Err(FailureKind::Backend(_)) => self.outcomes.replays_failed += 1,
                Err(_) => {}
            },
            (Expected::Filled, Some(None)) => self.lost_fills += u64::from(lost),
            (Expected::Vector(place, words), Some(Some(back))) => {
                assert_eq!((*place, words), (back.as_ptr(), &back), "message {message} gives another buffer back");
            }
            (Expected::Words(words), Some(Some(back))) => {
                assert!(done.result.is_err() || *words == back, "message {message} is ok, its words are not");
            }
            (Expected::Vector(..) | Expected::Words(_), None) if lost => self.leaked += 1,
            (expected, back) => panic!("message {message}: {expected:?} comes back as {back:?}"),
        }
        self.outcomes.count(done.result.as_ref().map_err(|error| &**error));
    }

    /// What came through channels and callbacks: in the order of acceptance, queue by queue.
    fn receive(&mut self) {
        let data: Vec<_> = self.data.receiver().try_iter().collect();
        let plain: Vec<_> = self.plain.receiver().try_iter().collect();
        let called = mem::take(&mut *self.called.lock().unwrap());
        let ways = [&data, &called].map(|way| way.iter().map(|(message, _)| *message).collect::<Vec<_>>());
        let ways = [&ways[0], &ways[1], &plain.iter().map(|(message, _)| *message).collect()];
        for (way, last) in ways.into_iter().zip(&mut self.last) {
            for &message in way {
                let last = &mut last[self.sent[message].queue];
                assert!(*last < Some(message), "message {message} comes after {last:?}");
                *last = Some(message);
            }
        }
        data.into_iter().chain(called).for_each(|(message, done)| self.seen(message, done));
        plain.into_iter().for_each(|(message, done)| self.seen(message, done));
    }

    /// What is promised at all times.
    pub(super) fn check(&mut self) {
        self.receive();
        let fences = mem::take(&mut self.fences);
        for fence in fences {
            if fence.fence.outcome().is_none() {
                self.fences.push(fence);
                continue;
            }
            for held in self.held_before(fence.queue, fence.before) {
                let taken = self.take(held, Some(Duration::ZERO));
                assert!(taken.is_ok(), "{taken:?} is unresolved and the fence behind it is not");
            }
        }
        let letters = self.sim.device().dead_letters().take();
        self.letters += letters.len() as u64;
        letters.iter().for_each(|letter| self.outcomes.count(Err(&letter.error)));
        let stats = self.sim.device().stats();
        let ends = stats.delivered + stats.detached_ok + stats.dead_lettered;
        assert_eq!(stats.accepted, ends + stats.in_flight, "the law of conservation: {stats:?}");
        assert_eq!(stats.accepted, self.sent.len() as u64 + self.fences_sent + stats.moves, "{stats:?}");
        assert_eq!(
            (stats.dead_lettered, self.sim.device().dead_letters().overflowed()),
            (self.letters, 0),
            "each failure is reported"
        );
        assert!(stats.detached_ok + stats.dead_lettered <= self.detached, "{stats:?}");
        assert!(stats.uncollected <= self.held.len() as u64 + self.forgotten, "{stats:?}");
        let unasked = self.fences_sent + stats.moves;
        assert!(stats.delivered >= self.seen && stats.delivered <= self.seen + unasked, "{stats:?}");
        let mut staged = 0;
        for (place, (queue, bounds)) in self.queues.iter().zip(&self.bounds).enumerate() {
            let level = queue.stats();
            let (ops, bytes) = self.reserved_of(place);
            assert_eq!(level.free_ops + level.unresolved + ops, bounds.depth, "every credit is somewhere");
            assert!(level.free_bytes <= bounds.bytes.saturating_sub(bytes), "{level:?} with {bytes} bytes reserved");
            assert!(level.in_driver <= bounds.window, "{level:?}");
            assert!(level.held <= level.unresolved, "{level:?}");
            assert!(level.held == 0 || bounds.doorbell != Doorbell::Immediate, "{level:?}");
            self.outcomes.held_back += u64::from(level.held > 0);
            staged += u64::from(level.unresolved);
        }
        // Queues that were replaced may still hold some.
        let most = (staged + u64::from(self.retired)) * (WORDS * size_of::<u32>()) as u64;
        assert!(stats.staging_bytes <= most, "{stats:?}");
        assert_eq!(stats.callback_panics, 0);
        self.check_promises();
    }

    /// Everything ends, and is accounted for.
    pub(super) fn end(mut self) {
        while self.has_promised() {
            self.keep(0, Keeps::Signals);
        }
        while let Some(held) = self.held.pop() {
            self.take(held, None).expect("a wait without an end");
        }
        self.sim.device().drain();
        // Callbacks run when the device is driven next.
        self.sim.device().progress();
        self.check();
        let stats = self.sim.device().stats();
        assert_eq!((stats.in_flight, stats.uncollected), (self.forgotten, self.forgotten), "{stats:?}");
        assert_eq!(stats.delivered, self.seen + self.fences_sent + stats.moves);
        assert_eq!(stats.detached_ok + stats.dead_lettered, self.detached);
        assert_eq!(self.sent.iter().position(|sent| !sent.settled), None, "a message has no completion");
        assert!(self.fences.is_empty(), "a fence is never reached");
        assert!(stats.leaked_buffers >= self.leaked, "what does not come back is counted");
        let unseen = self.lost_fills + self.detached + self.forgotten + stats.moves;
        assert!(stats.leaked_buffers <= self.leaked + unseen, "{stats:?}");
        self.buffers.clear();
        self.sim.device().progress();
        let stats = self.sim.device().stats();
        assert_eq!((stats.buffer_bytes, stats.staging_bytes), (0, 0), "{stats:?}");
        self.outcomes.detached += self.detached;
        self.outcomes.dead_lettered += stats.dead_lettered;
        self.outcomes.forgotten += self.forgotten;
        self.outcomes.leaked += stats.leaked_buffers;
    }
}
