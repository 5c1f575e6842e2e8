//! What leaves memory at each level, and what does not.

use std::sync::Mutex;

use super::super::privacy::Following;
use super::*;
use crate::identity::{Devices, LeaseFormat};
use crate::policy::{Group, GroupKind};

fn site(id: &str, network: &str) -> Group {
    let networks = vec![network.parse().unwrap()];
    Group { id: id.into(), kind: GroupKind::Site, networks, devices: Vec::new() }
}

/// 192.0.2.0/28 hashed, 192.0.2.16/28 counted, all else as `elsewhere` has it.
fn privacy(elsewhere: Level, key: Option<u8>) -> Arc<Privacy> {
    let groups = [site("hashed", "192.0.2.0/28"), site("counted", "192.0.2.16/28")];
    let sites = vec![("hashed".into(), Level::Hashed), ("counted".into(), Level::Counts)];
    Arc::new(Privacy::new(PrivacyConfig { elsewhere, sites }, &groups, key.map(|octet| Key::from(&[octet; 32]))))
}

/// Keeps what is handed on.
#[derive(Debug, Default)]
struct Handed(Mutex<Vec<AttemptRow>>, Mutex<Vec<AttemptRow>>);

impl Outlet for Handed {
    fn is_open(&self) -> bool {
        true
    }

    fn take(&self, rows: &mut dyn Iterator<Item = AttemptRow>) {
        self.0.lock().unwrap().extend(rows);
    }

    fn take_new(&self, _batch: i64, rows: &mut dyn Iterator<Item = AttemptRow>) {
        self.1.lock().unwrap().extend(rows);
    }
}

#[test]
fn a_pseudonym_is_the_same_for_a_client_as_long_as_the_key_is_and_no_address_of_anybody() {
    let [one, other] = [1, 2].map(|key| privacy(Level::Full, Some(key)));
    let shown = |privacy: &Privacy, text: &str| privacy.shown(text.parse().unwrap());
    let pseudonym = shown(&one, "192.0.2.7").unwrap();
    assert!(is_pseudonym(pseudonym) && pseudonym.to_string().starts_with("100::"), "{pseudonym}");
    assert_eq!(shown(&privacy(Level::Hashed, Some(1)), "::ffff:192.0.2.7"), Some(pseudonym));
    assert_ne!(shown(&one, "192.0.2.8"), Some(pseudonym));
    assert_ne!(shown(&other, "192.0.2.7"), Some(pseudonym));
    assert_eq!(shown(&one, "192.0.2.17"), None);
    assert_eq!(shown(&one, "192.0.2.33"), Some("192.0.2.33".parse().unwrap()));
    assert!(!is_pseudonym("192.0.2.33".parse().unwrap()) && !is_pseudonym("100:0:0:1::".parse().unwrap()));
    let device = one.device("mac:52:54:00:00:00:0a").unwrap();
    assert!(device.parse::<Identifier>().is_ok() && Some(&device) != other.device("mac:52:54:00:00:00:0a").as_ref());
}

#[test]
fn without_a_key_nothing_is_written_where_pseudonyms_are_wanted() {
    let privacy = privacy(Level::Full, None);
    assert_eq!(privacy.level_at("192.0.2.7".parse().unwrap()), Level::Counts);
    assert_eq!(privacy.shown("192.0.2.7".parse().unwrap()), None);
}

#[test]
fn a_client_that_is_between_two_sites_while_one_is_exchanged_is_of_the_stricter() {
    let privacy = privacy(Level::Full, Some(1));
    let bits = |last: u8| Ipv4Addr::new(192, 0, 2, last).to_ipv6_mapped().to_bits();
    assert_eq!(privacy.level(bits(7), "elsewhere"), Level::Hashed);
    assert_eq!(privacy.level(bits(7), "counted"), Level::Counts);
    assert_eq!(privacy.level(bits(33), "hashed"), Level::Hashed);
    assert_eq!(privacy.level(bits(33), "elsewhere"), Level::Full);
}

#[test]
fn nothing_that_gets_finer_does_so_for_what_was_recorded_before() {
    let (strict, open) = (privacy(Level::Counts, Some(1)), privacy(Level::Full, Some(1)));
    let mut following = Following::new(&strict);
    let at = |privacy: &Privacy| privacy.level_at("192.0.2.33".parse().unwrap());
    assert_eq!(at(&following.look(&strict, true)), Level::Counts);
    assert_eq!(at(&following.look(&open, true)), Level::Counts);
    for _look in 0..200 {
        assert_eq!(at(&following.look(&open, false)), Level::Counts, "something waits");
    }
    let looks = (0..200).position(|_look| at(&following.look(&open, true)) == Level::Full);
    assert_eq!(looks, Some(59));
    assert_eq!(at(&following.look(&strict, true)), Level::Counts, "what gets stricter does so at once");
}

#[test]
fn no_file_of_the_state_directory_knows_whom_it_may_not_know() {
    let (devices, handed) = (Arc::new(Devices::default()), Arc::new(Handed::default()));
    let fixture = Fixture::new().with(|config| {
        config.devices = Arc::clone(&devices);
        config.privacy = privacy(Level::Full, Some(1));
        config.outlet = Some(Arc::clone(&handed) as _);
    });
    let rows = "address,mac\n192.0.2.7,52:54:00:00:00:0a\n192.0.2.17,52:54:00:00:00:0b\n192.0.2.33,52:54:00:00:00:0c\n";
    let (leases, _) = LeaseFormat::Csv.leases(&crate::diag::Source::new("t", rows.to_owned()));
    devices.take(&leases, after(0));
    let journal = fixture.start();
    journal.keep_names(NamesConfig { enabled: true, ..NamesConfig::default() });
    let tried = Tried::new("x.upd.example");
    for last in [7, 17, 33] {
        journal.record(&tried.by(&journal, client(last), after(10)));
        journal.note_active((client(last), None), after(10), || "default".into());
        journal.note_name(&LowerName::parse("secret.example").unwrap(), client(last), after(10));
    }
    journal.flush(PATIENCE).unwrap();

    let store = Store::open_read_only(fixture.path()).unwrap();
    let mut attempts = store.attempts(&Filter::default()).unwrap();
    attempts.sort_by_key(|row| row.client);
    let told: Vec<_> = attempts.iter().map(|row| (row.client.is_some(), row.device.clone(), row.count)).collect();
    let pseudonym = fixture.config.privacy.device("mac:52:54:00:00:00:0a");
    assert_eq!(told, [(false, None, 1), (true, Some("mac:52:54:00:00:00:0c".into()), 1), (true, pseudonym, 1)]);
    let mut sent = std::mem::take(&mut *handed.0.lock().unwrap());
    sent.sort_by_key(|row| row.client);
    assert_eq!(sent, attempts, "what is handed on is what is written");
    let mut new: Vec<_> = handed.1.lock().unwrap().iter().map(|row| row.client).collect();
    new.sort();
    assert_eq!(new, [attempts[1].client, attempts[2].client], "so is what is told of first attempts");
    assert_eq!(attempts[0].qname, None);
    assert_eq!(store.bindings(&Filter::default()).unwrap().len(), 1);

    journal.close(PATIENCE).unwrap();
    let mut files = 0;
    for entry in std::fs::read_dir(fixture.path()).unwrap() {
        let octets = std::fs::read(entry.unwrap().path()).unwrap();
        let holds = |text: &str| octets.windows(text.len()).any(|window| window == text.as_bytes());
        for text in ["192.0.2.7", "192.0.2.17", "52:54:00:00:00:0a", "52:54:00:00:00:0b"] {
            assert!(!holds(text), "{text}");
        }
        files += usize::from(holds("192.0.2.33"));
    }
    assert!(files >= 2, "of whom everything may be known, it is");
}

#[test]
fn the_store_says_since_when_how_much_is_recorded_of_whom() {
    let fixture = Fixture::new();
    let journal = fixture.start();
    let tried = Tried::new("x.upd.example");
    let flush = || {
        journal.record(&tried.by(&journal, client(7), noon()));
        journal.flush(PATIENCE).unwrap();
        let rows = Store::open_read_only(fixture.path()).unwrap().levels().unwrap();
        rows.into_iter().map(|row| (row.site, row.level)).collect::<Vec<_>>()
    };
    assert_eq!(flush(), []);
    journal.keep_privacy(&privacy(Level::Full, Some(1)));
    let said = [("counted".to_owned(), "counts"), ("hashed".to_owned(), "hashed")];
    assert_eq!(flush(), said);
    journal.keep_privacy(&privacy(Level::Full, Some(1)));
    assert_eq!(flush(), said, "nothing has changed");
    journal.keep_privacy(&privacy(Level::Hashed, Some(1)));
    assert_eq!(flush().first(), Some(&("counted".to_owned(), "counts")));
    assert_eq!(flush().last(), Some(&("hashed".to_owned(), "hashed")));
    assert_eq!(flush().len(), 3);
}

#[test]
fn a_key_is_made_once_for_its_owner_alone_and_none_in_the_place_of_one_that_is_wrong() {
    use std::os::unix::fs::PermissionsExt;
    let above = tempfile::tempdir().unwrap();
    let directory = above.path().join("state");
    let path = directory.join("privacy.key");
    let hash = |key: &Key| key.hash("address", b"x");
    let key = Key::of(&directory).unwrap();
    assert_eq!(hash(&Key::of(&directory).unwrap()), hash(&key));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o640);
    let error = Key::of(&directory).unwrap_err().to_string();
    assert!(error.contains("640") && error.contains("chmod 600"), "{error}");
    mode(0o600);
    for wrong in ["", "abc\n", &"0".repeat(63), &"g".repeat(64), &"0".repeat(4096)] {
        std::fs::write(&path, wrong).unwrap();
        assert!(matches!(Key::of(&directory), Err(KeyError::Wrong { .. })), "{wrong}");
    }
}
