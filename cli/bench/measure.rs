//! The measuring itself: verified data, raw samples.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use wharf::{Buffer, Device, Path, Receipt};

use super::{Latency, Transfer};
use crate::exit::Outcome;

/// 1 KiB to 256 MiB, in steps of four.
const SIZES: [u64; 10] = [1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24, 1 << 26, 1 << 28];
/// A size is measured until it has enough samples or this is over.
const BUDGET: Duration = Duration::from_millis(150);
const FEWEST: usize = 3;
const MOST: usize = 100;
const LATENCY_SAMPLES: usize = 2_000;

/// Each word tells its place, and no two rounds are alike.
fn word(i: usize, round: usize) -> u32 {
    (i as u32).wrapping_mul(0x9e37_79b1) ^ round as u32
}

/// All directions at all sizes that the device takes: added one by one, so that those before a failure stay.
pub(super) fn transfers(device: &Device, transfers: &mut Vec<Transfer>) -> Outcome {
    let limit = device.capabilities().max_buffer_bytes;
    for bytes in SIZES.into_iter().filter(|&bytes| bytes <= limit) {
        let n = (bytes / 4) as usize;
        let buffer = device.buffer::<u32>(n)?;
        let mut host: Arc<[u32]> = (0..n).map(|i| word(i, 0)).collect();
        let (mut sent, mut filled, mut fetched) = (Samples::default(), Samples::default(), Samples::default());
        let mut back = Vec::new();
        let began = Instant::now();
        // The first round warms up.
        for round in 0..=MOST {
            if round > FEWEST && began.elapsed() > BUDGET {
                break;
            }
            let done = device.upload(&buffer).send(host.clone()).map_err(wharf::Error::from)?.wait();
            let receipt = done.receipt.clone();
            host = done.ok()?;
            sent.add(round, receipt);
            let (_, same) = fetch(device, &buffer, std::mem::take(&mut back), |i| host[i])?;
            sent.verified &= same.0;
            back = same.1;

            let mut fill = device.upload(&buffer).reserve(n)?;
            fill.iter_mut().enumerate().for_each(|(i, w)| *w = word(i, round + 1));
            let done = fill.commit()?.wait();
            let receipt = done.receipt.clone();
            done.ok()?;
            filled.add(round, receipt);
            let (receipt, same) = fetch(device, &buffer, std::mem::take(&mut back), |i| word(i, round + 1))?;
            filled.verified &= same.0;
            fetched.verified &= same.0;
            back = same.1;
            fetched.add(round, receipt);
        }
        transfers.push(sent.into_transfer("upload", bytes));
        transfers.push(filled.into_transfer("upload filled in place", bytes));
        transfers.push(fetched.into_transfer("download", bytes));
    }
    Ok(())
}

/// Downloads and compares.
fn fetch(
    device: &Device,
    buffer: &Buffer<u32>,
    into: Vec<u32>,
    expected: impl Fn(usize) -> u32,
) -> Outcome<(Receipt, (bool, Vec<u32>))> {
    let done = device.download(buffer).into(into).map_err(wharf::Error::from)?.wait();
    let receipt = done.receipt.clone();
    let back = done.ok()?;
    let same = back.len() == buffer.len() && back.iter().enumerate().all(|(i, &w)| w == expected(i));
    Ok((receipt, (same, back)))
}

struct Samples {
    seconds: Vec<f64>,
    path: Path,
    verified: bool,
}

impl Default for Samples {
    fn default() -> Self {
        Self { seconds: Vec::new(), path: Path::None, verified: true }
    }
}

impl Samples {
    fn add(&mut self, round: usize, receipt: Receipt) {
        self.path = receipt.path;
        if round > 0 {
            self.seconds.extend(receipt.latency().map(|latency| latency.as_secs_f64()));
        }
    }

    fn into_transfer(self, direction: &'static str, bytes: u64) -> Transfer {
        let median = quantile(&sorted(&self.seconds), 0.5);
        Transfer {
            direction,
            path: self.path.to_string(),
            bytes,
            gbytes_per_s: (self.path.is_copied() && median > 0.0).then(|| bytes as f64 / median / 1e9),
            verified: self.verified,
            samples: self.seconds,
        }
    }
}

/// Small messages, one at a time.
pub(super) fn latency(device: &Device) -> Outcome<Latency> {
    let buffer = device.buffer::<u32>(1)?;
    let mut samples = Vec::with_capacity(LATENCY_SAMPLES);
    let mut host: Arc<[u32]> = Arc::new([1]);
    for round in 0..LATENCY_SAMPLES + LATENCY_SAMPLES / 10 {
        let done = device.upload(&buffer).send(host).map_err(wharf::Error::from)?.wait();
        if round >= LATENCY_SAMPLES / 10 {
            samples.extend(done.receipt.latency().map(|latency| latency.as_secs_f64()));
        }
        host = done.ok()?;
    }
    let sorted = sorted(&samples);
    Ok(Latency { p50: quantile(&sorted, 0.5), p99: quantile(&sorted, 0.99), max: quantile(&sorted, 1.0), samples })
}

fn sorted(samples: &[f64]) -> Vec<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// By nearest rank; 0 of nothing.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}
