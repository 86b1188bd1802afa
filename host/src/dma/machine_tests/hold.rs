//! What waits for the program rather than for the device: promises, and messages behind a doorbell.

use std::time::Duration;

use super::harness::Harness;
use crate::{
    backend::Token,
    dma::{doorbell::Doorbell, model::Event},
    error::FailureKind,
};

/// The queue with a doorbell.
pub(super) const BATCHED: usize = 2;
const MOST: u32 = 3;
pub(super) const BELL: Doorbell = Doorbell::Batched { ops: MOST, bytes: 60, linger: Duration::from_secs(4) };

impl Harness {
    pub(super) fn promise(&mut self) {
        if !self.lost {
            let (token, _) = self.machine.promise(None);
            self.promises.push(token);
            self.fences.push(token);
        }
    }

    /// Says how the `pick`-th of the open promises comes out.
    pub(super) fn keep(&mut self, pick: usize, fails: bool) {
        if self.promises.is_empty() {
            return;
        }
        let token = self.promises[pick % self.promises.len()];
        let result = if fails { Err(FailureKind::Promise("broken".into())) } else { Ok(()) };
        self.event(Event::Keep(token, result));
        assert!(!self.promises.contains(&token), "it is out");
        // Said again, nothing happens.
        self.event(Event::Keep(token, Ok(())));
    }

    pub(super) fn kept(&mut self, token: Token, well: bool) {
        let place = self.promises.iter().position(|&open| open == token).expect("kept once");
        self.promises.remove(place);
        self.fences.retain(|&fence| fence != token);
        self.outcomes.kept += u64::from(well);
        if !well {
            self.broken_promises.insert(token);
            self.outcomes.not_kept += 1;
        }
    }

    /// A message was accepted.
    pub(super) fn hold(&mut self, token: Token) {
        let queue = self.queues[self.known[&token].queue].id;
        self.machine.hold(token, queue, self.now);
        self.outcomes.held += u64::from(self.machine.is_held(token));
    }

    pub(super) fn flush(&mut self, queue: usize) {
        let id = self.queues[self.held[queue]].id;
        let held = self.machine.held(id).0 > 0;
        assert_eq!(self.machine.ring(id), held, "says whether something was held");
        assert_eq!(self.machine.held(id).0, 0);
        self.event(Event::Pump);
    }

    /// Nothing waits for the program any more.
    pub(super) fn end_waiting(&mut self) {
        while !self.promises.is_empty() {
            self.keep(0, false);
        }
        self.machine.ring_all();
        self.event(Event::Pump);
    }

    /// Nothing is held that somebody waits for, nor more than a doorbell holds.
    pub(super) fn check_held(&self) {
        for known in self.known.values() {
            for other in &known.needs {
                let elsewhere = self.known.get(other).is_some_and(|m| m.queue != known.queue);
                assert!(!(elsewhere && self.machine.is_held(*other)), "{other:?} is held, and {known:?} waits for it");
            }
        }
        for &place in &self.held {
            assert!(self.machine.held(self.queues[place].id).0 < MOST, "enough have come together");
        }
    }
}
