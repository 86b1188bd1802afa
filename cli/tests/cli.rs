//! The `wharf` command as scripts see it: exit codes, one line for each error, documents that keep
//! to their schemas, and files that appear whole or not at all.

mod batch;
mod check;
mod documents;
mod errors;
#[cfg(unix)]
mod interrupts;
mod library;
mod memory;
mod outputs;
mod recovery;
mod run;
mod schema;
mod simulated;
mod traces;

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

/// How a command ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("text"),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    }
}

/// The command, on the CPU device unless it names another, in `folder`.
fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wharf"));
    command.args(args).current_dir(folder).env("WHARF_DEVICE", "cpu").stdin(Stdio::null());
    command.env("WHARF_CACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/cache"));
    command
}

fn wharf(folder: &Path, args: &[&str]) -> Ended {
    command(folder, args).output().expect("it starts").into()
}

/// It ends with this code, says one line that contains all of `words`, and prints no data.
#[track_caller]
fn refused(folder: &Path, code: i32, args: &[&str], words: &[&str]) {
    let ended = wharf(folder, args);
    assert_eq!(ended.code, Some(code), "{args:?}: {ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{args:?}: {}", ended.stderr);
    assert_eq!(ended.stdout, "", "{args:?}");
    for word in words {
        assert!(ended.stderr.contains(word), "{args:?}: `{word}` is not in: {}", ended.stderr);
    }
}

/// It ends with 0; gives what it printed.
#[track_caller]
fn done(folder: &Path, args: &[&str]) -> String {
    let ended = wharf(folder, args);
    assert_eq!(ended.code, Some(0), "{args:?}: {ended:?}");
    ended.stdout
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// The names of all files in a folder.
fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
