//! Bytes become a valid module; the engines agree on it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wharf_simt_fuzz::{Features, Program, agreement};

fuzz_target!(|bytes: &[u8]| {
    let program = Program::from_bytes(bytes, Features::ALL);
    if let Err(line) = agreement(&program) {
        panic!("{line}\n{}", program.wgsl());
    }
});
