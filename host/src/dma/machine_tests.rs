//! The machine under random programs, and where a random program would seldom come.

use std::{
    cell::RefCell,
    panic::{self, AssertUnwindSafe},
    time::{Duration, Instant},
};

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{TestError, TestRunner},
};

use super::{
    hazard::{Access, Cause, Part, Touch},
    label::Label,
    machine::Machine,
    model::{Action, CancelOutcome, Event, FailPolicy, Kind, Limits, Offer, Priority},
    slab::Fault,
};
use crate::{
    backend::{Lane, Token},
    error::{FailureKind, Refusal},
};

mod check;
mod driver;
mod harness;
mod hold;
mod outcomes;
mod program;

use harness::Harness;
use outcomes::Outcomes;
use program::{Step, program};

const PROGRAMS: u32 = if cfg!(miri) { 12 } else { 10_000 };

#[test]
fn no_program_loses_doubles_or_reorders_a_completion() {
    let config = ProptestConfig { cases: PROGRAMS, failure_persistence: None, ..ProptestConfig::default() };
    let sum = RefCell::new([0_u64; 22]);
    let ran = TestRunner::new(config).run(&program(), |steps| {
        let outcomes = panic::catch_unwind(|| Harness::new(None).run(&steps)).map_err(|cause| {
            let words = cause.downcast_ref::<String>().map(String::as_str);
            TestCaseError::fail(words.or(cause.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned())
        })?;
        sum.borrow_mut().iter_mut().zip(outcomes.each()).for_each(|(sum, (_, n))| *sum += n);
        Ok(())
    });
    match ran {
        Ok(()) => {}
        Err(TestError::Fail(why, steps)) => panic!("{why}; the smallest program that shows it:\n{steps:#?}"),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
    let least = if cfg!(miri) { 0 } else { 100 };
    let counted: Vec<_> =
        Outcomes::default().each().iter().zip(*sum.borrow()).map(|((name, _), n)| (*name, n)).collect();
    println!("{counted:?}");
    let seldom: Vec<_> = counted.iter().filter(|(_, n)| *n < least).collect();
    assert!(seldom.is_empty(), "too seldom to be a test of it: {seldom:?}");
}

#[test]
fn a_bug_in_the_slab_is_caught() {
    let mut runner = TestRunner::deterministic();
    let programs: Vec<Vec<Step>> =
        (0..50).map(|_| program().new_tree(&mut runner).expect("a program").current()).collect();
    let caught = |fault| {
        let fails =
            |steps: &&Vec<Step>| panic::catch_unwind(AssertUnwindSafe(|| Harness::new(fault).run(steps))).is_err();
        programs.iter().filter(fails).count()
    };
    assert_eq!(caught(None), 0, "the programs themselves are fine");
    for fault in [Fault::Lost, Fault::Doubled, Fault::Reordered, Fault::Stale] {
        let caught = caught(Some(fault));
        assert!(caught > 25, "{fault:?} shows in {caught} of 50 programs only");
    }
}

const DEEP: Limits = Limits { depth: 20_000, policy: FailPolicy::Continue, ..Limits::DEFAULT };

fn upload(queue: usize, bytes: u64) -> Offer<'static> {
    let kind = Kind::Work(Lane::Upload);
    let (label, deadline) = (&Label::None, None);
    Offer { queue, kind, bytes, moves: bytes, accesses: &[], label, deadline, unsignaled: false, joins: false }
}

/// Pumps, and gives the commands that go out with their messages.
fn pump(machine: &mut Machine) -> Vec<(Token, Token)> {
    let mut actions = Vec::new();
    machine.step(Event::Pump, &mut actions);
    let submit = |action| if let Action::Submit(s) = action { Some((s.message, s.command)) } else { None };
    actions.into_iter().filter_map(submit).collect()
}

#[test]
fn a_queue_that_is_opened_after_the_loss_refuses_at_once() {
    let mut machine = Machine::new("lost".into(), 8, 1);
    machine.step(Event::Lost("pulled".into()), &mut Vec::new());
    let queue = machine.open_queue("late".into(), Limits::DEFAULT);
    machine.step(Event::Resume(queue), &mut Vec::new());
    let Err(Refusal::Failed(error)) = machine.accept(&upload(queue, 4)) else { panic!("accepted by a lost device") };
    assert!(matches!(error.kind, FailureKind::DeviceLost(_)));
}

#[test]
fn a_message_reads_only_what_was_made() {
    let mut harness = Harness::new(None);
    let buffer = harness.buffers[0];
    let (plain, touch) = ((None, false), |access| [Touch { buffer, access, part: Part::WHOLE }]);
    let write = harness.offer(1, Kind::Work(Lane::Upload), (1, 1), &touch(Access::Overwrite), plain).unwrap();
    let read = harness.offer(3, Kind::Work(Lane::Download), (1, 1), &touch(Access::Read), plain).unwrap();
    assert_eq!(harness.machine.edges_of(read).unwrap().count(), 1);
    harness.end(write, true);
    harness.end(read, false);
    assert!(harness.broken.contains(&read), "the device said it went well; the data never was");
}

#[test]
fn ten_thousand_deadlines_pass_at_once_on_a_full_queue() {
    let mut machine = Machine::new("full".into(), 4096, 1);
    let limits = Limits { depth: 10_001, ..DEEP };
    let queue = machine.open_queue("full".into(), limits);
    let start = Instant::now();
    let (stuck, _) = machine.accept(&upload(queue, 64 << 20)).unwrap();
    for i in 0..10_000 {
        let deadline = Some(start + Duration::from_millis(5 + i % 7));
        machine.accept(&Offer { deadline, ..upload(queue, 8) }).unwrap();
    }
    assert!(matches!(machine.accept(&upload(queue, 8)), Err(Refusal::Full { free_ops: 0, .. })));
    let chunks = pump(&mut machine);
    assert_eq!(chunks.len(), 2, "of the large one");
    let mut actions = Vec::new();
    machine.step(Event::Tick(start + Duration::from_millis(11)), &mut actions);
    assert_eq!(machine.cancel(stuck), CancelOutcome::Partial, "a full queue takes a cancel");
    for (_, command) in chunks {
        machine.step(Event::Over(command, Ok(())), &mut actions);
    }
    machine.step(Event::Pump, &mut actions);
    let kinds = actions.iter().map(|action| match action {
        Action::Resolve { result: Err(error), .. } => (error.kind.clone(), error.bytes_done),
        other => panic!("{other:?}"),
    });
    let kinds: Vec<_> = kinds.collect();
    assert_eq!(kinds[0], (FailureKind::Cancelled, 8 << 20));
    assert!(kinds[1..].iter().all(|kind| *kind == (FailureKind::Deadline, 0)));
    assert_eq!(kinds.len(), 10_001, "each exactly once");
    assert_eq!(machine.level(queue).unresolved, 0);
}

#[test]
fn deadlines_of_resolved_messages_do_not_pile_up() {
    let mut machine = Machine::new("busy".into(), 8, 1);
    let queue = machine.open_queue("busy".into(), DEEP);
    let never = Instant::now() + Duration::from_secs(3600);
    for _ in 0..10_000 {
        machine.accept(&Offer { deadline: Some(never), ..upload(queue, 8) }).unwrap();
        let (_, command) = pump(&mut machine)[0];
        machine.step(Event::Over(command, Ok(())), &mut Vec::new());
    }
    assert!(machine.deadlines() < 200, "{} entries for no message", machine.deadlines());
}

#[test]
fn a_queue_of_higher_priority_waits_for_two_chunks_and_no_more() {
    let mut machine = Machine::new("link".into(), 4096, 1);
    let large = machine.open_queue("large".into(), Limits { bytes: 2 << 30, ..DEEP });
    let urgent = machine.open_queue("urgent".into(), Limits { priority: Priority::High, ..DEEP });
    let (big, _) = machine.accept(&upload(large, 1 << 30)).unwrap();
    let mut driver: std::collections::VecDeque<_> = pump(&mut machine).into();
    let (mut chunks, mut waited) = (0, Vec::new());
    let mut small = None;
    while let Some((message, command)) = driver.pop_front() {
        chunks += u32::from(message == big);
        if let Some((token, since)) = small.filter(|&(token, _)| token == message) {
            let _: Token = token;
            waited.push(chunks - since);
            small = None;
        }
        machine.step(Event::Over(command, Ok(())), &mut Vec::new());
        driver.extend(pump(&mut machine));
        if small.is_none() && chunks % 10 == 5 {
            small = Some((machine.accept(&upload(urgent, 64)).unwrap().0, chunks));
            driver.extend(pump(&mut machine));
        }
    }
    assert_eq!(chunks, 256, "4 MiB each");
    assert!(waited.len() >= 20 && waited.iter().all(|&n| n <= 2), "{waited:?}");
}

#[test]
fn what_is_small_neither_waits_for_room_nor_takes_that_of_a_chunk() {
    let mut machine = Machine::new("link".into(), 4096, 1);
    let large = machine.open_queue("large".into(), Limits { bytes: 2 << 30, ..DEEP });
    let urgent = machine.open_queue("urgent".into(), Limits { priority: Priority::High, ..DEEP });
    machine.accept(&upload(large, 1 << 30)).unwrap();
    let chunks = pump(&mut machine);
    assert_eq!(chunks.len(), 2);
    let (small, _) = machine.accept(&upload(urgent, 64)).unwrap();
    assert_eq!(pump(&mut machine).iter().map(|&(message, _)| message).collect::<Vec<_>>(), [small]);
    machine.step(Event::Over(chunks[0].1, Ok(())), &mut Vec::new());
    assert_eq!(pump(&mut machine).len(), 1, "the next chunk has the place of the one that is over");
    let (half, _) = machine.accept(&upload(urgent, 2 << 20)).unwrap();
    assert!(pump(&mut machine).is_empty(), "what is not small waits");
    machine.step(Event::Over(chunks[1].1, Ok(())), &mut Vec::new());
    assert_eq!(pump(&mut machine).iter().map(|&(message, _)| message).collect::<Vec<_>>(), [half]);
}

#[test]
fn who_waits_is_told_how_much_its_lane_moves_before() {
    let mut machine = Machine::new("link".into(), 4096, 1);
    let large = machine.open_queue("large".into(), Limits { bytes: 2 << 30, ..DEEP });
    let urgent = machine.open_queue("urgent".into(), Limits { priority: Priority::High, ..DEEP });
    let (first, _) = machine.accept(&upload(urgent, 64)).unwrap();
    assert_eq!(machine.bytes_to_move(first), 64);
    assert_eq!((pump(&mut machine).len(), machine.bytes_to_move(first)), (1, 64), "given, it is still to be moved");
    let (big, _) = machine.accept(&upload(large, 1 << 30)).unwrap();
    let chunks = pump(&mut machine);
    assert_eq!((machine.bytes_to_move(first), machine.bytes_to_move(big)), (64, 64 + (1 << 30)));
    let (behind, _) = machine.accept(&upload(urgent, 64)).unwrap();
    assert_eq!(pump(&mut machine).len(), 1);
    assert_eq!(machine.bytes_to_move(behind), (8 << 20) + 128, "two chunks are before it");
    machine.step(Event::Over(chunks[0].1, Ok(())), &mut Vec::new());
    assert_eq!(machine.bytes_to_move(behind), (4 << 20) + 128, "less what is over");
    pump(&mut machine);
    assert_eq!(machine.bytes_to_move(behind), (8 << 20) + 128, "as far as is known: the next chunk comes after it");
    let kind = Kind::Work(Lane::Compute);
    let (clear, _) = machine.accept(&Offer { kind, moves: 1 << 30, ..upload(urgent, 0) }).unwrap();
    assert_eq!(machine.bytes_to_move(clear), 0, "no link moves it");
}

#[test]
fn a_message_larger_than_its_queue_has_its_turn() {
    let mut machine = Machine::new("small".into(), 8, 1);
    let queue = machine.open_queue("small".into(), Limits { bytes: 100, ..DEEP });
    machine.accept(&upload(queue, 60)).unwrap();
    let huge = upload(queue, 500);
    assert!(matches!(machine.accept(&huge), Err(Refusal::Full { .. })));
    let turn = Some(machine.take_turn(queue));
    let next = machine.take_turn(queue);
    // There is room for 40 more, but somebody waits.
    assert!(matches!(machine.accept(&upload(queue, 10)), Err(Refusal::Full { free_bytes: 40, .. })));
    assert!(matches!(machine.reserve(queue, 1, 10, Some(next)), Err(Refusal::Full { .. })));
    let (_, command) = pump(&mut machine)[0];
    machine.step(Event::Over(command, Ok(())), &mut Vec::new());
    machine.reserve(queue, 1, 500, turn).expect("its turn");
    machine.accept_paid(&huge);
    let (_, command) = pump(&mut machine)[0];
    machine.step(Event::Over(command, Ok(())), &mut Vec::new());
    machine.leave_turn(queue, next);
    machine.accept(&upload(queue, 10)).expect("nobody waits");
}

#[test]
fn a_cancelled_message_stops_nothing_and_feeds_nobody() {
    let mut machine = Machine::new("wish".into(), 8, 1);
    let limits = Limits { policy: FailPolicy::FailStop, window: 1, ..DEEP };
    let queue = machine.open_queue("wish".into(), limits);
    let buffer = machine.register("x".into(), 64);
    let busy = machine.accept(&upload(queue, 4)).unwrap().0;
    let made = [Touch { buffer, access: Access::Overwrite, part: Part::WHOLE }];
    let write = machine.accept(&Offer { accesses: &made, ..upload(queue, 4) }).unwrap().0;
    let uses = [Touch { buffer, access: Access::Read, part: Part::WHOLE }];
    let read = machine.accept(&Offer { accesses: &uses, ..upload(queue, 4) }).unwrap().0;
    let last = machine.accept(&upload(queue, 4)).unwrap().0;
    assert_eq!(machine.cancel(write), CancelOutcome::NotStarted);
    let (mut actions, mut kinds) = (Vec::new(), Vec::new());
    while machine.level(queue).unresolved > 0 {
        let out = {
            machine.step(Event::Pump, &mut actions);
            actions.iter().find_map(|a| if let Action::Submit(s) = a { Some(s.command) } else { None })
        };
        kinds.extend(actions.drain(..).filter_map(|action| match action {
            Action::Resolve { token, result, .. } => Some((token, result.map_err(|e| e.kind.clone()))),
            _ => None,
        }));
        let Some(command) = out else { continue };
        machine.step(Event::Over(command, Ok(())), &mut actions);
    }
    kinds.extend(actions.drain(..).filter_map(|action| match action {
        Action::Resolve { token, result, .. } => Some((token, result.map_err(|e| e.kind.clone()))),
        _ => None,
    }));
    let order: Vec<Token> = kinds.iter().map(|(token, _)| *token).collect();
    assert_eq!(order, [busy, write, read, last]);
    assert_eq!(kinds[1].1, Err(FailureKind::Cancelled));
    assert!(matches!(&kinds[2].1, Err(FailureKind::Upstream { root }) if root.kind == FailureKind::Cancelled));
    assert_eq!(kinds[3].1, Ok(()), "the queue goes on");
    machine.accept(&upload(queue, 4)).expect("the queue has not failed");
}

#[test]
fn a_stop_is_over_once_it_was_resumed() {
    let mut machine = Machine::new("stop".into(), 8, 1);
    let queue = machine.open_queue("stop".into(), Limits { policy: FailPolicy::FailStop, window: 2, ..DEEP });
    for _ in 0..4 {
        machine.accept(&upload(queue, 4)).unwrap();
    }
    let running = pump(&mut machine);
    let mut actions = Vec::new();
    machine.step(Event::Over(running[0].1, Err(FailureKind::Backend("broke".into()))), &mut actions);
    assert!(matches!(machine.accept(&upload(queue, 4)), Err(Refusal::Failed(_))));
    machine.step(Event::Resume(queue), &mut actions);
    machine.accept(&upload(queue, 4)).expect("resumed");
    // What the first failure aborts ends only now, and aborts nothing in its turn.
    machine.step(Event::Over(running[1].1, Ok(())), &mut actions);
    let out = pump(&mut machine);
    assert_eq!(out.len(), 1, "the new message goes out");
    machine.accept(&upload(queue, 4)).expect("and another one");
}

#[test]
fn a_message_says_what_it_waits_for() {
    use super::machine::{Dependency, Wait};
    let mut machine = Machine::new("why".into(), 8, 1);
    let (a, b) = (machine.open_queue("a".into(), DEEP), machine.open_queue("b".into(), DEEP));
    let buffer = machine.register("x".into(), 64);
    let uses = [Touch { buffer, access: Access::ReadWrite, part: Part::WHOLE }];
    let (blocker, first) = machine.accept(&upload(a, 64 << 20)).unwrap();
    let (write, made) = machine.accept(&Offer { accesses: &uses, ..upload(a, 4) }).unwrap();
    let (read, id) =
        machine.accept(&Offer { accesses: &uses, kind: Kind::Work(Lane::Compute), ..upload(b, 4) }).unwrap();
    pump(&mut machine);
    assert_eq!(machine.wait_of(blocker), Some(Wait::Room(Lane::Upload)));
    assert_eq!(machine.wait_of(write), Some(Wait::Behind(first)));
    let edge = Dependency { on: made, cause: Cause::ReadAfterWrite, buffer: Some("x".into()), bytes: None };
    assert_eq!(machine.wait_of(read), Some(Wait::For(edge.clone())));
    assert_eq!(machine.edges_of(read).unwrap().collect::<Vec<_>>(), [edge]);
    assert_eq!(machine.oldest(a), Some(blocker));
    let why = machine.explain(read).unwrap().to_string();
    let reads = "it reads `x`, which that one writes";
    assert_eq!(why, format!("message {id} of queue `b` waits for {made}: {reads}"));
}
