//! Transfers beside kernels: the same work, one message after another and with several batches in flight.
//!
//! On CUDA and on the CPU device copies and kernels overlap; wgpu has one queue, where only the host's
//! own writing overlaps the device's work. Where host and device share two cores, as below, there is
//! little to win: runs went from 0.78 x to 1.27 x.
//!
//! ```text
//! $ cargo run --release --example 05_overlap
//! one at a time:   8.5 ms
//! three in flight: 6.7 ms (1.27 x) on cpu, copies overlap kernels: true
//! ```

use std::{collections::VecDeque, time::Instant};

use wharf::{Buffer, Device, Ticket};
use wharf_kernels::REDUCE_SUM_U32;

const BATCHES: usize = 24;
const LEN: usize = 1 << 20;

fn main() -> wharf::Result<()> {
    let device = Device::best()?;
    let expected: u32 = (0..BATCHES).map(expected).fold(0, u32::wrapping_add);
    run(&device, 1)?; // compile, and touch all memory once

    let (one, time_one) = run(&device, 1)?;
    let (three, time_three) = run(&device, 3)?;
    assert_eq!((one, three), (expected, expected));

    let overlaps = device.capabilities().copy_overlaps_compute;
    println!("one at a time:   {:.1} ms", time_one * 1e3);
    println!(
        "three in flight: {:.1} ms ({:.2} x) on {}, copies overlap kernels: {overlaps}",
        time_three * 1e3,
        time_one / time_three,
        device.id(),
    );
    Ok(())
}

/// Sums all batches with so many of them in flight; the sum, and the seconds it took.
fn run(device: &Device, in_flight: usize) -> wharf::Result<(u32, f64)> {
    let slot = || Ok((device.buffer::<u32>(LEN)?, device.buffer::<u32>(1)?));
    let slots: Vec<(Buffer<u32>, Buffer<u32>)> = (0..in_flight).map(|_| slot()).collect::<wharf::Result<_>>()?;
    let mut waiting: VecDeque<Ticket<Vec<u32>>> = VecDeque::new();
    let mut sum = 0_u32;
    let start = Instant::now();
    for batch in 0..BATCHES {
        if waiting.len() == in_flight {
            sum = sum.wrapping_add(waiting.pop_front().expect("one is waiting").wait().ok()?[0]);
        }
        let (input, total) = &slots[batch % in_flight];
        device.upload(input).fill(|i| element(batch, i))?;
        device.launch(&REDUCE_SUM_U32).bind(input).bind(total).run()?;
        waiting.push_back(device.download(total).send()?);
    }
    for ticket in waiting {
        sum = sum.wrapping_add(ticket.wait().ok()?[0]);
    }
    Ok((sum, start.elapsed().as_secs_f64()))
}

fn element(batch: usize, i: usize) -> u32 {
    (i as u32).wrapping_mul(2_654_435_761) ^ batch as u32
}

fn expected(batch: usize) -> u32 {
    (0..LEN).map(|i| element(batch, i)).fold(0, u32::wrapping_add)
}
