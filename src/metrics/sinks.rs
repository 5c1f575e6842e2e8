//! Where attempts are sent to as they are recorded.

use std::collections::BTreeSet;

use super::labels::SinkLoss;
use super::registry::Registry;
use super::table::{Cell, Table};

/// Metrics of sinks, by their ids. All count attempts, as the store does: at rest, those given = delivered + lost + waiting.
#[derive(Debug)]
pub struct Sinks {
    delivered: Table<1>, // embargo_sink_delivered_total{sink}
    lost: Table<2>,      // embargo_sink_lost_total{sink, reason}
    waiting: Table<1>,   // embargo_sink_waiting{sink}
    failures: Table<1>,  // embargo_sink_failures_total{sink}
    up: Table<1>,        // embargo_sink_up{sink}
    /// The files in which attempts wait for receivers.
    pub spool_bytes: Cell, // embargo_spool_size_bytes
}

/// Metrics of one sink, resolved once.
#[derive(Clone, Debug)]
pub struct SinkCells {
    /// Attempts that its receiver has taken, as far as can be known.
    pub delivered: Cell,
    /// Attempts that are recorded and wait for it.
    pub waiting: Cell,
    /// Times that its receiver could not be reached, or did not take what it was sent.
    pub failures: Cell,
    /// 1 unless the last try failed.
    pub up: Cell,
    lost: Vec<Cell>,
}

impl SinkCells {
    /// Attempts that it will never get, for this reason.
    pub fn lost(&self, reason: SinkLoss) -> &Cell {
        &self.lost[reason.index()]
    }
}

impl Sinks {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            delivered: registry.counters(
                "sink_delivered_total",
                "Banned lookups that a sink has taken, as far as can be known.",
                ["sink"],
            ),
            lost: registry.counters(
                "sink_lost_total",
                "Banned lookups that are recorded but will never be sent to a sink, by reason.",
                ["sink", "reason"],
            ),
            waiting: registry.gauges(
                "sink_waiting",
                "Banned lookups that are recorded and wait to be sent to a sink.",
                ["sink"],
            ),
            failures: registry.counters(
                "sink_failures_total",
                "Times that a sink could not be reached or did not take what it was sent.",
                ["sink"],
            ),
            up: registry.gauges("sink_up", "Whether the last try to send to a sink went well: 1 or 0.", ["sink"]),
            spool_bytes: registry
                .gauge("spool_size_bytes", "Size of the files in which banned lookups wait to be sent to sinks."),
        }
    }

    /// The metrics of a sink of this id that begins. It is up until it fails.
    pub fn begun(&self, sink: &str) -> SinkCells {
        let cells = self.resolve(sink);
        cells.up.set(1);
        cells
    }

    /// The metrics of the sink of this id.
    pub fn resolve(&self, sink: &str) -> SinkCells {
        SinkCells {
            delivered: self.delivered.fixed([sink]),
            waiting: self.waiting.fixed([sink]),
            failures: self.failures.fixed([sink]),
            up: self.up.fixed([sink]),
            lost: SinkLoss::ALL.iter().map(|reason| self.lost.fixed([sink, reason.as_str()])).collect(),
        }
    }

    /// Removes the gauges of sinks that are none of these; their counters stay as long as the process.
    pub fn retain(&self, sinks: &BTreeSet<&str>) {
        self.waiting.retain_first(sinks);
        self.up.retain_first(sinks);
    }
}
