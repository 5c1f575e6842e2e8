//! Policy zones on the wire: those that are sent to others, and those that come from others.

use std::collections::BTreeSet;

use super::labels::TransferEnd;
use super::registry::Registry;
use super::table::{Cell, Table};
use crate::time::Timestamp;

/// Metrics of zones that travel.
#[derive(Debug)]
pub struct Zones {
    transfers: Table<3>, // embargo_zone_transfers_total{zone, direction, result}
    serial: Table<2>,    // embargo_zone_serial{zone, direction}
    records: Table<3>,   // embargo_zone_records{zone, direction, trigger}
    notices: Table<3>,   // embargo_zone_notices_total{zone, direction, result}
    expired: Table<1>,   // embargo_zone_expired{zone}
    refreshed: Table<1>, // embargo_zone_refreshed_timestamp_seconds{zone}
    /// Notices for zones that nobody here wants to hear of.
    pub strange_notices: Cell, // embargo_zone_strange_notices_total
}

/// Metrics of one zone, resolved once.
#[derive(Clone, Debug)]
pub struct ZoneCells {
    /// Its serial.
    pub serial: Cell,
    /// Notices that were heard, by the secondary or by us.
    pub notices_heard: Cell,
    /// Notices that were not.
    pub notices_unheard: Cell,
    ends: Vec<Cell>,
}

impl Zones {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            transfers: registry.counters(
                "zone_transfers_total",
                "Transfers of policy zones, to secondaries (out) or from primaries (in), by how they ended.",
                ["zone", "direction", "result"],
            ),
            serial: registry.gauges(
                "zone_serial",
                "Serial of the version of a policy zone that is sent (out) or was received (in); 0 = none yet.",
                ["zone", "direction"],
            ),
            records: registry.gauges(
                "zone_records",
                "Records of a policy zone, by what they trigger on.",
                ["zone", "direction", "trigger"],
            ),
            notices: registry.counters(
                "zone_notices_total",
                "Notices of a new version (NOTIFY): sent to secondaries (out) or received (in), by what became of them.",
                ["zone", "direction", "result"],
            ),
            expired: registry.gauges(
                "zone_expired",
                "Whether a received policy zone has not been refreshed for so long that it says itself not to be believed: 1, \
                 or 0. It stays in force.",
                ["zone"],
            ),
            refreshed: registry.gauges(
                "zone_refreshed_timestamp_seconds",
                "When a primary last said that the version that is there is the newest, in seconds since 1970; 0 = never.",
                ["zone"],
            ),
            strange_notices: registry.counter(
                "zone_strange_notices_total",
                "Notices of zones (NOTIFY) that nobody here wants to hear of.",
            ),
        }
    }

    /// The metrics of a zone of ours.
    pub fn sent(&self, zone: &str) -> ZoneCells {
        self.resolve(zone, "out", ["heard", "unheard"])
    }

    /// Removes the gauges of zones that are none of these; their counters stay as long as the process.
    pub fn retain(&self, zones: &[String]) {
        let zones: BTreeSet<&str> = zones.iter().map(String::as_str).collect();
        self.serial.retain_first(&zones);
        self.records.retain_first(&zones);
        self.expired.retain_first(&zones);
        self.refreshed.retain_first(&zones);
    }

    /// Shows the records of a zone of ours, by what they trigger on.
    pub fn show_sent(&self, zone: &str, records: &[(&str, u64)]) {
        self.show_records(zone, "out", records);
    }

    /// The same of a zone of others.
    pub fn show_received(&self, zone: &str, records: &[(&str, u64)]) {
        self.show_records(zone, "in", records);
    }

    fn show_records(&self, zone: &str, direction: &str, records: &[(&str, u64)]) {
        for (trigger, count) in records {
            self.records.fixed([zone, direction, trigger]).set(*count);
        }
    }

    /// Shows when a zone of others was last found to be the newest, and whether it says itself not to be believed any more.
    pub fn show_age(&self, zone: &str, refreshed: Option<Timestamp>, expired: bool) {
        let seconds = refreshed.and_then(|at| u64::try_from(at.as_second()).ok()).unwrap_or_default();
        self.refreshed.fixed([zone]).set(seconds);
        self.expired.fixed([zone]).set(u64::from(expired));
    }

    /// The metrics of a zone of others.
    pub fn received(&self, zone: &str) -> ZoneCells {
        self.resolve(zone, "in", ["heard", "refused"])
    }

    fn resolve(&self, zone: &str, direction: &str, [heard, unheard]: [&str; 2]) -> ZoneCells {
        let notices = |result| self.notices.fixed([zone, direction, result]);
        let end = |end: TransferEnd| self.transfers.fixed([zone, direction, end.as_str()]);
        ZoneCells {
            serial: self.serial.fixed([zone, direction]),
            notices_heard: notices(heard),
            notices_unheard: notices(unheard),
            ends: TransferEnd::ALL.map(end).into(),
        }
    }
}

impl ZoneCells {
    /// Transfers that ended so.
    pub fn ended(&self, end: TransferEnd) -> &Cell {
        &self.ends[end.index()]
    }
}
