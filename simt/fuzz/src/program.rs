//! A generated program: its text, its buffers, and what may differ between two runs of it.

use wharf_simt::{Entry, Error, Layout, Module, Scalar};

use crate::choice::Choices;
use crate::entry;
use crate::generator::{Counts, Features, Gen};
use crate::tree::{Stmt, pieces, print, without};

/// Expressions of a program that is made from a seed, and of one that is made from bytes.
const LARGE: usize = 2500;
const SMALL: usize = 250;

/// A module with its entry point `main`, and everything it needs to run.
#[derive(Clone, Debug)]
pub struct Program {
    items: Vec<Stmt>,
    /// Elements of each binding's runtime-sized array.
    lengths: Vec<u64>,
    fill: u32,
    /// Workgroups.
    pub groups: [u32; 3],
    /// Overrides.
    pub set: Vec<(String, f64)>,
    /// Of each slot of `reals`, how far two implementations may lie apart.
    pub tolerances: Vec<f64>,
    /// How often each construct was written.
    pub counts: Counts,
}

impl Program {
    /// The program that belongs to a seed.
    pub fn from_seed(seed: u64, features: Features) -> Self {
        entry::program(Choices::from_seed(seed), features, LARGE)
    }

    /// The program that a fuzzer's bytes describe. It is small: a fuzzer learns from many runs, and combines what it
    /// has learnt.
    pub fn from_bytes(bytes: &[u8], features: Features) -> Self {
        entry::program(Choices::from_bytes(bytes), features, SMALL)
    }

    pub(crate) fn new(
        items: Vec<Stmt>,
        lengths: Vec<u64>,
        groups: [u32; 3],
        set: Vec<(String, f64)>,
        mut generator: Gen<'_>,
    ) -> Self {
        let fill = generator.choices.word();
        Self { items, lengths, fill, groups, set, tolerances: generator.tolerances, counts: generator.counts }
    }

    /// The WGSL.
    pub fn wgsl(&self) -> String {
        print(&self.items)
    }

    /// The overrides, as compilers want them.
    pub fn overrides(&self) -> Vec<(&str, f64)> {
        self.set.iter().map(|(name, value)| (name.as_str(), *value)).collect()
    }

    /// The module and the entry point; the generator writes nothing that is not valid.
    ///
    /// # Errors
    ///
    /// [`wharf_simt::Error`] where it did, or where a statement was dropped that others need.
    pub fn module(&self) -> Result<(Module, Entry), Error> {
        let module = Module::new(&self.wgsl())?;
        let entry = module.entry("main")?.clone();
        Ok((module, entry))
    }

    /// Elements in the runtime-sized array of a binding.
    pub fn length(&self, group: u32, binding: u32) -> u64 {
        self.lengths[(group * 6 + binding) as usize]
    }

    /// What each binding holds before a run, word by word.
    pub fn buffers(&self, entry: &Entry) -> Vec<Vec<u32>> {
        (entry.bindings.iter())
            .map(|slot| {
                let length = self.length(slot.group, slot.binding);
                let seed = u64::from(self.fill) << 8 | u64::from(slot.group * 6 + slot.binding);
                let mut words = filled(&slot.layout, length, seed);
                if matches!(slot.name.as_str(), "out" | "reals") {
                    words.fill(0);
                }
                words
            })
            .collect()
    }

    /// The smallest program that still `fails`, by dropping statements.
    #[must_use]
    pub fn shrink(&self, mut fails: impl FnMut(&Self) -> bool) -> Self {
        let mut best = self.clone();
        let mut size = pieces(&best.items).max(1);
        while size > 0 {
            let mut at = 0;
            while at < pieces(&best.items) {
                let items = without(&best.items, &(at..at + size));
                let smaller = Self { items, ..best.clone() };
                if fails(&smaller) {
                    best = smaller;
                } else {
                    at += size;
                }
            }
            size /= 2;
        }
        best
    }
}

/// A buffer with `length` elements in its runtime-sized array: words from all over the range and its
/// edges, floats that are multiples of a quarter (of a half, for `f16`) and small.
pub fn filled(layout: &Layout, length: u64, seed: u64) -> Vec<u32> {
    let mut words = vec![0; layout.bytes(length).max(layout.min_bytes()).div_ceil(4) as usize];
    fill(&mut words, layout, length, &mut Choices::from_seed(seed));
    words
}

fn fill(words: &mut [u32], layout: &Layout, length: u64, choices: &mut Choices<'_>) {
    for leaf in layout.scalars(length) {
        let at = leaf.offset as usize / 4;
        let small = choices.below(129) as f32 / 4.0 - 16.0;
        match leaf.scalar {
            Scalar::F32 => words[at] = small.to_bits(),
            Scalar::F64 => {
                let bits = f64::from(small).to_bits();
                (words[at], words[at + 1]) = (bits as u32, (bits >> 32) as u32);
            }
            Scalar::F16 => put_half(words, leaf.offset, half_bits((small / 4.0).floor() / 2.0)),
            Scalar::I16 | Scalar::U16 => put_half(words, leaf.offset, word(choices) as u16),
            Scalar::I64 | Scalar::U64 => (words[at], words[at + 1]) = (word(choices), word(choices)),
            _ => words[at] = word(choices),
        }
    }
}

fn word(choices: &mut Choices<'_>) -> u32 {
    match choices.below(6) {
        0 => choices.pick(&[0, 1, u32::MAX, 0x8000_0000, 0x7fff_ffff, 31, 32, 33]),
        1..4 => choices.below(20) as u32,
        _ => choices.word(),
    }
}

fn put_half(words: &mut [u32], byte: u64, bits: u16) {
    let shift = 8 * (byte as u32 & 2);
    let word = &mut words[byte as usize / 4];
    *word = *word & !(0xffff << shift) | u32::from(bits) << shift;
}

/// A half float that needs no rounding and is no subnormal.
pub(crate) fn half_bits(value: f32) -> u16 {
    if value == 0.0 {
        return 0;
    }
    let bits = value.to_bits();
    ((bits >> 16 & 0x8000) | ((bits >> 23 & 0xff) - 112) << 10 | bits >> 13 & 0x3ff) as u16
}
