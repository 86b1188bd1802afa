//! Whether the host has the memory that a run needs: said in a line before anything is made, since a
//! system that overcommits would end the process without one.

use std::fs;

use super::{
    bindings::Output,
    spec::Spec,
    values::{self, is_made_on_device},
};
use crate::exit::{Failure, Outcome};
use wharf::{BackendKind, Device};
use wharf_simt::Slot;

/// Refuses bindings that are over the device's limit, or over the host's memory all together.
pub(super) fn check(
    device: &Device,
    slots: &[Slot],
    specs: &[Spec],
    outputs: &[Output<'_>],
    limit: u64,
) -> Outcome<Vec<u64>> {
    // The memory of these devices is the host's.
    let on_host = u64::from(matches!(device.capabilities().backend, BackendKind::Cpu | BackendKind::Sim));
    let (mut sizes, mut need) = (Vec::with_capacity(slots.len()), 0_u64);
    for (i, (slot, spec)) in slots.iter().zip(specs).enumerate() {
        let bytes = values::bytes_of(slot, spec, limit)?;
        // Contents are made, then shared; an output is downloaded, packed and put into a file.
        let made = if is_made_on_device(slot, spec) { 0 } else { 2 };
        let written = 3 * outputs.iter().filter(|output| output.binding == i).count() as u64;
        need = need.saturating_add(bytes.saturating_mul(on_host + made + written));
        sizes.push(bytes);
    }
    match available_bytes() {
        Some(available) if need > available => Err(Failure::usage(format_args!(
            "the bindings need {need} bytes of host memory, {available} are available: smaller ones, and fewer --out, need less"
        ))),
        _ => Ok(sizes),
    }
}

/// Where the system says.
fn available_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}
