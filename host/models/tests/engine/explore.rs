//! Runs a model under many schedules.

use shuttle::{
    Config, FailurePersistence, Runner,
    scheduler::{PctScheduler, RandomScheduler, Scheduler},
};
use wharf::models::Script;

/// Schedules of each of the two kinds, for each model and each way in which a device is driven.
pub(crate) const SCHEDULES: usize = 1500;
/// The same schedules in every run.
const SEED: u64 = 2026;
/// Preemptions, of which most bugs need one or two.
const DEPTH: usize = 3;

/// Who drives a device: two threads of its own or whoever sends and reports. When commands are over: as they
/// are submitted, or once a thread of the device's has done them. Whether messages that nothing is before are over as
/// they are accepted.
pub(crate) fn drives() -> [Script; 5] {
    let drive = |helped, at_once, passes| Script { helped, at_once, passes, ..Script::default() };
    [
        drive(false, false, false),
        drive(false, true, false),
        drive(true, false, false),
        drive(true, true, false),
        drive(true, false, true),
    ]
}

fn run(scheduler: impl Scheduler + 'static, model: impl Fn() + Send + Sync + 'static) -> usize {
    let mut config = Config::new();
    config.stack_size = 256 << 10;
    config.failure_persistence = FailurePersistence::None;
    // It says that it takes all atomics to be sequentially consistent.
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(model)
}

/// Runs the model under `schedules` drawn evenly, and as many with a few preemptions where they hurt. Panics
/// where it does, and where all its threads wait for each other.
pub(crate) fn explore(schedules: usize, model: impl Fn() + Send + Sync + Clone + 'static) -> usize {
    let even = run(RandomScheduler::new_from_seed(SEED, schedules), model.clone());
    even + run(PctScheduler::new_from_seed(SEED, DEPTH, schedules), model)
}
