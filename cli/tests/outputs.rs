//! Where files are written, and what is never touched.
#![cfg(unix)]

use std::{
    fs,
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink},
        net::UnixListener,
    },
    path::Path,
    process::{Command, Stdio},
};

use crate::{Ended, done, files, folder, refused};

/// A command that writes one file.
fn trace(out: &str) -> [&str; 4] {
    ["trace", out, "--", "devices"]
}

fn is_json(path: &Path) -> bool {
    serde_json::from_slice::<serde_json::Value>(&fs::read(path).expect("a file")).is_ok()
}

#[test]
fn pipes_sockets_and_devices_are_refused_and_stay() {
    let folder = folder();
    let at = folder.path();
    let made = Command::new("mkfifo").arg(at.join("pipe")).status().expect("mkfifo");
    assert!(made.success());
    let _socket = UnixListener::bind(at.join("socket")).expect("a socket");
    symlink("pipe", at.join("link")).expect("a link");
    for name in ["pipe", "socket", "link"] {
        refused(at, 2, &trace(name), &[name, "is a device, a pipe or a socket"]);
    }
    refused(at, 2, &trace("."), &["is a directory"]);
    let kind = |name: &str| fs::symlink_metadata(at.join(name)).expect("still there").file_type();
    assert!(kind("pipe").is_fifo() && kind("socket").is_socket() && kind("link").is_symlink());
    // Only the system's owner may make a device: a second /dev/null, in the test's own folder.
    let node = Command::new("mknod").arg(at.join("null")).args(["c", "1", "3"]).stderr(Stdio::null()).status();
    if node.is_ok_and(|status| status.success()) {
        refused(at, 2, &trace("null"), &["null", "is a device, a pipe or a socket"]);
        assert!(kind("null").is_char_device());
    }
}

#[test]
fn links_are_followed_and_stay_links() {
    let folder = folder();
    let at = folder.path();
    fs::create_dir(at.join("there")).expect("a folder");
    fs::write(at.join("there/old.json"), "old").expect("written");
    symlink("there/old.json", at.join("first")).expect("a link");
    symlink(at.join("first"), at.join("second")).expect("a link");
    symlink("there/new.json", at.join("dangling")).expect("a link");
    for (link, file) in [("second", "there/old.json"), ("dangling", "there/new.json")] {
        done(at, &trace(link));
        assert!(is_json(&at.join(file)), "{link}");
        assert!(fs::symlink_metadata(at.join(link)).expect("there").is_symlink(), "{link}");
    }
    assert_eq!(files(&at.join("there")), ["new.json", "old.json"]);
    symlink("b", at.join("a")).expect("a link");
    symlink("a", at.join("b")).expect("a link");
    refused(at, 2, &trace("a"), &["too many symbolic links"]);
}

#[test]
fn a_file_that_is_replaced_keeps_its_mode() {
    let folder = folder();
    let at = folder.path();
    fs::write(at.join("t.json"), "old").expect("written");
    fs::set_permissions(at.join("t.json"), fs::Permissions::from_mode(0o640)).expect("a mode");
    done(at, &trace("t.json"));
    assert!(is_json(&at.join("t.json")));
    assert_eq!(fs::metadata(at.join("t.json")).expect("there").mode() & 0o777, 0o640);
}

#[test]
fn a_folder_that_takes_no_files_and_a_full_disk_are_told_in_plain_words() {
    let folder = folder();
    let at = folder.path();
    if Path::new("/proc/self").is_dir() {
        refused(at, 2, &trace("/proc/t.json"), &["/proc/t.json", "takes no new files"]);
    }
    // A bound on the size of files stands for the disk that is full.
    let wharf = env!("CARGO_BIN_EXE_wharf");
    let script = format!("trap '' XFSZ; ulimit -f 0; exec '{wharf}' trace t.json -- devices");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).current_dir(at).env("WHARF_DEVICE", "cpu");
    let ended = Ended::from(shell.output().expect("it starts"));
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    assert!(ended.stderr.starts_with("wharf: t.json: cannot be written: "), "{ended:?}");
    assert!(!ended.stderr.contains(".tmp"), "{ended:?}");
    assert_eq!(files(at), [""; 0]);
}
