//! Attempts in memory until the writer takes them.
//!
//! Every attempt is counted here exactly once, with as much detail as there is room for: whole; then without
//! name, or without name and rule; then in an overflow row without client; and only when even those are used up, not at all.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::HashTable;

use super::asked::{Asked, minute};
use super::batch::Batch;
use super::hash::Hashes;
use super::known::{Group, Room};
use super::overflow::Overflow;
use super::pace::Pace;
use super::series::Names;
use super::shard::{Added, Shard};
use super::{Attempt, Config};
use crate::time::Timestamp;

/// Parts that are locked apart: many, so that two threads seldom want the same one. A power of two.
const SHARDS: usize = 64;

/// A part with cache lines of its own: two, because processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Part(Mutex<Shard>);

impl Part {
    fn lock(&self) -> MutexGuard<'_, Shard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Attempts that the writer has not taken, and lines of this minute that it has.
#[derive(Debug)]
pub(super) struct Fold {
    /// What attempts have in common.
    pub(super) series: Names,
    parts: Box<[Part; SHARDS]>,
    hashes: Hashes,
    overflow: Overflow,
    /// The part with which the next drain begins.
    begin: AtomicUsize,
    lines: AtomicUsize,
    lines_max: usize,
    /// Rows with a client.
    waiting: AtomicUsize,
    pace: Pace,
}

impl Fold {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            series: Names::default(),
            parts: Box::new(std::array::from_fn(|_part| Part::default())),
            hashes: Hashes::new(),
            overflow: Overflow::new(config.overflow_max_rows),
            begin: AtomicUsize::new(0),
            lines: AtomicUsize::new(0),
            lines_max: config.rows_in_memory_max,
            waiting: AtomicUsize::new(0),
            pace: Pace::new(config.rows_per_second_max),
        }
    }

    /// Rows that wait for the writer.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed) + self.overflow.len()
    }

    /// Counts one attempt; says whether there was room for that. Takes the lock of one part, which nobody holds for long, and
    /// allocates only for what is new.
    pub(super) fn add(&self, attempt: &Attempt<'_>) -> bool {
        self.add_asked(&Asked::new(attempt), attempt.at)
    }

    /// The same of an attempt in its other form.
    #[inline]
    pub(super) fn add_asked(&self, asked: &Asked<'_>, at: Timestamp) -> bool {
        let rule = self.hashes.rule(asked);
        let mut shard = self.part(rule).lock();
        match shard.add(asked, &self.hashes, rule, || self.room(at)) {
            Some(Added { new_row: false, nameless: false, .. }) => true,
            Some(added) => {
                shard.folded += u64::from(added.nameless);
                // Under the lock: a drain that came between would subtract what is not added yet.
                self.counted(added, at);
                true
            }
            None => {
                let kept = self.overflow.add(&mut shard.overflow, asked);
                shard.folded += u64::from(kept);
                kept
            }
        }
    }

    /// How many attempts were counted without name, or without client too, since the last call.
    pub(super) fn take_folded(&self) -> u64 {
        self.parts.iter().map(|part| std::mem::take(&mut part.lock().folded)).sum()
    }

    /// Moves the counts of one part after the other into `batch`, and forgets lines of other minutes than the one of `now`.
    /// Those of this minute stay known, so that a name counts towards the limit of names only once a minute; unless memory is
    /// half used up. Ends when all have been asked, or when they gave `rows_max` rows: the others come first the next time.
    pub(super) fn drain(&self, now: Timestamp, rows_max: usize, batch: &mut Batch) {
        let this_minute = minute(now);
        let crowded = self.lines.load(Ordering::Relaxed) > self.lines_max / 2;
        let mut overflow = self.overflow.take();
        let (first, mut taken) = (self.begin.load(Ordering::Relaxed), 0);
        for place in first..first + SHARDS {
            let part = &self.parts[place % SHARDS];
            if taken >= rows_max {
                // They are few, and those of the other parts may be of the same key.
                part.lock().overflow.take(&mut overflow);
                continue;
            }
            let mut rows = batch.spare();
            let mut shard = part.lock();
            let forgotten = if crowded { shard.forget() } else { HashTable::new() };
            let lines = shard.take(&mut rows, this_minute);
            shard.overflow.take(&mut overflow);
            drop(shard);
            let lines = lines + forgotten.iter().map(Group::len).sum::<usize>();
            self.lines.fetch_sub(lines, Ordering::Relaxed);
            self.waiting.fetch_sub(rows.rows().len(), Ordering::Relaxed);
            taken += rows.rows().len();
            batch.take(rows);
            self.begin.store((place + 1) % SHARDS, Ordering::Relaxed);
        }
        batch.take_overflow(overflow);
        batch.series = self.series.all();
    }

    fn part(&self, rule: u64) -> &Part {
        // Not the lowest bits, which place an entry in its table, nor the uppermost, which tell it from others there.
        let place = (rule >> 40) as usize % SHARDS;
        &self.parts[place]
    }

    fn room(&self, at: Timestamp) -> Room {
        if self.lines.load(Ordering::Relaxed) >= self.lines_max { Room::Nothing } else { self.pace.room(at) }
    }

    fn counted(&self, added: Added, at: Timestamp) {
        if added.new_line {
            self.lines.fetch_add(1, Ordering::Relaxed);
        }
        if added.new_row {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            self.pace.count(at);
        }
    }
}
