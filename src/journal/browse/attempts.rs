//! Attempts, newest first, a page at a time.

use std::collections::HashMap;
use std::net::IpAddr;

use rusqlite::types::ValueRef;
use rusqlite::{Row, params};

use super::hours::Span;
use super::{LOOK_MAX, Place, SLICE};
use crate::journal::read::{AttemptRow, Unreadable, attempt_of, moment, text_is, word};
use crate::journal::{Store, StoreError};
use crate::metrics::Did;
use crate::policy::Evidence;
use crate::priority::make_way;
use crate::time::Timestamp;

/// Which attempts are wanted; every field that is set narrows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Only this ban.
    pub ban: Option<String>,
    /// Only this evidence.
    pub evidence: Option<Evidence>,
    /// Only this category.
    pub category: Option<String>,
    /// Only this site.
    pub site: Option<String>,
    /// Only what was done so.
    pub action: Option<Did>,
    /// Only this client.
    pub client: Option<IpAddr>,
    /// Only this device, or the address that stands for one.
    pub device: Option<String>,
    /// Only this name and names below it, with RFC 4343 escapes.
    pub name: Option<String>,
    /// Only this rule, by its pattern.
    pub pattern: Option<String>,
    /// Only rows last seen at or after this moment.
    pub since: Option<Timestamp>,
    /// Only rows first seen at or before this moment.
    pub until: Option<Timestamp>,
}

impl Wanted {
    /// A name as people write it in the form in which [`Wanted::name`] is one; `None`: it is all names.
    pub fn name_of(text: &str) -> Option<String> {
        Some(text.trim_matches('.').to_ascii_lowercase()).filter(|name| !name.is_empty())
    }

    /// Whether it is wanted.
    pub fn holds(&self, row: &AttemptRow) -> bool {
        let is =
            |wanted: &Option<String>, told: Option<&str>| wanted.as_deref().is_none_or(|wanted| told == Some(wanted));
        let client = row.client.map(|client| client.to_string());
        let is_below = |name: &String| {
            let front = row.qname.as_ref().and_then(|qname| qname.strip_suffix(name.as_str()));
            front.is_some_and(|front| front.is_empty() || front.ends_with('.'))
        };
        is(&self.ban, Some(&row.ban))
            && self.evidence.is_none_or(|evidence| row.evidence == evidence)
            && is(&self.category, Some(&row.category))
            && is(&self.site, Some(&row.site))
            && self.action.is_none_or(|action| row.action == action)
            && self.client.is_none_or(|client| row.client == Some(client.to_canonical()))
            && is(&self.device, row.device.as_deref().or(client.as_deref()))
            && self.name.as_ref().is_none_or(is_below)
            && is(&self.pattern, row.pattern.as_deref())
            && self.since.is_none_or(|since| row.last >= since)
            && self.until.is_none_or(|until| row.first <= until)
    }
}

/// A page of attempts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AttemptPage {
    /// The newest first.
    pub rows: Vec<AttemptRow>,
    /// Where the next page begins; `None`: there is no older row.
    pub next: Option<Place>,
    /// How far back this page has looked; `None`: to the end.
    pub looked_to: Option<Timestamp>,
}

/// What rows of one series have in common.
#[derive(Clone, Debug)]
pub(in crate::journal) struct Common {
    pub(in crate::journal) site: String,
    pub(in crate::journal) ban: String,
    pub(in crate::journal) category: String,
    pub(in crate::journal) evidence: Evidence,
    pub(in crate::journal) action: String,
    pub(in crate::journal) transport: String,
    pub(in crate::journal) verified: bool,
}

const SQL: &str = "SELECT minute, second, client, series, name, pattern, qtype, device, count, first_ms, last_ms \
    FROM attempts WHERE minute BETWEEN ?1 AND ?2 \
    AND (minute, second, client, series, name, pattern, qtype, device) < (?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
    ORDER BY minute DESC, second DESC, client DESC, series DESC, name DESC, pattern DESC, qtype DESC, device DESC";

impl Store {
    /// At most `limit` attempts behind a place, the newest first.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read.
    pub fn attempts_page(
        &self,
        wanted: &Wanted,
        after: Option<&Place>,
        limit: usize,
    ) -> Result<AttemptPage, StoreError> {
        self.attempts_looked(wanted, after, limit, LOOK_MAX)
    }

    pub(super) fn attempts_looked(
        &self,
        wanted: &Wanted,
        after: Option<&Place>,
        limit: usize,
        look_max: usize,
    ) -> Result<AttemptPage, StoreError> {
        let read = || -> Result<AttemptPage, Unreadable> {
            let series = self.series_of(wanted)?;
            let mut look = Look {
                wanted,
                series,
                client: wanted.client.map(|client| client.to_canonical().to_string()),
                below: wanted.name.as_ref().map(|name| format!(".{name}")),
                limit,
                left: look_max,
                page: AttemptPage { rows: Vec::new(), next: None, looked_to: None },
            };
            if look.series.is_empty() {
                return Ok(look.page);
            }
            let after = after.cloned().unwrap_or_else(Place::newest);
            let spans = self.spans(wanted, &look.series, after.minute)?;
            for (at, span) in spans.iter().enumerate() {
                if !look.through(self, span, &after, at + 1 == spans.len())? {
                    break;
                }
            }
            Ok(look.page)
        };
        read().map_err(|error| self.unreadable(error))
    }

    /// The series that may hold what is wanted, by number.
    fn series_of(&self, wanted: &Wanted) -> Result<HashMap<i64, Common>, Unreadable> {
        let sql = "SELECT id, site, ban, category, evidence, action, transport, verified FROM series \
                   WHERE (?1 IS NULL OR ban = ?1) AND (?2 IS NULL OR evidence = ?2) AND (?3 IS NULL OR category = ?3) \
                   AND (?4 IS NULL OR site = ?4) AND (?5 IS NULL OR action = ?5)";
        let (evidence, action) = (wanted.evidence.map(Evidence::as_str), wanted.action.map(Did::as_str));
        let mut select = self.connection.prepare_cached(sql)?;
        let mut rows = select.query(params![wanted.ban, evidence, wanted.category, wanted.site, action])?;
        let mut series = HashMap::new();
        while let Some(row) = rows.next()? {
            let common = Common {
                site: row.get(1)?,
                ban: row.get(2)?,
                category: row.get(3)?,
                evidence: word(Evidence::ALL, Evidence::as_str, &row.get::<_, String>(4)?)?,
                action: row.get(5)?,
                transport: row.get(6)?,
                verified: row.get(7)?,
            };
            series.insert(row.get(0)?, common);
        }
        Ok(series)
    }
}

/// One page being read.
struct Look<'w> {
    wanted: &'w Wanted,
    series: HashMap<i64, Common>,
    client: Option<String>,
    below: Option<String>,
    limit: usize,
    /// Rows that it may still look at.
    left: usize,
    page: AttemptPage,
}

impl Look<'_> {
    /// Looks through a span; whether the next one is to be looked through too.
    fn through(&mut self, store: &Store, span: &Span, after: &Place, is_end: bool) -> Result<bool, Unreadable> {
        let mut select = store.connection.prepare_cached(SQL)?;
        let Place { minute, second, client, series, name, pattern, qtype, device } = after;
        let (first, last) = (span.first.max(self.since_minute()), span.last.min(self.until_minute()));
        let mut rows =
            select.query(params![first, last, minute, second, client, series, name, pattern, qtype, device])?;
        let mut at = None;
        while let Some(row) = rows.next()? {
            if self.page.rows.len() == self.limit || self.left == 0 {
                let place = at.unwrap_or_else(|| after.clone());
                self.stop_at(place);
                return Ok(false);
            }
            self.left -= 1;
            if self.left.is_multiple_of(SLICE) {
                make_way();
            }
            let is_last = self.left == 0;
            if let Some(common) = self.wants(row)? {
                let row = attempt_of(row, common)?;
                if self.wanted.pattern.is_none() || self.wanted.pattern == row.pattern {
                    self.page.rows.push(row);
                }
            }
            // Only the place that it stops at is wanted; which one that is, is known one row later.
            if is_last || self.page.rows.len() == self.limit {
                at = Some(Place::of(row)?);
            }
        }
        if self.left == 0 || self.page.rows.len() == self.limit {
            // What follows, if anything does, lies in another span.
            if let Some(place) = at.filter(|_place| !is_end) {
                self.stop_at(place);
            }
            return Ok(false);
        }
        Ok(true)
    }

    fn stop_at(&mut self, place: Place) {
        self.page.looked_to = Timestamp::from_second(place.minute.saturating_mul(60).saturating_add(place.second)).ok();
        self.page.next = Some(place);
    }

    fn since_minute(&self) -> i64 {
        self.wanted.since.map_or(i64::MIN, |since| since.as_millisecond().div_euclid(60_000))
    }

    fn until_minute(&self) -> i64 {
        self.wanted.until.map_or(i64::MAX, |until| until.as_millisecond().div_euclid(60_000))
    }

    /// What a row has in common with its series, if it is wanted.
    fn wants(&self, row: &Row<'_>) -> Result<Option<&Common>, Unreadable> {
        let Some(common) = self.series.get(&row.get(3)?) else { return Ok(None) };
        if self.client.as_ref().is_some_and(|client| !text_is(row, 2, client)) {
            return Ok(None);
        }
        if let Some(device) = &self.wanted.device {
            let is_named = text_is(row, 7, device);
            let stands_for_it = text_is(row, 7, "") && text_is(row, 2, device);
            if !is_named && !stands_for_it {
                return Ok(None);
            }
        }
        if let (Some(name), Some(below)) = (&self.wanted.name, &self.below) {
            let ValueRef::Text(octets) = row.get_ref(4)? else { return Ok(None) };
            if octets != name.as_bytes() && !octets.ends_with(below.as_bytes()) {
                return Ok(None);
            }
        }
        let since = self.wanted.since.is_none_or(|since| moment_is(row, 10, |last| last >= since));
        let until = self.wanted.until.is_none_or(|until| moment_is(row, 9, |first| first <= until));
        Ok((since && until).then_some(common))
    }
}

fn moment_is(row: &Row<'_>, column: usize, holds: impl FnOnce(Timestamp) -> bool) -> bool {
    row.get(column).ok().and_then(|millis| moment(millis).ok()).is_some_and(holds)
}
