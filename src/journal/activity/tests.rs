//! Who was there is on record whatever they asked, and so is the time in which the server served.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, Hands};
use crate::journal::presence::{Presence, Sign, What};
use crate::journal::{Config, Journal, Store, WindowRow};
use crate::metrics::Metrics;
use crate::time::{Day, Mono, Now, Timestamp};

const PATIENCE: Duration = Duration::from_secs(60);
const ACTIVE: Sign<'static> = Sign { ban: "", evidence: None, what: What::Active };

struct Fixture {
    directory: tempfile::TempDir,
    clock: Clock,
    hands: Hands,
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

impl Fixture {
    fn new(wall: &str) -> Self {
        let (clock, hands) = Clock::manual(Now { wall: at(wall), mono: Mono(0) });
        Self { directory: tempfile::tempdir().unwrap(), clock, hands }
    }

    fn start(&self) -> Journal {
        let config =
            Config { commit_interval: Duration::from_secs(86_400 * 3_650), ..Config::new(self.directory.path()) };
        Journal::start(config, Arc::new(Metrics::new()), self.clock.clone()).unwrap()
    }

    fn note(&self, journal: &Journal, client: u8, site: &str) {
        journal.note_active(([192, 0, 2, client].into(), None), self.clock.now().wall, || Arc::from(site));
    }

    fn store(&self) -> Store {
        Store::open_read_only(self.directory.path()).unwrap()
    }

    fn windows(&self) -> Vec<WindowRow> {
        self.store().windows(Timestamp::UNIX_EPOCH, Timestamp::MAX).unwrap()
    }

    /// Devices that were active, by day.
    fn active(&self) -> Vec<(String, Vec<String>)> {
        let store = self.store();
        let presence = store.presence().unwrap();
        let sets = presence.sets(ACTIVE, 0, &(Day(0)..=Day(i32::MAX))).unwrap();
        let devices = |bits: &roaring::RoaringBitmap| {
            let rows = presence.devices(bits.iter()).unwrap();
            rows.into_iter().map(|row| format!("{} {}", row.site, row.device)).collect()
        };
        sets.iter().map(|(day, bits)| (day.to_string(), devices(bits))).collect()
    }
}

#[test]
fn a_device_is_active_on_each_day_on_which_it_asked_for_anything() {
    let fixture = Fixture::new("2026-03-01T23:00:00Z");
    let journal = fixture.start();
    fixture.note(&journal, 1, "berlin");
    fixture.note(&journal, 2, "paris");
    journal.flush(PATIENCE).unwrap();
    fixture.hands.advance(Duration::from_secs(3_600));
    fixture.note(&journal, 1, "berlin");
    journal.close(PATIENCE).unwrap();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let expected = [
        ("2026-03-01".to_owned(), words(&["berlin 192.0.2.1", "paris 192.0.2.2"])),
        ("2026-03-02".to_owned(), words(&["berlin 192.0.2.1"])),
    ];
    assert_eq!(fixture.active(), expected);
    let presence = fixture.store();
    let numbered = presence.presence().unwrap().numbered().unwrap();
    assert_eq!(numbered.iter().map(|range| &*range.site).collect::<Vec<_>>(), ["berlin", "paris"]);
    assert_eq!(Presence::blocks(&numbered), 0..=0);
}

#[test]
fn a_window_is_written_also_when_nobody_asked_and_goes_no_further_than_the_server_did() {
    let fixture = Fixture::new("2026-03-01T10:20:00Z");
    let journal = fixture.start();
    fixture.hands.advance(Duration::from_secs(600));
    fixture.note(&journal, 1, "berlin");
    fixture.note(&journal, 2, "berlin");
    journal.flush(PATIENCE).unwrap();
    fixture.note(&journal, 2, "berlin");
    fixture.hands.advance(Duration::from_secs(1_800));
    journal.flush(PATIENCE).unwrap();
    fixture.hands.advance(Duration::from_secs(600));
    journal.close(PATIENCE).unwrap();
    // It is down for an hour, and its clock is set back after that.
    fixture.hands.advance(Duration::from_secs(3_600));
    let journal = fixture.start();
    fixture.hands.advance(Duration::from_secs(60));
    journal.flush(PATIENCE).unwrap();
    let Now { wall, mono } = fixture.clock.now();
    fixture.hands.set(Now { wall: wall - Duration::from_secs(7_200), mono });
    journal.flush(PATIENCE).unwrap();
    journal.close(PATIENCE).unwrap();

    let told: Vec<_> =
        fixture.windows().iter().map(|row| format!("{:.0} {:.0} {}", row.from, row.until, row.active)).collect();
    let expected = [
        // The one that begins when the clock was set back.
        "2026-03-01T10:11:00Z 2026-03-01T10:11:00Z 0",
        "2026-03-01T10:20:00Z 2026-03-01T11:00:00Z 2",
        "2026-03-01T11:00:00Z 2026-03-01T11:10:00Z 0",
        "2026-03-01T12:10:00Z 2026-03-01T12:11:00Z 0",
    ];
    let mut sorted = expected.map(str::to_owned).to_vec();
    sorted.sort();
    assert_eq!(told, sorted);
}

#[test]
fn an_address_that_stood_for_many_is_in_the_record_on_its_day() {
    let fixture = Fixture::new("2026-03-01T10:00:00Z");
    let journal = fixture.start();
    let address = [192, 0, 2, 7].into();
    journal.note_crowd(address, fixture.clock.now().wall, Arc::from("berlin"));
    journal.close(PATIENCE).unwrap();
    let store = fixture.store();
    let presence = store.presence().unwrap();
    let sets = presence.sets(Sign { what: What::Crowd, ..ACTIVE }, 0, &(Day(0)..=Day(i32::MAX))).unwrap();
    let [(day, bits)] = &sets[..] else { panic!("{sets:?}") };
    assert_eq!(
        (day.to_string(), presence.devices(bits.iter()).unwrap()[0].client),
        ("2026-03-01".to_owned(), Some(address))
    );
}

#[test]
fn a_store_of_format_4_gets_the_table_of_windows() {
    let fixture = Fixture::new("2026-03-01T10:00:00Z");
    fixture.start().close(PATIENCE).unwrap();
    let path = fixture.directory.path().join("embargo.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    let older = "DROP TABLE windows; ALTER TABLE bindings DROP COLUMN method; ALTER TABLE bindings DROP COLUMN estimated; \
                 PRAGMA user_version = 4";
    connection.execute_batch(older).unwrap();
    drop(connection);
    let journal = fixture.start();
    fixture.hands.advance(Duration::from_secs(60));
    // Bringing the store to the new format is for the writer's thread.
    journal.flush(PATIENCE).unwrap();
    journal.close(PATIENCE).unwrap();
    assert_eq!(fixture.windows().len(), 1);
}
