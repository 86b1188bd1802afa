//! The command line.

use std::ffi::OsString;

use clap::{Args, Parser, Subcommand, error::ErrorKind};

use crate::{
    batch::Batch,
    bench::Bench,
    devices::Devices,
    exit::{Failure, Outcome},
    kernels::Kernels,
    output,
    run::{Check, Run},
    trace::Trace,
};

/// Kernels on every device of the machine, and messages to them.
#[derive(Debug, Parser)]
#[command(name = "wharf", version, arg_required_else_help = false)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the devices of this machine, best first.
    Devices(Devices),
    /// Run a WGSL file with bindings from the command line.
    Run(Run),
    /// Check a WGSL file: races, barriers, bounds, uninitialised reads, endless loops.
    Check(Check),
    /// List the kernels of the library.
    Kernels(Kernels),
    /// Run a job over more data than memory.
    Batch(Batch),
    /// Measure transfers: GB/s by size, and message latency.
    Bench(Bench),
    /// Record a Perfetto trace of any wharf command.
    Trace(Trace),
    /// Reserved.
    #[command(hide = true)]
    Advise(Reserved),
    /// Reserved.
    #[command(hide = true)]
    Soak(Reserved),
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
    match Cli::try_parse_from(args) {
        Ok(cli) => Ok(cli.command),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                output::text(&error.render().to_string())?;
                Err(Failure::silent())
            }
            ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Err(Failure::usage(
                "a command is missing: devices, run, check, kernels, batch, bench or trace; see `wharf help`",
            )),
            _ => Err(Failure::usage(one_line(&error.render().to_string()))),
        },
    }
}

/// clap's message without its headline word, tips and usage.
fn one_line(text: &str) -> String {
    let what: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    let what = what.join(" ");
    let what = what.strip_prefix("error: ").unwrap_or(&what);
    format!("{what}; see `wharf help`")
}
