//! What is wrong with a command line is said in one line.

use std::process::Stdio;

use crate::{Ended, command, done, files, folder, refused, wharf};

#[test]
fn words_that_are_no_command_are_2() {
    let folder = folder();
    let at = folder.path();
    refused(at, 2, &[], &["a command is missing", "devices"]);
    refused(at, 2, &["frobnicate"], &["frobnicate"]);
    refused(at, 2, &["devices", "--frobnicate"], &["--frobnicate"]);
    refused(at, 2, &["advise", "x.wgsl", "--flag"], &["advise", "reserved"]);
    for minutes in ["0", "-1", "NaN", "long", "1e9"] {
        refused(at, 2, &["soak", "--minutes", minutes], &["--minutes", "over 0 and up to 1000000 is"]);
    }
    refused(at, 2, &["soak", "--minutes", "0.01", "--device", "abacus"], &["abacus", "cpu", "there is also `faulty`"]);
    let behind = "the command goes behind `--`, as in `wharf trace FILE -- batch q6`";
    for args in [&["trace", "a.json", "batch", "q6"][..], &["trace", "a.json"], &["trace", "batch", "q6", "--json"]] {
        refused(at, 2, args, &["wharf: ", behind, "see `wharf help trace`"]);
    }
    let inner = wharf(at, &["trace", "a.json", "--", "devices", "--frobnicate"]);
    assert!(inner.stderr.contains("--frobnicate") && !inner.stderr.contains(behind), "{inner:?}");
    assert_eq!(files(at), [""; 0]);
    refused(at, 2, &["bench", "compare", "a.json", "b.json"], &["bench compare", "reserved"]);
    refused(at, 2, &["bench", "--full"], &["reserved"]);
}

#[test]
fn a_misspelt_word_comes_with_the_one_that_may_have_been_meant() {
    let folder = folder();
    let at = folder.path();
    refused(at, 2, &["devces"], &["'devces'", "'devices'", "see `wharf help`"]);
    refused(at, 2, &["run", "x.wgsl", "--grops", "2"], &["'--grops'", "'--groups'", "see `wharf help run`"]);
    refused(at, 2, &["trace", "t.json", "--", "run", "x.wgsl", "--grops", "2"], &["'--groups'", "`wharf help run`"]);
    refused(at, 2, &["run", "x.wgsl", "--repeat", "-1"], &["--repeat", "from 1 to 2^32 - 1"]);
    refused(at, 2, &["check", "x.wgsl", "--max-steps", "x"], &["--max-steps", "from 1 to 2^64 - 1"]);
}

#[test]
fn help_and_version_are_data() {
    let folder = folder();
    assert!(done(folder.path(), &["--help"]).contains("batch"));
    let says = |command: &[&str], words: &[&str]| {
        let text = done(folder.path(), command);
        assert!(words.iter().all(|word| text.contains(word)), "{words:?}: {text}");
    };
    says(&["help"], &["Exit codes:", "130", "WHARF_DEVICE", "WHARF_THREADS", "WHARF_CACHE"]);
    says(&["batch", "--help"], &["42", "75", "<JOB>\n"]);
    says(
        &["help", "run"],
        &[
            "<FILE|NAME>",
            "the name of a kernel of the library",
            "--twin <native|simt>",
            "--bind",
            "vec3<T>",
            "in the order in which",
        ],
    );
    says(&["check", "--help"], &["a wrong answer and no finding", "--strict", "a line of WGSL is several"]);
    says(
        &["trace", "--help"],
        &["also where it failed", "After Ctrl-C", "`one of N together`", "`shared`", "`upload 2`", "virtual"],
    );
    says(&["bench", "--help"], &["WHARF_DEVICE"]);
    assert!(done(folder.path(), &["--version"]).contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn an_absent_device_is_2_wherever_it_is_named() {
    let folder = folder();
    for args in [&["batch", "q6", "--scale", "0"][..], &["bench"]] {
        let ended = with("WHARF_DEVICE", "abacus", args);
        assert_eq!((ended.code, ended.stderr.lines().count()), (Some(2), 1), "{ended:?}");
        assert!(ended.stderr.starts_with("wharf: no device `abacus`: a device is called"), "{ended:?}");
        assert!(ended.stderr.ends_with("; the environment variable WHARF_DEVICE names it\n"), "{ended:?}");
    }
    refused(folder.path(), 2, &["bench", "--device", "wgpu:99"], &["wgpu:99"]);
    let ended = wharf(folder.path(), &["bench", "--device", "abacus"]);
    assert!(!ended.stderr.contains("WHARF_DEVICE"), "the command line names it: {ended:?}");
}

/// The command with one variable of the environment.
fn with(name: &str, value: &str, args: &[&str]) -> Ended {
    command(folder().path(), args).env(name, value).output().expect("it starts").into()
}

#[test]
fn devices_says_that_the_device_of_the_environment_is_not_there() {
    for name in ["abacus", "wgpu:99"] {
        let ended = with("WHARF_DEVICE", name, &["devices"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(!ended.stdout.contains('*'), "{}", ended.stdout);
        assert!(ended.stdout.contains(&format!("WHARF_DEVICE names `{name}`, which cannot be used")), "{ended:?}");
        assert_eq!(ended.stdout.matches("WHARF_DEVICE").count(), 1, "{ended:?}");
    }
    let ended = with("WHARF_DEVICE", "cpu", &["devices"]);
    assert!(ended.stdout.contains("\n* cpu") || ended.stdout.starts_with("* cpu"), "{ended:?}");
    assert!(ended.stdout.ends_with("WHARF_DEVICE names it\n"), "{ended:?}");
    let ended = with("WHARF_DEVICE", "", &["devices"]);
    assert!(ended.stdout.ends_with("\n* is used where no device is named\n"), "empty is unset: {ended:?}");
}

#[test]
fn a_number_of_threads_that_is_none_is_2() {
    for text in ["0", "x", "-3", "100000"] {
        let ended = with("WHARF_THREADS", text, &["batch", "q6", "--scale", "0"]);
        assert_eq!((ended.code, ended.stderr.lines().count()), (Some(2), 1), "{ended:?}");
        assert!(ended.stderr.contains("WHARF_THREADS") && ended.stderr.contains("1 to 1024"), "{ended:?}");
        let ended = with("WHARF_THREADS", text, &["devices"]);
        let row = ended.stdout.lines().find(|line| line.starts_with("  cpu")).expect("a row");
        assert!(row.contains("not there: WHARF_THREADS"), "{row}");
    }
    let ended = with("WHARF_THREADS", "1", &["devices"]);
    assert!(ended.stdout.contains("(wharf)") && ended.stdout.contains("1 thread,"), "{ended:?}");
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
