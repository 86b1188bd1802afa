//! What a checked run found.

use std::fmt;

use crate::error::Location;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Two invocations access the same memory, one of them writes, and nothing orders them.
    Race,
    /// A barrier or uniform load that not all invocations of a workgroup reach alike.
    Divergence,
    /// An index beyond its array.
    Bounds,
    /// A read of workgroup memory or of a fresh buffer before any write.
    Uninitialised,
    /// An invocation that did not end within its steps.
    Budget,
}

impl Kind {
    /// As it is written in reports: `race`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Race => "race",
            Self::Divergence => "divergence",
            Self::Bounds => "bounds",
            Self::Uninitialised => "uninitialised",
            Self::Budget => "budget",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// WGSL does not define what happens, or the result depends on chance.
    Error,
    /// WGSL defines it, CUDA does not; or what comes out may depend on the order in which a device runs
    /// invocations, and the author may know better.
    Portability,
}

impl Severity {
    /// As it is written in reports: `error`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Portability => "portability",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One invocation of a dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Invocation {
    /// `workgroup_id`
    pub workgroup: [u32; 3],
    /// `local_invocation_id`
    pub local: [u32; 3],
}

impl fmt::Display for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([gx, gy, gz], [x, y, z]) = (self.workgroup, self.local);
        write!(f, "({x}, {y}, {z}) of workgroup ({gx}, {gy}, {gz})")
    }
}

/// One thing that a checked run found, however often it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What is wrong.
    pub kind: Kind,
    /// How bad it is.
    pub severity: Severity,
    /// Where it was noticed.
    pub at: Option<Location>,
    /// The other access of a race.
    pub other: Option<Location>,
    /// Who was involved the first time: of a race both, the one at `at` first.
    pub invocations: Vec<Invocation>,
    /// The memory, as `name[index]`; the first time.
    pub address: Option<String>,
    /// How many times.
    pub count: u64,
    /// What happened, in a sentence.
    pub message: String,
    /// What is usually meant instead.
    pub fix: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = self.at {
            write!(f, "{at}: ")?;
        }
        write!(f, "{} ({}): {}", self.kind, self.severity, self.message)?;
        for (i, invocation) in self.invocations.iter().enumerate() {
            write!(f, "{} {invocation}", if i == 0 { "; invocation" } else { " and" })?;
        }
        if let Some(other) = self.other {
            write!(f, "; the other access is at {other}")?;
        }
        if self.count > 1 {
            write!(f, "; {} times", self.count)?;
        }
        write!(f, ". {}", self.fix)
    }
}

/// When a checked run gives up on a workgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Instructions an invocation may take; it is told at the end of a loop's round that it has taken more.
    pub max_steps: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { max_steps: 10_000_000 }
    }
}
