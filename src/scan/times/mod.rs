//! Moments as logs write them: with a zone or without, with a year or without, right or wrong.

use std::ops::RangeInclusive;

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};

use crate::time::Timestamp;

use super::entry::Fault;

/// A log may be so far ahead of our own clock.
const AHEAD_MAX: SignedDuration = SignedDuration::from_hours(26);
/// 2000-01-01: whoever logs an earlier time has a clock that was never set.
const SET_FROM: i64 = 946_684_800;
/// Years that are tried for a day and month: a leap day comes every four years, but not in 2100.
const YEARS_TRIED: i16 = 8;
/// A line so many days before the first of a log is out of order, and not of the next year. A month and what its length may be off.
const OUT_OF_ORDER_DAYS: i64 = 34;
const MONTHS: [&[u8]; 12] =
    [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];

/// What a log leaves out of its times.
#[derive(Clone, Debug)]
pub(super) struct Times {
    /// The zone of times without one.
    pub(super) zone: TimeZone,
    /// Now, by our own clock.
    pub(super) now: Timestamp,
    /// When the log was written last: times without a year are of the latest year in which they are not after that.
    pub(super) written: Timestamp,
    /// The year of the first line, for times without one.
    pub(super) year: Option<i16>,
    /// Month and day of the first line: what comes before it in the calendar is of the next year.
    pub(super) begins: Option<(i8, i8)>,
    /// Whether a date in numbers has its day before its month.
    pub(super) day_first: bool,
}

impl Times {
    /// For a log that was written last at `written`.
    pub(super) fn new(zone: TimeZone, now: Timestamp, written: Timestamp) -> Self {
        Self { zone, now, written: written.min(now), year: None, begins: None, day_first: false }
    }

    /// The moment, unless no clock that was right said it.
    pub(super) fn sane(&self, at: Timestamp) -> Result<Timestamp, Fault> {
        if at.as_second() < SET_FROM {
            return Err(Fault::Unset);
        }
        if at.duration_since(self.now) > AHEAD_MAX { Err(Fault::Ahead) } else { Ok(at) }
    }

    /// A moment of this zone. An hour that comes twice, when clocks go back, is the first of the two; one that is left out, when
    /// they go forward, is as much later.
    pub(super) fn local(&self, at: DateTime) -> Result<Timestamp, Fault> {
        let at = self.zone.to_ambiguous_timestamp(at).compatible().map_err(|_beyond| Fault::Day)?;
        self.sane(at)
    }

    /// Seconds since 1970 with a fraction: `1700000000.123456`.
    pub(super) fn epoch(&self, text: &[u8]) -> Result<Timestamp, Fault> {
        const NONE: Fault = Fault::Unread("the time");
        let (whole, fraction) = match memchr::memchr(b'.', text) {
            Some(dot) => (&text[..dot], &text[dot + 1..]),
            None => (text, &b""[..]),
        };
        let seconds = digits(whole, 1..=12).ok_or(NONE)?;
        self.sane(Timestamp::new(seconds, nanos(fraction).ok_or(NONE)?).map_err(|_beyond| NONE)?)
    }

    /// The moment that a line begins with, and what is behind it: `28-Nov-2026 10:00:00.123`, `2026-11-28T10:00:00Z`,
    /// `Nov 28 10:00:00`, `[1700000000]`, each with a syslog priority in front or none.
    pub(super) fn leading<'l>(&self, line: &'l [u8]) -> Result<(Timestamp, &'l [u8]), Fault> {
        const NONE: Fault = Fault::Missing("time");
        let line = after_priority(line);
        match line {
            [b'[', rest @ ..] => {
                let end = memchr::memchr(b']', rest.get(..32.min(rest.len())).unwrap_or_default()).ok_or(NONE)?;
                Ok((self.epoch(&rest[..end])?, &rest[end + 1..]))
            }
            [_, _, b'-', _, _, _, b'-', ..] | [_, b'-', _, _, _, b'-', ..] => self.of_bind(line).ok_or(NONE)?,
            [first, _, _, b' ', ..] if first.is_ascii_alphabetic() => self.of_syslog(line).ok_or(NONE)?,
            [first, ..] if first.is_ascii_digit() => self.iso(line),
            _ => Err(NONE),
        }
    }

    /// `28-Nov-2026 10:00:00.123`.
    fn of_bind<'l>(&self, line: &'l [u8]) -> Option<Result<(Timestamp, &'l [u8]), Fault>> {
        let (day, rest) = split(line, b'-')?;
        let (month, rest) = split(rest, b'-')?;
        let (year, rest) = split(rest, b' ')?;
        let date = date(digits(year, 4..=4)?, month_of(month)?, digits(day, 1..=2)?);
        let (time, rest) = time_of(rest)?;
        Some(date.and_then(|date| Ok((self.local(date.to_datetime(time))?, rest))))
    }

    /// `Nov 28 10:00:00`, with a day of the week before it or none, and with a year or none.
    fn of_syslog<'l>(&self, line: &'l [u8]) -> Option<Result<(Timestamp, &'l [u8]), Fault>> {
        let (month, rest) = split(after_weekday(line), b' ')?;
        let (day, rest) = split(rest.trim_ascii_start(), b' ')?;
        let (month, day) = (month_of(month)?, digits(day, 1..=2)?);
        let (year, rest) = match rest {
            [a, b, c, d, b' ', rest @ ..] => (digits(&[*a, *b, *c, *d], 4..=4), rest),
            _ => (None, rest),
        };
        let (time, rest) = time_of(rest)?;
        // As asctime(3) writes it, and so the log of OpenWrt: the year stands last.
        let (year, rest) = match rest {
            [b' ', a, b, c, d, b' ', ..] if year.is_none() && line.len() != after_weekday(line).len() => {
                (digits(&[*a, *b, *c, *d], 4..=4), rest.get(5..).unwrap_or_default())
            }
            _ => (year, rest),
        };
        let at = match year {
            Some(year) => date(year, month, day).and_then(|date| self.local(date.to_datetime(time))),
            None => self.without_year(month, day, time),
        };
        Some(at.map(|at| (at, rest)))
    }

    /// A day and time of which the log does not say the year.
    fn without_year(&self, month: i64, day: i64, time: Time) -> Result<Timestamp, Fault> {
        if let Some(year) = self.year {
            // Lines come a little out of order: only one that lies far before the first is of the next year.
            let days = |month: i64, day: i64| month * 31 + day;
            let first = self.begins.map(|(month, day)| days(month.into(), day.into()));
            let earlier = first.is_some_and(|first| first - days(month, day) > OUT_OF_ORDER_DAYS);
            return self.local(date(i64::from(year) + i64::from(earlier), month, day)?.to_datetime(time));
        }
        let latest = self.written.saturating_add(AHEAD_MAX).unwrap_or(Timestamp::MAX);
        let last = latest.to_zoned(self.zone.clone()).year();
        let years = (0..YEARS_TRIED).filter_map(|back| date(i64::from(last - back), month, day).ok());
        let moments =
            years.filter_map(|date| self.zone.to_ambiguous_timestamp(date.to_datetime(time)).compatible().ok());
        moments.into_iter().find(|at| *at <= latest).ok_or(Fault::Day).and_then(|at| self.sane(at))
    }

    /// `2026-11-28T10:00:00.123+01:00`, or with a space for the `T`, and with a zone or none.
    pub(super) fn iso<'l>(&self, line: &'l [u8]) -> Result<(Timestamp, &'l [u8]), Fault> {
        const NONE: Fault = Fault::Missing("time");
        let (year, rest) = split(line, b'-').ok_or(NONE)?;
        let (month, rest) = split(rest, b'-').ok_or(NONE)?;
        let (day, rest) = rest.split_at_checked(2).ok_or(NONE)?;
        let rest = rest.strip_prefix(b"T").or(rest.strip_prefix(b" ")).ok_or(NONE)?;
        let number = |text, size| digits(text, size).ok_or(NONE);
        let date = date(number(year, 4..=4)?, number(month, 2..=2)?, number(day, 2..=2)?)?;
        let (time, rest) = time_of(rest).ok_or(NONE)?;
        let at = date.to_datetime(time);
        match zone_of(rest) {
            Some((offset, rest)) => {
                let at = offset.to_timestamp(at).map_err(|_beyond| Fault::Day)?;
                Ok((self.sane(at)?, rest))
            }
            None => Ok((self.local(at)?, rest)),
        }
    }

    /// The same of a log whose times are those of UTC where they name no zone.
    pub(super) fn iso_in_utc(&self, text: &[u8]) -> Result<Timestamp, Fault> {
        if self.zone == TimeZone::UTC {
            return self.iso(text).map(|(at, _rest)| at);
        }
        Self { zone: TimeZone::UTC, ..self.clone() }.iso(text).map(|(at, _rest)| at)
    }

    /// `11/28/2026 10:00:00 AM`, `28.11.2026 10:00:00`, `2026-11-28 10:00:00`: as a Windows of some country writes it. What is
    /// behind it begins with a word.
    pub(super) fn of_windows<'l>(&self, line: &'l [u8]) -> Result<(Timestamp, &'l [u8]), Fault> {
        const NONE: Fault = Fault::Missing("time");
        let year_first = line.iter().take(4).all(u8::is_ascii_digit);
        if year_first && line.get(4).is_some_and(|mark| matches!(mark, b'-' | b'/' | b'.')) {
            let mut iso = line.to_vec();
            iso.iter_mut().take(10).filter(|mark| matches!(mark, b'/' | b'.')).for_each(|mark| *mark = b'-');
            let (at, left) = self.iso(&iso)?;
            return Ok((at, line.get(line.len() - left.len()..).unwrap_or_default()));
        }
        let mark = *line.iter().take(3).find(|octet| !octet.is_ascii_digit()).ok_or(NONE)?;
        let (first, rest) = split(line, mark).ok_or(NONE)?;
        let (second, rest) = split(rest, mark).ok_or(NONE)?;
        let (year, rest) = split(rest, b' ').ok_or(NONE)?;
        let numbers = [(first, 1..=2), (second, 1..=2), (year, 4..=4)].map(|(text, size)| digits(text, size));
        let [Some(first), Some(second), Some(year)] = numbers else { return Err(NONE) };
        let (month, day) = if self.day_first || mark == b'.' { (second, first) } else { (first, second) };
        let (hour, rest) = time_of(rest).ok_or(NONE)?;
        let (time, rest) = match rest.trim_ascii_start() {
            [b'A', b'M', rest @ ..] => (hour.hour() % 12, rest),
            [b'P', b'M', rest @ ..] => (hour.hour() % 12 + 12, rest),
            rest => (hour.hour(), rest),
        };
        let time = hour.with().hour(time).build().map_err(|_never| NONE)?;
        Ok((self.local(date(year, month, day)?.to_datetime(time))?, rest))
    }
}

/// Month and day of a line that begins with them and tells no year.
pub(super) fn month_and_day(line: &[u8]) -> Option<(i8, i8)> {
    let (month, rest) = split(after_weekday(after_priority(line)), b' ')?;
    let (day, _rest) = split(rest.trim_ascii_start(), b' ')?;
    let small = |number: Option<i64>| i8::try_from(number?).ok();
    small(month_of(month)).zip(small(digits(day, 1..=2)))
}

/// The line behind the day of the week, if it begins with one.
fn after_weekday(line: &[u8]) -> &[u8] {
    const DAYS: [&[u8]; 7] = [b"Mon ", b"Tue ", b"Wed ", b"Thu ", b"Fri ", b"Sat ", b"Sun "];
    DAYS.iter().find_map(|day| line.strip_prefix(*day)).unwrap_or(line)
}

/// The line behind `<30>` and the version of RFC 5424.
fn after_priority(line: &[u8]) -> &[u8] {
    let Some(rest) = line.strip_prefix(b"<") else { return line };
    let end = memchr::memchr(b'>', rest.get(..4.min(rest.len())).unwrap_or_default());
    let Some(rest) = end.and_then(|end| rest.get(end + 1..)) else { return line };
    rest.strip_prefix(b"1 ").unwrap_or(rest)
}

/// What is before the first such octet, which has to come soon, and what is behind it.
fn split(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = text.iter().take(12).position(|octet| *octet == at)?;
    Some((&text[..place], &text[place + 1..]))
}

/// A number of so many digits.
fn digits(text: &[u8], size: RangeInclusive<usize>) -> Option<i64> {
    if !size.contains(&text.len()) {
        return None;
    }
    text.iter().try_fold(0_i64, |number, octet| octet.is_ascii_digit().then(|| number * 10 + i64::from(octet - b'0')))
}

/// The digits of a fraction as billionths; those beyond are left out.
fn nanos(fraction: &[u8]) -> Option<i32> {
    let mut nanos = 0;
    for place in 0..9 {
        let digit = fraction.get(place).copied().unwrap_or(b'0');
        nanos = nanos * 10 + i32::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    fraction.iter().all(u8::is_ascii_digit).then_some(nanos)
}

fn month_of(text: &[u8]) -> Option<i64> {
    let place = MONTHS.iter().position(|month| text.eq_ignore_ascii_case(month))?;
    i64::try_from(place + 1).ok()
}

fn date(year: i64, month: i64, day: i64) -> Result<Date, Fault> {
    let small = |number| i8::try_from(number).ok();
    let year = i16::try_from(year).ok();
    let (Some(year), Some(month), Some(day)) = (year, small(month), small(day)) else { return Err(Fault::Day) };
    Date::new(year, month, day).map_err(|_none| Fault::Day)
}

/// `10:00:00.123`, or with a comma, and what is behind it. A leap second is the last second of its minute.
fn time_of(text: &[u8]) -> Option<(Time, &[u8])> {
    let (hour, rest) = split(text, b':')?;
    let (minute, rest) = split(rest, b':')?;
    let (second, rest) = rest.split_at_checked(2)?;
    let (fraction, rest) = match rest {
        [b'.' | b',', rest @ ..] if rest.first().is_some_and(u8::is_ascii_digit) => {
            let size = rest.iter().take_while(|octet| octet.is_ascii_digit()).count();
            rest.split_at(size)
        }
        rest => (&b""[..], rest),
    };
    let small = |text, size| digits(text, size).and_then(|number| i8::try_from(number).ok());
    let second = small(second, 2..=2)?;
    let second = if second == 60 { 59 } else { second };
    let time = Time::new(small(hour, 1..=2)?, small(minute, 2..=2)?, second, nanos(fraction)?).ok()?;
    Some((time, rest))
}

/// `Z`, `+01:00` or `+0100`, and what is behind it.
fn zone_of(text: &[u8]) -> Option<(Offset, &[u8])> {
    match text {
        [b'Z' | b'z', rest @ ..] => Some((Offset::UTC, rest)),
        [sign @ (b'+' | b'-'), a, b, b':', c, d, rest @ ..] | [sign @ (b'+' | b'-'), a, b, c, d, rest @ ..] => {
            let minutes = digits(&[*a, *b], 2..=2)? * 60 + digits(&[*c, *d], 2..=2)?;
            let seconds = i32::try_from(minutes * 60).ok()?;
            let seconds = if *sign == b'-' { -seconds } else { seconds };
            Some((Offset::from_seconds(seconds).ok()?, rest))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
