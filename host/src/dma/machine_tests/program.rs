//! Random programs: what may happen to a machine.

use proptest::prelude::*;

use crate::dma::model::QueueId;

pub(super) const BUFFERS: usize = 3;
pub(super) const QUEUES: usize = 4;
pub(super) const LANES: usize = 3;
pub(super) const ACCESSES: usize = 3;
/// Parts of a buffer.
pub(super) const PARTS: usize = 5;

#[derive(Debug, Clone)]
pub(super) enum Step {
    Send {
        queue: QueueId,
        lane: usize,
        bytes: u64,
        /// It goes as a whole, whatever its size.
        whole: bool,
        /// Which buffer, how, and which part of it.
        uses: Vec<(usize, usize, usize)>,
        deadline: Option<u64>,
        unsignaled: bool,
    },
    /// Small uploads that come in together: their bytes, and what they write.
    Burst {
        queue: QueueId,
        uploads: Vec<(u64, usize)>,
    },
    Fence {
        queue: QueueId,
    },
    /// The queue waits for the `fence`-th of the fences that are not over.
    Gate {
        queue: QueueId,
        fence: usize,
    },
    Promise,
    /// Keeps, or breaks, the `pick`-th of the promises that are open.
    Keep {
        pick: usize,
        fails: bool,
    },
    /// Rings the queue's doorbell.
    Flush {
        queue: QueueId,
    },
    /// Finishes the `pick`-th of the commands that may finish.
    Finish {
        pick: usize,
        fails: bool,
    },
    /// Reports one of the past commands again.
    Late {
        pick: usize,
    },
    /// Cancels the `pick`-th of the unresolved messages.
    Cancel {
        pick: usize,
    },
    /// Time passes.
    Tick {
        passed: u64,
    },
    Resume {
        queue: QueueId,
    },
    Close {
        queue: QueueId,
    },
    Abort {
        queue: QueueId,
    },
    /// The queue's handle is dropped, and another one is opened.
    Reopen {
        queue: QueueId,
    },
    /// Replaces a buffer by a new one while messages may use it.
    Drop {
        buffer: usize,
    },
    Lose,
}

fn send() -> impl Strategy<Value = Step> {
    let uses = prop::collection::vec((0..BUFFERS, 0..ACCESSES, 0..PARTS), 0..3);
    // Most are small, some are many chunks, some are larger than their queue.
    let bytes = prop_oneof![4 => 0..20_u64, 3 => 20..120_u64, 1 => 120..400_u64];
    let deadline = prop::option::weighted(0.3, 0..12_u64);
    let flags = (prop::bool::weighted(0.15), prop::bool::weighted(0.3));
    (0..QUEUES, 0..LANES, bytes, flags, uses, deadline).prop_map(
        |(queue, lane, bytes, (whole, unsignaled), uses, deadline)| Step::Send {
            queue,
            lane,
            bytes,
            whole,
            uses,
            deadline,
            unsignaled,
        },
    )
}

fn burst() -> impl Strategy<Value = Step> {
    let uploads = prop::collection::vec((0..9_u64, 0..BUFFERS), 2..6);
    (0..QUEUES, uploads).prop_map(|(queue, uploads)| Step::Burst { queue, uploads })
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let queue = 0..QUEUES;
    let fails = prop::bool::weighted(0.08);
    prop_oneof![
        40 => send(),
        5 => queue.clone().prop_map(|queue| Step::Fence { queue }),
        5 => (queue.clone(), any::<usize>()).prop_map(|(queue, fence)| Step::Gate { queue, fence }),
        2 => Just(Step::Promise),
        4 => (any::<usize>(), fails).prop_map(|(pick, fails)| Step::Keep { pick, fails }),
        3 => queue.clone().prop_map(|queue| Step::Flush { queue }),
        4 => burst(),
        60 => (any::<usize>(), fails).prop_map(|(pick, fails)| Step::Finish { pick, fails }),
        4 => any::<usize>().prop_map(|pick| Step::Late { pick }),
        10 => any::<usize>().prop_map(|pick| Step::Cancel { pick }),
        10 => (0..6_u64).prop_map(|passed| Step::Tick { passed }),
        6 => queue.clone().prop_map(|queue| Step::Resume { queue }),
        1 => queue.clone().prop_map(|queue| Step::Close { queue }),
        1 => queue.clone().prop_map(|queue| Step::Abort { queue }),
        2 => queue.prop_map(|queue| Step::Reopen { queue }),
        4 => (0..BUFFERS).prop_map(|buffer| Step::Drop { buffer }),
    ]
}

/// 20 to 200 steps, some of which lose the device before their end.
pub(super) fn program() -> impl Strategy<Value = Vec<Step>> {
    let lose = prop::option::weighted(0.1, any::<prop::sample::Index>());
    (prop::collection::vec(step(), 20..200), lose).prop_map(|(mut steps, lose)| {
        if let Some(place) = lose {
            steps.insert(place.index(steps.len()), Step::Lose);
        }
        steps
    })
}
