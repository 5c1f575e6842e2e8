//! Keeping presence within its limits.

use rusqlite::{OptionalExtension, Transaction, params};

use crate::time::Day;

/// Rows deleted in one transaction at most, about.
const ROWS_AT_ONCE: i64 = 10_000;

/// Turns what devices did on the oldest day before `day` into what they did in its month; says whether there was one.
pub(in crate::journal) fn fold_days(transaction: &Transaction<'_>, day: Day) -> rusqlite::Result<bool> {
    let oldest =
        "SELECT min(day) FROM (SELECT (SELECT min(day) FROM device_days WHERE sign = signs.id) AS day FROM signs)";
    let oldest: Option<i32> = transaction.prepare_cached(oldest)?.query_row([], |row| row.get(0))?;
    let Some(oldest) = oldest.map(Day).filter(|oldest| *oldest < day) else { return Ok(false) };
    let date = oldest.date();
    let month = i32::from(date.year()) * 100 + i32::from(date.month());
    let fold = "INSERT INTO device_months (sign, month, device, count, days) \
                SELECT sign, ?2, device, count, 1 FROM device_days WHERE sign IN (SELECT id FROM signs) AND day = ?1 \
                ON CONFLICT DO UPDATE SET count = count + excluded.count, days = days + 1";
    transaction.prepare_cached(fold)?.execute(params![oldest.0, month])?;
    let gone = "DELETE FROM device_days WHERE sign IN (SELECT id FROM signs) AND day = ?1";
    transaction.prepare_cached(gone)?.execute([oldest.0])?;
    Ok(true)
}

/// Deletes some of what is older than `day`; how many rows.
pub(in crate::journal) fn delete(transaction: &Transaction<'_>, day: Day) -> rusqlite::Result<usize> {
    let pieces = "DELETE FROM presence WHERE rowid IN (SELECT p.rowid FROM signs CROSS JOIN presence AS p \
                  ON p.sign = signs.id WHERE p.day < ?1 LIMIT ?2)";
    let mut deleted = transaction.prepare_cached(pieces)?.execute([i64::from(day.0), ROWS_AT_ONCE])?;
    let date = day.date();
    let month = i32::from(date.year()) * 100 + i32::from(date.month());
    deleted += transaction.prepare_cached("DELETE FROM device_months WHERE month < ?1")?.execute([month])?;
    deleted += transaction.prepare_cached("DELETE FROM unnumbered WHERE day < ?1")?.execute([day.0])?;
    // A device that is in no set any more; its number is not used again.
    let devices = "DELETE FROM devices WHERE id IN (SELECT id FROM devices WHERE last_day < ?1 LIMIT ?2)";
    deleted += transaction.prepare_cached(devices)?.execute([i64::from(day.0), ROWS_AT_ONCE])?;
    Ok(deleted)
}

/// The oldest day of which there are sets.
pub(in crate::journal) fn oldest(transaction: &Transaction<'_>) -> rusqlite::Result<Option<Day>> {
    let day: Option<Option<i32>> =
        transaction.prepare_cached("SELECT min(day) FROM presence")?.query_row([], |row| row.get(0)).optional()?;
    Ok(day.flatten().map(Day))
}
