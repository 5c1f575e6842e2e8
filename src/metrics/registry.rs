//! Making and registering metrics.

use std::collections::HashMap;

use prometheus::core::{Collector, Desc};
use prometheus::{Gauge, HistogramOpts, HistogramVec, TextEncoder, exponential_buckets};

use super::table::{Cell, Kind, Table};

/// Metrics being registered: names are given without the prefix `embargo_`.
#[derive(Clone, Debug, Default)]
pub(super) struct Registry(prometheus::Registry);

impl Registry {
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

    /// Durations in seconds, from 0.25 ms doubling to 8 s, by one label: one label can't be merged with another.
    pub(super) fn durations(&self, name: &str, help: &str, label: &str) -> HistogramVec {
        let buckets = declared(exponential_buckets(0.000_25, 2.0, 16));
        let options = HistogramOpts::new(format!("embargo_{name}"), help).buckets(buckets);
        let family = declared(HistogramVec::new(options, &[label]));
        self.register(family.clone());
        family
    }

    /// Adds a collector that brings its own names.
    pub(super) fn register(&self, collector: impl Collector + 'static) {
        declared(self.0.register(Box::new(collector)));
    }

    /// Everything in text format 0.0.4.
    ///
    /// # Errors
    /// When a family has no name; none has none.
    pub(super) fn render(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.0.gather())
    }

    fn family<const N: usize>(&self, name: &str, help: &str, kind: Kind, labels: [&'static str; N]) -> Table<N> {
        let names = labels.iter().map(|&label| label.to_owned()).collect();
        let desc = declared(Desc::new(format!("embargo_{name}"), help.to_owned(), names, HashMap::new()));
        let family = Table::new(desc, kind, labels);
        self.register(family.clone());
        family
    }
}

/// The value of a declaration that can only fail by a mistake in this folder, which the first test would show.
fn declared<T>(result: prometheus::Result<T>) -> T {
    #[expect(clippy::expect_used, reason = "names and labels are literals of this folder")]
    result.expect("a metric is declared with a valid and unique name")
}
