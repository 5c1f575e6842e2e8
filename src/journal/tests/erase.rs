//! What is erased of one client or device, and what stays of all others.

use super::*;
use crate::diag::Source;
use crate::identity::{Devices, LeaseFormat};

const MAC: &str = "mac:52:54:00:00:00:0a";

/// Two devices with leases, an address without one, and a device that moved from one address to another; two bans, two days.
fn recorded(fixture: &Fixture) -> Journal {
    let start = noon().as_second();
    let rows = format!(
        "192.0.2.7,52:54:00:00:00:0a,{start},{}\n192.0.2.9,52:54:00:00:00:0a,{},\n192.0.2.8,52:54:00:00:00:0b,{start},\n",
        start + 1_000,
        start + 1_001,
    );
    let source = Source::new("t", format!("address,mac,since,until\n{rows}"));
    fixture.config.devices.take(&LeaseFormat::Csv.leases(&source).0, noon());
    let journal = fixture.start();
    journal.keep_names(NamesConfig { enabled: true, ..NamesConfig::default() });
    for (ban, last, seconds) in [
        ("acme", 7, 10),
        ("acme", 9, 2_000),
        ("acme", 8, 10),
        ("acme", 33, 10),
        ("other", 9, 86_400),
        ("other", 33, 86_400),
    ] {
        let tried = Tried::of(ban, "x.upd.example");
        journal.record(&tried.by(&journal, client(last), after(seconds)));
        journal.note_active((client(last), None), after(seconds), || "default".into());
        let name = format!("n{last}.example");
        journal.note_name(&LowerName::parse(&name).unwrap(), client(last), after(seconds));
    }
    journal.flush(PATIENCE).unwrap();
    journal
}

fn fixture() -> Fixture {
    Fixture::new().with(|config| config.devices = Arc::new(Devices::default()))
}

fn kept(fixture: &Fixture, whose: &Whose) -> Kept {
    let store = Store::open_read_only(fixture.path()).unwrap();
    let names = NameStore::open_read_only(fixture.path()).unwrap();
    store.kept(whose, (None, &fixture.config.devices), names.as_ref()).unwrap()
}

fn is_empty(kept: &Kept) -> bool {
    let Kept { attempts, clients, bindings, presence, days, months, names, .. } = kept;
    attempts.is_empty()
        && clients.is_empty()
        && bindings.is_empty()
        && presence.is_empty()
        && days.is_empty()
        && months.is_empty()
        && names.is_empty()
}

/// Whether a file of the state directory holds these octets.
fn holds(fixture: &Fixture, text: &str) -> bool {
    let files = std::fs::read_dir(fixture.path()).unwrap();
    files
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .any(|octets| octets.windows(text.len()).any(|window| window == text.as_bytes()))
}

#[test]
fn a_device_is_erased_with_all_its_addresses_and_nothing_of_others() {
    let fixture = fixture();
    let journal = recorded(&fixture);
    let others = [Whose::Device("mac:52:54:00:00:00:0b".to_owned()), Whose::Client(client(33))];
    let before: Vec<_> = others.iter().map(|whose| serde_json::to_string(&kept(&fixture, whose)).unwrap()).collect();
    let whose = Whose::Device(MAC.to_owned());
    let all = kept(&fixture, &whose);
    assert_eq!((all.attempts.len(), all.bindings.len(), all.days.len()), (3, 2, 2), "two of them on one day");
    let says = |what: &str| all.presence.iter().filter(|set| set.what == what).map(|set| set.days.len()).sum::<usize>();
    assert_eq!((says("seen"), says("active")), (2, 2));

    let (person, erased) = journal.erase(whose.clone(), None, PATIENCE).unwrap();
    assert!(person.is_of(None, Some(MAC)) && !person.is_of(Some(client(7)), None));
    let Erased { devices, attempts, bindings, not_overwritten, .. } = erased;
    assert_eq!((devices, attempts, bindings, not_overwritten), (1, 3, 2, None));
    assert!(is_empty(&kept(&fixture, &whose)));
    for (whose, before) in others.iter().zip(before) {
        assert_eq!(serde_json::to_string(&kept(&fixture, whose)).unwrap(), before);
    }
    assert!(!holds(&fixture, MAC) && holds(&fixture, "mac:52:54:00:00:00:0b"));
    let store = Store::open_read_only(fixture.path()).unwrap();
    let erasures = store.erasures().unwrap();
    assert_eq!(erasures.iter().map(|erasure| (erasure.devices, erasure.attempts)).collect::<Vec<_>>(), [(1, 3)]);
    // The addresses that it had are in no set of addresses of those days any more.
    let addresses = kept(&fixture, &Whose::Client(client(9))).presence;
    assert!(addresses.iter().all(|set| set.what != "address"), "{addresses:?}");
}

#[test]
fn an_address_is_erased_with_the_names_it_asked_and_goes_from_devices_that_had_it() {
    let fixture = fixture();
    let journal = recorded(&fixture);
    for last in [33, 9] {
        let (_person, erased) = journal.erase(Whose::Client(client(last)), None, PATIENCE).unwrap();
        assert_eq!((erased.not_overwritten, erased.names), (None, 2));
        assert!(is_empty(&kept(&fixture, &Whose::Client(client(last)))));
        assert!(!holds(&fixture, &format!("192.0.2.{last}")) && !holds(&fixture, &format!("n{last}.example")));
    }
    let device = kept(&fixture, &Whose::Device(MAC.to_owned()));
    assert_eq!((device.attempts.len(), device.bindings.len()), (1, 1), "what it did elsewhere is its own");
    let (_person, nothing) = journal.erase(Whose::Client(client(33)), None, PATIENCE).unwrap();
    assert!(nothing.is_nothing());
}

#[test]
fn whoever_goes_on_asking_is_recorded_anew_under_another_number() {
    let fixture = fixture();
    let journal = recorded(&fixture);
    journal.erase(Whose::Client(client(33)), None, PATIENCE).unwrap();
    let tried = Tried::new("y.upd.example");
    journal.record(&tried.by(&journal, client(33), after(90_000)));
    journal.flush(PATIENCE).unwrap();
    let kept = kept(&fixture, &Whose::Client(client(33)));
    assert_eq!((kept.attempts.len(), kept.presence.len(), kept.days.len()), (1, 1, 1));
}

#[test]
fn without_a_server_the_same_is_erased() {
    let fixture = fixture();
    recorded(&fixture).close(PATIENCE).unwrap();
    let whose = Whose::Device(MAC.to_owned());
    let (_person, erased) = erase_alone(&fixture.config, &whose, None, after(90_000)).unwrap();
    assert_eq!((erased.attempts, erased.not_overwritten), (3, None));
    assert!(is_empty(&kept(&fixture, &whose)) && !holds(&fixture, MAC));
}

#[test]
fn a_pseudonym_is_erased_by_what_it_stands_for() {
    let key = || Some(Key::from(&[7; 32]));
    let config = PrivacyConfig { elsewhere: Level::Hashed, sites: Vec::new() };
    let fixture = fixture().with(|journal| journal.privacy = Arc::new(Privacy::new(config, &[], key())));
    let journal = recorded(&fixture);
    let pseudonym = fixture.config.privacy.shown(client(33)).unwrap();
    assert_eq!(kept(&fixture, &Whose::Client(pseudonym)).attempts.len(), 2);
    let (_person, erased) = journal.erase(Whose::Client(client(33)), key(), PATIENCE).unwrap();
    assert_eq!((erased.attempts, erased.not_overwritten), (2, None));
    assert!(is_empty(&kept(&fixture, &Whose::Client(pseudonym))) && !holds(&fixture, &pseudonym.to_string()));
    let (_person, erased) = journal.erase(Whose::Device(MAC.to_owned()), key(), PATIENCE).unwrap();
    assert_eq!((erased.devices, erased.attempts), (1, 3));
}
