//! When commands start and end: lanes, engines and a clock, and nothing else.
//!
//! Each lane takes its commands in order. An engine serves one command at a time; lanes that share an
//! engine are served by turns, as channels of a card are. A command starts as soon as it is the first of
//! its lane, its engine is free and the commands it waits for have ended.

use std::collections::VecDeque;

use super::{by_token::ByToken, time::Time};
use crate::backend::{After, Lane, Token};

/// Which engine serves each lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Engines([usize; 3]);

impl Engines {
    /// Copies take turns where the link carries one direction at a time or the card has one engine
    /// for them, and everything takes turns where copies do not overlap kernels.
    pub(super) fn new(duplex: bool, copy_engines: u32, overlap: bool) -> Self {
        let (upload, compute, download) = match (overlap && copy_engines > 0, duplex && copy_engines > 1) {
            (false, _) => (0, 0, 0),
            (true, false) => (0, 1, 0),
            (true, true) => (0, 1, 2),
        };
        let mut engines = [0; 3];
        engines[Lane::Upload as usize] = upload;
        engines[Lane::Compute as usize] = compute;
        engines[Lane::Download as usize] = download;
        Self(engines)
    }
}

/// A command as the model sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job {
    pub(super) token: Token,
    pub(super) lane: Lane,
    pub(super) after: After,
    /// How long it holds its engine; [`Time::NEVER`] for ever.
    pub(super) takes: Time,
}

/// A command that an engine serves, or has served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) token: Token,
    pub(super) started: Time,
    pub(super) ended: Time,
}

#[derive(Debug)]
pub(super) struct Model {
    engines: Engines,
    now: Time,
    /// Submitted and not started.
    lanes: [VecDeque<Job>; 3],
    /// When each lane had its last turn, counted in turns.
    turns: [u64; 3],
    /// What each engine serves.
    running: [Option<Span>; 3],
    /// Submitted and not ended.
    unfinished: ByToken<()>,
}

impl Model {
    pub(super) fn new(engines: Engines) -> Self {
        Self {
            engines,
            now: Time::ZERO,
            lanes: Default::default(),
            turns: [0; 3],
            running: [None; 3],
            unfinished: ByToken::new(),
        }
    }

    pub(super) fn now(&self) -> Time {
        self.now
    }

    /// Submitted and not ended.
    pub(super) fn unfinished(&self) -> usize {
        self.unfinished.len()
    }

    pub(super) fn submit(&mut self, job: Job) {
        self.unfinished.insert(job.token, ());
        self.lanes[job.lane as usize].push_back(job);
        self.start();
    }

    /// The commands that are being served.
    pub(super) fn running(&self) -> impl Iterator<Item = Span> + '_ {
        self.running.iter().flatten().copied()
    }

    /// When the next command ends, if one ever will.
    pub(super) fn next(&self) -> Option<Time> {
        self.running().map(|span| span.ended).min().filter(|&time| time < Time::NEVER)
    }

    /// Lets time pass until `time`, which is not after [`Model::next`]. Gives one command that has
    /// ended by then; the next call gives the next.
    pub(super) fn advance(&mut self, time: Time) -> Option<Span> {
        debug_assert!(self.next().is_none_or(|next| time <= next), "an end is passed over");
        self.now = self.now.max(time);
        let ended = |span: &Option<Span>| span.is_some_and(|span| span.ended <= self.now);
        let place = self.running.iter().position(ended)?;
        let span = self.running[place].take().expect("it has ended");
        self.unfinished.remove(span.token);
        self.start();
        Some(span)
    }

    /// It has become so late while nothing ended: not later than [`Model::next`].
    pub(super) fn idle(&mut self, time: Time) {
        self.now = self.now.max(self.next().map_or(time, |next| next.min(time)));
    }

    /// Forgets all commands.
    pub(super) fn clear(&mut self) {
        *self = Self { now: self.now, ..Self::new(self.engines) };
    }

    /// Starts what may start now.
    fn start(&mut self) {
        for engine in 0..self.running.len() {
            if self.running[engine].is_some() {
                continue;
            }
            let heads = (0..3).filter(|&lane| self.engines.0[lane] == engine).filter_map(|lane| {
                let &job = self.lanes[lane].front()?;
                let free = job.after.iter().all(|token| self.unfinished.get(token).is_none());
                free.then_some((lane, job))
            });
            if let Some((lane, job)) = heads.min_by_key(|&(lane, _)| self.turns[lane]) {
                self.lanes[lane].pop_front();
                self.turns[lane] = self.turns.iter().max().expect("three") + 1;
                self.running[engine] = Some(Span { token: job.token, started: self.now, ended: self.now + job.takes });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(index: u32) -> Token {
        Token { index, generation: 0 }
    }

    fn job(index: u32, lane: Lane, after: &[u32], takes: f64) -> Job {
        let mut edges = After::default();
        for &on in after {
            assert!(edges.push(token(on)));
        }
        Job { token: token(index), lane, after: edges, takes: Time::of(takes) }
    }

    /// Runs everything; gives index, start and end in seconds, in the order of the ends.
    fn run(engines: Engines, jobs: &[Job]) -> Vec<(u32, f64, f64)> {
        let mut model = Model::new(engines);
        jobs.iter().for_each(|&job| model.submit(job));
        let mut spans = Vec::new();
        while let Some(time) = model.next() {
            let span = model.advance(time).expect("one ends now");
            spans.push((span.token.index, span.started.seconds(), span.ended.seconds()));
        }
        assert_eq!(model.unfinished(), 0);
        spans
    }

    const THREE: [(u32, Lane); 3] = [(0, Lane::Upload), (1, Lane::Download), (2, Lane::Compute)];

    #[test]
    fn lanes_overlap_as_far_as_engines_allow() {
        let jobs = THREE.map(|(index, lane)| job(index, lane, &[], 1.0));
        let end = |engines| run(engines, &jobs).last().expect("three").2;
        assert_eq!(end(Engines::new(true, 2, true)), 1.0);
        assert_eq!(end(Engines::new(false, 2, true)), 2.0);
        assert_eq!(end(Engines::new(true, 1, true)), 2.0);
        assert_eq!(end(Engines::new(true, 2, false)), 3.0);
        assert_eq!(end(Engines::new(true, 0, true)), 3.0);
    }

    #[test]
    fn a_lane_keeps_its_order_and_edges_are_waited_for() {
        let jobs = [
            job(0, Lane::Compute, &[], 2.0),
            job(1, Lane::Upload, &[0], 1.0),
            job(2, Lane::Upload, &[], 1.0),
            job(3, Lane::Download, &[2], 1.0),
        ];
        let spans = run(Engines::new(true, 2, true), &jobs);
        assert_eq!(spans, [(0, 0.0, 2.0), (1, 2.0, 3.0), (2, 3.0, 4.0), (3, 4.0, 5.0)]);
    }

    #[test]
    fn lanes_that_share_an_engine_take_turns() {
        let jobs = [
            job(0, Lane::Upload, &[], 1.0),
            job(2, Lane::Upload, &[], 1.0),
            job(1, Lane::Download, &[], 1.0),
            job(3, Lane::Download, &[], 1.0),
        ];
        let order: Vec<u32> = run(Engines::new(false, 2, true), &jobs).iter().map(|&(index, ..)| index).collect();
        assert_eq!(order, [0, 1, 2, 3]);
    }

    #[test]
    fn what_never_ends_holds_its_engine_and_no_other() {
        let mut model = Model::new(Engines::new(true, 2, true));
        model.submit(Job { takes: Time::NEVER, ..job(0, Lane::Upload, &[], 0.0) });
        model.submit(job(1, Lane::Download, &[], 1.0));
        model.submit(job(2, Lane::Upload, &[], 1.0));
        assert_eq!(model.advance(Time::of(1.0)).map(|span| span.token.index), Some(1));
        assert_eq!((model.next(), model.unfinished()), (None, 2));
        model.clear();
        assert_eq!((model.now(), model.unfinished()), (Time::of(1.0), 0));
    }
}
