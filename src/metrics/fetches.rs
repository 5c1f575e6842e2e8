//! Metrics of lists that come from elsewhere.

use std::collections::BTreeSet;

use super::registry::Registry;
use super::table::Table;
use crate::time::Timestamp;

/// How an attempt to fetch a list ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchResult {
    /// There was a new version, and it was taken.
    Changed,
    /// What is kept is the newest.
    Unchanged,
    /// Something came that is not believed: no list, much less or more than before, not signed as it should be.
    Refused,
    /// Nothing came, or not all.
    Failed,
}

impl FetchResult {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Changed, Self::Unchanged, Self::Refused, Self::Failed];

    /// The word for it in metrics and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    /// Whether what is kept is now the newest.
    pub fn is_success(self) -> bool {
        matches!(self, Self::Changed | Self::Unchanged)
    }
}

/// How the fetching of lists goes, by the id of the ban that each makes.
#[derive(Debug)]
pub struct Fetches {
    ended: Table<2>,      // embargo_list_fetches_total{list, result}
    success: Table<1>,    // embargo_list_fetch_last_success_timestamp_seconds{list}
    successful: Table<1>, // embargo_list_fetch_last_successful{list}
    bytes: Table<1>,      // embargo_list_fetch_bytes{list}
}

impl Fetches {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            ended: registry.counters(
                "list_fetches_total",
                "Attempts to fetch a list from elsewhere, by how they ended.",
                ["list", "result"],
            ),
            success: registry.gauges(
                "list_fetch_last_success_timestamp_seconds",
                "When the source of a list was last found to have what is kept, in seconds since 1970; 0 = never.",
                ["list"],
            ),
            successful: registry.gauges(
                "list_fetch_last_successful",
                "Whether the last attempt to fetch a list succeeded: 1, or 0 and the copy before stays in force.",
                ["list"],
            ),
            bytes: registry.gauges("list_fetch_bytes", "Size of the kept copy of a list; 0 = there is none.", ["list"]),
        }
    }

    /// Shows a list and what is kept of it.
    pub fn show(&self, list: &str, success: Option<Timestamp>, bytes: u64) {
        let seconds = success.and_then(|at| u64::try_from(at.as_second()).ok()).unwrap_or_default();
        self.success.fixed([list]).set(seconds);
        self.bytes.fixed([list]).set(bytes);
        for result in FetchResult::ALL {
            drop(self.ended.fixed([list, result.as_str()]));
        }
    }

    /// An attempt has ended so.
    pub fn ended(&self, list: &str, result: FetchResult) {
        self.ended.fixed([list, result.as_str()]).inc();
        self.successful.fixed([list]).set(u64::from(result.is_success()));
    }

    /// What the last attempt brought is in force by now.
    pub fn set_successful(&self, list: &str) {
        self.successful.fixed([list]).set(1);
    }

    /// Removes the gauges of lists that are none of these; their counters stay as long as the process.
    pub fn retain(&self, lists: &[&str]) {
        let lists: BTreeSet<&str> = lists.iter().copied().collect();
        for gauges in [&self.success, &self.successful, &self.bytes] {
            gauges.retain_first(&lists);
        }
    }
}
