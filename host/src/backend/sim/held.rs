//! Ends of commands that are reported behind those of others, as a driver with several threads may do.
//!
//! A report is held back only from commands that have nothing to do with its own: those that share no memory
//! with it and do not wait for it. Everything that reads what it wrote comes after its report, so that a
//! failure is known first.

use super::play::Planned;
use crate::backend::{Done, Event, MemId, Op, Token};

#[derive(Debug)]
pub(super) struct Held {
    /// The memory that the command has touched.
    mems: Vec<MemId>,
    done: Option<Done>,
}

impl Held {
    /// The end of a command that does this.
    pub(super) fn of(op: &Op) -> Self {
        let mut mems = Vec::new();
        each_mem(op, &mut |mem| mems.push(mem));
        Self { mems, done: None }
    }

    pub(super) fn with(self, done: Done) -> Self {
        Self { done: Some(done), ..self }
    }

    pub(super) fn report(self) -> Event {
        Event::Done(self.done.expect("what is held has ended"))
    }

    /// Reports those that come before the end of `next`.
    pub(super) fn release(held: &mut Vec<Self>, next: &Planned, reports: &mut Vec<Event>) {
        reports.extend(held.extract_if(.., |held| held.comes_before(next)).map(Self::report));
    }

    /// Reports this command's end, if it is held: it is about to be reported again.
    pub(super) fn release_own(held: &mut Vec<Self>, token: Token, reports: &mut Vec<Event>) {
        let own = |held: &mut Self| held.done.as_ref().is_some_and(|done| done.token == token);
        reports.extend(held.extract_if(.., own).map(Self::report));
    }

    fn comes_before(&self, next: &Planned) -> bool {
        let waits = next.after.iter().any(|token| self.done.as_ref().is_some_and(|done| done.token == token));
        let mut shares = false;
        each_mem(&next.op, &mut |mem| shares |= self.mems.contains(&mem));
        waits || shares
    }
}

/// Names each allocation that the operation touches.
fn each_mem(op: &Op, f: &mut impl FnMut(MemId)) {
    match op {
        Op::Upload { dst: region, .. } | Op::Download { src: region, .. } | Op::Clear { dst: region } => f(region.mem),
        Op::Copy { src, dst } => [src, dst].into_iter().for_each(|region| f(region.mem)),
        Op::Launch(launch) => launch.storage.iter().for_each(|region| f(region.mem)),
        Op::Replay(recorded) => recorded.ops.iter().for_each(|op| each_mem(op, f)),
        Op::Joined(ops) => ops.iter().for_each(|op| each_mem(op, f)),
        Op::Nothing => {}
    }
}
