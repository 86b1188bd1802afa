//! Memory that others use meanwhile: atomic loads and stores are whole, and are done each time.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{Buffer, compile, pool};
use wharf_simt::{Engine, Error};

const ENGINES: [Engine; 2] = [Engine::Jit, Engine::Interpreter];
/// Longer than any of these takes; a kernel that does not see what it waits for is stopped then.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs two entry points at the same time, each on a thread of its own, on the same buffers.
fn together(wgsl: &str, entries: [&str; 2], engine: Engine, buffers: &[Buffer]) -> [Result<(), Error>; 2] {
    let programs = entries.map(|entry| compile(wgsl, entry, &[], engine));
    let (stop, ended) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let runs = programs.each_ref().map(|program| {
            scope.spawn(|| {
                let slots = program.bindings().iter();
                let args: Vec<_> = slots.map(|slot| buffers[slot.binding as usize].memory()).collect();
                program.dispatch([1, 1, 1], &args, pool(), &stop).map(|_| ())
            })
        });
        scope.spawn(|| {
            let begun = Instant::now();
            while begun.elapsed() < PATIENCE && !ended.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(2));
            }
            stop.store(true, Ordering::Relaxed);
        });
        let answers = runs.map(|run| run.join().expect("a dispatch answers"));
        ended.store(true, Ordering::Relaxed);
        answers
    })
}

#[test]
fn a_64_bit_atomic_is_never_seen_half_written() {
    let wgsl = "
        @group(0) @binding(0) var<storage, read_write> words: array<atomic<u64>, 2>;
        @group(0) @binding(1) var<storage, read_write> torn: u32;
        @group(0) @binding(2) var<storage, read_write> at: u32;
        const ALL = 0xfffffffffffffffflu;
        @compute @workgroup_size(1) fn writes() {
            for (var i = 0u; i < 300000u; i++) {
                if (i & 1u) == 0u { atomicStore(&words[1], ALL); } else { atomicStore(&words[1], 0lu); }
            }
        }
        @compute @workgroup_size(1) fn reads() {
            for (var i = 0u; i < 300000u; i++) {
                let seen = atomicLoad(&words[1]);
                if seen != 0lu && seen != ALL { torn += 1u; }
            }
        }
        @compute @workgroup_size(32) fn writes_in_lanes(@builtin(local_invocation_index) lane: u32) {
            for (var i = 0u; i < 30000u; i++) {
                if (i & 1u) == 0u { atomicStore(&words[lane & at], ALL); } else { atomicStore(&words[lane & at], 0lu); }
            }
        }
        @compute @workgroup_size(32) fn reads_in_lanes(@builtin(local_invocation_index) lane: u32) {
            for (var i = 0u; i < 30000u; i++) {
                let seen = atomicLoad(&words[lane & at]);
                if seen != 0lu && seen != ALL { torn += 1u; }
            }
        }";
    for engine in ENGINES {
        for entries in [["writes", "reads"], ["writes_in_lanes", "reads_in_lanes"]] {
            let buffers = [Buffer::new(&[0; 4]), Buffer::new(&[0]), Buffer::new(&[1])];
            let ran = together(wgsl, entries, engine, &buffers);
            assert_eq!(ran, [Ok(()), Ok(())], "{engine:?}");
            assert_eq!(buffers[1].content(), [0], "{entries:?} on {engine:?}: values nobody wrote");
        }
    }
}

#[test]
fn a_loop_sees_what_another_dispatch_publishes() {
    let wgsl = "
        @group(0) @binding(0) var<storage, read_write> flags: array<atomic<u32>, 2>;
        @group(0) @binding(1) var<storage, read_write> out: array<u32, 32>;
        fn wait() { loop { if atomicLoad(&flags[0]) == 2u { break; } } }
        @compute @workgroup_size(1) fn after_a_store() {
            atomicStore(&flags[0], 1u);
            wait();
            out[0] = 7u;
        }
        @compute @workgroup_size(1) fn after_a_load() {
            atomicStore(&flags[1], 1u);
            if atomicLoad(&flags[0]) == 3u { return; }
            loop { if atomicLoad(&flags[0]) != 0u { break; } }
            wait();
            out[0] = 7u;
        }
        @compute @workgroup_size(32) fn in_lanes(@builtin(local_invocation_index) lane: u32) {
            atomicStore(&flags[1], 1u);
            loop { if atomicLoad(&flags[lane & 0u]) == 2u { break; } }
            loop { if atomicLoad(&flags[0]) == 2u { break; } }
            out[lane] = 7u;
        }
        @compute @workgroup_size(1) fn publishes() {
            loop { if atomicLoad(&flags[0]) == 1u || atomicLoad(&flags[1]) == 1u { break; } }
            for (var i = 0u; i < 200000u; i++) { atomicAdd(&flags[1], 2u); }
            atomicStore(&flags[0], 2u);
        }";
    for engine in ENGINES {
        for waits in ["after_a_store", "after_a_load", "in_lanes"] {
            let buffers = [Buffer::new(&[0; 2]), Buffer::new(&[0; 32])];
            let ran = together(wgsl, [waits, "publishes"], engine, &buffers);
            assert_eq!(ran, [Ok(()), Ok(())], "{waits} on {engine:?}");
            assert_eq!(buffers[1].content()[0], 7, "{waits} on {engine:?}");
        }
    }
}
