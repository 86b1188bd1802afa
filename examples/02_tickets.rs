//! Every message gives a ticket: wait for it, await it, select over many, or take a callback.
//!
//! ```text
//! $ cargo run --release --example 02_tickets
//! waited:    cpu, 4194304 bytes copied by the host, 177.8 us, 23.59 GB/s
//! awaited:   1048576 elements came back
//! selected:  block 2 of 4
//! called:    block 0 of 4 holds 0
//! ```

use std::time::Duration;

use crossbeam::{channel, select};
use wharf::{CompletionQueue, Device};

fn main() -> wharf::Result<()> {
    let device = Device::best()?;
    let buffer = device.buffer::<u32>(1 << 20)?;

    // A message owns its host buffer until it completes, and then gives it back.
    let data: Vec<u32> = (0..1 << 20).collect();
    let done = device.upload(&buffer).send(data)?.wait();
    println!("waited:    {}", done.receipt);
    let data = done.ok()?;

    // A ticket is a future for any executor.
    let data = pollster::block_on(device.upload(&buffer).send(data)?).ok()?;
    println!("awaited:   {} elements came back", data.len());

    // Many tickets, one channel.
    let arrived = CompletionQueue::new();
    for block in 0..4_usize {
        let range = block << 18..(block + 1) << 18;
        device.download(&buffer).range(range).send()?.forward(&arrived, block);
    }
    let timeout = channel::after(Duration::from_secs(60));
    let mut sum = 0_u64;
    for _ in 0..4 {
        select! {
            recv(arrived.receiver()) -> message => {
                let (block, done) = message.expect("the queue is open");
                sum += done.ok()?.iter().map(|&x| u64::from(x)).sum::<u64>();
                if block == 2 { println!("selected:  block {block} of 4"); }
            }
            recv(timeout) -> _ => panic!("a minute has passed"),
        }
    }
    assert_eq!(sum, (0..1 << 20).sum::<u64>());

    // Callbacks run on a thread of the device, and may send messages of their own.
    let (sender, called) = channel::bounded(1);
    let first = device.download(&buffer).range(0..1).send()?;
    first.on_complete(move |done| sender.send(done.ok()).expect("main listens"));
    let first = called.recv().expect("the callback runs")?;
    println!("called:    block 0 of 4 holds {}", first[0]);
    assert_eq!(first, [0]);
    Ok(())
}
