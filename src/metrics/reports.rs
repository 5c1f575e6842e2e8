//! Reports that are made by themselves.

use std::collections::BTreeSet;

use super::registry::Registry;
use super::table::{Cell, Table};

/// Metrics of reports, by their ids.
#[derive(Debug)]
pub struct Reports {
    all: Table<2>,     // embargo_reports_total{report, result}
    success: Table<1>, // embargo_report_success_timestamp_seconds{report}
}

/// Metrics of one report, resolved once.
#[derive(Clone, Debug)]
pub struct ReportCells {
    /// Times that it was made.
    pub made: Cell,
    /// Times that it could not be made.
    pub failed: Cell,
    /// When it was made last, in seconds since 1970.
    pub success: Cell,
}

impl Reports {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            all: registry.counters(
                "reports_total",
                "Reports that were to be made by themselves, by what became of them.",
                ["report", "result"],
            ),
            success: registry.gauges(
                "report_success_timestamp_seconds",
                "When a report was last made by itself, in seconds since 1970.",
                ["report"],
            ),
        }
    }

    /// The metrics of the report of this id.
    pub fn resolve(&self, report: &str) -> ReportCells {
        ReportCells {
            made: self.all.fixed([report, "made"]),
            failed: self.all.fixed([report, "failed"]),
            success: self.success.fixed([report]),
        }
    }

    /// Removes the gauges of reports that are none of these; their counters stay as long as the process.
    pub fn retain(&self, reports: &BTreeSet<&str>) {
        self.success.retain_first(reports);
    }
}
