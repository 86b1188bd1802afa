//! What failed is good again where it is written anew, in whatever pieces, and nowhere else.

use wharf::{Buffer, CancelOutcome, Device, Error, FailPolicy, FailureKind, Result};

use super::rig::Rig;

/// Elements of the buffers: their last bytes are no whole grain.
const LEN: usize = 403;

/// An upload that is taken back before it has begun, and before it `also` is called.
fn fails(device: &Device, x: &Buffer<u8>, at: usize, len: usize, also: impl FnOnce() -> Result<()>) -> Result<()> {
    let gated = device.queue("gated").policy(FailPolicy::Continue).open();
    let (promise, signal) = device.promise();
    gated.wait_for(&promise)?;
    let upload = device.upload(x).at(at).on(&gated).send(vec![1_u8; len])?;
    also()?;
    assert_eq!(upload.cancel(), CancelOutcome::NotStarted);
    signal.signal();
    assert_eq!(upload.wait().result.expect_err("cancelled").kind, FailureKind::Cancelled);
    Ok(())
}

/// Writes so many bytes, and waits for it.
fn write(device: &Device, x: &Buffer<u8>, at: usize, len: usize) -> Result<()> {
    device.upload(x).at(at).send(vec![2_u8; len])?.wait().ok().map(drop)
}

/// Whether so many bytes from there on are good; they are not without the data that was taken back.
fn is_good(device: &Device, x: &Buffer<u8>, at: usize, len: usize) -> Result<bool> {
    match device.download(x).range(at..at + len).send()?.wait().result {
        Ok(()) => Ok(true),
        Err(error) => {
            let FailureKind::Upstream { root } = &error.kind else { panic!("another failure: {error}") };
            assert_eq!(root.kind, FailureKind::Cancelled);
            Ok(false)
        }
    }
}

pub(crate) fn pieces_heal_what_they_write_and_no_more(rig: &Rig) -> Result<()> {
    let device = rig.open();
    let x = device.buffer::<u8>(LEN)?;
    write(&device, &x, 0, LEN)?;
    let nothing = || Ok(());
    // In order.
    fails(&device, &x, 100, 100, nothing)?;
    assert!(is_good(&device, &x, 0, 100)? && is_good(&device, &x, 200, 203)?, "beside it");
    write(&device, &x, 100, 48)?;
    assert!(is_good(&device, &x, 100, 48)?);
    assert!(!is_good(&device, &x, 144, 8)? && !is_good(&device, &x, 148, 4)? && !is_good(&device, &x, 0, LEN)?);
    // Half a grain is not written, and heals nothing.
    let half = device.upload(&x).at(148).send(vec![2_u8; 2]).expect_err("it ends within a grain");
    assert!(matches!(half.error, Error::Argument { .. }), "{half}");
    assert!(!is_good(&device, &x, 148, 4)?);
    write(&device, &x, 148, 52)?;
    assert!(is_good(&device, &x, 0, LEN)?);
    // They overlap, and reach further than what failed; one lies in its middle.
    fails(&device, &x, 100, 100, nothing)?;
    write(&device, &x, 140, 20)?;
    assert!(is_good(&device, &x, 140, 20)? && !is_good(&device, &x, 136, 4)? && !is_good(&device, &x, 160, 4)?);
    write(&device, &x, 80, 64)?;
    write(&device, &x, 156, 100)?;
    assert!(is_good(&device, &x, 0, LEN)?);
    assert_eq!(*device.download(&x).wait()?, [2; LEN]);
    Ok(())
}

pub(crate) fn quarters_heal_a_buffer_to_its_end(rig: &Rig) -> Result<()> {
    let device = rig.open();
    let x = device.buffer::<u8>(LEN)?;
    fails(&device, &x, 0, LEN, || Ok(()))?;
    for (at, len) in [(300, 103), (0, 100), (200, 100)] {
        write(&device, &x, at, len)?;
        assert!(is_good(&device, &x, at, len)? && !is_good(&device, &x, 0, LEN)?, "only what was written");
    }
    write(&device, &x, 100, 100)?;
    assert!(is_good(&device, &x, 0, LEN)?);
    // The other way about: its end fails, and all of it is written.
    fails(&device, &x, 400, 3, || Ok(()))?;
    assert!(!is_good(&device, &x, 400, 3)? && is_good(&device, &x, 0, 400)?);
    write(&device, &x, 0, LEN)?;
    assert!(is_good(&device, &x, 0, LEN)?);
    Ok(())
}

pub(crate) fn a_failure_spares_what_was_written_since(rig: &Rig) -> Result<()> {
    let device = rig.open();
    let x = device.buffer::<u8>(LEN)?;
    write(&device, &x, 0, LEN)?;
    let (mut pieces, mut readers) = (Vec::new(), Vec::new());
    // Both are behind the one that fails when they are sent.
    fails(&device, &x, 100, 100, || {
        for at in [100, 180] {
            pieces.push(device.upload(&x).at(at).send(vec![3_u8; 20])?);
        }
        readers.push(device.download(&x).range(100..120).send()?);
        readers.push(device.download(&x).range(180..LEN).send()?);
        Ok(())
    })?;
    for piece in pieces {
        piece.wait().ok()?;
    }
    let got = readers.into_iter().map(|reader| reader.wait().ok()).collect::<Result<Vec<_>, _>>()?;
    assert_eq!((&got[0][..], &got[1][..20], &got[1][20..]), (&[3; 20][..], &[3; 20][..], &[2; 203][..]));
    assert!(is_good(&device, &x, 100, 20)? && is_good(&device, &x, 180, 20)? && !is_good(&device, &x, 116, 8)?);
    write(&device, &x, 120, 60)?;
    assert!(is_good(&device, &x, 0, LEN)?);
    Ok(())
}
