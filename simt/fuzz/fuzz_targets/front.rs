//! Any text: an error or a run, never a crash.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| wharf_simt_fuzz::enter(text));
