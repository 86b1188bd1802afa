//! Each bug on purpose shows in a model: the models can fail.

#[path = "../engine/explore.rs"]
mod explore;
#[path = "../engine/scarce.rs"]
#[expect(dead_code, reason = "the other scenes are the models' own")]
mod scarce;
#[path = "../engine/scenes.rs"]
#[expect(dead_code, reason = "the other scenes are the models' own")]
mod scenes;

use std::panic::{self, AssertUnwindSafe};

use explore::{SCHEDULES, drives, explore};
use scenes::Play;
use wharf::models::{Bug, plant};

/// Whether the scene goes wrong with the bug, on a device that is helped or one that has threads.
fn shows(bug: Bug, play: Play, helped: bool) -> bool {
    let mut scripts = drives().into_iter().filter(|script| script.helped == helped);
    plant(Some(bug));
    let fails = scripts.any(|script| {
        panic::catch_unwind(AssertUnwindSafe(|| explore(SCHEDULES, move || play(script.clone())))).is_err()
    });
    plant(None);
    fails
}

#[test]
fn a_credit_that_comes_back_unheard_is_found() {
    assert!(shows(Bug::Unheard, scenes::two_senders_and_one_credit, false));
    assert!(shows(Bug::Unheard, scenes::two_senders_and_one_credit, true));
}

#[test]
fn a_sender_that_sleeps_without_looking_once_more_is_found() {
    assert!(shows(Bug::LooksThenSleeps, scenes::two_senders_and_one_credit, false));
    assert!(shows(Bug::LooksThenSleeps, scenes::two_senders_and_one_credit, true));
}

#[test]
fn a_permit_that_tells_before_it_gives_back_is_found() {
    assert!(shows(Bug::ToldTooEarly, scenes::a_permit_is_dropped_while_a_sender_waits, false));
}

#[test]
fn a_task_that_leaves_its_waker_without_looking_once_more_is_found() {
    assert!(shows(Bug::WakesTooLate, scenes::a_task_and_a_thread_and_one_credit, false));
    assert!(shows(Bug::WakesTooLate, scenes::a_task_and_a_thread_and_one_credit, true));
}

#[test]
fn a_thread_that_forgets_that_it_was_woken_is_found() {
    assert!(shows(Bug::Forgetful, scenes::tickets_are_waited_for_while_they_resolve, false));
    assert!(shows(Bug::Forgetful, scenes::tickets_are_waited_for_while_they_resolve, true));
}

#[test]
fn a_baton_that_is_put_down_without_looking_is_found() {
    assert!(shows(Bug::Blind, scenes::tickets_are_waited_for_while_they_resolve, true));
}

#[test]
fn an_allocation_that_looks_and_takes_in_two_steps_is_found() {
    assert!(shows(Bug::LooksThenTakes, scarce::two_threads_allocate_where_one_finds_room, false));
    assert!(shows(Bug::LooksThenTakes, scarce::two_threads_allocate_where_one_finds_room, true));
}

#[test]
fn memory_that_goes_before_its_last_user_is_found() {
    assert!(shows(Bug::FreesInUse, scarce::two_threads_allocate_where_one_finds_room, false));
    assert!(shows(Bug::FreesInUse, scarce::two_threads_allocate_where_one_finds_room, true));
}

#[test]
fn a_slot_that_keeps_its_name_is_found() {
    assert!(shows(Bug::Stale, scenes::a_late_report_meets_a_slot_that_is_used_again, false));
    assert!(shows(Bug::Stale, scenes::a_late_report_meets_a_slot_that_is_used_again, true));
    let harmless = !shows(Bug::Stale, scenes::two_senders_and_one_credit, false);
    assert!(harmless, "only a late report meets the wrong message");
}
