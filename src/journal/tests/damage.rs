//! Stores that died, are cut off, or are no stores of ours.

use std::fs;

use rusqlite::Connection;

use super::super::database::{FILE, FORMAT};
use super::*;

/// The files of a store that was flushed and then killed: file and write-ahead log as octets.
fn killed(attempts: u8) -> (Vec<u8>, Vec<u8>) {
    let fixture = Fixture::new();
    let journal = fixture.start();
    for number in 0..attempts {
        journal.record(&Tried::new(&format!("n{}.upd.example", number % 16)).by(&journal, client(number), noon()));
        journal.flush(PATIENCE).unwrap();
    }
    let file = |name: &str| fs::read(fixture.path().join(name)).unwrap();
    (file(FILE), file("embargo.db-wal"))
}

fn laid_out(file: &[u8], log: Option<&[u8]>) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(FILE), file).unwrap();
    if let Some(log) = log {
        fs::write(directory.path().join("embargo.db-wal"), log).unwrap();
    }
    directory
}

/// A journal in this directory; the result of its flush after one more attempt.
fn go_on(directory: &TempDir) -> Result<(), JournalError> {
    let (clock, _hands) = Clock::manual(Now { wall: noon(), mono: Mono(0) });
    let metrics = Arc::new(Metrics::new());
    let journal = Journal::start(Config::new(directory.path()), Arc::clone(&metrics), clock).unwrap();
    journal.record(&Tried::new("new.upd.example").by(&journal, client(250), noon()));
    let result = journal.flush(PATIENCE);
    assert_eq!(result.is_ok(), journal.status().store_error.is_none());
    assert_eq!(metrics.record.stored.value() + journal.status().pending, 1);
    // Its thread must not meet what the test does next.
    assert_eq!(journal.close(PATIENCE).is_ok(), result.is_ok());
    result
}

#[test]
fn what_was_flushed_is_there_after_a_kill() {
    let (file, log) = killed(5);
    let directory = laid_out(&file, Some(&log));
    assert_eq!(sum(&attempts_in(directory.path())), 5);
    go_on(&directory).unwrap();
    assert_eq!(sum(&attempts_in(directory.path())), 6);
}

#[test]
fn a_dead_store_is_read_without_a_write_ahead_log_too() {
    let fixture = Fixture::new();
    let journal = fixture.start();
    journal.record(&Tried::new("a.upd.example").by(&journal, client(1), noon()));
    journal.close(PATIENCE).unwrap();
    let directory = laid_out(&fs::read(fixture.path().join(FILE)).unwrap(), None);
    assert_eq!(sum(&attempts_in(directory.path())), 1);
}

#[test]
fn a_store_in_a_directory_whose_name_means_something_in_a_uri_is_read() {
    let fixture = Fixture::new().with(|config| config.state_dir.push("a?mode=memory#%41"));
    let journal = fixture.start();
    journal.record(&Tried::new("a.upd.example").by(&journal, client(1), noon()));
    journal.flush(PATIENCE).unwrap();
    assert_eq!(sum(&attempts_in(&fixture.config.state_dir)), 1);
}

#[test]
fn a_write_ahead_log_cut_at_any_octet_loses_only_what_was_behind() {
    let (file, log) = killed(3);
    let mut before = 0;
    // Two or three in each frame of 4,120 octets, at all sorts of places.
    for cut in (0..=log.len()).step_by(1759).chain([log.len()]) {
        let directory = laid_out(&file, Some(&log[..cut]));
        // Until the tables are there, it is a store in which nothing was kept yet.
        let count = match Store::open_read_only(directory.path()) {
            Ok(store) => sum(&store.attempts(&Filter::default()).unwrap()),
            Err(StoreError::Missing { .. }) => 0,
            Err(other) => panic!("cut at {cut}: {other}"),
        };
        assert!(count >= before, "cut at {cut}");
        before = count;
        go_on(&directory).unwrap();
        assert_eq!(sum(&attempts_in(directory.path())), count + 1, "cut at {cut}");
    }
    assert_eq!(before, 3);
}

#[test]
fn a_file_cut_at_any_octet_is_an_error_that_names_it_and_nothing_is_deleted() {
    let fixture = Fixture::new();
    let journal = fixture.start();
    for number in 0..100 {
        let tried = Tried::new(&format!("n{number}.{}.upd.example", "x".repeat(60)));
        journal.record(&tried.by(&journal, client(number), noon()));
    }
    journal.close(PATIENCE).unwrap();
    let file = fs::read(fixture.path().join(FILE)).unwrap();
    let pages = (4096..file.len()).step_by(4096);
    for cut in (1..file.len()).step_by(509).chain(pages) {
        let directory = laid_out(&file[..cut], None);
        let read = Store::open_read_only(directory.path()).and_then(|store| store.attempts(&Filter::default()));
        let error = read.map(|rows| rows.len()).expect_err(&format!("cut at {cut}"));
        assert!(error.to_string().contains(FILE), "cut at {cut}: {error}");
        if let Err(error) = go_on(&directory) {
            assert!(error.to_string().contains(FILE), "cut at {cut}: {error}");
            assert!(fs::read(directory.path().join(FILE)).unwrap().len() >= cut, "cut at {cut}");
        }
    }
}

#[test]
fn octets_turned_over_anywhere_never_panic() {
    let (file, log) = killed(3);
    let mut joined: Vec<u8> = file.iter().chain(&log).copied().collect();
    for at in (0..joined.len()).step_by(2_741) {
        joined[at] ^= 0xA5;
        let directory = laid_out(&joined[..file.len()], Some(&joined[file.len()..]));
        if let Ok(store) = Store::open_read_only(directory.path()) {
            store.attempts(&Filter::default()).map_or_else(|error| assert!(error.to_string().contains(FILE)), drop);
            store.clients(&Filter::default()).map_or_else(|error| assert!(error.to_string().contains(FILE)), drop);
        }
        go_on(&directory).unwrap_or_default();
        joined[at] ^= 0xA5;
    }
}

#[test]
fn another_programs_file_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE);
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    let before = fs::read(&path).unwrap();
    assert!(matches!(Store::open_read_only(directory.path()), Err(StoreError::Foreign { .. })));
    assert!(matches!(go_on(&directory), Err(JournalError::Store(StoreError::Foreign { .. }))));
    assert_eq!(fs::read(&path).unwrap(), before);

    fs::write(&path, "root:x:0:0::/root:/bin/sh\n".repeat(40)).unwrap();
    let error = Store::open_read_only(directory.path()).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert!(matches!(go_on(&directory), Err(JournalError::Store(StoreError::Corrupt { .. }))));
    assert_eq!(fs::read(&path).unwrap(), "root:x:0:0::/root:/bin/sh\n".repeat(40).as_bytes());
}

#[test]
fn a_newer_format_is_left_alone_and_said() {
    let fixture = Fixture::new();
    fixture.start().close(PATIENCE).unwrap();
    let connection = Connection::open(fixture.path().join(FILE)).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let error = Store::open_read_only(fixture.path()).unwrap_err();
    let message = format!("written by a newer Embargo (format 99, this one knows {FORMAT}); run that one");
    assert!(error.to_string().ends_with(&message), "{error}");
    let error = go_on(&fixture.directory).unwrap_err();
    assert!(matches!(error, JournalError::Store(StoreError::Newer { found: 99, known: FORMAT, .. })));
}

#[test]
fn no_store_at_all_is_said() {
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(Store::open_read_only(directory.path()), Err(StoreError::Missing { .. })));
    assert!(matches!(Store::open_read_only(&directory.path().join("no")), Err(StoreError::Missing { .. })));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "reading makes nothing");
}

#[test]
fn values_that_no_version_writes_are_an_error_not_a_panic() {
    for change in [
        "UPDATE series SET action = 'x'",
        "UPDATE attempts SET count = -1",
        "UPDATE attempts SET qtype = 70000",
        "UPDATE attempts SET client = 'somebody'",
        "UPDATE attempts SET last_ms = 9223372036854775807",
        "UPDATE series SET evidence = ''",
        "UPDATE attempts SET pattern = 0",
        "UPDATE attempts SET pattern = -1",
        "UPDATE attempts SET pattern = 14",
    ] {
        let fixture = Fixture::new();
        let journal = fixture.start();
        journal.record(&Tried::new("a.upd.example").by(&journal, client(1), noon()));
        journal.close(PATIENCE).unwrap();
        Connection::open(fixture.path().join(FILE)).unwrap().execute_batch(change).unwrap();
        let read = Store::open_read_only(fixture.path()).unwrap().attempts(&Filter::default());
        assert!(matches!(read, Err(StoreError::Corrupt { .. })), "{change}");
    }
}
