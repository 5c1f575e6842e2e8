//! Counters and gauges of one name, told apart by their label values.
//!
//! The `prometheus` crate's own vectors find a child by a hash over its label values without a separator between them,
//! and never compare the values: `("a", "bc")` and `("ab", "c")` are one series there. Here the whole tuple is the key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use prometheus::core::{Collector, Desc};
use prometheus::proto::{self, LabelPair, MetricFamily, MetricType};

/// The values of a series' labels, in the order of the family's label names.
type Key<const N: usize> = [Arc<str>; N];

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

/// Whether a family's values only grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only grows; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
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

    /// Removes the series whose first label is none of these.
    pub(super) fn retain_first(&self, known: &BTreeSet<&str>) {
        let mut children = self.shared.children.write().unwrap_or_else(PoisonError::into_inner);
        children.retain(|key, _| key.first().is_none_or(|first| known.contains(&**first)));
    }

    fn metric(&self, key: &Key<N>, cell: &Cell) -> proto::Metric {
        let labels = self.shared.labels.iter().zip(key).map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value(value.to_string());
            pair
        });
        let mut metric = proto::Metric::from_label(labels.collect());
        // The text format has only 64-bit floats: exact up to 2^53, 28,000 years of 10,000 a second.
        #[expect(clippy::cast_precision_loss, reason = "the exposition format is a float")]
        let value = cell.value() as f64;
        match self.shared.kind {
            Kind::Counter => {
                let mut counter = proto::Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
            }
            Kind::Gauge => {
                let mut gauge = proto::Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
            }
        }
        metric
    }
}

impl<const N: usize> Collector for Table<N> {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.shared.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let children = self.shared.children.read().unwrap_or_else(PoisonError::into_inner);
        let mut family = MetricFamily::default();
        family.set_name(self.shared.desc.fq_name.clone());
        family.set_help(self.shared.desc.help.clone());
        family.set_field_type(match self.shared.kind {
            Kind::Counter => MetricType::COUNTER,
            Kind::Gauge => MetricType::GAUGE,
        });
        family.set_metric(children.iter().map(|(key, cell)| self.metric(key, cell)).collect());
        vec![family]
    }
}
