//! The CUDA driver in software of `wharf-kernels`, where it is built.
//!
//! A process has one driver, settled at its first use: a figure runs on this one in a process of its own.

use std::{
    env::{
        self,
        consts::{DLL_PREFIX, DLL_SUFFIX},
    },
    process::Command,
};

use crate::{Error, Size};

/// Names the driver of a process.
const DRIVER: &str = "WHARF_CUDA_DRIVER";

/// The devices of a figure in this process: the named ones, or where another process started this one, the one
/// that is for.
pub(crate) fn devices(named: &[&'static str]) -> Vec<&'static str> {
    if env::var_os(DRIVER).is_some() { vec!["cuda:0"] } else { named.to_vec() }
}

/// Runs the figure on the software driver in another process, unless this is that one.
pub(crate) fn run(figure: &str, size: Size, settings: &[(&str, &str)]) -> Result<(), Error> {
    if env::var_os(DRIVER).is_some() {
        return Ok(());
    }
    let bench = env::current_exe()?;
    let profile = bench.parent().and_then(|deps| deps.parent()).ok_or("target/PROFILE/deps")?;
    let driver = profile.join("examples").join(format!("{DLL_PREFIX}soft_cuda{DLL_SUFFIX}"));
    if !driver.exists() {
        println!("{figure}, cuda: skipped, its software driver is built by `cargo build -p wharf-kernels --examples`");
        return Ok(());
    }
    let mut command = Command::new(bench);
    command.arg(figure).args((size == Size::Full).then_some("--bench"));
    let status = command.env(DRIVER, driver).envs(settings.iter().copied()).status()?;
    if status.success() { Ok(()) } else { Err("failed on the software driver".into()) }
}
