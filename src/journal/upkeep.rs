//! Keeping the store within its limits, and counting clients in it.
//!
//! Each call does a bounded piece of work in a transaction of its own; what is left is done by the next.

use std::ops::Range;
use std::sync::Arc;

use jiff::SignedDuration;
use rusqlite::{OptionalExtension, Transaction, params};

use super::database::Database;
use super::steady::AHEAD_MAX;
use super::{Config, StoreError, presence};
use super::{activity, bindings, connected, import};
use crate::metrics::{ClientFigures, Window};
use crate::policy::Evidence;
use crate::priority::make_way;
use crate::time::{Day, Timestamp};

/// Rows deleted in one transaction at most, about.
const ROWS_AT_ONCE: i64 = 10_000;
/// Free pages given back to the file system in one transaction at most.
const PAGES_AT_ONCE: u32 = 2_000;
/// Transactions of one call at most, when the store is too large.
const STEPS_MAX: usize = 20;
/// Minutes of a day.
const DAY_MINUTES: i64 = 1_440;
/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

impl Database {
    /// Deletes what is older at `now` than the settings say, and the oldest attempts while the store is larger than they say;
    /// how many rows of those went before their time.
    pub(super) fn trim(&mut self, config: &Config, now: Timestamp) -> Result<usize, StoreError> {
        let minute = now.as_second() / 60 - i64::from(config.attempts_keep_days) * DAY_MINUTES;
        let seen = now.as_millisecond() - i64::from(config.clients_keep_days) * DAY_MS;
        let since =
            |days: u32| now.saturating_sub(SignedDuration::from_hours(24 * i64::from(days))).unwrap_or_default();
        let attempts_since = since(config.attempts_keep_days);
        for _step in 0..STEPS_MAX {
            let deleted = self.transaction(|transaction| {
                let ranges = import::too_old(transaction, minute, attempts_since)?;
                ranges.iter().try_fold(0, |deleted, range| {
                    // One piece of work at a time.
                    if deleted > 0 { Ok(deleted) } else { delete_attempts(transaction, range) }
                })
            })?;
            if deleted == 0 {
                break;
            }
        }
        let clients_since = since(config.clients_keep_days).as_millisecond();
        self.transaction(|transaction| delete_clients(transaction, seen, clients_since))?;
        self.transaction(|transaction| bindings::delete(transaction, minute * 60_000))?;
        self.transaction(|transaction| connected::delete(transaction, minute.div_euclid(DAY_MINUTES)))?;
        self.trim_presence(config, Day::of(now))?;
        let given_up = self.give_up(config.size_max_bytes)?;
        self.shrink()?;
        Ok(given_up)
    }

    /// Deletes the oldest of the record while the store is larger than it may be; how many rows that were.
    fn give_up(&mut self, size_max_bytes: u64) -> Result<usize, StoreError> {
        let mut given_up = 0;
        for _step in 0..STEPS_MAX {
            if self.used_bytes()? <= size_max_bytes {
                break;
            }
            let deleted = self.transaction(|transaction| {
                let attempts = delete_attempts(transaction, &(i64::MIN..i64::MAX))?;
                let clients = if attempts == 0 { delete_clients(transaction, i64::MAX, i64::MAX)? } else { 0 };
                let connected = if attempts == 0 { connected::delete(transaction, i64::MAX)? } else { 0 };
                Ok(attempts + clients + connected)
            })?;
            given_up += deleted;
            if deleted == 0 && !self.give_up_presence()? {
                break;
            }
        }
        Ok(given_up)
    }

    /// Turns days into months when they are old, and deletes what is older than presence is kept.
    fn trim_presence(&mut self, config: &Config, today: Day) -> Result<(), StoreError> {
        let (days, all) = (i64::from(config.device_days_keep_days), i64::from(config.presence_keep_days));
        let before = |days: i64| today.plus(i32::try_from(-days).unwrap_or(i32::MIN));
        while self.transaction(|transaction| presence::fold_days(transaction, before(days)))? {
            make_way();
        }
        // Once a day: it looks through every device.
        if self.known.trimmed != Some(today) {
            let deleted = self.transaction(|transaction| presence::delete(transaction, before(all)))?;
            let window = i64::from(before(all).0) * DAY_MS;
            self.transaction(|transaction| activity::delete(transaction, window))?;
            if deleted > 0 {
                self.known.forget();
            } else {
                self.known.trimmed = Some(today);
            }
        }
        Ok(())
    }

    /// Gives up the oldest of presence, which is kept longest: its oldest days one by one, then its oldest sets; says whether
    /// there was anything.
    fn give_up_presence(&mut self) -> Result<bool, StoreError> {
        let given_up = self.transaction(|transaction| {
            if presence::fold_days(transaction, Day(i32::MAX))? {
                return Ok(true);
            }
            let oldest = presence::oldest(transaction)?;
            oldest.map_or(Ok(false), |oldest| presence::delete(transaction, oldest.plus(1)).map(|deleted| deleted > 0))
        })?;
        if given_up {
            self.known.forget();
        }
        Ok(given_up)
    }

    /// Sets the times of clients that were seen while the wall clock was far ahead to `now`, when it is back: that is when
    /// they were seen, but for the time of the jump. A later lookup could not correct them. Attempts stay as recorded.
    pub(super) fn bring_back_clients(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let sql =
            "UPDATE clients SET first_seen_ms = min(first_seen_ms, ?1), last_seen_ms = ?1 WHERE last_seen_ms > ?2";
        let times = [now.as_millisecond(), latest(now)];
        self.transaction(|transaction| transaction.prepare_cached(sql)?.execute(times).map(drop))
    }

    /// Distinct clients of each ban and evidence in each window that ends at `now`. Those last seen far after it are in no
    /// window, or they would be in every one for good.
    pub(super) fn count_clients(&self, now: Timestamp) -> Result<Vec<ClientFigures>, StoreError> {
        let [day, week, month] = Window::ALL.map(|window| now.as_millisecond() - window.millis());
        let sql = "SELECT ban, evidence, sum(seen > ?1), sum(seen > ?2), sum(seen > ?3) FROM \
                   (SELECT ban, evidence, max(last_seen_ms) AS seen FROM clients WHERE last_seen_ms <= ?4 \
                   GROUP BY ban, evidence, client) GROUP BY ban, evidence";
        let count = || -> rusqlite::Result<Vec<_>> {
            let mut select = self.connection.prepare_cached(sql)?;
            let rows = select.query_map([day, week, month, latest(now)], |row| {
                let clients = [row.get(2)?, row.get(3)?, row.get(4)?].map(natural);
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, clients))
            })?;
            rows.collect()
        };
        let rows = count().map_err(|error| StoreError::new(&self.path, &error))?;
        let figures = rows.into_iter().filter_map(|(ban, evidence, clients)| {
            let evidence = Evidence::ALL.into_iter().find(|known| known.as_str() == evidence)?;
            Some(ClientFigures { ban: Arc::from(ban), evidence, clients })
        });
        Ok(figures.collect())
    }

    /// Bytes of the pages in use.
    fn used_bytes(&self) -> Result<u64, StoreError> {
        let sql = "SELECT (page_count - freelist_count) * page_size \
                   FROM pragma_page_count, pragma_freelist_count, pragma_page_size";
        let used = self.connection.query_row(sql, [], |row| row.get(0).map(natural));
        used.map_err(|error| StoreError::new(&self.path, &error))
    }

    /// Gives free pages back, when they are more than a tenth: fewer will soon be used again.
    fn shrink(&self) -> Result<(), StoreError> {
        let shrink = || {
            let sql = "SELECT freelist_count * 10 > page_count FROM pragma_page_count, pragma_freelist_count";
            if self.connection.query_row(sql, [], |row| row.get(0))? {
                self.connection.execute_batch(&format!("PRAGMA incremental_vacuum({PAGES_AT_ONCE})"))?;
            }
            Ok(())
        };
        shrink().map_err(|error| StoreError::new(&self.path, &error))
    }
}

/// The last millisecond at which something can have been seen at `now`.
fn latest(now: Timestamp) -> i64 {
    now.saturating_add(AHEAD_MAX).unwrap_or(Timestamp::MAX).as_millisecond()
}

/// SQLite's integers are signed; a count or size is not.
fn natural(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Deletes some of the oldest attempts of these minutes: as many as one piece of work allows.
fn delete_attempts(transaction: &Transaction<'_>, minutes: &Range<i64>) -> rusqlite::Result<usize> {
    let &Range { start, end } = minutes;
    let last = "SELECT minute, second, client FROM attempts WHERE minute >= ?1 AND minute < ?2 \
                ORDER BY minute, second, client LIMIT 1 OFFSET ?3";
    let last = transaction
        .prepare_cached(last)?
        .query_row([start, end, ROWS_AT_ONCE], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?))
        })
        .optional()?;
    match last {
        None => {
            transaction.prepare_cached("DELETE FROM attempts WHERE minute >= ?1 AND minute < ?2")?.execute([start, end])
        }
        Some((minute, second, client)) => transaction
            .prepare_cached("DELETE FROM attempts WHERE minute >= ?1 AND (minute, second, client) <= (?2, ?3, ?4)")?
            .execute(params![start, minute, second, client]),
    }
}

/// Deletes some of the clients last seen before this time, those of longest ago first; but not those of logs that were read
/// at `since` or later.
fn delete_clients(transaction: &Transaction<'_>, last_seen_ms: i64, since_ms: i64) -> rusqlite::Result<usize> {
    transaction
        .prepare_cached(
            "DELETE FROM clients WHERE (ban, evidence, client, device, site) IN (SELECT ban, evidence, client, device, \
             site FROM clients WHERE last_seen_ms < ?1 AND NOT EXISTS (SELECT 1 FROM scans WHERE scanned_ms >= ?3 \
             AND clients.last_seen_ms BETWEEN first_ms AND last_ms) ORDER BY last_seen_ms LIMIT ?2)",
        )?
        .execute([last_seen_ms, ROWS_AT_ONCE, since_ms])
}
