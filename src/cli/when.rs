//! Times as people write them: `2024-09-29`, `2024-09-29T06:00:00Z`, or `24h` for so long ago.

use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::{Date, date};
use jiff::fmt::temporal::Pieces;
use jiff::tz::TimeZone;

use crate::time::Timestamp;

/// A moment, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// So long before now.
    Ago(Duration),
    /// The beginning of a day.
    Day(Date),
    /// Exactly then.
    At(Timestamp),
}

/// Days that begin in every zone.
const DAYS: RangeInclusive<Date> = date(-9999, 1, 4)..=date(9999, 12, 29);

/// Why a text is no moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum WhenError {
    /// None of the forms.
    #[error("no time; write 2024-09-29, 2024-09-29T06:00:00Z, or 30m, 24h, 7d, 4w for so long ago")]
    Form,
    /// A moment that no clock here can show, in some zone at least.
    #[error("out of range: times go from -009999-01-04 to 9999-12-29")]
    Range,
}

impl FromStr for When {
    type Err = WhenError;

    fn from_str(text: &str) -> Result<Self, WhenError> {
        // `Date` alone would read a date and time, and forget the time.
        let day = (text.len() == "2024-09-29".len()).then(|| text.parse().ok()).flatten();
        if let Some(date) = day {
            return if DAYS.contains(&date) { Ok(Self::Day(date)) } else { Err(WhenError::Range) };
        }
        if let Some(span) = span(text) {
            return Ok(Self::Ago(span));
        }
        // What can be written down and is no moment here is too early or too late.
        let is_written = || Pieces::parse(text).is_ok_and(|pieces| pieces.offset().is_some());
        text.parse().map(Self::At).map_err(|_error| if is_written() { WhenError::Range } else { WhenError::Form })
    }
}

/// A whole number and a unit, as a span of time.
pub(super) fn span(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        "w" => 7 * 24 * 60 * 60,
        _ => return None,
    };
    let number: u32 = digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok())??;
    Some(Duration::from_secs(u64::from(number) * seconds))
}

impl When {
    /// The moment itself; a day begins at midnight in `zone`.
    pub(super) fn resolve(self, now: Timestamp, zone: &TimeZone) -> Timestamp {
        match self {
            Self::Ago(duration) => now.saturating_sub(duration).unwrap_or(Timestamp::MIN),
            Self::Day(date) => date.to_zoned(zone.clone()).map_or(Timestamp::MIN, |zoned| zoned.timestamp()),
            Self::At(moment) => moment,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let now: Timestamp = "2025-03-10T12:00:00Z".parse().unwrap();
        let moment = text.parse::<When>().unwrap().resolve(now, &TimeZone::UTC);
        assert_eq!(moment.to_string(), expected, "{text}");
    }

    #[test]
    fn a_moment_is_read_in_each_of_its_forms() {
        check("2024-09-29", "2024-09-29T00:00:00Z");
        check("2024-09-29T06:00:00Z", "2024-09-29T06:00:00Z");
        check("2024-09-29T06:00:00-04:00", "2024-09-29T10:00:00Z");
        check("2024-09-29 06:00:00.5Z", "2024-09-29T06:00:00.5Z");
        check("24h", "2025-03-09T12:00:00Z");
        check("7d", "2025-03-03T12:00:00Z");
        check("2w", "2025-02-24T12:00:00Z");
        check("30m", "2025-03-10T11:30:00Z");
        check("0s", "2025-03-10T12:00:00Z");
        check("4294967295w", "-009999-01-02T01:59:59Z");
    }

    #[test]
    fn a_day_begins_at_midnight_of_the_zone() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let moment = "2024-09-29".parse::<When>().unwrap().resolve(Timestamp::UNIX_EPOCH, &zone);
        assert_eq!(moment.to_string(), "2024-09-28T22:00:00Z");
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in ["", "h", "24", "-1h", "+1h", "1.5h", "24x", "2024-13-01", "2024-09-29T06:00:00", "yesterday", "é"]
        {
            assert_eq!(text.parse::<When>(), Err(WhenError::Form), "{text}");
        }
    }

    #[test]
    fn the_first_and_the_last_day_are_moments_in_every_zone_and_those_beyond_are_told() {
        for zone in ["Pacific/Kiritimati", "Etc/GMT+12", "UTC"].map(|name| TimeZone::get(name).unwrap()) {
            let begins = |text: &str| text.parse::<When>().unwrap().resolve(Timestamp::UNIX_EPOCH, &zone);
            assert!(begins("9999-12-29").to_string().starts_with("9999-12-2"));
            assert!(begins("0000-01-01") > Timestamp::MIN && begins("0000-01-01") < Timestamp::UNIX_EPOCH);
        }
        for text in ["9999-12-30", "9999-12-31", "9999-12-31T00:00:00Z", "9999-12-30T23:00:00-04:00"] {
            assert_eq!(text.parse::<When>(), Err(WhenError::Range), "{text}");
        }
    }
}
