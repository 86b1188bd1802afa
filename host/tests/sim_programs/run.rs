//! Runs a program and checks every promise after every step.

use std::{
    slice,
    sync::{Arc, Mutex},
    time::Duration,
};

use wharf::{
    Buffer, CancelOutcome, Completion, CompletionQueue, DmaQueue, Error, Faults, Fence, Grid, Kernel, MessageId,
    Permit, Simulation, native::Dispatch,
};

use crate::{
    outcomes::Outcomes,
    program::{BUFFERS, Bounds, Program, QUEUES, Step},
};

mod batch;
mod check;
mod held;
mod permit;
mod promise;
mod replay;
mod send;

use held::Held;
use permit::Reserved;
use promise::Promise;
use send::Way;

/// Words of a buffer: too many to travel inside a message, or at once.
const WORDS: usize = 160;
/// Bytes of a chunk: a buffer has three.
const CHUNK: u64 = 256;
/// Words of an upload that is not for the whole buffer, and where it begins.
const PART: usize = 8;
const PART_AT: usize = 4;
/// How long a program waits for what may be waiting for the program.
const PATIENCE: Duration = Duration::from_micros(50);

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
    /// Unless nobody was told.
    id: Option<MessageId>,
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
    /// Nothing: it is a graph's replay.
    Replay,
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
    queues: Vec<Arc<DmaQueue>>,
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
    promises: Vec<Promise>,
    /// What is left of the credits that the program holds.
    reserved: Option<Reserved>,
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
        promises: Vec::new(),
        reserved: None,
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
    harness.steps(&mut program.steps.iter(), None);
    harness.end();
}

fn open(sim: &Simulation, bounds: &Bounds) -> Arc<DmaQueue> {
    let options = sim.device().queue("program").depth(bounds.depth).bytes(bounds.bytes).doorbell(bounds.doorbell);
    options.window(bounds.window).policy(bounds.policy).priority(bounds.priority).chunk(CHUNK).open().into()
}

impl Harness<'_> {
    fn fresh(&mut self, n: usize) -> Vec<u32> {
        let first = self.next_word;
        self.next_word += n as u32;
        (first..self.next_word).map(|word| word.wrapping_mul(0x9e37_79b1)).collect()
    }

    /// Runs the steps, with the credits of `permit` until they are given back.
    fn steps(&mut self, steps: &mut slice::Iter<'_, Step>, permit: Option<&Permit<'_>>) {
        while let Some(step) = steps.next() {
            match *step {
                Step::Reserve { queue, ops, bytes, awaits } if permit.is_none() => {
                    self.reserve(queue, (ops, bytes), awaits, steps);
                }
                Step::Return if permit.is_some() => return,
                _ => self.step(step, permit),
            }
            self.left(permit);
            self.check();
        }
    }

    fn step(&mut self, step: &Step, permit: Option<&Permit<'_>>) {
        match *step {
            Step::Upload { queue, buffer, within, ends } => {
                self.upload(self.way(queue, permit, ends), buffer, true, within);
            }
            Step::UploadPart { queue, buffer, ends } => self.upload(self.way(queue, permit, ends), buffer, false, None),
            Step::Fill { queue, buffer, commit, ends } => self.fill(self.way(queue, permit, ends), buffer, commit),
            Step::Launch { queue, x, y, ends } => self.launch(self.way(queue, permit, ends), x, y),
            Step::Copy { queue, x, y, ends } => self.copy(self.way(queue, permit, ends), x, y),
            Step::Clear { queue, buffer, ends } => self.clear(self.way(queue, permit, ends), buffer),
            Step::Download { queue, buffer, within, ends } => {
                self.download(self.way(queue, permit, ends), buffer, within);
            }
            Step::Batch { queue, buffer, messages, takes, commit, ends } => {
                self.batch(self.way(queue, None, ends), (buffer, messages), takes, commit);
            }
            Step::Replay { queue, x, y, shape, times, ends } => {
                self.replay(self.way(queue, permit, ends), (x, y), shape, times);
            }
            // One permit at a time, and none to give back.
            Step::Reserve { .. } | Step::Return => {}
            // With a full queue it would wait, which is another matter.
            Step::Fence { queue } if self.queues[queue].stats().free_ops > 0 => match self.queues[queue].fence() {
                Ok(fence) => {
                    self.fences_sent += 1;
                    let queue = self.numbers[queue];
                    self.fences.push(Waiting { queue, before: self.sent.len(), fence });
                }
                Err(error) => self.refused(queue, 1, &error),
            },
            Step::Fence { .. } => {}
            Step::Promise => self.promise(),
            Step::Keep { promise, how } => self.keep(promise, how),
            Step::WaitFor { queue, fence } => {
                let fences = self.fences.iter().map(|waiting| &waiting.fence);
                let fences: Vec<_> = fences.chain(self.promises.iter().map(|promise| &promise.fence)).collect();
                if let Some(fence) = pick(&fences, fence) {
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
            Step::Flush { queue } => {
                self.queues[queue].flush();
                assert_eq!(self.queues[queue].stats().held, 0, "the doorbell was rung");
            }
            Step::Progress => drop(self.sim.device().progress()),
            Step::Work(time) => self.sim.host_work(time),
        }
    }
}

fn pick<T>(from: &[T], index: usize) -> Option<&T> {
    (!from.is_empty()).then(|| &from[index % from.len()])
}
