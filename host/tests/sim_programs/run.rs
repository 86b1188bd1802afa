//! Runs a program and checks every promise after every step.

use std::{
    mem,
    sync::{Arc, Mutex},
    time::Duration,
};

use wharf::{
    Buffer, CancelOutcome, Completion, CompletionQueue, DmaQueue, Error, Faults, Fence, Grid, Kernel, MessageId,
    Refusal, Simulation, Ticket, native::Dispatch,
};

use crate::{
    outcomes::Outcomes,
    program::{BUFFERS, Bounds, End, Program, QUEUES, Step},
};

mod check;
mod held;

use held::{Carried, Held, wait};

/// Words of a buffer: too many to travel inside a message, or at once.
const WORDS: usize = 160;
/// Bytes of a chunk: a buffer has three.
const CHUNK: u64 = 256;
/// Words of an upload that is not for the whole buffer, and where it begins.
const PART: usize = 8;
const PART_AT: usize = 4;

/// `y = 3 x + y`, element by element.
static MIX: Kernel = Kernel::new(
    "mix",
    "@group(0) @binding(0) var<storage, read> x: array<u32>;
     @group(0) @binding(1) var<storage, read_write> y: array<u32>;
     @compute @workgroup_size(64)
     fn mix(@builtin(global_invocation_id) id: vec3<u32>) {
         if id.x < arrayLength(&x) { y[id.x] = 3 * x[id.x] + y[id.x]; }
     }",
)
.with_native(|dispatch: &mut Dispatch<'_>| {
    let [x, y] = dispatch.args else { unreachable!("two bindings") };
    mix(x.read(), y.write());
})
.with_grid(Grid::Elements { of: "x", per_group: 64 });

fn mix(x: &[u32], y: &mut [u32]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y = x.wrapping_mul(3).wrapping_add(*y));
}

/// A message that was accepted.
#[derive(Debug)]
struct Sent {
    queue: usize,
    id: MessageId,
    expected: Expected,
    /// It may say that it was cancelled.
    cancelled: bool,
    /// It may say that it is late.
    deadline: bool,
    /// Its one completion was seen, or nobody will see it.
    settled: bool,
}

/// What comes back with a message.
#[derive(Debug)]
enum Expected {
    Nothing,
    /// This vector: the same words at the same place.
    Vector(*const u32, Vec<u32>),
    /// These words, where it goes well.
    Words(Vec<u32>),
    /// Nothing: it was filled in place, and its staging memory is the device's.
    Filled,
}

/// A fence, and how many messages were sent before it.
#[derive(Debug)]
struct Waiting {
    queue: usize,
    before: usize,
    fence: Fence,
}

type Called = Arc<Mutex<Vec<(usize, Completion<Vec<u32>>)>>>;

struct Harness<'a> {
    sim: Simulation,
    queues: Vec<DmaQueue>,
    /// Each queue's own number: one that replaces another is a queue of its own.
    numbers: [usize; QUEUES],
    closed: [bool; QUEUES],
    bounds: [Bounds; QUEUES],
    buffers: Vec<Option<Buffer<u32>>>,
    /// What a serial run would have left in the buffers, if all went well.
    words: [Vec<u32>; BUFFERS],
    sent: Vec<Sent>,
    held: Vec<Held>,
    /// Those that are not reached.
    fences: Vec<Waiting>,
    fences_sent: u64,
    data: CompletionQueue<usize, Vec<u32>>,
    plain: CompletionQueue<usize, ()>,
    called: Called,
    /// The last message of each queue that came through each of the three ways above.
    last: [Vec<Option<usize>>; 3],
    /// No two words that are sent are alike.
    next_word: u32,
    detached: u64,
    letters: u64,
    leaked: u64,
    /// Messages that were filled in place and lost: the device may have had their staging memory.
    lost_fills: u64,
    forgotten: u64,
    seen: u64,
    /// Messages that queues had open when they were replaced.
    retired: u32,
    outcomes: &'a mut Outcomes,
}

/// Runs the program; panics where a promise is broken.
pub(crate) fn run(program: &Program, outcomes: &mut Outcomes) {
    let faults = program.faults.iter().fold(Faults::new(), |script, fault| fault.add(script));
    let sim = Simulation::open_with(&program.device, faults).expect("a description");
    let mut harness = Harness {
        queues: program.queues.iter().map(|bounds| open(&sim, bounds)).collect(),
        numbers: std::array::from_fn(|queue| queue),
        closed: [false; QUEUES],
        bounds: program.queues,
        buffers: (0..BUFFERS).map(|_| sim.device().buffer(WORDS).ok()).collect(),
        words: std::array::from_fn(|_| vec![0; WORDS]),
        sent: Vec::new(),
        held: Vec::new(),
        fences: Vec::new(),
        fences_sent: 0,
        retired: 0,
        data: CompletionQueue::new(),
        plain: CompletionQueue::new(),
        called: Called::default(),
        last: std::array::from_fn(|_| vec![None; QUEUES]),
        next_word: 1,
        detached: 0,
        letters: 0,
        leaked: 0,
        lost_fills: 0,
        forgotten: 0,
        seen: 0,
        sim,
        outcomes,
    };
    for step in &program.steps {
        harness.step(step);
        harness.check();
    }
    harness.end();
}

fn open(sim: &Simulation, bounds: &Bounds) -> DmaQueue {
    let options = sim.device().queue("program").depth(bounds.depth).bytes(bounds.bytes);
    options.window(bounds.window).policy(bounds.policy).priority(bounds.priority).chunk(CHUNK).open()
}

impl Harness<'_> {
    fn fresh(&mut self, n: usize) -> Vec<u32> {
        let first = self.next_word;
        self.next_word += n as u32;
        (first..self.next_word).map(|word| word.wrapping_mul(0x9e37_79b1)).collect()
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Upload { queue, buffer, within, ends } => {
                let words = self.fresh(WORDS);
                self.upload((queue, buffer), 0, words, within, ends);
            }
            Step::UploadPart { queue, buffer, ends } => {
                let words = self.fresh(PART);
                self.upload((queue, buffer), PART_AT, words, None, ends);
            }
            Step::Fill { queue, buffer, commit, ends } => self.fill(queue, buffer, commit, ends),
            Step::Launch { queue, x, y, ends } => {
                let (Some(from), Some(to)) = (&self.buffers[x], &self.buffers[y]) else { return };
                let launch = self.sim.device().launch(&MIX).bind(from).bind(to);
                let sent = launch.on(&self.queues[queue]).or_refuse().run();
                if self.plain(queue, sent, Expected::Nothing, ends) {
                    let from = self.words[x].clone();
                    mix(&from, &mut self.words[y]);
                }
            }
            Step::Copy { queue, x, y, ends } => {
                let (Some(from), Some(to)) = (&self.buffers[x], &self.buffers[y]) else { return };
                let sent = self.sim.device().copy(from, to).on(&self.queues[queue]).or_refuse().send();
                if self.plain(queue, sent, Expected::Nothing, ends) {
                    self.words[y] = self.words[x].clone();
                }
            }
            Step::Clear { queue, buffer, ends } => {
                let Some(to) = &self.buffers[buffer] else { return };
                let sent = self.sim.device().clear(to).on(&self.queues[queue]).or_refuse().send();
                if self.plain(queue, sent, Expected::Nothing, ends) {
                    self.words[buffer].fill(0);
                }
            }
            Step::Download { queue, buffer, within, ends } => {
                let Some(from) = &self.buffers[buffer] else { return };
                let into = vec![u32::MAX; 3];
                let mut download = self.sim.device().download(from).on(&self.queues[queue]).or_refuse();
                if let Some(time) = within {
                    download = download.deadline(time);
                }
                match download.into(into) {
                    Ok(ticket) => {
                        let expected = Expected::Words(self.words[buffer].clone());
                        self.data(queue, ticket, expected, within, ends);
                    }
                    Err(refused) => self.refused(queue, &refused.error),
                }
            }
            // With a full queue it would wait, which is another matter.
            Step::Fence { queue } if self.queues[queue].stats().free_ops > 0 => match self.queues[queue].fence() {
                Ok(fence) => {
                    self.fences_sent += 1;
                    let queue = self.numbers[queue];
                    self.fences.push(Waiting { queue, before: self.sent.len(), fence });
                }
                Err(error) => self.refused(queue, &error),
            },
            Step::Fence { .. } => {}
            Step::WaitFor { queue, fence } => {
                if let Some(Waiting { fence, .. }) = pick(&self.fences, fence) {
                    let waits = self.queues[queue].wait_for(fence);
                    assert!(matches!(waits, Ok(()) | Err(Error::Transfer(_))), "{waits:?}");
                }
            }
            Step::Wait { ticket, most } => self.wait(ticket, most),
            Step::TryTake { ticket } => self.wait(ticket, Some(Duration::ZERO)),
            Step::Cancel { ticket } => {
                let Some(held) = pick(&self.held, ticket) else { return };
                let outcome = match held {
                    Held::Data(_, ticket) => ticket.cancel(),
                    Held::Plain(_, ticket) => ticket.cancel(),
                };
                let message = held.message();
                self.sent[message].cancelled |= outcome != CancelOutcome::TooLate;
            }
            Step::Drop { ticket } => {
                if !self.held.is_empty() {
                    let held = self.held.swap_remove(ticket % self.held.len());
                    self.detach(held);
                }
            }
            Step::DropBuffer { buffer } => {
                self.buffers[buffer] = self.sim.device().buffer(WORDS).ok();
                self.words[buffer].fill(0);
            }
            Step::Close { queue } if self.closed[queue] => {
                self.retired += self.queues[queue].stats().unresolved;
                self.queues[queue] = open(&self.sim, &self.bounds[queue]);
                self.numbers[queue] = self.last[0].len();
                self.last.iter_mut().for_each(|last| last.push(None));
                self.closed[queue] = false;
            }
            Step::Close { queue } => {
                self.queues[queue].close();
                self.closed[queue] = true;
            }
            Step::Resume { queue } => self.queues[queue].resume(),
            Step::Progress => drop(self.sim.device().progress()),
            Step::Work(time) => self.sim.host_work(time),
        }
    }

    fn upload(
        &mut self,
        (queue, buffer): (usize, usize),
        at: usize,
        words: Vec<u32>,
        within: Option<Duration>,
        ends: End,
    ) {
        let Some(to) = &self.buffers[buffer] else { return };
        let (place, copy) = (words.as_ptr(), words.clone());
        let mut upload = self.sim.device().upload(to).at(at).on(&self.queues[queue]).or_refuse();
        if let Some(time) = within {
            upload = upload.deadline(time);
        }
        match upload.send(words) {
            Ok(ticket) => {
                self.words[buffer][at..at + copy.len()].copy_from_slice(&copy);
                self.data(queue, ticket, Expected::Vector(place, copy), within, ends);
            }
            Err(refused) => {
                assert_eq!((refused.buffer.as_ptr(), &refused.buffer), (place, &copy), "handed back as it was");
                self.refused(queue, &refused.error);
            }
        }
    }

    fn fill(&mut self, queue: usize, buffer: usize, commit: bool, ends: End) {
        let words = self.fresh(WORDS);
        let Some(to) = &self.buffers[buffer] else { return };
        let upload = self.sim.device().upload(to).on(&self.queues[queue]).or_refuse();
        let sent = upload.reserve(WORDS).and_then(|mut fill| {
            fill.copy_from_slice(&words);
            commit.then(|| fill.commit()).transpose()
        });
        let Some(sent) = sent.transpose() else { return };
        if self.plain(queue, sent, Expected::Filled, ends) {
            self.words[buffer] = words;
        }
    }

    /// A message without a buffer; answers whether it was accepted.
    fn plain(&mut self, queue: usize, sent: Result<Ticket<()>, Error>, expected: Expected, ends: End) -> bool {
        let ticket = match sent {
            Ok(ticket) => ticket,
            Err(error) => {
                self.refused(queue, &error);
                return false;
            }
        };
        let message = self.accept(queue, ticket.id(), expected);
        match ends {
            End::Held => self.held.push(Held::Plain(message, ticket)),
            End::Forwarded | End::CalledBack => ticket.forward(&self.plain, message),
            End::Dropped => self.detach(Held::Plain(message, ticket)),
            End::Forgotten => self.forget(message, ticket),
        }
        true
    }

    fn data(
        &mut self,
        queue: usize,
        ticket: Ticket<Vec<u32>>,
        expected: Expected,
        within: Option<Duration>,
        ends: End,
    ) {
        let message = self.accept(queue, ticket.id(), expected);
        self.sent[message].deadline = within.is_some();
        match ends {
            End::Held => self.held.push(Held::Data(message, ticket)),
            End::Forwarded => ticket.forward(&self.data, message),
            End::CalledBack => {
                let called = self.called.clone();
                ticket.on_complete(move |done| called.lock().unwrap().push((message, done)));
            }
            End::Dropped => self.detach(Held::Data(message, ticket)),
            End::Forgotten => self.forget(message, ticket),
        }
    }

    fn accept(&mut self, queue: usize, id: MessageId, expected: Expected) -> usize {
        assert!(!self.closed[queue], "accepted by a closed queue");
        self.sent.push(Sent {
            queue: self.numbers[queue],
            id,
            expected,
            cancelled: false,
            deadline: false,
            settled: false,
        });
        self.sent.len() - 1
    }

    fn detach(&mut self, held: Held) {
        let message = held.message();
        drop(held);
        assert!(!mem::replace(&mut self.sent[message].settled, true), "settled once");
        self.detached += 1;
    }

    fn forget<B: Carried>(&mut self, message: usize, ticket: Ticket<B>) {
        mem::forget(ticket);
        self.sent[message].settled = true;
        self.forgotten += 1;
    }

    fn refused(&mut self, queue: usize, error: &Error) {
        let stats = self.queues[queue].stats();
        match error {
            Error::Refused { why: Refusal::Full { free_ops, free_bytes, bytes }, .. } => {
                assert!(*free_ops == 0 || bytes > free_bytes, "refused with room");
                assert_eq!((*free_ops, *free_bytes), (stats.free_ops, stats.free_bytes), "a refusal changes nothing");
                self.outcomes.refused_full += 1;
            }
            Error::Refused { why: Refusal::Closed, .. } => {
                assert!(self.closed[queue], "an open queue says that it is closed");
                self.outcomes.refused_closed += 1;
            }
            Error::Refused { why: Refusal::Failed(_), .. } => self.outcomes.refused_failed += 1,
            Error::OutOfMemory { .. } => self.outcomes.refused_memory += 1,
            // Allocations of a lost device.
            Error::Device { .. } => self.outcomes.refused_failed += 1,
            error => panic!("{error}"),
        }
    }

    /// Waits for a held ticket; what its queue had accepted before it is then resolved, too.
    fn wait(&mut self, ticket: usize, most: Option<Duration>) {
        if self.held.is_empty() {
            return;
        }
        let held = self.held.swap_remove(ticket % self.held.len());
        let message = held.message();
        if let Err(held) = self.take(held, most) {
            return self.held.push(held);
        }
        for held in self.held_before(self.sent[message].queue, message) {
            let taken = self.take(held, Some(Duration::ZERO));
            assert!(taken.is_ok(), "{taken:?} is unresolved and {message} behind it in its queue is not");
        }
    }

    /// Takes out those of the queue's tickets that are held for messages before this one.
    fn held_before(&mut self, queue: usize, message: usize) -> Vec<Held> {
        let sent = &self.sent;
        self.held.extract_if(.., |held| held.message() < message && sent[held.message()].queue == queue).collect()
    }

    /// The completion within this time, or the ticket again.
    fn take(&mut self, held: Held, most: Option<Duration>) -> Result<(), Held> {
        match held {
            Held::Plain(message, ticket) => {
                let done = wait(ticket, most).map_err(|ticket| Held::Plain(message, ticket))?;
                self.seen(message, done);
            }
            Held::Data(message, ticket) => {
                let done = wait(ticket, most).map_err(|ticket| Held::Data(message, ticket))?;
                self.seen(message, done);
            }
        }
        Ok(())
    }
}

fn pick<T>(from: &[T], index: usize) -> Option<&T> {
    (!from.is_empty()).then(|| &from[index % from.len()])
}
