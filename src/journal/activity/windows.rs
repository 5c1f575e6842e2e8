//! The windows of the record: an hour each, or the part of it in which the server ran.

use std::sync::Arc;

use rusqlite::{Transaction, params};
use serde::Serialize;

use super::Seen;
use crate::journal::database::Database;
use crate::journal::{Store, StoreError, presence, words};
use crate::metrics::Metrics;
use crate::time::{Mono, Now, Timestamp};

/// Seconds of a window.
const WINDOW: i64 = 3_600;
/// Ticks between two times of writing, when there is something new, and when there is not.
const TICKS: (u32, u32) = (10, 60);
/// Windows deleted in one transaction at most.
const ROWS_AT_ONCE: i64 = 10_000;

/// A time in which the server ran. Its JSON is an interface: names and order stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct WindowRow {
    /// When it began.
    #[serde(serialize_with = "words::time")]
    pub from: Timestamp,
    /// When it was last known to go on.
    #[serde(serialize_with = "words::time")]
    pub until: Timestamp,
    /// Messages received, and queries that other resolvers have told of.
    pub queries: u64,
    /// Devices that asked for anything.
    pub active: u64,
    /// Attempts that were lost.
    pub lost: u64,
    /// Queries of clients that could not be noted as active, and messages of other resolvers that could not be judged.
    pub unnoted: u64,
}

/// Counts since the process began.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    queries: u64,
    lost: u64,
    unnoted: u64,
}

/// What the writer keeps from tick to tick.
#[derive(Debug)]
pub(in super::super) struct Keeper {
    window: WindowRow,
    /// Counts when the window began.
    began: Sums,
    mono: Mono,
    /// Taken from the fold, and not yet in the store.
    waiting: Vec<Seen>,
    due_in: u32,
}

impl Keeper {
    pub(in super::super) fn new(now: Now, metrics: &Metrics) -> Self {
        Self { window: at(now.wall), began: sums(metrics, 0), mono: now.mono, waiting: Vec::new(), due_in: 0 }
    }

    /// Writes who was active and how far the window is, if that is due.
    ///
    /// # Errors
    /// [`StoreError`]; what could not be written is written the next time.
    pub(in super::super) fn tick(
        &mut self,
        database: &mut Database,
        (fold, met): (&super::Fold, &super::Met),
        metrics: &Metrics,
        (now, all): (Now, bool),
    ) -> Result<(), StoreError> {
        self.due_in = self.due_in.saturating_sub(1);
        // A clock that was set makes a new window: none lasts longer than time does.
        let passed = i64::try_from(now.mono.since(self.mono).as_secs()).unwrap_or(i64::MAX);
        let wall = now.wall.as_second() - self.window.until.as_second();
        let has_jumped = wall < 0 || wall > passed.saturating_add(WINDOW / 60);
        let is_over = now.wall.as_second().div_euclid(WINDOW) != self.window.from.as_second().div_euclid(WINDOW);
        if self.due_in > 0 && !all && !has_jumped && !is_over {
            return Ok(());
        }
        // First what could not be written before. Only then is more taken.
        if self.waiting.is_empty() {
            self.waiting = fold.take();
            met.add(&self.waiting);
        }
        self.due_in = if self.waiting.is_empty() { TICKS.1 } else { TICKS.0 };
        let sums = sums(metrics, fold.lost());
        let began = self.began;
        self.window.queries = sums.queries.saturating_sub(began.queries);
        self.window.lost = sums.lost.saturating_sub(began.lost);
        self.window.unnoted = sums.unnoted.saturating_sub(began.unnoted);
        if !has_jumped {
            self.window.until = now.wall;
        }
        self.window.active = database.add_activity(&self.waiting, self.window)?;
        self.mono = now.mono;
        self.waiting.clear();
        if is_over || has_jumped {
            (self.window, self.began) = (at(now.wall), sums);
        }
        Ok(())
    }
}

/// A window that begins now.
fn at(now: Timestamp) -> WindowRow {
    WindowRow { from: now, until: now, queries: 0, active: 0, lost: 0, unnoted: 0 }
}

fn sums(metrics: &Metrics, unnoted: u64) -> Sums {
    let (heard, unheard) = metrics.intakes.heard();
    Sums { queries: metrics.queries() + heard, lost: metrics.record.lost_in_all(), unnoted: unnoted + unheard }
}

impl Database {
    /// Adds who was active, and writes the window in place of the one that began then; how many devices were active in it.
    fn add_activity(&mut self, seen: &[Seen], window: WindowRow) -> Result<u64, StoreError> {
        let (devices, privacy) = (Arc::clone(&self.devices), Arc::clone(&self.privacy));
        let mut known = std::mem::take(&mut self.known);
        let added = self.transaction(|transaction| {
            let active = presence::add_active(transaction, seen, (&devices, &privacy), window.from, &mut known)?;
            write(transaction, WindowRow { active, ..window }).map(|()| active)
        });
        if added.is_ok() {
            self.known = known;
        }
        added
    }
}

fn write(transaction: &Transaction<'_>, window: WindowRow) -> rusqlite::Result<()> {
    let sql = "INSERT INTO windows (from_ms, until_ms, queries, active, lost, unnoted) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
               ON CONFLICT DO UPDATE SET until_ms = excluded.until_ms, queries = excluded.queries, active = excluded.active, \
               lost = excluded.lost, unnoted = excluded.unnoted";
    let WindowRow { from, until, queries, active, lost, unnoted } = window;
    let counts = [queries, active, lost, unnoted].map(u64::cast_signed);
    let row = params![from.as_millisecond(), until.as_millisecond(), counts[0], counts[1], counts[2], counts[3]];
    transaction.prepare_cached(sql)?.execute(row).map(drop)
}

/// Deletes some of the windows that ended before this time.
pub(in super::super) fn delete(transaction: &Transaction<'_>, until_ms: i64) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM windows WHERE from_ms IN (SELECT from_ms FROM windows WHERE until_ms < ?1 LIMIT ?2)";
    transaction.prepare_cached(sql)?.execute([until_ms, ROWS_AT_ONCE])
}

impl Store {
    /// The windows that touch the time from one moment to before another, in their order.
    ///
    /// # Errors
    /// [`StoreError`] when the store can't be read.
    pub fn windows(&self, from: Timestamp, until: Timestamp) -> Result<Vec<WindowRow>, StoreError> {
        let sql = "SELECT from_ms, until_ms, queries, active, lost, unnoted FROM windows \
                   WHERE until_ms >= ?1 AND from_ms < ?2 ORDER BY from_ms";
        let moment = |milliseconds| Timestamp::from_millisecond(milliseconds).unwrap_or_default();
        let read = || -> rusqlite::Result<Vec<WindowRow>> {
            let mut select = self.connection.prepare_cached(sql)?;
            let rows = select.query_map([from.as_millisecond(), until.as_millisecond()], |row| {
                let count = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
                let (from, until) = (moment(row.get(0)?), moment(row.get(1)?));
                let (queries, active) = (count(2)?, count(3)?);
                Ok(WindowRow { from, until, queries, active, lost: count(4)?, unnoted: count(5)? })
            })?;
            rows.collect()
        };
        read().map_err(|error| StoreError::new(&self.path, &error))
    }
}
