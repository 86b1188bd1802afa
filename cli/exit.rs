//! How a command ends: one line on stderr, and a code that scripts may rely on.

use std::{fmt, io, process::ExitCode};

use wharf::FailureKind;

/// Done, and something was found or fell short.
pub(crate) const FELL_SHORT: u8 = 1;
/// Wrong usage or input, an unknown or absent device.
pub(crate) const USAGE: u8 = 2;
/// A device failed after it was opened.
pub(crate) const DEVICE: u8 = 3;
/// `batch`: the job or its input is wrong; trying again is no use.
pub(crate) const PERMANENT: u8 = 42;
/// `batch`: a device or an input failed in a way that may pass.
pub(crate) const TRY_AGAIN: u8 = 75;
/// Ctrl-C.
pub(crate) const INTERRUPTED: u8 = 130;

/// Why a command did not end well.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    /// One line; empty where there is nothing to say (a reader that went away).
    pub(crate) line: String,
}

/// What every command gives.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(code: u8, what: impl fmt::Display) -> Self {
        Self { code, line: what.to_string().replace(['\n', '\r'], " ") }
    }

    /// Wrong usage or input.
    pub(crate) fn usage(what: impl fmt::Display) -> Self {
        Self::new(USAGE, what)
    }

    /// A file that cannot be read or written.
    pub(crate) fn file(path: &std::path::Path, error: &io::Error) -> Self {
        Self::usage(format_args!("{}: {error}", path.display()))
    }

    /// A word that is kept for later.
    pub(crate) fn reserved(word: &str) -> Self {
        Self::usage(format_args!("`{word}` is a reserved word, this version does not have it"))
    }

    /// Nobody reads our output any more: that is their business, and no error.
    pub(crate) fn silent() -> Self {
        Self { code: 0, line: String::new() }
    }

    /// Says it, and gives the code.
    pub(crate) fn report(&self) -> ExitCode {
        if !self.line.is_empty() {
            // Where stderr is closed there is nobody to tell.
            let _ = io::Write::write_fmt(&mut io::stderr(), format_args!("wharf: {}\n", self.line));
        }
        ExitCode::from(self.code)
    }
}

impl From<wharf::Error> for Failure {
    fn from(error: wharf::Error) -> Self {
        use wharf::Error as E;
        let code = match error {
            E::Device { .. } | E::OutOfMemory { .. } | E::Refused { .. } | E::Transfer(_) => DEVICE,
            _ => USAGE,
        };
        Self::new(code, format_args!("{error}{}", help(&error)))
    }
}

/// What would help, where the error itself cannot know it: the flags are ours.
pub(crate) fn help(error: &wharf::Error) -> &'static str {
    fn is_shortage(kind: &FailureKind) -> bool {
        match kind {
            FailureKind::OutOfMemory(_) => true,
            FailureKind::Upstream { root } | FailureKind::Aborted { root, .. } => is_shortage(&root.kind),
            _ => false,
        }
    }
    match error {
        wharf::Error::OutOfMemory { .. } => SHORT,
        wharf::Error::Transfer(error) if is_shortage(&error.kind) => SHORT,
        _ => "",
    }
}

const SHORT: &str = "; less data at once, another --device, or a larger --device-memory where one is given, would help";
