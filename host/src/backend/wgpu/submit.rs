//! Commands into steps, steps into submissions.
//!
//! A batch is one submission, unless it moves much: then what was staged so far is submitted while the
//! host copies the next chunk, so that host and device work side by side.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use wgpu::{Buffer, SubmissionIndex};

use super::{
    Wgpu,
    encode::{Part, Step, encode},
    gpu::Gpu,
    readback::Piece,
    reap::{End, Flight, Who},
    staging::{Block, CHUNK_BYTES},
    uniform::Uniforms,
};
use crate::{
    backend::{Command, Event, More, Op, Path, Region, Source, Token},
    error::{FailureKind, Result},
};

mod inside;
mod moves;

use moves::{fetched_bytes, is_little, staged_bytes};

/// Submissions on their way that keep the device busy. With more, a batch that moves little waits a
/// moment for one to land: its submission costs more than its commands.
const ENOUGH_FLIGHTS: usize = 2;
const GATHER: Duration = Duration::from_micros(200);
const SMALL_BYTES: u64 = 4 << 10;
/// Bytes to move that the device is not kept waiting for while the host copies the next message.
const WORTH_STARTING: u64 = 1 << 20;
/// Commands of a submission from which on no more are asked for.
const MOST_TOGETHER: usize = 64;

/// The submission being made.
#[derive(Debug)]
pub(super) struct Submitter {
    parts: Vec<Part>,
    /// The command of each number in `parts`.
    tokens: Vec<Token>,
    /// Commands that end here, with their number.
    ends: Vec<(usize, End)>,
    pieces: Vec<Piece>,
    /// Blocks that the steps read.
    blocks: Vec<Block>,
    /// The chunk being filled, and how far it is.
    chunk: Option<(Block, u64)>,
    uniforms: Uniforms,
    /// Copies of what a launch reads of a buffer that it also writes. Used again by the next launch:
    /// the queue's order keeps them apart.
    scratch: Vec<Buffer>,
    /// Bytes moved by `parts`, and by the submission before.
    moved: u64,
    moved_last: u64,
    /// Bytes of the batch that are still to be staged.
    ahead: u64,
    /// What is added now is to be in one submission.
    together: bool,
    /// Submissions made so far.
    flushes: u64,
    /// Commands an earlier part of which was refused.
    broken: HashMap<Token, FailureKind>,
    /// What this thread has seen to be over.
    over: Vec<Event>,
}

type Outcome<T> = std::result::Result<T, FailureKind>;

impl Submitter {
    pub(super) fn new(gpu: &Gpu) -> Result<Self> {
        Ok(Self {
            parts: Vec::new(),
            tokens: Vec::new(),
            ends: Vec::new(),
            pieces: Vec::new(),
            blocks: Vec::new(),
            chunk: None,
            uniforms: Uniforms::new(gpu)?,
            scratch: Vec::new(),
            moved: 0,
            moved_last: 0,
            ahead: 0,
            together: false,
            flushes: 0,
            broken: HashMap::new(),
            over: Vec::new(),
        })
    }

    pub(super) fn submit(&mut self, device: &Wgpu, batch: &mut Vec<Command>, more: &mut More<'_>) {
        self.ahead = batch.iter().map(staged_bytes).sum();
        if self.ahead + batch.iter().map(fetched_bytes).sum::<u64>() < SMALL_BYTES {
            // Messages that come meanwhile travel together in the next batch.
            device.reaper.wait_for_room(ENOUGH_FLIGHTS, GATHER);
        }
        loop {
            for command in batch.drain(..) {
                if device.gpu.signal.lost().is_none() {
                    self.add(device, command);
                }
            }
            if self.tokens.len() < MOST_TOGETHER {
                // What follows a message that was just staged (its launch, its download) is ready by now more
                // often than not: one submission for all is cheaper than one for each.
                self.ask(device, batch, more);
                self.linger(device, batch, more);
            }
            if batch.is_empty() {
                let waits = self.would_wait(device);
                self.flush(device);
                if waits {
                    self.ask(device, batch, more);
                }
            }
            if batch.is_empty() {
                return;
            }
            self.ahead += batch.iter().map(staged_bytes).sum::<u64>();
        }
    }

    /// Waits a moment for what comes next where to submit little would take as long, so that it can be copied
    /// meanwhile.
    fn linger(&mut self, device: &Wgpu, batch: &mut Vec<Command>, more: &mut More<'_>) {
        let end = Instant::now() + GATHER;
        while batch.is_empty() && !self.tokens.is_empty() && self.moved < SMALL_BYTES && self.would_wait(device) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            device.reaper.wait_for_room(device.reaper.flights().saturating_sub(1), left);
            self.ask(device, batch, more);
        }
    }

    /// Asks for what may go now. Where a submission waits for the one before, that one is over: the thread that has
    /// waited sees so itself, as the reaping one may get a core only later, and what comes next hangs on it.
    fn ask(&mut self, device: &Wgpu, batch: &mut Vec<Command>, more: &mut More<'_>) {
        if device.capabilities.software {
            device.reaper.look(&mut self.over);
        }
        more(&mut self.over, batch);
        device.reaper.reported(Who::Submits);
    }

    /// Lets the copies go that launches left; answers how many bytes. wgpu keeps what is in use.
    pub(super) fn reclaim(&mut self) -> u64 {
        self.scratch.drain(..).map(|buffer| buffer.size()).sum()
    }

    fn add(&mut self, device: &Wgpu, command: Command) {
        let Command { token, op, label, .. } = command;
        let label = label.as_ref();
        let came_along = self.moved >= CHUNK_BYTES && is_little(&op);
        if self.moved >= CHUNK_BYTES && !came_along {
            // What moves much is told of when it is over, and not with what comes next. What is little, and came while
            // the host copied, is over with it, and costs no submission of its own.
            self.flush(device);
        }
        let mut form = matches!(op, Op::Launch(_)).then_some("WGSL");
        let outcome = match op {
            Op::Upload { src: Source::Block(lent), dst } => {
                let block = device.staging.reclaim(lent.id);
                let (src, src_offset) = (block.buffer.clone(), block.offset);
                self.blocks.push(block);
                self.copy(device, token, label, (src, src_offset), dst);
                Ok(Path::Filled)
            }
            Op::Upload { src: Source::Part { block, offset, .. }, dst } => {
                self.copy(device, token, label, device.staging.part(block, offset), dst);
                Ok(Path::Filled)
            }
            Op::Upload { src: Source::Span(span), dst } => {
                self.stage(device, token, label, span, dst).map(|()| Path::Staged)
            }
            Op::Upload { src: Source::Carried(span), dst } => {
                self.stage(device, token, label, span, dst).map(|()| Path::Inline)
            }
            Op::Download { src, dst } => self.fetch(device, token, label, src, dst).map(|()| Path::Staged),
            Op::Replay(recorded) => self.replay(device, token, label, &recorded).map(|together| {
                form = Some(if together { "one submission" } else { "several submissions" });
                Path::None
            }),
            Op::Nothing => Ok(Path::None),
            op => self.inside(device, token, label, &op),
        };
        let (result, path) = match outcome {
            Ok(path) => (self.broken.remove(&token).map_or(Ok(()), Err), path),
            // The loss is told of once, for everything that is unresolved.
            Err(_) if device.gpu.is_lost() => return,
            Err(failure) => (Err(failure), Path::None),
        };
        let of = self.number(token);
        self.ends.push((of, End { token, result, path, form, came_along }));
        // A device that works beside the host begins at once.
        if self.moved >= CHUNK_BYTES && !device.capabilities.software {
            self.flush(device);
        }
    }

    /// The command's number in this submission.
    fn number(&mut self, token: Token) -> usize {
        if self.tokens.last() != Some(&token) {
            self.tokens.push(token);
        }
        self.tokens.len() - 1
    }

    fn push(&mut self, token: Token, label: Option<&Arc<str>>, step: Step) {
        let of = self.number(token);
        self.parts.push(Part { of, step, label: label.cloned() });
    }

    fn copy(&mut self, device: &Wgpu, token: Token, label: Option<&Arc<str>>, from: (Buffer, u64), to: Region) {
        let (src, src_offset) = from;
        let dst = device.memory.get(to.mem);
        self.push(token, label, Step::Copy { src, src_offset, dst, dst_offset: to.offset, bytes: to.bytes });
        self.moved += to.bytes;
    }

    /// Submits what was gathered.
    fn flush(&mut self, device: &Wgpu) {
        if self.tokens.is_empty() {
            return;
        }
        self.flushes += 1;
        let prelude = self.parameters(device);
        self.blocks.extend(self.chunk.take().map(|(block, _)| block));
        let submitted = Instant::now();
        let index = match prelude {
            Ok(prelude) => self.send(device, prelude.as_ref()),
            Err(failure) => {
                self.parts.clear();
                (0..self.tokens.len()).for_each(|of| self.fail(of, failure.clone()));
                None
            }
        };
        let (pieces, blocks) = (std::mem::take(&mut self.pieces), std::mem::take(&mut self.blocks));
        let mapped = device.gpu.guard(|| {
            pieces.iter().for_each(|piece| piece.expect(&device.gpu));
            blocks.into_iter().for_each(|block| device.staging.recycle(block));
        });
        let ends = self.ends.drain(..).map(|(_, end)| end);
        let refused = mapped.err().map(FailureKind::from);
        let ends = ends.map(|end| match (&refused, end.result.is_ok()) {
            (Some(failure), true) => End { result: Err(failure.clone()), ..end },
            _ => end,
        });
        let flight = Flight { index, pieces, ends: ends.collect(), submitted, readbacks: device.readbacks.clone() };
        device.reaper.launch(flight);
        self.parts.clear();
        self.tokens.clear();
        self.uniforms.rewind();
        self.moved_last = std::mem::take(&mut self.moved);
    }

    /// Encodes and submits; where the driver refuses the whole, each command by itself, so that only
    /// the bad one fails.
    fn send(&mut self, device: &Wgpu, prelude: Option<&Part>) -> Option<SubmissionIndex> {
        let gpu = &device.gpu;
        if self.parts.is_empty() {
            return None;
        }
        let blocks = &self.blocks;
        let whole = gpu.guard(|| {
            blocks.iter().for_each(|block| block.buffer.unmap());
            gpu.submit(encode(gpu, prelude.into_iter().chain(&self.parts)))
        });
        let fault = match whole {
            Ok(index) => return Some(index),
            Err(fault) => fault,
        };
        self.uniforms.mistrust();
        let mut last = None;
        for of in 0..self.tokens.len() {
            let own = || self.parts.iter().filter(|part| part.of == of);
            if own().next().is_none() {
                continue;
            }
            let alone = if self.tokens.len() == 1 {
                Err(fault.clone())
            } else {
                gpu.guard(|| gpu.submit(encode(gpu, prelude.into_iter().chain(own()))))
            };
            match alone {
                Ok(index) => last = Some(index),
                Err(fault) => self.fail(of, fault.into()),
            }
        }
        last
    }

    fn fail(&mut self, of: usize, failure: FailureKind) {
        match self.ends.iter_mut().find(|(number, _)| *number == of) {
            Some((_, end)) => end.result = Err(failure),
            None => drop(self.broken.insert(self.tokens[of], failure)),
        }
    }
}
