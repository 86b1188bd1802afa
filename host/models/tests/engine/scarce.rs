//! Threads whose buffers do not fit the device together: contents go to the host and come back, in whatever order.

use std::sync::Arc;

use shuttle::thread;
use wharf::{
    Buffer, Device, Error,
    models::{Hardware, Script, open},
};

use crate::scenes::{Play, beside};

/// Words of a buffer, and the bytes that it takes: all that there are.
const WORDS: usize = 4;
const BYTES: u64 = 16;

fn scarce(script: Script) -> (Device, Arc<Hardware>) {
    open(Script { memory_bytes: Some(BYTES), ..script })
}

/// Until there is room: what the others use is not evicted, and they are done with it some time.
fn patiently<T>(mut ask: impl FnMut() -> Result<T, Error>) -> T {
    loop {
        match ask() {
            Ok(there) => return there,
            Err(Error::OutOfMemory { in_use_bytes, limit_bytes, .. }) => {
                assert!(in_use_bytes <= BYTES && limit_bytes == Some(BYTES), "{in_use_bytes} of {limit_bytes:?}");
                thread::yield_now();
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Everything has one end, all memory is back, and nothing was done to it that must not be. `sent` are the messages
/// of the scene.
fn law(device: &Device, hardware: &Hardware, sent: u64) {
    device.drain();
    // A message is resolved a moment before all are told of it.
    while device.stats().in_flight > 0 || hardware.memory().0 > 0 {
        assert_eq!(hardware.memory().1, None);
        thread::yield_now();
    }
    let stats = device.stats();
    let ends = stats.delivered + stats.detached_ok + stats.dead_lettered;
    assert_eq!((stats.accepted, ends, stats.dead_lettered), (sent + stats.moves, stats.accepted, 0), "{stats:?}");
    assert_eq!((stats.buffer_bytes, stats.evicted_bytes), (0, 0), "{stats:?}");
    assert_eq!(hardware.memory(), (0, None));
}

/// Each writes its own, whole and in part, and finds what it wrote.
pub(crate) fn two_threads_and_room_for_one_buffer(script: Script) {
    let (device, hardware) = scarce(script);
    // The second one moves the first out of the way.
    let [first, second] = [(); 2].map(|()| Arc::new(patiently(|| device.buffer::<u32>(WORDS))));
    let user = |number: u32, buffer: &Arc<Buffer<u32>>| {
        let (device, buffer) = (device.clone(), buffer.clone());
        move || {
            let read = || patiently(|| device.download(&buffer).send()).wait().ok().expect("it goes well");
            assert_eq!(read(), [0; WORDS], "new memory");
            drop(patiently(|| Ok(device.upload(&buffer).send(vec![number; WORDS])?)));
            drop(patiently(|| Ok(device.upload(&buffer).at(1).send(vec![number + 1])?)));
            assert_eq!(read(), [number, number + 1, number, number]);
        }
    };
    beside(user(10, &first), user(20, &second));
    let stats = device.stats();
    assert!(stats.evictions >= 2, "each was in the other's way: {stats:?}");
    drop((first, second));
    law(&device, &hardware, 8);
}

/// They are dropped while messages on them are under way.
pub(crate) fn two_threads_allocate_where_one_finds_room(script: Script) {
    let (device, hardware) = scarce(script);
    let user = || {
        let device = device.clone();
        move || {
            for _ in 0..2 {
                let buffer = patiently(|| device.buffer::<u32>(WORDS));
                drop(patiently(|| Ok(device.upload(&buffer).send(vec![7; WORDS])?)));
            }
        }
    };
    beside(user(), user());
    law(&device, &hardware, 4);
}

pub(crate) const SCENES: [(&str, Play); 2] = [
    ("two threads and room for one buffer", two_threads_and_room_for_one_buffer),
    ("two threads allocate where one finds room", two_threads_allocate_where_one_finds_room),
];
