//! Pages of clients, and of who held which address.

use std::sync::Arc;

use super::*;
use crate::diag::Source;
use crate::identity::{Devices, LeaseFormat};
use crate::journal::{BindingRow, ClientRow};

const CLIENTS: u8 = 60;

/// Clients that made lookups of two kinds, each third one at another site; each fourth one is a device that leases name, and one of
/// these had two addresses.
fn crowd() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let (clock, _hands) = Clock::manual(Now { wall: at(0, 0), mono: Mono(0) });
    let devices = Arc::new(Devices::default());
    let mac = |number: u8| format!("00:16:3e:00:00:{:02x}", if number == 60 { 4 } else { number });
    let rows: Vec<String> = (1..=CLIENTS)
        .filter(|number| number % 4 == 0)
        .map(|number| format!("{},{},{},", client(number), mac(number), at(-60, 0).as_second()))
        .collect();
    let (leases, messages) =
        LeaseFormat::Csv.leases(&Source::new("t", format!("address,mac,since,until\n{}\n", rows.join("\n"))));
    assert_eq!(messages, []);
    devices.take(&leases, at(0, 0));
    let config = Config { devices, ..Config::new(directory.path()) };
    let journal = Journal::start(config, Arc::new(Metrics::new()), clock).unwrap();
    for number in 1..=CLIENTS {
        for (evidence, name) in [(Evidence::Installed, "a.upd.example"), (Evidence::Visit, "www.upd.example")] {
            let site = if number % 3 == 0 { "branch" } else { "hq" }.into();
            let series = journal.series(Series { ban: "acme".into(), category: "x".into(), evidence, site });
            let (qname, pattern) = (LowerName::parse(name).unwrap(), Pattern::parse("upd.example").unwrap());
            journal.record(&Attempt {
                at: at(0, i64::from(number)),
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

fn leaf_clients(store: &Store, wanted: &Wanted, limit: usize, look_max: usize) -> Vec<ClientRow> {
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let page = store.clients_looked(wanted, after.as_ref(), limit, look_max).unwrap();
        assert!(page.rows.len() <= limit);
        rows.extend(page.rows);
        after = page.next.map(|place| place.to_string().parse().unwrap());
        if after.is_none() {
            return rows;
        }
    }
}

fn leaf_held(store: &Store, limit: usize, look_max: usize) -> Vec<BindingRow> {
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let page = store.held_looked((None, None), after.as_ref(), limit, look_max).unwrap();
        assert!(page.rows.len() <= limit);
        rows.extend(page.rows);
        after = page.next.map(|place| place.to_string().parse().unwrap());
        if after.is_none() {
            return rows;
        }
    }
}

#[test]
fn pages_hold_every_client_once_whatever_their_size() {
    let (_directory, store) = crowd();
    let key = |row: &ClientRow| (row.ban.clone(), row.evidence.as_str(), row.client.to_string(), row.device.clone());
    let mut expected = store.clients(&Filter::default()).unwrap();
    expected.sort_by_key(key);
    assert_eq!(expected.len(), 2 * usize::from(CLIENTS));
    for (limit, look_max) in [(1_000, 1_000), (7, 1_000), (1_000, 7), (5, 3), (1, 1), (60, 60)] {
        assert_eq!(leaf_clients(&store, &Wanted::default(), limit, look_max), expected, "{limit} {look_max}");
    }
}

#[test]
fn each_field_narrows_clients_and_a_page_of_few_looks_at_few() {
    let (_directory, store) = crowd();
    let text = |text: &str| Some(text.to_owned());
    // Two looks for each kind of lookup are enough where only few rows can be wanted.
    for (wanted, rows, look_max) in [
        (Wanted { ban: text("acme"), ..Wanted::default() }, 120, 1_000),
        (Wanted { ban: text("other"), ..Wanted::default() }, 0, 1),
        (Wanted { evidence: Some(Evidence::Visit), ..Wanted::default() }, 60, 60),
        (Wanted { site: text("branch"), ..Wanted::default() }, 40, 1_000),
        (Wanted { client: Some(client(9)), ..Wanted::default() }, 2, 2),
        (Wanted { client: Some("::ffff:192.0.2.9".parse().unwrap()), ..Wanted::default() }, 2, 2),
        (Wanted { device: text("192.0.2.9"), ..Wanted::default() }, 2, 2),
        (Wanted { device: text("192.0.2.8"), ..Wanted::default() }, 0, 2),
        (Wanted { device: text("mac:00:16:3e:00:00:08"), ..Wanted::default() }, 2, 2),
        (Wanted { device: text("mac:00:16:3e:00:00:04"), ..Wanted::default() }, 4, 4),
        (Wanted { since: Some(at(0, 51)), ..Wanted::default() }, 20, 1_000),
        (Wanted { until: Some(at(0, 10)), site: text("hq"), ..Wanted::default() }, 14, 1_000),
    ] {
        let page = store.clients_looked(&wanted, None, 1_000, look_max).unwrap();
        assert_eq!((page.rows.len(), page.next), (rows, None), "{wanted:?}");
        assert_eq!(leaf_clients(&store, &wanted, 1, 1).len(), rows, "{wanted:?}");
    }
}

#[test]
fn pages_hold_once_who_held_which_address() {
    let (_directory, store) = crowd();
    let key = |row: &BindingRow| (row.client.to_string(), row.from);
    let mut expected = store.bindings(&Filter::default()).unwrap();
    expected.sort_by_key(|row| std::cmp::Reverse(key(row)));
    assert_eq!(expected.len(), 15);
    for (limit, look_max) in [(1_000, 1_000), (4, 1_000), (1_000, 4), (1, 1), (15, 15)] {
        assert_eq!(leaf_held(&store, limit, look_max), expected, "{limit} {look_max}");
    }
    let held = |client, at| store.held_page((client, at), None, 100).unwrap().rows.len();
    assert_eq!(held(Some(client(8)), None), 1);
    assert_eq!((held(None, Some(at(-61, 0))), held(Some(client(8)), Some(at(0, 0)))), (0, 1));
}
