//! One part of the fold, locked apart from the others: the lines of some clients and rules.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::asked::{Asked, Detail};
use super::hash::Hashes;
use super::known::{Admitted, Group, Room};
use super::overflow;
use super::pending::Pending;

/// Groups for which memory is kept when there are fewer.
const KEPT_MAX: usize = 1_024;

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Added {
    /// A line that did not exist.
    pub(super) new_line: bool,
    /// A row that did not exist.
    pub(super) new_row: bool,
    /// Whether the name was left out.
    pub(super) nameless: bool,
}

/// Rows that wait for the writer, and the lines that are known.
#[derive(Debug, Default)]
pub(super) struct Shard {
    pending: Pending,
    groups: HashTable<Group>,
    pub(super) overflow: overflow::Part,
    /// Attempts that were counted with less detail: here, because a counter that all threads share costs more than a row.
    pub(super) folded: u64,
    /// The minute of the groups, and whether there is one of another.
    minute: u32,
    mixed: bool,
}

impl Shard {
    /// Adds an attempt to the row that is just this, or to a new one, or to one with less detail; `None` when there is room
    /// for none of them. `rule` is its hash; `room` is asked only for what is new.
    #[inline]
    pub(super) fn add(
        &mut self,
        asked: &Asked<'_>,
        hashes: &Hashes,
        rule: u64,
        room: impl Fn() -> Room,
    ) -> Option<Added> {
        let hash = hashes.line(rule, asked, Detail::Whole);
        if let Some(tally) = self.pending.find(hash, asked, Detail::Whole) {
            tally.add(asked.at);
            return Some(Added { new_line: false, new_row: false, nameless: false });
        }
        let full = self.pending.is_full();
        self.add_row(asked, hashes, (rule, hash), || if full { Room::Nothing } else { room() })
    }

    #[inline(never)]
    fn add_row(
        &mut self,
        asked: &Asked<'_>,
        hashes: &Hashes,
        (rule, whole): (u64, u64),
        room: impl Fn() -> Room,
    ) -> Option<Added> {
        if let Some(admitted) = self.admit(rule, hashes, asked, &room) {
            let nameless = admitted.detail != Detail::Whole;
            let hash = if nameless { hashes.line(rule, asked, admitted.detail) } else { whole };
            return Some(self.add_admitted(hash, asked, admitted));
        }
        // Who it was is worth more than by which rule; and of clients there are fewer than of clients times rules.
        let ruleless = asked.without_rule();
        let rule = hashes.rule(&ruleless);
        let admitted = self.admit(rule, hashes, &ruleless, &room)?;
        let hash = hashes.line(rule, &ruleless, admitted.detail);
        Some(self.add_admitted(hash, &ruleless, admitted))
    }

    /// The line that an attempt belongs to.
    fn admit(&mut self, rule: u64, hashes: &Hashes, asked: &Asked<'_>, room: impl Fn() -> Room) -> Option<Admitted> {
        match self.groups.entry(rule, |group| group.hash == rule, |group| group.hash) {
            Entry::Occupied(mut group) => group.get_mut().admit(hashes.name(asked), asked, room),
            Entry::Vacant(vacant) => {
                let (group, admitted) = Group::new(rule, || hashes.name(asked), asked, room())?;
                vacant.insert(group);
                self.mixed |= asked.minute != self.minute;
                Some(admitted)
            }
        }
    }

    /// Adds an attempt to the row of its line, whose hash is given.
    fn add_admitted(&mut self, hash: u64, asked: &Asked<'_>, admitted: Admitted) -> Added {
        let Admitted { detail, new_line, second } = admitted;
        let nameless = detail != Detail::Whole;
        if nameless && let Some(tally) = self.pending.find(hash, asked, detail) {
            tally.add(asked.at);
            return Added { new_line: false, new_row: false, nameless };
        }
        self.pending.push(hash, asked, detail, second);
        Added { new_line, new_row: true, nameless }
    }

    /// Gives the rows away for `empty`, which has none, and says how many lines were forgotten: those of other minutes. This
    /// takes no longer than a few instructions a group, and that only once a minute.
    pub(super) fn take(&mut self, empty: &mut Pending, minute: u32) -> usize {
        // Memory that was used goes to where it is used again: to swap nothing for nothing would pass it on to others.
        if !self.pending.rows().is_empty() {
            std::mem::swap(&mut self.pending, empty);
        }
        if !self.mixed && self.minute == minute {
            return 0;
        }
        (self.minute, self.mixed) = (minute, false);
        let mut forgotten = 0;
        self.groups.retain(|group| {
            let keep = group.minute == minute;
            forgotten += if keep { 0 } else { group.len() };
            keep
        });
        if self.groups.len() * 8 < self.groups.capacity() {
            self.groups.shrink_to(KEPT_MAX, |group| group.hash);
        }
        forgotten
    }

    /// Gives every line that is known away.
    pub(super) fn forget(&mut self) -> HashTable<Group> {
        std::mem::take(&mut self.groups)
    }
}
