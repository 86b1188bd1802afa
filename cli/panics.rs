//! A panic is a bug of ours; it still ends in one line and a code.
//!
//! Libraries that read foreign bytes catch their own panics and give errors: nothing is printed then.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, set_hook},
    sync::{Mutex, PoisonError},
};

use crate::exit::{DEVICE, Failure, Outcome};

static LAST: Mutex<Option<String>> = Mutex::new(None);

/// Keeps panics off stderr, and the last one in mind.
pub(crate) fn silence() {
    set_hook(Box::new(|info| {
        *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some(info.to_string());
    }));
}

/// Runs a command; a panic becomes a failure that says so.
pub(crate) fn catch(command: impl FnOnce() -> Outcome) -> Outcome {
    catch_unwind(AssertUnwindSafe(command)).unwrap_or_else(|_| {
        let last = LAST.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
        Err(Failure::new(DEVICE, format_args!("a bug of wharf's own: {last}")))
    })
}
