//! The CUDA driver's entry points, looked up at run time.
//!
//! `cust` links the driver's library, so a program that uses it starts only where an NVIDIA driver is
//! installed. This crate exports the entry points that `cust` names, as functions of its own: each
//! opens the driver on first use and passes the call on. Where there is no driver they answer
//! `CUDA_ERROR_NO_DEVICE`, and `CUDA_ERROR_NOT_FOUND` where the driver lacks one. One binary then runs
//! with and without a driver, and neither building nor starting it needs a CUDA installation.
//!
//! The folder `toolkit/` holds the empty `libcuda.a` that the linker is given in the driver's place: set
//! `CUDA_LIBRARY_PATH` to it when building, as `.cargo/config.toml` does here. The environment variable
//! [`DRIVER_VARIABLE`] (`WHARF_CUDA_DRIVER`) names another library to be used as the driver.
//!
//! Link this crate into programs. A shared library built with it exports the driver's names, which only
//! does no harm while nothing else in the process looks for them there.

use std::ffi::{CStr, c_void};
use std::path::{Path, PathBuf};

mod code;
mod driver;
mod entry_points;
pub mod nvrtc;

pub use driver::DRIVER_VARIABLE;
pub use entry_points::ENTRY_POINTS;

/// A library that could not be opened: nothing is broken, this machine does not have it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Missing {
    /// What it would have been: `CUDA driver`, `NVRTC`.
    pub what: &'static str,
    /// The name or path that was tried.
    pub looked_for: PathBuf,
    /// What the system's loader said.
    pub reason: String,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let reason = self.reason.lines().next().unwrap_or("no reason was given");
        write!(f, "no {}: {}: {reason}", self.what, self.looked_for.display())
    }
}

impl std::error::Error for Missing {}

/// The library that serves as the driver, by the name it was opened under.
///
/// The first call, or the first call of an entry point, settles the answer for the process.
///
/// # Errors
///
/// [`Missing`] where it could not be opened; it prints as one line.
pub fn status() -> Result<&'static Path, &'static Missing> {
    driver::driver().map(|driver| driver.path.as_path())
}

/// The address of an entry point that is not in [`ENTRY_POINTS`], by exactly this name; `None` where
/// there is no driver or it does not have it. It stays good for the life of the process.
pub fn symbol(name: &CStr) -> Option<*mut c_void> {
    Some(driver::driver().ok()?.find(name)?.as_ptr())
}
