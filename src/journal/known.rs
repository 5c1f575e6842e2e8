//! What is known of the lines of one client, rule and minute, so that they stay within their limits from batch to batch.
//!
//! Kept after the writer has taken the rows, hence small: names as hashes. Two names of one hash share a place among the
//! names of a client; their rows are still two, because rows compare whole names.

use super::asked::{Asked, Detail, SEVERAL};

/// Names of one client, rule and minute that are kept at most; a tunnel or a random-name flood has no more to tell.
const NAMES_MAX: u8 = 16;
/// Lines of one client, rule and minute that are told apart at most: names times types, actions and transports.
const LINES_MAX: usize = 64;
/// Where [`Line::bits`] holds the second, above those of [`Asked::bits`].
const SECOND_AT: u32 = 25;

/// How much of an attempt there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Room {
    /// No new line.
    Nothing,
    /// A new line of one detail less: without the name of a rule that is known, without the rule of one that is not.
    Less,
    /// A new line.
    Whole,
}

/// One row to be, or one that the writer has taken.
#[derive(Clone, Copy, Debug)]
struct Line {
    /// A hash; 0 without a name.
    name: u32,
    /// What else tells it apart, and the second in which it began.
    bits: u32,
}

impl Line {
    fn new(name: u32, asked: &Asked<'_>, detail: Detail) -> Self {
        let name = if detail == Detail::Whole { name } else { 0 };
        Self { name, bits: asked.bits(detail) | u32::from(asked.second()) << SECOND_AT }
    }

    fn is(self, other: Self) -> bool {
        self.name == other.name && (self.bits ^ other.bits) << (u32::BITS - SECOND_AT) == 0
    }

    fn is_of_name(self, name: u32) -> bool {
        self.name == name && self.bits & SEVERAL == 0
    }

    fn second(self) -> u8 {
        u8::try_from(self.bits >> SECOND_AT).unwrap_or_default()
    }
}

/// The line that an attempt belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Admitted {
    pub(super) detail: Detail,
    /// Whether it is new.
    pub(super) new_line: bool,
    /// The second in which it began.
    pub(super) second: u8,
}

/// The lines of one client, rule and minute.
#[derive(Debug)]
pub(super) struct Group {
    /// Of client, rule and minute. Two groups of one hash would share their limits, and nothing else.
    pub(super) hash: u64,
    pub(super) minute: u32,
    names: u8,
    first: Line,
    more: Vec<Line>,
}

impl Group {
    /// A group with its first line; `None` when there is no room for one: a rule that is new needs room for the whole of it.
    pub(super) fn new(hash: u64, name: impl Fn() -> u32, asked: &Asked<'_>, room: Room) -> Option<(Self, Admitted)> {
        let (detail, name, names) = match (room, asked.tells_rule()) {
            (Room::Nothing, _) | (Room::Less, true) => return None,
            (Room::Less | Room::Whole, false) => (Detail::Bare, 0, 0),
            (Room::Whole, true) => (Detail::Whole, name(), 1),
        };
        let first = Line::new(name, asked, detail);
        let group = Self { hash, minute: asked.minute, names, first, more: Vec::new() };
        Some((group, Admitted { detail, new_line: true, second: asked.second() }))
    }

    /// How many lines there are.
    pub(super) fn len(&self) -> usize {
        1 + self.more.len()
    }

    /// The line of an attempt: just its own, or a new one, or one with less detail; `None` when there is room for none.
    /// `room` is asked only if the line is not known.
    pub(super) fn admit(&mut self, name: u32, asked: &Asked<'_>, room: impl FnOnce() -> Room) -> Option<Admitted> {
        let known = |group: &Self, detail| group.known(Line::new(name, asked, detail), detail);
        if !asked.tells_rule() {
            // As below, only so many.
            return known(self, Detail::Bare)
                .or_else(|| (room() > Room::Nothing).then(|| self.push(name, asked, Detail::Bare)));
        }
        if let Some(line) = known(self, Detail::Whole) {
            return Some(line);
        }
        let room = room();
        let has_line = self.len() < LINES_MAX;
        if room == Room::Whole && has_line && self.admits_name(name) {
            return Some(self.push(name, asked, Detail::Whole));
        }
        if let Some(line) = known(self, Detail::Nameless) {
            return Some(line);
        }
        if room > Room::Nothing && has_line {
            return Some(self.push(name, asked, Detail::Nameless));
        }
        // Without name and type there are only so many lines as actions times transports.
        known(self, Detail::Bare).or_else(|| (room > Room::Nothing).then(|| self.push(name, asked, Detail::Bare)))
    }

    fn lines(&self) -> impl Iterator<Item = Line> {
        std::iter::once(self.first).chain(self.more.iter().copied())
    }

    fn known(&self, line: Line, detail: Detail) -> Option<Admitted> {
        let line = self.lines().find(|known| known.is(line))?;
        Some(Admitted { detail, new_line: false, second: line.second() })
    }

    fn admits_name(&mut self, name: u32) -> bool {
        if self.lines().any(|line| line.is_of_name(name)) {
            return true;
        }
        let admits = self.names < NAMES_MAX;
        self.names += u8::from(admits);
        admits
    }

    fn push(&mut self, name: u32, asked: &Asked<'_>, detail: Detail) -> Admitted {
        self.more.push(Line::new(name, asked, detail));
        Admitted { detail, new_line: true, second: asked.second() }
    }
}
