//! One device's part of a run: from the rows that are left to the last batch that it gives back.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
    time::Duration,
};

use crossbeam::{channel, select};
use wharf::{CompletionQueue, Device};

use super::{
    Options,
    slot::{Slot, uploads},
    tally::Tally,
    worker::{Shared, Worker},
};
use crate::{
    budget::Budget,
    error::{Error, Result},
    q6::Query,
    source::{Pass, Source},
};

/// The memory of as many batches as are in flight at once.
pub(super) fn slots(device: &Device, budget: Budget) -> Result<Vec<Slot>> {
    (0..budget.slots).map(|_| Slot::new(device, budget.rows)).collect()
}

/// Streams what is not committed yet through `device`. Whatever happens, every batch that the device
/// has answered is merged, and nothing is in flight afterwards.
pub(super) fn stream(
    device: &Device,
    slots: Vec<Slot>,
    source: &dyn Source,
    query: &Query,
    options: &Options<'_>,
    budget: Budget,
    tally: &mut Tally,
) -> Result<()> {
    let (free, free_slots) = channel::bounded(budget.slots);
    slots.into_iter().for_each(|slot| drop(free.send(slot)));
    let (finished, finishes) = channel::bounded(budget.workers);
    let shared = Shared {
        device,
        uploads: uploads(device, budget),
        query,
        pass: Pass::without(source, &tally.committed),
        steps: CompletionQueue::new(),
        batches: CompletionQueue::new(),
        last: AtomicU64::new(tally.last),
        stop: AtomicBool::new(false),
    };
    let mut free = Some(free);
    let mut first_error = None;
    thread::scope(|scope| {
        for _ in 0..budget.workers {
            let (finished, free_slots, shared) = (finished.clone(), free_slots.clone(), &shared);
            scope.spawn(move || {
                // A panic in a worker must not leave the merge waiting for its end.
                let work = std::panic::AssertUnwindSafe(|| Worker::new(shared, source)?.work(&free_slots));
                let _ = finished.send(std::panic::catch_unwind(work).unwrap_or(Err(Error::Worker)));
            });
        }
        drop(free_slots);
        let (mut working, mut sent, mut resolved) = (budget.workers, 0, 0);
        while working > 0 || resolved < sent {
            let outcome = select! {
                recv(shared.batches.receiver()) -> batch => {
                    let (batch, done) = batch.expect("we hold the sending end");
                    resolved += 1;
                    let merged = tally.merge(device, batch, done);
                    (options.progress)(tally.rows);
                    merged.map(|slot| drop(free.as_ref().map(|free| free.send(slot))))
                },
                recv(finishes) -> finish => {
                    working -= 1;
                    let finish = finish.expect("we hold a sending end");
                    finish.map(|(batches, fill_seconds)| {
                        sent += batches;
                        tally.figures.fill_seconds += fill_seconds;
                    })
                },
                default(Duration::from_millis(100)) => Ok(()),
            };
            // A batch's steps are over before it is: nobody need be woken for them.
            for ((), done) in shared.steps.receiver().try_iter() {
                tally.figures.note(&done.receipt);
            }
            if let Err(error) = outcome {
                first_error.get_or_insert(error);
            }
            if first_error.is_some() || options.stop.load(Relaxed) {
                // Workers that wait for a slot, and those that fill one, end.
                shared.stop.store(true, Relaxed);
                free = None;
            }
        }
    });
    tally.last = shared.last.load(Relaxed);
    device.drain();
    for ((), done) in shared.steps.receiver().try_iter() {
        tally.figures.note(&done.receipt);
    }
    // What a worker that failed had sent, and was not counted on.
    for (batch, done) in shared.batches.receiver().try_iter() {
        if let Err(error) = tally.merge(device, batch, done) {
            first_error.get_or_insert(error);
        }
    }
    match first_error {
        Some(error) => Err(error),
        None if options.stop.load(Relaxed) => Err(Error::Interrupted { rows: tally.rows }),
        None => Ok(()),
    }
}
