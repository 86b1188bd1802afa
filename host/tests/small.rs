//! Uploads that are copied when they are sent.

use std::time::Instant;

use wharf::{Device, Error, FailureKind, Path};

#[test]
fn the_slice_is_free_again_at_once() -> wharf::Result<()> {
    let device = Device::open("cpu")?;
    for n in [0_usize, 1, 3, 15, 16, 17, 100, 1023, 1024, 1025, 5000] {
        let buffer = device.buffer::<u32>(n)?;
        let mut data: Vec<u32> = (0..n as u32).collect();
        let ticket = device.upload(&buffer).copy_from(&data)?;
        data.fill(u32::MAX);
        let done = ticket.wait();
        done.result.expect("nothing fails");
        let path = match 4 * n {
            0 => Path::None,
            1..=4096 => Path::Inline,
            _ if n % 4 == 0 => Path::Direct,
            _ => Path::Filled,
        };
        assert_eq!((done.receipt.path, done.receipt.bytes), (path, 4 * n as u64));
        assert!(device.download(&buffer).wait()?.iter().enumerate().all(|(i, &x)| x == i as u32), "{n}");
    }
    assert_eq!(device.stats().staging_bytes, 0);
    Ok(())
}

#[test]
fn a_deadline_holds_for_every_size() -> wharf::Result<()> {
    let device = Device::open("cpu")?;
    for n in [1_usize, 16, 1000, 5000] {
        let buffer = device.buffer::<u32>(n)?;
        let late = device.upload(&buffer).deadline_at(Instant::now()).copy_from(&vec![7; n])?.wait();
        let error = late.result.expect_err("the time has passed");
        assert!(matches!(error.kind, FailureKind::Deadline), "{n}: {error}");
        assert_eq!(error.bytes_done, 0);
    }
    Ok(())
}

#[test]
fn an_odd_end_leaves_what_is_behind_it_alone() -> wharf::Result<()> {
    let device = Device::open("cpu")?;
    for n in [5_usize, 63, 66, 129, 4095, 4097] {
        let buffer = device.buffer::<u8>(n)?;
        device.upload(&buffer).copy_from(&vec![7; n])?.wait().ok()?;
        assert_eq!(*device.download(&buffer).wait()?, vec![7; n]);
        let long = device.upload(&buffer).copy_from(&vec![7; n + 1]).expect_err("one too many");
        assert!(matches!(long, Error::Length { .. }), "{long}");
    }
    Ok(())
}

/// A thousand small uploads in a batch, each to its own place, on every device of this machine.
#[test]
fn many_small_ones_travel_together() -> wharf::Result<()> {
    for found in Device::discover() {
        let device = Device::open(&found.id)?;
        let queue = device.queue("small").inline_max(1 << 20).open();
        let each = 100;
        let buffer = device.buffer::<u32>(1000 * each)?;
        let mut batch = queue.batch();
        let mut data = vec![0_u32; each];
        for i in 0..1000 {
            data.iter_mut().enumerate().for_each(|(k, x)| *x = (i * each + k) as u32);
            batch.push(device.upload(&buffer).at(i * each).copy_message(&data)?)?;
        }
        drop(batch.commit()?);
        let back = device.download(&buffer).wait()?;
        assert!(back.iter().enumerate().all(|(i, &x)| x == i as u32), "{}", found.id);
        assert_eq!(device.stats().detached_ok, 1000);
        eprintln!("{}: 1000 small uploads arrived", found.id);
    }
    Ok(())
}
