//! Virtual time.

use std::{
    fmt,
    ops::{Add, Sub},
    time::Duration,
};

/// A point or a span of virtual time in picoseconds: a whole number, so that one program has the same
/// times on every machine. 2^64 of them are 213 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub(crate) struct Time(u64);

impl Time {
    pub(crate) const ZERO: Self = Self(0);
    /// Later than everything.
    pub(crate) const NEVER: Self = Self(u64::MAX);

    /// The nearest picosecond; at most [`Time::NEVER`].
    pub(crate) fn of(seconds: f64) -> Self {
        Self((seconds * 1e12).round() as u64)
    }

    pub(crate) fn seconds(self) -> f64 {
        self.0 as f64 / 1e12
    }

    /// As descriptions spell it: `20ms`, in the largest unit of which it is a whole number.
    pub(crate) fn spelt(self) -> String {
        let units = [("s", 1_000_000_000_000), ("ms", 1_000_000_000), ("us", 1_000_000)];
        match units.iter().find(|(_, picoseconds)| self.0.is_multiple_of(*picoseconds)) {
            Some((unit, picoseconds)) => format!("{}{unit}", self.0 / picoseconds),
            None => format!("{}ns", self.0 as f64 / 1e3),
        }
    }

    /// Stretched by `factor`.
    pub(crate) fn times(self, factor: f64) -> Self {
        Self((self.0 as f64 * factor) as u64)
    }
}

/// Ends at [`Time::NEVER`].
impl Add for Time {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

/// Ends at [`Time::ZERO`].
impl Sub for Time {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl From<Duration> for Time {
    fn from(duration: Duration) -> Self {
        Self(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).saturating_mul(1000))
    }
}

/// Down to the nanosecond.
impl From<Time> for Duration {
    fn from(time: Time) -> Self {
        Self::from_nanos(time.0 / 1000)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.seconds())
    }
}
