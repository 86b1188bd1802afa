//! What can go wrong, as facts.

use std::fmt;

/// A place in the WGSL source. Both numbers count from 1; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// Line.
    pub line: u32,
    /// Column of the first character.
    pub column: u32,
}

impl Location {
    /// The place where `span` begins in `source`, or none where naga kept no span.
    pub(crate) fn of(span: naga::Span, source: &str) -> Option<Self> {
        let start = span.to_range()?.start;
        let before = source.get(..start)?;
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Some(Self {
            line: u32::try_from(before.matches('\n').count()).unwrap_or(u32::MAX - 1) + 1,
            column: u32::try_from(before[line_start..].chars().count()).unwrap_or(u32::MAX - 1) + 1,
        })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Writes `3:14: ` before a message that has a place, and nothing before one that has none.
struct At(Option<Location>);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(location) => write!(f, "{location}: "),
            None => Ok(()),
        }
    }
}

/// Everything this crate answers instead of a result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is not WGSL.
    #[error("{}{message}", At(*at))]
    Parse {
        /// Where, if the parser said so.
        at: Option<Location>,
        /// The parser's message.
        message: String,
        /// Further remarks of the parser.
        notes: Vec<String>,
    },
    /// The text is WGSL, but breaks one of its rules.
    #[error("{}{message}", At(*at))]
    Invalid {
        /// Where, if the validator said so.
        at: Option<Location>,
        /// The validator's message, from the outermost cause to the innermost.
        message: String,
    },
    /// Valid WGSL that does not run here: one of the refusals in the crate's list.
    #[error("{}{what} cannot run on the CPU", At(*at))]
    Refused {
        /// Where it is used or declared.
        at: Option<Location>,
        /// What it is: `a texture`, `a sampler`.
        what: String,
    },
    /// The module has no compute entry point of this name.
    #[error("no compute entry point `{name}`; there is {}", list(available))]
    NoSuchEntry {
        /// The name that was asked for.
        name: String,
        /// The names there are.
        available: Vec<String>,
    },
    /// A pipeline override has no value, a value that does not fit, or does not exist.
    #[error("{}override: {message}", At(*at))]
    Override {
        /// Where it is declared or, where naga does not say which it is, the entry point; none where the module
        /// has no such override.
        at: Option<Location>,
        /// Which, and what is wrong.
        message: String,
    },
    /// The kernel asks for more of something than this machine should give it.
    #[error("{}{what}", At(*at))]
    Limit {
        /// Where it asks.
        at: Option<Location>,
        /// What is too much, with the numbers.
        what: String,
    },
    /// The number of buffers given is not the number of bindings.
    #[error("`{entry}` binds {expected} buffers, got {got}")]
    ArgumentCount {
        /// The entry point.
        entry: String,
        /// Its bindings.
        expected: usize,
        /// The buffers given.
        got: usize,
    },
    /// A buffer is too small for its binding, or too large to be addressed.
    #[error("`{binding}` needs {min_bytes} to {max_bytes} bytes, got {got}")]
    ArgumentSize {
        /// The variable's name.
        binding: String,
        /// The fewest bytes that can be bound.
        min_bytes: u64,
        /// The most.
        max_bytes: u64,
        /// The bytes given.
        got: u64,
    },
    /// A buffer is not aligned.
    #[error("`{binding}` needs an address that is a multiple of {align}")]
    ArgumentAlign {
        /// The variable's name.
        binding: String,
        /// The alignment in bytes.
        align: u64,
    },
    /// A buffer that may only be read is bound where the kernel may write.
    #[error("`{binding}` is written by the kernel and needs a buffer that may be written")]
    ArgumentReadOnly {
        /// The variable's name.
        binding: String,
    },
    /// Some invocations of a workgroup came to a barrier, others did not.
    #[error("{}only {arrived} of {of} invocations of workgroup {workgroup:?} reach this barrier", At(*at))]
    Divergence {
        /// The barrier.
        at: Option<Location>,
        /// The workgroup.
        workgroup: [u32; 3],
        /// Invocations that came.
        arrived: u32,
        /// Invocations of a workgroup.
        of: u32,
    },
    /// The invocations of a workgroup do not agree on where `workgroupUniformLoad` reads.
    #[error("{}the invocations of workgroup {workgroup:?} load from different places", At(*at))]
    NotUniform {
        /// The load.
        at: Option<Location>,
        /// The workgroup.
        workgroup: [u32; 3],
    },
    /// The dispatch was asked to stop. Buffers hold what was written so far.
    #[error("stopped")]
    Stopped,
}

/// `a, b and c`, or `none`.
fn list(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        [one] => format!("`{one}`"),
        [rest @ .., last] => {
            let rest: Vec<_> = rest.iter().map(|name| format!("`{name}`")).collect();
            format!("{} and `{last}`", rest.join(", "))
        }
    }
}

/// One line from an error and its causes, outermost first.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !line.ends_with(&text) {
            line = format!("{}: {text}", line.trim_end_matches('.'));
        }
        cause = inner.source();
    }
    line.replace('\n', " ")
}
