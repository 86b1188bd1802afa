//! How much memory the process has, and may have.

use super::{round::MOST_BYTES, tally::Violation};

/// Resident memory, in bytes, without what the device's pools keep to use again
/// ([`Device::pools`](wharf::Device::pools)): that has caps of its own, and how much of it there is follows from
/// the sizes that the rounds have drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {
    /// The most until the soak was warm.
    pub baseline: u64,
    /// The most.
    pub most: u64,
    /// Host buffers that lost devices kept: those are never freed, and counted apart.
    pub leaked: u64,
    /// What it may be: the baseline, what was leaked, what rounds may hold, and 32 MiB. `None` until the
    /// soak was warm.
    pub ceiling: Option<u64>,
}

/// What a process may grow by once it is warm, beside what the rounds under way may hold: rounds are
/// alike, so a leak is all that grows.
const ROOM: u64 = 32 << 20;

impl Memory {
    /// Looks at it now; the first look makes it.
    pub(super) fn measure(
        memory: &mut Option<Self>,
        is_warm: bool,
        threads: usize,
        idle: u64,
    ) -> Result<(), Violation> {
        let Some(now) = resident() else { return Ok(()) };
        let now = now.saturating_sub(idle);
        let memory = memory.get_or_insert(Self { baseline: now, most: now, leaked: 0, ceiling: None });
        memory.most = memory.most.max(now);
        if !is_warm {
            memory.baseline = memory.baseline.max(now);
            return Ok(());
        }
        let Self { baseline, leaked, .. } = *memory;
        let ceiling = baseline + leaked + threads as u64 * MOST_BYTES + ROOM;
        memory.ceiling = Some(ceiling);
        if now <= ceiling {
            return Ok(());
        }
        Err(format!(
            "{now} bytes of memory beside {idle} of idle blocks, over {ceiling}: {baseline} when warm, {leaked} kept by \
             lost devices"
        ))
    }
}

/// Bytes that are resident, where the system tells (Linux).
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_beyond_the_ceiling_is_a_violation() {
        let held = std::hint::black_box(vec![1_u8; 2 * ROOM as usize]);
        let mut memory = None;
        Memory::measure(&mut memory, false, 0, 0).expect("not warm yet");
        let Some(known) = &mut memory else { return eprintln!("SKIP: the system does not tell") };
        known.baseline = 0;
        let words = Memory::measure(&mut memory, true, 0, 0).expect_err("twice the room is held");
        assert!(words.contains("0 when warm"), "{words}");
        // Twice the room and no more is what the process has, if all of it is idle.
        let idle = resident().expect("it told before");
        Memory::measure(&mut memory, true, 0, idle).expect("what is idle does not count");
        drop(held);
    }
}
