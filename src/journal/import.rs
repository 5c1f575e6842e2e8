//! Attempts that others have logged, into the store: in pieces that are there as a whole or not at all, so that a log that is
//! read again adds nothing.
//!
//! A log is known by its content. With the attempts of each piece is written how far it has been read, in one transaction.
//! A server may write the same store: transactions are short, and neither trusts what it remembers of the other's tables.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, Transaction, params};

use super::activity::Seen;
use super::asked::Asked;
use super::batch::Batch;
use super::database::Database;
use super::fold::Fold;
use super::{Attempt, Config, Series, SeriesId, StoreError};
use crate::identity::{Identifier, ToldId};
use crate::time::Timestamp;

/// Makes the tables of what was read.
const TABLES: &str = include_str!("schema/scans.sql");

/// Rows in memory at most: many times those of one piece of a log, so that none is folded for want of room.
const ROWS_MAX: usize = 1 << 20;

/// A log as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scanned {
    id: i64,
    /// Octets of it that were read.
    pub size: u64,
    /// Their SHA-256.
    pub digest: Vec<u8>,
    /// What it was called.
    pub name: String,
    /// When it was read last.
    pub at: Timestamp,
    /// By ban, octets that were read for it.
    pub bans: HashMap<String, u64>,
}

/// What is to be noted of a log with its attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Octets from its beginning.
    pub size: u64,
    /// Their SHA-256.
    pub digest: Vec<u8>,
    /// Queries in the piece.
    pub queries: u64,
    /// Lines of it that were not understood.
    pub rejects: u64,
    /// When the first and the last of its queries were made.
    pub times: Option<(Timestamp, Timestamp)>,
}

/// A log that is being read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// What it is called.
    pub name: String,
    /// The word for its format.
    pub format: &'static str,
    /// Its first octets, how many and their SHA-256.
    pub head: (u64, Vec<u8>),
    /// What the store knows of it.
    pub known: Option<Scanned>,
    /// The bans that are looked for.
    pub bans: Vec<String>,
    /// The last of the logs with this head that the store had when it was looked up.
    newest: i64,
}

impl Log {
    /// A log with this name, format and head, for which these bans are looked for; `alike` begin with the same head, and
    /// `known` of them is the same log.
    pub fn new(
        (name, format): (String, &'static str),
        head: (u64, Vec<u8>),
        (alike, known): (&[Scanned], Option<Scanned>),
        bans: Vec<String>,
    ) -> Self {
        let newest = alike.iter().map(|scanned| scanned.id).max().unwrap_or(0);
        Self { name, format, head, known, bans, newest }
    }
}

/// Why a piece of a log is not in the store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another process reads the same log into the same store.
    #[error(
        "another scan reads the same log into this record; wait for it, then run this one again: it goes on from there"
    )]
    Raced,
}

/// A client, the device that was named, and an hour since 1970.
type Asker = (u128, Option<ToldId>, i64);

/// The store, open for attempts that others have logged.
#[derive(Debug)]
pub struct Import {
    database: Database,
    fold: Fold,
    batch: Batch,
    /// The first query of each, and where.
    active: hashbrown::HashMap<Asker, (Timestamp, Arc<str>)>,
    now: Timestamp,
}

impl Import {
    /// Opens the store of this configuration, or makes it. Which devices held addresses is as the store has it at `now`.
    ///
    /// # Errors
    /// [`StoreError`] when it can't be opened or made.
    pub fn open(config: &Config, now: Timestamp) -> Result<Self, StoreError> {
        // A log of a day is read in a minute: what limits rows by the second of the clock has no meaning here.
        let config = Config { rows_per_second_max: u32::MAX, rows_in_memory_max: ROWS_MAX, ..config.clone() };
        let mut database = Database::open(&config, rand::random::<i64>())?;
        config.devices.restore_all(database.all_bindings()?);
        config.devices.remember(&database.said_together()?);
        database.note_levels(&config.privacy, now)?;
        Ok(Self { database, fold: Fold::new(&config), batch: Batch::default(), active: hashbrown::HashMap::new(), now })
    }

    /// The number by which attempts name their series.
    pub fn series(&self, series: Series) -> SeriesId {
        self.fold.series.number(series)
    }

    /// The number of a device that a log names, for [`Attempt::told`]; `None`: there are too many.
    pub fn told(&self, identifier: &Identifier) -> Option<ToldId> {
        self.database.devices.told(identifier)
    }

    /// Takes one attempt. `knows_transport`: whether the log says how the query came.
    pub fn record(&self, attempt: &Attempt<'_>, knows_transport: bool) {
        let asked = Asked::new(attempt);
        let asked = if knows_transport { asked } else { asked.without_transport() };
        // Never full: whoever records looks at `waiting` in between.
        let _kept = self.fold.add_asked(&asked, attempt.at);
    }

    /// Notes that a client asked for anything; `site`: where it is.
    pub fn note_active(
        &mut self,
        (client, told): (IpAddr, Option<ToldId>),
        at: Timestamp,
        site: impl FnOnce() -> Arc<str>,
    ) {
        let client = match client.to_canonical() {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(address) => address.to_bits(),
        };
        let first = self.active.entry((client, told, hour(at))).or_insert_with(|| (at, site()));
        first.0 = first.0.min(at);
    }

    /// Rows that wait for [`Import::commit`].
    pub fn waiting(&self) -> usize {
        self.fold.waiting()
    }

    /// Sizes of heads by which logs are known.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read.
    pub fn head_sizes(&self) -> Result<Vec<u64>, StoreError> {
        let read = || -> rusqlite::Result<Vec<u64>> {
            let sql = "SELECT DISTINCT head_size FROM scans ORDER BY head_size";
            self.database.connection.prepare_cached(sql)?.query_map([], |row| Ok(unsigned(row.get(0)?)))?.collect()
        };
        read().map_err(|error| self.failed(&error))
    }

    /// The logs that begin with these octets, the longest first.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read.
    pub fn known(&self, head: &(u64, Vec<u8>)) -> Result<Vec<Scanned>, StoreError> {
        let connection = &self.database.connection;
        let read = || -> rusqlite::Result<Vec<Scanned>> {
            let sql = "SELECT id, size, digest, name, scanned_ms FROM scans WHERE head = ?1 AND head_size = ?2 \
                       ORDER BY size DESC";
            let mut select = connection.prepare_cached(sql)?;
            let found = select.query_map(params![head.1, signed(head.0)], |row| {
                let at = Timestamp::from_millisecond(row.get(4)?).unwrap_or_default();
                let (id, size, digest, name) = (row.get(0)?, unsigned(row.get(1)?), row.get(2)?, row.get(3)?);
                Ok(Scanned { id, size, digest, name, at, bans: HashMap::new() })
            })?;
            let mut found: Vec<Scanned> = found.collect::<rusqlite::Result<_>>()?;
            let mut select = connection.prepare_cached("SELECT ban, size FROM scanned_bans WHERE scan = ?1")?;
            for scanned in &mut found {
                let bans = select.query_map([scanned.id], |row| Ok((row.get(0)?, unsigned(row.get(1)?))))?;
                scanned.bans = bans.collect::<rusqlite::Result<_>>()?;
            }
            Ok(found)
        };
        read().map_err(|error| self.failed(&error))
    }

    /// Clients and hours that wait for it, too.
    pub fn waiting_active(&self) -> usize {
        self.active.len()
    }

    /// Writes the attempts taken since the last call, and that the log has been read so far: both or neither.
    ///
    /// # Errors
    /// [`ImportError`] when it could not be written; nothing of it is there then.
    pub fn commit(&mut self, log: &mut Log, reached: &Reached) -> Result<(), ImportError> {
        self.fold.drain(self.now, usize::MAX, &mut self.batch);
        self.batch.keep_to(&self.database.privacy);
        let seen = |((client, told, _hour), (at, site))| Seen { client, told, at, site };
        self.batch.active = self.active.drain().map(seen).collect();
        // In the order of addresses: neighbours get neighbouring numbers.
        self.batch.active.sort_unstable_by_key(|seen| (seen.client, seen.at));
        self.batch.number += 1;
        let (now, mut raced) = (self.now, false);
        let noted = self.database.add_with(&self.batch, |transaction| {
            note(transaction, log, reached, now)?.ok_or_else(|| {
                raced = true;
                // Any error: the transaction must come to nothing.
                rusqlite::Error::QueryReturnedNoRows
            })
        });
        self.batch.clear();
        match noted {
            Err(_nothing) if raced => Err(ImportError::Raced),
            Err(error) => Err(error.into()),
            Ok(known) => {
                log.known = known.or(log.known.take());
                Ok(())
            }
        }
    }

    /// Moves what is in the write-ahead log into the file.
    ///
    /// # Errors
    /// [`StoreError`] when that can't be done now.
    pub fn close(self) -> Result<(), StoreError> {
        self.database.checkpoint()
    }

    /// The store's file.
    pub fn path(&self) -> &Path {
        &self.database.path
    }

    fn failed(&self, error: &rusqlite::Error) -> StoreError {
        StoreError::new(&self.database.path, error)
    }
}

/// Hours since 1970.
fn hour(at: Timestamp) -> i64 {
    at.as_second().div_euclid(3_600)
}

/// Makes the tables of what was read, where they are not there yet.
pub(super) fn make_tables(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(TABLES)
}

/// The minutes before `until` in which attempts are too old: all but those that logs tell of which were read at `since` or
/// later. Whoever reads an old log wants to see what is in it.
pub(super) fn too_old(
    transaction: &Transaction<'_>,
    until: i64,
    since: Timestamp,
) -> rusqlite::Result<Vec<Range<i64>>> {
    let sql = "SELECT first_ms / 60000, last_ms / 60000 + 1 FROM scans WHERE scanned_ms >= ?1 AND first_ms IS NOT NULL \
               ORDER BY first_ms";
    let mut select = transaction.prepare_cached(sql)?;
    let held = select.query_map([since.as_millisecond()], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
    let (mut ranges, mut from) = (Vec::new(), i64::MIN);
    for held in held {
        let (first, end) = held?;
        if first > from {
            ranges.push(from..first.min(until));
        }
        from = from.max(end);
    }
    ranges.push(from..until);
    ranges.retain(|range| range.start < range.end);
    Ok(ranges)
}

/// Notes how far a log was read; `None`: somebody else has read on.
fn note(
    transaction: &Transaction<'_>,
    log: &Log,
    reached: &Reached,
    now: Timestamp,
) -> rusqlite::Result<Option<Scanned>> {
    let Some(known) = &log.known else { return begin(transaction, log, reached, now) };
    let grown = reached.size > known.size;
    let (size, digest) = if grown { (reached.size, &reached.digest) } else { (known.size, &known.digest) };
    let (first, last) = times(reached);
    let update = "UPDATE scans SET size = ?3, digest = ?4, name = ?5, scanned_ms = ?6, \
                  queries = queries + ?7, rejects = rejects + ?8, \
                  first_ms = min(ifnull(first_ms, ?9), ifnull(?9, first_ms)), \
                  last_ms = max(ifnull(last_ms, ?10), ifnull(?10, last_ms)) WHERE id = ?1 AND size = ?2";
    // What was read before is counted already, whatever bans are new.
    let (queries, rejects) = if grown { (reached.queries, reached.rejects) } else { (0, 0) };
    let row = params![
        known.id,
        signed(known.size),
        signed(size),
        digest,
        log.name,
        now.as_millisecond(),
        signed(queries),
        signed(rejects),
        first,
        last
    ];
    if transaction.prepare_cached(update)?.execute(row)? != 1 {
        return Ok(None);
    }
    let mut bans = known.bans.clone();
    for ban in &log.bans {
        let before = bans.get(ban).copied().unwrap_or(0);
        if !note_ban(transaction, known.id, ban, (before, reached.size.max(before)))? {
            return Ok(None);
        }
        bans.insert(ban.clone(), reached.size.max(before));
    }
    Ok(Some(Scanned { size, digest: digest.clone(), bans, name: log.name.clone(), at: now, ..known.clone() }))
}

/// Notes a log that was not known.
fn begin(
    transaction: &Transaction<'_>,
    log: &Log,
    reached: &Reached,
    now: Timestamp,
) -> rusqlite::Result<Option<Scanned>> {
    let newest = "SELECT ifnull(max(id), 0) FROM scans WHERE head = ?1 AND head_size = ?2";
    let newest: i64 =
        transaction.prepare_cached(newest)?.query_row(params![log.head.1, signed(log.head.0)], |row| row.get(0))?;
    if newest != log.newest {
        return Ok(None);
    }
    let insert = "INSERT INTO scans (head_size, head, size, digest, format, name, scanned_ms, queries, rejects, first_ms, last_ms) \
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) RETURNING id";
    let (first, last) = times(reached);
    let row = params![
        signed(log.head.0),
        log.head.1,
        signed(reached.size),
        reached.digest,
        log.format,
        log.name,
        now.as_millisecond(),
        signed(reached.queries),
        signed(reached.rejects),
        first,
        last
    ];
    let id: i64 = transaction.prepare_cached(insert)?.query_row(row, |row| row.get(0))?;
    let (size, digest) = (reached.size, reached.digest.clone());
    for ban in &log.bans {
        note_ban(transaction, id, ban, (0, size))?;
    }
    let bans = log.bans.iter().map(|ban| (ban.clone(), size)).collect();
    Ok(Some(Scanned { id, size, digest, name: log.name.clone(), at: now, bans }))
}

/// Notes that a log was read for a ban up to there; whether it stood where it was thought to.
fn note_ban(transaction: &Transaction<'_>, scan: i64, ban: &str, (from, to): (u64, u64)) -> rusqlite::Result<bool> {
    let sql = "INSERT INTO scanned_bans (scan, ban, size) VALUES (?1, ?2, ?3) \
               ON CONFLICT DO UPDATE SET size = excluded.size WHERE size = ?4";
    Ok(transaction.prepare_cached(sql)?.execute(params![scan, ban, signed(to), signed(from)])? == 1)
}

fn times(reached: &Reached) -> (Option<i64>, Option<i64>) {
    reached.times.map(|(first, last)| (first.as_millisecond(), last.as_millisecond())).unzip()
}

/// SQLite's integers are signed; no file is so large that it matters.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
