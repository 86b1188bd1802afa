//! A driver that takes what the machine gives it, and finishes commands in any order it may.

use super::harness::{Harness, MAX_JOINED, Running};
use crate::{
    backend::Token,
    dma::model::{Action, Event},
    error::FailureKind,
};

impl Harness {
    pub(super) fn event(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.machine.step(event, &mut actions);
        self.carry_out(&mut actions);
        loop {
            self.machine.step(Event::Pump, &mut actions);
            let is_cut = self.machine.is_cut();
            assert!(!is_cut || actions.len() >= MAX_JOINED, "what is cut has submitted something");
            self.carry_out(&mut actions);
            if !is_cut {
                break;
            }
        }
    }

    fn carry_out(&mut self, actions: &mut Vec<Action>) {
        for action in actions.drain(..) {
            match action {
                Action::Submit(submit) => self.submitted(&submit),
                Action::Resolve { token, result, in_driver } => {
                    self.resolved(token, result.err().as_deref(), in_driver)
                }
                Action::Kept { token, result } => self.kept(token, result.is_ok()),
                Action::Free(buffer) => {
                    assert!(!self.buffers.contains(&buffer), "a buffer with an owner is not freed");
                    let used = self.known.values().any(|m| m.uses.iter().any(|touch| touch.buffer == buffer));
                    assert!(!used, "a buffer in use is not freed");
                }
            }
        }
    }

    /// Finishes one command that the driver's lanes allow to finish.
    pub(super) fn finish(&mut self, pick: usize, fails: bool) {
        let may: Vec<usize> = (0..self.running.len())
            .filter(|&i| {
                let me = &self.running[i];
                let first = self.running[..i].iter().all(|other| other.lane != me.lane);
                first && self.machine.after(me.command).iter().all(|on| self.running.iter().all(|r| r.command != on))
            })
            .collect();
        assert!(self.running.is_empty() || !may.is_empty(), "the driver can always go on");
        if may.is_empty() {
            return;
        }
        let place = may[pick % may.len()];
        self.report(place, fails);
    }

    fn report(&mut self, place: usize, fails: bool) {
        let command = self.running[place].command;
        let running = std::mem::take(&mut self.running);
        let (over, running): (Vec<_>, Vec<_>) = running.into_iter().partition(|r| r.command == command);
        self.running = running;
        for Running { message, bytes, .. } in over {
            let known = self.known.get_mut(&message).expect("unresolved while it runs");
            known.broke |= fails;
            known.arrived += if known.broke { 0 } else { bytes };
        }
        let result = if fails { Err(FailureKind::Backend("broke".into())) } else { Ok(()) };
        self.event(Event::Over(command, result));
        self.past.push(command);
        self.report_again(command);
    }

    /// A command is reported that is over: nothing may happen.
    pub(super) fn report_again(&mut self, command: Token) {
        let state = |own: &Self| {
            let levels: Vec<_> = own.held.iter().map(|&place| own.machine.level(own.queues[place].id)).collect();
            levels
        };
        let (before, mut actions) = (state(self), Vec::new());
        self.machine.step(Event::Over(command, Ok(())), &mut actions);
        assert!(actions.is_empty() && before == state(self), "a late report does nothing");
        self.outcomes.late_reports += 1;
    }

    /// Finishes the running command of this message.
    pub(super) fn end(&mut self, message: Token, fails: bool) {
        let place = self.running.iter().position(|r| r.message == message).expect("it runs");
        self.report(place, fails);
    }

    pub(super) fn drain(&mut self) {
        self.end_waiting();
        while !self.running.is_empty() {
            self.finish(0, false);
        }
        self.event(Event::Pump);
        assert!(self.known.is_empty(), "everything resolves: {:?}", self.known);
        self.check();
    }
}
