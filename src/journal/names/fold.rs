//! Names asked, in memory until they are written.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::{DefaultHashBuilder, HashTable};

use super::day;
use crate::time::Timestamp;
use crate::wire::LowerName;

/// Parts that are locked apart: many, so that two threads seldom want the same one. A power of two.
const PARTS: usize = 64;
/// Rows that one part holds at most: with names as long as they can be, all parts together take less than 48 MiB.
const ROWS_MAX: usize = 2_048;

/// What one client asked on one day.
#[derive(Debug)]
pub(super) struct Row {
    hash: u64,
    /// As an IPv6 address, IPv4 mapped.
    pub(super) client: u128,
    /// Since 1970.
    pub(super) day: i64,
    pub(super) count: u64,
    /// In milliseconds since 1970, as the last.
    pub(super) first: i64,
    pub(super) last: i64,
    name_at: u32,
    name_len: u8,
}

/// Rows by what tells them apart, and the octets of their names side by side.
#[derive(Debug, Default)]
pub(super) struct Rows {
    table: HashTable<u32>,
    all: Vec<Row>,
    octets: Vec<u8>,
    /// Queries for which there was no room, by day.
    pub(super) lost: BTreeMap<i64, u64>,
}

/// A part with cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Part(Mutex<Rows>);

impl Part {
    fn lock(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names that the keeper has not taken.
#[derive(Debug)]
pub(in super::super) struct Fold {
    on: AtomicBool,
    parts: Box<[Part; PARTS]>,
    /// Keyed with a secret of this process, so that nobody outside can choose names that collide.
    hashes: DefaultHashBuilder,
    waiting: AtomicUsize,
}

impl Default for Fold {
    fn default() -> Self {
        Self {
            on: AtomicBool::new(false),
            parts: Box::new(std::array::from_fn(|_part| Part::default())),
            hashes: DefaultHashBuilder::default(),
            waiting: AtomicUsize::new(0),
        }
    }
}

impl Fold {
    /// Whether names are recorded.
    #[inline]
    pub(in super::super) fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// Records names from now on, or no longer.
    pub(in super::super) fn turn(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
    }

    /// Counts one query, or counts it as lost. Allocates only for what is new.
    pub(in super::super) fn add(&self, name: &LowerName, client: IpAddr, at: Timestamp) {
        let client = match client {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(address) => address.to_bits(),
        };
        let at = at.as_millisecond();
        let hash = self.hashes.hash_one((client, day(at), name.wire()));
        // Neither the lowest bits, which place an entry in its table, nor the uppermost, which tell it from others there.
        let place = (hash >> 40) as usize % PARTS;
        if self.parts[place].lock().add(hash, name.wire(), client, at) {
            self.waiting.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether half of the room is taken.
    pub(super) fn is_crowded(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > PARTS * ROWS_MAX / 2
    }

    /// Takes everything, part by part.
    pub(super) fn take(&self) -> Vec<Rows> {
        let take = |part: &Part| {
            let rows = std::mem::take(&mut *part.lock());
            self.waiting.fetch_sub(rows.all.len(), Ordering::Relaxed);
            rows
        };
        self.parts.iter().map(take).filter(|rows| !rows.is_empty()).collect()
    }
}

impl Rows {
    pub(super) fn rows(&self) -> &[Row] {
        &self.all
    }

    /// The name on the wire.
    pub(super) fn name(&self, row: &Row) -> &[u8] {
        let at = row.name_at as usize;
        self.octets.get(at..at + usize::from(row.name_len)).unwrap_or_default()
    }

    /// Whether there is nothing to write.
    fn is_empty(&self) -> bool {
        self.all.is_empty() && self.lost.is_empty()
    }

    /// Counts one query; says whether that took a row.
    fn add(&mut self, hash: u64, name: &[u8], client: u128, at: i64) -> bool {
        let day = day(at);
        let is = |&number: &u32| {
            let row = &self.all[number as usize];
            row.hash == hash && row.client == client && row.day == day && self.name(row) == name
        };
        if let Some(&number) = self.table.find(hash, is) {
            let row = &mut self.all[number as usize];
            row.count += 1;
            row.first = row.first.min(at);
            row.last = row.last.max(at);
            return false;
        }
        if self.all.len() >= ROWS_MAX {
            *self.lost.entry(day).or_default() += 1;
            return false;
        }
        // Both fit: a name has 255 octets at most, and so many rows of it fewer than 2^32.
        let name_at = u32::try_from(self.octets.len()).unwrap_or(u32::MAX);
        let name_len = u8::try_from(name.len()).unwrap_or(u8::MAX);
        let number = u32::try_from(self.all.len()).unwrap_or_default();
        self.octets.extend_from_slice(name);
        self.all.push(Row { hash, client, day, count: 1, first: at, last: at, name_at, name_len });
        self.table.insert_unique(hash, number, |&number| self.all[number as usize].hash);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(fold: &Fold, name: &str, client: &str, second: i64) {
        let at = Timestamp::from_second(second).unwrap();
        fold.add(&LowerName::parse(name).unwrap(), client.parse().unwrap(), at);
    }

    #[test]
    fn a_name_is_a_row_for_each_client_and_day_with_its_count_and_times() {
        let fold = Fold::default();
        for (name, client, second) in [
            ("A.example", "192.0.2.1", 20),
            ("a.example", "::ffff:192.0.2.1", 10),
            ("a.example", "192.0.2.2", 30),
            ("b.example", "192.0.2.1", 40),
            ("a.example", "192.0.2.1", 86_400),
        ] {
            ask(&fold, name, client, second);
        }
        let taken = fold.take();
        let mut rows: Vec<_> = taken.iter().flat_map(Rows::rows).map(|row| (row.day, row.count, row.first)).collect();
        rows.sort_unstable();
        assert_eq!(rows, [(0, 1, 30_000), (0, 1, 40_000), (0, 2, 10_000), (1, 1, 86_400_000)]);
        assert!(fold.take().is_empty());
    }

    #[test]
    fn what_there_is_no_room_for_is_counted_and_memory_has_an_end() {
        let fold = Fold::default();
        let asked = PARTS * ROWS_MAX + 10_000;
        for number in 0..asked {
            ask(&fold, &format!("n{number}.example"), "192.0.2.1", 10);
        }
        assert!(fold.is_crowded());
        let taken = fold.take();
        let rows: usize = taken.iter().map(|rows| rows.rows().len()).sum();
        let lost: u64 = taken.iter().flat_map(|rows| rows.lost.values()).sum();
        assert!(rows <= PARTS * ROWS_MAX && lost >= 10_000, "{rows} rows, {lost} lost");
        assert_eq!(rows as u64 + lost, asked as u64);
        assert!(!fold.is_crowded());
    }
}
