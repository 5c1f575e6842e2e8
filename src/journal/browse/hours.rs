//! In which times a device can have attempts: presence has it by the hour, so that its few rows are found among millions.

use std::collections::{BTreeSet, HashMap};

use roaring::RoaringBitmap;
use rusqlite::{OptionalExtension, params};

use super::Wanted;
use super::attempts::Common;
use crate::journal::read::Unreadable;
use crate::journal::{BLOCK, Store, What};
use crate::policy::Evidence;

/// Minutes of an hour, and of a day.
const HOUR: i64 = 60;
const DAY: i64 = 1_440;

/// Minutes in which rows may lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: i64,
    pub(super) last: i64,
}

impl Store {
    /// The times in which what is wanted can lie, newest first: all of it, unless presence knows better.
    pub(super) fn spans(
        &self,
        wanted: &Wanted,
        series: &HashMap<i64, Common>,
        until: i64,
    ) -> Result<Vec<Span>, Unreadable> {
        let whole = vec![Span { first: i64::MIN, last: i64::MAX }];
        let client = wanted.client.map(|client| client.to_canonical().to_string());
        let Some(name) = wanted.device.as_ref().or(client.as_ref()) else { return Ok(whole) };
        // What proves nothing is no presence.
        if series.values().any(|common| common.evidence == Evidence::None) {
            return Ok(whole);
        }
        let numbers = self.numbers_of(name)?;
        let Some(oldest) = self.oldest_day()?.filter(|_oldest| !numbers.is_empty()) else { return Ok(whole) };
        let newest = until.min(self.newest_minute()?).div_euclid(DAY) + 1;
        let mut hours = BTreeSet::new();
        for &number in &numbers {
            self.hours_of(number, (oldest, newest), &mut hours)?;
            if client.is_some() {
                self.days_as_address(number, &mut hours)?;
            }
        }
        let mut spans: Vec<_> = hours
            .into_iter()
            .rev()
            .map(|hour| Span { first: hour * HOUR, last: hour * HOUR + HOUR - 1 })
            .filter(|span| span.first <= until)
            .collect();
        // Days that are no longer kept one by one.
        spans.push(Span { first: i64::MIN, last: oldest * DAY - 1 });
        Ok(spans)
    }

    /// The numbers of whatever is called so, at all sites.
    pub(super) fn numbers_of(&self, name: &str) -> rusqlite::Result<Vec<u32>> {
        let mut select = self.connection.prepare_cached("SELECT id FROM devices WHERE name = ?1")?;
        select.query_map([name], |row| row.get(0))?.collect()
    }

    /// The first day that is kept device by device.
    fn oldest_day(&self) -> rusqlite::Result<Option<i64>> {
        let sql = "SELECT min((SELECT min(day) FROM device_days WHERE sign = s.id)) FROM signs AS s";
        self.connection.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional().map(Option::flatten)
    }

    fn newest_minute(&self) -> rusqlite::Result<i64> {
        let sql = "SELECT ifnull(max(minute), 0) FROM attempts";
        self.connection.prepare_cached(sql)?.query_row([], |row| row.get(0))
    }

    /// Hours since 1970 in which a device made lookups.
    fn hours_of(&self, number: u32, (from, to): (i64, i64), hours: &mut BTreeSet<i64>) -> rusqlite::Result<()> {
        // Day by day: the table begins with sign and day, and would else be read whole.
        let sql = "WITH RECURSIVE days (day) AS (SELECT ?2 UNION ALL SELECT day + 1 FROM days WHERE day < ?3) \
                   SELECT d.day, d.hours FROM days CROSS JOIN signs AS s CROSS JOIN device_days AS d \
                   ON d.sign = s.id AND d.day = days.day AND d.device = ?1 WHERE s.what = 'seen'";
        let mut select = self.connection.prepare_cached(sql)?;
        let mut rows = select.query(params![number, from, to.max(from)])?;
        while let Some(row) = rows.next()? {
            let (day, bits): (i64, u32) = (row.get(0)?, row.get(1)?);
            hours.extend((0..24).filter(|hour| bits & (1 << hour) != 0).map(|hour| day * 24 + hour));
        }
        Ok(())
    }

    /// The hours of days on which it was an address of a device that leases name.
    fn days_as_address(&self, number: u32, hours: &mut BTreeSet<i64>) -> Result<(), Unreadable> {
        let sql = "SELECT p.day, p.bits FROM signs AS s CROSS JOIN presence AS p ON p.sign = s.id AND p.block = ?1 \
                   WHERE s.what = ?2";
        let mut select = self.connection.prepare_cached(sql)?;
        let mut rows = select.query(params![number / BLOCK, What::Address.as_str()])?;
        while let Some(row) = rows.next()? {
            let octets = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            let bits = RoaringBitmap::deserialize_from(octets)
                .map_err(|error| Unreadable::Value(format!("set of devices: {error}")))?;
            if bits.contains(number % BLOCK) {
                let day: i64 = row.get(0)?;
                hours.extend(day * 24..day * 24 + 24);
            }
        }
        Ok(())
    }
}
