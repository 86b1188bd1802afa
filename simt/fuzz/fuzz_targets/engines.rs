//! Bytes become a valid module; the engines agree on it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wharf_simt_fuzz::{Features, Program, disagreement};

fuzz_target!(|bytes: &[u8]| {
    let program = Program::from_bytes(bytes, Features::ALL);
    if let Some(line) = disagreement(&program) {
        panic!("{line}\n{}", program.wgsl());
    }
});
