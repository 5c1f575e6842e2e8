//! The two times of a query: the wall clock for records and dates, a monotonic one for TTLs and timers.
//!
//! Values only. Reading the clock is left to [`crate::clock`].

use std::time::Duration;

pub use jiff::Timestamp;

/// Microseconds since the process started; never runs backwards, whatever happens to the wall clock. A cached answer takes
/// few of them, so milliseconds would measure nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(pub u64);

impl Mono {
    /// The time from `earlier` to `self`; zero if `earlier` is in fact later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// This moment plus `duration`, in whole microseconds.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }
}

/// The moment at which a query was read, on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Wall clock: what the record says and what the dates of a ban are compared with.
    pub wall: Timestamp,
    /// Monotonic clock: what TTLs and timers are measured with.
    pub mono: Mono,
}

/// RFC 3339 in UTC with milliseconds, as every table and JSON field of Embargo prints a time.
pub fn rfc3339(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}
