//! Ctrl-C: the command ends with 130, and no file is left half-written.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use crate::exit::INTERRUPTED;

static STOP: AtomicBool = AtomicBool::new(false);
static LISTENS: AtomicBool = AtomicBool::new(false);
static FILES: Mutex<()> = Mutex::new(());

/// Watches for Ctrl-C from now on. A command that [`listen`]s is asked to stop first; any other, or
/// a second Ctrl-C, ends at once, but never while files are being written.
pub(crate) fn watch() {
    // Without a handler Ctrl-C still ends the process, by the signal itself.
    let _ = ctrlc::set_handler(|| {
        if LISTENS.load(SeqCst) && !STOP.swap(true, SeqCst) {
            return;
        }
        let _files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = std::io::Write::write_all(&mut std::io::stderr(), b"wharf: interrupted\n");
        std::process::exit(i32::from(INTERRUPTED));
    });
}

/// The flag that Ctrl-C sets for a command that looks at it often.
pub(crate) fn listen() -> &'static AtomicBool {
    LISTENS.store(true, SeqCst);
    &STOP
}

/// Whether Ctrl-C has asked a command that [`listen`]s to stop.
pub(crate) fn is_asked() -> bool {
    STOP.load(SeqCst)
}

/// Writes files: Ctrl-C waits until they are whole.
pub(crate) fn hold<T>(write: impl FnOnce() -> T) -> T {
    let _files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    write()
}
