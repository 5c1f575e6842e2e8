//! Bringing a store to the newest format.
//!
//! A format is a number in the file. A new store begins as the oldest and goes the same way.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::database::{APPLICATION_ID, FORMAT};
use super::presence;
use crate::priority::make_way;

/// Makes the tables of format 1.
const FIRST: &str = include_str!("schema/1.sql");
/// Makes the new tables of format 2 beside those of format 1.
const SECOND: &str = include_str!("schema/2.sql");
/// Removes those of format 1.
const SECOND_END: &str = include_str!("schema/2_end.sql");
/// Makes the table that format 3 has beside those of format 2.
const THIRD: &str = include_str!("schema/3.sql");
/// Makes the tables that format 4 has beside those of format 3.
const FOURTH: &str = include_str!("schema/4.sql");
/// Gives the table of format 3 the columns that it has in format 5.
const FIFTH: &str = include_str!("schema/5.sql");
/// Makes the table that format 6 has beside those of format 5.
const SIXTH: &str = include_str!("schema/6.sql");
/// Makes the table that format 7 has beside those of format 6.
const SEVENTH: &str = include_str!("schema/7.sql");
/// Attempts that are moved in one transaction, about.
const ROWS_AT_ONCE: i64 = 10_000;

/// Brings the tables to the newest format. Attempts are moved from the old table to the new one in pieces, oldest first: a
/// store near its limit of size would have no room for both. Until the last is there, the format stays the old one, and
/// whoever is interrupted goes on the next time.
pub(super) fn to_newest(connection: &mut Connection) -> rusqlite::Result<()> {
    // Each time under the lock: another process may have done it meanwhile.
    step(connection, |transaction, found| {
        match found {
            // Nothing to move: whoever is interrupted leaves a new store or none.
            0 => {
                transaction.execute_batch(FIRST)?;
                transaction.execute_batch(SECOND)?;
                transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
                transaction.execute_batch(SECOND_END)?;
                third(transaction)?;
                transaction.execute_batch(FOURTH)?;
                fourth_end(transaction)?;
                fifth(transaction)?;
                sixth(transaction)?;
                seventh(transaction)
            }
            1 => transaction.execute_batch(SECOND),
            3 => transaction.execute_batch(FOURTH),
            _ => Ok(()),
        }
    })?;
    while step(connection, |transaction, found| match found {
        1 if move_attempts(transaction)? => Ok(true),
        1 => second_end(transaction).map(|()| true),
        2 => {
            third(transaction)?;
            transaction.execute_batch(FOURTH).map(|()| true)
        }
        3 if presence::take_older(transaction)? => Ok(true),
        3 => fourth_end(transaction).map(|()| true),
        4 => fifth(transaction).map(|()| true),
        5 => sixth(transaction).map(|()| true),
        6 => seventh(transaction).map(|()| false),
        _ => Ok(false),
    })? {
        make_way();
    }
    Ok(())
}

fn second_end(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(SECOND_END)?;
    transaction.pragma_update(None, "user_version", 2)
}

fn third(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(THIRD)?;
    transaction.pragma_update(None, "user_version", 3)
}

fn fourth_end(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    presence::finish_older(transaction)?;
    transaction.pragma_update(None, "user_version", 4)
}

fn fifth(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(FIFTH)?;
    transaction.pragma_update(None, "user_version", 5)
}

fn sixth(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(SIXTH)?;
    transaction.pragma_update(None, "user_version", 6)
}

fn seventh(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(SEVENTH)?;
    transaction.pragma_update(None, "user_version", FORMAT)
}

/// Does some work in one transaction, which is told the format found.
fn step<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>, i64) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let done = work(&transaction, found)?;
    transaction.commit()?;
    Ok(done)
}

/// Moves some of the oldest attempts to the table of format 2; says whether there were any.
fn move_attempts(transaction: &Transaction<'_>) -> rusqlite::Result<bool> {
    // The last that is moved; rows of one client and rule in one minute go together.
    let last = "SELECT minute, client, rule FROM attempts ORDER BY minute, client, rule LIMIT 1 \
                OFFSET min(?1, (SELECT count(*) - 1 FROM (SELECT 1 FROM attempts LIMIT ?1 + 1)))";
    let last: Option<(i64, String, i64)> = transaction
        .prepare_cached(last)?
        .query_row([ROWS_AT_ONCE], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((minute, client, rule)) = last else { return Ok(false) };
    let moved = "WHERE (minute, client, rule) <= (?1, ?2, ?3)";
    let series = format!(
        "INSERT OR IGNORE INTO series (ban, category, evidence, site, action, transport, verified) \
         SELECT DISTINCT r.ban, r.category, r.evidence, a.site, a.action, a.transport, a.verified \
         FROM (SELECT * FROM attempts {moved}) AS a JOIN rules AS r ON r.id = a.rule"
    );
    // Names that a damaged store has no text for become one: their rows are added up, or no row could ever be moved again.
    let attempts = format!(
        "INSERT INTO attempts_2 (minute, second, client, series, name, pattern, qtype, device, count, first_ms, last_ms) \
         SELECT a.minute, max(0, a.first_ms) / 1000 % 60, a.client, s.id, ifnull(n.name, ''), r.pattern, a.qtype, \
         a.device, a.count, a.first_ms, a.last_ms FROM (SELECT * FROM attempts {moved}) AS a \
         CROSS JOIN rules AS r ON r.id = a.rule LEFT JOIN names AS n ON n.id = a.name \
         CROSS JOIN series AS s ON (s.ban, s.category, s.evidence, s.site, s.action, s.transport, s.verified) \
         = (r.ban, r.category, r.evidence, a.site, a.action, a.transport, a.verified) WHERE true \
         ON CONFLICT DO UPDATE SET count = count + excluded.count, \
         first_ms = min(first_ms, excluded.first_ms), last_ms = max(last_ms, excluded.last_ms)"
    );
    for sql in [series, attempts, format!("DELETE FROM attempts {moved}")] {
        transaction.prepare_cached(&sql)?.execute(params![minute, client, rule])?;
    }
    Ok(true)
}
