//! Pure: the core's own notion of time.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// An instant: the time since boot, suspend included (`CLOCK_BOOTTIME`).
///
/// Unlike [`std::time::Instant`] it can be written in a test, printed in a trace and skewed in a
/// simulation. Only differences between two of one host mean anything.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(Duration);

impl Timestamp {
    /// The instant of boot.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// Returns the instant `since_boot` after boot.
    pub const fn from_boot(since_boot: Duration) -> Self {
        Self(since_boot)
    }

    /// Returns the time since boot.
    pub const fn since_boot(self) -> Duration {
        self.0
    }

    /// Returns how long after `earlier` this is, or zero when it is not after.
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// Returns the instant `duration` before this one, not before boot.
    pub const fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

impl Sub<Self> for Timestamp {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}s", self.0.as_secs_f64())
    }
}
