//! Each `.cu` has the `.ptx` that was made from it, and an assembler takes it.
//!
//! A `.ptx` is made by `python3 kernels/ptx.py`, which says what it needs.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

/// The oldest architecture that today's assembler still knows; the PTX itself is for `sm_70`.
const ASSEMBLE_FOR: &str = "sm_75";

fn files(extension: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let entries = fs::read_dir(folder).expect("the sources are here");
    let paths = entries.map(|entry| entry.expect("readable").path());
    let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|e| e == extension)).collect();
    paths.sort();
    paths
}

/// What the first line of the `.ptx` made from this source says.
fn first_line(name: &str, source: &[u8]) -> String {
    let digest: String = Sha256::digest(source).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("// Made from {name} by ptx.py; sha256 {digest}")
}

fn is_made_from(ptx: &str, name: &str, source: &[u8]) -> bool {
    ptx.lines().next() == Some(first_line(name, source).as_str())
}

#[test]
fn each_ptx_was_made_from_its_source() {
    let sources = files("cu");
    assert!(!sources.is_empty());
    for path in sources {
        let name = path.file_name().and_then(|name| name.to_str()).expect("a plain name");
        let ptx = fs::read_to_string(path.with_extension("ptx")).unwrap_or_default();
        let source = fs::read(&path).expect("readable");
        assert!(is_made_from(&ptx, name, &source), "{name} was changed: run python3 kernels/ptx.py");
    }
}

#[test]
fn a_source_that_was_changed_by_a_byte_is_noticed() {
    let ptx = format!("{}\n.version 8.1\n", first_line("a.cu", b"int a;"));
    assert!(is_made_from(&ptx, "a.cu", b"int a;"));
    assert!(!is_made_from(&ptx, "a.cu", b"int b;"));
    assert!(!is_made_from("", "a.cu", b"int a;"));
}

#[test]
fn no_ptx_is_without_its_source() {
    for path in files("ptx") {
        assert!(path.with_extension("cu").exists(), "{} has no .cu", path.display());
    }
}

#[test]
fn an_assembler_takes_each_ptx() {
    let assembler = std::env::var_os("WHARF_PTXAS").unwrap_or_else(|| OsString::from("ptxas"));
    if let Err(error) = Command::new(&assembler).arg("--version").output() {
        let required = std::env::var("WHARF_REQUIRE").unwrap_or_default();
        assert!(!required.split(',').any(|name| name == "ptxas"), "{assembler:?}: {error}");
        eprintln!("skipped: {assembler:?} is not in PATH ({error}); WHARF_PTXAS=path names one");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder for the output");
    for path in files("ptx") {
        let output = Command::new(&assembler)
            .arg(format!("--gpu-name={ASSEMBLE_FOR}"))
            .args(["--verbose", "--output-file"])
            .arg(folder.path().join("out.cubin"))
            .arg(&path)
            .output()
            .expect("the assembler starts");
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {log}", path.display());
        assert!(log.contains("0 bytes spill stores"), "{} spills registers: {log}", path.display());
    }
}
