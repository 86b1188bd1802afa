//! The programs that check themselves, on the device.

use wharf::Device;
use wharf_simt::Module;
use wharf_simt_fuzz::{Corner, corners};

use super::{device, run_there};

/// What is not run there, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("bounds", "WGSL leaves open what an index out of bounds reads and writes"),
    ("subgroups", "it expects subgroups of 16"),
    ("wide", "no device is opened with 64-bit scalars"),
    ("pointers", "naga 30.0.1 gives up on this module when it writes SPIR-V"),
];

fn wrong(device: &Device, corner: &Corner, entry: &str) -> Result<(), String> {
    let module = Module::new(&corner.wgsl).map_err(|error| error.to_string())?;
    let entry = module.entry(entry).map_err(|error| error.to_string())?;
    let (set, contents) = (Corner::overrides(entry), Corner::contents(entry));
    let there = run_there(device, &corner.wgsl, &entry.name, set, [1, 1, 1], &contents);
    Corner::verdict(entry, &there.map_err(|error| error.to_string())?)
}

#[test]
fn the_device_is_right_in_the_corners_too() {
    let Some(device) = device() else { return };
    let mut lines = Vec::new();
    for corner in corners() {
        if let Some((name, why)) = LEFT_OUT.iter().find(|(name, _)| *name == corner.name) {
            println!("{name}: {why}");
            continue;
        }
        if corner.wgsl.contains("enable f16") && !device.capabilities().f16 {
            eprintln!("SKIP {}: {} has no f16", corner.name, device.capabilities().name);
            continue;
        }
        let module = Module::new(&corner.wgsl).unwrap_or_else(|error| panic!("{}: {error}", corner.name));
        for entry in module.entries() {
            if let Err(line) = wrong(&device, &corner, &entry.name) {
                lines.push(format!("{} {}: {line}", corner.name, entry.name));
            }
        }
    }
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}
