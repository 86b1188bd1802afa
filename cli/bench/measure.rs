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

/// All directions at all sizes that the device takes: added one by one, so that what was measured before a failure
/// stays.
pub(super) fn transfers(device: &Device, transfers: &mut Vec<Transfer>) -> Outcome {
    let limit = device.capabilities().max_buffer_bytes;
    for bytes in SIZES.into_iter().filter(|&bytes| bytes <= limit) {
        let mut size = Size::default();
        let end = size.measure(device, (bytes / 4) as usize);
        let Size { sent, filled, fetched } = size;
        for (direction, samples) in [("upload", sent), ("upload filled in place", filled), ("download", fetched)] {
            if end.is_ok() || !samples.seconds.is_empty() {
                transfers.push(samples.into_transfer(direction, bytes, end.is_ok()));
            }
        }
        end?;
    }
    Ok(())
}

/// What was measured of one size, by direction.
#[derive(Default)]
struct Size {
    sent: Samples,
    filled: Samples,
    fetched: Samples,
}

impl Size {
    /// Adds sample by sample, each once its data has been compared.
    fn measure(&mut self, device: &Device, n: usize) -> Outcome {
        let buffer = device.buffer::<u32>(n)?;
        let mut host: Arc<[u32]> = (0..n).map(|i| word(i, 0)).collect();
        let mut back = Vec::new();
        let began = Instant::now();
        // The first round warms up.
        for round in 0..=MOST {
            if round > FEWEST && began.elapsed() > BUDGET {
                break;
            }
            let done = device.upload(&buffer).send(host.clone()).map_err(wharf::Error::from)?.wait();
            let sent = done.receipt.clone();
            host = done.ok()?;
            let (_, same) = fetch(device, &buffer, std::mem::take(&mut back), |i| host[i])?;
            self.sent.add(round, sent, same.0);
            back = same.1;

            let mut fill = device.upload(&buffer).reserve(n)?;
            fill.iter_mut().enumerate().for_each(|(i, w)| *w = word(i, round + 1));
            let done = fill.commit()?.wait();
            let filled = done.receipt.clone();
            done.ok()?;
            let (fetched, same) = fetch(device, &buffer, std::mem::take(&mut back), |i| word(i, round + 1))?;
            self.filled.add(round, filled, same.0);
            self.fetched.add(round, fetched, same.0);
            back = same.1;
        }
        Ok(())
    }
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
    fn add(&mut self, round: usize, receipt: Receipt, same: bool) {
        self.path = receipt.path;
        self.verified &= same;
        if round > 0 {
            self.seconds.extend(receipt.latency().map(|latency| latency.as_secs_f64()));
        }
    }

    fn into_transfer(self, direction: &'static str, bytes: u64, complete: bool) -> Transfer {
        let median = quantile(&sorted(&self.seconds), 0.5);
        Transfer {
            direction,
            path: self.path.to_string(),
            bytes,
            gbytes_per_s: (self.path.is_copied() && median > 0.0).then(|| bytes as f64 / median / 1e9),
            verified: self.verified,
            complete,
            samples: self.seconds,
        }
    }
}

/// Small messages, one at a time: what was measured of them, and whether that is all.
pub(super) fn latency(device: &Device) -> (Option<Latency>, Outcome) {
    let mut samples = Vec::with_capacity(LATENCY_SAMPLES);
    let end = small_messages(device, &mut samples);
    if samples.is_empty() {
        return (None, end);
    }
    let sorted = sorted(&samples);
    let [p50, p99, max] = [0.5, 0.99, 1.0].map(|q| quantile(&sorted, q));
    (Some(Latency { p50, p99, max, complete: end.is_ok(), samples }), end)
}

fn small_messages(device: &Device, samples: &mut Vec<f64>) -> Outcome {
    let buffer = device.buffer::<u32>(1)?;
    let mut host: Arc<[u32]> = Arc::new([1]);
    for round in 0..LATENCY_SAMPLES + LATENCY_SAMPLES / 10 {
        let done = device.upload(&buffer).send(host).map_err(wharf::Error::from)?.wait();
        let latency = done.receipt.latency();
        host = done.ok()?;
        if round >= LATENCY_SAMPLES / 10 {
            samples.extend(latency.map(|latency| latency.as_secs_f64()));
        }
    }
    Ok(())
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
