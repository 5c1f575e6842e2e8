//! The two times of a query: the wall clock for records and dates, a monotonic one for TTLs and timers.
//!
//! Values only. Reading the clock is left to [`crate::clock`].

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

pub use jiff::Timestamp;
use jiff::Unit;
use jiff::civil::Date;

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

/// A day of UTC, as the number of days since 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i32);

impl Day {
    const EPOCH: Date = Date::constant(1970, 1, 1);

    /// The day in which a moment lies.
    pub fn of(moment: Timestamp) -> Self {
        Self(i32::try_from(moment.as_second().div_euclid(86_400)).unwrap_or_default())
    }

    /// The day so many days later, or earlier if negative.
    #[must_use]
    pub fn plus(self, days: i32) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// How many days later than `earlier` it is.
    pub fn since(self, earlier: Self) -> i32 {
        self.0.saturating_sub(earlier.0)
    }

    /// Its date; the last one there is for a day beyond all calendars.
    pub fn date(self) -> Date {
        Self::EPOCH.checked_add(jiff::Span::new().days(self.0.clamp(-719_162, 2_932_896))).unwrap_or(Date::MAX)
    }
}

impl From<Date> for Day {
    fn from(date: Date) -> Self {
        let since = Self::EPOCH.until((Unit::Day, date)).map(|span| span.get_days()).unwrap_or_default();
        Self(since)
    }
}

/// As ISO 8601 has it.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.date())
    }
}

impl FromStr for Day {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        text.parse::<Date>().map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_its_date_and_holds_its_moments() {
        for (text, number) in [("1970-01-01", 0), ("1969-12-31", -1), ("2024-02-29", 19_782), ("2024-09-29", 19_995)] {
            let day: Day = text.parse().unwrap();
            assert_eq!((day, day.to_string().as_str()), (Day(number), text));
            let first = Timestamp::from_second(i64::from(number) * 86_400).unwrap();
            assert_eq!([Day::of(first), Day::of(first + jiff::SignedDuration::from_secs(86_399))], [day, day]);
        }
        assert_eq!(Day(19_995).since(Day(19_782)), 213);
        assert!("2024-02-30".parse::<Day>().is_err());
        assert_eq!(Day(i32::MAX).date(), Day(2_932_896).date());
    }
}
