//! What is wrong with a command line is said in one line.

use std::process::Stdio;

use crate::{command, done, folder, refused};

#[test]
fn words_that_are_no_command_are_2() {
    let folder = folder();
    let at = folder.path();
    refused(at, 2, &[], &["a command is missing", "devices"]);
    refused(at, 2, &["frobnicate"], &["frobnicate"]);
    refused(at, 2, &["devices", "--frobnicate"], &["--frobnicate"]);
    for word in ["advise", "soak"] {
        refused(at, 2, &[word, "x.wgsl", "--flag"], &[word, "reserved"]);
    }
    refused(at, 2, &["bench", "compare", "a.json", "b.json"], &["bench compare", "reserved"]);
    refused(at, 2, &["bench", "--full"], &["reserved"]);
}

#[test]
fn help_and_version_are_data() {
    let folder = folder();
    assert!(done(folder.path(), &["--help"]).contains("batch"));
    assert!(done(folder.path(), &["help", "run"]).contains("--bind"));
    assert!(done(folder.path(), &["--version"]).contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn an_absent_device_is_2_wherever_it_is_named() {
    let folder = folder();
    let ended = command(folder.path(), &["batch", "q6", "--scale", "0"]).env("WHARF_DEVICE", "abacus").output();
    let ended = crate::Ended::from(ended.expect("it starts"));
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("abacus") && ended.stderr.lines().count() == 1, "{ended:?}");
    refused(folder.path(), 2, &["bench", "--device", "wgpu:99"], &["wgpu:99"]);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = folder();
    let mut child =
        command(folder.path(), &["devices"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    let ended = crate::Ended::from(child.wait_with_output().expect("it ends"));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
}
