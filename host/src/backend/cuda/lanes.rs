//! The lanes' threads: each gives the commands of its lane to its stream, in order.
//!
//! A thread for each lane, because a command may have to wait on the host: for another lane's mark to
//! be recorded, or for staging memory. It waits only for commands submitted earlier, so lanes cannot
//! wait for each other in a circle.

#![expect(unsafe_code, reason = "commands are given addresses of device memory")]

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Instant;

use super::api::Result;
use super::graph::Graphs;
use super::launch::Launcher;
use super::shared::{InStream, Issue, Shared};
use super::stream::{Mark, Stream};
use super::transfer::{Landing, Unload, Uploader, download};
use crate::backend::{Command, HostBlock, Lane, Op, Path, Source};

/// A command on its way to its lane's thread.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) command: Command,
    /// Earlier commands of other lanes.
    pub(super) after: Vec<Arc<Issue>>,
    pub(super) issue: Arc<Issue>,
}

/// What the thread of one lane works with.
#[derive(Debug)]
pub(super) struct Worker {
    stream: Stream,
    shared: Arc<Shared>,
    work: Work,
    /// Commands that have no end yet: nobody waits for one of them alone.
    run: Vec<(Lane, InStream)>,
}

/// Commands that share an end, at most.
const MOST_TOGETHER: usize = 32;

/// What only one lane has.
#[derive(Debug)]
enum Work {
    Upload(Uploader),
    Compute { launcher: Arc<Launcher>, graphs: Graphs },
    Download { landing: Option<Arc<Landing>>, unloader: Sender<Unload> },
}

impl Worker {
    pub(super) fn upload(shared: &Arc<Shared>) -> Result<Self> {
        Self::new(shared, Work::Upload(Uploader::new()))
    }

    pub(super) fn compute(shared: &Arc<Shared>, launcher: &Arc<Launcher>) -> Result<Self> {
        Self::new(shared, Work::Compute { launcher: Arc::clone(launcher), graphs: Graphs::default() })
    }

    pub(super) fn download(shared: &Arc<Shared>, unloader: Sender<Unload>) -> Result<Self> {
        Self::new(shared, Work::Download { landing: None, unloader })
    }

    fn new(shared: &Arc<Shared>, work: Work) -> Result<Self> {
        Ok(Self { stream: Stream::new(&shared.context)?, shared: Arc::clone(shared), work, run: Vec::new() })
    }

    /// Works until the submitter hangs up, then finishes the stream.
    pub(super) fn run(mut self, batches: &Receiver<Vec<Queued>>) {
        self.shared.context.bind();
        for batch in batches {
            let mut left = batch.len();
            for queued in batch {
                left -= 1;
                self.one(queued, left == 0);
            }
        }
        let quiet = self.stream.finish().is_ok();
        match self.work {
            Work::Upload(uploader) => uploader.close(quiet),
            // The unloader may still read the landing; whoever is last drops it.
            Work::Download { landing: Some(landing), .. } if !quiet => std::mem::forget(landing),
            Work::Download { .. } | Work::Compute { .. } => {}
        }
    }

    /// `last` of its batch: nothing is known to follow it.
    fn one(&mut self, queued: Queued, last: bool) {
        let Queued { command, after, issue } = queued;
        let (token, lane) = (command.token, command.lane);
        let lost = self.shared.is_lost();
        if lost || !after.is_empty() {
            // It may wait for one that waits for the run.
            self.end_run();
        }
        if lost {
            issue.settle(None);
            return;
        }
        let started = Instant::now();
        let (path, form, bytes) = (path(&command.op), form(&command.op), bytes(&command.op));
        let graph = if let Op::Replay(recorded) = &command.op { Some(Arc::clone(recorded)) } else { None };
        let mut block = None;
        let given = self.give(command.op, &after, &mut block);
        // The host is not done with a download when the stream is.
        let quiet = command.quiet && !last && lane != Lane::Download;
        let failure = match given {
            Ok(start) => {
                let outcome = Ok((Arc::clone(&start), start));
                self.run
                    .push((lane, InStream { token, issue, after, outcome, started, path, form, block, graph, of: 1 }));
                if !quiet || self.run.len() == MOST_TOGETHER {
                    self.end_run();
                }
                return;
            }
            Err(failure) => failure,
        };
        self.end_run();
        if self.stream.finish().is_err() {
            // The engine may still read the block: it is nobody's from here on.
            block = None;
        }
        issue.settle(None);
        let outcome = Err(self.shared.judge(failure, bytes));
        self.watch(lane, InStream { token, issue, after, outcome, started, path, form, block, graph, of: 1 });
    }

    /// Marks the end of those that were given to the stream since the last end, and lets the reaper look for it.
    fn end_run(&mut self) {
        if self.run.is_empty() {
            return;
        }
        let end = self.shared.mark().and_then(|end| self.stream.record(&end).map(|()| Arc::new(end)));
        let quiet = end.is_ok() || self.stream.finish().is_ok();
        let end = end.map_err(|failure| self.shared.judge(failure, 0));
        let of = self.run.len() as u32;
        for (lane, mut command) in std::mem::take(&mut self.run) {
            command.issue.settle(end.as_ref().ok().cloned());
            command.outcome = match (command.outcome, &end) {
                (Ok((start, _)), Ok(end)) => Ok((start, Arc::clone(end))),
                (Err(failure), _) => Err(failure),
                (_, Err(failure)) => Err(failure.clone()),
            };
            if !quiet {
                command.block = None;
            }
            self.watch(lane, InStream { of, ..command });
        }
    }

    /// Leaves a command to the reaper.
    fn watch(&self, lane: Lane, command: InStream) {
        let issue = Arc::clone(&command.issue);
        let unloader = if let Work::Download { unloader, .. } = &self.work { Some(unloader) } else { None };
        if unloader.is_none() {
            issue.land();
        }
        self.shared.watch(lane, command);
        if let Some(unloader) = unloader {
            unloader.send(Unload::End(issue)).expect("the unloader outlives the lane");
        }
    }

    /// Gives one command to the stream, behind a mark: the one that its run begins with, where it has begun.
    fn give(&mut self, op: Op, after: &[Arc<Issue>], block: &mut Option<HostBlock>) -> Result<Arc<Mark>> {
        let (shared, stream) = (&self.shared, &self.stream);
        let begun = self.run.first().and_then(|(_, first)| Some(Arc::clone(&first.outcome.as_ref().ok()?.0)));
        for mark in after.iter().filter_map(|issue| issue.mark()) {
            stream.wait_for(&mark)?;
        }
        let start = match begun {
            Some(start) => start,
            None => {
                let start = shared.mark()?;
                stream.record(&start)?;
                Arc::new(start)
            }
        };
        match (&mut self.work, op) {
            (Work::Upload(uploader), Op::Upload { src: Source::Block(source), dst }) => {
                let source = block.insert(source);
                uploader.block(stream, source, dst)?;
            }
            (Work::Upload(_), Op::Upload { src: Source::Span(span) | Source::Part { span, .. }, dst })
                if span.pinned =>
            {
                // SAFETY: page-locked, and the message's own until its command is over; where the device
                // is lost before that it is never freed.
                unsafe { stream.upload(dst.mem.0 + dst.offset, span.ptr, dst.bytes)? };
            }
            (Work::Upload(uploader), Op::Upload { src: Source::Span(span) | Source::Carried(span), dst }) => {
                uploader.pageable(shared, stream, span, dst)?;
            }
            (Work::Compute { launcher, .. }, op @ (Op::Launch(_) | Op::Copy { .. } | Op::Clear { .. })) => {
                inside(launcher, stream, &op)?;
            }
            (Work::Compute { launcher, graphs }, Op::Replay(recorded)) => {
                graphs.replay(shared, launcher, stream, &recorded)?;
            }
            (Work::Download { .. }, Op::Download { src, dst }) if dst.pinned => {
                // SAFETY: as for uploads.
                unsafe { stream.download(dst.ptr, src.mem.0 + src.offset, src.bytes)? };
            }
            (Work::Download { landing, unloader }, Op::Download { src, dst }) => {
                download(shared, stream, landing, unloader, src, dst)?;
            }
            (_, Op::Nothing) => {}
            (work, op) => panic!("our bug: {op:?} on the lane of {work:?}"),
        }
        Ok(start)
    }
}

/// Gives what a graph may hold to the stream.
pub(super) fn inside(launcher: &Launcher, stream: &Stream, op: &Op) -> Result<()> {
    match op {
        Op::Launch(launch) => launcher.launch(stream, launch),
        // SAFETY: regions stay until their command is over, and do not overlap.
        Op::Copy { src, dst } => unsafe { stream.copy(dst.mem.0 + dst.offset, src.mem.0 + src.offset, dst.bytes) },
        // SAFETY: pinned memory of the message's own, which stays as it is until the command is over; where the
        // device is lost before that it is never freed.
        Op::Upload { src: Source::Span(span), dst } => unsafe {
            stream.upload(dst.mem.0 + dst.offset, span.ptr, dst.bytes)
        },
        // SAFETY: as above.
        Op::Download { src, dst } => unsafe { stream.download(dst.ptr, src.mem.0 + src.offset, src.bytes) },
        // SAFETY: the region stays until its command is over.
        Op::Clear { dst } => unsafe { stream.clear(dst.mem.0 + dst.offset, dst.bytes) },
        other => panic!("our bug: {other:?} inside the device"),
    }
}

fn form(op: &Op) -> Option<&'static str> {
    match op {
        Op::Launch(_) => Some("PTX"),
        Op::Replay(_) => Some("CUDA graph"),
        _ => None,
    }
}

/// Bytes of memory that it names, where that can be told.
fn bytes(op: &Op) -> u64 {
    match op {
        Op::Upload { dst: region, .. }
        | Op::Download { src: region, .. }
        | Op::Copy { dst: region, .. }
        | Op::Clear { dst: region } => region.bytes,
        Op::Launch(launch) => launch.storage.iter().map(|region| region.bytes).sum(),
        Op::Joined(ops) => ops.iter().map(bytes).sum(),
        Op::Replay(_) | Op::Nothing => 0,
    }
}

fn path(op: &Op) -> Path {
    match op {
        Op::Upload { src: Source::Block(_) | Source::Part { .. }, .. } => Path::Filled,
        Op::Upload { src: Source::Span(span), .. } | Op::Download { dst: span, .. } if span.pinned => Path::Pinned,
        Op::Upload { src: Source::Carried(_), .. } => Path::Inline,
        Op::Upload { src: Source::Span(_), .. } | Op::Download { .. } => Path::Staged,
        Op::Copy { .. } | Op::Clear { .. } => Path::Device,
        Op::Joined(_) => Path::Inline,
        Op::Launch(_) | Op::Replay(_) | Op::Nothing => Path::None,
    }
}
