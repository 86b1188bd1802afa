//! Plays what was submitted: what happens next, when, and what it does.

use std::{
    cmp::Reverse,
    panic::{self, AssertUnwindSafe},
};

use super::{
    Description, Sim, State, Time,
    faults::{Fault, Item},
    held::Held,
    model::{Job, Span},
    pool,
};
use crate::{
    backend::{After, Command, Done, Event, Op, Path, Source, cpu},
    error::{FailureKind, Shortage},
};

/// A command and what will go wrong with it.
#[derive(Debug)]
pub(super) struct Planned {
    /// As its script counts.
    number: u64,
    pub(super) op: Op,
    pub(super) after: After,
    fails: Option<FailureKind>,
    /// The number of the download, where it arrives changed.
    corrupt: Option<u64>,
    twice: Option<Time>,
    /// Its end is reported behind another's.
    overtaken: bool,
}

impl Sim {
    /// How long a command holds its engine.
    fn takes(&self, op: &Op) -> Time {
        let Description { link, card, launch, .. } = &self.description;
        let moved = |bytes: u64, rate: f64| Time::of(bytes as f64 / rate);
        match op {
            Op::Nothing => Time::ZERO,
            Op::Upload { dst, .. } => link.latency + moved(dst.bytes, link.up),
            Op::Download { src, .. } => link.latency + moved(src.bytes, link.down),
            Op::Replay(recorded) => {
                // One launch for all; transfers pay their way each, one after the other.
                let transfers = recorded.ops.iter().filter(|op| matches!(op, Op::Upload { .. } | Op::Download { .. }));
                let moved = moved(self.moves(op), card.bandwidth);
                transfers.fold(*launch + moved, |sum, op| sum + self.takes(op))
            }
            inside => *launch + moved(self.moves(inside), card.bandwidth),
        }
    }

    /// Bytes that travel between the card and its memory.
    fn moves(&self, op: &Op) -> u64 {
        match op {
            Op::Copy { src, .. } => 2 * src.bytes,
            Op::Clear { dst } => dst.bytes,
            Op::Launch(launch) => {
                let pipeline = self.pipeline(launch.pipeline);
                launch.storage.iter().zip(&pipeline.passes).map(|(region, passes)| region.bytes * passes).sum()
            }
            Op::Replay(recorded) => recorded.ops.iter().map(|op| self.moves(op)).sum(),
            Op::Upload { .. } | Op::Download { .. } | Op::Joined(_) | Op::Nothing => 0,
        }
    }

    /// Gives a command to the model, with what the script has for it.
    pub(super) fn plan(&self, state: &mut State, command: Command) {
        let Command { token, lane, after, op, .. } = command;
        let faults = &self.description.faults;
        state.counts.operations += 1;
        let number = state.counts.operations;
        state.counts.downloads += u64::from(matches!(op, Op::Download { .. }));
        let nth = Some(state.counts.downloads).filter(|_| matches!(op, Op::Download { .. }));
        let corrupt = nth.filter(|nth| faults.corrupt.contains(nth));
        let mut takes = self.takes(&op);
        if faults.reorder {
            takes = takes.times(1.0 + 3.0 * unit(&mut state.random));
            state.outcomes.note(Item::Reorder);
        }
        let overtaken = faults.reorder && unit(&mut state.random) < 0.5;
        let mut planned = Planned { number, op, after, fails: None, corrupt, twice: None, overtaken };
        for fault in faults.of(number) {
            match *fault {
                Fault::Fail => {
                    let words = format!("operation {number} fails, says the script");
                    planned.fails = Some(FailureKind::Backend(words.into()));
                }
                Fault::Exhaust => {
                    let words = format!("operation {number} finds no memory, says the script");
                    planned.fails = Some(FailureKind::OutOfMemory(Shortage {
                        in_use_bytes: Some(state.in_use),
                        limit_bytes: Some(self.description.card.memory_bytes),
                        ..Shortage::new(words.into(), None)
                    }));
                }
                Fault::Overtaken => planned.overtaken = true,
                Fault::Late(by) => takes = takes + by,
                Fault::Never => {
                    takes = Time::NEVER;
                    state.outcomes.note(Item::Operation(number, Fault::Never));
                }
                Fault::Twice(later) => planned.twice = Some(later),
            }
        }
        state.commands.insert(token, planned);
        state.model.submit(Job { token, lane, after, takes });
    }

    /// When something happens next, if anything will.
    pub(super) fn next(&self, state: &State) -> Option<Time> {
        let repeat = state.repeats.peek().map(|Reverse((time, ..))| *time);
        let lost = self.description.faults.lose.filter(|_| !state.lost);
        let next = [state.model.next(), repeat, lost, self.bite(state)].into_iter().flatten().min();
        // What waits for another's report is told when there will be no other.
        next.or_else(|| (!state.held.is_empty()).then(|| state.model.now()))
    }

    /// When the watchdog loses patience with what is running now.
    fn bite(&self, state: &State) -> Option<Time> {
        let patience = self.description.watchdog?;
        let limits = state.model.running().filter(|span| span.ended > span.started + patience);
        limits.map(|span| span.started + patience).min()
    }

    /// Lets what happens next happen, where that is not after `until`; else lets time pass until then.
    pub(super) fn pass(&self, state: &mut State, until: Time) -> bool {
        let next = self.next(state).filter(|&time| time <= until);
        let ended = state.model.advance(next.unwrap_or(until));
        let now = state.model.now();
        self.clock.set(now);
        let Some(_) = next else { return false };
        if let Some(span) = ended {
            self.end(state, span);
        } else if state.repeats.peek().is_some_and(|Reverse((time, ..))| *time <= now) {
            let Reverse((_, token, number, later)) = state.repeats.pop().expect("just seen");
            state.outcomes.note(Item::Operation(number, Fault::Twice(later)));
            Held::release_own(&mut state.held, token, &mut state.reports);
            let span = Span { token, started: now, ended: now };
            state.reports.push(Event::Done(self.done(span, Ok((Path::None, None)))));
        } else if let Some(patience) = self.description.watchdog.filter(|_| self.bite(state).is_some_and(|t| t <= now))
        {
            Self::lose(state, &format!("watchdog: an operation has run for {patience}"));
        } else if self.description.faults.lose.is_none_or(|at| state.lost || at > now) {
            state.reports.extend(state.held.drain(..).map(Held::report));
        } else {
            if let Some(at) = self.description.faults.lose {
                state.outcomes.note(Item::Lose(at));
            }
            Self::lose(state, "as its script of faults says");
        }
        true
    }

    /// A command's time is over: does its work and reports it.
    fn end(&self, state: &mut State, span: Span) {
        let planned = state.commands.remove(span.token).expect("what runs was planned");
        Held::release(&mut state.held, &planned, &mut state.reports);
        let held = planned.overtaken.then(|| Held::of(&planned.op));
        // A second report is one when it comes, and what never ends does not come here.
        for &fault in self.description.faults.of(planned.number) {
            if !matches!(fault, Fault::Twice(_) | Fault::Never) {
                state.outcomes.note(Item::Operation(planned.number, fault));
            }
        }
        let outcome = match planned.fails {
            Some(kind) => {
                if let Op::Upload { src: Source::Block(block), .. } = planned.op {
                    self.memories.host_free(block);
                }
                Err(kind)
            }
            // A native twin may panic on its data: that is this message's failure and nobody else's.
            None => {
                if let Some(nth) = planned.corrupt {
                    state.outcomes.note(Item::Corrupt(nth));
                }
                panic::catch_unwind(AssertUnwindSafe(|| self.perform(planned.op, planned.corrupt.is_some())))
                    .unwrap_or_else(|cause| Err(FailureKind::Backend(cpu::words_of(&*cause).into())))
            }
        };
        let done = self.done(span, outcome);
        match held {
            Some(held) => state.held.push(held.with(done)),
            None => {
                state.reports.push(Event::Done(done));
                state.reports.extend(state.held.drain(..).map(Held::report));
            }
        }
        if let Some(later) = planned.twice {
            state.repeats.push(Reverse((span.ended + later, span.token, planned.number, later)));
        }
    }

    fn done(&self, span: Span, outcome: Result<(Path, Option<&'static str>), FailureKind>) -> Done {
        let (result, path, form) = match outcome {
            Ok((path, form)) => (Ok(()), path, form),
            Err(kind) => (Err(kind), Path::None, None),
        };
        Done {
            token: span.token,
            result,
            started: Some(self.clock.instant(span.started)),
            finished: self.clock.instant(span.ended),
            device_seconds: Some((span.ended - span.started).seconds()),
            path,
            why: None,
            together: 1,
            form,
        }
    }

    fn perform(&self, op: Op, corrupt: bool) -> Result<(Path, Option<&'static str>), FailureKind> {
        let pool = pool().expect("made when the device was opened");
        Ok(match op {
            Op::Nothing => (Path::None, None),
            Op::Upload { src: Source::Block(block), dst } => {
                // Whether the host's memory changed hands or was copied: on a card it has travelled.
                self.memories.adopt(block, dst);
                (Path::Filled, None)
            }
            Op::Upload { src: Source::Part { span, .. }, dst } => {
                self.memories.write(dst, span, pool);
                (Path::Filled, None)
            }
            Op::Upload { src: Source::Span(span), dst } => {
                self.memories.write(dst, span, pool);
                (Path::Pinned, None)
            }
            Op::Upload { src: Source::Carried(span), dst } => {
                self.memories.write(dst, span, pool);
                (Path::Inline, None)
            }
            Op::Download { src, dst } => {
                // The wrong bit is put where the engine reads it, and taken away again.
                let flip = || self.memories.bytes_mut(src)[src.bytes as usize / 2] ^= u8::from(corrupt);
                flip();
                self.memories.read(src, dst, pool);
                flip();
                (Path::Pinned, None)
            }
            Op::Replay(recorded) => {
                recorded.ops.iter().try_for_each(|op| self.inside(op, pool).map(drop))?;
                (Path::None, Some("one command"))
            }
            op => self.inside(&op, pool)?,
        })
    }

    /// What a graph may hold.
    fn inside(&self, op: &Op, pool: &rayon::ThreadPool) -> Result<(Path, Option<&'static str>), FailureKind> {
        match op {
            &Op::Upload { src: Source::Span(span), dst } => self.memories.write(dst, span, pool),
            &Op::Download { src, dst } => self.memories.read(src, dst, pool),
            &Op::Copy { src, dst } => self.memories.copy(src, dst),
            &Op::Clear { dst } => self.memories.clear(dst),
            Op::Launch(launch) => {
                let pipeline = self.pipeline(launch.pipeline);
                let form = pipeline.program.run(launch, &self.memories, pool, &mut Vec::new())?;
                return Ok((Path::None, Some(form)));
            }
            other => panic!("our bug: {other:?} inside the device"),
        }
        Ok((Path::Device, None))
    }

    /// Nothing that was submitted happens any more.
    pub(super) fn stop(state: &mut State) {
        state.lost = true;
        state.model.clear();
        state.commands.clear();
        state.repeats.clear();
        state.held.clear();
    }

    fn lose(state: &mut State, cause: &str) {
        Self::stop(state);
        state.reports.push(Event::Lost(cause.into()));
    }
}

/// The next of SplitMix64, in [0, 1).
///
/// Source: Steele, Lea and Flood, OOPSLA 2014.
fn unit(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}
