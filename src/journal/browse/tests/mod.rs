//! Pages of attempts: whole, in order, bounded, and with nothing twice.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

mod clients;

use super::{Place, Wanted};
use crate::clock::Clock;
use crate::journal::{Attempt, AttemptRow, Config, Filter, Journal, Series, Store};
use crate::metrics::{Did, Metrics};
use crate::policy::{Evidence, Pattern};
use crate::time::{Day, Mono, Now, Timestamp};
use crate::wire::{LowerName, Transport};

const PATIENCE: Duration = Duration::from_secs(20);

fn at(minute: i64, second: i64) -> Timestamp {
    Timestamp::from_second(1_772_000_000 / 60 * 60 + minute * 60 + second).unwrap()
}

fn client(number: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, number])
}

/// A store with `minutes` minutes of attempts: of client 1 in every one of them, of client 2 in one of a hundred.
fn store(minutes: i64) -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    // Of a day that is still kept hour by hour, whenever the test is run.
    let (clock, _hands) = Clock::manual(Now { wall: at(minutes, 0), mono: Mono(0) });
    let journal = Journal::start(Config::new(directory.path()), Arc::new(Metrics::new()), clock).unwrap();
    let series = |evidence, category: &str| {
        let (ban, site) = ("acme".into(), "hq".into());
        journal.series(Series { ban, category: category.into(), evidence, site })
    };
    let (installed, visit) = (series(Evidence::Installed, "update"), series(Evidence::Visit, "web"));
    for minute in 0..minutes {
        let who = [(1, installed, "a.upd.example")];
        let rare = (minute % 100 == 0).then_some((2, visit, "www.upd.example"));
        for (number, series, name) in who.into_iter().chain(rare) {
            let qname = LowerName::parse(name).unwrap();
            let pattern = Pattern::parse("upd.example").unwrap();
            journal.record(&Attempt {
                at: at(minute, i64::from(number)),
                client: client(number),
                told: None,
                series,
                qname: &qname,
                qtype: 1,
                pattern: pattern.as_ref(),
                action: Did::Nxdomain,
                transport: Transport::Udp,
                verified: false,
            });
        }
    }
    journal.close(PATIENCE).unwrap();
    let store = Store::open_read_only(directory.path()).unwrap();
    (directory, store)
}

/// Every row, page by page, and how many pages there were.
fn leaf(store: &Store, wanted: &Wanted, limit: usize, look_max: usize) -> (Vec<AttemptRow>, usize) {
    let (mut rows, mut pages, mut after) = (Vec::new(), 0, None::<Place>);
    loop {
        let page = store.attempts_looked(wanted, after.as_ref(), limit, look_max).unwrap();
        assert!(page.rows.len() <= limit);
        assert_eq!(page.next.is_none(), page.looked_to.is_none());
        rows.extend(page.rows);
        pages += 1;
        // A place is what it is as text.
        after = page.next.map(|place| place.to_string().parse().unwrap());
        if after.is_none() {
            return (rows, pages);
        }
    }
}

#[test]
fn pages_hold_every_row_once_newest_first_whatever_their_size() {
    let (_directory, store) = store(300);
    let all = store.attempts(&Filter::default()).unwrap();
    for (limit, look_max) in [(1_000, 1_000), (7, 1_000), (1_000, 7), (5, 3), (1, 1)] {
        let (rows, _pages) = leaf(&store, &Wanted::default(), limit, look_max);
        assert_eq!(rows.len(), 303, "{limit} {look_max}");
        assert!(rows.is_sorted_by(|a, b| a.first >= b.first), "{limit} {look_max}");
        let key = |row: &AttemptRow| (row.first, row.client, row.qname.clone());
        let (mut found, mut expected): (Vec<_>, Vec<_>) =
            (rows.iter().map(key).collect(), all.iter().map(key).collect());
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{limit} {look_max}");
    }
}

#[test]
fn rows_of_a_rare_client_are_found_by_presence_without_a_look_at_the_others() {
    let (_directory, store) = store(2_000);
    let wanted = Wanted { client: Some(client(2)), ..Wanted::default() };
    let page = store.attempts_looked(&wanted, None, 5, 400).unwrap();
    // Its hours hold 61 rows each; without presence, 400 looks would find the rows of four of its attempts.
    assert_eq!((page.rows.len(), page.next.is_some()), (5, true));
    assert_eq!(leaf(&store, &wanted, 3, 1_000).0.len(), 20);
    let nobody = Wanted { client: Some(client(9)), ..Wanted::default() };
    assert_eq!(leaf(&store, &nobody, 3, 1_000).0.len(), 0);
}

#[test]
fn each_field_narrows() {
    let (_directory, store) = store(200);
    let count = |wanted: Wanted| leaf(&store, &wanted, 50, 1_000).0.len();
    assert_eq!(count(Wanted { evidence: Some(Evidence::Visit), ..Wanted::default() }), 2);
    assert_eq!(count(Wanted { category: Some("update".to_owned()), ..Wanted::default() }), 200);
    assert_eq!(count(Wanted { ban: Some("other".to_owned()), ..Wanted::default() }), 0);
    assert_eq!(count(Wanted { site: Some("hq".to_owned()), ..Wanted::default() }), 202);
    assert_eq!(count(Wanted { name: Some("upd.example".to_owned()), ..Wanted::default() }), 202);
    assert_eq!(count(Wanted { name: Some("www.upd.example".to_owned()), ..Wanted::default() }), 2);
    assert_eq!(count(Wanted { name: Some("pd.example".to_owned()), ..Wanted::default() }), 0);
    assert_eq!(count(Wanted { pattern: Some("upd.example".to_owned()), ..Wanted::default() }), 202);
    assert_eq!(count(Wanted { pattern: Some("www.upd.example".to_owned()), ..Wanted::default() }), 0);
    assert_eq!(count(Wanted { action: Some(Did::Observe), ..Wanted::default() }), 0);
    assert_eq!(count(Wanted { device: Some("192.0.2.2".to_owned()), ..Wanted::default() }), 2);
    let (since, until) = (Some(at(150, 0)), Some(at(160, 0)));
    assert_eq!(count(Wanted { since, until, ..Wanted::default() }), 10);
}

#[test]
fn what_follows_is_narrowed_as_the_record_is() {
    let (_directory, store) = store(150);
    let all = leaf(&store, &Wanted::default(), 1_000, 1_000).0;
    let text = |text: &str| Some(text.to_owned());
    for wanted in [
        Wanted::default(),
        Wanted { evidence: Some(Evidence::Visit), ..Wanted::default() },
        Wanted { category: text("update"), ban: text("acme"), ..Wanted::default() },
        Wanted { site: text("elsewhere"), ..Wanted::default() },
        Wanted { action: Some(Did::Nxdomain), client: Some(client(2)), ..Wanted::default() },
        Wanted { device: text("192.0.2.1"), ..Wanted::default() },
        Wanted { name: Wanted::name_of(".UPD.example."), ..Wanted::default() },
        Wanted { name: text("www.upd.example"), ..Wanted::default() },
        Wanted { name: text("pd.example"), ..Wanted::default() },
        Wanted { pattern: text("upd.example"), ..Wanted::default() },
        Wanted { since: Some(at(20, 0)), until: Some(at(120, 0)), ..Wanted::default() },
    ] {
        let held: Vec<_> = all.iter().filter(|row| wanted.holds(row)).cloned().collect();
        assert_eq!(held, leaf(&store, &wanted, 1_000, 1_000).0, "{wanted:?}");
    }
}

#[test]
fn a_device_is_found_with_what_its_lookups_come_to() {
    let (_directory, store) = store(101);
    let known = store.known_of("192.0.2.2").unwrap();
    assert_eq!((known.lookups.len(), known.lookups[0].count, known.addresses.len()), (1, 2, 0));
    let number = store.device_number("192.0.2.2").unwrap().unwrap();
    assert_eq!(store.device(number).unwrap().unwrap().device, "192.0.2.2");
    assert_eq!(store.device(9_999).unwrap(), None);
    let day = Day::of(at(0, 0));
    let days = store.days_of(number, &(day.plus(-3)..=day.plus(3))).unwrap();
    assert_eq!((days.len(), days[0].day, days[0].evidence), (1, day, Evidence::Visit));
    assert_eq!((days[0].count, days[0].hours.count_ones(), &*days[0].ban), (2, 2, "acme"));
    assert_eq!(store.days_of(number, &(day.plus(1)..=day.plus(3))).unwrap(), []);
}
