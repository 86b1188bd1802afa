//! The compiler: a kernel as machine code that runs one workgroup, in blocks of up to sixteen lanes.
//!
//! Barriers part the kernel into regions. A region runs for one block of lanes after another; what holds
//! a barrier is control flow of the workgroup as a whole, and so is a loop that goes along memory. Values
//! that are the same for all lanes are scalars, those that grow by a constant from lane to lane a scalar and
//! that constant, the rest vectors.
//!
//! Where lanes part, a mask says which are active. Most blocks need none: where a line is compared with one
//! value (`lane < n`), two scalars tell whether the block agrees, and one that does runs code without a mask.
#![expect(unsafe_code, reason = "generated code works on addresses")]

mod code;
mod emit;
mod flat;
mod frame;
mod helper;
mod homes;
mod idle;
mod laps;
mod plan;
mod pressure;
mod shapes;

use std::sync::{Mutex, PoisonError};

use crate::dispatch::{Halt, Job};
use crate::error::Error;
use crate::interp::{self, Block};
use crate::ir::{Inst, Kernel, SUBGROUP};
use crate::memory::Memory;
use crate::program::Fallback;
use crate::reflect::Slot;
use code::Code;
use frame::{Buffer, Frame};
use plan::Plan;
use shapes::Shapes;

/// Instructions of a kernel; larger ones are interpreted, as they would take long to compile.
const MOST: usize = 20_000;
/// Bytes that the lanes of a workgroup may take.
const MOST_BYTES: u64 = 1 << 30;

/// A compiled kernel.
#[derive(Debug)]
pub(crate) struct Compiled {
    code: Code,
    /// What the code has the interpreter do.
    calls: Vec<Inst>,
    /// Where a workgroup may end early.
    halts: Vec<Halt>,
    /// `local_invocation_id` of each lane; the code holds its address.
    _local: Box<[u32]>,
    /// What stands behind the interpreter's part.
    block: Kernel,
    context_words: usize,
    states: Mutex<Vec<Thread>>,
}

/// The memory of one thread, kept from one dispatch to the next.
struct Thread {
    state: interp::State,
    context: Vec<u32>,
}

impl std::fmt::Debug for Thread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Thread").finish_non_exhaustive()
    }
}

impl Compiled {
    /// Compiles a kernel, if this machine and the kernel's size allow it.
    ///
    /// # Errors
    ///
    /// What does not allow it.
    pub(crate) fn new(kernel: &Kernel, slots: &[Slot]) -> Result<Self, Fallback> {
        if plan::size(&kernel.body) > MOST {
            return Err(Fallback::Length);
        }
        let mut kernel = flat::of(kernel, slots);
        let shapes = Shapes::of(&kernel, slots);
        idle::copies(&mut kernel, &shapes);
        let kernel = &kernel;
        let padded = kernel.lanes.next_multiple_of(SUBGROUP);
        let plan = Plan::new(kernel, shapes);
        let width = plan.shapes.width();
        let words = u64::from(padded).saturating_mul(u64::from(plan.rows) + u64::from(plan.waiting) + 1);
        if words > MOST_BYTES / 4 {
            return Err(Fallback::Memory);
        }
        let [nx, ny, _] = kernel.workgroup;
        let local: Box<[u32]> = [1, nx, nx * ny]
            .into_iter()
            .zip([nx, ny, u32::MAX])
            .flat_map(|(run, side)| (0..padded).map(move |lane| lane / run % side))
            .collect();
        let input = emit::Input { kernel, plan: &plan, local: &local, padded, width, bindings: slots.len() };
        let (code, emitted) = Code::new(input).ok_or(Fallback::Machine)?;
        Ok(Self {
            code,
            calls: emitted.calls,
            halts: emitted.halts,
            _local: local,
            block: Block::kernel(kernel.workgroup_words),
            context_words: words as usize,
            states: Mutex::default(),
        })
    }

    /// Runs every workgroup once.
    pub(crate) fn dispatch(&self, slots: &[Slot], args: &[Memory<'_>], job: &Job<'_>) -> Result<(), Error> {
        let lengths = interp::lengths(slots, args);
        job.run(|groups| {
            let buffers: Vec<Buffer> = (args.iter().zip(&lengths))
                .map(|(memory, &elements)| Buffer { start: memory.start(), elements })
                .collect();
            let mut thread = self.take();
            let mut block = Block::new(&self.block, thread.state, args, lengths.clone(), job.stop);
            let mut frame = Frame {
                buffers: buffers.as_ptr(),
                shared: block.workgroup().as_ptr().cast_mut().cast(),
                context: thread.context.as_mut_ptr(),
                stop: job.stop,
                rows: block.rows().as_ptr().cast_mut().cast(),
                block: &raw mut block,
                calls: self.calls.as_ptr(),
                group: [0; 3],
                groups: job.groups,
                arrived: 0,
            };
            let done = groups.try_for_each(|group| self.workgroup(&mut frame, group).map_err(|halt| (halt, group)));
            thread.state = block.into_state();
            self.give(thread);
            done
        })
    }

    /// Runs one workgroup from beginning to end.
    fn workgroup(&self, frame: &mut Frame<'_>, group: [u32; 3]) -> Result<(), Halt> {
        // SAFETY: the block is this thread's own, and nothing else refers to it now.
        unsafe { &*frame.block }.workgroup().iter().for_each(|word| word.set(0));
        frame.group = group;
        // SAFETY: the frame was made for this kernel by `dispatch`: a buffer for each binding, of at least
        // the size that the kernel declares, since `Program` checks arguments; a row for each that the plan
        // has; the interpreter's memory of `self.block`. Of buffers the code touches only words that lie
        // inside: what is indexed is compared with the length, or known to be below it. It touches them by
        // aligned accesses of 32 bits, or vectors whose every 32 bits the machine reads or writes at once,
        // so in effect by relaxed atomics, as `Memory` promises; bindings that are only read are not written.
        let answer = unsafe { self.code.run(frame) };
        match i64::from(answer) {
            emit::DONE => Ok(()),
            emit::STOPPED => Err(Halt::Stopped),
            place => Err(match self.halts[(place - emit::STOPPED - 1) as usize] {
                Halt::Diverged { at, .. } => Halt::Diverged { at, arrived: frame.arrived },
                other => other,
            }),
        }
    }

    fn take(&self) -> Thread {
        let kept = self.states.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_else(|| Thread {
            state: interp::State::new(&self.block),
            context: vec![0; self.context_words + SUBGROUP as usize],
        })
    }

    fn give(&self, thread: Thread) {
        self.states.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
    }
}
