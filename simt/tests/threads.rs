//! Workgroups on several threads at once.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{Buffer, compile, pool};
use wharf_simt::{Engine, Error, Program};

const ENGINES: [Engine; 2] = [Engine::Jit, Engine::Interpreter];

const KERNELS: &str = "
    @group(0) @binding(0) var<storage, read_write> counters: array<atomic<u32>, 4>;
    @group(0) @binding(1) var<storage, read_write> out: array<u32>;
    // Ends only where as many workgroups run at once as there are.
    @compute @workgroup_size(1) fn meet(@builtin(num_workgroups) groups: vec3<u32>) {
        atomicAdd(&counters[0], 1u);
        loop { if atomicLoad(&counters[0]) == groups.x { break; } }
    }
    var<workgroup> sum: atomic<u32>;
    @compute @workgroup_size(33) fn count(
        @builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32,
    ) {
        atomicAdd(&sum, lane + 1u);
        workgroupBarrier();
        if lane == 0u {
            let ticket = atomicAdd(&counters[0], 1u);
            atomicMax(&counters[1], group.x);
            atomicAdd(&counters[2], atomicLoad(&sum));
            out[group.x] += 1u + ticket - ticket;
        }
    }
    // Workgroup 5 breaks the rules; the rest would run for hours.
    @compute @workgroup_size(32) fn breaks(
        @builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32,
    ) {
        var x = group.x;
        for (var i = 0u; i < 20000u; i++) { x = x * 3u + i; }
        if x == 1u { out[1] = x; }
        if group.x != 5u || lane < 7u { workgroupBarrier(); }
        out[0] = 1u;
    }";

fn program(entry: &str, engine: Engine) -> Program {
    compile(KERNELS, entry, &[], engine).alone_for(Duration::ZERO)
}

/// Dispatches on three threads; a dispatch that waits for a fourth is stopped.
fn dispatch(program: &Program, groups: u32, buffers: &[Buffer; 2]) -> Result<(), Error> {
    let (stop, ended) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_secs(20) && !ended.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
            }
            stop.store(true, Ordering::Relaxed);
        });
        let slots = program.bindings().iter();
        let args: Vec<_> = slots.map(|slot| buffers[slot.binding as usize].memory()).collect();
        let result = program.dispatch([groups, 1, 1], &args, pool(), &stop);
        ended.store(true, Ordering::Relaxed);
        result.map(|_| ())
    })
}

#[test]
fn a_few_costly_workgroups_run_on_every_thread() {
    for engine in ENGINES {
        let buffers = [Buffer::new(&[0; 4]), Buffer::new(&[0])];
        assert_eq!(dispatch(&program("meet", engine), 3, &buffers), Ok(()), "{engine:?}");
        assert_eq!(buffers[0].content()[0], 3);
    }
}

#[test]
fn a_program_that_took_long_wakes_the_others_at_once() {
    for engine in ENGINES {
        // Without a time set the first dispatch learns what a workgroup costs.
        let program = compile(KERNELS, "breaks", &[], engine);
        let buffers = [Buffer::new(&[0; 4]), Buffer::new(&[0; 2])];
        assert_eq!(dispatch(&program, 4, &buffers), Ok(()), "{engine:?}");
        assert_eq!(buffers[1].content(), [1, 0]);
    }
}

#[test]
fn each_workgroup_runs_once_and_atomics_lose_nothing_on_three_threads() {
    for engine in ENGINES {
        for groups in [1_u32, 2, 3, 47, 1000, 5003] {
            let program = program("count", engine);
            // The second dispatch knows what the first has learnt.
            for _ in 0..2 {
                let buffers = [Buffer::new(&[0; 4]), Buffer::new(&vec![0; groups as usize])];
                assert_eq!(dispatch(&program, groups, &buffers), Ok(()), "{engine:?}");
                assert_eq!(buffers[0].content(), [groups, groups - 1, groups * (33 * 34 / 2), 0], "{engine:?}");
                assert!(buffers[1].content().iter().all(|&ran| ran == 1), "{groups} workgroups on {engine:?}");
            }
        }
    }
}

#[test]
fn a_workgroup_that_breaks_the_rules_ends_the_others_threads() {
    for engine in ENGINES {
        let buffers = [Buffer::new(&[0; 4]), Buffer::new(&[0; 2])];
        let begun = Instant::now();
        match dispatch(&program("breaks", engine), 1_000_000_000, &buffers) {
            Err(Error::Divergence { workgroup, arrived, of, at: Some(_) }) => {
                assert_eq!((workgroup, arrived, of), ([5, 0, 0], 7, 32), "{engine:?}");
            }
            other => panic!("{engine:?}: {other:?}"),
        }
        assert!(begun.elapsed() < Duration::from_secs(15), "{engine:?} took {:?}", begun.elapsed());
    }
}
