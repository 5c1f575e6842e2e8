//! What other resolvers tell of the queries they were asked.

use std::collections::BTreeSet;

use super::labels::{IntakeOutcome, IntakeRefusal};
use super::registry::Registry;
use super::table::{Cell, Table};

/// Metrics of intakes, by their ids.
#[derive(Debug)]
pub struct Intakes {
    messages: Table<2>,    // embargo_intake_messages_total{intake, outcome}
    refused: Table<2>,     // embargo_intake_refused_total{intake, reason}
    connections: Table<1>, // embargo_intake_connections{intake}
    up: Table<1>,          // embargo_intake_up{intake}
}

/// Metrics of one intake, resolved once.
#[derive(Clone, Debug)]
pub struct IntakeCells {
    /// Senders that are connected.
    pub connections: Cell,
    /// 1 while it listens.
    pub up: Cell,
    messages: Vec<Cell>,
    refused: Vec<Cell>,
}

impl IntakeCells {
    /// Messages that ended so.
    pub fn ended(&self, outcome: IntakeOutcome) -> &Cell {
        &self.messages[outcome.index()]
    }

    /// Connections that were refused for this reason.
    pub fn refused(&self, reason: IntakeRefusal) -> &Cell {
        &self.refused[reason.index()]
    }
}

impl Intakes {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            messages: registry.counters(
                "intake_messages_total",
                "Messages of other resolvers about what they were asked, by what became of them.",
                ["intake", "outcome"],
            ),
            refused: registry.counters(
                "intake_refused_total",
                "Connections of other resolvers that were refused or cut, by reason.",
                ["intake", "reason"],
            ),
            connections: registry.gauges("intake_connections", "Other resolvers that are connected.", ["intake"]),
            up: registry.gauges("intake_up", "Whether other resolvers can connect: 1 or 0.", ["intake"]),
        }
    }

    /// The metrics of the intake of this id.
    pub fn resolve(&self, intake: &str) -> IntakeCells {
        IntakeCells {
            connections: self.connections.fixed([intake]),
            up: self.up.fixed([intake]),
            messages: IntakeOutcome::ALL
                .iter()
                .map(|outcome| self.messages.fixed([intake, outcome.as_str()]))
                .collect(),
            refused: IntakeRefusal::ALL.iter().map(|reason| self.refused.fixed([intake, reason.as_str()])).collect(),
        }
    }

    /// Queries that were told of and judged, and messages that could not be: too many, not to be read, or before there was a
    /// policy.
    pub fn heard(&self) -> (u64, u64) {
        use IntakeOutcome::{Attempt, Clean, Limited, Malformed, Unready};
        let sum = |outcomes: &[IntakeOutcome]| {
            let labels: Vec<_> = outcomes.iter().map(|outcome| outcome.as_str()).collect();
            self.messages.sum(&labels)
        };
        (sum(&[Attempt, Clean]), sum(&[Limited, Malformed, Unready]))
    }

    /// Removes the gauges of intakes that are none of these; their counters stay as long as the process.
    pub fn retain(&self, intakes: &BTreeSet<&str>) {
        self.connections.retain_first(intakes);
        self.up.retain_first(intakes);
    }
}
