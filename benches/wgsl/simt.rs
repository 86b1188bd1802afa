//! The WGSL through `wharf-simt`, on the CPU.

use std::{
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use wharf_simt::{Budget, Engine, Memory, Module, Program, Slot};

use crate::{Arm, Error, rows::Row, words::Words};

/// All engines; the first, the default, is the one that goals are about.
pub(crate) fn engines() -> Vec<Engine> {
    let mut engines = vec![Engine::default(), Engine::Interpreter];
    engines.dedup();
    engines
}

/// `simt interpreter`: what really runs, which may be less than what was asked for.
pub(crate) fn label(program: &Program) -> String {
    format!("simt {:?}", program.engine()).to_lowercase()
}

/// One engine on buffers of its own.
pub(crate) struct Simt<'a> {
    steps: Vec<(Program, [u32; 3])>,
    buffers: Vec<Words>,
    output: usize,
    pool: &'a rayon::ThreadPool,
    checked: bool,
}

impl<'a> Simt<'a> {
    pub(crate) fn new(row: &Row, engine: Engine, pool: &'a rayon::ThreadPool) -> Result<Self, Error> {
        let module = Module::new(row.wgsl)?;
        let compile = |&(entry, groups): &(&str, [u32; 3])| Ok((module.compile(entry, &[], engine)?, groups));
        let steps = row.steps.iter().map(compile).collect::<Result<_, Error>>()?;
        Ok(Self { steps, buffers: row.buffers.clone(), output: row.output, pool, checked: row.checked })
    }
}

impl Simt<'_> {
    pub(crate) fn label(&self) -> String {
        if self.checked { "simt check".into() } else { label(&self.steps[0].0) }
    }
}

impl Arm for Simt<'_> {
    fn run(&mut self, times: u32) -> Result<Duration, Error> {
        let never = AtomicBool::new(false);
        let all: Vec<Memory<'_>> = self.buffers.iter_mut().map(|words| Memory::read_write(words.bytes_mut())).collect();
        let start = Instant::now();
        for _ in 0..times {
            for (program, groups) in &self.steps {
                let of = |slot: &Slot| all[slot.binding as usize];
                let args: Vec<Memory<'_>> = program.bindings().iter().map(of).collect();
                if self.checked {
                    let findings = program.check(*groups, &args, Budget::default())?;
                    if let Some(first) = findings.first() {
                        return Err(format!("the check finds {first:?}").into());
                    }
                } else {
                    program.dispatch(*groups, &args, self.pool, &never)?;
                }
            }
        }
        Ok(start.elapsed())
    }

    fn output(&mut self) -> Result<Vec<u32>, Error> {
        Ok(self.buffers[self.output].u32s().to_vec())
    }
}
