//! When which report is due, and which are missing.

use jiff::civil::{Date, DateTime};
use jiff::{Span, ToSpan};

use crate::config::{Every, ReportSettings};
use crate::report::Format;
use crate::time::{Day, Timestamp};

/// Reports that are made up for at most.
const MADE_UP_MAX: usize = 31;

/// The days that a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Days {
    /// The first.
    pub(super) from: Day,
    /// The last.
    pub(super) to: Day,
}

/// The days of a report that is due on this day.
fn days(every: Every, due: Date) -> Days {
    Days { from: before(every, due).into(), to: due.yesterday().unwrap_or(Date::MIN).into() }
}

/// The last day on which one is due, up to this one.
fn due(every: Every, date: Date) -> Date {
    match every {
        Every::Day => date,
        Every::Week => date.saturating_sub(i64::from(date.weekday().to_monday_zero_offset()).days()),
        Every::Month => date.first_of_month(),
    }
}

fn step(every: Every) -> Span {
    match every {
        Every::Day => 1.day(),
        Every::Week => 1.week(),
        Every::Month => 1.month(),
    }
}

fn before(every: Every, due: Date) -> Date {
    due.saturating_sub(step(every))
}

/// The moment at which a report is made that is due on this day.
fn moment(report: &ReportSettings, due: Date) -> Timestamp {
    let local = DateTime::from_parts(due, report.at);
    local.to_zoned(report.zone.clone()).map_or(Timestamp::MAX, |zoned| zoned.timestamp())
}

/// The day on which the last one was due.
fn last_due(report: &ReportSettings, now: Timestamp) -> Date {
    let today = now.to_zoned(report.zone.clone()).date();
    let last = due(report.every, today);
    if moment(report, last) <= now { last } else { before(report.every, last) }
}

/// When the next one is due.
pub(super) fn next(report: &ReportSettings, now: Timestamp) -> Timestamp {
    let next = last_due(report, now).saturating_add(step(report.every));
    moment(report, next)
}

/// Those that were due and are not there, the oldest first: the last one, and those before it back to one that is there.
pub(super) fn missing(report: &ReportSettings, now: Timestamp, is_there: impl Fn(Days) -> bool) -> Vec<Days> {
    let (mut on, mut missing) = (last_due(report, now), Vec::new());
    for _one in 0..report.keep.min(MADE_UP_MAX) {
        let days = days(report.every, on);
        if days.from < report.baseline {
            break;
        }
        if is_there(days) {
            missing.reverse();
            return missing;
        }
        missing.push(days);
        on = before(report.every, on);
    }
    // None was ever made: nobody missed those before the schedule.
    missing.truncate(1);
    missing
}

/// The name of a report's file.
pub(super) fn file_name(id: &str, days: Days, format: Format) -> String {
    format!("{id}-{}-to-{}.{}", days.from, days.to, format.extension())
}

/// The first day of the report with this file name, if it is one of this schedule and form.
pub(super) fn is_of(id: &str, format: Format, name: &str) -> Option<Day> {
    let dates = name.strip_prefix(id)?.strip_prefix('-')?.strip_suffix(format.extension())?.strip_suffix('.')?;
    let (from, to) = dates.split_once("-to-")?;
    let days = Days { from: from.parse().ok()?, to: to.parse().ok()? };
    (file_name(id, days, format) == name).then_some(days.from)
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    fn report(every: Every, zone: &str) -> ReportSettings {
        ReportSettings {
            id: "monthly".into(),
            ban: "acme".into(),
            every,
            at: jiff::civil::time(6, 0, 0, 0),
            zone: TimeZone::get(zone).unwrap(),
            baseline: "2024-01-01".parse().unwrap(),
            site: None,
            by: None,
            formats: vec![Format::Html],
            directory: "/nowhere".into(),
            keep: 24,
        }
    }

    #[track_caller]
    fn check((every, zone): (Every, &str), now: &str, days: &str, next_at: &str) {
        let (report, now) = (report(every, zone), now.parse().unwrap());
        let last = missing(&report, now, |_days| false);
        let told: Vec<_> = last.iter().map(|days| format!("{} {}", days.from, days.to)).collect();
        assert_eq!(told, [days]);
        assert_eq!(next(&report, now).to_string(), next_at);
    }

    #[test]
    fn a_report_is_of_the_time_that_has_just_ended() {
        check((Every::Month, "UTC"), "2024-12-01T06:00:00Z", "2024-11-01 2024-11-30", "2025-01-01T06:00:00Z");
        check((Every::Month, "UTC"), "2024-12-01T05:59:59Z", "2024-10-01 2024-10-31", "2024-12-01T06:00:00Z");
        check((Every::Month, "UTC"), "2024-03-15T00:00:00Z", "2024-02-01 2024-02-29", "2024-04-01T06:00:00Z");
        check((Every::Week, "UTC"), "2024-12-04T00:00:00Z", "2024-11-25 2024-12-01", "2024-12-09T06:00:00Z");
        check((Every::Day, "UTC"), "2024-12-04T12:00:00Z", "2024-12-03 2024-12-03", "2024-12-05T06:00:00Z");
    }

    #[test]
    fn the_hour_is_that_of_the_zone_whatever_its_clocks_do() {
        check((Every::Day, "Europe/Berlin"), "2024-03-31T03:59:59Z", "2024-03-29 2024-03-29", "2024-03-31T04:00:00Z");
        check((Every::Day, "Europe/Berlin"), "2024-03-31T04:00:00Z", "2024-03-30 2024-03-30", "2024-04-01T04:00:00Z");
        check((Every::Day, "Europe/Berlin"), "2024-03-30T05:00:00Z", "2024-03-29 2024-03-29", "2024-03-31T04:00:00Z");
    }

    #[test]
    fn those_that_were_missed_are_made_up_back_to_one_that_is_there_and_no_further() {
        let monthly = report(Every::Month, "UTC");
        let now = "2024-12-15T00:00:00Z".parse().unwrap();
        let day = |text: &str| text.parse::<Day>().unwrap();
        let made = missing(&monthly, now, |days| days.from <= day("2024-08-01"));
        assert_eq!(
            made.iter().map(|days| days.from).collect::<Vec<_>>(),
            [day("2024-09-01"), day("2024-10-01"), day("2024-11-01")]
        );
        assert_eq!(missing(&monthly, now, |days| days.from == day("2024-11-01")), []);
        let late = ReportSettings { baseline: day("2024-11-02"), ..monthly };
        assert_eq!(missing(&late, now, |_days| false), [], "there is nothing before it to compare with");
    }

    #[test]
    fn a_file_is_known_by_its_name_alone() {
        let days = Days { from: "2024-11-01".parse().unwrap(), to: "2024-11-30".parse().unwrap() };
        let name = file_name("monthly", days, Format::Html);
        assert_eq!(name, "monthly-2024-11-01-to-2024-11-30.html");
        assert_eq!(is_of("monthly", Format::Html, &name), Some(days.from));
        for (id, format, name) in [
            ("month", Format::Html, &*name),
            ("monthly", Format::Json, &name),
            ("monthly", Format::Html, "monthly-2024-11-1-to-2024-11-30.html"),
            ("monthly", Format::Html, "monthly-2024-11-01-to-2024-11-30.html.new"),
            ("monthly", Format::Html, "monthly-x-2024-11-01-to-2024-11-30.html"),
        ] {
            assert_eq!(is_of(id, format, name), None, "{name}");
        }
    }
}
