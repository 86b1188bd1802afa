//! Many messages of 64 bytes through one queue, in batches: with a ticket each, and with one for all.

use std::{thread, time::Instant};

use crossbeam::channel;
use wharf::{Batch, Buffer, Device};

use crate::{Error, Size, Turns, met, ratio};

/// Messages of one batch.
const BATCH: usize = 256;
const LEAST: f64 = 3.0;

/// What becomes of the messages of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// Each has a ticket, which is waited for, and gives its host buffer back.
    Collected,
    /// All but the last are posted: the last one's ticket tells of all.
    Signalled,
}

pub(crate) fn run(size: Size) -> Result<(), Error> {
    for ends in [Ends::Collected, Ends::Signalled] {
        compare(size, ends)?;
    }
    Ok(())
}

fn compare(size: Size, ends: Ends) -> Result<(), Error> {
    let device = Device::open("cpu")?;
    let queue = device.queue("rate").open();
    let buffer = device.buffer::<u32>(16)?;
    let batches = size.of(2, 2_000);
    let (mut ours, mut theirs) = (Turns::default(), Turns::default());
    let mut hosts: Vec<Vec<u32>> = (0..BATCH).map(|i| vec![i as u32; 16]).collect();
    for turn in 0..=size.turns() {
        let begin = Instant::now();
        let mut batch = queue.batch();
        for _ in 0..batches {
            match ends {
                Ends::Collected => collected(&device, &buffer, &mut batch, &mut hosts)?,
                Ends::Signalled => signalled(&device, &buffer, &mut batch, &hosts)?,
            }
        }
        let rate = (batches * BATCH) as f64 / begin.elapsed().as_secs_f64() / 1e6;
        if device.download(&buffer).wait()?[..] != [BATCH as u32 - 1; 16] {
            return Err("the last message is not the last".into());
        }
        let peer = channel_rate(batches * BATCH);
        if turn > 0 || size == Size::Small {
            ours.0.push(rate);
            theirs.0.push(peer);
        }
    }
    let how = match ends {
        Ends::Collected => "every completion collected",
        Ends::Signalled => "one ticket for each batch",
    };
    println!(
        "rate: {ours} M messages/s of 64 bytes, batches of {BATCH}, {how}, at least {LEAST}: {} \
         | bare crossbeam {theirs} M/s, ratio {:.2}",
        met(ours.median() >= LEAST),
        ratio(&ours, &theirs)
    );
    Ok(())
}

fn collected(device: &Device, to: &Buffer<u32>, batch: &mut Batch<'_>, hosts: &mut [Vec<u32>]) -> Result<(), Error> {
    let mut entries = [None; BATCH];
    for (host, entry) in hosts.iter_mut().zip(&mut entries) {
        *entry = Some(batch.push(device.upload(to).message(std::mem::take(host))?)?);
    }
    let mut sent = batch.commit()?;
    for (host, entry) in hosts.iter_mut().zip(entries) {
        *host = sent.ticket(entry.expect("pushed")).wait().ok()?;
    }
    Ok(())
}

fn signalled(device: &Device, to: &Buffer<u32>, batch: &mut Batch<'_>, hosts: &[Vec<u32>]) -> Result<(), Error> {
    let (last, others) = hosts.split_last().expect("a batch has messages");
    for host in others {
        batch.post(device.upload(to).copy_message(host)?)?;
    }
    let signal = batch.push(device.upload(to).copy_message(last)?)?;
    batch.commit()?.ticket(signal).wait().ok()?;
    Ok(())
}

/// The same bytes to another thread, without anything that a queue promises.
fn channel_rate(messages: usize) -> f64 {
    let (sender, receiver) = channel::bounded::<[u32; 16]>(16_384);
    let begin = Instant::now();
    thread::scope(|scope| {
        scope.spawn(move || assert_eq!(receiver.iter().count(), messages));
        for i in 0..messages as u32 {
            sender.send([i; 16]).expect("the receiver counts them all");
        }
        drop(sender);
    });
    messages as f64 / begin.elapsed().as_secs_f64() / 1e6
}
