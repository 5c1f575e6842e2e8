//! Presence says what the attempts say, whatever happened on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use rusqlite::Connection;

use super::*;
use crate::clock::{Clock, Hands};
use crate::identity::{Devices, Lease, LeaseFormat};
use crate::journal::{Attempt, Config, Filter, Journal, Series, Store};
use crate::metrics::{Did, Metrics};
use crate::policy::Pattern;
use crate::time::{Day, Mono, Now, Timestamp};
use crate::wire::{LowerName, Transport, qtype};

const PATIENCE: Duration = Duration::from_secs(60);
const ALL_DAYS: std::ops::RangeInclusive<Day> = Day(i32::MIN)..=Day(i32::MAX);

struct Fixture {
    directory: tempfile::TempDir,
    config: Config,
    clock: Clock,
    hands: Hands,
}

/// An attempt: what of it matters here.
#[derive(Clone, Copy, Debug)]
struct Tried {
    client: u8,
    site: &'static str,
    evidence: Evidence,
    name: u8,
    hour: i64,
    verified: bool,
    action: Did,
}

impl Tried {
    fn by(client: u8, hour: i64) -> Self {
        let (site, evidence, action) = ("berlin", Evidence::Installed, Did::Nxdomain);
        Self { client, site, evidence, name: 1, hour, verified: false, action }
    }
}

fn start_of_days() -> Timestamp {
    "2026-03-01T00:00:00Z".parse().unwrap()
}

fn day(number: i32) -> Day {
    Day::of(start_of_days()).plus(number)
}

fn at(hour: i64) -> Timestamp {
    start_of_days() + Duration::from_secs(3600 * hour.cast_unsigned())
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (clock, hands) = Clock::manual(Now { wall: at(0), mono: Mono(0) });
        let config = Config {
            commit_interval: Duration::from_secs(86_400 * 3650),
            reopen_interval: Duration::ZERO,
            lock_timeout: Duration::ZERO,
            ..Config::new(directory.path())
        };
        Self { directory, config, clock, hands }
    }

    fn start(&self) -> Journal {
        Journal::start(self.config.clone(), Arc::new(Metrics::new()), self.clock.clone()).unwrap()
    }

    fn record(&self, journal: &Journal, tried: Tried) {
        self.hands.set(Now { wall: at(tried.hour), mono: Mono(tried.hour.cast_unsigned() * 3_600_000_000) });
        let (ban, category, site) = (Arc::from("acme"), Arc::from("update"), Arc::from(tried.site));
        let qname = LowerName::parse(&format!("n{}.upd.example", tried.name)).unwrap();
        journal.record(&Attempt {
            at: at(tried.hour),
            client: [192, 0, 2, tried.client].into(),
            told: None,
            series: journal.series(Series { ban, category, evidence: tried.evidence, site }),
            qname: &qname,
            qtype: qtype::A,
            pattern: Pattern::parse("*.upd.example").unwrap().as_ref(),
            action: tried.action,
            transport: Transport::Udp,
            verified: tried.verified,
        });
    }

    fn write(&self, tried: &[Tried]) {
        let journal = self.start();
        for &tried in tried {
            self.record(&journal, tried);
        }
        journal.close(PATIENCE).unwrap();
    }

    fn store(&self) -> Store {
        Store::open_read_only(self.directory.path()).unwrap()
    }

    /// Who is in the sets: by day, site and device.
    fn of(&self, evidence: Evidence, what: What) -> BTreeSet<(Day, String, String)> {
        let store = self.store();
        let presence = store.presence().unwrap();
        let sign = Sign { ban: "acme", evidence: Some(evidence), what };
        let mut found = BTreeSet::new();
        for block in Presence::blocks(&presence.numbered().unwrap()) {
            for (day, bits) in presence.sets(sign, block, &ALL_DAYS).unwrap() {
                let devices = presence.devices(bits.iter().map(|low| block * BLOCK + low)).unwrap();
                assert_eq!(devices.len() as u64, bits.len(), "every number is somebody");
                found.extend(devices.into_iter().map(|device| (day, device.site, device.device)));
            }
        }
        found
    }

    fn seen(&self, what: What) -> Vec<(i32, String)> {
        let found = self.of(Evidence::Installed, what);
        found.into_iter().map(|(at, _site, device)| (at.since(day(0)), device)).collect()
    }

    fn counted(&self, sql: &str) -> i64 {
        let connection = Connection::open(self.directory.path().join("embargo.db")).unwrap();
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

fn told(expected: &[(i32, &str)]) -> Vec<(i32, String)> {
    expected.iter().map(|&(day, device)| (day, device.to_owned())).collect()
}

/// What the attempts in the store say of the same.
fn by_attempts(fixture: &Fixture, evidence: Evidence) -> BTreeSet<(Day, String, String)> {
    let rows = fixture.store().attempts(&Filter { evidence: Some(evidence), ..Filter::default() }).unwrap();
    let who = rows.into_iter().filter_map(|row| Some((Day::of(row.first), row.site, row.client?.to_string())));
    who.collect()
}

#[test]
fn a_device_is_present_on_the_days_of_its_lookups_and_by_their_evidence() {
    let fixture = Fixture::new();
    let visit = Tried { evidence: Evidence::Visit, ..Tried::by(3, 1) };
    let nothing = Tried { evidence: Evidence::None, ..Tried::by(4, 1) };
    fixture.write(&[Tried::by(1, 0), Tried::by(1, 23), Tried::by(2, 24), Tried::by(1, 49), visit, nothing]);
    let expected = [(0, "192.0.2.1"), (1, "192.0.2.2"), (2, "192.0.2.1")];
    assert_eq!(fixture.seen(What::Seen), told(&expected));
    assert_eq!(fixture.of(Evidence::Visit, What::Seen).len(), 1);
    assert_eq!(fixture.of(Evidence::None, What::Seen).len(), 0);
}

#[test]
fn two_names_or_two_hours_of_a_verified_source_confirm_and_nothing_less_does() {
    let fixture = Fixture::new();
    let verified = |client, hour, name| Tried { verified: true, name, ..Tried::by(client, hour) };
    fixture.write(&[
        verified(1, 0, 1),
        verified(1, 0, 1),
        verified(2, 0, 1),
        verified(2, 0, 2),
        verified(3, 0, 1),
        verified(3, 5, 1),
        Tried::by(4, 0),
        Tried { name: 2, ..Tried::by(4, 5) },
        verified(5, 0, 1),
        Tried { name: 2, ..Tried::by(5, 5) },
    ]);
    let all = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5"];
    assert_eq!(fixture.seen(What::Seen), told(&all.map(|device| (0, device))));
    assert_eq!(fixture.seen(What::Verified), told(&[all[0], all[1], all[2], all[4]].map(|device| (0, device))));
    assert_eq!(fixture.seen(What::Confirmed), told(&[(0, all[1]), (0, all[2])]));
}

#[test]
fn who_was_spared_is_present_and_known_as_spared() {
    let fixture = Fixture::new();
    fixture.write(&[Tried { action: Did::Exempt, ..Tried::by(1, 0) }, Tried::by(2, 0)]);
    assert_eq!(fixture.seen(What::Seen), told(&[(0, "192.0.2.1"), (0, "192.0.2.2")]));
    assert_eq!(fixture.seen(What::Exempt), told(&[(0, "192.0.2.1")]));
}

fn leases(rows: &str) -> Vec<Lease> {
    let source = crate::diag::Source::new("t", format!("address,mac,since\n{rows}"));
    LeaseFormat::Csv.leases(&source).0
}

#[test]
fn a_device_at_two_sites_has_a_number_at_each_and_they_are_known_as_one() {
    let fixture = Fixture::new();
    let devices = Arc::new(Devices::default());
    let mac = "52:54:00:00:00:0a";
    devices.take(&leases(&format!("192.0.2.1,{mac},0\n192.0.2.2,{mac},0\n")), at(0));
    let fixture = Fixture { config: Config { devices, ..fixture.config.clone() }, ..fixture };
    fixture.write(&[Tried::by(1, 1), Tried { site: "rome", ..Tried::by(2, 2) }, Tried::by(3, 3)]);
    let device = format!("mac:{mac}");
    assert_eq!(fixture.seen(What::Seen), told(&[(0, "192.0.2.3"), (0, &device), (0, &device)]));
    assert_eq!(fixture.seen(What::Address), told(&[(0, "192.0.2.1"), (0, "192.0.2.2")]));
    let store = fixture.store();
    let ranges = store.presence().unwrap().numbered().unwrap();
    let named: Vec<_> =
        ranges.iter().filter(|range| range.named).map(|range| (&*range.site, range.end - range.first)).collect();
    assert_eq!(named, [("berlin", 1), ("rome", 1)]);
    let numbers: Vec<u32> = ranges.iter().filter(|range| range.named).map(|range| range.first).collect();
    let same = |devices: &Devices| store.presence().unwrap().uniting(devices).unwrap().same().to_vec();
    assert_eq!(same(&Devices::default()), [SameDevice { name: device.clone(), numbers: numbers.clone() }]);
    // An inventory that comes later says what it is.
    let known = Devices::default();
    known.take_assets(vec![vec!["asset:7".parse().unwrap(), device.parse().unwrap()]]);
    assert_eq!(same(&known), [SameDevice { name: "asset:7".to_owned(), numbers: numbers.clone() }]);
    let presence = store.presence().unwrap().uniting(&known).unwrap();
    let rows = presence.devices(numbers).unwrap();
    assert!(rows.iter().all(|row| row.device == "asset:7"), "{rows:?}");
}

#[test]
fn who_a_forwarder_names_is_active_under_that_name_without_any_lease() {
    let fixture = Fixture::new();
    let devices = Arc::new(Devices::default());
    let named = devices.told(&"mac:52:54:00:00:00:0a".parse().unwrap());
    let fixture = Fixture { config: Config { devices, ..fixture.config.clone() }, ..fixture };
    let journal = fixture.start();
    journal.note_active(([192, 0, 2, 1].into(), named), at(1), || Arc::from("berlin"));
    journal.note_active(([192, 0, 2, 1].into(), None), at(1), || Arc::from("berlin"));
    journal.close(PATIENCE).unwrap();
    let store = fixture.store();
    let presence = store.presence().unwrap();
    let sets = presence.sets(Sign { ban: "", evidence: None, what: What::Active }, 0, &ALL_DAYS).unwrap();
    let active = presence.devices(sets.iter().flat_map(|(_day, bits)| bits.iter())).unwrap();
    let all: BTreeSet<String> = active.into_iter().map(|device| device.device).collect();
    assert_eq!(all, BTreeSet::from(["192.0.2.1".to_owned(), "mac:52:54:00:00:00:0a".to_owned()]));
}

#[test]
fn both_who_had_an_address_in_one_hour_are_active() {
    let fixture = Fixture::new();
    let devices = Arc::new(Devices::default());
    let macs = ["52:54:00:00:00:0a", "52:54:00:00:00:0b"];
    devices.take(&leases(&format!("192.0.2.1,{},0\n", macs[0])), at(0));
    let fixture = Fixture { config: Config { devices: Arc::clone(&devices), ..fixture.config.clone() }, ..fixture };
    let journal = fixture.start();
    let note = |minute: u64| {
        let moment = at(1) + Duration::from_secs(60 * minute);
        fixture.hands.set(Now { wall: moment, mono: Mono(3_600_000_000 + 60_000_000 * minute) });
        journal.note_active(([192, 0, 2, 1].into(), None), moment, || Arc::from("berlin"));
    };
    note(1);
    devices.take(
        &leases(&format!("192.0.2.1,{},{}\n", macs[1], (at(1) + Duration::from_secs(300)).as_second())),
        at(1) + Duration::from_secs(300),
    );
    journal.flush(PATIENCE).unwrap();
    note(10);
    journal.close(PATIENCE).unwrap();
    let store = fixture.store();
    let presence = store.presence().unwrap();
    let sets = presence.sets(Sign { ban: "", evidence: None, what: What::Active }, 0, &ALL_DAYS).unwrap();
    let active = presence.devices(sets.iter().flat_map(|(_day, bits)| bits.iter())).unwrap();
    let all: BTreeSet<String> = active.into_iter().map(|device| device.device).collect();
    assert_eq!(all, macs.map(|mac| format!("mac:{mac}")).into());
}

#[test]
fn attempts_that_are_gone_are_known_by_the_presence_of_who_made_them() {
    let fixture = Fixture::new();
    fixture.write(&[Tried::by(1, 1), Tried::by(1, 49)]);
    let since = |fixture: &Fixture, from, to| fixture.store().attempts_since(&(day(from)..=day(to))).unwrap();
    assert_eq!((since(&fixture, 0, 5), since(&fixture, -9, 5)), (None, None));
    let connection = Connection::open(fixture.directory.path().join("embargo.db")).unwrap();
    connection.execute("DELETE FROM attempts WHERE minute / 1440 = ?1", [day(0).0]).unwrap();
    assert_eq!(
        (since(&fixture, 0, 5), since(&fixture, 1, 5), since(&fixture, 0, 0)),
        (Some(day(2)), None, Some(day(1)))
    );
    connection.execute("DELETE FROM attempts", []).unwrap();
    assert_eq!((since(&fixture, 0, 5), since(&fixture, 3, 5)), (Some(day(6)), None));
}

#[test]
fn the_last_address_is_that_of_the_last_lookup_whatever_is_written_later() {
    let fixture = Fixture::new();
    let devices = Arc::new(Devices::default());
    let mac = "52:54:00:00:00:0a";
    devices.take(&leases(&format!("192.0.2.1,{mac},0\n192.0.2.2,{mac},0\n192.0.2.3,{mac},0\n")), at(0));
    let fixture = Fixture { config: Config { devices, ..fixture.config.clone() }, ..fixture };
    let last = "SELECT CAST(substr(client, 9) AS INTEGER) FROM devices WHERE client <> ''";
    // In the morning, at noon of the same day, and then a log of the day before.
    for (client, hour) in [(1, 32), (2, 36), (3, 1)] {
        fixture.write(&[Tried::by(client, hour)]);
    }
    assert_eq!(fixture.counted(last), 2);
}

#[test]
fn the_same_address_at_two_sites_is_two_devices_in_ranges_of_their_own() {
    let fixture = Fixture::new();
    let tried = |client, site| Tried { site, ..Tried::by(client, 1) };
    let tried: Vec<_> = (0..200).map(|client| tried(client, if client % 2 == 0 { "rome" } else { "berlin" })).collect();
    fixture.write(&tried);
    fixture.write(&[Tried { site: "rome", ..Tried::by(1, 1) }, Tried::by(201, 1)]);
    let store = fixture.store();
    let ranges = store.presence().unwrap().numbered().unwrap();
    let mut sites = BTreeMap::<&str, Vec<u32>>::new();
    for range in &ranges {
        sites.entry(&range.site).or_default().push(range.end - range.first);
    }
    // Blocks of 64, then 128: each is filled before the next is begun.
    assert_eq!(sites, BTreeMap::from([("berlin", vec![64, 37]), ("rome", vec![64, 37])]));
    assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].first), "{ranges:?}");
    assert_eq!(fixture.of(Evidence::Installed, What::Seen).len(), 202);
}

#[test]
fn a_store_of_format_3_has_its_attempts_taken_into_presence() {
    let fixture = Fixture::new();
    let verified = |client, hour, name| Tried { verified: true, name, ..Tried::by(client, hour) };
    let mut tried = vec![verified(1, 0, 1), verified(1, 3, 2), Tried { action: Did::Exempt, ..Tried::by(2, 30) }];
    tried.push(Tried { evidence: Evidence::None, ..Tried::by(3, 1) });
    tried.extend((0..100).map(|number| Tried::by(number, i64::from(number))));
    fixture.write(&tried);
    let whole = |fixture: &Fixture| What::ALL.map(|what| fixture.seen(what));
    let before = whole(&fixture);
    let days = "SELECT sum(count * 7 + hours * 3 + verified_hours + verified_names % 1000) FROM device_days";
    let sum = fixture.counted(days);
    let connection = Connection::open(fixture.directory.path().join("embargo.db")).unwrap();
    for table in ["sites", "blocks", "devices", "signs", "presence", "device_days", "device_months", "unnumbered"] {
        connection.execute_batch(&format!("DROP TABLE {table}")).unwrap();
    }
    for column in ["method", "estimated"] {
        connection.execute_batch(&format!("ALTER TABLE bindings DROP COLUMN {column}")).unwrap();
    }
    connection.pragma_update(None, "user_version", 3).unwrap();
    drop(connection);
    fixture.write(&[]);
    assert_eq!(whole(&fixture), before);
    assert_eq!(fixture.counted(days), sum);
    assert_eq!(fixture.counted("SELECT count(*) FROM sqlite_schema WHERE name = 'taken'"), 0);
}

#[test]
fn days_become_months_and_what_is_too_old_goes_with_its_devices() {
    let mut fixture = Fixture::new();
    (fixture.config.device_days_keep_days, fixture.config.presence_keep_days) = (2, 50);
    fixture.config.attempts_keep_days = 1;
    let journal = fixture.start();
    for day in [0, 1, 40, 60, 61] {
        fixture.record(&journal, Tried::by(u8::try_from(day).unwrap() % 7, day * 24));
        journal.flush(PATIENCE).unwrap();
        // Retention is looked at every tenth time.
        for _ in 0..10 {
            journal.flush(PATIENCE).unwrap();
        }
    }
    journal.close(PATIENCE).unwrap();
    assert_eq!(fixture.seen(What::Seen), told(&[(40, "192.0.2.5"), (60, "192.0.2.4"), (61, "192.0.2.5")]));
    assert_eq!(fixture.counted("SELECT count(*) FROM device_days"), 2);
    assert_eq!(fixture.counted("SELECT sum(days) FROM device_months"), 3, "a month goes when all of it is too old");
    assert_eq!(fixture.counted("SELECT count(*) FROM devices"), 2);
}

#[test]
fn a_device_that_was_forgotten_and_comes_back_has_a_number_of_its_own() {
    let mut fixture = Fixture::new();
    fixture.config.presence_keep_days = 10;
    let journal = fixture.start();
    for (client, day) in [(1, 0), (2, 20), (1, 21)] {
        fixture.record(&journal, Tried::by(client, day * 24));
        for _ in 0..11 {
            journal.flush(PATIENCE).unwrap();
        }
    }
    journal.close(PATIENCE).unwrap();
    assert_eq!(fixture.seen(What::Seen), told(&[(20, "192.0.2.2"), (21, "192.0.2.1")]));
}

#[test]
fn a_damaged_set_is_put_aside_and_counted_and_whoever_reads_its_day_is_told() {
    let fixture = Fixture::new();
    fixture.write(&[Tried::by(1, 1), Tried::by(1, 30)]);
    let connection = Connection::open(fixture.directory.path().join("embargo.db")).unwrap();
    connection.execute("UPDATE presence SET bits = x'ff00ff' WHERE day = ?1", [day(0).0]).unwrap();
    drop(connection);
    let sign = Sign { ban: "acme", evidence: Some(Evidence::Installed), what: What::Seen };
    let damaged = |fixture: &Fixture| {
        let store = fixture.store();
        let presence = store.presence().unwrap();
        let sets = presence.sets(sign, 0, &ALL_DAYS).unwrap();
        let sizes: Vec<u64> = sets.iter().map(|(_day, bits)| bits.len()).collect();
        (sizes, presence.damaged(sign, &ALL_DAYS).unwrap())
    };
    assert_eq!(damaged(&fixture), (vec![0, 1], vec![day(0)]));
    let metrics = Arc::new(Metrics::new());
    let journal = Journal::start(fixture.config.clone(), Arc::clone(&metrics), fixture.clock.clone()).unwrap();
    fixture.record(&journal, Tried::by(2, 2));
    journal.close(PATIENCE).unwrap();
    assert_eq!(metrics.record.damaged_sets.value(), 1);
    assert_eq!(damaged(&fixture), (vec![1, 1], vec![day(0)]));
    assert_eq!(fixture.counted("SELECT count(*) FROM damaged WHERE bits = x'ff00ff'"), 1);
}

#[test]
fn lookups_of_nobody_are_counted_where_figures_are_read() {
    let mut fixture = Fixture::new();
    fixture.config.rows_in_memory_max = 1;
    let tried: Vec<_> = (0..200).map(|client| Tried::by(client, 1)).collect();
    fixture.write(&tried);
    let store = fixture.store();
    let presence = store.presence().unwrap();
    let sign = Sign { ban: "acme", evidence: Some(Evidence::Installed), what: What::Seen };
    let devices = fixture.of(Evidence::Installed, What::Seen).len() as u64;
    let nobodys = presence.unnumbered(sign, &(day(0)..=day(0))).unwrap();
    assert!(nobodys > 0 && devices + nobodys == 200, "{devices} {nobodys}");
    assert_eq!(presence.unnumbered(sign, &(day(1)..=day(9))).unwrap(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn presence_and_attempts_never_differ(
        tried in proptest::collection::vec((0..9_u8, 0..100_i64, any::<bool>(), 0..3_u8, 0..2_usize), 0..80),
    ) {
        let fixture = Fixture::new();
        let journal = fixture.start();
        let other = Connection::open(fixture.directory.path().join("embargo.db")).unwrap();
        for (client, hour, verified, end, site) in tried {
            fixture.record(&journal, Tried { verified, site: ["berlin", "rome"][site], ..Tried::by(client, hour) });
            match end {
                // A transaction that fails, whose rows are written by the next.
                1 if verified => {
                    other.execute_batch("BEGIN IMMEDIATE").unwrap();
                    journal.flush(PATIENCE).unwrap_err();
                    other.execute_batch("ROLLBACK").unwrap();
                }
                2 => journal.flush(PATIENCE).unwrap(),
                _ => (),
            }
        }
        journal.close(PATIENCE).unwrap();
        prop_assert_eq!(fixture.of(Evidence::Installed, What::Seen), by_attempts(&fixture, Evidence::Installed));
        let counts = (fixture.counted("SELECT ifnull(sum(count), 0) FROM device_days"), fixture.counted("SELECT ifnull(sum(count), 0) FROM attempts"));
        prop_assert_eq!(counts.0, counts.1);
    }
}
