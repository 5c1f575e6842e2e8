//! The file of names being written.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};

use super::FILE;
use super::fold::Rows;
use crate::journal::asked::address;
use crate::journal::database::{beside, in_transaction, length, make_file};
use crate::journal::privacy::overwrite;
use crate::journal::{Privacy, StoreError};
use crate::priority::make_way;
use crate::wire::Presented;

/// `EMBN`: what `file` and SQLite call the application of this database.
const APPLICATION_ID: i64 = 0x454D_424E;
/// The format that is written and read here.
const FORMAT: i64 = 1;
const TABLES: &str = include_str!("../schema/names_1.sql");
/// Rows after which a thread that waits for the processor gets it.
const SLICE: usize = 32;
/// Rows deleted in one transaction at most, about.
const ROWS_AT_ONCE: i64 = 10_000;
/// Transactions of one call at most.
const STEPS_MAX: usize = 20;

/// The open file.
#[derive(Debug)]
pub(super) struct Names {
    connection: Connection,
    path: PathBuf,
}

impl Names {
    /// Opens the file in a state directory, making it where it is missing.
    pub(super) fn open(state_dir: &Path, size_max_bytes: u64, lock_timeout: Duration) -> Result<Self, StoreError> {
        let path = state_dir.join(FILE);
        make_file(state_dir, &path)?;
        let fail = |error: rusqlite::Error| StoreError::new(&path, &error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&path, flags).map_err(fail)?;
        connection.busy_timeout(lock_timeout).map_err(fail)?;
        let is_new = !is_ours(&connection, &path)?;
        prepare(&mut connection, size_max_bytes, is_new).map_err(fail)?;
        Ok(Self { connection, path })
    }

    /// Whether there is such a file.
    pub(super) fn exists(state_dir: &Path) -> bool {
        fs::metadata(state_dir.join(FILE)).is_ok()
    }

    /// Adds rows, and queries for which there was no room by their day, in one transaction.
    pub(super) fn add<'r>(
        &mut self,
        parts: impl IntoIterator<Item = &'r Rows>,
        gaps: impl IntoIterator<Item = (i64, u64)>,
        privacy: &Privacy,
    ) -> Result<(), StoreError> {
        self.transaction(|transaction| {
            parts.into_iter().try_for_each(|rows| add_rows(transaction, rows, privacy))?;
            let mut add = transaction.prepare_cached(
                "INSERT INTO gaps (day, queries) VALUES (?1, ?2) \
                 ON CONFLICT DO UPDATE SET queries = queries + excluded.queries",
            )?;
            gaps.into_iter().try_for_each(|(day, queries)| add.execute(params![day, signed(queries)]).map(drop))
        })
    }

    /// Erases what is of before this day, some at a time; says whether all of it is gone.
    pub(super) fn erase(&mut self, before: i64) -> Result<bool, StoreError> {
        let mut erased = 0;
        let mut all = false;
        for _step in 0..STEPS_MAX {
            make_way();
            let gone = self.transaction(|transaction| erase_rows(transaction, before))?;
            erased += gone;
            all = gone == 0;
            if all {
                break;
            }
        }
        if erased > 0 {
            self.tidy()?;
        }
        Ok(all)
    }

    /// Erases what these clients asked, and overwrites where it stood; how many rows, and why they may still stand there.
    pub(super) fn erase_of(&mut self, clients: &str) -> Result<(u64, Option<String>), StoreError> {
        let gone = self.transaction(|transaction| {
            let asked = "DELETE FROM asked WHERE client IN \
                         (SELECT id FROM clients WHERE client IN (SELECT value FROM json_each(?1)))";
            let gone = transaction.execute(asked, [clients])?;
            transaction.execute("DELETE FROM clients WHERE client IN (SELECT value FROM json_each(?1))", [clients])?;
            // Names that nobody else has asked for tell of whoever did.
            transaction.execute("DELETE FROM names WHERE id NOT IN (SELECT name FROM asked)", [])?;
            Ok(gone as u64)
        })?;
        Ok((gone, if gone > 0 { overwrite(&self.connection).err() } else { None }))
    }

    /// Whether nothing is recorded, not even what is missing.
    pub(super) fn is_empty(&self) -> Result<bool, StoreError> {
        let sql = "SELECT NOT EXISTS (SELECT 1 FROM asked) AND NOT EXISTS (SELECT 1 FROM gaps)";
        self.connection.query_row(sql, [], |row| row.get(0)).map_err(|error| self.fail(&error))
    }

    /// Bytes of the pages in use.
    pub(super) fn used_bytes(&self) -> Result<u64, StoreError> {
        let sql = "SELECT (page_count - freelist_count) * page_size \
                   FROM pragma_page_count, pragma_freelist_count, pragma_page_size";
        let used: Result<i64, _> = self.connection.query_row(sql, [], |row| row.get(0));
        used.map(|used| u64::try_from(used).unwrap_or(0)).map_err(|error| self.fail(&error))
    }

    /// Moves what is in the write-ahead log into the file.
    pub(super) fn checkpoint(&self) -> Result<(), StoreError> {
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        self.connection.query_row(sql, [], |_row| Ok(())).map_err(|error| self.fail(&error))
    }

    /// Removes the file.
    pub(super) fn remove(self) -> Result<(), StoreError> {
        let Self { connection, path } = self;
        drop(connection);
        for suffix in ["-wal", "-shm"] {
            // SQLite has removed them, unless somebody reads.
            fs::remove_file(beside(&path, suffix)).unwrap_or_default();
        }
        fs::remove_file(&path).map_err(|error| StoreError::io(&path, &error))
    }

    /// Gives free pages back, and empties the log, where what was erased still stands.
    fn tidy(&self) -> Result<(), StoreError> {
        self.connection.execute_batch("PRAGMA incremental_vacuum(2000)").map_err(|error| self.fail(&error))?;
        self.checkpoint()
    }

    fn transaction<T>(&mut self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        in_transaction(&mut self.connection, &self.path, work)
    }

    fn fail(&self, error: &rusqlite::Error) -> StoreError {
        StoreError::new(&self.path, error)
    }
}

/// Whether the tables are there, in the format that is known; not if the file is empty.
///
/// # Errors
/// It is somebody else's, or of another format.
pub(super) fn is_ours(connection: &Connection, path: &Path) -> Result<bool, StoreError> {
    let number = |sql: &str| {
        connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(|error| StoreError::new(path, &error))
    };
    let (application, found) = (number("PRAGMA application_id")?, number("PRAGMA user_version")?);
    let path = path.to_owned();
    match (application, found) {
        (0, 0) if number("SELECT count(*) FROM sqlite_master")? == 0 => Ok(false),
        (APPLICATION_ID, FORMAT) => Ok(true),
        (APPLICATION_ID, found) if found > FORMAT => Err(StoreError::Newer { path, found, known: FORMAT }),
        _ => Err(StoreError::Foreign { path }),
    }
}

/// Sets up the connection. `secure_delete`: what is erased is overwritten, since its retention is a promise. A commit need not
/// be on the disk: after a loss of power some seconds of names are missing, and the file is whole.
fn prepare(connection: &mut Connection, size_max_bytes: u64, is_new: bool) -> rusqlite::Result<()> {
    if is_new {
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", 16 << 20, |_| Ok(()))?;
    let page: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let ceiling = size_max_bytes.saturating_add(size_max_bytes / 4);
    let pages = i64::try_from(ceiling).unwrap_or(i64::MAX) / page.max(1);
    connection.pragma_update_and_check(None, "max_page_count", pages.clamp(64, i64::from(u32::MAX) - 1), |_| Ok(()))?;
    if is_new {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", FORMAT)?;
        transaction.commit()?;
    }
    Ok(())
}

fn add_rows(transaction: &Transaction<'_>, rows: &Rows, privacy: &Privacy) -> rusqlite::Result<()> {
    let number = |table: &str, column: &str| {
        // Whoever is there is touched too, or no number would come back.
        transaction.prepare_cached(&format!(
            "INSERT INTO {table} ({column}, used_day) VALUES (?1, ?2) \
             ON CONFLICT DO UPDATE SET used_day = max(used_day, excluded.used_day) RETURNING id"
        ))
    };
    let (mut name, mut client) = (number("names", "name")?, number("clients", "client")?);
    let mut add = transaction.prepare_cached(
        "INSERT INTO asked (day, name, client, count, first_ms, last_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
         ON CONFLICT DO UPDATE SET count = count + excluded.count, first_ms = min(first_ms, excluded.first_ms), \
         last_ms = max(last_ms, excluded.last_ms)",
    )?;
    for (done, row) in rows.rows().iter().enumerate() {
        if done % SLICE == 0 {
            make_way();
        }
        // What those ask who are only to be counted is nobody's business.
        let Some(shown) = privacy.shown(address(row.client)) else { continue };
        let name: i64 =
            name.query_row(params![Presented(rows.name(row)).to_string(), row.day], |found| found.get(0))?;
        let client: i64 = client.query_row(params![shown.to_string(), row.day], |found| found.get(0))?;
        add.execute(params![row.day, name, client, signed(row.count), row.first, row.last])?;
    }
    Ok(())
}

/// Erases some of what is of before this day; says how much.
fn erase_rows(transaction: &Transaction<'_>, before: i64) -> rusqlite::Result<usize> {
    let last = "SELECT day, name, client FROM asked WHERE day < ?1 ORDER BY day, name, client LIMIT 1 OFFSET ?2";
    let last: Option<(i64, i64, i64)> = transaction
        .prepare_cached(last)?
        .query_row([before, ROWS_AT_ONCE], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    if let Some((day, name, client)) = last {
        let sql = "DELETE FROM asked WHERE (day, name, client) <= (?1, ?2, ?3)";
        return transaction.prepare_cached(sql)?.execute(params![day, name, client]);
    }
    let mut gone = 0;
    for sql in ["DELETE FROM asked WHERE day < ?1", "DELETE FROM gaps WHERE day < ?1"] {
        gone += transaction.prepare_cached(sql)?.execute([before])?;
    }
    for table in ["names", "clients"] {
        let sql = format!(
            "DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE used_day < ?1 ORDER BY used_day LIMIT ?2)"
        );
        gone += transaction.prepare_cached(&sql)?.execute([before, ROWS_AT_ONCE])?;
    }
    Ok(gone)
}

/// SQLite's integers are signed.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Whether a log stands beside the file.
pub(super) fn has_log(path: &Path) -> bool {
    length(&beside(path, "-wal")).unwrap_or(0) > 0
}
