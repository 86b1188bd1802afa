//! Failures of messages whose tickets were dropped.

use std::{collections::VecDeque, fmt, sync::Arc, time::Instant};

use super::{MessageId, core::Clock, engine::Engine, model::Kind, parcel::Parcel, slip::Slip, work::Work};
use crate::{
    backend::{Lane, Op, Source, Token},
    error::TransferError,
};

/// A message that failed after its ticket was dropped, with what is left of it.
#[non_exhaustive]
pub struct DeadLetter {
    /// What happened to which message of which queue.
    pub error: Arc<TransferError>,
    /// The user's number for it; 0 unless one was given.
    pub tag: u64,
    /// When the queue had accepted it.
    pub accepted: Instant,
    /// When it failed.
    pub failed: Instant,
    /// What is left of it: its operation only where that can be done again.
    slip: Slip,
}

impl DeadLetter {
    pub(super) fn new(error: Arc<TransferError>, slip: Slip) -> Self {
        let (tag, log) = (slip.tag, &slip.log);
        let accepted = log.accepted.expect("a message is accepted before it fails");
        Self { error, tag, accepted, failed: log.delivered.unwrap_or_else(Instant::now), slip }
    }

    /// The message.
    pub fn id(&self) -> MessageId {
        self.error.id
    }

    /// Takes the host buffer that the message owned, if it is a `B`. It is not there where the device was
    /// lost with it, or where newer letters needed the room.
    pub fn take_buffer<B: Send + 'static>(&mut self) -> Option<B> {
        self.slip.get()?;
        let buffer = self.slip.parcel.take_if(|parcel| parcel.holds::<B>())?;
        // What it was to do named the buffer.
        self.slip.op = None;
        Some(buffer.take())
    }

    /// Whether [`DeadLetters::requeue`] can send it again: uploads that still have their buffer or
    /// were copied when they were made, copies and clears, and launches and replays that never reached the
    /// device. What was filled in place went with its staging memory, and a launch that ran may have written
    /// half of its output.
    pub fn can_requeue(&self) -> bool {
        self.slip.get().is_some_and(|work| work.op.is_some())
    }
}

impl fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetter")
            .field("error", &self.error)
            .field("buffer", &self.slip.get().is_some_and(|work| work.parcel.is_some()))
            .field("can_requeue", &self.can_requeue())
            .finish_non_exhaustive()
    }
}

/// The same operation once more, for the case that it fails: only what may be done twice.
pub(super) fn once_more(op: &Op) -> Option<Op> {
    match op {
        Op::Upload { src: Source::Span(span), dst } => Some(Op::Upload { src: Source::Span(*span), dst: *dst }),
        Op::Upload { src: Source::Carried(span), dst } => Some(Op::Upload { src: Source::Carried(*span), dst: *dst }),
        Op::Copy { src, dst } => Some(Op::Copy { src: *src, dst: *dst }),
        Op::Clear { dst } => Some(Op::Clear { dst: *dst }),
        Op::Upload { .. } | Op::Download { .. } => None,
        Op::Launch(_) | Op::Replay(_) | Op::Joined(_) | Op::Nothing => None,
    }
}

/// Letters that are kept, and bytes of their buffers.
const MOST: usize = 1024;
const MOST_BYTES: u64 = 64 << 20;

/// A bounded ring: the oldest letter makes room for the newest, and is counted; before that, the oldest
/// buffers are let go.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    letters: VecDeque<DeadLetter>,
    /// Bytes of the buffers in it.
    bytes: u64,
    /// Letters that were pushed out.
    pub(crate) overflowed: u64,
}

impl Ring {
    /// Adds a letter. What has to go for it is dropped by the caller, outside the lock.
    pub(super) fn push(&mut self, letter: DeadLetter, graves: &mut Vec<Slip>) {
        if self.letters.len() == MOST {
            let oldest = self.letters.pop_front().expect("it is full");
            self.bytes -= held(&oldest);
            graves.push(oldest.slip);
            self.overflowed += 1;
        }
        self.bytes += held(&letter);
        self.letters.push_back(letter);
        let newest = self.letters.len() - 1;
        for letter in self.letters.range_mut(..newest) {
            if self.bytes <= MOST_BYTES {
                break;
            }
            self.bytes -= held(letter);
            graves.push(std::mem::take(&mut letter.slip));
        }
    }

    fn take(&mut self) -> VecDeque<DeadLetter> {
        self.bytes = 0;
        std::mem::take(&mut self.letters)
    }

    /// Puts letters back where they were: before those that came meanwhile.
    fn put_back(&mut self, letters: VecDeque<DeadLetter>, graves: &mut Vec<Slip>) {
        let newer = self.take();
        for letter in letters.into_iter().chain(newer) {
            self.push(letter, graves);
        }
    }

    /// Whether a letter that can be sent again names this buffer.
    pub(super) fn names(&self, buffer: Token) -> bool {
        let mut letters = self.letters.iter().filter(|letter| letter.can_requeue());
        letters.any(|letter| letter.slip.accesses.iter().any(|touch| touch.buffer == buffer))
    }

    pub(super) fn of_queue(&self, queue: &Arc<str>) -> usize {
        self.letters.iter().filter(|letter| Arc::ptr_eq(&letter.error.queue, queue)).count()
    }
}

fn held(letter: &DeadLetter) -> u64 {
    let owns = |work: &Work| work.parcel.is_some() && work.kind != Kind::Work(Lane::Compute);
    if letter.slip.get().is_some_and(owns) { letter.error.bytes } else { 0 }
}

/// The dead letters of a device: failures of messages that nobody waited for. See
/// [`Device::dead_letters`](crate::Device::dead_letters).
///
/// The newest 1024 are kept, with up to 64 MiB of host buffers; what makes room is counted. It is the
/// program's to decide what becomes of them: look, take them out, or send them again.
#[derive(Debug)]
pub struct DeadLetters<'d> {
    engine: &'d Engine,
}

/// What [`DeadLetters::requeue`] has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Requeued {
    /// Letters that were accepted again, as new messages.
    pub sent: usize,
    /// Letters that were chosen and stay: they cannot be sent again, or their device buffer is gone, or
    /// the queue refused them.
    pub kept: usize,
}

impl<'d> DeadLetters<'d> {
    pub(crate) fn new(engine: &'d Engine) -> Self {
        Self { engine }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.engine.shared.lock().dead.letters.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Letters that made room for newer ones, ever.
    pub fn overflowed(&self) -> u64 {
        self.engine.shared.lock().dead.overflowed
    }

    /// Shows each to `look`, oldest first. Letters that arrive meanwhile are not shown.
    pub fn look(&self, mut look: impl FnMut(&DeadLetter)) {
        let letters = self.engine.shared.lock().dead.take();
        // Also where `look` panics.
        let back = PutBack { engine: self.engine, letters };
        back.letters.iter().for_each(&mut look);
    }

    /// Takes all out, oldest first. They are the caller's, with their buffers.
    pub fn take(&self) -> Vec<DeadLetter> {
        self.engine.shared.lock().dead.take().into()
    }

    /// Sends those that `choose` says yes to again, oldest first, through the device's own queue for
    /// their lane. Each is a new message without a ticket: should it fail, it is a dead letter again. A
    /// full queue is not waited for.
    pub fn requeue(&self, mut choose: impl FnMut(&DeadLetter) -> bool) -> Requeued {
        let letters = self.engine.shared.lock().dead.take();
        let mut back = PutBack { engine: self.engine, letters };
        let mut requeued = Requeued::default();
        for _ in 0..back.letters.len() {
            let mut letter = back.letters.pop_front().expect("counted");
            if choose(&letter) {
                if self.resend(&mut letter) {
                    requeued.sent += 1;
                    continue;
                }
                requeued.kept += 1;
            }
            back.letters.push_back(letter);
        }
        requeued
    }

    fn resend(&self, letter: &mut DeadLetter) -> bool {
        let Some(&Work { kind: Kind::Work(lane), op: Some(_), .. }) = letter.slip.get() else { return false };
        let (queue, bytes) = (lane as usize, if lane == Lane::Compute { 0 } else { letter.error.bytes });
        let mut core = self.engine.shared.lock();
        let machine = &mut core.machine;
        let alive = letter.slip.accesses.iter().all(|touch| machine.is_owned(touch.buffer));
        if !alive || machine.reserve(queue, 1, bytes, None).is_err() {
            return false;
        }
        let mut slip = std::mem::take(&mut letter.slip);
        (slip.bytes, slip.deadline, slip.unsignaled) = (bytes, None, false);
        slip.parcel.get_or_insert_with(|| Parcel::new(()));
        let accepted = core.put(queue, slip, &mut Clock::default(), &self.engine.shared);
        // It may be over as it is accepted.
        drop(core.let_go(accepted.cell));
        self.engine.shared.sent(core, Clock::default());
        true
    }
}

/// Letters on loan from the ring.
struct PutBack<'d> {
    engine: &'d Engine,
    letters: VecDeque<DeadLetter>,
}

impl Drop for PutBack<'_> {
    fn drop(&mut self) {
        let mut graves = Vec::new();
        self.engine.shared.lock().dead.put_back(std::mem::take(&mut self.letters), &mut graves);
    }
}
