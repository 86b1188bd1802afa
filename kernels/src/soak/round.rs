//! One round: random messages to a few buffers, and what must come of them.

use std::{collections::VecDeque, time::Duration};

use wharf::{
    Buffer, CancelOutcome, Completion, CompletionQueue, Device, DmaQueue, Error, FailPolicy, Priority, Refused, Ticket,
};

use super::tally::{Expected, Tally, Violation, fingerprint};
use crate::{REDUCE_SUM_U32, random::Random};

/// A message that takes longer is lost: nothing here takes a second.
const PATIENCE: Duration = Duration::from_secs(60);
/// Tickets that are held at once, and bytes of them.
const HELD: usize = 64;
const HELD_BYTES: u64 = 16 << 20;
const BUFFERS: usize = 4;
const QUEUES: usize = 3;
const MOST_WORDS: u32 = 1 << 20;

/// What a round may hold at most: its buffers on device and host, an upload's data beside what it was copied
/// from, and the tickets.
pub(super) const MOST_BYTES: u64 = (2 * BUFFERS as u64 + 2) * 4 * MOST_WORDS as u64 + 2 * HELD_BYTES;

/// A buffer, and what it holds once everything accepted so far has gone well.
struct Place {
    buffer: Buffer<u32>,
    content: Vec<u32>,
}

enum Held {
    Plain(Ticket<()>),
    Data(Ticket<Vec<u32>>, Expected),
}

impl Held {
    fn cancel(&self) -> CancelOutcome {
        match self {
            Self::Plain(ticket) => ticket.cancel(),
            Self::Data(ticket, _) => ticket.cancel(),
        }
    }
}

pub(super) struct Round<'d> {
    device: &'d Device,
    random: Random,
    queues: Vec<DmaQueue>,
    places: Vec<Place>,
    sum: Buffer<u32>,
    held: VecDeque<(Held, u64)>,
    held_bytes: u64,
    forwarded: CompletionQueue<Expected, Vec<u32>>,
    /// Those that have not arrived.
    on_their_way: u64,
    tally: Tally,
}

/// Runs one; what it does follows from the seed.
pub(super) fn run(device: &Device, seed: u64) -> Result<Tally, Violation> {
    let (mut tally, mut random) = (Tally::default(), Random::new(seed));
    // Two and two of one length, so that they can be copied.
    let mut lengths = [0, 1].map(|_| length(&mut random));
    let mut buffers = Vec::new();
    while buffers.len() <= BUFFERS {
        match device.buffer(lengths.get(buffers.len() / 2).copied().unwrap_or(1)) {
            Ok(buffer) => buffers.push(buffer),
            // Scripted, or there is no more: others may need what this round has, which makes do with less.
            Err(error) => {
                tally.refused(&error)?;
                buffers.clear();
                lengths = lengths.map(|words| words.div_ceil(2));
            }
        }
        if tally.is_device_lost {
            return Ok(tally);
        }
    }
    let sum = buffers.pop().expect("one more than places");
    let place = |buffer: Buffer<u32>| Place { content: vec![0; buffer.len()], buffer };
    let round = Round {
        device,
        queues: (0..QUEUES).map(|number| queue(device, number, &mut random)).collect(),
        places: buffers.into_iter().map(place).collect(),
        sum,
        random,
        held: VecDeque::new(),
        held_bytes: 0,
        forwarded: CompletionQueue::new(),
        on_their_way: 0,
        tally,
    };
    round.run()
}

/// A queue of random bounds.
fn queue(device: &Device, number: usize, random: &mut Random) -> DmaQueue {
    let policy = if random.below(2) == 0 { FailPolicy::FailStop } else { FailPolicy::Continue };
    let priority = [Priority::Low, Priority::Normal, Priority::High][random.below(3) as usize];
    let queue = device.queue(&format!("soak {number}")).policy(policy).priority(priority);
    let queue = queue.depth(2 << random.below(8)).window(1 << random.below(6));
    queue.bytes(1 << (12 + random.below(14))).chunk(1 << (8 + random.below(16))).open()
}

/// Mostly small, now and then large.
fn length(random: &mut Random) -> usize {
    let most = match random.below(16) {
        0..=7 => 64,
        8..=12 => 1 << 12,
        13 | 14 => 1 << 17,
        _ => MOST_WORDS,
    };
    1 + random.below(most) as usize
}

impl Round<'_> {
    fn run(mut self) -> Result<Tally, Violation> {
        let messages = 20 + self.random.below(400);
        for _ in 0..messages {
            if self.tally.is_device_lost {
                break;
            }
            self.send()?;
            while self.held.len() > HELD || self.held_bytes > HELD_BYTES || self.random.below(8) == 0 {
                if !self.collect()? {
                    break;
                }
            }
        }
        while self.collect()? {}
        for queue in std::mem::take(&mut self.queues) {
            queue.drain();
        }
        while self.on_their_way > 0 {
            let arrived = self.forwarded.receiver().recv_timeout(PATIENCE);
            self.arrived(arrived.map_err(|_| format!("{} completions were not forwarded", self.on_their_way))?)?;
        }
        self.tally.read_letters(self.device)?;
        Ok(self.tally)
    }

    /// Sends one message, or two.
    fn send(&mut self) -> Result<(), Violation> {
        let (at, to) = (self.random.below(BUFFERS as u32) as usize, self.random.below(QUEUES as u32) as usize);
        match self.random.below(16) {
            0..=3 => self.upload(at, to),
            4 => self.upload_part(at, to),
            5 | 6 => {
                let data = self.data(self.places[at].content.len());
                let sent = self.device.upload(&self.places[at].buffer).on(&self.queues[to]).fill(|i| data[i]);
                let Some(ticket) = self.taken(sent)? else { return Ok(()) };
                self.hold(Held::Plain(ticket), data.len())?;
                self.places[at].content = data;
                Ok(())
            }
            7..=10 => {
                let Place { buffer, content } = &self.places[at];
                let (expected, words) = (Expected::Asked(fingerprint(content)), content.len());
                let download = self.device.download(buffer).on(&self.queues[to]);
                let sent = download.into(vec![0xA5A5_A5A5; words]).map_err(|refused| refused.error);
                let Some(ticket) = self.taken(sent)? else { return Ok(()) };
                self.hold(Held::Data(ticket, expected), words)
            }
            11 => {
                let other = at ^ 1;
                let copy = self.device.copy(&self.places[at].buffer, &self.places[other].buffer);
                let sent = copy.on(&self.queues[to]).send();
                let Some(ticket) = self.taken(sent)? else { return Ok(()) };
                self.places[other].content = self.places[at].content.clone();
                self.hold(Held::Plain(ticket), 0)
            }
            12 => {
                let sent = self.device.clear(&self.places[at].buffer).on(&self.queues[to]).send();
                let Some(ticket) = self.taken(sent)? else { return Ok(()) };
                self.places[at].content.fill(0);
                self.hold(Held::Plain(ticket), 0)
            }
            13 | 14 => self.sum(at, to),
            _ => {
                let fence = self.queues[to].fence();
                let Some(fence) = self.taken(fence)? else { return Ok(()) };
                self.tally.messages += 1;
                let waits = self.queues[(to + 1) % QUEUES].wait_for(&fence);
                self.taken(waits).map(drop)
            }
        }
    }

    /// A whole buffer, now and then with little time.
    fn upload(&mut self, at: usize, to: usize) -> Result<(), Violation> {
        let data = self.data(self.places[at].content.len());
        let mut upload = self.device.upload(&self.places[at].buffer).on(&self.queues[to]);
        if self.random.below(8) == 0 {
            upload = upload.deadline(Duration::from_micros(self.random.below(1000).into()));
        }
        let sent = upload.send(data.clone());
        if let Some(ticket) = self.accepted(sent, &data)? {
            self.hold(Held::Data(ticket, Expected::Given(fingerprint(&data))), data.len())?;
            self.places[at].content = data;
        }
        Ok(())
    }

    fn upload_part(&mut self, at: usize, to: usize) -> Result<(), Violation> {
        let len = self.places[at].content.len();
        let first = self.random.below(len as u32) as usize;
        let words = 1 + self.random.below((len - first) as u32) as usize;
        let data = self.data(words);
        let upload = self.device.upload(&self.places[at].buffer).at(first).on(&self.queues[to]);
        let sent = upload.or_refuse().send(data.clone());
        if let Some(ticket) = self.accepted(sent, &data)? {
            self.places[at].content[first..first + words].copy_from_slice(&data);
            self.hold(Held::Data(ticket, Expected::Given(fingerprint(&data))), words)?;
        }
        Ok(())
    }

    /// A kernel over one buffer, and its answer through another queue.
    fn sum(&mut self, at: usize, to: usize) -> Result<(), Violation> {
        let launch = self.device.launch(&REDUCE_SUM_U32).bind(&self.places[at].buffer).bind(&self.sum);
        let sent = launch.on(&self.queues[to]).run();
        let Some(ticket) = self.taken(sent)? else { return Ok(()) };
        self.hold(Held::Plain(ticket), 0)?;
        let sum = self.places[at].content.iter().fold(0_u32, |sum, word| sum.wrapping_add(*word));
        let download = self.device.download(&self.sum).on(&self.queues[(to + 1) % QUEUES]);
        let sent = download.into(vec![0]).map_err(|refused| refused.error);
        let Some(ticket) = self.taken(sent)? else { return Ok(()) };
        self.hold(Held::Data(ticket, Expected::Asked(fingerprint(&[sum]))), 1)
    }

    /// Words that tell their places, and one upload from the next.
    fn data(&mut self, words: usize) -> Vec<u32> {
        let seed = self.random.u32() | 1;
        (0..words as u32).map(|i| i.wrapping_add(1).wrapping_mul(seed)).collect()
    }

    /// Keeps the ticket, or does something else with it.
    fn hold(&mut self, held: Held, words: usize) -> Result<(), Violation> {
        self.tally.messages += 1;
        if self.random.below(16) == 0 {
            self.tally.cancelled(held.cancel());
        }
        match (self.random.below(64), held) {
            // Nobody asks for it any more; its failure goes to the dead letters.
            (0..=5, held) => {
                self.tally.count("ticket dropped");
                drop(held);
            }
            (6..=8, Held::Data(ticket, expected)) => {
                self.tally.count("ticket forwarded");
                self.on_their_way += 1;
                ticket.forward(&self.forwarded, expected);
            }
            (_, held) => {
                let bytes = 4 * words as u64;
                self.held_bytes += bytes;
                self.held.push_back((held, bytes));
            }
        }
        while let Ok(arrived) = self.forwarded.receiver().try_recv() {
            self.arrived(arrived)?;
        }
        Ok(())
    }

    fn arrived(&mut self, (expected, done): (Expected, Completion<Vec<u32>>)) -> Result<(), Violation> {
        self.on_their_way -= 1;
        self.tally.gave_back(&done, expected)
    }

    /// Waits for the oldest ticket; `false` where there is none.
    fn collect(&mut self) -> Result<bool, Violation> {
        let Some((held, bytes)) = self.held.pop_front() else { return Ok(false) };
        self.held_bytes -= bytes;
        match held {
            Held::Plain(ticket) => self.tally.ended(&waited(ticket)?.result)?,
            Held::Data(ticket, expected) => self.tally.gave_back(&waited(ticket)?, expected)?,
        }
        Ok(true)
    }

    /// The ticket, or `None` where the message was handed back as it was.
    fn accepted(
        &mut self,
        sent: Result<Ticket<Vec<u32>>, Refused<Vec<u32>>>,
        data: &[u32],
    ) -> Result<Option<Ticket<Vec<u32>>>, Violation> {
        match sent {
            Err(refused) if refused.buffer != data => {
                Err(format!("a refused message came back with other data: {}", refused.error))
            }
            sent => self.taken(sent.map_err(|refused| refused.error)),
        }
    }

    /// What it is, or `None` where it was refused.
    fn taken<T>(&mut self, outcome: Result<T, Error>) -> Result<Option<T>, Violation> {
        match outcome {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                self.tally.refused(&error)?;
                // The failures are in the completions; the queue goes on.
                self.queues.iter().for_each(DmaQueue::resume);
                Ok(None)
            }
        }
    }
}

fn waited<B: Send + 'static>(ticket: Ticket<B>) -> Result<Completion<B>, Violation> {
    let id = ticket.id();
    ticket.wait_timeout(PATIENCE).map_err(|_| format!("message {id} was not resolved within {PATIENCE:?}"))
}
