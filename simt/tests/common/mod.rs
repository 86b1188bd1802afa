//! Runs a kernel on buffers of words.
#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use wharf_simt::{Engine, Error, Memory, Module, Program};

/// The threads that all tests of a binary share.
pub(crate) fn pool() -> &'static rayon::ThreadPool {
    static POOL: OnceLock<rayon::ThreadPool> = OnceLock::new();
    POOL.get_or_init(|| rayon::ThreadPoolBuilder::new().num_threads(3).build().expect("threads"))
}

/// Words at an address that is a multiple of 16.
pub(crate) struct Buffer {
    words: Vec<AtomicU32>,
    start: usize,
    len: usize,
}

impl Buffer {
    pub(crate) fn new(content: &[u32]) -> Self {
        let words: Vec<AtomicU32> = (0..content.len() + 4).map(|_| AtomicU32::new(0)).collect();
        let start = (0..4).find(|&i| words[i..].as_ptr().addr().is_multiple_of(16)).expect("aligned");
        for (word, &value) in words[start..].iter().zip(content) {
            word.store(value, Ordering::Relaxed);
        }
        Self { words, start, len: content.len() }
    }

    pub(crate) fn memory(&self) -> Memory<'_> {
        Memory::shared(&self.words[self.start..self.start + self.len])
    }

    pub(crate) fn content(&self) -> Vec<u32> {
        let words = &self.words[self.start..self.start + self.len];
        words.iter().map(|word| word.load(Ordering::Relaxed)).collect()
    }
}

pub(crate) fn compile(wgsl: &str, entry: &str, set: &[(&str, f64)], engine: Engine) -> Program {
    let module = Module::new(wgsl).unwrap_or_else(|error| panic!("{error}"));
    let program = module.compile(entry, set, engine).unwrap_or_else(|error| panic!("{entry}: {error}"));
    assert!(program.engine() == engine || !cfg!(feature = "jit"), "{entry} is not compiled");
    program
}

/// Runs an entry point on both engines, which must agree; what the buffers hold afterwards.
pub(crate) fn try_run(
    wgsl: &str,
    entry: &str,
    set: &[(&str, f64)],
    groups: [u32; 3],
    buffers: &[Vec<u32>],
) -> Result<Vec<Vec<u32>>, Error> {
    let [compiled, interpreted] = [Engine::Jit, Engine::Interpreter].map(|engine| {
        let program = compile(wgsl, entry, set, engine);
        let buffers: Vec<Buffer> = buffers.iter().map(|content| Buffer::new(content)).collect();
        let args: Vec<Memory<'_>> = buffers.iter().map(Buffer::memory).collect();
        program.dispatch(groups, &args, pool(), &AtomicBool::new(false))?;
        Ok(buffers.iter().map(Buffer::content).collect::<Vec<_>>())
    });
    match (&compiled, &interpreted) {
        (Ok(compiled), Ok(interpreted)) => {
            for (binding, (compiled, interpreted)) in compiled.iter().zip(interpreted).enumerate() {
                let differs = |&i: &usize| compiled[i] != interpreted[i];
                if let Some(i) = (0..compiled.len()).find(differs) {
                    let (a, b) = (compiled[i], interpreted[i]);
                    panic!("{entry}: word {i} of buffer {binding} is {a:#x} compiled and {b:#x} interpreted");
                }
            }
        }
        _ => assert_eq!(format!("{compiled:?}"), format!("{interpreted:?}"), "{entry}"),
    }
    compiled
}

pub(crate) fn run(wgsl: &str, entry: &str, groups: [u32; 3], buffers: &[Vec<u32>]) -> Vec<Vec<u32>> {
    try_run(wgsl, entry, &[], groups, buffers).unwrap_or_else(|error| panic!("{entry}: {error}"))
}

pub(crate) fn floats(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

pub(crate) fn as_floats(words: &[u32]) -> Vec<f32> {
    words.iter().map(|&word| f32::from_bits(word)).collect()
}

/// Fails unless each pair is within `relative` of the larger, or within `absolute`.
pub(crate) fn assert_close(what: &str, got: &[f32], expected: &[f32], relative: f32, absolute: f32) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (&got, &expected)) in got.iter().zip(expected).enumerate() {
        let near = (got - expected).abs() <= absolute.max(relative * got.abs().max(expected.abs()));
        let same = got == expected || got.is_nan() && expected.is_nan();
        assert!(near || same, "{what}[{i}]: got {got}, expected {expected}");
    }
}
