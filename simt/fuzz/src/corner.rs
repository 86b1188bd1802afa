//! Programs that check themselves: each writes what it got beside what WGSL says.
//!
//! Random programs show that implementations agree; these show that they are right.

use std::path::PathBuf;

use wharf_simt::{Access, Entry, Scalar, Slot};

/// What every program begins with. Check `k` takes three words of `out`: `k + 1`, what it got, what is right.
const PRELUDE: &str = "
@group(0) @binding(0) var<storage, read_write> out: array<u32>;
@group(0) @binding(1) var<storage, read> src: array<u32>;
fn eq(k: u32, got: u32, want: u32) { out[3u * k] = k + 1u; out[3u * k + 1u] = got; out[3u * k + 2u] = want; }
fn ef(k: u32, got: f32, want: f32) { eq(k, bitcast<u32>(got), bitcast<u32>(want)); }
";

/// The overrides of entry points that need some.
const SETS: &[(&str, &[(&str, f64)])] = &[
    ("defaults", &[("scale", 0.25)]),
    ("changed", &[("flag", 0.0), ("@7", -40.0), ("count", 3.0), ("scale", -2.5), ("small", 0.25), ("idle", 4.0)]),
];

/// Elements of each runtime-sized array but `out` and `src`.
const LENGTH: u64 = 8;

/// A program of `corners/`.
#[derive(Clone, Debug)]
pub struct Corner {
    /// The file's name without its ending.
    pub name: String,
    /// The whole program.
    pub wgsl: String,
}

impl Corner {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        // Directives come first.
        let is_directive = |line: &&str| line.starts_with("enable ") || line.starts_with("diagnostic(");
        let (directives, rest): (Vec<&str>, Vec<&str>) = text.lines().partition(is_directive);
        Self { name: name.to_owned(), wgsl: [&directives.join("\n"), PRELUDE, &rest.join("\n")].concat() }
    }

    /// The overrides to run an entry point with.
    pub fn overrides(entry: &Entry) -> &'static [(&'static str, f64)] {
        SETS.iter().find(|(name, _)| *name == entry.name).map_or(&[], |(_, set)| set)
    }

    /// What each binding holds before a run: of `src` each word its place, of a uniform each scalar its
    /// place in the buffer, elsewhere zeros.
    pub fn contents(entry: &Entry) -> Vec<Vec<u32>> {
        entry.bindings.iter().map(content).collect()
    }

    /// What is wrong in `out` after a run.
    ///
    /// # Errors
    ///
    /// A line for each check that failed; one line where there was no check at all.
    pub fn verdict(entry: &Entry, contents: &[Vec<u32>]) -> Result<(), String> {
        let at = entry.bindings.iter().position(|slot| slot.name == "out");
        let out = at.map(|at| &contents[at][..]).unwrap_or_default();
        let checks: Vec<&[u32]> = out.chunks_exact(3).filter(|check| check[0] != 0).collect();
        if checks.is_empty() {
            return Err("nothing was checked".to_owned());
        }
        let wrong: Vec<String> = (checks.iter().filter(|check| check[1] != check[2]))
            .map(|check| format!("check {}: {:#x}, and {:#x} is right", check[0] - 1, check[1], check[2]))
            .collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
    }
}

fn content(slot: &Slot) -> Vec<u32> {
    match (slot.name.as_str(), slot.access) {
        ("out", _) => vec![0; 1024],
        ("src", _) => (0..64).collect(),
        (_, Access::Uniform) => {
            let mut words = vec![0; slot.layout.bytes(LENGTH).div_ceil(4) as usize];
            for leaf in slot.layout.scalars(LENGTH) {
                let place = (leaf.offset / u64::from(leaf.scalar.bytes())) as u32;
                let word = &mut words[leaf.offset as usize / 4];
                *word |= match leaf.scalar {
                    Scalar::F32 => (place as f32).to_bits(),
                    Scalar::F16 => u32::from(crate::program::half_bits(place as f32)) << (8 * (leaf.offset & 2)),
                    _ => place,
                };
            }
            words
        }
        _ => vec![0; slot.layout.bytes(LENGTH).max(slot.min_bytes).div_ceil(4) as usize],
    }
}

/// Every program, by name.
///
/// # Panics
///
/// Where the folder cannot be read.
pub fn corners() -> Vec<Corner> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/corners"));
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut all: Vec<Corner> = files
        .map(|file| {
            let path = file.expect("it can be read").path();
            let text = std::fs::read_to_string(&path).expect("it is text");
            Corner::new(&path.file_stem().expect("a name").to_string_lossy(), &text)
        })
        .chain(["f32", "f16"].map(crate::matrix::corner))
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}
