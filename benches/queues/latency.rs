//! One message of 64 bytes, sent and waited for.

use std::{
    hint, thread,
    time::{Duration, Instant},
};

use crossbeam::channel::{self, Receiver, Sender};
use wharf::{Device, Options};

use crate::{Error, Size, Turns, met, quantile, ratio};

type Bytes = [u32; 16];

/// How a thread waits for what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    Spin,
    /// Looks about for a moment, then sleeps: what each side does by default.
    Sleep,
}

impl Wait {
    fn receive(self, from: &Receiver<Bytes>) -> Option<Bytes> {
        match self {
            Self::Sleep => from.recv().ok(),
            Self::Spin => loop {
                match from.try_recv() {
                    Ok(bytes) => return Some(bytes),
                    Err(channel::TryRecvError::Empty) => hint::spin_loop(),
                    Err(channel::TryRecvError::Disconnected) => return None,
                }
            },
        }
    }
}

pub(crate) fn run(size: Size) -> Result<(), Error> {
    for wait in [Wait::Spin, Wait::Sleep] {
        compare(size, wait)?;
    }
    Ok(())
}

fn compare(size: Size, wait: Wait) -> Result<(), Error> {
    let options = match wait {
        Wait::Spin => Options::new().spin(Duration::from_secs(1)),
        Wait::Sleep => Options::new(),
    };
    let device = Device::open_with("cpu", options)?;
    let buffer = device.buffer::<u32>(16)?;
    let rounds = size.of(10, 20_000);
    let ((to, echo), (back, from)) = (channel::bounded::<Bytes>(1), channel::bounded::<Bytes>(1));
    let (mut ours, mut theirs, mut tail) = (Turns::default(), Turns::default(), Turns::default());
    thread::scope(|scope| {
        scope.spawn(move || {
            while let Some(bytes) = wait.receive(&echo) {
                if back.send(bytes).is_err() {
                    return;
                }
            }
        });
        let mut host = vec![0_u32; 16];
        for turn in 0..=size.turns() {
            let mut samples = Vec::with_capacity(rounds);
            for round in 0..rounds as u32 {
                host[0] = round;
                let begin = Instant::now();
                host = device.upload(&buffer).send(host)?.wait().ok()?;
                samples.push(begin.elapsed().as_nanos() as f64 / 1e3);
            }
            let there = device.download(&buffer).wait()?[0];
            if there as usize != rounds - 1 {
                return Err(format!("the device has message {there}, not the last").into());
            }
            let peer = round_trips(&to, &from, wait, rounds)?;
            // The first turn warms caches.
            if turn > 0 || size == Size::Small {
                tail.0.push(quantile(&mut samples, 0.99));
                ours.0.push(quantile(&mut samples, 0.5));
                theirs.0.push(peer);
            }
        }
        drop(to);
        Ok::<_, Error>(())
    })?;
    let ratio = ratio(&ours, &theirs);
    println!(
        "latency, {}: 64 bytes sent and waited for {ours} us, 99 % within {tail} us | crossbeam round trip {theirs} us \
         | ratio {ratio:.2}, at most 2: {}",
        if wait == Wait::Spin { "spinning" } else { "by default" },
        met(ratio <= 2.0)
    );
    Ok(())
}

/// The median round trip.
fn round_trips(to: &Sender<Bytes>, from: &Receiver<Bytes>, wait: Wait, rounds: usize) -> Result<f64, Error> {
    let mut samples = Vec::with_capacity(rounds);
    for round in 0..rounds as u32 {
        let begin = Instant::now();
        to.send([round; 16])?;
        let bytes = wait.receive(from).ok_or("the echo is gone")?;
        samples.push(begin.elapsed().as_nanos() as f64 / 1e3);
        if bytes != [round; 16] {
            return Err("the echo is another".into());
        }
    }
    Ok(quantile(&mut samples, 0.5))
}
