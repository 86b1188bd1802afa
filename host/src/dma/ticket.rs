//! What a sender holds of an accepted message, and what it gets back.

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use crossbeam::channel::{self, Receiver, Sender};

use super::{
    MessageId,
    cell::{Resolved, Waiter},
    core::Core,
    fence::FenceState,
    machine::Explanation,
    model::CancelOutcome,
    parcel::Parcel,
    receipt::Receipt,
    shared::Shared,
    sync::thread,
};
use crate::{
    backend::Token,
    error::{Error, TransferError},
};

/// The one outcome of one message.
#[derive(Debug)]
#[non_exhaustive]
pub struct Completion<B> {
    /// The message.
    pub id: MessageId,
    /// The user's number for it; 0 unless one was given.
    pub tag: u64,
    /// Whether it did what it was sent for.
    pub result: Result<(), Arc<TransferError>>,
    /// The host buffer the message owned, whatever the result. `None` only where the device was
    /// lost with the buffer inside: it is leaked then, and counted in [`Device::stats`].
    ///
    /// [`Device::stats`]: crate::Device::stats
    pub buffer: Option<B>,
    /// The path taken, and the times.
    pub receipt: Receipt,
}

impl<B> Completion<B> {
    /// Bytes that were not moved: 0 where it went well. What was moved is the beginning of the
    /// transfer, in whole chunks.
    pub fn residue(&self) -> u64 {
        self.result.as_ref().err().map_or(0, |error| error.bytes - error.bytes_done)
    }

    /// The buffer of a message that succeeded.
    ///
    /// # Errors
    /// The message's failure; the buffer is dropped then.
    pub fn ok(self) -> Result<B, Error> {
        match (self.result, self.buffer) {
            (Ok(()), Some(buffer)) => Ok(buffer),
            (Err(error), _) => Err(Error::Transfer(TransferError::clone(&error))),
            (Ok(()), None) => unreachable!("only a failed message loses its buffer"),
        }
    }
}

/// A message that a queue did not accept, with the reason.
pub struct Refused<B> {
    /// Why.
    pub error: Error,
    /// The buffer, or the message with its buffer, untouched.
    pub buffer: B,
}

impl<B> Refused<B> {
    /// The same refusal with another buffer.
    pub fn map<C>(self, f: impl FnOnce(B) -> C) -> Refused<C> {
        Refused { error: self.error, buffer: f(self.buffer) }
    }
}

impl<B> fmt::Debug for Refused<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<B> fmt::Display for Refused<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<B> std::error::Error for Refused<B> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl<B> From<Refused<B>> for Error {
    fn from(refused: Refused<B>) -> Self {
        refused.error
    }
}

/// One accepted message. It is a [`Future`] for any executor; it can also be waited for, polled,
/// given a callback or forwarded. Dropping it detaches the message: it goes on, success is silent,
/// a failure goes to the device's dead letters.
///
/// To poll the future moves nothing on: with [`Progress::Manual`](crate::Progress::Manual) it is ready only where
/// something else calls [`Device::progress`](crate::Device::progress), and a thread that only awaits it waits for ever.
pub struct Ticket<B: Send + 'static> {
    /// `None` once the outcome was taken or promised to somebody.
    shared: Option<Arc<Shared>>,
    cell: Token,
    id: MessageId,
    /// Dropping it cancels the message.
    cancels: bool,
    buffer: PhantomData<fn() -> B>,
}

const UNASKED: &str = "a ticket is asked before its outcome is taken";

impl<B: Send + 'static> Ticket<B> {
    pub(crate) fn new(shared: Arc<Shared>, cell: Token, id: MessageId) -> Self {
        Self { shared: Some(shared), cell, id, cancels: false, buffer: PhantomData }
    }

    /// Asks that no more of the message is given to the device. Never waits and needs no credit. The
    /// completion comes in any case, in its turn and with the host buffer once the device is done
    /// with it: wait for it as ever. What was to read the message's data fails with it; the queue
    /// goes on, whatever its [`FailPolicy`](crate::FailPolicy). A launch can be cancelled until it is
    /// given to the device; of a plan that is its last one.
    pub fn cancel(&self) -> CancelOutcome {
        let Some(shared) = &self.shared else { return CancelOutcome::TooLate };
        let mut core = shared.lock();
        let outcome = core.cancel(self.cell);
        shared.kick(core);
        outcome
    }

    /// What the message waits for, and why; `None` once it is resolved.
    pub fn explain(&self) -> Option<Explanation> {
        let core = self.shared.as_ref()?.lock();
        core.machine.explain(core.cells.get(self.cell)?.message)
    }

    /// Dropping the ticket cancels the message, as [`Ticket::cancel`] does, before it detaches it.
    #[must_use]
    pub fn cancel_on_drop(mut self) -> Self {
        self.cancels = true;
        self
    }

    /// The message.
    pub fn id(&self) -> MessageId {
        self.id
    }

    fn completion(id: MessageId, resolved: Resolved) -> Completion<B> {
        let Resolved { result, mut slip } = resolved;
        let buffer = slip.parcel.take().map(Parcel::take);
        Completion { id, tag: slip.tag, result, buffer, receipt: slip.receipt() }
    }

    /// The outcome if it is there; else leaves `waiter` to be told. Who `waits` waits for no doorbell.
    #[inline]
    fn collect(&mut self, waiter: Waiter, waits: bool) -> Option<Resolved> {
        self.collect_or(waiter, waits, |_, _, _| ())
    }

    /// The same; where the outcome is not there, `meanwhile` is shown the books.
    #[inline]
    fn collect_or(
        &mut self,
        waiter: Waiter,
        waits: bool,
        meanwhile: impl FnOnce(&Shared, &Core, Token),
    ) -> Option<Resolved> {
        let shared = self.shared.as_ref().expect(UNASKED);
        let mut core = shared.lock();
        let cell = core.cells.get_mut(self.cell).expect("an uncollected message has a cell");
        if let Some(resolved) = cell.take() {
            core.ledger.deliver();
            core.ledger.uncollected -= 1;
            core.cells.free(self.cell);
            drop(core);
            self.shared = None;
            return Some(resolved);
        }
        let old = std::mem::replace(&mut cell.waiter, waiter);
        let message = cell.message;
        meanwhile(shared, &core, self.cell);
        shared.ring_in(core, |core| waits && core.machine.ring_for(message));
        // A waker may own a task, and the task tickets of this device: it is not dropped under the lock.
        drop(old);
        None
    }

    /// Waits until the message is resolved.
    pub fn wait(mut self) -> Completion<B> {
        let mut resolved = self.collect_soon();
        loop {
            if let Some(resolved) = resolved {
                return Self::completion(self.id, resolved);
            }
            resolved = self.collect(Waiter::Thread(thread::current()), true);
            if resolved.is_none() {
                self.shared().pause(None);
            }
        }
    }

    /// The outcome if it comes while it is worth looking out for.
    fn collect_soon(&mut self) -> Option<Resolved> {
        let mut seen = self.shared().resolved.load(Relaxed);
        let mut looks = false;
        let ask = |shared: &Shared, core: &Core, cell| looks = shared.is_worth_a_look(core, cell);
        let mut resolved = self.collect_or(Waiter::Nobody, true, ask);
        if resolved.is_some() || !looks {
            return resolved;
        }
        let end = Instant::now() + self.shared().spin;
        while resolved.is_none() && Instant::now() < end && self.shared().look_about(seen, end) {
            seen = self.shared().resolved.load(Relaxed);
            resolved = self.collect(Waiter::Nobody, true);
        }
        resolved
    }

    fn shared(&self) -> &Shared {
        self.shared.as_ref().expect(UNASKED)
    }

    /// Waits for at most `timeout`.
    ///
    /// # Errors
    /// The ticket, where the message is not resolved by then.
    pub fn wait_timeout(mut self, timeout: Duration) -> Result<Completion<B>, Self> {
        // A time that no clock will show is for ever.
        let backend = self.shared().backend.clone();
        let Some(end) = backend.now().checked_add(timeout) else { return Ok(self.wait()) };
        if !timeout.is_zero()
            && let Some(resolved) = self.collect_soon()
        {
            return Ok(Self::completion(self.id, resolved));
        }
        loop {
            if let Some(resolved) = self.collect(Waiter::Thread(thread::current()), true) {
                return Ok(Self::completion(self.id, resolved));
            }
            let left = end.saturating_duration_since(backend.now());
            if left.is_zero() {
                return Err(self);
            }
            self.shared().pause(Some(left));
        }
    }

    /// The completion, if the message is resolved. Never blocks.
    ///
    /// # Errors
    /// The ticket, where it is not.
    pub fn try_take(mut self) -> Result<Completion<B>, Self> {
        match self.collect(Waiter::Nobody, false) {
            Some(resolved) => Ok(Self::completion(self.id, resolved)),
            None => Err(self),
        }
    }

    /// Calls `f` with the completion, on the device's callback thread, in the order in which messages
    /// resolve: those of a queue in theirs. `f` owns the completion and its host buffer. It may send messages
    /// and may block: only other callbacks wait for it, each with its completion, however many they are. A panic
    /// in it is caught and counted in [`Stats::callback_panics`](crate::Stats::callback_panics).
    pub fn on_complete(self, f: impl FnOnce(Completion<B>) + Send + 'static) {
        let id = self.id;
        self.leave(Waiter::Callback(Box::new(move |resolved| f(Self::completion(id, resolved)))));
    }

    /// Calls `f` on whichever thread tells: for short code of ours that never blocks.
    pub(crate) fn on_resolved(self, f: impl FnOnce(Completion<B>) + Send + 'static) {
        let id = self.id;
        self.leave(Waiter::Forward(Box::new(move |resolved| f(Self::completion(id, resolved)))));
    }

    /// Sends the completion to a completion queue, together with `key`: a queue's completions, forwarded in
    /// the order of its messages, arrive in it.
    pub fn forward<K: Send + 'static>(self, queue: &CompletionQueue<K, B>, key: K) {
        let sender = queue.sender.clone();
        // Where nobody listens any more the completion is dropped with its buffer.
        self.on_resolved(move |completion| drop(sender.send((key, completion))));
    }

    /// Leaves the outcome to a fence.
    pub(super) fn reach(self, fence: &Arc<FenceState>) {
        self.leave(Waiter::Fence(fence.clone()));
    }

    /// Leaves the outcome to `waiter`. Also one that is there already takes its turn among what others
    /// are still to be told, so that a queue's outcomes come in order whoever tells.
    fn leave(mut self, waiter: Waiter) {
        let shared = self.shared.take().expect(UNASKED);
        let mut core = shared.lock();
        let cell = core.cells.get_mut(self.cell).expect("an uncollected message has a cell");
        let waits = matches!(waiter, Waiter::Callback(_));
        let old = std::mem::replace(&mut cell.waiter, waiter);
        if cell.outcome.is_some() {
            core.ledger.uncollected -= 1;
            core.tell(self.cell);
            drop(core);
            shared.tell();
        } else {
            let message = cell.message;
            shared.ring_in(core, |core| waits && core.machine.ring_for(message));
        }
        drop(old);
    }
}

impl<B: Send + 'static> Future for Ticket<B> {
    type Output = Completion<B>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let ticket = self.get_mut();
        match ticket.collect(Waiter::Task(context.waker().clone()), true) {
            Some(resolved) => Poll::Ready(Self::completion(ticket.id, resolved)),
            None => Poll::Pending,
        }
    }
}

impl<B: Send + 'static> Unpin for Ticket<B> {}

impl<B: Send + 'static> Drop for Ticket<B> {
    fn drop(&mut self) {
        let Some(shared) = self.shared.take() else { return };
        let mut core = shared.lock();
        let Some(old) = core.let_go(self.cell) else {
            // A buffer's drop is the user's code.
            drop(core);
            return shared.tell();
        };
        if self.cancels {
            core.cancel(self.cell);
            shared.kick(core);
        } else {
            drop(core);
        }
        drop(old);
    }
}

impl<B: Send + 'static> fmt::Debug for Ticket<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Where completions of many messages arrive in the order in which they resolve: a crossbeam
/// channel, so that `crossbeam::select!` works on it. It holds what is not received yet, host buffers
/// included. A message's credits are back when it is resolved, so that no queue bounds how much that can be:
/// who sends without end receives, too.
#[derive(Debug)]
pub struct CompletionQueue<K, B> {
    sender: Sender<(K, Completion<B>)>,
    receiver: Receiver<(K, Completion<B>)>,
}

impl<K, B> CompletionQueue<K, B> {
    /// An empty one.
    pub fn new() -> Self {
        let (sender, receiver) = channel::unbounded();
        Self { sender, receiver }
    }

    /// The receiving end, as often as wanted.
    pub fn receiver(&self) -> &Receiver<(K, Completion<B>)> {
        &self.receiver
    }
}

impl<K, B> Default for CompletionQueue<K, B> {
    fn default() -> Self {
        Self::new()
    }
}
