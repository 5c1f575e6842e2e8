//! Rows that wait for the writer: numbers, and the octets of their names side by side in one piece of memory.
//!
//! All of it changes hands at once, so that the writer holds up a query for no longer than that takes.

use hashbrown::HashTable;

use super::SeriesId;
use super::asked::{Asked, Detail, Form};
use super::tally::Tally;
use crate::identity::ToldId;
use crate::policy::{PatternKind, PatternRef};

/// Rows whose memory is kept for the next ones at most.
const KEPT_MAX: usize = 2_048;
/// Octets of names that one piece of memory may hold before it takes no more rows; more than rows in memory ever need.
const OCTETS_MAX: usize = 1 << 31;

/// Attempts that became one.
#[derive(Debug)]
pub(super) struct Row {
    hash: u64,
    /// [`Asked::when`] and [`Asked::bits`], which tell rows apart at once.
    when: u64,
    bits: u32,
    /// As an IPv6 address, IPv4 mapped.
    pub(super) client: u128,
    pub(super) told: Option<ToldId>,
    pub(super) tally: Tally,
    pub(super) minute: u32,
    pub(super) series: SeriesId,
    /// `None`: several types.
    pub(super) qtype: Option<u16>,
    pub(super) form: Form,
    /// The second of the minute in which the row began.
    pub(super) second: u8,
    kind: PatternKind,
    allow: bool,
    name_len: u8,
    pattern_len: u8,
    name_at: u32,
    pattern_at: u32,
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
    pub(super) fn name(&self, row: &Row) -> &[u8] {
        self.octets_at(row.name_at, row.name_len)
    }

    /// The pattern of the rule.
    pub(super) fn pattern(&self, row: &Row) -> PatternRef<'_> {
        let wire = self.octets_at(row.pattern_at, row.pattern_len);
        PatternRef { wire, kind: row.kind, allow: row.allow }
    }

    #[inline]
    fn octets_at(&self, at: u32, len: u8) -> &[u8] {
        let at = at as usize;
        self.octets.get(at..at + usize::from(len)).unwrap_or_default()
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
                && self.octets_at(row.name_at, row.name_len) == name
                && self.octets_at(row.pattern_at, row.pattern_len) == asked.pattern.wire
        };
        let at = *self.table.find(hash, is)?;
        Some(&mut self.rows[at as usize].tally)
    }

    /// Adds a row that is not there yet, with one attempt.
    pub(super) fn push(&mut self, hash: u64, asked: &Asked<'_>, detail: Detail, second: u8) {
        let &Asked { client, told, when, minute, series, form, at, pattern, .. } = asked;
        let name = asked.name(detail);
        let name_at = self.octets.len();
        self.octets.extend_from_slice(name);
        // Nearly every pattern ends the names that it matches, and is there already.
        if !name.ends_with(pattern.wire) {
            self.octets.extend_from_slice(pattern.wire);
        }
        let pattern_at = self.octets.len() - pattern.wire.len();
        let number = u32::try_from(self.rows.len()).unwrap_or_default();
        self.rows.push(Row {
            hash,
            when,
            bits: asked.bits(detail),
            client,
            told,
            tally: Tally::one(at),
            minute,
            series,
            qtype: asked.qtype(detail),
            form,
            second,
            kind: pattern.kind,
            allow: pattern.allow,
            name_len: octet(name.len()),
            pattern_len: octet(pattern.wire.len()),
            name_at: place(name_at),
            pattern_at: place(pattern_at),
        });
        self.table.insert_unique(hash, number, |&at| self.rows[at as usize].hash);
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
