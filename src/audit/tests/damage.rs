//! What a broken file does: it frees nobody.

use std::fs;
use std::io::Write;

use proptest::prelude::*;

use super::{grant, live, open, second, terms};
use crate::audit::{Audit, Damage, Refusal, path, read};

/// A log of three exemptions, the first of which is revoked, and its octets.
fn filled() -> (tempfile::TempDir, Vec<u8>) {
    let directory = tempfile::tempdir().unwrap();
    let audit = open(directory.path());
    assert_eq!([grant(&audit), grant(&audit), grant(&audit)], [1, 2, 3]);
    audit.revoke(1, Some(0), second(1)).unwrap();
    let octets = fs::read(path(directory.path())).unwrap();
    (directory, octets)
}

/// What is in force with these octets in the file's place.
fn with(directory: &tempfile::TempDir, octets: &[u8]) -> (Vec<u64>, Option<(u64, Damage)>) {
    fs::write(path(directory.path()), octets).unwrap();
    let found = read(directory.path(), |_entry, _hash| ()).unwrap().damage;
    let audit = Audit::new(directory.path());
    assert_eq!(audit.follow().is_err(), found.is_some());
    (live(&audit), found)
}

#[test]
fn a_line_without_its_newline_was_never_answered_and_is_cut_off() {
    let (directory, octets) = filled();
    let lines: Vec<&[u8]> = octets.split_inclusive(|octet| *octet == b'\n').collect();
    let (last, before) = lines.split_last().unwrap();
    for cut in 0..last.len() {
        let torn = [&before.concat(), &last[..cut]].concat();
        assert_eq!(with(&directory, &torn), (vec![1, 2, 3], None), "the revocation was not answered");
    }
    assert_eq!(grant(&open(directory.path())), 4);
    let whole = fs::read(path(directory.path())).unwrap();
    assert_eq!(with(&directory, &whole), (vec![1, 2, 3, 4], None));
}

#[test]
fn a_line_that_is_left_out_put_twice_exchanged_or_changed_breaks_the_chain() {
    let (directory, octets) = filled();
    assert_eq!(with(&directory, &octets), (vec![2, 3], None));
    let lines: Vec<&[u8]> = octets.split_inclusive(|octet| *octet == b'\n').collect();
    let order = |number| (Vec::new(), Some((number, Damage::Order)));
    assert_eq!(with(&directory, &[lines[0], lines[2], lines[3]].concat()), order(2));
    assert_eq!(with(&directory, &lines[1..].concat()), order(1));
    assert_eq!(with(&directory, &[lines[0], lines[0]].concat()), order(2));
    assert_eq!(with(&directory, &[lines[0], lines[2], lines[1], lines[3]].concat()), order(2));
    let text = String::from_utf8(octets.clone()).unwrap();
    let other = text.replacen("192.0.2.7", "192.0.2.8", 1);
    assert_eq!(with(&directory, other.as_bytes()), (Vec::new(), Some((1, Damage::Hash))));
    let other = text.replace("\"revoked\":1", "\"revoked\":9");
    assert_eq!(with(&directory, other.as_bytes()), (Vec::new(), Some((4, Damage::Hash))), "the last one too");
}

#[test]
fn rubbish_and_a_line_without_end_free_nobody() {
    let (directory, octets) = filled();
    let after = |rubbish: &[u8]| with(&directory, &[&octets, rubbish].concat());
    assert_eq!(after(b"\n"), (Vec::new(), Some((5, Damage::Line))));
    assert_eq!(after(b"{}\n"), (Vec::new(), Some((5, Damage::Line))));
    assert_eq!(after(b"\xff\xfe\n"), (Vec::new(), Some((5, Damage::Line))));
    assert_eq!(after("x".repeat(100_000).as_bytes()), (Vec::new(), Some((5, Damage::Long))));
    assert_eq!(after("é".repeat(100).as_bytes()), (vec![2, 3], None), "torn");
    assert_eq!(after(format!("{}\n", "é".repeat(100)).as_bytes()).1, Some((5, Damage::Line)));
    assert_eq!(after(format!("{}\n", "x".repeat(100)).as_bytes()).1, Some((5, Damage::Hash)));
}

#[test]
fn a_damaged_log_takes_nothing_and_stays_as_it_is() {
    let (directory, octets) = filled();
    fs::write(path(directory.path()), &octets[300..]).unwrap();
    let audit = open(directory.path());
    let before = fs::read(path(directory.path())).unwrap();
    assert!(matches!(audit.grant(terms(), None, 0, second(2)), Err(Refusal::Damaged { number: 1, .. })));
    assert!(matches!(audit.revoke(2, None, second(2)), Err(Refusal::Damaged { .. })));
    assert!(matches!(audit.expire(second(59)), Ok(none) if none.is_empty()));
    assert_eq!(fs::read(path(directory.path())).unwrap(), before, "it is evidence");
}

#[test]
fn a_file_that_is_cut_replaced_or_removed_while_the_server_runs_frees_nobody() {
    let (directory, octets) = filled();
    let file = path(directory.path());
    let check = |what: &dyn Fn()| {
        fs::write(&file, &octets).unwrap();
        let audit = open(directory.path());
        assert_eq!(live(&audit), [2, 3]);
        what();
        assert!(matches!(audit.follow(), Err(Refusal::Damaged { damage: Damage::Cut, .. })));
        assert!(live(&audit).is_empty());
        fs::write(&file, &octets).unwrap();
        assert!(audit.follow().is_err(), "it stays so until somebody has looked");
    };
    check(&|| fs::write(&file, &octets[..octets.len() / 2]).unwrap());
    check(&|| fs::remove_file(&file).unwrap());
    check(&|| {
        fs::write(directory.path().join("new"), &octets).unwrap();
        fs::rename(directory.path().join("new"), &file).unwrap();
    });
}

#[test]
fn a_file_that_is_gone_is_not_made_anew_behind_the_servers_back() {
    let (directory, _octets) = filled();
    let audit = open(directory.path());
    fs::remove_file(path(directory.path())).unwrap();
    assert!(audit.grant(terms(), None, 0, second(2)).is_err());
    assert!(!path(directory.path()).exists());
}

#[test]
fn a_lock_that_another_process_holds_is_waited_for() {
    let (directory, _octets) = filled();
    let audit = open(directory.path());
    let mut held = fs::OpenOptions::new().append(true).open(path(directory.path())).unwrap();
    held.lock().unwrap();
    std::thread::scope(|scope| {
        let granting = scope.spawn(|| grant(&audit));
        held.write_all(b"half a line of a process that dies here").unwrap();
        held.unlock().unwrap();
        assert_eq!(granting.join().unwrap(), 5);
    });
}

proptest! {
    #[test]
    fn a_log_cut_anywhere_keeps_whole_entries_and_one_changed_anywhere_frees_nobody_wrongly(
        cut in 0_usize..2_000,
        place in 0_usize..2_000,
        octet: u8,
    ) {
        let (directory, octets) = filled();
        let cut = cut % octets.len();
        let whole = octets[..cut].split(|octet| *octet == b'\n').count() - 1;
        let expected: Vec<u64> = (1..=3).take(whole).collect();
        prop_assert_eq!(with(&directory, &octets[..cut]), (expected, None));
        let (mut changed, place) = (octets.clone(), place % octets.len());
        changed[place] = octet;
        let (found, damage) = with(&directory, &changed);
        let torn = place == octets.len() - 1;
        prop_assert!(octet == octets[place] || torn || (found.is_empty() && damage.is_some()));
    }
}
