//! Sticky errors, which end the context.

use std::time::{Duration, Instant};

use wharf::{FailureKind, Ticket};
use wharf_kernels::SAXPY;

use crate::{device, on_software};

#[test]
fn a_sticky_error_loses_the_device_and_resolves_everything_in_time() {
    let faults = [("launch", "20:719"), ("upload", "30:700"), ("download", "5:719")];
    for (op, which) in faults {
        let fault = format!("{op}:{which}");
        on_software("loss::loss", &[("SOFT_CUDA_FAULT", &fault), ("SOFT_CUDA_DELAY_US", "50")]);
    }
}

#[test]
#[ignore = "runs on the software driver"]
fn loss() -> wharf::Result<()> {
    let (accepted, lost) = flood(100)?;
    assert!(accepted > 0 && lost > 0, "the fault was hit: {lost} of {accepted}");
    Ok(())
}

/// Its first launch waits behind a door, and then loses the context.
#[test]
fn ten_thousand_messages_are_resolved_within_a_second_of_the_loss() {
    for code in ["719", "700"] {
        let folder = tempfile::tempdir().expect("a folder");
        let door = folder.path().join("door");
        let fault = format!("launch:1:{code}");
        on_software("loss::many", &[("SOFT_CUDA_FAULT", &fault), ("SOFT_CUDA_DOOR", door.to_str().expect("a path"))]);
    }
}

#[test]
#[ignore = "runs on the software driver"]
fn many() -> wharf::Result<()> {
    crate::contract::loss::everything_in_flight_is_resolved(
        &crate::rig::cuda().hold(),
        |held| held.release(),
        "CUDA_ERROR",
        false,
    )
}

/// Sends uploads, launches and downloads of the same buffers until they are as many rounds or refused,
/// and collects them all. Answers how many were accepted and how many were lost.
fn flood(rounds: usize) -> wharf::Result<(usize, usize)> {
    let device = device();
    let (x, y) = (device.buffer::<f32>(1000)?, device.buffer::<f32>(1000)?);
    let (mut uploads, mut launches, mut downloads) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        uploads.extend(device.upload(&x).or_refuse().send(vec![1.0_f32; 1000]).ok());
        launches.extend(device.launch(&SAXPY).bind(&x).bind(&y).arg("a", 1.0_f32).run().ok());
        downloads.extend(device.download(&y).or_refuse().send().ok());
    }
    let accepted = uploads.len() + launches.len() + downloads.len();
    let (mut lost, mut leaked, mut first) = (0, 0, None);
    let mut count = |result: Result<(), FailureKind>| match result {
        Ok(()) => {}
        Err(FailureKind::DeviceLost(why)) => {
            assert!(why.contains("CUDA_ERROR"), "{why}");
            first.get_or_insert_with(Instant::now);
            lost += 1;
        }
        Err(FailureKind::Upstream { .. } | FailureKind::Aborted { .. }) => lost += 1,
        Err(other) => panic!("{other}"),
    };
    for completion in uploads.into_iter().map(Ticket::wait).chain(downloads.into_iter().map(Ticket::wait)) {
        match (&completion.buffer, &completion.result) {
            (Some(buffer), _) => assert_eq!(buffer.len(), 1000, "buffers come back"),
            (None, Err(error)) if matches!(error.kind, FailureKind::DeviceLost(_)) => leaked += 1,
            (None, other) => panic!("no buffer, though {other:?}"),
        }
        count(completion.result.map_err(|error| error.kind.clone()));
    }
    for ticket in launches {
        count(ticket.wait().result.map_err(|error| error.kind.clone()));
    }
    let since_loss = first.map_or(Duration::ZERO, |first| first.elapsed());
    assert!(since_loss < Duration::from_secs(2), "{since_loss:?}");
    assert!(device.stats().leaked_buffers >= leaked, "what is leaked is counted");
    let after = device.upload(&x).send(vec![2.0; 1000]);
    assert!(after.is_err(), "a lost device refuses, and hands the message back");
    Ok((accepted, lost))
}
