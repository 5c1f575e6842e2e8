//! Moments as people write them in a field, and as pages show them.

use super::trouble::Trouble;
use crate::time::{Day, Timestamp};

/// A moment in a table: UTC, to the second.
pub(super) fn to_the_second(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// A moment that is the text of a field: a date (00:00 UTC), RFC 3339, or so long ago: `24h`, `7d`, `30m`.
pub(super) fn moment(field: &str, text: &str, now: Timestamp) -> Result<Timestamp, Trouble> {
    let wrong = || {
        let examples = "2024-09-29, 2024-09-29T06:00:00Z, 24h, 7d";
        Trouble::Wrong(format!("{field} is no time: `{}`; write it as one of {examples}", crate::diag::shown(text)))
    };
    if let Ok(day) = text.parse::<Day>() {
        return Ok(begin(day));
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: u32 = text.strip_suffix(unit).and_then(|number| number.parse().ok()).ok_or_else(wrong)?;
    let ago = jiff::SignedDuration::from_secs(i64::from(number).saturating_mul(seconds));
    now.checked_sub(ago).map_err(|_error| wrong())
}

/// The day that is the text of a field.
pub(super) fn day(field: &str, text: &str) -> Result<Day, Trouble> {
    let wrong =
        |_error| Trouble::Wrong(format!("{field} is no date: `{}`; write it as 2024-09-29", crate::diag::shown(text)));
    text.parse().map_err(wrong)
}

/// The first moment of a day.
pub(super) fn begin(day: Day) -> Timestamp {
    Timestamp::from_second(i64::from(day.0) * 86_400).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_date_a_moment_or_so_long_ago() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("2026-02-28", "2026-02-28T00:00:00Z"),
            ("2026-02-28T06:30:00Z", "2026-02-28T06:30:00Z"),
            ("24h", "2026-02-28T12:00:00Z"),
            ("90m", "2026-03-01T10:30:00Z"),
            ("7d", "2026-02-22T12:00:00Z"),
        ] {
            assert_eq!(moment("Since", text, now).unwrap(), expected.parse::<Timestamp>().unwrap(), "{text}");
        }
        for text in ["", "h", "7w", "-3h", "yesterday", "4294967296d", "4294967295d", "é"] {
            assert!(moment("Since", text, now).is_err(), "{text}");
        }
    }
}
