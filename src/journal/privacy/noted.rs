//! What the store tells of privacy: how much was recorded of whom since when, and how much was erased.

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde::Serialize;

use super::{Level, Privacy};
use crate::journal::database::Database;
use crate::journal::{Store, StoreError, words};
use crate::metrics::DEFAULT_SITE;
use crate::time::Timestamp;

/// Makes the tables.
const TABLES: &str = include_str!("../schema/privacy.sql");

/// How much of the clients of a site is recorded from a moment on. Its JSON is an interface: names and order stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LevelRow {
    /// The site.
    pub site: String,
    /// Since when.
    #[serde(serialize_with = "words::time")]
    pub from: Timestamp,
    /// `full`, `hashed` or `counts`.
    pub level: &'static str,
}

/// What was erased at a moment because somebody asked for it. Its JSON is an interface: names and order stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Erasure {
    /// When.
    #[serde(serialize_with = "words::time")]
    pub at: Timestamp,
    /// How many devices and addresses.
    pub devices: u64,
    /// How many attempts.
    pub attempts: u64,
}

/// Makes the tables where they are not there yet.
pub(in crate::journal) fn make_tables(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(TABLES)
}

impl Database {
    /// Notes how much is recorded of whom from `now` on, where that is not as it was. A store that always recorded everything
    /// says nothing of it.
    pub(in crate::journal) fn note_levels(&mut self, privacy: &Privacy, now: Timestamp) -> Result<(), StoreError> {
        self.transaction(|transaction| {
            for (site, level) in privacy.sites(DEFAULT_SITE) {
                note(transaction, (site, level), now)?;
            }
            Ok(())
        })
    }
}

fn note(transaction: &Transaction<'_>, (site, level): (&str, Level), now: Timestamp) -> rusqlite::Result<()> {
    let last = "SELECT level FROM levels WHERE site = ?1 ORDER BY from_ms DESC LIMIT 1";
    let last: Option<String> = transaction.prepare_cached(last)?.query_row([site], |row| row.get(0)).optional()?;
    if last.as_deref().unwrap_or(Level::Full.as_str()) == level.as_str() {
        return Ok(());
    }
    let sql = "INSERT INTO levels (site, from_ms, level) VALUES (?1, ?2, ?3) \
               ON CONFLICT DO UPDATE SET level = excluded.level";
    transaction.prepare_cached(sql)?.execute(params![site, now.as_millisecond(), level.as_str()]).map(drop)
}

/// Notes that something was erased.
pub(super) fn note_erasure(transaction: &Transaction<'_>, erasure: Erasure) -> rusqlite::Result<()> {
    let Erasure { at, devices, attempts } = erasure;
    let sql = "INSERT INTO erasures (erased_ms, devices, attempts) VALUES (?1, ?2, ?3)";
    let row = params![at.as_millisecond(), devices.cast_signed(), attempts.cast_signed()];
    transaction.prepare_cached(sql)?.execute(row).map(drop)
}

impl Store {
    /// How much of the clients of each site is recorded since when, in the order of sites and times; a site that is not there is
    /// recorded in full since ever.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read.
    pub fn levels(&self) -> Result<Vec<LevelRow>, StoreError> {
        let known = |word: &str| Level::ALL.into_iter().map(Level::as_str).find(|known| *known == word);
        self.noted("levels", "SELECT site, from_ms, level FROM levels ORDER BY site, from_ms", |row| {
            let level = known(&row.get::<_, String>(2)?).unwrap_or(Level::Counts.as_str());
            Ok(LevelRow { site: row.get(0)?, from: moment(row.get(1)?), level })
        })
    }

    /// What was erased because somebody asked for it, in its order.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read.
    pub fn erasures(&self) -> Result<Vec<Erasure>, StoreError> {
        self.noted("erasures", "SELECT erased_ms, devices, attempts FROM erasures ORDER BY id", |row| {
            let count = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
            Ok(Erasure { at: moment(row.get(0)?), devices: count(1)?, attempts: count(2)? })
        })
    }

    /// Whether logs of these formats were read that tell of the time from one moment to before another.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read.
    pub fn was_scanned(&self, formats: &[&str], from: Timestamp, until: Timestamp) -> Result<bool, StoreError> {
        let sql = "SELECT format, first_ms, last_ms FROM scans WHERE first_ms IS NOT NULL";
        let all =
            self.noted("scans", sql, |row| Ok((row.get::<_, String>(0)?, moment(row.get(1)?), moment(row.get(2)?))))?;
        Ok(all.iter().any(|(format, first, last)| formats.contains(&&**format) && *last >= from && *first < until))
    }

    /// The rows of a table that a store may not have.
    fn noted<T>(
        &self,
        table: &str,
        sql: &str,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let rows = || -> rusqlite::Result<Vec<T>> {
            let there = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1)";
            if !self.connection.query_row(there, [table], |row| row.get::<_, bool>(0))? {
                return Ok(Vec::new());
            }
            self.connection.prepare(sql)?.query_map([], read)?.collect()
        };
        rows().map_err(|error| StoreError::new(&self.path, &error))
    }
}

fn moment(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or_default()
}
