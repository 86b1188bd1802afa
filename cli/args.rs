//! The command line.

use std::{ffi::OsString, str::FromStr};

use clap::{Args, CommandFactory, Parser, Subcommand, error::ErrorKind};

use crate::{
    batch::Batch,
    bench::Bench,
    devices::Devices,
    exit::{Failure, Outcome},
    kernels::Kernels,
    output,
    run::{Check, Run},
    soak::Soak,
    trace::Trace,
};

/// Kernels on every device of the machine, and messages to them.
#[derive(Debug, Parser)]
#[command(name = "wharf", version, arg_required_else_help = false, after_help = AFTER)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER: &str = "\
Exit codes: 0 done; 1 something was found or fell short; 2 wrong usage or input, or no such device;
3 a device or a kernel failed; 130 Ctrl-C. `batch` has two more, see `wharf help batch`.

Environment: WHARF_DEVICE names the device that is used where --device names none;
WHARF_THREADS bounds the threads of the CPU device, 1 to 1024; WHARF_CACHE is the folder where it keeps
what it measured.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the devices of this machine, best first.
    Devices(Devices),
    /// Run a kernel, of a WGSL file or of the library, with bindings from the command line.
    Run(Run),
    /// Check a kernel, of a WGSL file or of the library: races, barriers, bounds, uninitialised reads, endless loops.
    ///
    /// It sees the paths that the given data takes, and not what was meant: an index of another element
    /// that may be read or written there gives a wrong answer and no finding. Compare answers as well.
    Check(Check),
    /// List the kernels of the library.
    Kernels(Kernels),
    /// Run a job over more data than memory.
    Batch(Batch),
    /// Measure transfers: GB/s by size, and message latency.
    Bench(Bench),
    /// Send random messages for a long time, also to a device with faults, and check all of them.
    Soak(Soak),
    /// Record a Perfetto trace of any wharf command.
    ///
    /// The exit code is the other command's. The trace is written whenever the other command ran,
    /// also where it failed, and stderr says where and how many messages. After Ctrl-C, or where the other
    /// command's own words are wrong, nothing is written.
    ///
    /// Messages that the device did together, e.g. in one submission of wgpu, share their start and their finish:
    /// each is shown for the whole time, called `one of N together`, with `shared` among its arguments and
    /// without `gbytes_per_s`. That is left out, too, where nothing was copied.
    ///
    /// What a lane of a device did at once has tracks of its own, `upload`, `upload 2` and so on. Fences, and messages
    /// that the device never had, e.g. cancelled ones, stand beside them as async slices.
    ///
    /// The clock of a simulated device is virtual. What has its times says so in the name of its process, and lies on
    /// no common axis with the rest, e.g. with what another device did after it was lost.
    ///
    /// A batch is filled and merged by the host: its trace has tracks for these, beside the devices', and the batch's
    /// number is the `tag` of all that belongs to it. What is done outside the run, to measure, has `tag` 0.
    Trace(Trace),
    /// Reserved.
    #[command(hide = true)]
    Advise(Reserved),
}

/// A word that is kept for later, whatever follows it.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Reserved {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _rest: Vec<OsString>,
}

/// The command that these arguments name, the program's own name first.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Outcome<Command> {
    let args: Vec<OsString> = args.into_iter().collect();
    match Cli::try_parse_from(&args) {
        Ok(cli) => Ok(cli.command),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                output::text(&error.render().to_string())?;
                Err(Failure::silent())
            }
            ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Err(Failure::usage(
                "a command is missing: devices, run, check, kernels, batch, bench, soak or trace; see `wharf help`",
            )),
            kind => {
                let command = command_of(&args);
                let lacks_command = kind == ErrorKind::UnknownArgument || kind == ErrorKind::MissingRequiredArgument;
                let advice = match command {
                    Some("trace") if lacks_command => {
                        "; the command goes behind `--`, as in `wharf trace FILE -- batch q6`"
                    }
                    _ => "",
                };
                Err(Failure::usage(one_line(&error.render().to_string(), advice, command)))
            }
        },
    }
}

/// The command that was meant, where there is one of that name.
fn command_of(args: &[OsString]) -> Option<&str> {
    let word = args.get(1)?.to_str()?;
    let cli = Cli::command();
    cli.get_subcommands().any(|c| c.get_name() == word && !c.is_hide_set()).then_some(word)
}

/// clap's message without its headline word and usage, and our advice; of clap's tips, the words that may have
/// been meant.
fn one_line(text: &str, advice: &str, command: Option<&str>) -> String {
    let what: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    let what = what.join(" ");
    let mut line = what.strip_prefix("error: ").unwrap_or(&what).to_owned();
    let tips = text.lines().filter_map(|line| line.trim().strip_prefix("tip: "));
    for tip in tips.filter(|tip| tip.contains("similar")) {
        line += &format!("; {tip}");
    }
    line += advice;
    match command {
        Some(command) => line + &format!("; see `wharf help {command}`"),
        None => line + "; see `wharf help`",
    }
}

/// A whole number from 1 on.
pub(crate) fn at_least_one<T: FromStr + PartialOrd + From<u8>>(text: &str) -> Result<T, String> {
    let number = text.parse().ok().filter(|n| *n >= T::from(1));
    number.ok_or_else(|| format!("a whole number from 1 to 2^{} - 1 is expected", 8 * size_of::<T>()))
}

pub(crate) fn whole(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "a whole number from 0 to 2^64 - 1 is expected".to_owned())
}

/// `4096`, `64KiB`, `1.5GB`.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 10] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("kB", 1_000),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("B", 1),
    ];
    let unit = UNITS.iter().find_map(|(unit, by)| Some((text.strip_suffix(unit)?.trim_end(), *by)));
    let (number, by) = unit.unwrap_or((text, 1));
    let number = number.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
    number
        .map(|n| (n * by as f64) as u64)
        .ok_or_else(|| "a size is expected, e.g. 64MiB, in B, KiB, MiB, GiB, TiB, kB, MB, GB or TB".to_owned())
}
