//! Connections as the journal keeps them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use super::{Connected, ConnectedRow, Said};
use crate::clock::Clock;
use crate::journal::database::FILE;
use crate::journal::{Config, Filter, Journal, Presence, Sign, Store, What};
use crate::metrics::Metrics;
use crate::policy::Evidence;
use crate::time::{Day, Timestamp};
use crate::wire::LowerName;

const PATIENCE: Duration = Duration::from_secs(20);

struct Fixture {
    directory: tempfile::TempDir,
    metrics: Arc<Metrics>,
}

impl Fixture {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), metrics: Arc::default() }
    }

    fn start(&self) -> Journal {
        let config = Config::new(self.directory.path());
        Journal::start(config, Arc::clone(&self.metrics), Clock::system()).unwrap()
    }

    fn store(&self) -> Store {
        Store::open_read_only(self.directory.path()).unwrap()
    }

    fn rows(&self) -> Vec<ConnectedRow> {
        self.store().connected(&Filter::default()).unwrap()
    }
}

fn now() -> Timestamp {
    Clock::system().now().wall
}

fn connect(journal: &Journal, client: &str, name: &str, evidence: Evidence) {
    journal.record_connected(&Connected {
        at: now(),
        client: client.parse().unwrap(),
        site: &"branch".into(),
        ban: &"acme".into(),
        evidence,
        name: &LowerName::parse(name).unwrap(),
        said: Said::Sni,
    });
}

#[test]
fn a_connection_is_kept_with_its_name_and_its_device_is_in_the_set_of_the_day() {
    let fixture = Fixture::new();
    let journal = fixture.start();
    for name in ["a.acme.example", "b.acme.example"] {
        connect(&journal, "::ffff:192.0.2.7", name, Evidence::Installed);
    }
    journal.flush(PATIENCE).unwrap();
    connect(&journal, "192.0.2.7", "C.acme.example", Evidence::Installed);
    connect(&journal, "192.0.2.8", "x0\\;.acme.example", Evidence::None);
    journal.close(PATIENCE).unwrap();

    let mut rows = fixture.rows();
    rows.sort_by_key(|row| row.client);
    let told: Vec<_> = rows.iter().map(|row| (row.client, &*row.site, &*row.name, row.said, row.count)).collect();
    let client = |text: &str| text.parse::<IpAddr>().unwrap();
    assert_eq!(
        told,
        [
            (client("192.0.2.7"), "branch", "c.acme.example", Said::Sni, 3),
            (client("192.0.2.8"), "branch", "x0\\059.acme.example", Said::Sni, 1),
        ]
    );
    assert!(rows[0].first <= rows[0].last);
    assert_eq!((fixture.metrics.block_page.stored.value(), fixture.metrics.block_page.lost.value()), (4, 0));
    let (store, today) = (fixture.store(), Day::of(now()));
    let presence: Presence<'_> = store.presence().unwrap();
    let of = |evidence| {
        let sign = Sign { ban: "acme", evidence: Some(evidence), what: What::Connected };
        let sets = presence.sets(sign, 0, &(today.plus(-1)..=today)).unwrap();
        sets.iter().map(|(_day, bits)| bits.len()).sum::<u64>()
    };
    assert_eq!((of(Evidence::Installed), of(Evidence::None)), (1, 0));
}

#[test]
fn what_comes_when_the_record_is_closed_or_can_not_be_written_is_counted_as_lost() {
    let fixture = Fixture::new();
    let journal = fixture.start();
    journal.flush(PATIENCE).unwrap();
    std::fs::remove_file(fixture.directory.path().join(FILE)).unwrap();
    std::fs::create_dir(fixture.directory.path().join(FILE)).unwrap();
    connect(&journal, "192.0.2.7", "a.acme.example", Evidence::Installed);
    assert!(journal.close(PATIENCE).is_err());
    connect(&journal, "192.0.2.7", "a.acme.example", Evidence::Installed);
    assert_eq!((fixture.metrics.block_page.stored.value(), fixture.metrics.block_page.lost.value()), (0, 2));
}

#[test]
fn a_store_of_format_6_gets_the_table_and_keeps_its_rows() {
    let fixture = Fixture::new();
    let journal = fixture.start();
    journal.flush(PATIENCE).unwrap();
    journal.close(PATIENCE).unwrap();
    let connection = Connection::open(fixture.directory.path().join(FILE)).unwrap();
    let before = "DROP TABLE connected; INSERT INTO windows VALUES ((unixepoch() - 7200) * 1000, (unixepoch() - 3600) * 1000, 9, 1, 0, 0); \
                  PRAGMA user_version = 6";
    connection.execute_batch(before).unwrap();
    drop(connection);

    let journal = fixture.start();
    connect(&journal, "192.0.2.7", "a.acme.example", Evidence::Visit);
    journal.close(PATIENCE).unwrap();
    assert_eq!(fixture.rows().len(), 1);
    let since = Timestamp::UNIX_EPOCH;
    assert_eq!(fixture.store().windows(since, now()).unwrap()[0].queries, 9);
}
