//! Buffers whose contents go to the host when the device is short of memory, and come back when they are
//! needed: whatever happens, nothing is lost, and nothing is handed out that was never made.

mod failing;
mod held;
mod programs;
mod working_set;

#[path = "../common/hop.rs"]
mod hop;

use std::{
    thread,
    time::{Duration, Instant},
};

use wharf::{Buffer, Device, Options, PoolUse, Progress, Stats};

const KIB: usize = 1 << 10;
/// Words of a quarter of the card.
const QUARTER: usize = 64 * KIB;

/// Cards of 1 MiB: driven by their own threads, and by hand.
fn cards(faults: &str) -> [Device; 2] {
    let name = format!("sim:memory=1MiB{faults}");
    [Progress::Threads, Progress::Manual].map(|progress| card(&name, Options::new().progress(progress)))
}

fn card(name: &str, options: Options) -> Device {
    Device::open_with(name, options).expect("a description")
}

/// Words that tell `which` from all others, and each place from all others.
fn words(which: usize, len: usize) -> Vec<u32> {
    (0..len).map(|i| (which * 1_000_003 + i * 7 + 1) as u32).collect()
}

fn evicted(device: &Device) -> PoolUse {
    device.pools().into_iter().find(|pool| pool.name == "evicted to the host").expect("a simulated device evicts")
}

fn holds(device: &Device, buffer: &Buffer<u32>, expected: &[u32]) -> bool {
    *device.download(buffer).wait().expect("it is there") == *expected
}

/// A message is resolved a moment before all are told of it.
fn eventually(device: &Device, is_so: impl Fn(&Stats) -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !is_so(&device.stats()) {
        assert!(Instant::now() < end, "{:?}", device.stats());
        thread::yield_now();
    }
}

/// Nothing is under way, and nothing is left.
fn is_at_rest(device: &Device) {
    device.drain();
    while device.progress() {}
    eventually(device, |stats| stats.evicted_bytes == 0);
    let stats = device.stats();
    assert_eq!((stats.buffer_bytes, stats.evicted_bytes, stats.in_flight), (0, 0, 0), "{stats:?}");
    assert_eq!(stats.accepted, stats.delivered + stats.detached_ok + stats.dead_lettered, "{stats:?}");
    assert_eq!(evicted(device).in_use_bytes, 0);
}
