//! What the fuzzers found worth keeping, run again on every compiler.

use std::path::{Path, PathBuf};

use wharf_simt_fuzz::{Features, Program, agreement, enter};

fn kept(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = files.map(|file| file.expect("it can be read").path()).collect();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files.sort();
    files
}

#[test]
fn engines_agree_on_what_the_fuzzer_kept() {
    for path in kept("engines") {
        let bytes = std::fs::read(&path).expect("it can be read");
        let program = Program::from_bytes(&bytes, Features::ALL);
        if let Err(line) = agreement(&program) {
            panic!("{}: {line}\n{}", path.display(), program.wgsl());
        }
    }
}

#[test]
fn the_front_door_takes_what_the_fuzzer_kept() {
    let (mut entered, mut rejected) = (0, 0);
    for path in kept("front") {
        // libFuzzer drops what is no text, too.
        let Ok(text) = String::from_utf8(std::fs::read(&path).expect("it can be read")) else { continue };
        match enter(&text) {
            Ok(()) => entered += 1,
            Err(_) => rejected += 1,
        }
    }
    println!("{entered} entered, {rejected} rejected");
    assert!(entered > 0 && rejected > 0, "both ways are taken: {entered} entered, {rejected} rejected");
}
