//! `[[report]]`: reports that are made by themselves.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use serde::Deserialize;
use toml::Spanned;

use super::ban::is_id;
use super::file::{Count, Moment, Text, Texts};
use super::reader::Reader;
use crate::report::{By, Format};
use crate::time::Day;

/// Reports at most: each reads the record when its time comes.
const REPORTS_MAX: usize = 32;
/// Reports of one kind that are kept unless something else is written: two years of months.
const KEEP: usize = 24;

/// `[[report]]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Report {
    id: Text,
    ban: Text,
    every: Text,
    at: Text,
    baseline: Moment,
    site: Text,
    by: Text,
    formats: Texts,
    directory: Text,
    keep: Count,
}

/// A report that is made by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportSettings {
    /// What its files, metrics and messages call it.
    pub id: Arc<str>,
    /// The ban's id.
    pub ban: Arc<str>,
    /// Of which time it is.
    pub every: Every,
    /// When it is made, on the day after that time.
    pub at: Time,
    /// Where it is that hour.
    pub zone: TimeZone,
    /// The day from which the baseline is counted back.
    pub baseline: Day,
    /// The one site; `None`: all.
    pub site: Option<Arc<str>>,
    /// By what figures are told apart.
    pub by: Option<By>,
    /// Its forms.
    pub formats: Vec<Format>,
    /// Where it is put.
    pub directory: PathBuf,
    /// How many of each form are kept.
    pub keep: usize,
}

/// Of which time a report is: the last one that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// A day.
    Day,
    /// A week, which begins on Monday.
    Week,
    /// A month.
    Month,
}

impl Every {
    /// Every such time.
    pub const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }
}

/// Every report; one that is wrong is left out.
pub(super) fn settings(
    written: &[Spanned<Report>],
    base: &Path,
    zone: &TimeZone,
    reader: &mut Reader<'_>,
) -> Vec<ReportSettings> {
    if let Some(beyond) = written.get(REPORTS_MAX) {
        reader.error(beyond.span(), format!("at most {REPORTS_MAX} reports"));
    }
    let mut reports: Vec<ReportSettings> = Vec::new();
    for written in written {
        let Some(report) = one(written, base, zone, reader) else { continue };
        if reports.iter().any(|before| before.id == report.id) {
            reader.error(written.span(), format!("a report with the id `{}` is there already", report.id));
        } else {
            reports.push(report);
        }
    }
    reports
}

fn one(written: &Spanned<Report>, base: &Path, zone: &TimeZone, reader: &mut Reader<'_>) -> Option<ReportSettings> {
    let (report, table) = (written.get_ref(), written.span());
    let id = word(&report.id, "id", table.clone(), reader);
    let ban = word(&report.ban, "ban", table.clone(), reader);
    let every = reader.word(&report.every, "time", &Every::ALL, Every::as_str).map(|at| at.value);
    if report.every.is_none() {
        reader.missing("every", Some(table.clone()));
    }
    let at = hour(&report.at, reader);
    let baseline = reader.date(&report.baseline).map(Day::from);
    if report.baseline.is_none() {
        reader.missing("baseline", Some(table.clone()));
    }
    let directory = reader.required(&report.directory, "directory", Some(table));
    Some(ReportSettings {
        by: reader.word(&report.by, "grouping", &By::ALL, By::as_str).map(|at| at.value),
        formats: formats(&report.formats, reader),
        keep: reader.count(&report.keep, 1..=10_000, KEEP),
        site: report.site.as_ref().map(|site| site.get_ref().as_str().into()),
        id: id?,
        ban: ban?,
        every: every?,
        at: at?,
        zone: zone.clone(),
        baseline: baseline?,
        directory: base.join(Some(&*directory).filter(|directory| !directory.is_empty())?),
    })
}

/// An id that must be there.
fn word(written: &Text, key: &str, table: Range<usize>, reader: &mut Reader<'_>) -> Option<Arc<str>> {
    let id = reader.required(written, key, Some(table));
    let text = written.as_ref().filter(|_written| !id.trim().is_empty())?;
    if !is_id(&id) {
        reader.error(text.span(), "an id is 1 to 32 of a-z, 0-9 and `-`");
        return None;
    }
    Some(id)
}

/// The hour of a day; six in the morning when nothing is written.
fn hour(written: &Text, reader: &mut Reader<'_>) -> Option<Time> {
    let Some(text) = written else { return Some(Time::constant(6, 0, 0, 0)) };
    let hour = text.get_ref().split_once(':').and_then(|(hour, minute)| {
        let number = |digits: &str| digits.parse::<i8>().ok().filter(|_number| digits.len() == 2);
        Time::new(number(hour)?, number(minute)?, 0, 0).ok()
    });
    if hour.is_none() {
        reader.error(text.span(), "no hour of a day; write for example \"06:00\"");
    }
    hour
}

fn formats(written: &Texts, reader: &mut Reader<'_>) -> Vec<Format> {
    let Some(texts) = written else { return vec![Format::Html, Format::Json] };
    if texts.get_ref().is_empty() {
        reader.error(texts.span(), "needs at least one entry; remove the line for the default");
    }
    let mut formats = Vec::new();
    for text in texts.get_ref() {
        let one = Some(text.clone());
        let Some(format) = reader.word(&one, "format", &Format::ALL, Format::as_str) else { continue };
        if formats.contains(&format.value) {
            reader.error(text.span(), "this format stands already before");
        } else {
            formats.push(format.value);
        }
    }
    formats
}
