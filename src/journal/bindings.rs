//! Who held which address when, in the store: written as it becomes known, read at a start and by whoever asks.

use std::net::IpAddr;

use rusqlite::{Connection, Row, Transaction, params};
use serde::Serialize;

use super::database::Database;
use super::{Filter, Store, StoreError, words};
use crate::identity::{Binding, Identifier};
use crate::time::Timestamp;

/// Bindings of so many milliseconds ago are still asked for: attempts wait for the disk that long at most.
const LATE_MS: i64 = 86_400_000;
/// Bindings deleted in one transaction at most.
const ROWS_AT_ONCE: i64 = 10_000;

impl Database {
    /// Writes these, each in place of the one that began at the same address and time.
    pub(super) fn add_bindings(&mut self, bindings: &[Binding]) -> Result<(), StoreError> {
        self.transaction(|transaction| {
            let sql = "INSERT INTO bindings (client, from_ms, until_ms, identifiers) VALUES (?1, ?2, ?3, ?4) \
                       ON CONFLICT DO UPDATE SET until_ms = excluded.until_ms, identifiers = excluded.identifiers";
            let mut add = transaction.prepare_cached(sql)?;
            for Binding { address, identifiers, from, until } in bindings {
                let identifiers: Vec<_> = identifiers.iter().map(ToString::to_string).collect();
                let until = until.map(Timestamp::as_millisecond);
                add.execute(params![address.to_string(), from.as_millisecond(), until, identifiers.join(" ")])?;
            }
            Ok(())
        })
    }

    /// Those that go on at `now`, and those that have ended so short a while ago that attempts may still be written.
    pub(super) fn late_bindings(&self, now: Timestamp) -> Result<Vec<Binding>, StoreError> {
        let sql = "SELECT client, from_ms, until_ms, identifiers FROM bindings WHERE ifnull(until_ms > ?1, true)";
        let read = |connection: &Connection| -> rusqlite::Result<Vec<Option<Binding>>> {
            connection.prepare_cached(sql)?.query_map([now.as_millisecond() - LATE_MS], binding)?.collect()
        };
        let bindings = read(&self.connection).map_err(|error| StoreError::new(&self.path, &error))?;
        // What can't be read any more is not known any more.
        Ok(bindings.into_iter().flatten().collect())
    }
}

/// Who held an address when. Its JSON is an interface: names and order stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BindingRow {
    /// The address.
    pub client: IpAddr,
    /// What tells the device best; what attempts name it by.
    pub device: String,
    /// All that is known of it, the strongest first.
    pub identifiers: Vec<String>,
    /// When it began, as far as is known.
    #[serde(serialize_with = "words::time")]
    pub from: Timestamp,
    /// When it ended, or will if the lease is not renewed; `None`: without end.
    #[serde(serialize_with = "words::time_or_none")]
    pub until: Option<Timestamp>,
}

impl Store {
    /// Who held addresses in the time of the filter, of which only client, times and limit narrow; the newest first.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read to the end.
    pub fn bindings(&self, filter: &Filter) -> Result<Vec<BindingRow>, StoreError> {
        let sql = "SELECT client, from_ms, until_ms, identifiers FROM bindings \
                   WHERE ifnull(until_ms > ?1, true) AND from_ms <= ?2 AND (?4 IS NULL OR client = ?4) \
                   AND ?3 IS NULL AND ?5 IS NULL ORDER BY from_ms DESC, client LIMIT ?6";
        let rows = self.rows(sql, filter, |row| Ok(binding(row)?))?;
        let told = |binding: Binding| {
            let identifiers: Vec<_> = binding.identifiers.iter().map(ToString::to_string).collect();
            let device = identifiers.first()?.clone();
            let Binding { address: client, from, until, .. } = binding;
            Some(BindingRow { client, device, identifiers, from, until })
        };
        Ok(rows.into_iter().flatten().filter_map(told).collect())
    }
}

/// Deletes some of the bindings that ended before this time.
pub(super) fn delete(transaction: &Transaction<'_>, until_ms: i64) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM bindings WHERE (client, from_ms) IN \
               (SELECT client, from_ms FROM bindings WHERE until_ms < ?1 LIMIT ?2)";
    transaction.prepare_cached(sql)?.execute([until_ms, ROWS_AT_ONCE])
}

/// A row with the columns client, `from_ms`, `until_ms` and identifiers; `None` if no version of Embargo writes such a one.
pub(super) fn binding(row: &Row<'_>) -> rusqlite::Result<Option<Binding>> {
    let address = row.get::<_, String>(0)?.parse().ok();
    let moment = |milliseconds| Timestamp::from_millisecond(milliseconds).ok();
    let (from, until) = (moment(row.get(1)?), row.get::<_, Option<i64>>(2)?);
    let identifiers: Vec<Identifier> =
        row.get::<_, String>(3)?.split(' ').filter_map(|text| text.parse().ok()).collect();
    let (Some(address), Some(from), Ok(until)) = (address, from, until.map(Timestamp::from_millisecond).transpose())
    else {
        return Ok(None);
    };
    Ok(Some(Binding { address, identifiers, from, until }).filter(|binding| binding.strongest().is_some()))
}
