//! Hours of the week, in a time zone.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Zoned};

use crate::time::Timestamp;

/// When something is in force: within any of its windows.
#[derive(Clone, Debug)]
pub struct Schedule {
    windows: Vec<Window>,
    zone: TimeZone,
    known: Arc<Known>,
}

/// Two schedules are equal if they are written alike.
impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        (&self.windows, &self.zone) == (&other.windows, &other.zone)
    }
}

/// The stretch of time that was worked out last, so that the calendar is asked once for all queries in it: its first and its
/// last minute since 1970 and whether it is open, in one word that threads may read and write as they like. Zero: none.
#[derive(Debug, Default)]
struct Known(AtomicU64);

/// A stretch of time in which nothing changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    open: bool,
    /// `None`: for ever.
    until: Option<Timestamp>,
}

/// Bits of a minute since 1970: until the year 2480.
const MINUTE_BITS: u32 = 28;
/// Stands for a stretch that never ends.
const NEVER: u64 = (1 << MINUTE_BITS) - 1;

impl Known {
    /// The stretch, if `at` lies in it.
    fn get(&self, at: Timestamp) -> Option<Stretch> {
        let word = self.0.load(Ordering::Relaxed);
        let (from, until) = (word >> (MINUTE_BITS + 1), word >> 1 & NEVER);
        let minute = minute(at)?;
        let holds = word != 0 && from <= minute && (minute < until || until == NEVER);
        let until =
            if until == NEVER { None } else { Some(Timestamp::from_second(i64::try_from(until * 60).ok()?).ok()?) };
        holds.then_some(Stretch { open: word & 1 == 1, until })
    }

    /// Keeps a stretch that `at` lies in. One whose end is no whole minute is not kept.
    fn set(&self, at: Timestamp, Stretch { open, until }: Stretch) {
        let end = until.map_or(Some(NEVER), |until| minute(until).filter(|_end| until.as_second() % 60 == 0));
        if let (Some(from), Some(end)) = (minute(at), end) {
            self.0.store(from << (MINUTE_BITS + 1) | end << 1 | u64::from(open), Ordering::Relaxed);
        }
    }
}

/// The minute since 1970 that a moment lies in.
fn minute(at: Timestamp) -> Option<u64> {
    u64::try_from(at.as_second().div_euclid(60)).ok().filter(|minute| *minute < NEVER)
}

/// Hours of some days of each week: `mon-fri 08:00-18:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Bit n: the nth day of the week, Monday first.
    days: u8,
    from: Time,
    /// Not included. Not after `from`: of the day after.
    to: Time,
}

/// Why a text is no window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// Not two words.
    #[error("write days and hours, for example `mon-fri 08:00-18:00`")]
    Form,
    /// No day, or no range of them.
    #[error("unknown day; known: mon, tue, wed, thu, fri, sat, sun, `mon-fri`, `mon,wed`, `daily`")]
    Day,
    /// No hours.
    #[error("no hours; write them as `08:00-18:00`; `22:00-06:00` ends the day after, `00:00-24:00` is the whole day")]
    Hours,
}

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];
const ALL_DAYS: u8 = 0b111_1111;
/// Days that a change of a schedule is looked for in: a week, the day before, and the day after.
const DAYS_AHEAD: i32 = 8;

impl Window {
    /// Reads `mon-fri 08:00-18:00`. Days: `daily`, or names and ranges of them with commas between. Hours may run into the
    /// next day and belong to the day that they begin on.
    ///
    /// # Errors
    /// [`WindowError`].
    pub fn parse(text: &str) -> Result<Self, WindowError> {
        let mut words = text.split_whitespace();
        let (Some(days), Some(hours), None) = (words.next(), words.next(), words.next()) else {
            return Err(WindowError::Form);
        };
        let days = days.split(',').map(days_of).try_fold(0, |all, days| days.map(|days| all | days));
        let days = days.ok_or(WindowError::Day)?;
        let (from, to) = hours.split_once('-').ok_or(WindowError::Hours)?;
        let from = hour(from).ok_or(WindowError::Hours)?;
        let to = if to == "24:00" { Time::midnight() } else { hour(to).ok_or(WindowError::Hours)? };
        // Equal hours are a whole day only where that is written out.
        if from == to && hours != "00:00-24:00" {
            return Err(WindowError::Hours);
        }
        Ok(Self { days, from, to })
    }

    fn begins_on(&self, day: Weekday) -> bool {
        self.days >> day.to_monday_zero_offset() & 1 == 1
    }

    /// From when to when it is open, if it begins on this day. Hours that a change of clocks leaves out move as the
    /// clocks do (RFC 5545 §3.3.5).
    fn on(&self, date: Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
        if !self.begins_on(date.weekday()) {
            return None;
        }
        let until = if self.to > self.from { date } else { date.tomorrow().ok()? };
        let at =
            |date: Date, time: Time| date.to_datetime(time).to_zoned(zone.clone()).ok().map(|at: Zoned| at.timestamp());
        Some((at(date, self.from)?, at(until, self.to)?))
    }
}

fn days_of(text: &str) -> Option<u8> {
    if text == "daily" {
        return Some(ALL_DAYS);
    }
    let day = |name: &str| DAYS.iter().position(|(known, _day)| *known == name);
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (day(first)?, day(last)?);
    let after = if last >= first { last } else { last + DAYS.len() };
    Some((first..=after).fold(0, |days, day| days | 1 << (day % DAYS.len())))
}

fn hour(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':').filter(|(hour, minute)| hour.len() == 2 && minute.len() == 2)?;
    let number = |text: &str| text.bytes().all(|octet| octet.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    Time::new(number(hour)?, number(minute)?, 0, 0).ok()
}

impl Schedule {
    /// These windows in this zone.
    pub fn new(windows: Vec<Window>, zone: TimeZone) -> Self {
        Self { windows, zone, known: Arc::default() }
    }

    /// Whether some window is open at `at`.
    pub fn is_open(&self, at: Timestamp) -> bool {
        self.stretch(at).open
    }

    /// The next moment after `at` at which [`Schedule::is_open`] changes; `None` if it never does.
    pub fn next_change(&self, at: Timestamp) -> Option<Timestamp> {
        self.stretch(at).until
    }

    fn stretch(&self, at: Timestamp) -> Stretch {
        self.known.get(at).unwrap_or_else(|| {
            let stretch = self.work_out(at);
            // Edges are whole minutes, so what holds at `at` holds from the beginning of its minute on.
            self.known.set(at, stretch);
            stretch
        })
    }

    fn work_out(&self, at: Timestamp) -> Stretch {
        // A day more than edges are looked for in: what ends on the last one may go on there.
        let spans: Vec<_> = self.spans(at, DAYS_AHEAD + 1).collect();
        let is_open = |at: Timestamp| spans.iter().any(|(from, to)| *from <= at && at < *to);
        let open = is_open(at);
        let mut edges: Vec<_> = self.spans(at, DAYS_AHEAD).flat_map(|(from, to)| [from, to]).collect();
        edges.retain(|edge| *edge > at);
        edges.sort_unstable();
        Stretch { open, until: edges.into_iter().find(|edge| is_open(*edge) != open) }
    }

    /// What is open on the day of `at`, the day before and the `ahead` days after.
    fn spans(&self, at: Timestamp, ahead: i32) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let today = at.to_zoned(self.zone.clone()).date();
        let days = (-1..=ahead).filter_map(move |day| today.checked_add(Span::new().days(day)).ok());
        days.flat_map(move |date| self.windows.iter().filter_map(move |window| window.on(date, &self.zone)))
    }
}

/// As [`Window::parse`] reads it.
impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> =
            DAYS.iter().filter(|(_name, day)| self.begins_on(*day)).map(|(name, _day)| *name).collect();
        let days = if self.days == ALL_DAYS { "daily".to_owned() } else { names.join(",") };
        let to = if self.to == Time::midnight() { "24:00".to_owned() } else { self.to.strftime("%H:%M").to_string() };
        write!(f, "{days} {}-{to}", self.from.strftime("%H:%M"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn schedule(windows: &[&str], zone: &str) -> Schedule {
        let windows = windows.iter().map(|text| Window::parse(text).unwrap()).collect();
        Schedule::new(windows, TimeZone::get(zone).unwrap())
    }

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[track_caller]
    fn changes(schedule: &Schedule, from: &str, expected: &[&str]) {
        let changes = std::iter::successors(Some(time(from)), |at| schedule.next_change(*at)).skip(1);
        let changes: Vec<_> = changes.take(expected.len()).map(|at| at.to_string()).collect();
        assert_eq!(changes, expected);
    }

    #[test]
    fn office_hours_open_and_close_by_the_clocks_of_their_zone() {
        let office = schedule(&["mon-fri 08:00-18:00"], "Europe/Berlin");
        // 2026-03-27 is a Friday; clocks go forward in the night to Sunday.
        changes(
            &office,
            "2026-03-27T06:00:00Z",
            &["2026-03-27T07:00:00Z", "2026-03-27T17:00:00Z", "2026-03-30T06:00:00Z", "2026-03-30T16:00:00Z"],
        );
        assert!(office.is_open(time("2026-03-27T07:00:00Z")));
        assert!(!office.is_open(time("2026-03-27T17:00:00Z")));
        assert!(!office.is_open(time("2026-03-28T12:00:00Z")));
    }

    #[test]
    fn a_night_belongs_to_the_day_that_it_begins_on() {
        let night = schedule(&["fri 22:00-06:00"], "UTC");
        assert!(night.is_open(time("2026-03-27T23:00:00Z")) && night.is_open(time("2026-03-28T05:59:59Z")));
        assert!(!night.is_open(time("2026-03-27T05:00:00Z")) && !night.is_open(time("2026-03-28T06:00:00Z")));
        changes(&night, "2026-03-25T00:00:00Z", &["2026-03-27T22:00:00Z", "2026-03-28T06:00:00Z"]);
    }

    #[test]
    fn windows_that_touch_are_one() {
        let days = schedule(&["mon 00:00-24:00", "tue 00:00-12:00"], "UTC");
        changes(&days, "2026-03-29T12:00:00Z", &["2026-03-30T00:00:00Z", "2026-03-31T12:00:00Z"]);
        assert_eq!(schedule(&["daily 00:00-24:00"], "UTC").next_change(time("2026-03-29T12:00:00Z")), None);
    }

    #[test]
    fn what_is_remembered_is_what_would_be_worked_out() {
        let night = schedule(&["mon-fri 08:00-12:30", "sat 22:00-06:00"], "Europe/Berlin");
        let start = time("2026-03-26T00:00:00Z");
        // Over both ends of windows and a change of clocks, forwards in unequal steps and back again.
        let steps = (0..3_000_u64).chain((0..3_000).rev());
        for at in steps.map(|step| start + Duration::from_secs(step * 211)) {
            let stretch = Stretch { open: night.is_open(at), until: night.next_change(at) };
            assert_eq!(stretch, night.work_out(at), "{at}");
        }
        let long_ago = time("1969-12-31T23:59:59Z");
        assert_eq!(night.is_open(long_ago), night.work_out(long_ago).open);
    }

    #[test]
    fn what_is_written_is_read_and_shown() {
        for (text, shown) in [
            ("mon-fri 08:00-18:00", "mon,tue,wed,thu,fri 08:00-18:00"),
            ("sat-mon 00:00-24:00", "mon,sat,sun 00:00-24:00"),
            ("mon,wed-thu 22:30-06:00", "mon,wed,thu 22:30-06:00"),
            ("daily 12:00-24:00", "daily 12:00-24:00"),
        ] {
            assert_eq!(Window::parse(text).unwrap().to_string(), shown);
        }
        for (text, error) in [
            ("", WindowError::Form),
            ("mon", WindowError::Form),
            ("mon 08:00-18:00 UTC", WindowError::Form),
            ("mo 08:00-18:00", WindowError::Day),
            ("mon- 08:00-18:00", WindowError::Day),
            ("mon 8-18", WindowError::Hours),
            ("mon 08:00", WindowError::Hours),
            ("mon 08:00-08:00", WindowError::Hours),
            ("mon 08:00-25:00", WindowError::Hours),
            ("mon +8:00-18:00", WindowError::Hours),
        ] {
            assert_eq!(Window::parse(text), Err(error), "{text}");
        }
    }
}
