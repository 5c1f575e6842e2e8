//! The record of names as a whole: what is asked is in the file, or counted, and goes when its time has come.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{Coverage, FILE, NameRow, NameStore, NamesConfig};
use crate::clock::{Clock, Hands};
use crate::journal::{Config, Journal};
use crate::metrics::Metrics;
use crate::time::{Mono, Now, Timestamp};
use crate::wire::LowerName;

const PATIENCE: Duration = Duration::from_secs(60);
const ON: NamesConfig = NamesConfig { enabled: true, keep_days: 2, size_max_bytes: 1 << 20 };
const DAY: Duration = Duration::from_secs(86_400);

/// A journal that writes only when told.
struct Fixture {
    directory: tempfile::TempDir,
    metrics: Arc<Metrics>,
    clock: Clock,
    hands: Hands,
}

impl Fixture {
    fn new() -> Self {
        let noon = Now { wall: "2026-03-01T12:00:00Z".parse().unwrap(), mono: Mono(0) };
        let (clock, hands) = Clock::manual(noon);
        Self { directory: tempfile::tempdir().unwrap(), metrics: Arc::new(Metrics::new()), clock, hands }
    }

    fn start(&self, names: NamesConfig) -> Journal {
        let config = Config { commit_interval: Duration::from_secs(86_400 * 7), ..Config::new(self.directory.path()) };
        let journal = Journal::start(config, Arc::clone(&self.metrics), self.clock.clone()).unwrap();
        journal.keep_names(names);
        journal
    }

    fn ask(&self, journal: &Journal, name: &str, client: &str) {
        let (name, client): (_, IpAddr) = (LowerName::parse(name).unwrap(), client.parse().unwrap());
        journal.note_name(&name, client, self.clock.now().wall);
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }
}

fn rows(path: &Path, since: Option<Timestamp>) -> Vec<(String, String, u64)> {
    let mut rows = Vec::new();
    let mut visit = |NameRow { name, client, count, .. }| rows.push((name, client.to_string(), count));
    NameStore::open_read_only(path).unwrap().unwrap().visit(since, &mut visit).unwrap();
    rows.sort();
    rows
}

/// Whether any file of the record holds these octets.
fn holds(path: &Path, octets: &[u8]) -> bool {
    let files = std::fs::read_dir(path).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
    files.into_iter().any(|file| file.windows(octets.len()).any(|window| window == octets))
}

#[test]
fn what_is_asked_is_in_the_file_by_name_and_client_after_a_restart_too() {
    let fixture = Fixture::new();
    let journal = fixture.start(ON);
    fixture.ask(&journal, "WWW.example", "192.0.2.1");
    fixture.ask(&journal, "www.example", "::ffff:192.0.2.1");
    fixture.ask(&journal, r"a\.b\000.example", "2001:db8::1");
    journal.close(PATIENCE).unwrap();

    fixture.hands.advance(DAY);
    let journal = fixture.start(ON);
    fixture.ask(&journal, "www.example", "192.0.2.1");
    fixture.ask(&journal, "www.example", "192.0.2.2");
    journal.flush(PATIENCE).unwrap();

    let row = |name: &str, client: &str, count| (name.to_owned(), client.to_owned(), count);
    let expected = [
        row(r"a\.b\000.example", "2001:db8::1", 1),
        row("www.example", "192.0.2.1", 3),
        row("www.example", "192.0.2.2", 1),
    ];
    assert_eq!(rows(fixture.path(), None), expected);
    let second_day = "2026-03-02T00:00:00Z".parse().ok();
    assert_eq!(
        rows(fixture.path(), second_day),
        [row("www.example", "192.0.2.1", 1), row("www.example", "192.0.2.2", 1)]
    );
    let coverage = NameStore::open_read_only(fixture.path()).unwrap().unwrap().coverage(None).unwrap();
    let expected = Coverage { since: "2026-03-01T12:00:00Z".parse().ok(), not_recorded: 0 };
    assert_eq!(coverage, expected);
    assert_eq!(fixture.metrics.record.names_stored.value(), 5);
}

#[test]
fn names_go_after_their_days_and_no_octet_of_them_is_left() {
    let fixture = Fixture::new();
    let journal = fixture.start(ON);
    fixture.ask(&journal, "secret.example", "192.0.2.77");
    journal.flush(PATIENCE).unwrap();
    assert!(holds(fixture.path(), b"secret.example") && holds(fixture.path(), b"192.0.2.77"));

    for day in 1..=3 {
        fixture.hands.advance(DAY);
        fixture.ask(&journal, "other.example", "192.0.2.1");
        // One tick, so that the clock that passes no faster than time goes along.
        journal.flush(PATIENCE).unwrap();
        assert_eq!(rows(fixture.path(), None).iter().any(|row| row.0 == "secret.example"), day < 3, "day {day}");
    }
    journal.close(PATIENCE).unwrap();
    assert!(!holds(fixture.path(), b"secret.example") && !holds(fixture.path(), b"192.0.2.77"));
    assert!(holds(fixture.path(), b"other.example"));
}

#[test]
fn off_writes_no_file_and_what_is_left_from_before_still_goes_with_its_file() {
    let fixture = Fixture::new();
    let journal = fixture.start(NamesConfig::default());
    assert!(!journal.keeps_names());
    journal.flush(PATIENCE).unwrap();
    assert!(NameStore::open_read_only(fixture.path()).unwrap().is_none());
    assert!(!fixture.path().join(FILE).exists());

    journal.keep_names(ON);
    fixture.ask(&journal, "www.example", "192.0.2.1");
    journal.flush(PATIENCE).unwrap();
    journal.keep_names(NamesConfig { enabled: false, ..ON });
    journal.flush(PATIENCE).unwrap();
    assert_eq!(rows(fixture.path(), None).len(), 1);
    for _day in 0..3 {
        fixture.hands.advance(DAY);
        journal.flush(PATIENCE).unwrap();
    }
    assert!(!fixture.path().join(FILE).exists());
    journal.close(PATIENCE).unwrap();
    let left: Vec<_> = std::fs::read_dir(fixture.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left, ["embargo.db"]);
}

#[test]
fn a_file_at_its_limit_takes_no_more_and_says_how_much_is_missing() {
    let fixture = Fixture::new();
    let journal = fixture.start(ON);
    let (mut asked, mut batches) = (0_u64, 0);
    while fixture.metrics.record.names_lost.value() == 0 {
        for number in 0..10_000 {
            fixture.ask(&journal, &format!("n{number}-{batches}.example"), "192.0.2.1");
            asked += 1;
        }
        journal.flush(PATIENCE).unwrap();
        batches += 1;
        assert!(batches < 100, "never full");
    }
    let coverage = NameStore::open_read_only(fixture.path()).unwrap().unwrap().coverage(None).unwrap();
    let stored: u64 = rows(fixture.path(), None).iter().map(|row| row.2).sum();
    assert!(coverage.not_recorded > 0);
    assert_eq!(stored + coverage.not_recorded, asked);
    assert_eq!(fixture.metrics.record.names_lost.value(), coverage.not_recorded);
    journal.close(PATIENCE).unwrap();
    let size = std::fs::metadata(fixture.path().join(FILE)).unwrap().len();
    assert!(size <= ON.size_max_bytes * 5 / 4, "{size} bytes");
}

#[test]
fn a_foreign_or_damaged_file_stops_no_attempt_from_being_recorded_and_is_left_alone() {
    let fixture = Fixture::new();
    std::fs::write(fixture.path().join(FILE), b"no database at all, but somebody's notes\n".repeat(100)).unwrap();
    let journal = fixture.start(ON);
    fixture.ask(&journal, "www.example", "192.0.2.1");
    assert!(journal.flush(PATIENCE).is_err());
    assert_eq!(journal.status().store_error, None);
    assert!(NameStore::open_read_only(fixture.path()).is_err());
    drop(journal);
    assert!(std::fs::read(fixture.path().join(FILE)).unwrap().starts_with(b"no database at all"));
}
