//! Buffers whose contents go to the host when the device is short of memory, and come back when they are
//! needed: whatever happens, nothing is lost, and nothing is handed out that was never made.

mod failing;
mod held;
mod programs;
mod working_set;

#[cfg(feature = "wgpu")]
#[path = "../common/adapter.rs"]
mod adapter;
#[path = "../common/hop.rs"]
mod hop;

use std::{
    thread,
    time::{Duration, Instant},
};

use wharf::{Buffer, Device, Options, PoolUse, Progress, Stats};

const KIB: usize = 1 << 10;
const CARD: u64 = 1 << 20;
/// Words of a quarter of the card, and of three.
const QUARTER: usize = 64 * KIB;
const LARGE: usize = 3 * QUARTER;

/// Cards of 1 MiB: simulated ones, driven by their own threads and by hand, one that has more and must not use it, and
/// the same on wgpu, where there is an adapter.
fn cards() -> Vec<Device> {
    let mut cards = Vec::from(faulty(""));
    cards.push(card("sim", Options::new().memory_bytes(CARD)));
    #[cfg(feature = "wgpu")]
    if adapter::is_there() {
        cards.push(card("wgpu", Options::new().memory_bytes(CARD)));
    }
    cards
}

/// Simulated cards of 1 MiB with faults: driven by their own threads, and by hand.
fn faulty(faults: &str) -> [Device; 2] {
    let name = format!("sim:memory=1MiB{faults}");
    [Progress::Threads, Progress::Manual].map(|progress| card(&name, Options::new().progress(progress)))
}

fn card(name: &str, options: Options) -> Device {
    Device::open_with(name, options).expect("a description")
}

/// A buffer of three quarters of the card with its [`words`].
fn large(device: &Device, which: usize) -> wharf::Result<Buffer<u32>> {
    let buffer = device.buffer(LARGE)?;
    device.upload(&buffer).send(words(which, LARGE))?.wait().ok()?;
    Ok(buffer)
}

/// The same, which another buffer has then moved to the host.
fn evicted(device: &Device, which: usize) -> wharf::Result<Buffer<u32>> {
    let buffer = large(device, which)?;
    drop(device.buffer::<u32>(2 * QUARTER)?);
    Ok(buffer)
}

/// Words that tell `which` from all others, and each place from all others.
fn words(which: usize, len: usize) -> Vec<u32> {
    (0..len).map(|i| (which * 1_000_003 + i * 7 + 1) as u32).collect()
}

fn on_host(device: &Device) -> PoolUse {
    device.pools().into_iter().find(|pool| pool.name == "evicted to the host").expect("it evicts")
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
    eventually(device, |stats| (stats.buffer_bytes, stats.evicted_bytes, stats.in_flight) == (0, 0, 0));
    let stats = device.stats();
    assert_eq!(stats.accepted, stats.delivered + stats.detached_ok + stats.dead_lettered, "{stats:?}");
    assert_eq!(on_host(device).in_use_bytes, 0);
}
