//! Every promise, checked whenever something happens.

use std::collections::HashSet;

use super::harness::{Harness, Known, MAX_IN_DRIVER, MAX_JOINED, Open, Running, chunk_on};
use crate::{
    backend::{After, Lane, Token},
    dma::model::{CancelOutcome, Submit},
    error::{FailureKind, TransferError},
};

impl Harness {
    pub(super) fn resolved(&mut self, token: Token, error: Option<&TransferError>, in_driver: bool) {
        let known = self.known.remove(&token).expect("resolved once, and accepted before");
        let queue = &mut self.queues[known.queue];
        assert!(queue.last < Some(known.order), "resolved in order of acceptance");
        queue.last = Some(known.order);
        self.resolved += 1;
        let with_driver = self.running.iter().any(|r| r.message == token);
        assert_eq!(in_driver, with_driver, "says whether the driver still has some of it");
        self.running.retain(|r| r.message != token);
        self.fences.retain(|&t| t != token);
        let error = self.check_folded(&known, error);
        if error.is_some() {
            self.broken.insert(token);
        }
        self.count(&known, error);
        match error.map(|e| &e.kind) {
            None => {
                assert!(known.lane.is_none() || known.all_sent(), "it went well, and was never sent");
                assert!(!known.broke, "it went well, and a chunk of it failed");
                let failed = known.needs.iter().find(|need| self.broken_promises.contains(need));
                assert_eq!(failed, None, "it went well, and its promise was broken");
                assert!(!matches!(known.told, Some(CancelOutcome::NotStarted | CancelOutcome::Partial)));
            }
            Some(FailureKind::Cancelled | FailureKind::Deadline | FailureKind::Abandoned(_)) => {
                assert_eq!(known.told == Some(CancelOutcome::NotStarted), !known.begun, "told what was so");
                assert!(!known.all_sent() && !in_driver, "cancelled in time, and quiet");
                assert_eq!(error.expect("an error").bytes_done, known.arrived, "the residue is right");
            }
            Some(FailureKind::Backend(_)) => {
                assert!(known.broke, "somebody else's failure");
                assert_eq!(error.expect("an error").bytes_done, known.arrived, "the residue is right");
            }
            Some(FailureKind::DeviceLost(_)) => assert!(self.lost),
            Some(_) => assert!(error.expect("an error").bytes_done <= known.arrived),
        }
        if matches!(error.map(|e| &e.kind), Some(FailureKind::Deadline)) {
            assert!(known.deadline.is_some_and(|at| at <= self.now), "before its deadline");
        }
        if known.told == Some(CancelOutcome::TooLate) && !known.begun && known.lane.is_some() {
            assert!(error.is_some(), "too late to cancel what had not begun, and yet it ran");
        }
    }

    /// Who went well tells of those that nobody was told of; gives its own failure.
    fn check_folded<'e>(&mut self, known: &Known, error: Option<&'e TransferError>) -> Option<&'e TransferError> {
        let untold = &mut self.queues[known.queue].untold;
        match error.map(|error| &error.kind) {
            Some(FailureKind::Unsignaled { .. }) => {
                assert!(!known.unsignaled && known.lane.is_some(), "told to nobody, or by a fence");
                assert!(std::mem::take(untold), "there is nothing to tell");
                self.outcomes.folded += 1;
                return None;
            }
            Some(_) if known.unsignaled => *untold = true,
            Some(FailureKind::Aborted { .. }) => *untold = false,
            _ if known.lane.is_none() => *untold = false,
            None if !known.unsignaled => assert!(!*untold, "it went well, and keeps a failure to itself"),
            _ => {}
        }
        error
    }

    fn count(&mut self, known: &Known, error: Option<&TransferError>) {
        let n = &mut self.outcomes;
        let in_chunks = known.lane.is_some_and(|lane| known.moves > chunk_on(&self.queues[known.queue].limits, lane));
        match error.map(|e| &e.kind) {
            None if in_chunks => n.ok_in_chunks += 1,
            None => n.ok += 1,
            Some(FailureKind::Cancelled) if known.begun => n.partial += 1,
            Some(FailureKind::Cancelled) => n.not_started += 1,
            Some(FailureKind::Deadline) => n.deadline += 1,
            Some(FailureKind::Abandoned(_)) => n.abandoned += 1,
            Some(FailureKind::Upstream { .. }) => n.upstream += 1,
            Some(FailureKind::Aborted { .. }) => n.aborted += 1,
            Some(FailureKind::DeviceLost(_)) => n.lost += 1,
            Some(_) if !known.all_sent() => n.failed_midway += 1,
            Some(_) => n.failed += 1,
        }
    }

    /// The running commands that finish before `command` does: its edges, what its lane has before it,
    /// and theirs in turn.
    fn before(&self, command: Token, lane: Lane) -> HashSet<Token> {
        let (mut found, mut open) = (HashSet::new(), vec![(command, lane)]);
        while let Some((next, lane)) = open.pop() {
            let place = self.running.iter().position(|r| r.command == next).unwrap_or(self.running.len());
            let earlier = self.running[..place].iter().filter(|r| r.lane == lane).map(|r| (r.command, r.lane));
            let edges = self.machine.after(next);
            let edges = self.running.iter().filter(|r| edges.iter().any(|on| on == r.command));
            let edges: Vec<_> = edges.map(|r| (r.command, r.lane)).collect();
            open.extend(earlier.chain(edges).filter(|&(c, _)| found.insert(c)).collect::<Vec<_>>());
        }
        found
    }

    /// Everything the message needs is finished, or is with the driver and ordered before it.
    pub(super) fn submitted(&mut self, submit: &Submit) {
        let &Submit { message: token, command, .. } = submit;
        let me = &self.known[&token];
        let with: Vec<_> = self.running.iter().filter(|r| r.command == command).map(|r| r.message).collect();
        if with.is_empty() {
            assert!(self.names.insert(command), "a name that the driver has seen before");
        } else {
            let last = self.running.last().expect("some run");
            assert!(last.command == command, "it joins a command that has gone");
            assert!(with.len() < MAX_JOINED && submit.part.is_none(), "too many in one command, or a chunk");
            assert!(with.iter().all(|other| self.known[other].queue == me.queue), "joined across queues");
            self.outcomes.joined += 1;
        }
        let lane = me.lane.expect("only work is submitted");
        let part = submit.part.clone().unwrap_or(0..me.moves);
        let bytes = part.end - part.start;
        let limits = &self.queues[me.queue].limits;
        assert_eq!(part.start, me.sent, "chunks come in order, each once");
        assert!(part.end <= me.moves && bytes <= chunk_on(limits, lane), "a chunk is too long");
        assert_eq!(submit.part.is_none(), part == (0..me.moves), "says whether it is all");
        assert!(!me.broke, "goes on after a chunk that failed");
        assert!(!self.machine.is_held(token), "goes before its doorbell");
        assert!(!me.needs.iter().any(|need| self.promises.contains(need)), "goes before a promise is kept");
        assert!(me.told.is_none_or(|told| told == CancelOutcome::TooLate), "goes on after it was cancelled");
        let ahead: u64 = self.running.iter().filter(|r| r.lane == lane).map(|r| r.bytes).sum();
        let chunk = chunk_on(limits, lane);
        assert!(ahead == 0 || ahead + bytes <= 2 * chunk + chunk / 64, "the lane has too much before it");
        let before = self.before(command, lane);
        for (other, known) in self.known.iter().filter(|(_, known)| known.order < me.order) {
            if known.queue == me.queue {
                assert!(known.lane.is_none() || known.all_sent() || self.is_doomed(*other), "overtakes in its queue");
            }
            if me.needs.contains(other) {
                assert!(!self.machine.is_unsent(*other), "has an edge to what the driver does not know");
                let running: Vec<_> = self.running.iter().filter(|r| r.message == *other).collect();
                let kept = running.iter().all(|r| r.command == command || before.contains(&r.command));
                assert!(kept, "{token:?} does not wait for {other:?}, which touches the same buffer");
            }
        }
        for (other, known) in &self.known {
            let theirs = &self.queues[known.queue].limits;
            if theirs.priority > limits.priority && known.lane == Some(lane) && self.may_go(*other) {
                panic!("{token:?} goes before {other:?} of higher priority");
            }
        }
        let midway = me.sent > 0;
        let me = self.known.get_mut(&token).expect("known");
        me.begun = true;
        me.sent = part.end;
        let order = me.order;
        if self.known.values().any(|m| m.order < order && m.lane == Some(lane) && m.sent > 0 && !m.all_sent()) {
            self.outcomes.overtaken += u64::from(!midway);
        }
        self.running.push(Running { command, message: token, bytes, lane });
        assert!(self.commands(|_| true) <= MAX_IN_DRIVER, "the driver has too much");
    }

    /// Commands that run: several messages may travel in one.
    fn commands(&self, of: impl Fn(&Running) -> bool) -> usize {
        self.running.iter().filter(|r| of(r)).map(|r| r.command).collect::<HashSet<_>>().len()
    }

    /// It waits for nothing but to be over: it was doomed while it waited.
    fn is_doomed(&self, token: Token) -> bool {
        !self.machine.is_unsent(token)
    }

    /// Nothing keeps this message, or its next chunk, from the driver but room on its lane.
    fn may_go(&self, token: Token) -> bool {
        let me = &self.known[&token];
        let first = !self.known.values().any(|m| m.queue == me.queue && m.order < me.order && !m.all_sent());
        if self.machine.is_held(token) || me.needs.iter().any(|need| self.promises.contains(need)) {
            return false;
        }
        let needs: Vec<_> = me.needs.iter().filter_map(|t| self.known.get(t).map(|m| (t, m))).collect();
        // Two touches of each of two messages make four edges at most.
        let known = needs.iter().all(|(_, m)| m.all_sent()) && needs.len() <= After::MOST / 4;
        let running = self.commands(|r| self.known[&r.message].queue == me.queue);
        let window = running < self.queues[me.queue].limits.window as usize;
        let wanted = me.told.is_none() && !me.broke && !self.machine.is_doomed(token);
        me.lane.is_some() && !me.all_sent() && first && known && window && wanted
    }

    pub(super) fn check(&self) {
        assert_eq!(self.accepted, self.resolved + self.known.len() as u64, "nothing is lost");
        for &place in &self.held {
            let Open { id, limits, .. } = self.queues[place];
            let level = self.machine.level(id);
            let mine: Vec<&Known> = self.known.values().filter(|known| known.queue == place).collect();
            assert_eq!(level.unresolved as usize, mine.len());
            assert_eq!(level.free_ops, limits.depth - level.unresolved);
            let bytes: u64 = mine.iter().map(|m| m.bytes).sum();
            let largest = mine.iter().map(|m| m.bytes).max().unwrap_or(0);
            assert_eq!(level.free_bytes, limits.bytes.saturating_sub(bytes));
            assert!(bytes <= limits.bytes.max(largest), "the byte credits hold");
            let running = self.commands(|r| self.known[&r.message].queue == place);
            assert_eq!(level.in_driver as usize, running);
            assert!(running <= limits.window as usize, "the window holds");
        }
        self.check_held();
        for (token, known) in &self.known {
            let empty = self.running.iter().all(|r| Some(r.lane) != known.lane);
            let room = empty && self.commands(|_| true) < MAX_IN_DRIVER;
            assert!(!(room && self.may_go(*token)), "{token:?} could run and is left behind: {known:?}");
            assert!(self.machine.wait_of(*token).is_some(), "what is unresolved waits for something");
        }
    }
}
