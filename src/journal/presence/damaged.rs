//! Sets that could not be read: put aside when they are begun anew, so that whoever reads figures is told what is missing.

use rusqlite::{Connection, Transaction, params};

use super::Sign;
use crate::time::Day;

/// Added to a store of any format: whoever does not know it does not miss it.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS damaged (sign INTEGER NOT NULL, block INTEGER NOT NULL, day INTEGER NOT NULL, \
                     bits BLOB NOT NULL, PRIMARY KEY (sign, block, day)) STRICT";

/// Puts the octets of a set aside; those that were put aside first stay.
pub(super) fn put_aside(
    transaction: &Transaction<'_>,
    (sign, block, day): (i64, u32, Day),
    octets: &[u8],
) -> rusqlite::Result<()> {
    transaction.execute_batch(TABLE)?;
    let insert = "INSERT OR IGNORE INTO damaged (sign, block, day, bits) VALUES (?1, ?2, ?3, ?4)";
    transaction.execute(insert, params![sign, block, day.0, octets]).map(drop)
}

/// The days of sets of this sign that were put aside.
pub(super) fn days(connection: &Connection, sign: Sign<'_>) -> rusqlite::Result<Vec<Day>> {
    if !is_any(connection)? {
        return Ok(Vec::new());
    }
    let sql = "SELECT DISTINCT d.day FROM signs AS s JOIN damaged AS d ON d.sign = s.id \
               WHERE (s.ban, s.evidence, s.what) = (?1, ?2, ?3) ORDER BY d.day";
    let key = params![sign.ban, sign.evidence(), sign.what.as_str()];
    connection.prepare_cached(sql)?.query_map(key, |row| Ok(Day(row.get(0)?)))?.collect()
}

/// Forgets what was in them, since that may be of anybody; that they were damaged stays.
pub(in crate::journal) fn empty(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    if is_any(transaction)? {
        transaction.execute("UPDATE damaged SET bits = x''", [])?;
    }
    Ok(())
}

fn is_any(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'damaged')", [], |row| row.get(0))
}
