//! Rows that wait for the writer, and the octets of long names side by side in one piece of memory.
//!
//! All of it changes hands at once, so that the writer holds up a query for no longer than that takes.

use hashbrown::HashTable;

use super::SeriesId;
use super::asked::{self, Asked, Detail, Form};
use super::tally::Tally;
use crate::identity::ToldId;
use crate::policy::{PatternKind, PatternRef};
use crate::wire::is_same;

/// Rows whose memory is kept for the next ones at most.
const KEPT_MAX: usize = 2_048;
/// Octets of names that one piece of memory may hold before it takes no more rows; more than rows in memory ever need.
const OCTETS_MAX: usize = 1 << 31;

/// Octets of names that stand in their row.
const NEAR: usize = 52;

/// Attempts that became one: two lines of the processor's cache, which it fetches side by side. The first tells rows apart, the
/// second has the names, unless they are long.
#[derive(Debug)]
#[repr(C, align(128))]
pub(super) struct Row {
    /// As an IPv6 address, IPv4 mapped.
    pub(super) client: u128,
    hash: u64,
    /// [`Asked::when`] and [`Asked::bits`], of which nearly all else is made.
    when: u64,
    pub(super) tally: Tally,
    bits: u32,
    name_len: u8,
    pattern_len: u8,
    /// The second of the minute in which the row began.
    pub(super) second: u8,
    kind: PatternKind,
    octets: [u8; NEAR],
    /// Where the octets of long names stand.
    at: u32,
    pub(super) told: Option<ToldId>,
    allow: bool,
    /// Whether the pattern stands behind the name, because it is not the end of it.
    apart: bool,
}

const _: () = assert!(size_of::<Row>() == 128 && std::mem::offset_of!(Row, octets) == 64, "a row is two lines");

impl Row {
    /// The minute since 1970.
    pub(super) fn minute(&self) -> u32 {
        u32::try_from(self.when >> 32).unwrap_or_default()
    }

    /// What it has in common with others.
    pub(super) fn series(&self) -> SeriesId {
        SeriesId(u32::try_from(self.when & u64::from(u32::MAX)).unwrap_or_default())
    }

    /// The type; `None`: several.
    pub(super) fn qtype(&self) -> Option<u16> {
        asked::qtype(self.bits)
    }

    /// How the attempts came and what was done.
    pub(super) fn form(&self) -> Form {
        Form::of(self.bits)
    }

    /// How many octets name and pattern take.
    fn len(&self) -> usize {
        usize::from(self.name_len) + if self.apart { usize::from(self.pattern_len) } else { 0 }
    }
}

/// Rows by what tells them apart.
#[derive(Debug, Default)]
pub(super) struct Pending {
    table: HashTable<u32>,
    rows: Vec<Row>,
    octets: Vec<u8>,
}

impl Pending {
    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The name on the wire; empty: several names.
    pub(super) fn name<'p>(&'p self, row: &'p Row) -> &'p [u8] {
        &self.octets_of(row)[..usize::from(row.name_len)]
    }

    /// The pattern of the rule; its octets empty: several rules.
    pub(super) fn pattern<'p>(&'p self, row: &'p Row) -> PatternRef<'p> {
        let octets = self.octets_of(row);
        let wire = &octets[octets.len() - usize::from(row.pattern_len)..];
        PatternRef { wire, kind: row.kind, allow: row.allow }
    }

    /// The octets of name and pattern.
    #[inline]
    fn octets_of<'p>(&'p self, row: &'p Row) -> &'p [u8] {
        let len = row.len();
        if len <= NEAR { &row.octets[..len] } else { &self.octets[row.at as usize..row.at as usize + len] }
    }

    /// Whether name and pattern of a row are these.
    #[inline]
    fn is_of(&self, row: &Row, name: &[u8], pattern: &[u8]) -> bool {
        if (usize::from(row.name_len), usize::from(row.pattern_len)) != (name.len(), pattern.len()) {
            return false;
        }
        let octets = self.octets_of(row);
        is_same(&octets[..name.len()], name) && is_same(&octets[octets.len() - pattern.len()..], pattern)
    }

    pub(super) fn is_full(&self) -> bool {
        self.octets.len() > OCTETS_MAX
    }

    /// The tally of the row that is just this.
    #[inline]
    pub(super) fn find(&mut self, hash: u64, asked: &Asked<'_>, detail: Detail) -> Option<&mut Tally> {
        let (name, bits) = (asked.name(detail), asked.bits(detail));
        let is = |&at: &u32| {
            let row = &self.rows[at as usize];
            row.hash == hash
                && row.client == asked.client
                && row.told == asked.told
                && row.when == asked.when
                && row.bits == bits
                && row.kind == asked.pattern.kind
                && row.allow == asked.pattern.allow
                && self.is_of(row, name, asked.pattern.wire)
        };
        let at = *self.table.find(hash, is)?;
        Some(&mut self.rows[at as usize].tally)
    }

    /// Adds a row that is not there yet, with one attempt.
    pub(super) fn push(&mut self, hash: u64, asked: &Asked<'_>, detail: Detail, second: u8) {
        let &Asked { client, told, when, at, pattern, .. } = asked;
        let name = asked.name(detail);
        // Nearly every pattern ends the names that it matches.
        let apart = !name.ends_with(pattern.wire);
        let number = u32::try_from(self.rows.len()).unwrap_or_default();
        let mut row = Row {
            client,
            hash,
            when,
            told,
            tally: Tally::one(at),
            bits: asked.bits(detail),
            name_len: octet(name.len()),
            pattern_len: octet(pattern.wire.len()),
            second,
            kind: pattern.kind,
            octets: [0; NEAR],
            at: place(self.octets.len()),
            allow: pattern.allow,
            apart,
        };
        let behind = if apart { pattern.wire } else { &[] };
        if row.len() <= NEAR {
            row.octets[..name.len()].copy_from_slice(name);
            row.octets[name.len()..name.len() + behind.len()].copy_from_slice(behind);
        } else {
            self.octets.extend_from_slice(name);
            self.octets.extend_from_slice(behind);
        }
        self.rows.push(row);
        self.table.insert_unique(hash, number, |&at| self.rows[at as usize].hash);
    }

    /// Drops rows. What is left can be read, and no row can be found or added any more.
    pub(super) fn retain(&mut self, is_kept: impl FnMut(&Row) -> bool) {
        self.table.clear();
        self.rows.retain(is_kept);
    }

    /// Empties it; keeps the memory for the next rows, if that is not much.
    pub(super) fn clear(&mut self) {
        if self.rows.capacity() > KEPT_MAX {
            *self = Self::default();
            return;
        }
        self.table.clear();
        self.rows.clear();
        self.octets.clear();
    }
}

/// The length of a name, which is 255 at most.
fn octet(len: usize) -> u8 {
    u8::try_from(len).unwrap_or(u8::MAX)
}

/// A place in the octets, which are fewer than [`OCTETS_MAX`] and two names.
fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
