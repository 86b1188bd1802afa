//! Compiled kernels.

#![expect(unsafe_code, reason = "the driver's C interface is called")]

use std::ffi::{CStr, CString};
use std::ptr;
use std::sync::Arc;

use cust::sys;

use super::api::{Context, check};

/// A loaded function and the module that holds it.
#[derive(Debug)]
pub(super) struct Function {
    function: sys::CUfunction,
    module: sys::CUmodule,
    context: Arc<Context>,
}

// SAFETY: the driver's handles may be used from any thread.
unsafe impl Send for Function {}
// SAFETY: as above.
unsafe impl Sync for Function {}

impl Function {
    pub(super) fn raw(&self) -> sys::CUfunction {
        self.function
    }

    /// Compiles PTX for the device.
    ///
    /// # Errors
    ///
    /// What the driver said, with the first line of its compiler's log where it wrote one.
    pub(super) fn from_ptx(context: &Arc<Context>, ptx: &str, name: &str) -> Result<Self, String> {
        let ptx = CString::new(ptx).map_err(|_| "the PTX holds a NUL".to_owned())?;
        let name = CString::new(name).map_err(|_| "the name holds a NUL".to_owned())?;
        let mut log = vec![0_u8; 8192];
        let mut options =
            [sys::CUjit_option::CU_JIT_ERROR_LOG_BUFFER, sys::CUjit_option::CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES];
        let mut values = [log.as_mut_ptr().cast(), ptr::without_provenance_mut(log.len())];
        let mut module = ptr::null_mut();
        // SAFETY: the PTX ends in NUL; options and values are of one length, and the log is as long
        // as they say.
        let loaded = check("load PTX", unsafe {
            let (options, values) = (options.as_mut_ptr(), values.as_mut_ptr());
            sys::cuModuleLoadDataEx(&raw mut module, ptx.as_ptr().cast(), 2, options, values)
        });
        loaded.map_err(|failure| {
            let log = CStr::from_bytes_until_nul(&log).unwrap_or_default().to_string_lossy();
            let line = log.lines().find(|line| !line.trim().is_empty()).unwrap_or("no log");
            format!("{failure}: {}", line.trim())
        })?;
        let mut loaded = Self { function: ptr::null_mut(), module, context: Arc::clone(context) };
        // SAFETY: the module is loaded, the name ends in NUL and the function may be written.
        check("find function", unsafe { sys::cuModuleGetFunction(&raw mut loaded.function, module, name.as_ptr()) })
            .map_err(|failure| format!("{failure}: no function {name:?} in the PTX"))?;
        Ok(loaded)
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let Ok(_entered) = self.context.enter() else { return };
        // SAFETY: the module is ours, and the backend finishes its streams before it drops functions.
        let _ = unsafe { sys::cuModuleUnload(self.module) };
    }
}
