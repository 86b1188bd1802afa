//! simt's own corpus, interpreter against device.

use std::time::Duration;

use wharf::Device;
use wharf_simt::{Access, Engine, Module, Scalar};
use wharf_simt_fuzz::{filled, run};

use super::{device, run_there};

/// An entry point of the corpus and how it is run: workgroups, overrides, elements of runtime-sized
/// arrays, and how far floats may lie apart, absolute or relative.
struct Case(&'static str, &'static str, [u32; 3], &'static [(&'static str, f64)], u64, f64);

/// Floats that WGSL rounds correctly or nearly so.
const CLOSE: f64 = 1e-5;
/// WGSL's widest bounds: `sin` and `cos` at 2^-11, `atan` at 4096 units in the last place; on each side.
const WIDE: f64 = 1e-3;

const CASES: &[Case] = &[
    Case("atomics", "main", [3, 1, 1], &[], 64, CLOSE),
    Case("builtins", "main", [2, 2, 2], &[], 128, CLOSE),
    Case("control", "main", [2, 1, 1], &[], 400, CLOSE),
    Case("control", "returns", [2, 1, 1], &[], 400, CLOSE),
    Case("conversions", "main", [1, 1, 1], &[], 64, CLOSE),
    Case("data", "main", [1, 1, 1], &[], 100, CLOSE),
    Case("floats", "unary", [1, 1, 1], &[], 320, WIDE),
    Case("floats", "binary", [1, 1, 1], &[], 320, WIDE),
    Case("integers", "signed", [1, 1, 1], &[], 7 * 24, CLOSE),
    Case("integers", "unsigned", [1, 1, 1], &[], 7 * 24, CLOSE),
    Case("matrices", "main", [1, 1, 1], &[], 16, CLOSE),
    Case("overrides", "main", [1, 1, 1], &[("count", 9.0), ("factor", 0.5), ("flip", 1.0), ("idle", 7.0)], 16, CLOSE),
    Case("overrides", "logic", [1, 1, 1], &[("count", 3.0), ("flip", 1.0)], 2, CLOSE),
    Case("packing", "main", [1, 1, 1], &[], 64, CLOSE),
    Case("vectors", "main", [1, 1, 1], &[], 80, CLOSE),
    Case("workgroup", "reduce", [2, 1, 1], &[], 128, CLOSE),
    Case("workgroup", "uniform_load", [1, 1, 1], &[("size", 32.0)], 128, CLOSE),
    Case("half", "main", [1, 1, 1], &[], 64, WIDE),
    Case("wide", "main", [1, 1, 1], &[], 64, CLOSE),
    Case("doubles", "main", [1, 1, 1], &[], 64, CLOSE),
];

/// What is not compared, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("bounds", "WGSL leaves open what an index out of bounds reads and writes"),
    ("short", "no device runs 16-bit integers"),
    ("subgroups", "the results depend on the subgroup's size, 16 here and 8 there"),
    ("wide_atomics", "64-bit atomics are not among the features that devices are opened with"),
];

/// What this device does otherwise, and why that is its own affair: entry point, and how the line begins that
/// says so (binding and path, or the refusal).
const KNOWN: &[(&str, &str, &str)] = &[
    (
        "data main",
        "refused: main: internal error: entered unreachable code",
        "naga 30.0.1 gives up on this module when it writes SPIR-V",
    ),
    ("wide main", "out [12]", WIDENED),
    ("wide main", "out [25]", WIDENED),
    ("wide main", "out [51]", WIDENED),
    ("wide main", "mixed big", WIDENED),
];
const WIDENED: &str = "naga 30.0.1 writes SPIR-V that takes a u32 for an i32 where it becomes an i64";

fn text(file: &str) -> String {
    let path = format!("{}/../simt/tests/corpus/{file}.wgsl", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What each binding holds before the run: floats in the domain of the functions that take them.
fn contents(file: &str, module: &Module, entry: &str, length: u64) -> Vec<Vec<u32>> {
    let bindings = &module.entry(entry).expect("it is there").bindings;
    let mut contents = Vec::new();
    for (slot, seed) in bindings.iter().zip(1..) {
        let mut words = filled(&slot.layout, length, seed);
        for leaf in slot.layout.scalars(length) {
            let word = &mut words[leaf.offset as usize / 4];
            match (file, leaf.scalar) {
                ("floats", Scalar::F32) => *word = (0.05 + (leaf.offset as f32 * 0.037) % 0.9).to_bits(),
                // Words that are no NaN as a float.
                ("conversions", Scalar::I32) => *word %= 1 << 24,
                _ => {}
            }
        }
        contents.push(words);
    }
    contents
}

/// The values that differ, as `binding path: here and there`.
fn differences(case: &Case, device: &Device) -> wharf::Result<Vec<String>> {
    let Case(file, entry, groups, set, length, most) = *case;
    let wgsl = text(file);
    let module = Module::new(&wgsl).unwrap_or_else(|error| panic!("{file}: {error}"));
    let contents = contents(file, &module, entry, length);
    let limit = Duration::from_secs(20);
    let here = run(&module, entry, set, Engine::Interpreter, groups, &contents, limit);
    let here = here.unwrap_or_else(|error| panic!("{file} {entry}: {error}")).buffers;
    let there = run_there(device, &wgsl, entry, set, groups, &contents)?;
    let mut lines = Vec::new();
    let bindings = &module.entry(entry).expect("it is there").bindings;
    for (slot, (here, there)) in bindings.iter().zip(here.iter().zip(&there)) {
        if slot.access != Access::ReadWrite {
            continue;
        }
        for leaf in slot.layout.scalars(length) {
            let (at, shift) = (leaf.offset as usize / 4, 8 * (leaf.offset & 2));
            let (a, b) = (here[at], there[at]);
            let same = match leaf.scalar {
                Scalar::F32 => {
                    let (x, y) = (f64::from(f32::from_bits(a)), f64::from(f32::from_bits(b)));
                    a == b || (x - y).abs() <= most * x.abs().max(y.abs()).max(1.0)
                }
                Scalar::F64 => {
                    let double = |words: &[u32]| f64::from_bits(u64::from(words[at + 1]) << 32 | u64::from(words[at]));
                    let (x, y) = (double(here), double(there));
                    x == y || x.is_nan() && y.is_nan() || (x - y).abs() <= most * x.abs().max(y.abs()).max(1.0)
                }
                Scalar::I64 | Scalar::U64 => here[at..at + 2] == there[at..at + 2],
                Scalar::F16 => (a >> shift ^ b >> shift) & 0xffff <= 1,
                _ => a == b,
            };
            if !same {
                lines.push(format!("{} {}: {a:#x} and {b:#x}", slot.name, leaf.path));
            }
        }
    }
    Ok(lines)
}

#[test]
fn the_corpus_comes_out_as_on_the_device() {
    let Some(device) = device() else { return };
    let mut wrong = Vec::new();
    for case in CASES {
        let name = format!("{} {}", case.0, case.1);
        if case.0 == "half" && !device.capabilities().f16 {
            eprintln!("SKIP {name}: {} has no f16", device.capabilities().name);
            continue;
        }
        let lines = differences(case, &device).unwrap_or_else(|error| vec![format!("refused: {error}")]);
        // What devices are opened with where they have it, and no capability says.
        if matches!(case.0, "wide" | "doubles") && lines.iter().any(|line| line.contains("Capabilities(")) {
            eprintln!("SKIP {name}: {} has no such scalars", device.capabilities().name);
            continue;
        }
        let known: Vec<_> = KNOWN.iter().filter(|(entry, ..)| *entry == name).collect();
        for (_, path, why) in &known {
            match lines.iter().find(|line| line.starts_with(path)) {
                Some(line) => println!("{name} {line}: {why}"),
                None => println!("{name} {path} does not differ here; elsewhere: {why}"),
            }
        }
        let unknown = lines.into_iter().filter(|line| !known.iter().any(|(_, path, _)| line.starts_with(path)));
        wrong.extend(unknown.map(|line| format!("{name} {line}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each file of the corpus is compared, or left out with a reason.
#[test]
fn no_file_of_the_corpus_is_forgotten() {
    let folder = format!("{}/../simt/tests/corpus", env!("CARGO_MANIFEST_DIR"));
    for file in std::fs::read_dir(folder).expect("the corpus is there") {
        let path = file.expect("it can be read").path();
        let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name");
        let placed = CASES.iter().any(|case| case.0 == name) || LEFT_OUT.iter().any(|(file, _)| *file == name);
        assert!(placed, "{name} is neither compared nor left out");
    }
}
