//! Programs as data: what a user may do to queues and tickets, and what may go wrong beneath.

use std::time::Duration;

use proptest::prelude::*;
use wharf::{Doorbell, FailPolicy, Faults, Priority};

/// Queues of a program.
pub(crate) const QUEUES: usize = 3;
/// Buffers of a program.
pub(crate) const BUFFERS: usize = 3;

#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// Link and card, in text.
    pub(crate) device: String,
    pub(crate) queues: [Bounds; QUEUES],
    pub(crate) faults: Vec<Fault>,
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) depth: u32,
    pub(crate) bytes: u64,
    pub(crate) window: u32,
    pub(crate) policy: FailPolicy,
    pub(crate) priority: Priority,
    pub(crate) doorbell: Doorbell,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    Fail(u64),
    Late(u64, Duration),
    Never(u64),
    Twice(u64, Duration),
    Lose(Duration),
    Reorder,
    Block(usize),
    OutOfMemory(u64),
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// A vector for the whole buffer.
    Upload {
        queue: usize,
        buffer: usize,
        within: Option<Duration>,
        ends: End,
    },
    /// Some words, which travel inside the message.
    UploadPart {
        queue: usize,
        buffer: usize,
        ends: End,
    },
    /// The whole buffer, in place; or that given up before it is sent.
    Fill {
        queue: usize,
        buffer: usize,
        commit: bool,
        ends: End,
    },
    Launch {
        queue: usize,
        x: usize,
        y: usize,
        ends: End,
    },
    Copy {
        queue: usize,
        x: usize,
        y: usize,
        ends: End,
    },
    Clear {
        queue: usize,
        buffer: usize,
        ends: End,
    },
    Download {
        queue: usize,
        buffer: usize,
        within: Option<Duration>,
        ends: End,
    },
    /// So many messages of several kinds, all or none. One may be taken out before.
    Batch {
        queue: usize,
        buffer: usize,
        messages: usize,
        takes: bool,
        commit: Commit,
        ends: End,
    },
    /// Launches, copies and clears as one message, so many times.
    Replay {
        queue: usize,
        x: usize,
        y: usize,
        shape: Shape,
        times: usize,
        ends: End,
    },
    /// Credits that the queue's messages use from now on, until they are given back.
    Reserve {
        queue: usize,
        ops: u32,
        bytes: u64,
        awaits: bool,
    },
    /// Gives back what is left of them.
    Return,
    Fence {
        queue: usize,
    },
    /// A fence that the program signals.
    Promise,
    Keep {
        promise: usize,
        how: Keeps,
    },
    /// Waits for a fence or a promise.
    WaitFor {
        queue: usize,
        fence: usize,
    },
    /// Waits for one of the tickets that are held, for so long.
    Wait {
        ticket: usize,
        most: Option<Duration>,
    },
    Cancel {
        ticket: usize,
    },
    TryTake {
        ticket: usize,
    },
    Drop {
        ticket: usize,
    },
    /// Replaces a buffer by a new one while messages may use it.
    DropBuffer {
        buffer: usize,
    },
    /// Refuses from now on; a queue that is closed already is replaced by a new one.
    Close {
        queue: usize,
    },
    /// Accepts again after a failure.
    Resume {
        queue: usize,
    },
    /// Rings the doorbell.
    Flush {
        queue: usize,
    },
    Progress,
    /// The host is busy for so long.
    Work(Duration),
}

/// How a batch is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Commit {
    Waits,
    Within(Duration),
    /// Where it finds the queue full, once more with patience.
    Tries,
    /// Is polled once.
    Awaits,
    Never,
}

/// Which steps a graph has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A copy, then a launch on both.
    CopyMix,
    ClearMix,
    /// A launch, then one that fails, then a copy.
    Broken,
}

/// What becomes of a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    Signals,
    Fails,
    Drops,
}

/// What becomes of a message's ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Held,
    Forwarded,
    CalledBack,
    Dropped,
    Forgotten,
}

impl Fault {
    pub(crate) fn add(self, script: Faults) -> Faults {
        match self {
            Self::Fail(n) => script.fail(n),
            Self::Late(n, by) => script.late(n, by),
            Self::Never(n) => script.never(n),
            Self::Twice(n, later) => script.twice(n, later),
            Self::Lose(time) => script.lose_at(time),
            Self::Reorder => script.reorder(),
            Self::Block(n) => script.block_at(n),
            Self::OutOfMemory(n) => script.out_of_memory(n),
        }
    }
}

fn micros(most: u64) -> impl Strategy<Value = Duration> + Clone {
    (0..=most).prop_map(Duration::from_micros)
}

fn end() -> impl Strategy<Value = End> + Clone {
    // Weights as a table of places: cheaper to draw than a choice between strategies.
    (0..400_usize).prop_map(|place| match place {
        0..168 => End::Held,
        168..252 => End::Forwarded,
        252..294 => End::CalledBack,
        294..399 => End::Dropped,
        // Its device is never freed: seldom enough for a million programs in one process.
        _ => End::Forgotten,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let (queue, buffer) = (0..QUEUES, 0..BUFFERS);
    (0..126_u32, queue, buffer, 0..64_usize, end(), micros(40)).prop_map(|(what, queue, buffer, other, ends, time)| {
        let y = (buffer + 1 + other % (BUFFERS - 1)) % BUFFERS;
        let within = (other < 6).then_some(time);
        match what {
            0..12 => Step::Upload { queue, buffer, within, ends },
            12..18 => Step::UploadPart { queue, buffer, ends },
            18..26 => Step::Fill { queue, buffer, commit: other > 4, ends },
            26..36 => Step::Launch { queue, x: buffer, y, ends },
            36..40 => Step::Copy { queue, x: buffer, y, ends },
            40..42 => Step::Clear { queue, buffer, ends },
            42..58 => Step::Download { queue, buffer, within, ends },
            58..62 => Step::Fence { queue },
            62..66 => Step::WaitFor { queue, fence: other },
            66..70 => Step::Wait { ticket: other, most: None },
            70..74 => Step::Wait { ticket: other, most: Some(time) },
            74..77 => Step::TryTake { ticket: other },
            77 => Step::Drop { ticket: other },
            78..80 => Step::Cancel { ticket: other },
            80..82 => Step::DropBuffer { buffer },
            82 => Step::Close { queue },
            83..87 => Step::Resume { queue },
            87..93 => Step::Progress,
            93..100 => Step::Work(time),
            100..105 => {
                let (messages, takes, commit) = (1 + other % 6, other % 8 == 7, commit(other / 6, time));
                Step::Batch { queue, buffer, messages, takes, commit, ends }
            }
            105..109 => {
                let shape = [Shape::CopyMix, Shape::ClearMix, Shape::CopyMix, Shape::Broken][other % 4];
                Step::Replay { queue, x: buffer, y, shape, times: 1 + other % 3, ends }
            }
            109..113 => {
                let (ops, bytes) = (1 + other as u32 % 8, 320 * (other as u64 % 12));
                Step::Reserve { queue, ops, bytes, awaits: other % 4 == 0 }
            }
            113..116 => Step::Return,
            116..118 => Step::Promise,
            118..123 => {
                let how = [Keeps::Signals, Keeps::Signals, Keeps::Fails, Keeps::Drops][other % 4];
                Step::Keep { promise: other / 4, how }
            }
            _ => Step::Flush { queue },
        }
    })
}

fn commit(place: usize, time: Duration) -> Commit {
    match place {
        0..3 => Commit::Waits,
        3..5 => Commit::Within(time),
        5..8 => Commit::Tries,
        8 => Commit::Awaits,
        _ => Commit::Never,
    }
}

fn doorbell(place: u64) -> Doorbell {
    match place % 10 {
        0..6 => Doorbell::Immediate,
        6..8 => Doorbell::Batched { ops: 2 + place as u32 % 6, bytes: 2048, linger: Duration::from_micros(place) },
        _ => Doorbell::Manual,
    }
}

fn fault() -> impl Strategy<Value = Fault> {
    (0..21_u32, 1..60_u64, micros(1500)).prop_map(|(what, number, time)| match what {
        0..8 => Fault::Fail(number),
        8..11 => Fault::Late(number, time / 10),
        11 => Fault::Never(number),
        12..15 => Fault::Twice(number, time / 20),
        15 => Fault::Lose(time),
        16..18 => Fault::Reorder,
        18 => Fault::Block(1 + number as usize % 8),
        _ => Fault::OutOfMemory(number),
    })
}

fn bounds() -> impl Strategy<Value = Bounds> {
    (1..32_u32, 640..16_384_u64, 1..12_u32, any::<bool>(), 0..3_usize, 0..60_u64).prop_map(
        |(depth, bytes, window, stop, place, bell)| Bounds {
            depth,
            bytes,
            window,
            doorbell: doorbell(bell),
            priority: [Priority::Low, Priority::Normal, Priority::High][place],
            policy: if stop { FailPolicy::FailStop } else { FailPolicy::Continue },
        },
    )
}

fn device() -> impl Strategy<Value = String> {
    (any::<[bool; 2]>(), 0..=2_u32, 1..16_u32, 1..20_u32, any::<u32>()).prop_map(
        |([duplex, overlap], engines, cap, latency, seed)| {
            let word = |yes| if yes { "yes" } else { "no" };
            let (duplex, overlap) = (word(duplex), word(overlap));
            // What never ends loses the device, so that every program does.
            format!("duplex={duplex},overlap={overlap},engines={engines},cap={cap},latency={latency}us,seed={seed},watchdog=2ms")
        },
    )
}

/// Programs of 20 to 200 steps.
pub(crate) fn program() -> impl Strategy<Value = Program> {
    let queues = [bounds(), bounds(), bounds()];
    let (faults, steps) = (prop::collection::vec(fault(), 0..8), prop::collection::vec(step(), 20..=200));
    (device(), queues, faults, steps).prop_map(|(device, queues, faults, steps)| Program {
        device,
        queues,
        faults,
        steps,
    })
}
