//! Whose device asked, by the lease that was in force when it did.

use super::*;
use crate::diag::Source;
use crate::identity::{Devices, Lease, LeaseFormat};

fn leases(rows: &str) -> Vec<Lease> {
    let (leases, messages) = LeaseFormat::Csv.leases(&Source::new("t", format!("address,mac,since,until\n{rows}")));
    assert_eq!(messages, []);
    leases
}

/// Client, device and count of each row, the oldest first.
fn told(rows: &[AttemptRow]) -> Vec<(String, Option<String>, u64)> {
    let mut rows: Vec<_> = rows.iter().collect();
    rows.sort_by_key(|row| (row.first, row.client));
    let client = |row: &AttemptRow| row.client.map(|client| client.to_string()).unwrap_or_default();
    rows.iter().map(|row| (client(row), row.device.clone(), row.count)).collect()
}

#[test]
fn an_address_that_another_device_takes_names_each_of_them_for_its_own_attempts() {
    let devices = Arc::new(Devices::default());
    let fixture = Fixture::new().with(|config| config.devices = Arc::clone(&devices));
    let journal = fixture.start();
    let (tried, start) = (Tried::new("x.upd.example"), noon().as_second());
    let a = format!("192.0.2.7,52:54:00:00:00:0a,{start},{}\n", start + 100);
    devices.take(&leases(&a), after(0));
    for second in [1, 2, 70] {
        journal.record(&tried.by(&journal, client(7), after(second)));
    }
    // Told late, and before anything was written: the attempts of before are those of the first all the same.
    let b = format!("192.0.2.7,52:54:00:00:00:0b,{},{}\n", start + 60, start + 200);
    devices.take(&leases(&b), after(75));
    journal.record(&tried.by(&journal, client(7), after(130)));
    journal.record(&tried.by(&journal, client(8), after(130)));
    journal.flush(PATIENCE).unwrap();
    let row = |client: &str, mac: Option<&str>, count| (client.to_owned(), mac.map(ToOwned::to_owned), count);
    let expected = [
        row("192.0.2.7", Some("mac:52:54:00:00:00:0a"), 2),
        row("192.0.2.7", Some("mac:52:54:00:00:00:0b"), 1),
        row("192.0.2.7", Some("mac:52:54:00:00:00:0b"), 1),
        row("192.0.2.8", None, 1),
    ];
    assert_eq!(told(&fixture.attempts()), expected);
    let clients = Store::open_read_only(fixture.path()).unwrap().clients(&Filter::default()).unwrap();
    let mut clients: Vec<_> = clients.into_iter().map(|client| (client.device, client.count)).collect();
    clients.sort();
    let device = |mac: &str| Some(mac.to_owned());
    assert_eq!(clients, [(None, 1), (device("mac:52:54:00:00:00:0a"), 2), (device("mac:52:54:00:00:00:0b"), 2)]);
}

#[test]
fn who_held_an_address_is_known_again_after_a_restart_and_goes_after_its_time() {
    let leased = leases(&format!("192.0.2.7,52:54:00:00:00:0a,{},\n", noon().as_second()));
    let fixture = Fixture::new().with(|config| config.devices = Arc::default());
    let journal = fixture.start();
    fixture.config.devices.take(&leased, noon());
    journal.flush(PATIENCE).unwrap();
    fixture.config.devices.take(&[], after(100));
    journal.close(PATIENCE).unwrap();

    let fixture = fixture.with(|config| config.devices = Arc::default());
    let journal = fixture.start();
    let tried = Tried::new("x.upd.example");
    for second in [50, 170] {
        journal.record(&tried.by(&journal, client(7), after(second)));
    }
    journal.flush(PATIENCE).unwrap();
    let row = |mac: Option<&str>, count| ("192.0.2.7".to_owned(), mac.map(ToOwned::to_owned), count);
    assert_eq!(told(&fixture.attempts()), [row(Some("mac:52:54:00:00:00:0a"), 1), row(None, 1)]);
    journal.close(PATIENCE).unwrap();
}

#[test]
fn who_held_an_address_at_a_moment_is_read_from_the_store() {
    let fixture = Fixture::new().with(|config| config.devices = Arc::default());
    let journal = fixture.start();
    let (devices, start) = (&fixture.config.devices, noon().as_second());
    devices.take(&leases(&format!("192.0.2.7,52:54:00:00:00:0a,{start},\n")), after(0));
    devices.take(&leases(&format!("192.0.2.7,52:54:00:00:00:0b,{},\n", start + 60)), after(60));
    journal.close(PATIENCE).unwrap();
    let at = |second| {
        let filter = Filter { since: Some(after(second)), until: Some(after(second)), ..Filter::default() };
        let rows = Store::open_read_only(fixture.path()).unwrap().bindings(&filter).unwrap();
        rows.into_iter().map(|row| (row.device, row.until)).collect::<Vec<_>>()
    };
    let mac = |last: &str| format!("mac:52:54:00:00:00:{last}");
    assert_eq!(at(-1), []);
    assert_eq!(at(59), [(mac("0a"), Some(after(60)))]);
    assert_eq!(at(60), [(mac("0b"), None)]);
}
