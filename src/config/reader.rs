//! One written value to one that cannot be wrong, or a mistake that points at it.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use toml::Spanned;
use toml::value::{Datetime, Offset};

use super::at::At;
use super::file::{Count, Measure, Moment, Text};
use super::suggest::nearest_first;
use super::units::{bytes, duration, show_bytes, show_duration};
use super::written;
use crate::diag::{Diagnostic, Severity, Source};
use crate::time::Timestamp;

/// Reads the values of one file and gathers its mistakes.
pub(super) struct Reader<'s> {
    /// The file.
    pub(super) source: &'s Source,
    /// All mistakes so far.
    pub(super) mistakes: Vec<Diagnostic>,
    /// Keys whose values had not even the right form, which was told: they are not missing.
    unfit: Vec<String>,
}

impl<'s> Reader<'s> {
    pub(super) fn new(source: &'s Source) -> Self {
        Self { source, mistakes: Vec::new(), unfit: Vec::new() }
    }

    /// The file as written; `None` after a fault of syntax.
    pub(super) fn file<T: for<'de> Deserialize<'de>>(&mut self) -> Option<T> {
        let written = written::read(self.source, &mut self.mistakes);
        self.unfit = written.unfit;
        written.value
    }

    /// The mistakes, in the order of the file.
    pub(super) fn finish(mut self) -> Vec<Diagnostic> {
        written::in_order(&mut self.mistakes);
        self.mistakes
    }

    pub(super) fn error(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.mistakes.push(self.source.error(span, message));
    }

    /// The value with its place, for messages that only a later step can write.
    pub(super) fn at<T>(&self, value: T, span: Range<usize>) -> At<T> {
        At::new(value, self.source, span)
    }

    /// One of a set of words.
    pub(super) fn word<T: Copy>(
        &mut self,
        written: &Text,
        what: &str,
        all: &[T],
        as_str: fn(T) -> &'static str,
    ) -> Option<At<T>> {
        let written = written.as_ref()?;
        let word = written.get_ref();
        if let Some(&value) = all.iter().find(|&&value| as_str(value) == word) {
            return Some(self.at(value, written.span()));
        }
        let known: Vec<&str> = all.iter().map(|&value| as_str(value)).collect();
        let known = nearest_first(word, &known).join(", ");
        self.error(written.span(), format!("unknown {what} `{word}`; known: {known}"));
        None
    }

    /// A duration within limits; `default` when nothing or nothing right is written.
    pub(super) fn duration(
        &mut self,
        written: &Measure,
        limits: RangeInclusive<Duration>,
        default: Duration,
    ) -> Duration {
        self.duration_at(written, limits).map_or(default, |at| at.value)
    }

    /// A duration within limits, with its place.
    pub(super) fn duration_at(&mut self, written: &Measure, limits: RangeInclusive<Duration>) -> Option<At<Duration>> {
        let written = written.as_ref()?;
        let Some(value) = duration(written.get_ref()) else {
            self.error(
                written.span(),
                "no duration; write for example \"300ms\", \"30s\", \"5m\", \"2h\", \"7d\" or seconds",
            );
            return None;
        };
        if !limits.contains(&value) {
            let (least, most) = (show_duration(*limits.start()), show_duration(*limits.end()));
            self.error(written.span(), format!("must be from {least} to {most}"));
            return None;
        }
        Some(self.at(value, written.span()))
    }

    /// Whole days within limits.
    pub(super) fn days(&mut self, written: &Measure, most: u32, default: u32) -> u32 {
        const DAY_SECONDS: u64 = 24 * 60 * 60;
        let limits = Duration::from_secs(DAY_SECONDS)..=Duration::from_secs(DAY_SECONDS * u64::from(most));
        let Some(at) = self.duration_at(written, limits) else { return default };
        if at.value.as_secs() % DAY_SECONDS != 0 || at.value.subsec_nanos() != 0 {
            self.mistakes.push(at.error("must be whole days, for example \"90d\""));
        }
        u32::try_from(at.value.as_secs() / DAY_SECONDS).unwrap_or(default)
    }

    /// A size within limits, in octets.
    pub(super) fn bytes(&mut self, written: &Measure, limits: RangeInclusive<u64>, default: u64) -> u64 {
        let Some(written) = written else { return default };
        match bytes(written.get_ref()) {
            None => self.error(written.span(), "no size; write for example \"512KiB\", \"64MiB\", \"4GiB\" or bytes"),
            Some(value) if limits.contains(&value) => return value,
            Some(_outside) => {
                let (least, most) = (show_bytes(*limits.start()), show_bytes(*limits.end()));
                self.error(written.span(), format!("must be from {least} to {most}"));
            }
        }
        default
    }

    /// A number of things within limits.
    pub(super) fn count<N: TryFrom<i64>>(&mut self, written: &Count, limits: RangeInclusive<i64>, default: N) -> N {
        let Some(written) = written else { return default };
        let value = *written.get_ref();
        match N::try_from(value) {
            Ok(count) if limits.contains(&value) => count,
            _ => {
                self.error(written.span(), format!("must be from {} to {}", limits.start(), limits.end()));
                default
            }
        }
    }

    /// A text that must be there and not be empty; `table` is what should hold it, if not the whole file.
    pub(super) fn required(&mut self, written: &Text, key: &str, table: Option<Range<usize>>) -> Arc<str> {
        match written {
            Some(text) if !text.get_ref().trim().is_empty() => return text.get_ref().as_str().into(),
            Some(empty) => self.error(empty.span(), format!("`{key}` is empty")),
            None => self.missing(key, table),
        }
        "".into()
    }

    /// Says that a key is missing, unless it stands there in a wrong form.
    pub(super) fn missing(&mut self, key: &str, table: Option<Range<usize>>) {
        let message = format!("`{key}` is missing");
        match table {
            _ if self.unfit.iter().any(|unfit| unfit == key) => (),
            Some(table) => self.error(table, message),
            None => {
                self.mistakes.push(Diagnostic::whole(Severity::Error, Arc::clone(&self.source.name), message));
            }
        }
    }

    /// A day; a time beside it is a mistake.
    pub(super) fn date(&mut self, written: &Moment) -> Option<Date> {
        let written = written.as_ref()?;
        let moment = written.get_ref();
        let date = match (moment.date, moment.time) {
            (Some(date), None) => civil(date),
            _ => None,
        };
        if date.is_none() {
            self.error(written.span(), "no date; write for example 2024-09-29");
        }
        date
    }

    /// A moment: a date begins at midnight in `zone`; a date and time without offset are meant in `zone` too.
    pub(super) fn moment(&mut self, written: &Moment, zone: &TimeZone) -> Option<At<Timestamp>> {
        let written = written.as_ref()?;
        if let Some(moment) = timestamp(written, zone) {
            return Some(self.at(moment, written.span()));
        }
        self.error(written.span(), "no date; write for example 2024-09-29 or 2024-09-29T06:00:00-04:00");
        None
    }
}

fn civil(date: toml::value::Date) -> Option<Date> {
    let number = |number: u8| i8::try_from(number).ok();
    Date::new(i16::try_from(date.year).ok()?, number(date.month)?, number(date.day)?).ok()
}

fn timestamp(written: &Spanned<Datetime>, zone: &TimeZone) -> Option<Timestamp> {
    let moment = written.get_ref();
    let date = civil(moment.date?)?;
    let number = |number: u8| i8::try_from(number).ok();
    let time = match moment.time {
        None => jiff::civil::Time::midnight(),
        Some(time) => {
            let nanos = i32::try_from(time.nanosecond.unwrap_or(0)).ok()?;
            jiff::civil::Time::new(number(time.hour)?, number(time.minute)?, number(time.second.unwrap_or(0))?, nanos)
                .ok()?
        }
    };
    let zone = match moment.offset {
        None => zone.clone(),
        Some(Offset::Z) => TimeZone::UTC,
        Some(Offset::Custom { minutes }) => {
            TimeZone::fixed(jiff::tz::Offset::from_seconds(i32::from(minutes) * 60).ok()?)
        }
    };
    date.to_datetime(time).to_zoned(zone).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(written: &str, zone: &str, expected: Option<&str>) {
        let datetime: Datetime = written.parse().unwrap();
        let zone = TimeZone::get(zone).unwrap();
        let found = timestamp(&Spanned::new(0..1, datetime), &zone).map(|moment| moment.to_string());
        assert_eq!(found.as_deref(), expected, "{written} in {zone:?}");
    }

    #[test]
    fn a_date_begins_at_midnight_of_the_zone() {
        check("2024-09-29", "UTC", Some("2024-09-29T00:00:00Z"));
        check("2024-09-29", "America/New_York", Some("2024-09-29T04:00:00Z"));
        check("2024-09-29T06:00:00-04:00", "UTC", Some("2024-09-29T10:00:00Z"));
        check("2024-09-29T06:00:00Z", "America/New_York", Some("2024-09-29T06:00:00Z"));
        check("2024-09-29T06:00:00", "Europe/Berlin", Some("2024-09-29T04:00:00Z"));
    }

    #[test]
    fn midnight_that_a_zone_skips_is_its_first_moment() {
        // Beirut went from 23:59:59 to 01:00:00 when 2022-03-27 began.
        check("2022-03-27", "Asia/Beirut", Some("2022-03-26T22:00:00Z"));
    }

    #[test]
    fn a_time_alone_is_no_date() {
        check("06:00:00", "UTC", None);
    }
}
