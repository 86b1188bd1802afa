//! The checker on every correct kernel there is: the corpus and the kernels of the benches. It finds nothing but what
//! is listed here with its reason.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::Buffer;
use wharf_simt::{Budget, Engine, Kind, Memory, Module};

/// How an entry point is run where it needs more than the rest: file and entry, workgroups, overrides, and by binding
/// what its first words are.
struct Given {
    kernel: &'static str,
    groups: [u32; 3],
    set: &'static [(&'static str, f64)],
    words: &'static [(&'static str, &'static [u32])],
}

const fn given(
    kernel: &'static str,
    groups: [u32; 3],
    set: &'static [(&'static str, f64)],
    words: &'static [(&'static str, &'static [u32])],
) -> Given {
    Given { kernel, groups, set, words }
}

const ONE: [u32; 3] = [1, 1, 1];
const TWO: [u32; 3] = [2, 1, 1];
const FOUR: [u32; 3] = [2, 2, 1];
/// Two workgroups of a radix pass on the lowest digit.
const RADIX: &[(&str, &[u32])] = &[("params", &[2, 0])];
const COUNT: &[(&str, f64)] = &[("count", 9.0)];

const GIVEN: &[Given] = &[
    given("mandelbrot mandelbrot", FOUR, &[], &[("params", &[32, 0x3d80_0000, 0x3d80_0000])]),
    given("matmul matmul", FOUR, &[], &[("n", &[32])]),
    given("stencil stencil", FOUR, &[], &[("side", &[32])]),
    given("radix count", TWO, &[], RADIX),
    given("radix scan", ONE, &[], RADIX),
    // All keys have the digit 1, of which the second workgroup's come after the first one's.
    given("radix scatter", TWO, &[], &[("params", &[2, 0]), ("places", &[0, 0, 0, 2048])]),
    given("bounds main", TWO, &[], &[("index", &[1, u32::MAX])]),
    given("workgroup wrong", ONE, &[], &[("input", &[0x40a0_0000])]),
    given("overrides main", ONE, COUNT, &[]),
    given("overrides logic", ONE, COUNT, &[]),
    // Written for one workgroup.
    given("data main", ONE, &[], &[]),
    given("doubles main", ONE, &[], &[]),
    given("half main", ONE, &[], &[]),
    given("matrices main", ONE, &[], &[]),
    given("short main", ONE, &[], &[]),
    given("subgroups main", ONE, &[], &[]),
    given("wide main", ONE, &[], &[]),
    given("wide_atomics main", ONE, &[], &[]),
    given("workgroup uniform_load", ONE, &[], &[]),
    given("workgroup endless", ONE, &[], &[]),
];

/// What is found all the same: file and entry, the kinds, and why that is right.
const EXPECTED: &[(&str, &[Kind], &str)] = &[
    ("histogram histogram", ZEROS, COUNTS_FROM_ZERO),
    ("radix count", ZEROS, COUNTS_FROM_ZERO),
    ("radix scatter", ZEROS, COUNTS_FROM_ZERO),
    ("atomics main", ZEROS, COUNTS_FROM_ZERO),
    ("wide_atomics main", ZEROS, COUNTS_FROM_ZERO),
    (
        "data main",
        &[Kind::Uninitialised, Kind::Race],
        "it reads workgroup memory that stays zero, and invocations write to one place what is the same for all",
    ),
    ("bounds main", &[Kind::Uninitialised, Kind::Bounds], "indices out of bounds are what it is about"),
    ("workgroup wrong", &[Kind::Divergence], "a barrier that not all reach is what it is about"),
    ("workgroup endless", &[Kind::Budget], "having no end is what it is about"),
];
const ZEROS: &[Kind] = &[Kind::Uninitialised];
const COUNTS_FROM_ZERO: &str = "workgroup counters start from WGSL's zeros, which CUDA does not give";

/// Elements of runtime-sized arrays.
const ELEMENTS: u64 = 4096;

fn files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in [root.join("tests/corpus"), root.join("../benches/wgsl")] {
        let found = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
        let before = files.len();
        files.extend(found.filter(|path| path.extension().is_some_and(|ext| ext == "wgsl")));
        assert!(files.len() > before + 5, "{} is nearly empty", folder.display());
    }
    files.sort();
    files
}

#[test]
fn correct_kernels_have_no_findings_but_those_listed() {
    let mut wrong = Vec::new();
    let mut names = Vec::new();
    for path in files() {
        let wgsl = std::fs::read_to_string(&path).unwrap();
        let module = Module::new(&wgsl).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for entry in module.entries() {
            let name = format!("{} {}", path.file_stem().unwrap().to_string_lossy(), entry.name);
            let usual = Given { kernel: "", groups: [2, 1, 1], set: &[], words: &[] };
            let given = GIVEN.iter().find(|given| given.kernel == name).unwrap_or(&usual);
            let program = module.compile(&entry.name, given.set, Engine::Interpreter);
            let program = match program {
                Ok(program) => program,
                Err(error) => {
                    wrong.push(format!("{name}: {error}"));
                    continue;
                }
            };
            let buffers: Vec<Buffer> = (program.bindings().iter())
                .map(|slot| {
                    let bytes = if slot.layout.elements_in(slot.min_bytes).is_some() {
                        slot.layout.bytes(ELEMENTS)
                    } else {
                        slot.min_bytes
                    };
                    let mut words = vec![1; bytes.div_ceil(4) as usize];
                    let first = given.words.iter().find(|(binding, _)| *binding == slot.name);
                    first.iter().flat_map(|(_, first)| *first).zip(&mut words).for_each(|(from, to)| *to = *from);
                    Buffer::new(&words)
                })
                .collect();
            let args: Vec<Memory<'_>> = buffers.iter().map(Buffer::memory).collect();
            let budget = Budget { max_steps: 200_000 };
            let findings = program.check(given.groups, &args, budget).unwrap_or_else(|error| panic!("{name}: {error}"));
            let expected = EXPECTED.iter().find(|(kernel, ..)| *kernel == name).map_or(&[][..], |(_, kinds, _)| kinds);
            let mut found: BTreeMap<Kind, String> = BTreeMap::new();
            for finding in findings {
                found.entry(finding.kind).or_insert_with(|| finding.to_string());
            }
            for (kind, text) in &found {
                if !expected.contains(kind) {
                    wrong.push(format!("{name}: {text}"));
                }
            }
            for kind in expected.iter().filter(|kind| !found.contains_key(kind)) {
                wrong.push(format!("{name}: {kind:?} is listed, but not found"));
            }
            names.push(name);
        }
    }
    for kernel in EXPECTED.iter().map(|row| row.0).chain(GIVEN.iter().map(|given| given.kernel)) {
        if !names.iter().any(|name| name == kernel) {
            wrong.push(format!("{kernel} is listed, but not there"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
