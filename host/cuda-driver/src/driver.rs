//! The driver's library: found and opened once, on first use, and never closed.

#![expect(unsafe_code, reason = "a library that is named at run time is loaded and its functions looked up")]

use std::env;
use std::error::Error;
use std::ffi::{CStr, OsString, c_char, c_uint, c_void};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::OnceLock;

use libloading::Library;

use crate::{Missing, code};

/// Names another library to be used as the driver.
pub const DRIVER_VARIABLE: &str = "WHARF_CUDA_DRIVER";

/// The driver's own name: the system's loader knows where it lies.
const DRIVER_NAME: &str = if cfg!(windows) { "nvcuda.dll" } else { "libcuda.so.1" };

/// A library that links this crate cannot export a second `cuInit`. As a driver (software, for tests)
/// it exports one function instead, which hands out the entry points by name, or null.
const HOOK: &CStr = c"wharf_cuda_entry_point";
type Hook = unsafe extern "C" fn(*const c_char) -> *mut c_void;

/// An address in a library that is never closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Address(NonNull<c_void>);

// SAFETY: code does not move, and the library that holds it is never closed.
unsafe impl Send for Address {}
// SAFETY: as above; nothing is ever written through it.
unsafe impl Sync for Address {}

impl Address {
    pub(crate) fn as_ptr(self) -> *mut c_void {
        self.0.as_ptr()
    }
}

pub(crate) struct Driver {
    pub(crate) path: PathBuf,
    library: Library,
    hook: Option<Hook>,
}

/// The driver of this process, or why there is none; settled by the first call.
pub(crate) fn driver() -> Result<&'static Driver, &'static Missing> {
    static DRIVER: OnceLock<Result<Driver, Missing>> = OnceLock::new();
    DRIVER.get_or_init(|| open(env::var_os(DRIVER_VARIABLE))).as_ref()
}

fn open(named: Option<OsString>) -> Result<Driver, Missing> {
    let path = named.filter(|name| !name.is_empty()).map_or_else(|| DRIVER_NAME.into(), PathBuf::from);
    let library = load("CUDA driver", &path)?;
    // SAFETY: a library that exports this name does so to this module's signature.
    let hook = unsafe { library.get::<Hook>(HOOK).ok().map(|hook| *hook) };
    Ok(Driver { path, library, hook })
}

/// Loads a library by path, or by a name that the system's loader resolves.
pub(crate) fn load(what: &'static str, path: &Path) -> Result<Library, Missing> {
    // SAFETY: the libraries opened here are NVIDIA's own or one that the user named for this use;
    // what they do when loaded is to prepare themselves.
    unsafe { Library::new(path) }.map_err(|error| {
        let reason = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        let own = format!("{}: ", path.display());
        Missing { what, looked_for: path.to_owned(), reason: reason.strip_prefix(&own).unwrap_or(&reason).to_owned() }
    })
}

impl Driver {
    /// The entry point of exactly this name.
    pub(crate) fn find(&self, name: &CStr) -> Option<Address> {
        let found = match self.hook {
            // SAFETY: the hook takes a C string.
            Some(hook) => unsafe { hook(name.as_ptr()) },
            None => find(&self.library, name)?.as_ptr(),
        };
        NonNull::new(found).map(Address)
    }
}

/// The function or variable of this name in a library that is never closed.
pub(crate) fn find(library: &Library, name: &CStr) -> Option<Address> {
    // SAFETY: the address is only looked up; whoever calls it says what it is.
    let symbol = unsafe { library.get::<*mut c_void>(name) }.ok()?;
    NonNull::new(*symbol).map(Address)
}

/// An entry point, looked up on first use.
pub(crate) struct Entry {
    name: &'static CStr,
    address: OnceLock<Result<Address, c_uint>>,
}

impl Entry {
    /// # Panics
    ///
    /// At compile time, when the name does not end in its only NUL.
    pub(crate) const fn new(name: &'static str) -> Self {
        let Ok(name) = CStr::from_bytes_with_nul(name.as_bytes()) else { panic!("the name ends in NUL") };
        Self { name, address: OnceLock::new() }
    }

    /// Where the entry point lies, or the result code that says why it does not.
    pub(crate) fn address(&self) -> Result<Address, c_uint> {
        *self.address.get_or_init(|| match driver() {
            Ok(driver) => driver.find(self.name).ok_or(code::NOT_FOUND),
            Err(_) => Err(code::NO_DEVICE),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_that_is_not_there_is_named_with_the_reason() {
        let path = "/nowhere/libnone.so";
        let missing = open(Some(path.into())).err().expect("there is no such file");
        assert_eq!(missing.looked_for, Path::new(path));
        assert!(missing.to_string().starts_with("no CUDA driver: /nowhere/libnone.so: "), "{missing}");
        assert_eq!(missing.to_string().matches(path).count(), 1, "{missing}");
        assert!(!missing.to_string().contains('\n'), "{missing}");
    }

    #[test]
    fn a_library_without_the_entry_point_does_not_have_it() {
        // Any library will do; this one is on every system that the test runs on.
        let name = if cfg!(windows) { "kernel32.dll" } else { "libc.so.6" };
        let Ok(library) = open(Some(name.into())) else {
            eprintln!("skipped: {name} was not found");
            return;
        };
        assert_eq!(library.find(c"cuInit"), None);
    }
}
