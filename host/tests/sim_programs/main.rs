//! Random programs with random faults on a simulated device: every promise of the queues holds after
//! every step, and every message has exactly one end.
//!
//! `WHARF_SIM_PROGRAMS` says how many programs, `WHARF_SIM_SEED` which ones.

mod outcomes;
mod program;
mod run;

use std::{cell::RefCell, env, time::Instant};

use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use self::outcomes::Outcomes;

/// Programs of a run, unless the environment says otherwise.
const PROGRAMS: u32 = 10_000;
/// Each kind of outcome occurs so often at least in a run of at least [`PROGRAMS`].
const LEAST: u64 = 100;

fn wished<T: std::str::FromStr>(variable: &str, default: T) -> T {
    match env::var(variable) {
        Err(_) => default,
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable}: `{text}` is no number")),
    }
}

#[test]
fn no_program_loses_doubles_or_reorders_a_completion() {
    let (programs, seed) = (wished("WHARF_SIM_PROGRAMS", PROGRAMS), wished("WHARF_SIM_SEED", 0_u64));
    println!("{programs} programs of WHARF_SIM_SEED={seed}");
    let config = Config { cases: programs, failure_persistence: None, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let outcomes = RefCell::new(Outcomes::default());
    let began = Instant::now();
    let result = runner.run(&program::program(), |program| {
        run::run(&program, &mut outcomes.borrow_mut());
        Ok(())
    });
    if let Err(error) = result {
        panic!("WHARF_SIM_SEED={seed}: {error}");
    }
    let outcomes = outcomes.into_inner();
    println!("in {:.1} s; messages by outcome:", began.elapsed().as_secs_f64());
    for (name, count) in outcomes.table() {
        println!("{name:<24}{count:>12}");
        assert!(count >= LEAST || programs < PROGRAMS, "`{name}` hardly ever happens: {count} times");
    }
}
