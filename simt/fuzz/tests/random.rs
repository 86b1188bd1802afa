//! Random programs: valid, free of races, and the same on every engine.
//!
//! `WHARF_PROGRAMS=100000` runs so many, from a seed that is printed and that `WHARF_SEED` sets again.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use wharf_simt_fuzz::{ENGINES, Features, Program, agreement, constructs, findings};

/// How many programs, and the seed of the first.
fn amount() -> (u64, u64) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    let Some(programs) = number("WHARF_PROGRAMS") else {
        return (60, 1);
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let seed = number("WHARF_SEED").unwrap_or(now);
    println!("{programs} programs from WHARF_SEED={seed}");
    (programs, seed)
}

#[test]
fn engines_agree_on_random_programs() {
    let (programs, first) = amount();
    let mut counts = BTreeMap::<&str, u64>::new();
    let mut compared = 0;
    for seed in first..first + programs {
        let features = if seed % 2 == 0 { Features::ALL } else { Features::PORTABLE };
        let program = Program::from_seed(seed, features);
        for (what, times) in &program.counts {
            *counts.entry(what).or_default() += times;
        }
        match agreement(&program) {
            // What is too large to compile was interpreted twice.
            Ok(engines) => compared += u64::from(engines == ENGINES),
            Err(line) => {
                let same = |smaller: &Program| agreement(smaller).is_err_and(|other| kind(&other) == kind(&line));
                let small = program.shrink(same);
                panic!("seed {seed}, {features:?}\n{}\n{:?}", small.wgsl(), agreement(&small));
            }
        }
    }
    let missing: Vec<&str> = constructs().into_iter().filter(|what| !counts.contains_key(what)).collect();
    let unlisted: Vec<&&str> = counts.keys().filter(|what| !constructs().contains(what)).collect();
    println!("{programs} programs, {compared} of them on {ENGINES:?}: {counts:?}");
    assert!(compared * 4 > programs * 3, "only {compared} of {programs} ran on {ENGINES:?}");
    assert!(missing.is_empty() && unlisted.is_empty(), "never written: {missing:?}; not in a table: {unlisted:?}");
}

/// The programs are what they claim to be, and the checker finds nothing in what has nothing.
#[test]
fn random_programs_have_no_race() {
    for seed in 1..=100 {
        let features = if seed % 2 == 0 { Features::ALL } else { Features::PORTABLE };
        let program = Program::from_seed(seed, features);
        let racy = |program: &Program| findings(program).is_ok_and(|found| !found.is_empty());
        if racy(&program) {
            let small = program.shrink(racy);
            let found = findings(&small).unwrap_or_default();
            panic!("seed {seed}, {features:?}\n{}\n{}", small.wgsl(), found[0]);
        }
        findings(&program).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

/// What has failed, without names and numbers: a smaller program must fail in the same way.
fn kind(line: &str) -> String {
    line.split('`').next().unwrap_or(line).chars().filter(|c| !c.is_ascii_digit()).collect()
}
