//! Durations and sizes as an operator writes them: `"30s"`, `"5m"`, `"64MiB"`, or plain seconds and bytes.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A number, or a text with a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Amount {
    /// Plain seconds or bytes.
    Number(u64),
    /// A number and a unit.
    Text(String),
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AmountVisitor)
    }
}

struct AmountVisitor;

impl Visitor<'_> for AmountVisitor {
    type Value = Amount;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or a text with a unit, for example \"30s\" or \"64MiB\"")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Amount, E> {
        u64::try_from(value).map(Amount::Number).map_err(|_negative| E::custom("a negative number makes no sense here"))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Amount, E> {
        Ok(Amount::Number(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Amount, E> {
        Ok(Amount::Text(value.to_owned()))
    }
}

/// Units of time, by milliseconds.
const TIMES: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Units of size, by bytes; those of powers of ten are another thing and not offered.
const SIZES: [(&str, u64); 5] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// The duration, to the millisecond; `None` when it is none or too long to count.
pub(super) fn duration(amount: &Amount) -> Option<Duration> {
    match amount {
        Amount::Number(seconds) => seconds.checked_mul(1_000),
        Amount::Text(text) => with_unit(text, &TIMES, 1_000),
    }
    .map(Duration::from_millis)
}

/// The bytes; `None` when it is no size or too large to count.
pub(super) fn bytes(amount: &Amount) -> Option<u64> {
    match amount {
        Amount::Number(bytes) => Some(*bytes),
        Amount::Text(text) => with_unit(text, &SIZES, 1),
    }
}

fn with_unit(text: &str, units: &[(&str, u64)], plain: u64) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let unit = unit.trim_start();
    let factor = if unit.is_empty() { plain } else { units.iter().find(|(name, _factor)| *name == unit)?.1 };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// The duration as an operator would write it: the largest unit that leaves no remainder.
pub(super) fn show_duration(duration: Duration) -> String {
    show(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX), &TIMES)
}

/// The size as an operator would write it.
pub(super) fn show_bytes(bytes: u64) -> String {
    show(bytes, &SIZES)
}

fn show(amount: u64, units: &[(&str, u64)]) -> String {
    let unit = units.iter().rev().find(|(_name, factor)| amount >= *factor && amount.is_multiple_of(*factor));
    match unit {
        Some((name, factor)) => format!("{}{name}", amount / factor),
        // Zero has no largest unit; the second one, seconds, reads best for time, and 0KiB is as good as 0B.
        None => format!("0{}", units[1].0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Amount {
        Amount::Text(text.to_owned())
    }

    #[test]
    fn durations_have_units_or_are_seconds() {
        let ms = |amount| duration(&amount).map(|duration| duration.as_millis());
        assert_eq!(ms(text("300ms")), Some(300));
        assert_eq!(ms(text("30s")), Some(30_000));
        assert_eq!(ms(text(" 5 m ")), Some(300_000));
        assert_eq!(ms(text("2")), Some(2_000));
        assert_eq!(ms(Amount::Number(7)), Some(7_000));
        for wrong in ["", "s", "1.5s", "-1s", "5 M", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(ms(text(wrong)), None, "{wrong:?}");
        }
    }

    #[test]
    fn sizes_have_binary_units_or_are_bytes() {
        assert_eq!(bytes(&text("64MiB")), Some(64 << 20));
        assert_eq!(bytes(&Amount::Number(512)), Some(512));
        assert_eq!(bytes(&text("64MB")), None);
        assert_eq!(bytes(&text("64 mib")), None);
    }

    #[test]
    fn what_is_shown_can_be_written() {
        for written in ["300ms", "90s", "2m", "36h", "400d", "0s"] {
            assert_eq!(show_duration(duration(&text(written)).unwrap()), written);
        }
        assert_eq!(show_bytes(64 << 20), "64MiB");
        assert_eq!(show_bytes(1_500), "1500B");
    }
}
