//! Making and registering metrics.

use std::collections::HashMap;
use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::{Gauge, HistogramOpts, HistogramVec, TextEncoder};

use super::block::Blocks;
use super::latency::{self, Latencies};
use super::page::Kind;
use super::place::Place;
use super::table::{Cell, Table};
use super::tallied::{Tallied, Total};

/// Metrics being registered: names are given without the prefix `embargo_`.
#[derive(Clone, Debug)]
pub(super) struct Registry {
    registry: prometheus::Registry,
    blocks: Arc<Blocks>,
}

impl Registry {
    /// Without metrics; what is counted on the way of a query stands in `blocks`.
    pub(super) fn new(blocks: Arc<Blocks>) -> Self {
        Self { registry: prometheus::Registry::new(), blocks }
    }

    /// A counter with labels.
    pub(super) fn counters<const N: usize>(&self, name: &str, help: &str, labels: [&'static str; N]) -> Table<N> {
        self.family(name, help, Kind::Counter, labels)
    }

    /// A gauge with labels.
    pub(super) fn gauges<const N: usize>(&self, name: &str, help: &str, labels: [&'static str; N]) -> Table<N> {
        self.family(name, help, Kind::Gauge, labels)
    }

    /// A counter without labels.
    pub(super) fn counter(&self, name: &str, help: &str) -> Cell {
        self.counters(name, help, []).cell([])
    }

    /// A gauge of whole numbers, without labels.
    pub(super) fn gauge(&self, name: &str, help: &str) -> Cell {
        self.gauges(name, help, []).cell([])
    }

    /// A gauge of seconds since 1970, without labels.
    pub(super) fn moment(&self, name: &str, help: &str) -> Gauge {
        let gauge = declared(Gauge::new(format!("embargo_{name}"), help));
        self.register(gauge.clone());
        gauge
    }

    /// A counter with labels that stands in the blocks.
    pub(super) fn tallied<const N: usize>(&self, name: &str, help: &str, labels: [&'static str; N]) -> Tallied<N> {
        let family = Tallied::new(described(name, help, labels), labels, Arc::clone(&self.blocks));
        self.register(family.clone());
        family
    }

    /// A counter without labels that stands in the blocks.
    pub(super) fn total(&self, name: &str, help: &str, place: Place) -> Total {
        self.tallied(name, help, []).show([], place);
        Total { place, blocks: Arc::clone(&self.blocks) }
    }

    /// The times to a response in the blocks.
    pub(super) fn latencies(&self, name: &str, help: &str, label: &'static str) {
        self.register(Latencies::new(described(name, help, [label]), label, Arc::clone(&self.blocks)));
    }

    /// Durations in seconds, in the buckets of [`latency`], by one label: one label can't be merged with another.
    pub(super) fn durations(&self, name: &str, help: &str, label: &str) -> HistogramVec {
        let buckets = latency::bounds().to_vec();
        let options = HistogramOpts::new(format!("embargo_{name}"), help).buckets(buckets);
        let family = declared(HistogramVec::new(options, &[label]));
        self.register(family.clone());
        family
    }

    /// Adds a collector that brings its own names.
    pub(super) fn register(&self, collector: impl Collector + 'static) {
        declared(self.registry.register(Box::new(collector)));
    }

    /// Everything in text format 0.0.4.
    ///
    /// # Errors
    /// When a family has no name; none has none.
    pub(super) fn render(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    fn family<const N: usize>(&self, name: &str, help: &str, kind: Kind, labels: [&'static str; N]) -> Table<N> {
        let family = Table::new(described(name, help, labels), kind, labels);
        self.register(family.clone());
        family
    }
}

fn described<const N: usize>(name: &str, help: &str, labels: [&str; N]) -> Desc {
    let names = labels.map(str::to_owned).to_vec();
    declared(Desc::new(format!("embargo_{name}"), help.to_owned(), names, HashMap::new()))
}

/// The value of a declaration that can only fail by a mistake in this folder, which the first test would show.
fn declared<T>(result: prometheus::Result<T>) -> T {
    #[expect(clippy::expect_used, reason = "names and labels are literals of this folder")]
    result.expect("a metric is declared with a valid and unique name")
}
