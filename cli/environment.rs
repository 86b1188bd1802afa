//! What the command sets for the libraries it loads.
#![expect(unsafe_code, reason = "the environment is process-wide and unsynchronised")]

/// Mesa's layer for choosing a device asks the desktop's compositor and, where there is none, complains
/// on standard error. The command chooses devices itself, so that layer has nothing to do.
///
/// # Safety
/// No other thread runs yet.
pub(crate) unsafe fn quiet_drivers() {
    // SAFETY: nobody reads or writes the environment at the same time (the caller's promise).
    unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
}
