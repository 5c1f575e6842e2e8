//! The store being written: opening it, bringing it to the newest format, adding a batch.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior};

use super::batch::Batch;
use super::{AttemptRow, Config, Outlet, Privacy, StoreError, browse, import, insert, migrate, presence, privacy};
use crate::identity::Devices;

/// The store's name in the state directory.
pub(super) const FILE: &str = "embargo.db";
/// `EMBG`: what `file` and SQLite call the application of this database.
pub(super) const APPLICATION_ID: i64 = 0x454D_4247;
/// The format that is written and read here.
pub(super) const FORMAT: i64 = 7;
/// Runs whose last batch is remembered.
const RUNS_KEPT: i64 = 100;

/// What the columns say where there are several of something, or none is known.
pub(super) const SEVERAL_TEXT: &str = "";
/// As [`SEVERAL_TEXT`], for a query type.
pub(super) const SEVERAL_TYPES: i64 = -1;

/// An open store.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    run: i64,
    pub(super) devices: Arc<Devices>,
    /// How much of clients is written.
    pub(super) privacy: Arc<Privacy>,
    pub(super) known: presence::Known,
    /// Who hears of what devices do for the first time.
    outlet: Option<Arc<dyn Outlet>>,
    /// Device and inode of the file, to notice when it is removed or replaced.
    identity: (u64, u64),
}

impl Database {
    /// Opens the store of this configuration, making directory, file and tables where they are missing, and bringing an
    /// older one to the newest format, which can take minutes. `run` tells this run of the server from every other.
    pub(super) fn open(config: &Config, run: i64) -> Result<Self, StoreError> {
        let path = config.state_dir.join(FILE);
        make_file(&config.state_dir, &path)?;
        let fail = |error: rusqlite::Error| StoreError::new(&path, &error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&path, flags).map_err(fail)?;
        connection.busy_timeout(config.lock_timeout).map_err(fail)?;
        let found = check_format(&connection, &path, true)?;
        check_length(&connection, &path)?;
        prepare(&connection, config, found == 0).map_err(fail)?;
        migrate::to_newest(&mut connection).map_err(fail)?;
        forget_runs(&connection, run).map_err(fail)?;
        import::make_tables(&connection).map_err(fail)?;
        privacy::make_tables(&connection).map_err(fail)?;
        browse::make_indexes(&connection).map_err(fail)?;
        let identity = identity(&path)?;
        let (devices, known) = (Arc::clone(&config.devices), presence::Known::default());
        let (outlet, privacy) = (config.outlet.clone(), Arc::clone(&config.privacy));
        Ok(Self { connection, path, run, devices, privacy, known, outlet, identity })
    }

    /// Whether the store of this configuration is there and of an older format.
    pub(super) fn is_older(config: &Config) -> bool {
        let path = config.state_dir.join(FILE);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let format = |connection: &Connection| check_format(connection, &path, true);
        Connection::open_with_flags(&path, flags)
            .is_ok_and(|connection| format(&connection).is_ok_and(|found| (1..FORMAT).contains(&found)))
    }

    /// Adds the batch in one transaction, or nothing. A batch that is already there is not added again.
    pub(super) fn add(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.add_with(batch, |_transaction| Ok(())).map(drop)
    }

    /// The same with other work in that transaction; `None`: the batch was there already, and with it that work.
    pub(super) fn add_with<T>(
        &mut self,
        batch: &Batch,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        if identity(&self.path).ok() != Some(self.identity) {
            return Err(StoreError::Replaced { path: self.path.clone() });
        }
        let Self { connection, path, run, devices, privacy, known, outlet, .. } = self;
        if outlet.is_some() {
            known.tell_new();
        }
        let run = *run;
        let added = in_transaction(connection, path, |transaction| {
            let last = "SELECT last FROM batches WHERE run = ?1";
            let last: Option<i64> = transaction.query_row(last, [run], |row| row.get(0)).optional()?;
            if last.is_some_and(|last| last >= batch.number) {
                return Ok(None);
            }
            insert::add(transaction, batch, (devices, privacy), known)?;
            hand_out(outlet.as_deref(), batch.number, known.take_new());
            let mark = "INSERT INTO batches (run, last) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET last = excluded.last";
            transaction.execute(mark, [run, batch.number])?;
            work(transaction).map(Some)
        });
        added.inspect_err(|_error| self.known = presence::Known::default())
    }

    /// Does some work in one transaction, all of it or none.
    pub(super) fn transaction<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        in_transaction(&mut self.connection, &self.path, work)
    }

    /// The size of the store's files, in bytes.
    pub(super) fn size_bytes(&self) -> u64 {
        ["", "-wal", "-shm"].iter().filter_map(|suffix| length(&beside(&self.path, suffix)).ok()).sum()
    }

    /// Moves what is in the write-ahead log into the file; best effort, for a tidy end.
    pub(super) fn checkpoint(&self) -> Result<(), StoreError> {
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(()))
            .map_err(|error| StoreError::new(&self.path, &error))
    }
}

/// Before the commit: what is in the store has been told, also when the process is killed at any moment.
fn hand_out(outlet: Option<&dyn Outlet>, batch: i64, new: Vec<AttemptRow>) {
    if let Some(outlet) = outlet.filter(|_outlet| !new.is_empty()) {
        outlet.take_new(batch, &mut new.into_iter());
    }
}

/// Does some work on the store at `path` in one transaction, all of it or none.
pub(super) fn in_transaction<T>(
    connection: &mut Connection,
    path: &Path,
    work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
) -> Result<T, StoreError> {
    let whole = |connection: &mut Connection| {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&transaction)?;
        transaction.commit()?;
        Ok(done)
    };
    whole(connection).map_err(|error| StoreError::new(path, &error))
}

/// The file that SQLite keeps beside the store under this suffix.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes directory and file so that nobody else can read them: who tried what is personal data.
pub(super) fn make_file(directory: &Path, path: &Path) -> Result<(), StoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| StoreError::io(directory, &error))?;
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StoreError::io(path, &error)),
    }
}

fn identity(path: &Path) -> Result<(u64, u64), StoreError> {
    fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino())).map_err(|error| StoreError::io(path, &error))
}

/// The store's format; 0 if there is nothing in the file, which only a writer may meet.
pub(super) fn check_format(connection: &Connection, path: &Path, may_be_new: bool) -> Result<i64, StoreError> {
    let number = |sql: &str| {
        connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(|error| StoreError::new(path, &error))
    };
    let application = number("PRAGMA application_id")?;
    let format = number("PRAGMA user_version")?;
    let path = path.to_owned();
    match (application, format) {
        (0, 0) if number("SELECT count(*) FROM sqlite_master")? == 0 => {
            if may_be_new {
                Ok(0)
            } else {
                Err(StoreError::Missing { path })
            }
        }
        (APPLICATION_ID, found) if found > FORMAT => Err(StoreError::Newer { path, found, known: FORMAT }),
        (APPLICATION_ID, found) if found == FORMAT || (may_be_new && found > 0) => Ok(found),
        (APPLICATION_ID, found) if found > 0 => Err(StoreError::Older { path, found, known: FORMAT }),
        _ => Err(StoreError::Foreign { path }),
    }
}

/// Whether the file is as long as it says. SQLite reads what is cut off the last page as zeros, without an error.
/// While there is a write-ahead log, the file may rightly be shorter.
pub(super) fn check_length(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let sql = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
    // In this order: what a log holds in between counts as a log, or is in the file.
    let stated: i64 = connection.query_row(sql, [], |row| row.get(0)).map_err(|error| StoreError::new(path, &error))?;
    let log = length(&beside(path, "-wal")).unwrap_or(0);
    let found = length(path).map_err(|error| StoreError::io(path, &error))?;
    if log > 0 || u64::try_from(stated).is_ok_and(|stated| stated <= found) {
        return Ok(());
    }
    Err(StoreError::value(path, format!("{found} bytes of {stated}")))
}

/// The length of a file in bytes.
pub(super) fn length(path: &Path) -> io::Result<u64> {
    fs::metadata(path).map(|metadata| metadata.len())
}

/// Sets up the connection: the write-ahead log, so that readers never block the writer; a commit that is on the disk when
/// it returns; and a hard limit somewhat above the size limit, for the case that deleting does not keep up.
fn prepare(connection: &Connection, config: &Config, new: bool) -> rusqlite::Result<()> {
    if new {
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |_| Ok(()))?;
    let page: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let ceiling = config.size_max_bytes.saturating_add(config.size_max_bytes / 4);
    let pages = i64::try_from(ceiling).unwrap_or(i64::MAX) / page.max(1);
    connection.pragma_update_and_check(None, "max_page_count", pages.clamp(64, i64::from(u32::MAX) - 1), |_| Ok(()))
}

/// Bounds the table of batches; which runs go does not matter, except this one, which comes again after each reopening.
fn forget_runs(connection: &Connection, run: i64) -> rusqlite::Result<()> {
    let surplus = "DELETE FROM batches WHERE run IN (SELECT run FROM batches WHERE run <> ?1 LIMIT -1 OFFSET ?2)";
    connection.execute(surplus, [run, RUNS_KEPT]).map(drop)
}
