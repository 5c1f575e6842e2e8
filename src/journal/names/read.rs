//! Reading the record of names: while a server writes it, and long after.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use serde::Serialize;

use super::store::{has_log, is_ours};
use super::{DAY_MS, FILE};
use crate::journal::StoreError;
use crate::journal::read::{LOCK_TIMEOUT, uri};
use crate::journal::words;
use crate::time::Timestamp;

/// What the record of names covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// The first query in it; `None`: there is none.
    pub since: Option<Timestamp>,
    /// Queries for which there was no room.
    pub not_recorded: u64,
}

/// What one client asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameRow {
    /// The name with RFC 4343 escapes.
    pub name: String,
    /// Who asked.
    pub client: IpAddr,
    /// How often.
    pub count: u64,
    /// The last time.
    pub last: Timestamp,
}

/// What one client asked on a day. Its JSON is an interface: names and order stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeptName {
    /// Who asked.
    pub client: IpAddr,
    /// The name with RFC 4343 escapes.
    pub name: String,
    /// How often.
    pub count: u64,
    /// The first time.
    #[serde(serialize_with = "words::time")]
    pub first: Timestamp,
    /// The last time.
    #[serde(serialize_with = "words::time")]
    pub last: Timestamp,
}

/// The record of names, open for reading.
#[derive(Debug)]
pub struct NameStore {
    connection: Connection,
    path: PathBuf,
}

impl NameStore {
    /// Opens the record in a state directory and leaves it as it is; `None`: names are not recorded there.
    ///
    /// # Errors
    /// [`StoreError`] when it is unreadable, damaged or of another format.
    pub fn open_read_only(state_dir: &Path) -> Result<Option<Self>, StoreError> {
        let path = state_dir.join(FILE);
        match fs::metadata(&path) {
            Ok(_there) => (),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io(&path, &error)),
        }
        match Self::open(&path, "mode=ro") {
            // As for the record of attempts: who may not make files beside it reads it alone, where that is all there is.
            Err(StoreError::Denied { .. }) if !has_log(&path) => Self::open(&path, "immutable=1"),
            other => other,
        }
    }

    fn open(path: &Path, how: &str) -> Result<Option<Self>, StoreError> {
        let fail = |error: rusqlite::Error| StoreError::new(path, &error);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(uri(path, how), flags).map_err(fail)?;
        connection.busy_timeout(LOCK_TIMEOUT).map_err(fail)?;
        connection.pragma_update(None, "trusted_schema", false).map_err(fail)?;
        // One that a server is just making has no tables yet.
        Ok(is_ours(&connection, path)?.then(|| Self { connection, path: path.to_owned() }))
    }

    /// What is in it, of the days from `since` on.
    ///
    /// # Errors
    /// [`StoreError`] when it can't be read.
    pub fn coverage(&self, since: Option<Timestamp>) -> Result<Coverage, StoreError> {
        let day = since.map_or(i64::MIN, |since| since.as_millisecond().div_euclid(DAY_MS));
        let first = "SELECT min(first_ms) FROM asked WHERE day = (SELECT min(day) FROM asked)";
        let gaps = "SELECT coalesce(sum(queries), 0) FROM gaps WHERE day >= ?1";
        let read = || -> rusqlite::Result<(Option<i64>, i64)> {
            let first = self.connection.query_row(first, [], |row| row.get(0))?;
            Ok((first, self.connection.query_row(gaps, [day], |row| row.get(0))?))
        };
        let (first, gaps) = read().map_err(|error| StoreError::new(&self.path, &error))?;
        let since = first.map(|first| self.moment(first)).transpose()?;
        Ok(Coverage { since, not_recorded: u64::try_from(gaps).unwrap_or(0) })
    }

    /// Visits what each client asked, name by name; only what was asked at or after `since`, to the day.
    ///
    /// # Errors
    /// [`StoreError`] when it can't be read to the end.
    pub fn visit(&self, since: Option<Timestamp>, visit: &mut dyn FnMut(NameRow)) -> Result<(), StoreError> {
        let sql = "SELECT n.name, c.client, a.count, a.last FROM \
                   (SELECT name, client, sum(count) AS count, max(last_ms) AS last FROM asked \
                   WHERE day >= ?1 / 86400000 AND last_ms >= ?1 GROUP BY name, client) AS a \
                   CROSS JOIN names AS n ON n.id = a.name CROSS JOIN clients AS c ON c.id = a.client";
        let since = since.map_or(0, Timestamp::as_millisecond);
        let fail = |error: rusqlite::Error| StoreError::new(&self.path, &error);
        let mut select = self.connection.prepare_cached(sql).map_err(fail)?;
        let mut rows = select.query([since]).map_err(fail)?;
        while let Some(row) = rows.next().map_err(fail)? {
            let columns = || -> rusqlite::Result<(String, String, i64, i64)> {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            };
            let (name, client, count, last) = columns().map_err(fail)?;
            let client = client.parse().map_err(|error| StoreError::value(&self.path, format!("client: {error}")))?;
            visit(NameRow { name, client, count: u64::try_from(count).unwrap_or(0), last: self.moment(last)? });
        }
        Ok(())
    }

    /// What these clients asked on each day.
    ///
    /// # Errors
    /// [`StoreError`] when it can't be read to the end.
    pub fn of(&self, clients: &BTreeSet<IpAddr>) -> Result<Vec<KeptName>, StoreError> {
        let sql = "SELECT n.name, a.count, a.first_ms, a.last_ms FROM clients AS c JOIN asked AS a ON a.client = c.id \
                   JOIN names AS n ON n.id = a.name WHERE c.client = ?1 ORDER BY a.day, n.name";
        let fail = |error: rusqlite::Error| StoreError::new(&self.path, &error);
        let mut select = self.connection.prepare_cached(sql).map_err(fail)?;
        let mut kept = Vec::new();
        for &client in clients {
            let rows = select.query_map([client.to_string()], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?, row.get::<_, i64>(3)?))
            });
            for row in rows.map_err(fail)? {
                let (name, count, first, last) = row.map_err(fail)?;
                let count = u64::try_from(count).unwrap_or(0);
                kept.push(KeptName { client, name, count, first: self.moment(first)?, last: self.moment(last)? });
            }
        }
        Ok(kept)
    }

    fn moment(&self, millis: i64) -> Result<Timestamp, StoreError> {
        Timestamp::from_millisecond(millis).map_err(|error| StoreError::value(&self.path, error.to_string()))
    }
}
