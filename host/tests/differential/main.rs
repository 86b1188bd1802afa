//! The interpreter against the first adapter that wgpu sees, on random programs, on simt's corpus and on
//! programs that check themselves.
//!
//! `WHARF_PROGRAMS=10000` runs so many, from a seed that is printed and that `WHARF_SEED` sets again.

#![cfg(feature = "wgpu")]

mod corners;
mod corpus;

use std::time::{SystemTime, UNIX_EPOCH};

use wharf::{Device, Kernel};
use wharf_simt::{Access, Engine};
use wharf_simt_fuzz::{Features, Program, difference, run_program};

/// The device, or nothing where the machine has none and `WHARF_REQUIRE` does not ask for it.
fn device() -> Option<Device> {
    match Device::open("wgpu") {
        Ok(device) => Some(device),
        Err(e) if e.is_unavailable() && !std::env::var("WHARF_REQUIRE").unwrap_or_default().contains("wgpu") => {
            eprintln!("SKIP {e}");
            None
        }
        Err(e) => panic!("{e}"),
    }
}

/// Runs an entry point on the device; what the bindings hold afterwards.
fn run_there(
    device: &Device,
    wgsl: &str,
    entry: &str,
    set: &[(&str, f64)],
    groups: [u32; 3],
    contents: &[Vec<u32>],
) -> wharf::Result<Vec<Vec<u32>>> {
    let kernel = Kernel::from_wgsl_entry(wgsl.to_owned(), Some(entry))?;
    let slots = &kernel.entry()?.bindings;
    // Buffers of bytes can be bound as any type.
    let contents: Vec<Vec<u8>> =
        contents.iter().map(|words| words.iter().flat_map(|word| word.to_le_bytes()).collect()).collect();
    let mut buffers = Vec::new();
    let mut launch = device.launch(&kernel).groups(groups);
    for (slot, bytes) in slots.iter().zip(&contents) {
        if slot.access == Access::Uniform {
            launch = launch.uniform(&slot.name, &bytes[..slot.min_bytes as usize]);
            buffers.push(None);
            continue;
        }
        let buffer = device.buffer::<u8>(bytes.len())?;
        device.upload(&buffer).send(bytes.clone())?.wait().ok()?;
        launch = launch.bind(&buffer);
        buffers.push(Some(buffer));
    }
    for (name, value) in set {
        launch = launch.set(name, *value);
    }
    launch.run()?.wait().ok()?;
    let words = |bytes: &[u8]| {
        bytes.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect()
    };
    (buffers.iter().zip(&contents))
        .map(|(buffer, before)| match buffer {
            Some(buffer) => Ok(words(&device.download(buffer).wait()?)),
            None => Ok(words(before)),
        })
        .collect()
}

/// What the device makes otherwise of a program, in a line.
fn disagreement(device: &Device, program: &Program) -> Option<String> {
    let (_, entry) = program.module().ok()?;
    let here = run_program(program, Engine::Interpreter).ok()?.buffers;
    let contents = program.buffers(&entry);
    match run_there(device, &program.wgsl(), "main", &program.overrides(), program.groups, &contents) {
        Ok(there) => difference(program, &entry, &here, &there),
        Err(error) => Some(format!("refused: {error}")),
    }
}

#[test]
fn random_programs_come_out_as_on_the_device() {
    let Some(device) = device() else { return };
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let (programs, first) = match number("WHARF_PROGRAMS") {
        Some(programs) => (programs, number("WHARF_SEED").unwrap_or(now)),
        None => (30, 1),
    };
    println!("{programs} programs from WHARF_SEED={first} on {}", device.capabilities().name);
    for seed in first..first + programs {
        let program = Program::from_seed(seed, Features::PORTABLE);
        if let Some(line) = disagreement(&device, &program) {
            let kind = |line: &str| line.split(['[', ':']).next().unwrap_or_default().to_owned();
            let same = |smaller: &Program| disagreement(&device, smaller).is_some_and(|l| kind(&l) == kind(&line));
            let small = program.shrink(same);
            panic!("seed {seed}\n{}\n{}", small.wgsl(), disagreement(&device, &small).unwrap_or_default());
        }
    }
}
