use std::thread;

use super::{books::SMALL_BYTES, *};
use crate::backend::{After, Done, Lane, MemId, Path, Region, Source};

fn command(index: u32, lane: Lane, after: &[&Command], op: Op) -> Command {
    let token = Token { index, generation: 1 };
    let mut all = After::default();
    after.iter().for_each(|other| assert!(all.push(other.token)));
    Command { token, lane, after: all, op, quiet: false, given: Instant::now(), label: None }
}

fn clear(bytes: u64) -> Op {
    Op::Clear { dst: Region { mem: MemId(0), offset: 0, bytes } }
}

fn done(command: &mut Command, started: Instant, now: &dyn Fn() -> Instant) -> Event {
    Event::Done(Done {
        token: command.token,
        result: Ok(()),
        started: Some(started),
        finished: now(),
        device_seconds: None,
        path: Path::None,
        why: None,
        together: 1,
        form: None,
    })
}

/// The commands that are over, in order, once there are so many.
fn ends(lanes: &Lanes, number: usize) -> Vec<u32> {
    let mut events = Vec::new();
    let until = Instant::now() + Duration::from_secs(60);
    while events.len() < number && Instant::now() < until {
        lanes.reap(&mut events, Duration::from_millis(1));
    }
    let index = |event: &Event| if let Event::Done(done) = event { done.token.index } else { u32::MAX };
    events.iter().map(index).collect()
}

/// With the compute lane's thread alone: what is over then was done by it.
fn with_compute(test: impl FnOnce(&Lanes, &Memories)) {
    let (lanes, memories) = (Lanes::new(Run::Lanes { spin: Duration::ZERO }), Memories::default());
    // The other lanes sleep, for all that anybody knows.
    lanes.lock().asleep = [true, false, true];
    thread::scope(|scope| {
        let ran = scope.spawn(|| lanes.run(Lane::Compute as usize, &memories, done));
        test(&lanes, &memories);
        lanes.close();
        ran.join().expect("the lane ends");
    });
}

#[test]
fn what_is_small_is_done_by_the_lane_that_it_waited_for_and_no_other_is_woken() {
    with_compute(|lanes, memories| {
        let long = command(0, Lane::Compute, &[], clear(1 << 20));
        let answer = command(1, Lane::Download, &[&long], clear(SMALL_BYTES));
        let next = command(2, Lane::Upload, &[&answer], Op::Nothing);
        let mut batch = vec![long, answer];
        lanes.submit(&mut batch, memories, done);
        assert_eq!(ends(lanes, 2), [0, 1]);
        lanes.submit(&mut vec![next], memories, done);
        assert_eq!(ends(lanes, 1), [2], "by the sender, as what it came after is over");
        let books = lanes.lock();
        assert_eq!((books.asleep[0], books.asleep[2]), (true, true));
        assert_eq!((books.unfinished, books.queues.iter().map(VecDeque::len).sum::<usize>()), ([0; 3], 0));
    });
}

#[test]
fn what_is_long_wakes_its_lane_once_it_may_start_and_what_is_behind_it_waits() {
    with_compute(|lanes, memories| {
        let long = command(0, Lane::Compute, &[], clear(1 << 20));
        let answer = command(1, Lane::Download, &[&long], clear(1 << 20));
        let small = command(2, Lane::Download, &[], Op::Nothing);
        lanes.submit(&mut vec![long, answer, small], memories, done);
        assert_eq!(ends(lanes, 1), [0]);
        let books = lanes.lock();
        assert_eq!((books.asleep[0], books.asleep[2]), (true, false), "the download lane has something to do");
        assert_eq!((books.unfinished, books.queues[2].len()), ([0, 0, 2], 2), "in its order");
    });
}

#[test]
fn what_came_while_another_ran_begins_when_that_is_done_with() {
    let (lanes, memories) = (Lanes::new(Run::Lanes { spin: Duration::ZERO }), Memories::default());
    let began = Mutex::new(Vec::new());
    let second = Mutex::new(Some(command(1, Lane::Compute, &[], clear(1 << 20))));
    // The first one's end is before all that it does, as that of a launch is after which forms are tried.
    let execute = |command: &mut Command, started: Instant, now: &dyn Fn() -> Instant| {
        began.lock().expect("no panic").push((started, Instant::now()));
        let event = done(command, started, now);
        if let Some(second) = second.lock().expect("no panic").take() {
            lanes.submit(&mut vec![second], &memories, done);
            thread::sleep(Duration::from_millis(20));
        }
        event
    };
    thread::scope(|scope| {
        let ran = scope.spawn(|| lanes.run(Lane::Compute as usize, &memories, execute));
        lanes.submit(&mut vec![command(0, Lane::Compute, &[], clear(1 << 20))], &memories, done);
        assert_eq!(ends(&lanes, 2), [0, 1]);
        lanes.close();
        ran.join().expect("the lane ends");
    });
    let began = began.into_inner().expect("no panic");
    assert!(began[1].0 - began[0].1 >= Duration::from_millis(20), "not at the first one's end: {began:?}");
}

#[test]
fn a_block_that_is_adopted_is_small_whatever_its_size_unless_that_frees_memory() -> crate::Result<()> {
    let memories = Memories::default();
    let upload = |bytes: u64| {
        let (mem, block) = (memories.alloc(bytes)?, memories.host_alloc(bytes)?);
        let whole = Region { mem, offset: 0, bytes };
        Ok::<_, crate::Error>(Op::Upload { src: Source::Block(block), dst: whole })
    };
    assert_eq!(small(&upload(1 << 20)?, &memories), Some(0));
    assert_eq!(small(&upload((256 << 20) + 16)?, &memories), None, "more than is kept for the next fill");
    let (mem, block) = (memories.alloc(1 << 20)?, memories.host_alloc(1 << 19)?);
    let half = Region { mem, offset: 0, bytes: 1 << 19 };
    assert_eq!(small(&Op::Upload { src: Source::Block(block), dst: half }, &memories), None, "it is copied");
    Ok(())
}
