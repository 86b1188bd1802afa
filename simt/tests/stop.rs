//! A running dispatch ends soon after it is told to, whatever kind of loop it is in and on however many threads.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{Buffer, compile, pool};
use wharf_simt::{Engine, Error};

/// Loops without end. Those that come second end only if the flag is read again in each of them.
const ENDLESS: &str = "
    @group(0) @binding(0) var<storage, read_write> out: array<u32>;
    var<workgroup> shared_sum: atomic<u32>;
    @compute @workgroup_size(64) fn plain(@builtin(global_invocation_id) id: vec3<u32>) {
        var x = id.x;
        loop { x = x * 5u + 1u; if x == 0u && out[0] == 9u { break; } }
        out[0] = x;
    }
    @compute @workgroup_size(64) fn divergent(@builtin(global_invocation_id) id: vec3<u32>) {
        var x = id.x;
        if id.x % 3u == 0u { loop { x += 2u; if x == 1u + (id.x & 1u) * 2u && out[0] == 9u { break; } } }
        out[0] = x;
    }
    @compute @workgroup_size(64) fn second(@builtin(global_invocation_id) id: vec3<u32>) {
        var x = 0u;
        for (var i = 0u; i < 9u; i++) { x = x * 3u + i; }
        loop { x = x * 5u + 2u; if x == id.x && x == id.x + 1u { break; } }
        out[0] = x;
    }
    @compute @workgroup_size(64) fn nested(@builtin(global_invocation_id) id: vec3<u32>) {
        var x = 1u;
        loop {
            for (var i = 0u; i < 3u; i++) { x = x * 3u + i; }
            if x == 0u { break; }
        }
        out[0] = x;
    }
    @compute @workgroup_size(64) fn barrier(@builtin(local_invocation_index) lane: u32) {
        loop {
            atomicAdd(&shared_sum, lane);
            workgroupBarrier();
            if workgroupUniformLoad(&shared_sum) == 1u { break; }
        }
        out[0] = 1u;
    }
    @compute @workgroup_size(64) fn barrier_alone(@builtin(workgroup_id) group: vec3<u32>) {
        var x = group.x | 1u;
        for (var i = 0u; i < 9u; i++) { x = x * 3u + 2u; workgroupBarrier(); }
        loop { x = x * 3u + 2u; workgroupBarrier(); if x == 0u { break; } }
        out[0] = x;
    }
    @compute @workgroup_size(64) fn no_loop(@builtin(global_invocation_id) id: vec3<u32>) {
        if id.x == 0xffffffffu { out[0] = 1u; }
    }";

#[test]
fn every_kind_of_loop_stops_when_told() {
    for engine in [Engine::Jit, Engine::Interpreter] {
        for entry in ["plain", "divergent", "second", "nested", "barrier", "barrier_alone"] {
            let program = compile(ENDLESS, entry, &[], engine);
            // One workgroup runs on the calling thread, several on every thread there is.
            for groups in [1, 64] {
                let buffer = Buffer::new(&[0; 8]);
                let (stop, ended) = (AtomicBool::new(false), AtomicBool::new(false));
                let begun = Instant::now();
                let result = std::thread::scope(|scope| {
                    scope.spawn(|| {
                        std::thread::sleep(Duration::from_millis(10));
                        stop.store(true, Ordering::Relaxed);
                        // A test that hangs names nobody.
                        let begun = Instant::now();
                        while !ended.load(Ordering::Relaxed) {
                            if begun.elapsed() > Duration::from_secs(30) {
                                eprintln!("{entry} on {engine:?} with {groups} workgroups does not stop");
                                std::process::abort();
                            }
                            std::thread::sleep(Duration::from_millis(1));
                        }
                    });
                    let result = program.dispatch([groups, 1, 1], &[buffer.memory()], pool(), &stop);
                    ended.store(true, Ordering::Relaxed);
                    result
                });
                assert_eq!(result, Err(Error::Stopped), "{entry} on {engine:?}");
                assert!(begun.elapsed() < Duration::from_secs(10), "{entry} on {engine:?}: {:?}", begun.elapsed());
            }
        }
    }
}

#[test]
fn many_workgroups_without_a_loop_stop_when_told() {
    for engine in [Engine::Jit, Engine::Interpreter] {
        let program = compile(ENDLESS, "no_loop", &[], engine);
        let (buffer, stop) = (Buffer::new(&[0; 8]), AtomicBool::new(false));
        let result = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(10));
                stop.store(true, Ordering::Relaxed);
            });
            // Years of work.
            program.dispatch([u32::MAX, 1 << 20, 1], &[buffer.memory()], pool(), &stop)
        });
        assert_eq!(result, Err(Error::Stopped), "{engine:?}");
    }
}

#[test]
fn a_dispatch_that_is_stopped_before_it_begins_runs_nothing() {
    for engine in [Engine::Jit, Engine::Interpreter] {
        let program = compile(ENDLESS, "plain", &[], engine);
        let buffer = Buffer::new(&[0; 8]);
        let dispatch = |groups| program.dispatch(groups, &[buffer.memory()], pool(), &AtomicBool::new(true));
        assert_eq!(dispatch([5, 1, 1]), Err(Error::Stopped), "{engine:?}");
        assert!(dispatch([5, 0, 1]).is_ok(), "nothing was left undone");
        assert_eq!(buffer.content(), [0; 8]);
    }
}
