//! Random WGSL, to compare what runs it.
//!
//! [`Program`] is a valid compute module, made from a seed or from a fuzzer's bytes, that has no race,
//! ends, and whose result WGSL defines: integers to the last bit, floats to the last bit where nothing
//! in them can be rounded, and to a bound that is computed with them elsewhere. So any two
//! implementations can be compared, and [`Program::shrink`] makes what they disagree on small.
//!
//! | file | what it holds |
//! |---|---|
//! | `corner`, `matrix` | programs that check themselves: those of `corners/`, and some that are computed |
//! | `choice` | decisions from a seed or from bytes |
//! | `tree` | program text as statements that can be dropped |
//! | `ty` | types, and which floats are exact |
//! | `generator` | names, variables in scope, literals |
//! | `expr`, `float`, `real` | expressions: words, exact floats, rounded floats |
//! | `stmt`, `flow`, `shared`, `entry` | statements, control flow, shared memory without races, the module |
//! | `program`, `run` | buffers, shrinking; engines and comparison |
//!
//! `fuzz_targets/` holds the entry points of libFuzzer (feature `libfuzzer`, a nightly compiler); how they
//! are run is in their heads.

mod choice;
mod corner;
mod entry;
mod expr;
mod float;
mod flow;
mod generator;
mod matrix;
mod program;
mod real;
mod run;
mod shared;
mod stmt;
mod tree;
mod ty;

pub use corner::{Corner, corners};
pub use generator::{Counts, Features};
pub use program::{Program, filled};
pub use run::{ENGINES, Ran, agreement, check, difference, enter, findings, run, run_program};

/// Every construct that is counted, those of [`Features::ALL`] too.
pub fn constructs() -> Vec<&'static str> {
    const OTHERS: &[&str] = &[
        "literal",
        "index at run time",
        "index that may be out of bounds",
        "column of a matrix",
        "member of a structure",
        "component by index",
        "component by name",
        "tame",
        "workgroup size by override",
        "override",
        "layout attribute",
        "structure",
        "private memory",
        "function",
    ];
    let tables = [
        expr::COMPARE,
        expr::LOGIC,
        expr::ARITHMETIC,
        expr::INTEGER,
        expr::PACKED,
        expr::UNPACKED,
        expr::GENERAL,
        float::EXACT,
        float::MATRIX,
        real::ROUNDED,
        stmt::STATEMENTS,
        flow::FLOW,
        shared::ATOMICS,
        shared::SHARED,
        shared::SUBGROUPS,
        OTHERS,
    ];
    let mut all: Vec<&str> = tables.into_iter().flatten().copied().collect();
    all.sort_unstable();
    all.dedup();
    all
}
