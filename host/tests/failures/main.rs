//! The catalogue of failures that other queues were seen to have, each with the test that this one has
//! not: F1 to F16, on a simulated device unless it takes threads.

mod bounds;
mod completions;
mod data;
mod users;

use wharf::{Buffer, Completion, Device, DmaQueue, FailPolicy, Faults, Simulation};

/// Words of the buffers here: too many to travel inside a message.
const WORDS: usize = 24;

fn simulation(faults: Faults) -> Simulation {
    Simulation::open_with("gen4x16,a100", faults).expect("a description")
}

/// A queue whose messages stand each for itself.
fn queue(device: &Device) -> DmaQueue {
    device.queue("test").policy(FailPolicy::Continue).open()
}

fn buffer(device: &Device) -> Buffer<u32> {
    device.buffer(WORDS).expect("there is memory")
}

/// No two of them share a word.
fn words(number: usize) -> Vec<u32> {
    (0..WORDS).map(|i| (number * WORDS + i) as u32).collect()
}

/// Whether the message went well; its vector came back as it was.
#[track_caller]
fn went_well(number: usize, done: Completion<Vec<u32>>) -> bool {
    assert_eq!(done.buffer, Some(words(number)), "the vector comes back whatever happens");
    done.result.is_ok()
}
