//! Who held which address when, in the store: written as it becomes known, read at a start and by whoever asks.

use std::net::IpAddr;

use rusqlite::{Connection, Row, Transaction, params};
use serde::Serialize;

use super::database::Database;
use super::{Filter, Store, StoreError, words};
use crate::identity::{Binding, Devices, Identifier, LEARNED_MAX, Method};
use crate::time::Timestamp;

/// Bindings of so many milliseconds ago are still asked for: attempts wait for the disk that long at most.
const LATE_MS: i64 = 86_400_000;
/// The columns that [`binding`] reads, in their order.
const COLUMNS: &str = "client, from_ms, until_ms, identifiers, method, estimated";
/// Bindings deleted in one transaction at most.
const ROWS_AT_ONCE: i64 = 10_000;

impl Database {
    /// Writes these, each in place of the one that began at the same address and time.
    pub(super) fn add_bindings(&mut self, bindings: &[Binding]) -> Result<(), StoreError> {
        self.transaction(|transaction| {
            let sql = "INSERT INTO bindings (client, from_ms, until_ms, identifiers, method, estimated) \
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET until_ms = excluded.until_ms, \
                       identifiers = excluded.identifiers, method = excluded.method, estimated = excluded.estimated";
            let mut add = transaction.prepare_cached(sql)?;
            for Binding { address, identifiers, from, until, method, estimated } in bindings {
                let identifiers: Vec<_> = identifiers.iter().map(ToString::to_string).collect();
                let (address, identifiers) = (address.to_string(), identifiers.join(" "));
                let (from, until) = (from.as_millisecond(), until.map(Timestamp::as_millisecond));
                add.execute(params![address, from, until, identifiers, method.as_str(), estimated])?;
            }
            Ok(())
        })
    }

    /// Every one that there is.
    pub(super) fn all_bindings(&self) -> Result<Vec<Binding>, StoreError> {
        self.late_bindings(Timestamp::MIN)
    }

    /// Those that go on at `now`, and those that have ended so short a while ago that attempts may still be written.
    pub(super) fn late_bindings(&self, now: Timestamp) -> Result<Vec<Binding>, StoreError> {
        late(&self.connection, now).map_err(|error| StoreError::new(&self.path, &error))
    }

    /// What was said together of a device, whenever that was.
    pub(super) fn said_together(&self) -> Result<Vec<Vec<Identifier>>, StoreError> {
        said_together(&self.connection).map_err(|error| StoreError::new(&self.path, &error))
    }
}

fn late(connection: &Connection, now: Timestamp) -> rusqlite::Result<Vec<Binding>> {
    let sql = format!("SELECT {COLUMNS} FROM bindings WHERE ifnull(until_ms > ?1, true)");
    let mut select = connection.prepare_cached(&sql)?;
    let bindings = select.query_map([now.as_millisecond().saturating_sub(LATE_MS)], binding)?;
    // What can't be read any more is not known any more.
    bindings.filter_map(Result::transpose).collect()
}

fn said_together(connection: &Connection) -> rusqlite::Result<Vec<Vec<Identifier>>> {
    let sql = "SELECT DISTINCT identifiers FROM bindings WHERE instr(identifiers, ' ') > 0 LIMIT ?1";
    let limit = i64::try_from(LEARNED_MAX).unwrap_or(i64::MAX);
    connection.prepare_cached(sql)?.query_map([limit], |row| Ok(identifiers(&row.get::<_, String>(0)?)))?.collect()
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
    /// How it is known: `lease`, `neighbour` or `ptr`.
    pub method: &'static str,
    /// How well that tells the device: `asset`, `client_id`, `mac`, `random_mac` or `name`.
    pub confidence: &'static str,
    /// Whether the times are not as they were said, since clocks did not agree.
    pub estimated: bool,
}

impl Store {
    /// Who held addresses in the time of the filter, of which only client, times and limit narrow; the newest first.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read to the end.
    pub fn bindings(&self, filter: &Filter) -> Result<Vec<BindingRow>, StoreError> {
        let sql = "SELECT client, from_ms, until_ms, identifiers, method, estimated FROM bindings \
                   WHERE ifnull(until_ms > ?1, true) AND from_ms <= ?2 AND (?4 IS NULL OR client = ?4) \
                   AND ?3 IS NULL AND ?5 IS NULL ORDER BY from_ms DESC, client LIMIT ?6";
        let rows = self.rows(sql, filter, |row| Ok(binding(row)?))?;
        Ok(rows.into_iter().flatten().filter_map(|binding| told(&binding)).collect())
    }

    /// Who holds addresses, and which identifiers were said together, as a running server knows it.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read to the end.
    pub fn known_devices(&self, now: Timestamp) -> Result<Devices, StoreError> {
        let (devices, fail) = (Devices::default(), |error| StoreError::new(&self.path, &error));
        devices.restore(late(&self.connection, now).map_err(fail)?);
        devices.remember(&said_together(&self.connection).map_err(fail)?);
        Ok(devices)
    }
}

/// Visits the address, the beginning and the identifiers of each.
pub(super) fn visit(
    connection: &Connection,
    mut visit: impl FnMut(&str, i64, std::str::Split<'_, char>),
) -> rusqlite::Result<()> {
    let mut select = connection.prepare_cached("SELECT client, from_ms, identifiers FROM bindings")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        visit(row.get_ref(0)?.as_str()?, row.get(1)?, row.get_ref(2)?.as_str()?.split(' '));
    }
    Ok(())
}

/// A binding in words.
pub(super) fn told(binding: &Binding) -> Option<BindingRow> {
    let identifiers: Vec<_> = binding.identifiers.iter().map(ToString::to_string).collect();
    let (device, confidence) = (identifiers.first()?.clone(), binding.strongest()?.confidence());
    let &Binding { address: client, from, until, method, estimated, .. } = binding;
    let method = method.as_str();
    Some(BindingRow { client, device, identifiers, from, until, method, confidence, estimated })
}

/// Deletes some of the bindings that ended before this time.
pub(super) fn delete(transaction: &Transaction<'_>, until_ms: i64) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM bindings WHERE (client, from_ms) IN \
               (SELECT client, from_ms FROM bindings WHERE until_ms < ?1 LIMIT ?2)";
    transaction.prepare_cached(sql)?.execute([until_ms, ROWS_AT_ONCE])
}

/// A row with [`COLUMNS`]; `None` if no version of Embargo writes such a one.
pub(super) fn binding(row: &Row<'_>) -> rusqlite::Result<Option<Binding>> {
    let address = row.get::<_, String>(0)?.parse().ok();
    let moment = |milliseconds| Timestamp::from_millisecond(milliseconds).ok();
    let (from, until) = (moment(row.get(1)?), row.get::<_, Option<i64>>(2)?);
    let identifiers = identifiers(&row.get::<_, String>(3)?);
    let (method, estimated) = (Method::of(&row.get::<_, String>(4)?).unwrap_or(Method::Lease), row.get(5)?);
    let (Some(address), Some(from), Ok(until)) = (address, from, until.map(Timestamp::from_millisecond).transpose())
    else {
        return Ok(None);
    };
    let binding = Binding { address, identifiers, from, until, method, estimated };
    Ok(Some(binding).filter(|binding| binding.strongest().is_some()))
}

fn identifiers(text: &str) -> Vec<Identifier> {
    text.split(' ').filter_map(|text| text.parse().ok()).collect()
}
