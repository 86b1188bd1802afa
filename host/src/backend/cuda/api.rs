//! The driver's calls as this backend uses them: checked, and owned by types that end them. Here:
//! failures, the context and memory.
//!
//! `cust` serves where its types fit (devices, contexts). Its streams drop the non-blocking flag, its
//! events cannot be pooled and its modules keep the compiler's log to themselves; there the entry
//! points are called by name. Everything here expects the context to be current on the thread, see
//! [`Context::enter`].

#![expect(unsafe_code, reason = "the driver's C interface is called")]

use std::ffi::CStr;
use std::fmt;
use std::ptr;

use cust::context::Context as Primary;
use cust::sys;

/// A call that the driver refused.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failure {
    op: &'static str,
    code: sys::CUresult,
}

pub(super) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    pub(super) fn op(self) -> &'static str {
        self.op
    }

    pub(super) fn is_out_of_memory(self) -> bool {
        self.code == sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY
    }

    /// Whether every later call of this context will fail as well: the driver calls such errors
    /// sticky. Uncorrectable memory and link errors, faults of a kernel and a destroyed context are.
    pub(super) fn loses_device(self) -> bool {
        matches!(self.code as u32, 4 | 214 | 220 | 700 | 702 | 709 | 710 | 714..=719 | 999)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = ptr::null();
        // SAFETY: `text` may be written, and the driver's texts are C strings that stay.
        let text = unsafe {
            let code = sys::cuGetErrorString(self.code, &raw mut text);
            let found = code == sys::CUresult::CUDA_SUCCESS && !text.is_null();
            if found { CStr::from_ptr(text) } else { c"no text" }
        };
        write!(f, "{:?} ({})", self.code, text.to_string_lossy())
    }
}

pub(super) fn check(op: &'static str, code: sys::CUresult) -> Result<()> {
    match code {
        sys::CUresult::CUDA_SUCCESS => Ok(()),
        code => Err(Failure { op, code }),
    }
}

/// The device's primary context, which other CUDA libraries of the process share.
#[derive(Debug)]
pub(super) struct Context(Primary);

/// Makes a context current on this thread until it is dropped.
#[derive(Debug)]
pub(super) struct Entered<'a>(&'a Context);

impl Context {
    pub(super) fn new(device: cust::device::Device) -> cust::error::CudaResult<Self> {
        let before = current();
        let context = Primary::new(device);
        // `cust` leaves the new context current; a thread of the caller's keeps what it had.
        set_current(before);
        context.map(Self)
    }

    /// Makes the context current; the one before is current again once the answer is dropped.
    pub(super) fn enter(&self) -> Result<Entered<'_>> {
        // SAFETY: the context lives as long as `self`.
        check("enter context", unsafe { sys::cuCtxPushCurrent_v2(self.0.as_raw()) })?;
        Ok(Entered(self))
    }

    /// Makes the context current on a thread that never needs another.
    pub(super) fn bind(&self) {
        set_current(self.0.as_raw());
    }

    /// Free and total bytes of device memory.
    pub(super) fn memory(&self) -> Result<(u64, u64)> {
        let (mut free, mut total) = (0, 0);
        // SAFETY: both may be written.
        check("ask for free memory", unsafe { sys::cuMemGetInfo_v2(&raw mut free, &raw mut total) })?;
        Ok((free as u64, total as u64))
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let mut left = ptr::null_mut();
        // SAFETY: `left` may be written; the thread entered the context and so has one to leave.
        let code = unsafe { sys::cuCtxPopCurrent_v2(&raw mut left) };
        debug_assert!(code != sys::CUresult::CUDA_SUCCESS || left == self.0.0.as_raw());
    }
}

fn current() -> sys::CUcontext {
    let mut context = ptr::null_mut();
    // SAFETY: `context` may be written; it stays null where the call fails.
    let _ = unsafe { sys::cuCtxGetCurrent(&raw mut context) };
    context
}

fn set_current(context: sys::CUcontext) {
    // SAFETY: null, or a context that is alive. A failure shows at the thread's next call.
    let _ = unsafe { sys::cuCtxSetCurrent(context) };
}

/// Device memory that is not zeroed.
pub(super) fn device_alloc(bytes: u64) -> Result<u64> {
    let mut address = 0;
    let bytes = usize::try_from(bytes).expect("checked against the device's memory");
    // SAFETY: `address` may be written.
    check("allocate device memory", unsafe { sys::cuMemAlloc_v2(&raw mut address, bytes) })?;
    Ok(address)
}

/// Gives device memory back; a wrong address the driver refuses. On a lost device the call fails, and
/// the memory is gone anyway.
pub(super) fn device_free(address: u64) {
    // SAFETY: the driver waits for the work that uses the memory, and host memory is not concerned.
    let _ = unsafe { sys::cuMemFree_v2(address) };
}

/// Page-locked host memory, good for every context of the process.
pub(super) fn host_alloc(bytes: u64) -> Result<*mut u8> {
    const PORTABLE: u32 = 1;
    let mut address = ptr::null_mut();
    let bytes = usize::try_from(bytes).expect("the host's memory is addressable");
    // SAFETY: `address` may be written.
    check("allocate page-locked memory", unsafe { sys::cuMemHostAlloc(&raw mut address, bytes, PORTABLE) })?;
    Ok(address.cast())
}

/// # Safety
///
/// The address came from [`host_alloc`], and neither host nor device uses it now or later.
pub(super) unsafe fn host_free(address: *mut u8) {
    // SAFETY: the caller's promise.
    let _ = unsafe { sys::cuMemFreeHost(address.cast()) };
}
