//! Runs programs on the engines and compares what comes out.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{LazyLock, mpsc};
use std::time::Duration;

use wharf_simt::{Access, Budget, Engine, Entry, Error, Finding, Kind, Memory, Module, Scalar, Slot};

use crate::program::Program;

/// Every engine; they agree bit for bit. The first is the oracle.
pub const ENGINES: &[Engine] = &[Engine::Interpreter, Engine::Jit];

static POOL: LazyLock<rayon::ThreadPool> =
    LazyLock::new(|| rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("threads"));

/// Words at an address that is a multiple of 16.
struct Buffer {
    words: Vec<AtomicU32>,
    start: usize,
}

impl Buffer {
    fn new(content: &[u32]) -> Self {
        let mut words: Vec<AtomicU32> = (0..content.len() + 3).map(|_| AtomicU32::new(0)).collect();
        let start = (0..4).find(|&i| words[i..].as_ptr().addr().is_multiple_of(16)).expect("words lie at words");
        words.truncate(start + content.len());
        for (word, &value) in words[start..].iter().zip(content) {
            word.store(value, Ordering::Relaxed);
        }
        Self { words, start }
    }

    fn memory(&self) -> Memory<'_> {
        Memory::shared(&self.words[self.start..])
    }

    fn content(&self) -> Vec<u32> {
        self.words[self.start..].iter().map(|word| word.load(Ordering::Relaxed)).collect()
    }
}

/// What a run came to.
#[derive(Debug)]
pub struct Ran {
    /// What ran it.
    pub engine: Engine,
    /// What each binding holds afterwards.
    pub buffers: Vec<Vec<u32>>,
}

/// Runs an entry point for so long at most.
///
/// # Errors
///
/// Those of compiling and dispatching; [`Error::Stopped`] where the time is up.
pub fn run(
    module: &Module,
    entry: &str,
    set: &[(&str, f64)],
    engine: Engine,
    groups: [u32; 3],
    buffers: &[Vec<u32>],
    limit: Duration,
) -> Result<Ran, Error> {
    let program = module.compile(entry, set, engine)?;
    let buffers: Vec<Buffer> = buffers.iter().map(|content| Buffer::new(content)).collect();
    let args: Vec<Memory<'_>> = buffers.iter().map(Buffer::memory).collect();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (done, wait) = mpsc::channel::<()>();
        let stop = &stop;
        scope.spawn(move || {
            if wait.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
                stop.store(true, Ordering::Relaxed);
            }
        });
        let ran = program.dispatch(groups, &args, &POOL, stop);
        drop(done);
        ran
    })?;
    Ok(Ran { engine: program.engine(), buffers: buffers.iter().map(Buffer::content).collect() })
}

/// Runs a generated program on one engine.
///
/// # Errors
///
/// As [`run`].
pub fn run_program(program: &Program, engine: Engine) -> Result<Ran, Error> {
    let (module, entry) = program.module()?;
    run_module(program, &module, &entry, engine)
}

fn run_module(program: &Program, module: &Module, entry: &Entry, engine: Engine) -> Result<Ran, Error> {
    let buffers = program.buffers(entry);
    run(module, "main", &program.overrides(), engine, program.groups, &buffers, Duration::from_secs(20))
}

/// Runs a generated program on every engine: those that ran it, or what is wrong, in a line: one rejects
/// it, is stopped by its time, or comes to something else than the first.
///
/// What is too large to compile is interpreted, so an engine may be there twice.
///
/// # Errors
///
/// The line.
pub fn agreement(program: &Program) -> Result<Vec<Engine>, String> {
    let (module, entry) = program.module().map_err(|error| format!("the front door: {error}"))?;
    let ran: Vec<Ran> = ENGINES
        .iter()
        .map(|&engine| run_module(program, &module, &entry, engine).map_err(|error| format!("{engine:?}: {error}")))
        .collect::<Result<_, _>>()?;
    for other in &ran[1..] {
        if let Some(line) = differing_bits(&entry, &ran[0].buffers, &other.buffers) {
            return Err(format!("{:?} and {:?}: {line}", ran[0].engine, other.engine));
        }
    }
    Ok(ran.iter().map(|ran| ran.engine).collect())
}

/// What a checked run finds wrong with a generated program. It reads indices out of bounds and fresh
/// memory on purpose; what it must not have is races, barriers that some miss, and no end.
///
/// # Errors
///
/// Those of the front door and of compiling.
pub fn findings(program: &Program) -> Result<Vec<Finding>, Error> {
    let (module, entry) = program.module()?;
    let mut found = check(&module, &entry, &program.overrides(), &program.buffers(&entry), program.groups)?;
    found.retain(|finding| matches!(finding.kind, Kind::Race | Kind::Divergence | Kind::Budget));
    Ok(found)
}

/// What a checked run of an entry point finds.
///
/// # Errors
///
/// Those of compiling.
pub fn check(
    module: &Module,
    entry: &Entry,
    set: &[(&str, f64)],
    contents: &[Vec<u32>],
    groups: [u32; 3],
) -> Result<Vec<Finding>, Error> {
    let compiled = module.compile(&entry.name, set, Engine::Interpreter)?;
    let buffers: Vec<Buffer> = contents.iter().map(|content| Buffer::new(content)).collect();
    let args: Vec<Memory<'_>> = buffers.iter().map(Buffer::memory).collect();
    compiled.check(groups, &args, Budget::default())
}

/// The first word that differs at all.
fn differing_bits(entry: &Entry, a: &[Vec<u32>], b: &[Vec<u32>]) -> Option<String> {
    for (slot, (a, b)) in entry.bindings.iter().zip(a.iter().zip(b)) {
        if let Some(at) = (0..a.len()).find(|&i| a[i] != b[i]) {
            return Some(format!("{} word {at}: {:#010x} and {:#010x}", slot.name, a[at], b[at]));
        }
    }
    None
}

/// The first value in which an implementation of WGSL is not what the oracle makes of it: integers
/// differ, floats that need no rounding differ in more than the sign of zero, others by more than both
/// may err.
pub fn difference(program: &Program, entry: &Entry, oracle: &[Vec<u32>], other: &[Vec<u32>]) -> Option<String> {
    let written =
        entry.bindings.iter().zip(oracle.iter().zip(other)).filter(|(slot, _)| slot.access == Access::ReadWrite);
    for (slot, (a, b)) in written {
        let line = if slot.name == "reals" {
            differing_reals(&program.tolerances, a, b)
        } else {
            differing_leaf(slot, program.length(slot.group, slot.binding), a, b)
        };
        if let Some(line) = line {
            return Some(format!("{}{line}", slot.name));
        }
    }
    None
}

fn differing_reals(tolerances: &[f64], a: &[u32], b: &[u32]) -> Option<String> {
    let slots = tolerances.len().max(1);
    (0..a.len()).find_map(|i| {
        let [x, y] = [a[i], b[i]].map(|word| f64::from(f32::from_bits(word)));
        let most = tolerances.get(i % slots).copied().unwrap_or(0.0);
        // Not a number is never within.
        let within = (x - y).abs() <= most;
        (!within).then(|| {
            format!("[{i}] (invocation {}, slot {}): {x} and {y}, more than {most:e} apart", i / slots, i % slots)
        })
    })
}

fn differing_leaf(slot: &Slot, length: u64, a: &[u32], b: &[u32]) -> Option<String> {
    slot.layout.scalars(length).into_iter().find_map(|leaf| {
        let at = leaf.offset as usize / 4;
        let read = |words: &[u32]| match leaf.scalar.bytes() {
            2 => u64::from(words[at] >> (8 * (leaf.offset & 2)) & 0xffff),
            4 => words[at].into(),
            _ => u64::from(words[at + 1]) << 32 | u64::from(words[at]),
        };
        let (x, y) = (read(a), read(b));
        let sign = 1 << (8 * leaf.scalar.bytes() - 1);
        let zeros = matches!(leaf.scalar, Scalar::F16 | Scalar::F32 | Scalar::F64) && (x | y) & !sign == 0;
        (x != y && !zeros).then(|| {
            let floats = match leaf.scalar {
                Scalar::F32 => format!(" ({} and {})", f32::from_bits(x as u32), f32::from_bits(y as u32)),
                _ => String::new(),
            };
            format!("{}: {x:#x} and {y:#x}{floats}", leaf.path)
        })
    })
}

/// Compiles and runs every entry point of a text on small buffers, each for a moment at most.
///
/// # Errors
///
/// The front door's.
///
/// # Panics
///
/// Where the text is neither rejected nor run.
pub fn enter(text: &str) -> Result<(), Error> {
    let module = Module::new(text)?;
    for entry in module.entries().iter().filter(|entry| entry.bindings.iter().all(|slot| slot.min_bytes <= 1 << 20)) {
        let buffers: Vec<Vec<u32>> =
            entry.bindings.iter().map(|slot| vec![3; slot.min_bytes.div_ceil(4) as usize + 5]).collect();
        for &engine in ENGINES {
            let ran = run(&module, &entry.name, &[], engine, [2, 1, 1], &buffers, Duration::from_millis(50));
            if let Err(
                error @ (Error::ArgumentCount { .. } | Error::ArgumentSize { .. } | Error::ArgumentAlign { .. }),
            ) = ran
            {
                panic!("{}: {error}", entry.name);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Features;

    /// The tester is tested: one wrong bit in any buffer, or a float too far off, does not go unseen.
    #[test]
    fn what_is_wrong_is_seen() {
        let mut seen = [0; 3];
        for seed in 1..=40 {
            let program = Program::from_seed(seed, Features::PORTABLE);
            let (_, entry) = program.module().expect("it is valid");
            let oracle = run_program(&program, ENGINES[0]).expect("it runs").buffers;
            assert_eq!(difference(&program, &entry, &oracle, &oracle), None);
            for (slot, at) in entry.bindings.iter().zip(0..) {
                let mut other = oracle.clone();
                match slot.name.as_str() {
                    "out" | "counters" => {
                        let last = other[at].len() - 1;
                        other[at][last] ^= 1;
                        seen[0] += 1;
                    }
                    "reals" if !program.tolerances.is_empty() => {
                        let written = f64::from(f32::from_bits(oracle[at][0]));
                        let within = (written + program.tolerances[0] * 0.5) as f32;
                        other[at][0] = within.to_bits();
                        assert_eq!(difference(&program, &entry, &oracle, &other), None, "seed {seed}");
                        other[at][0] = ((written + program.tolerances[0] * 2.0) as f32 + 0.01).to_bits();
                        seen[1] += 1;
                    }
                    "data" => {
                        let leaf = &slot.layout.scalars(1)[0];
                        let word = leaf.offset as usize / 4;
                        let nought = leaf.scalar == Scalar::F32 && oracle[at][word] << 1 == 0;
                        other[at][word] ^= if nought { 1 << 31 } else { 1 };
                        if nought {
                            assert_eq!(difference(&program, &entry, &oracle, &other), None, "zero has two signs");
                            continue;
                        }
                        seen[2] += 1;
                    }
                    _ => continue,
                }
                assert!(difference(&program, &entry, &oracle, &other).is_some(), "seed {seed}, {}", slot.name);
                assert!(differing_bits(&entry, &oracle, &other).is_some());
            }
        }
        assert!(seen.iter().all(|&times| times > 5), "{seen:?}");
    }

    /// What is computed is not nothing: a third of the words of output, at least, are not zero.
    #[test]
    fn programs_compute_something() {
        let (mut words, mut zeros) = (0, 0);
        for seed in 1..=40 {
            let program = Program::from_seed(seed, Features::PORTABLE);
            let (_, entry) = program.module().expect("it is valid");
            let ran = run_program(&program, ENGINES[0]).expect("it runs").buffers;
            let at = entry.bindings.iter().position(|slot| slot.name == "out");
            for word in at.map(|at| &ran[at]).into_iter().flatten() {
                words += 1;
                zeros += usize::from(*word == 0);
            }
        }
        assert!(words > 10_000 && zeros * 3 < words * 2, "{zeros} of {words} words are zero");
    }

    #[test]
    fn a_program_shrinks_to_what_fails() {
        let program = Program::from_seed(3, Features::PORTABLE);
        let small = program.shrink(|smaller| smaller.module().is_ok() && smaller.wgsl().contains("out[flat"));
        assert!(small.wgsl().len() * 3 < program.wgsl().len(), "{}", small.wgsl());
        assert!(agreement(&small).is_ok());
    }
}
