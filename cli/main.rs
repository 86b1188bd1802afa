//! The `wharf` command: parses, calls, prints. What it promises to scripts is in `exit` and in the
//! JSON schemas beside it.

mod args;
mod batch;
mod bench;
mod devices;
mod environment;
mod exit;
mod faults;
mod interrupt;
mod kernels;
mod output;
mod panics;
mod run;
mod soak;
mod trace;

use std::process::ExitCode;

use self::args::Command;

#[expect(unsafe_code, reason = "see `environment`")]
fn main() -> ExitCode {
    // SAFETY: this is the first statement of the program: there is one thread.
    unsafe { environment::quiet_drivers() };
    panics::silence();
    interrupt::watch();
    let outcome = panics::catch(|| args::parse(std::env::args_os())?.run());
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

impl Command {
    fn run(&self) -> exit::Outcome {
        match self {
            Self::Devices(command) => command.run(),
            Self::Run(command) => command.run(),
            Self::Check(command) => command.run(),
            Self::Kernels(command) => command.run(),
            Self::Batch(command) => command.run(),
            Self::Bench(command) => command.run(),
            Self::Trace(command) => command.run(),
            Self::Advise(_) => Err(exit::Failure::reserved("advise")),
            Self::Soak(command) => command.run(),
        }
    }
}
