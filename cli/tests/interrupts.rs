//! Ctrl-C, sent to a command that is under way.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{Ended, command};

/// CPU time after which a command is past its beginning, or time without any after which it hangs.
const UNDER_WAY: Duration = Duration::from_millis(300);
/// A tick of the times that the system tells.
const TICK: Duration = Duration::from_millis(10);

/// Whether the process has a handler for SIGINT, and the CPU time it has taken; `None` where the system does not tell.
fn state(pid: u32) -> Option<(bool, Duration)> {
    let read = |name| fs::read_to_string(format!("/proc/{pid}/{name}")).ok();
    let status = read("status")?;
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?.trim();
    let stat = read("stat")?;
    // The user's and the system's share are fields 14 and 15; the name before them may have spaces.
    let ticks = stat.rsplit_once(')')?.1.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u32>().ok());
    let handles = u64::from_str_radix(caught, 16).ok()? & 1 << 1 != 0;
    Some((handles, TICK * ticks.sum::<Option<u32>>()?))
}

/// Starts a command that would go on for long, and sends it SIGINT: once it listens for that, as before nobody can
/// promise anything, and is under way, as far as the system tells.
#[track_caller]
pub(crate) fn interrupted(folder: &Path, args: &[&str]) -> Ended {
    let mut command = command(folder, args);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let begun = Instant::now();
    let (mut listens, mut taken, mut since) = (false, Duration::ZERO, begun);
    while !listens || (taken < UNDER_WAY && since.elapsed() < UNDER_WAY) {
        assert!(child.try_wait().expect("a state").is_none(), "{args:?} goes on for long");
        assert!(begun.elapsed() < Duration::from_secs(60), "{args:?} listens for Ctrl-C");
        thread::sleep(Duration::from_millis(5));
        let now = state(child.id());
        // Where nobody tells, this is long enough for any machine that is not very busy.
        let (handles, took) = now.unwrap_or((begun.elapsed() > Duration::from_secs(3), taken));
        if (handles, took) != (listens, taken) {
            (listens, taken, since) = (handles, took, Instant::now());
        }
    }
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.expect("kill").success());
    child.wait_with_output().expect("it ends").into()
}
