//! The audit log: what is granted is in force as long as it is meant to be, and what was changed is noticed.

mod damage;
mod written;

use std::fs;
use std::path::Path;

use super::*;
use crate::policy::Exemptions;
use crate::time::Timestamp;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Second `second` of a minute.
fn second(second: u8) -> Timestamp {
    at(&format!("2027-01-01T12:00:{second:02}Z"))
}

fn written() -> Written {
    Written {
        client: Some("192.0.2.7".to_owned()),
        ban: Some("vendor".to_owned()),
        until: Some("2027-01-01T12:00:30Z".to_owned()),
        owner: "J. Doe".to_owned(),
        reason: "to remove it".to_owned(),
        ..Written::default()
    }
}

fn terms() -> Terms {
    written().try_into().unwrap()
}

/// The log of a directory as a process that starts finds it.
fn open(directory: &Path) -> Audit {
    let audit = Audit::new(directory);
    let _damage_is_told_again = audit.follow();
    audit
}

fn grant(audit: &Audit) -> u64 {
    audit.grant(terms(), Some(1000), 0, second(0)).unwrap().number
}

fn live(audit: &Audit) -> Vec<u64> {
    audit.live().iter().map(|granted| granted.number).collect()
}

#[test]
fn what_was_granted_is_found_again_with_who_asked_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let granted = open(directory.path()).grant(terms(), Some(1000), 0, second(0)).unwrap();
    assert_eq!((granted.number, granted.uid, granted.at), (1, Some(1000), second(0)));
    assert_eq!(open(directory.path()).live(), [granted]);
}

#[test]
fn what_is_revoked_is_out_of_force_and_can_not_be_revoked_again() {
    let directory = tempfile::tempdir().unwrap();
    let audit = open(directory.path());
    let (first, second_) = (grant(&audit), grant(&audit));
    audit.revoke(first, None, second(1)).unwrap();
    assert_eq!(live(&audit), [second_]);
    assert_eq!(live(&open(directory.path())), [second_]);
    for id in [first, 99, 0] {
        assert!(matches!(audit.revoke(id, None, second(2)), Err(Refusal::Unknown(unknown)) if unknown == id));
    }
}

#[test]
fn what_has_expired_does_not_come_back_when_the_clock_jumps_back() {
    let directory = tempfile::tempdir().unwrap();
    let audit = open(directory.path());
    let id = grant(&audit);
    assert!(audit.expire(second(29)).unwrap().is_empty());
    assert_eq!(audit.expire(second(30)).unwrap(), [(id, terms())]);
    assert!(audit.expire(second(31)).unwrap().is_empty(), "it is noted once");
    for log in [audit, open(directory.path())] {
        assert!(log.expire(second(1)).unwrap().is_empty());
        assert!(live(&log).is_empty());
    }
}

#[test]
fn two_processes_see_what_the_other_has_written_and_write_on_one_chain() {
    let directory = tempfile::tempdir().unwrap();
    let (one, other) = (open(directory.path()), open(directory.path()));
    assert_eq!((grant(&one), grant(&other), grant(&one)), (1, 2, 3));
    other.follow().unwrap();
    assert_eq!((live(&one), live(&other)), (vec![1, 2, 3], vec![1, 2, 3]));
    one.revoke(2, None, second(1)).unwrap();
    assert!(matches!(other.revoke(2, None, second(1)), Err(Refusal::Unknown(2))), "seen before it is written");
    let over = [&one, &other].map(|audit| audit.expire(second(30)).unwrap().into_iter().map(|(number, _terms)| number));
    assert_eq!(over.map(Iterator::collect::<Vec<_>>), [vec![1, 3], vec![]]);
    let reading = read(directory.path(), |_entry, _hash| ()).unwrap();
    assert_eq!((reading.entries, reading.damage, reading.head), (6, None, one.head()));
}

#[test]
fn threads_that_write_at_once_lose_nothing() {
    let directory = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for _process in 0..4 {
            scope.spawn(|| {
                let audit = open(directory.path());
                for _each in 0..8 {
                    grant(&audit);
                }
            });
        }
    });
    assert_eq!(live(&open(directory.path())), (1..=32).collect::<Vec<_>>());
}

#[test]
fn no_more_are_granted_than_policy_takes() {
    let directory = tempfile::tempdir().unwrap();
    let audit = open(directory.path());
    let with = |others| audit.grant(terms(), None, others, second(0));
    assert!(with(Exemptions::MAX - 1).is_ok());
    assert!(matches!(with(Exemptions::MAX - 1), Err(Refusal::TooMany)));
    audit.revoke(1, None, second(1)).unwrap();
    assert!(with(Exemptions::MAX - 1).is_ok());
}

#[test]
fn a_file_of_its_full_size_takes_no_grant_and_still_takes_what_ends_one() {
    let directory = tempfile::tempdir().unwrap();
    let audit = Audit::bounded(directory.path(), 1);
    let id = grant(&audit);
    assert!(matches!(audit.grant(terms(), None, 0, second(1)), Err(Refusal::Full)));
    assert!(matches!(audit.reloaded(&reloaded("enforce"), second(1)), Err(Refusal::Full)));
    audit.revoke(id, None, second(1)).unwrap();
    assert!(live(&audit).is_empty());
}

fn reloaded(mode: &str) -> Reloaded {
    let modes = [("vendor".to_owned(), mode.to_owned())].into();
    Reloaded { why: "test".to_owned(), policy: "abc".to_owned(), modes, ..Reloaded::default() }
}

#[test]
fn a_policy_is_noted_when_it_is_another_or_a_ban_has_another_mode() {
    let directory = tempfile::tempdir().unwrap();
    let note = |reloaded: Reloaded| {
        open(directory.path()).reloaded(&reloaded, second(0)).unwrap();
        read(directory.path(), |_entry, _hash| ()).unwrap().entries
    };
    assert_eq!((note(reloaded("observe")), note(reloaded("observe"))), (1, 1));
    assert_eq!(note(Reloaded { why: "another".to_owned(), ..reloaded("observe") }), 1);
    assert_eq!(note(reloaded("enforce")), 2);
    assert_eq!(note(Reloaded { policy: "def".to_owned(), ..reloaded("enforce") }), 3);
    // As by an exemption or a group that is another.
    let by = |configuration: &str| Reloaded { configuration: configuration.to_owned(), ..reloaded("enforce") };
    assert_eq!((note(by("1")), note(by("1")), note(by("2"))), (4, 4, 5));
}

/// The same for this owner.
fn configured(owner: &str, until: Option<&str>) -> Terms {
    let (until, endless) = (until.map(str::to_owned), until.is_none());
    Written { until, endless, owner: owner.to_owned(), ..written() }.try_into().unwrap()
}

#[test]
fn whom_the_configuration_spares_is_noted_once_and_so_is_each_end() {
    let directory = tempfile::tempdir().unwrap();
    let (ends, endless) = (configured("a", Some("2027-01-01T12:00:30.000400Z")), configured("b", None));
    let note = |terms: &[&Terms]| {
        let terms: Vec<Terms> = terms.iter().copied().cloned().collect();
        // A process of its own each time.
        open(directory.path()).configured(&terms, second(0)).unwrap();
    };
    note(&[&ends, &endless]);
    note(&[&endless, &ends]);
    note(&[&ends, &endless, &endless]);
    note(&[&ends]);
    let audit = open(directory.path());
    assert!(audit.live().is_empty(), "nobody was granted any");
    let over: Vec<_> = audit.expire(second(31)).unwrap().into_iter().map(|(number, _terms)| number).collect();
    assert_eq!(over, [1]);
    assert!(open(directory.path()).expire(second(32)).unwrap().is_empty());
    // It is there as before, but over; then the clock is set back; then it is gone.
    open(directory.path()).configured(std::slice::from_ref(&ends), second(33)).unwrap();
    note(&[&ends]);
    note(&[]);
    let mut told = Vec::new();
    let reading = read(directory.path(), |entry, _hash| {
        told.push(match &entry.event {
            Event::Configured(terms) => format!("configured {}", terms.owner),
            Event::Unconfigured(number) => format!("unconfigured {number}"),
            Event::Expired(number) => format!("expired {number}"),
            other => panic!("{other:?}"),
        });
    });
    let expected = ["configured a", "configured b", "configured b", "unconfigured 2", "unconfigured 3", "expired 1"];
    let expected = [&expected[..], &["unconfigured 1", "configured a", "unconfigured 8"]].concat();
    assert_eq!((told, reading.unwrap().damage), (expected.into_iter().map(str::to_owned).collect(), None));
}

#[test]
fn what_is_known_is_told_while_another_process_holds_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let audit = open(directory.path());
    grant(&audit);
    let held = fs::File::open(path(directory.path())).unwrap();
    held.lock().unwrap();
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| audit.revoke(1, None, second(1)));
        for _look in 0..10_000 {
            assert_eq!(live(&audit), [1], "whoever waits for the file keeps nobody from knowing");
        }
        held.unlock().unwrap();
        waits.join().unwrap().unwrap();
    });
    assert!(live(&audit).is_empty());
}

#[test]
fn what_bans_do_from_a_date_on_is_noted_under_the_policy_in_force() {
    let directory = tempfile::tempdir().unwrap();
    let audit = open(directory.path());
    let note = |mode: &str| audit.dated(reloaded(mode).modes, second(1)).unwrap();
    let told = || {
        let mut told = Vec::new();
        let take = |entry: &Entry, _hash: &str| {
            if let Event::Reloaded(reloaded) = &entry.event {
                told.push((reloaded.why.clone(), reloaded.modes["vendor"].clone()));
            }
        };
        read(directory.path(), take).unwrap();
        told
    };
    let said = |all: [(&str, &str); 2]| all.map(|(why, mode)| (why.to_owned(), mode.to_owned()));
    // Nothing has come into force yet.
    note("enforce");
    assert_eq!(told(), []);
    audit.reloaded(&reloaded("observe"), second(0)).unwrap();
    note("observe");
    note("enforce");
    note("enforce");
    assert_eq!(told(), said([("test", "observe"), ("date", "enforce")]));
}

#[test]
fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    grant(&open(directory.path()));
    assert_eq!(fs::metadata(path(directory.path())).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn without_a_file_nobody_is_exempt_and_none_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let audit = open(directory.path());
    assert!(audit.live().is_empty() && audit.expire(second(0)).unwrap().is_empty());
    assert!(!path(directory.path()).exists());
    assert_eq!(read(directory.path(), |_entry, _hash| ()).unwrap().head, "0".repeat(64));
}
