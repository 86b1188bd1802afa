//! A queue on its way to being empty.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use super::DmaQueue;

/// Ready when everything that a closed queue has accepted is resolved; made by
/// [`DmaQueue::drain_async`]. For any executor.
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct Draining<'q> {
    queue: &'q DmaQueue,
    /// Its place among the waiters, once it has waited.
    place: Option<u64>,
}

impl<'q> Draining<'q> {
    pub(super) fn new(queue: &'q DmaQueue) -> Self {
        Self { queue, place: None }
    }
}

impl Future for Draining<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut core = self.queue.engine.shared.lock();
        if core.machine.level(self.queue.id).unresolved == 0 {
            return Poll::Ready(());
        }
        let old = core.tasks.put(&mut self.place, context.waker(), None);
        drop(core);
        // A waker is the user's: it is not dropped under the lock.
        drop(old);
        Poll::Pending
    }
}

impl Drop for Draining<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            let waker = self.queue.engine.shared.lock().tasks.leave(place);
            drop(waker);
        }
    }
}
