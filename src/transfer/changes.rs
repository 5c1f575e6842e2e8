//! What has changed in a zone (RFC 1995), and the zone that comes of it: deletions must be there and additions not, or the changes
//! are those of another zone.

use std::collections::HashMap;
use std::io::{BufRead, Write};

use super::fault::Fault;

/// Changes at most; with more of them the whole zone is no more to send.
const CHANGES_MAX: usize = 1 << 20;
/// The same of their octets: a record of an unknown type may have a hundred thousand.
const OCTETS_MAX: usize = 64 << 20;

/// One change, after all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Deleted,
    /// Deleted, and found in the zone.
    Found,
    Added,
}

/// All changes from one version to another, by line.
#[derive(Debug, Default)]
pub(super) struct Changes {
    lines: HashMap<Box<str>, Change>,
    /// Octets of the lines.
    octets: usize,
}

impl Changes {
    pub(super) fn delete(&mut self, line: &str) -> Result<(), Fault> {
        match self.lines.get(line) {
            Some(Change::Added) => self.take_back(line),
            Some(_twice) => return Err(Fault::Unfit),
            None => self.insert(line, Change::Deleted)?,
        }
        Ok(())
    }

    pub(super) fn add(&mut self, line: &str) -> Result<(), Fault> {
        match self.lines.get(line) {
            // As it was: another TTL, most often.
            Some(Change::Deleted) => self.take_back(line),
            Some(_twice) => return Err(Fault::Unfit),
            None => self.insert(line, Change::Added)?,
        }
        Ok(())
    }

    fn insert(&mut self, line: &str, change: Change) -> Result<(), Fault> {
        self.octets += line.len();
        if self.lines.len() >= CHANGES_MAX || self.octets > OCTETS_MAX {
            return Err(Fault::Unfit);
        }
        self.lines.insert(line.into(), change);
        Ok(())
    }

    fn take_back(&mut self, line: &str) {
        self.lines.remove(line);
        self.octets = self.octets.saturating_sub(line.len());
    }

    /// Records added and deleted in the end.
    pub(super) fn counts(&self) -> (usize, usize) {
        let added = self.lines.values().filter(|change| **change == Change::Added).count();
        (added, self.lines.len() - added)
    }

    /// Writes the records of the new version, given those of the old one.
    pub(super) fn apply(mut self, old: impl BufRead, new: &mut dyn Write) -> Result<(), Fault> {
        for line in old.lines() {
            let line = line?;
            match self.lines.get_mut(line.as_str()) {
                Some(Change::Added) => return Err(Fault::Unfit),
                Some(deleted) => *deleted = Change::Found,
                None => writeln!(new, "{line}")?,
            }
        }
        let mut added: Vec<Box<str>> = Vec::new();
        for (line, change) in self.lines {
            match change {
                Change::Deleted => return Err(Fault::Unfit),
                Change::Found => (),
                Change::Added => added.push(line),
            }
        }
        // In one order, so that the same zone is the same file.
        added.sort_unstable();
        added.iter().try_for_each(|line| writeln!(new, "{line}"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(old: &str, changes: &[(char, &str)], expected: Option<&str>) {
        let mut all = Changes::default();
        let mut new = Vec::new();
        let made =
            changes.iter().try_for_each(|(sign, line)| if *sign == '-' { all.delete(line) } else { all.add(line) });
        let applied = made.and_then(|()| all.apply(old.as_bytes(), &mut new));
        assert_eq!(applied.ok().map(|()| String::from_utf8(new).unwrap()).as_deref(), expected, "{changes:?}");
    }

    #[test]
    fn deletions_go_and_additions_come() {
        check("a\nb\nc\n", &[('-', "b"), ('+', "e"), ('+', "d")], Some("a\nc\nd\ne\n"));
        check("a\n", &[], Some("a\n"));
        check("a\n", &[('-', "a")], Some(""));
        check("", &[('+', "a")], Some("a\n"));
        check("a\na\nb\n", &[('-', "a")], Some("b\n"));
    }

    #[test]
    fn later_changes_take_back_earlier_ones() {
        check("a\n", &[('-', "a"), ('+', "a")], Some("a\n"));
        check("a\n", &[('+', "b"), ('-', "b"), ('+', "c")], Some("a\nc\n"));
    }

    #[test]
    fn large_records_fill_no_memory() {
        let mut changes = Changes::default();
        let line = |number: usize| format!("{number}{}", "x".repeat(1 << 20));
        let held = (0..200).take_while(|number| changes.add(&line(*number)).is_ok()).count();
        assert_eq!(held, 63);
        let mut changes = Changes::default();
        for number in 0..200 {
            changes.add(&line(number)).unwrap();
            changes.delete(&line(number)).unwrap();
        }
    }

    #[test]
    fn changes_of_another_zone_are_not_taken() {
        check("a\n", &[('-', "b")], None);
        check("a\n", &[('+', "a")], None);
        check("a\n", &[('-', "a"), ('-', "a")], None);
        check("a\n", &[('+', "b"), ('+', "b")], None);
    }
}
