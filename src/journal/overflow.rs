//! Attempts for which there is no row: counted by series, action and minute, without client and name.
//!
//! Every part of the fold counts for itself, under the lock it holds anyway; what all parts share is asked only when a
//! count is new to one of them.

use std::sync::{Mutex, PoisonError};

use hashbrown::HashMap;

use super::SeriesId;
use super::asked::Asked;
use super::tally::Tally;
use crate::metrics::Did;

/// Counts that one part keeps; more are handed to what all share.
const PART_MAX: usize = 64;

/// What tells overflow rows apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) minute: u32,
    pub(super) series: SeriesId,
    pub(super) action: Did,
}

/// The counts of one part.
#[derive(Debug, Default)]
pub(super) struct Part(Vec<(Key, Tally)>);

/// Every key that has a count in some part, and what parts handed over.
#[derive(Debug)]
pub(super) struct Overflow {
    all: Mutex<HashMap<Key, Tally>>,
    rows_max: usize,
}

impl Overflow {
    /// At most so many rows.
    pub(super) fn new(rows_max: usize) -> Self {
        Self { all: Mutex::default(), rows_max }
    }

    /// Counts an attempt in `part`; says whether there was room.
    pub(super) fn add(&self, part: &mut Part, asked: &Asked<'_>) -> bool {
        let key = Key { minute: asked.minute, series: asked.series, action: asked.form.action };
        // From behind, because what is counted now was added last.
        if let Some((_, tally)) = part.0.iter_mut().rev().find(|(known, _)| *known == key) {
            tally.add(asked.at);
            return true;
        }
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= self.rows_max && !all.contains_key(&key) {
            return false;
        }
        all.entry(key).or_default();
        if part.0.len() >= PART_MAX {
            part.0.drain(..).for_each(|(key, tally)| all.entry(key).or_default().merge(tally));
        }
        part.0.push((key, Tally::one(asked.at)));
        true
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// What parts handed over. To be taken before the counts of the parts: one that comes between is taken next time.
    pub(super) fn take(&self) -> HashMap<Key, Tally> {
        std::mem::take(&mut *self.all.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Part {
    /// Moves the counts to `sums`.
    pub(super) fn take(&mut self, sums: &mut HashMap<Key, Tally>) {
        self.0.drain(..).for_each(|(key, tally)| sums.entry(key).or_default().merge(tally));
    }
}
