//! Credits of a queue, held before there is a message.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    task::{Context, Poll, Waker},
    time::Instant,
};

#[cfg(wharf_models)]
use super::sync::{Bug, has};
use super::{
    DmaQueue, MessageId,
    model::Turn,
    ticket::{Refused, Ticket},
    work::Patience,
};
use crate::{
    error::{Refusal, Result},
    message::Message,
};

/// Operation and byte credits of one queue: what is sent with it never finds the queue full. Dropping it
/// returns what was not spent. Made by [`DmaQueue::reserve`] and its kin.
#[must_use = "a permit that is dropped returns its credits"]
pub struct Permit<'q> {
    queue: &'q DmaQueue,
    /// Both change under the engine's lock only.
    ops: AtomicU32,
    bytes: AtomicU64,
}

impl<'q> Permit<'q> {
    /// The credits were taken from the queue by whoever calls this.
    pub(crate) fn new(queue: &'q DmaQueue, ops: u32, bytes: u64) -> Self {
        Self { queue, ops: ops.into(), bytes: bytes.into() }
    }

    /// The queue it is for.
    pub fn queue(&self) -> &'q DmaQueue {
        self.queue
    }

    /// Operation credits left in it.
    pub fn ops(&self) -> u32 {
        self.ops.load(Relaxed)
    }

    /// Byte credits left in it.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Sends with one of its operation credits and as many byte credits as the message has bytes. Never
    /// waits. Builders do the same by [`with`](crate::Upload::with).
    ///
    /// # Errors
    /// [`Refused`] with the message: [`Refusal::Permit`] where too little is left,
    /// [`Refusal::Closed`] and [`Refusal::Failed`] by the queue.
    pub fn send<B: Send + 'static>(&self, message: Message<B>) -> Result<Ticket<B>, Refused<Message<B>>> {
        self.queue.send_with(message, Patience::Paid(self))
    }

    /// The same without a ticket: see [`DmaQueue::post`].
    ///
    /// # Errors
    /// As [`Permit::send`].
    pub fn post<B: Send + 'static>(&self, message: Message<B>) -> Result<MessageId, Refused<Message<B>>> {
        self.queue.post_with(message, Patience::Paid(self))
    }

    /// Takes credits out. Called under the engine's lock.
    pub(super) fn spend(&self, ops: u32, bytes: u64) -> Result<(), Refusal> {
        let (left_ops, left_bytes) = (self.ops(), self.bytes());
        if ops > left_ops || bytes > left_bytes {
            return Err(Refusal::Permit { left_ops, left_bytes, ops, bytes });
        }
        self.ops.store(left_ops - ops, Relaxed);
        self.bytes.store(left_bytes - bytes, Relaxed);
        Ok(())
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let (ops, bytes) = (*self.ops.get_mut(), *self.bytes.get_mut());
        if ops > 0 || bytes > 0 {
            #[cfg(wharf_models)]
            if has(Bug::ToldTooEarly) {
                self.queue.engine.shared.settled();
                return self.queue.engine.shared.lock().machine.refund(self.queue.id, ops, bytes);
            }
            self.queue.engine.shared.lock().machine.refund(self.queue.id, ops, bytes);
            self.queue.engine.shared.settled();
        }
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("queue", &self.queue.name())
            .field("ops", &self.ops())
            .field("bytes", &self.bytes())
            .finish()
    }
}

/// A permit on its way: a [`Future`] for any executor. Dropping it gives up its place and takes nothing.
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct Reserving<'q> {
    queue: &'q DmaQueue,
    ops: u32,
    bytes: u64,
    /// It waits until then at most.
    deadline: Option<Instant>,
    /// Its place among the waiters, once it has waited.
    place: Option<u64>,
    turn: Option<Turn>,
}

impl<'q> Reserving<'q> {
    pub(super) fn new(queue: &'q DmaQueue, ops: u32, bytes: u64, deadline: Option<Instant>) -> Self {
        Self { queue, ops, bytes, deadline, place: None, turn: None }
    }
}

impl<'q> Future for Reserving<'q> {
    type Output = Result<Permit<'q>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (queue, deadline) = (self.queue, self.deadline);
        if let Err(error) = queue.can_ever(self.ops) {
            return Poll::Ready(Err(error));
        }
        let mut core = queue.engine.shared.lock();
        match core.machine.reserve(queue.id, self.ops, self.bytes, self.turn) {
            Ok(()) => {
                drop(core);
                if self.turn.take().is_some() {
                    // There may be room for the next in line, too.
                    queue.engine.shared.settled();
                }
                Poll::Ready(Ok(Permit::new(queue, self.ops, self.bytes)))
            }
            Err(Refusal::Full { .. }) => {
                if deadline.is_some_and(|deadline| deadline <= queue.engine.shared.backend.now()) {
                    return Poll::Ready(Err(queue.refused(Refusal::Timeout)));
                }
                #[cfg(wharf_models)]
                if has(Bug::WakesTooLate) {
                    drop(core);
                    core = queue.engine.shared.lock();
                }
                self.turn.get_or_insert_with(|| core.machine.take_turn(queue.id));
                let old = core.tasks.put(&mut self.place, context.waker(), deadline);
                // What is held would hold its credits for ever, and who sees to deadlines may sleep past this one.
                queue.engine.shared.ring_in(core, |core| core.machine.ring(queue.id) || core.sleeps_too_long());
                // A waker is the user's: it is not dropped under the lock.
                drop(old);
                Poll::Pending
            }
            Err(why) => Poll::Ready(Err(queue.refused(why))),
        }
    }
}

impl Drop for Reserving<'_> {
    fn drop(&mut self) {
        let shared = &self.queue.engine.shared;
        if let Some(place) = self.place {
            let waker = shared.lock().tasks.leave(place);
            drop(waker);
        }
        if let Some(turn) = self.turn {
            shared.lock().machine.leave_turn(self.queue.id, turn);
            shared.settled();
        }
    }
}

/// Tasks that wait for credits.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    next: u64,
    tasks: Vec<Task>,
    /// The first of their deadlines.
    due: Option<Instant>,
}

#[derive(Debug)]
struct Task {
    place: u64,
    waker: Waker,
    deadline: Option<Instant>,
}

impl Waiting {
    /// Leaves a waker in the task's place, to be called by `deadline`; gives back the one that was there.
    pub(super) fn put(&mut self, place: &mut Option<u64>, waker: &Waker, deadline: Option<Instant>) -> Option<Waker> {
        let place = *place.get_or_insert_with(|| {
            self.next += 1;
            self.next
        });
        match self.tasks.iter_mut().find(|task| task.place == place) {
            Some(task) if task.waker.will_wake(waker) => None,
            Some(task) => Some(std::mem::replace(&mut task.waker, waker.clone())),
            None => {
                self.tasks.push(Task { place, waker: waker.clone(), deadline });
                self.due = self.due.into_iter().chain(deadline).min();
                None
            }
        }
    }

    pub(super) fn leave(&mut self, place: u64) -> Option<Waker> {
        let at = self.tasks.iter().position(|task| task.place == place)?;
        let task = self.tasks.remove(at);
        self.find_due();
        Some(task.waker)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// When the first of them is to be woken, at the latest.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Those whose deadlines have passed, to be woken.
    pub(super) fn take_due(&mut self, now: Instant) -> impl Iterator<Item = Waker> {
        let is_due = |task: &mut Task| task.deadline.is_some_and(|deadline| deadline <= now);
        let late: Vec<_> = self.tasks.extract_if(.., is_due).collect();
        self.find_due();
        late.into_iter().map(|task| task.waker)
    }

    /// All of them, to be woken: each looks for itself whether there is enough for it.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Waker> {
        self.due = None;
        std::mem::take(&mut self.tasks).into_iter().map(|task| task.waker)
    }

    fn find_due(&mut self) {
        self.due = self.tasks.iter().filter_map(|task| task.deadline).min();
    }
}
