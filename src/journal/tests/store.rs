//! The store's file: who may read it, its limits, its locks.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use rusqlite::Connection;

use super::super::batch::Batch;
use super::super::database::{Database, FILE};
use super::*;

/// A day.
const DAY: Duration = Duration::from_secs(86_400);

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A batch of one attempt.
fn batch(number: i64) -> Batch {
    let fold = Fold::new(&Config::new(""));
    fold.add(&Tried::new("a.upd.example").by(&fold, client(1), noon()));
    let mut batch = Batch::default();
    fold.drain(noon(), usize::MAX, &mut batch);
    batch.number = number;
    batch
}

#[test]
fn nobody_else_can_read_the_record() {
    let fixture = Fixture::new().with(|config| config.state_dir.push("a/b"));
    let journal = fixture.start();
    journal.record(&Tried::new("a.upd.example").by(&journal, client(1), noon()));
    journal.flush(PATIENCE).unwrap();
    assert_eq!(mode(&fixture.config.state_dir), 0o700);
    for file in [FILE, "embargo.db-wal", "embargo.db-shm"] {
        assert_eq!(mode(&fixture.config.state_dir.join(file)), 0o600, "{file}");
    }
}

#[test]
fn a_locked_store_delays_the_record_and_loses_nothing() {
    let fixture = Fixture::new();
    let journal = fixture.start();
    let other = Connection::open(fixture.path().join(FILE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for _ in 0..3 {
        journal.record(&Tried::new("a.upd.example").by(&journal, client(1), noon()));
        assert!(matches!(journal.flush(PATIENCE), Err(JournalError::Store(StoreError::Locked { .. }))));
    }
    assert_eq!(journal.status().pending, 3);
    assert_eq!(fixture.metrics.record.writable.value(), 0);
    other.execute_batch("ROLLBACK").unwrap();
    journal.flush(PATIENCE).unwrap();
    assert_eq!((sum(&fixture.attempts()), journal.status().pending, journal.status().lost), (3, 0, 0));
    assert_eq!(fixture.metrics.record.writable.value(), 1);
}

#[test]
fn closing_while_the_store_is_locked_counts_what_is_lost() {
    let fixture = Fixture::new();
    let journal = fixture.start();
    let other = Connection::open(fixture.path().join(FILE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    journal.record(&Tried::new("a.upd.example").by(&journal, client(1), noon()));
    journal.flush(PATIENCE).unwrap_err();
    journal.record(&Tried::new("b.upd.example").by(&journal, client(1), noon()));
    assert!(matches!(journal.close(PATIENCE), Err(JournalError::Store(StoreError::Locked { .. }))));
    assert_eq!(fixture.metrics.record.lost(Loss::Shutdown).value(), 2);
    assert_eq!(journal.status().pending, 0);
}

#[test]
fn a_full_disk_keeps_the_batch_until_there_is_room() {
    let fixture = Fixture::new();
    let mut database = Database::open(&fixture.config, 1).unwrap();
    let limit = |database: &Database, pages: &str| {
        let sql = format!("PRAGMA max_page_count = {pages}");
        database.connection.query_row(&sql, [], |_| Ok(())).unwrap();
    };
    limit(&database, "1");
    let fold = Fold::new(&fixture.config);
    for number in 0..200 {
        for name in 0..16 {
            let tried = Tried::new(&format!("n{name}.{}.upd.example", "x".repeat(60)));
            fold.add(&tried.by(&fold, client(number), noon()));
        }
    }
    let mut batch = Batch::default();
    fold.drain(noon(), usize::MAX, &mut batch);
    batch.number = 1;
    assert!(matches!(database.add(&batch), Err(StoreError::Full { .. })));
    limit(&database, "1000000");
    database.add(&batch).unwrap();
    assert_eq!(sum(&fixture.attempts()), 3200);
}

#[test]
fn a_batch_that_was_committed_without_our_knowing_is_not_added_twice() {
    let fixture = Fixture::new();
    let mut database = Database::open(&fixture.config, 1).unwrap();
    database.add(&batch(7)).unwrap();
    database.add(&batch(7)).unwrap();
    drop(database);
    let mut database = Database::open(&fixture.config, 1).unwrap();
    database.add(&batch(7)).unwrap();
    assert_eq!(sum(&fixture.attempts()), 1);
    database.add(&batch(8)).unwrap();
    let mut of_another_run = Database::open(&fixture.config, 2).unwrap();
    of_another_run.add(&batch(7)).unwrap();
    assert_eq!(sum(&fixture.attempts()), 3);
}

#[test]
fn a_store_that_is_removed_while_it_is_open_begins_anew() {
    let fixture = Fixture::new();
    let journal = fixture.start();
    let tried = Tried::new("a.upd.example");
    journal.record(&tried.by(&journal, client(1), noon()));
    journal.flush(PATIENCE).unwrap();
    for file in [FILE, "embargo.db-wal", "embargo.db-shm"] {
        std::fs::remove_file(fixture.path().join(file)).unwrap();
    }
    journal.record(&tried.by(&journal, client(2), noon()));
    assert!(matches!(journal.flush(PATIENCE), Err(JournalError::Store(StoreError::Replaced { .. }))));
    journal.flush(PATIENCE).unwrap();
    let rows = fixture.attempts();
    assert_eq!((rows.len(), rows[0].client), (1, Some(client(2))));
}

#[test]
fn what_is_older_than_the_limits_of_age_goes() {
    let fixture = Fixture::new().with(|config| {
        config.attempts_keep_days = 10;
        config.clients_keep_days = 20;
    });
    let mut database = Database::open(&fixture.config, 1).unwrap();
    let store = || Store::open_read_only(fixture.path()).unwrap();
    database.add(&batch(1)).unwrap();
    database.trim(&fixture.config, after(9 * 86_400)).unwrap();
    assert_eq!(sum(&fixture.attempts()), 1);
    database.trim(&fixture.config, after(11 * 86_400)).unwrap();
    assert_eq!(sum(&fixture.attempts()), 0);
    assert_eq!(store().clients(&Filter::default()).unwrap().len(), 1);
    database.trim(&fixture.config, after(21 * 86_400)).unwrap();
    assert_eq!(store().clients(&Filter::default()).unwrap().len(), 0);
}

#[test]
fn a_name_that_a_kept_attempt_refers_to_is_kept() {
    let fixture = Fixture::new().with(|config| {
        config.attempts_keep_days = 10;
        config.commit_interval = DAY;
    });
    let journal = fixture.start();
    let tried = Tried::new("a.upd.example");
    for days in 0..30 {
        journal.record(&tried.by(&journal, client(1), after(days * 86_400)));
        journal.flush(PATIENCE).unwrap();
        fixture.hands.advance(DAY);
    }
    let rows = fixture.attempts();
    assert!(rows.len() < 30, "some are too old");
    assert!(rows.iter().all(|row| row.qname.as_deref() == Some("a.upd.example")));
}

#[test]
fn a_store_past_its_limit_of_size_gives_up_the_oldest_attempts_and_goes_on() {
    let fixture = Fixture::new().with(|config| config.size_max_bytes = 512 << 10);
    let journal = fixture.start();
    for minute in 0..60 {
        for number in 0..200 {
            for name in 0..2 {
                let tried = Tried::new(&format!("n{name}.m{minute}.upd.example"));
                journal.record(&tried.by(&journal, client(number), after(minute * 60)));
            }
        }
        fixture.hands.set(Now { wall: after(minute * 60), mono: Mono(0) });
        while journal.flush(PATIENCE).is_err() {}
    }
    let rows = fixture.attempts();
    assert_eq!(journal.status().pending, 0);
    assert_eq!(fixture.metrics.record.stored.value(), 24_000);
    assert_eq!(fixture.metrics.record.given_up.value() + u64::try_from(rows.len()).unwrap(), 24_000);
    assert_eq!(rows.iter().map(|row| row.first).max(), Some(after(59 * 60)));
    assert!(rows.iter().all(|row| row.first > noon()), "the first minute is gone");
    let size = std::fs::metadata(fixture.path().join(FILE)).unwrap().len();
    assert!(size <= (512 + 128) << 10, "{size}");
}

#[test]
fn a_directory_that_can_not_be_made_is_said_and_attempts_are_kept() {
    let fixture = Fixture::new().with(|config| config.state_dir.push("socket/state"));
    let _in_the_way = UnixListener::bind(fixture.path().join("socket")).unwrap();
    let journal = fixture.start();
    journal.record(&Tried::new("a.upd.example").by(&journal, client(1), noon()));
    let status = journal.status();
    assert!(status.store_error.unwrap().contains("socket/state"));
    assert_eq!((status.pending, status.lost), (1, 0));
}
