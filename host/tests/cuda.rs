//! The CUDA device where there is no driver.

#![cfg(feature = "cuda")]

use wharf::{BackendKind, Device, Error};

#[test]
fn a_machine_without_a_driver_says_so_in_a_line() {
    let survey = Device::survey();
    let cuda: Vec<_> = survey.iter().filter(|found| found.kind == BackendKind::Cuda).collect();
    let [only] = cuda[..] else { panic!("one line or one GPU at least: {cuda:?}") };
    let Some(why_not) = &only.why_not else {
        eprintln!("skipped: {} is there", only.id);
        return;
    };
    assert!(why_not.contains("CUDA driver"), "{why_not}");
    assert_eq!(why_not.lines().count(), 1, "{why_not}");
    match Device::open("cuda:0") {
        Err(Error::Unavailable { device, reason }) => assert_eq!((device.as_str(), &reason), ("cuda:0", why_not)),
        other => panic!("{other:?}"),
    }
}
