//! Any text: an error or a run, never a crash.
#![no_main]

use libfuzzer_sys::fuzz_target;

// naga reports its own broken assumptions by panicking; the front door makes errors of them. libFuzzer's
// hook would end the process before that, and what nobody catches ends it all the same.
fuzz_target!(init: drop(std::panic::take_hook()), |text: &str| {
    let _ = wharf_simt_fuzz::enter(text);
});
