//! Counters and gauges of one name, told apart by their label values.
//!
//! The `prometheus` crate's own vectors find a child by a hash over its label values without a separator between them,
//! and never compare the values: `("a", "bc")` and `("ab", "c")` are one series there. Here the whole tuple is the key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use super::page::{Kind, family};

/// The values of a series' labels, in the order of the family's label names.
pub(super) type Key<const N: usize> = [Arc<str>; N];

/// One series, resolved once and counted with one atomic operation.
#[derive(Clone, Debug, Default)]
pub struct Cell(Arc<AtomicU64>);

impl Cell {
    /// Adds one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds `count`.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Subtracts one, for a gauge.
    pub fn dec(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// Sets the value of a gauge.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The value now.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// All series of one name. A clone is the same family.
#[derive(Clone, Debug)]
pub(super) struct Table<const N: usize> {
    shared: Arc<Shared<N>>,
}

#[derive(Debug)]
struct Shared<const N: usize> {
    desc: Desc,
    kind: Kind,
    labels: [&'static str; N],
    children: RwLock<BTreeMap<Key<N>, Cell>>,
}

impl<const N: usize> Table<N> {
    /// An empty family; `desc` was made from the same label names.
    pub(super) fn new(desc: Desc, kind: Kind, labels: [&'static str; N]) -> Self {
        Self { shared: Arc::new(Shared { desc, kind, labels, children: RwLock::default() }) }
    }

    /// The series of these label values, made at 0 if it is new.
    pub(super) fn cell(&self, values: Key<N>) -> Cell {
        let mut children = self.shared.children.write().unwrap_or_else(PoisonError::into_inner);
        children.entry(values).or_default().clone()
    }

    /// The series of these fixed label values, made at 0 if it is new.
    pub(super) fn fixed(&self, values: [&str; N]) -> Cell {
        self.cell(values.map(Arc::from))
    }

    /// Sets a gauge family to exactly these series: the others vanish, so that nothing removed stays as a ghost.
    pub(super) fn replace(&self, series: impl IntoIterator<Item = (Key<N>, u64)>) {
        let fresh: BTreeMap<Key<N>, u64> = series.into_iter().collect();
        let mut children = self.shared.children.write().unwrap_or_else(PoisonError::into_inner);
        children.retain(|key, _| fresh.contains_key(key));
        for (key, value) in fresh {
            children.entry(key).or_default().set(value);
        }
    }

    /// The sum of those series whose last label is one of these.
    pub(super) fn sum(&self, last: &[&str]) -> u64 {
        let children = self.shared.children.read().unwrap_or_else(PoisonError::into_inner);
        let is_meant = |key: &Key<N>| key.last().is_some_and(|label| last.contains(&&**label));
        children.iter().filter(|(key, _cell)| is_meant(key)).map(|(_key, cell)| cell.value()).sum()
    }

    /// Removes the series whose first label is none of these.
    pub(super) fn retain_first(&self, known: &BTreeSet<&str>) {
        let mut children = self.shared.children.write().unwrap_or_else(PoisonError::into_inner);
        children.retain(|key, _| key.first().is_none_or(|first| known.contains(&**first)));
    }
}

impl<const N: usize> Collector for Table<N> {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.shared.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let children = self.shared.children.read().unwrap_or_else(PoisonError::into_inner);
        let Shared { desc, kind, labels, .. } = &*self.shared;
        let series = children.iter().map(|(key, cell)| kind.series(labels, key, cell.value()));
        vec![family(desc, kind.metric_type(), series.collect())]
    }
}
