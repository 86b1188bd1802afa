//! The front door: whatever the text, an error or a run.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{Buffer, pool};
use proptest::prelude::*;
use wharf_simt::{Engine, Error, Memory, Module};

const CORPUS: [&str; 17] = [
    include_str!("corpus/atomics.wgsl"),
    include_str!("corpus/bounds.wgsl"),
    include_str!("corpus/builtins.wgsl"),
    include_str!("corpus/control.wgsl"),
    include_str!("corpus/conversions.wgsl"),
    include_str!("corpus/data.wgsl"),
    include_str!("corpus/doubles.wgsl"),
    include_str!("corpus/floats.wgsl"),
    include_str!("corpus/half.wgsl"),
    include_str!("corpus/integers.wgsl"),
    include_str!("corpus/matrices.wgsl"),
    include_str!("corpus/overrides.wgsl"),
    include_str!("corpus/packing.wgsl"),
    include_str!("corpus/subgroups.wgsl"),
    include_str!("corpus/wide.wgsl"),
    include_str!("corpus/wide_atomics.wgsl"),
    include_str!("corpus/workgroup.wgsl"),
];

/// Compiles and runs every entry point on small buffers, each for a moment at most.
fn enter(wgsl: &str) -> Result<(), Error> {
    let module = Module::new(wgsl)?;
    for entry in module.entries() {
        let Ok(program) = module.compile(&entry.name, &[], Engine::default()) else {
            continue;
        };
        if entry.bindings.iter().any(|slot| slot.min_bytes > 1 << 20) {
            continue;
        }
        let buffers: Vec<Buffer> = (entry.bindings.iter())
            .map(|slot| Buffer::new(&vec![3; slot.min_bytes.div_ceil(4) as usize + 5]))
            .collect();
        let args: Vec<Memory<'_>> = buffers.iter().map(Buffer::memory).collect();
        let stop = AtomicBool::new(false);
        let done = AtomicBool::new(false);
        let ran = std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..200 {
                    if done.load(Ordering::Relaxed) {
                        return;
                    }
                    std::thread::sleep(Duration::from_micros(500));
                }
                stop.store(true, Ordering::Relaxed);
            });
            let ran = program.dispatch([2, 1, 1], &args, pool(), &stop);
            done.store(true, Ordering::Relaxed);
            ran
        });
        match ran {
            Ok(_) | Err(Error::Stopped | Error::Divergence { .. } | Error::NotUniform { .. }) => {}
            Err(error) => panic!("{}: {error}", entry.name),
        }
    }
    Ok(())
}

#[test]
fn the_corpus_itself_enters() {
    for wgsl in CORPUS {
        enter(wgsl).unwrap();
    }
}

/// Words that change what a program does when they stand in for others.
const WORDS: [&str; 28] = [
    "0",
    "1u",
    "-1",
    "4294967295u",
    "x",
    "i",
    "0.0",
    "array<u32, 70000>",
    "return;",
    "break;",
    "continue;",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ";",
    "+",
    "<<",
    "/",
    "loop",
    "if true",
    "workgroupBarrier();",
    "&",
    "*",
    "vec3(1)",
    "atomic<u32>",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_program_is_an_error_or_runs(
        which in 0..CORPUS.len(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..3_u8), 1..4),
    ) {
        // Words and the gaps between them, so that most damage still parses.
        let text = CORPUS[which];
        let mut tokens: Vec<String> = Vec::new();
        for c in text.chars() {
            let word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
            match tokens.last_mut() {
                Some(last) if last.chars().all(word) && word(c) => last.push(c),
                _ => tokens.push(c.to_string()),
            }
        }
        for (at, other, how) in edits {
            let at = at.index(tokens.len());
            match how {
                0 => tokens[at] = WORDS[other.index(WORDS.len())].to_owned(),
                1 => tokens[at] = tokens[other.index(tokens.len())].clone(),
                _ => { tokens.remove(at); }
            }
        }
        let _ = enter(&tokens.concat());
    }
}

#[test]
fn what_is_too_large_is_refused_with_its_place() {
    for (wgsl, at) in [
        ("@compute @workgroup_size(1)\nfn main() { var a: array<array<u32, 65536>, 65536>; a[0][0] = 1u; }", 2),
        ("@compute @workgroup_size(1024)\nfn main() { var a: array<u32, 1000000>; a[0] = 1u; }", 2),
        ("var<workgroup> a: array<u32, 100000000>;\n@compute @workgroup_size(1) fn main() { a[0] = 1u; }", 1),
        (
            "var<private> a: array<array<vec4<u32>, 65536>, 65536>;\n@compute @workgroup_size(1) fn main() { a[0][0].x = 1u; }",
            1,
        ),
        ("\n@compute @workgroup_size(16384, 16384)\nfn main() { }", 3),
        ("@compute @workgroup_size(16384, 16384, 16384)\nfn main() { }", 2),
        ("@compute @workgroup_size(16384, 2)\nfn main() { }", 2),
    ] {
        let compiled = Module::new(wgsl).and_then(|module| module.compile("main", &[], Engine::default()));
        match compiled.map(|_| ()) {
            Err(Error::Limit { at: place, .. }) => {
                assert_eq!(place.map_or(0, |place| place.line), at, "{wgsl}");
            }
            // naga has limits of its own.
            Err(Error::Invalid { .. } | Error::Parse { .. }) => {}
            other => panic!("{wgsl}: {other:?}"),
        }
    }
}

#[test]
fn functions_that_double_at_every_call_are_refused() {
    let mut wgsl = "fn f0(x: u32) -> u32 { return x * 3u + 1u; }\n".to_owned();
    for i in 1..40 {
        let below = i - 1;
        wgsl += &format!("fn f{i}(x: u32) -> u32 {{ return f{below}(x) + f{below}(x + 1u); }}\n");
    }
    wgsl += "@group(0) @binding(0) var<storage, read_write> out: array<u32>;
        @compute @workgroup_size(1) fn main() { out[0] = f39(1u); }";
    let module = Module::new(&wgsl).unwrap();
    let error = module.compile("main", &[], Engine::Interpreter).unwrap_err();
    assert!(matches!(error, Error::Limit { at: Some(_), .. }), "{error}");
}

#[test]
fn functions_that_call_each_other_very_deep_are_refused() {
    let mut wgsl = "fn f0(x: u32) -> u32 { return x; }\n".to_owned();
    for i in 1..2000 {
        wgsl += &format!("fn f{i}(x: u32) -> u32 {{ return f{}(x) + 1u; }}\n", i - 1);
    }
    wgsl += "@group(0) @binding(0) var<storage, read_write> out: array<u32>;
        @compute @workgroup_size(1) fn main() { out[0] = f1999(1u); }";
    match Module::new(&wgsl).and_then(|module| module.compile("main", &[], Engine::Interpreter)) {
        Err(Error::Limit { .. } | Error::Invalid { .. } | Error::Parse { .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_largest_workgroup_runs_on_both_engines_and_its_last_races_are_seen() {
    let wgsl = "@group(0) @binding(0) var<storage, read_write> out: array<u32>;
        @compute @workgroup_size(16384) fn main(@builtin(local_invocation_index) i: u32) { out[i] = i; }
        @compute @workgroup_size(16384) fn races(@builtin(local_invocation_index) i: u32) {
            if i >= 16382u { out[0] = i; }
        }";
    let got = common::run(wgsl, "main", [1, 1, 1], &[vec![7; 16384]]);
    assert_eq!(got[0], (0..16384).collect::<Vec<u32>>());
    let program = common::compile(wgsl, "races", &[], Engine::Interpreter);
    let buffer = Buffer::new(&[0; 4]);
    let findings = program.check([1, 1, 1], &[buffer.memory()], wharf_simt::Budget::default()).unwrap();
    let locals: Vec<_> = findings.iter().flat_map(|f| &f.invocations).map(|who| who.local[0]).collect();
    assert_eq!(locals, [16383, 16382], "{findings:?}");
}
