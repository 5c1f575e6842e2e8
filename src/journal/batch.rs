//! What is written in one transaction.

use std::sync::Arc;

use hashbrown::HashMap;

use super::Series;
use super::activity::Seen;
use super::connected;
use super::overflow::Key;
use super::pending::{Pending, Row};
use super::tally::Tally;
use super::{Level, Privacy};

/// Rows that are added in one transaction, with a number that grows from batch to batch of one run.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) number: i64,
    /// Rows as the parts of the fold gave them.
    pub(super) parts: Vec<Pending>,
    /// Rows without client.
    pub(super) overflow: HashMap<Key, Tally>,
    /// Connections to the block page.
    pub(super) connected: Vec<connected::Row>,
    /// Who was active, where a log tells of it.
    pub(super) active: Vec<Seen>,
    /// What the rows' series stand for.
    pub(super) series: Arc<Vec<Series>>,
    /// Memory for rows to come.
    spares: Vec<Pending>,
}

impl Batch {
    /// How many rows.
    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.rows().len()).sum::<usize>() + self.overflow.len() + self.connected.len()
    }

    /// How many connections its rows stand for.
    pub(super) fn connections(&self) -> u64 {
        self.connected.iter().map(|row| row.tally.count).sum()
    }

    /// How many attempts the rows stand for.
    pub(super) fn attempts(&self) -> u64 {
        let rows = self.parts.iter().flat_map(Pending::rows).map(|row| row.tally.count).sum::<u64>();
        rows + self.overflow.values().map(|tally| tally.count).sum::<u64>()
    }

    /// Memory for rows that has none in it.
    pub(super) fn spare(&mut self) -> Pending {
        self.spares.pop().unwrap_or_default()
    }

    /// Takes rows, or memory without any.
    pub(super) fn take(&mut self, rows: Pending) {
        if rows.rows().is_empty() { self.spares.push(rows) } else { self.parts.push(rows) }
    }

    /// Takes overflow rows.
    pub(super) fn take_overflow(&mut self, rows: HashMap<Key, Tally>) {
        for (key, tally) in rows {
            // Others may be known without a count: those that a part had just handed over.
            if tally.count > 0 {
                self.overflow.entry(key).or_default().merge(tally);
            }
        }
    }

    /// Makes overflow rows of those whose clients are only to be counted.
    pub(super) fn keep_to(&mut self, privacy: &Privacy) {
        if privacy.is_full() {
            return;
        }
        let Self { parts, overflow, series, .. } = self;
        for part in parts {
            part.retain(|row| {
                let is_kept = level(privacy, series, row) != Level::Counts;
                if !is_kept {
                    let key = Key { minute: row.minute(), series: row.series(), action: row.form().action };
                    overflow.entry(key).or_default().merge(row.tally);
                }
                is_kept
            });
        }
    }

    /// How much of the client of a row may be written.
    pub(super) fn level(&self, privacy: &Privacy, row: &Row) -> Level {
        level(privacy, &self.series, row)
    }

    /// Forgets the rows, because they are in the store.
    pub(super) fn clear(&mut self) {
        for mut part in self.parts.drain(..) {
            part.clear();
            self.spares.push(part);
        }
        self.overflow = HashMap::new();
        self.connected = Vec::new();
        self.active = Vec::new();
    }
}

fn level(privacy: &Privacy, series: &[Series], row: &Row) -> Level {
    privacy.level(row.client, &series[row.series().index()].site)
}
