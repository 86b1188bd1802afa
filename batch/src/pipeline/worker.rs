//! A thread that fills batches and sends them on their way.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::Instant,
};

use crossbeam::channel::Receiver;
use wharf::{CompletionQueue, Device, DmaQueue, trace};

use super::{slot::Slot, tally::Batch};
use crate::{
    error::Result,
    q6::Query,
    source::{Pass, Reader, Source},
};

/// What the workers of a run share.
pub(super) struct Shared<'a> {
    pub(super) device: &'a Device,
    /// Of the batches' columns.
    pub(super) uploads: DmaQueue,
    pub(super) query: &'a Query,
    pub(super) pass: Pass,
    /// Completions of uploads and launches, for their receipts.
    pub(super) steps: CompletionQueue<(), ()>,
    /// Completions of downloads: the batches' results.
    pub(super) batches: CompletionQueue<Batch, Vec<u32>>,
    /// The number of the last batch that was begun: the tag of its messages.
    pub(super) last: AtomicU64,
    pub(super) stop: AtomicBool,
}

pub(super) struct Worker<'a> {
    shared: &'a Shared<'a>,
    reader: Reader<'a>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(shared: &'a Shared<'a>, source: &'a dyn Source) -> Result<Self> {
        Ok(Self { shared, reader: Reader::new(source, &shared.pass)? })
    }

    /// Sends batches until there are no more rows, and counts them and the seconds of filling.
    ///
    /// A worker that fails has sent batches that nobody counts; the run has failed then, and the
    /// device is drained before it ends.
    pub(super) fn work(&mut self, free: &Receiver<Slot>) -> Result<(u64, f64)> {
        let Shared { device, uploads, query, steps, batches, last, stop, .. } = self.shared;
        let (mut sent, mut fill_seconds) = (0, 0.0);
        while !stop.load(Relaxed) {
            let Ok(mut slot) = free.recv() else { break };
            let number = 1 + last.fetch_add(1, Relaxed);
            let stage = trace::stage(device, "fill", number);
            let began = Instant::now();
            let mut room = slot.reserve(device, uploads, number)?;
            let filled = room.fill(&mut self.reader)?;
            fill_seconds += began.elapsed().as_secs_f64();
            if filled.rows == 0 {
                break;
            }
            stage.end();
            for upload in room.commit()? {
                upload.forward(steps, ());
            }
            slot.launch(device, query, number, filled.rows)?.forward(steps, ());
            let answer = slot.download(device, number)?;
            answer.forward(batches, Batch { slot, number, filled });
            sent += 1;
        }
        Ok((sent, fill_seconds))
    }
}
