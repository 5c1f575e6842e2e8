//! Metrics of the parts around the way of a query: the record, the cache, the upstreams, configuration, the process.

use std::collections::BTreeSet;
use std::sync::Arc;

use prometheus::{Gauge, Histogram, HistogramVec};

use super::labels::{IgnoredPacket, Level, Loss, UpstreamFailure};
use super::place::Place;
use super::registry::Registry;
use super::table::{Cell, Table};
use super::tallied::Total;
use crate::policy::Evidence;
use crate::time::Timestamp;

/// A moment of the wall clock, in seconds since 1970; 0 until there is one.
#[derive(Clone, Debug)]
pub struct Moment(Gauge);

impl Moment {
    /// Sets it.
    pub fn set(&self, at: Timestamp) {
        self.0.set(at.as_duration().as_secs_f64());
    }
}

/// Metrics of the record. Counts are attempts: at rest, events = stored + lost.
#[derive(Debug)]
pub struct Record {
    /// Attempts recorded.
    pub events: Total, // embargo_journal_events_total
    /// Attempts in the store, counted when their transaction is committed.
    pub stored: Cell, // embargo_journal_stored_total
    /// Attempts kept without name or client: one client asked for many names in a minute, or rows came too fast.
    pub overflow: Cell, // embargo_journal_overflow_total
    /// Batches that could not be written and were kept.
    pub write_failures: Cell, // embargo_journal_write_failures_total
    /// Sets of devices of one day that were begun anew.
    pub damaged_sets: Cell, // embargo_journal_damaged_sets_total
    /// Rows in memory that are not yet in the store.
    pub queue_length: Cell, // embargo_journal_queue_length
    /// Whether the store can be written.
    pub writable: Cell, // embargo_journal_writable
    /// Attempts recorded before this are in the store, unless they were more rows than one transaction takes.
    pub last_commit: Moment, // embargo_journal_last_commit_timestamp_seconds
    /// The store's files.
    pub size_bytes: Cell, // embargo_journal_size_bytes
    /// Queries in the record of names.
    pub names_stored: Cell, // embargo_names_stored_total
    /// Queries that the record of names had no room for.
    pub names_lost: Cell, // embargo_names_lost_total
    /// Rows of attempts that were deleted before their time.
    pub given_up: Cell, // embargo_journal_given_up_total
    lost: Vec<Cell>,          // embargo_journal_lost_total{reason}
    first_attempts: Table<2>, // embargo_first_attempts_total{ban, evidence}
}

impl Record {
    pub(super) fn new(registry: &Registry) -> Self {
        let lost = registry.counters(
            "journal_lost_total",
            "Banned lookups that were counted but will never be in the store, by reason.",
            ["reason"],
        );
        Self {
            events: registry.total(
                "journal_events_total",
                "Banned lookups given to the journal.",
                Place::JOURNAL_EVENTS,
            ),
            stored: registry.counter("journal_stored_total", "Banned lookups that this process added to the store."),
            overflow: registry.counter(
                "journal_overflow_total",
                "Banned lookups recorded without name or client, too many for rows of their own.",
            ),
            write_failures: registry
                .counter("journal_write_failures_total", "Batches that could not be written and are tried again."),
            damaged_sets: registry.counter(
                "journal_damaged_sets_total",
                "Sets of devices of one day that could not be read and were begun anew.",
            ),
            queue_length: registry.gauge("journal_queue_length", "Rows in memory that are not yet in the store."),
            writable: registry.gauge("journal_writable", "Whether the store can be written: 1 or 0."),
            last_commit: Moment(registry.moment(
                "journal_last_commit_timestamp_seconds",
                "When what was last written to the store was recorded at the latest, in seconds since 1970; 0 = never.",
            )),
            given_up: registry.counter(
                "journal_given_up_total",
                "Rows deleted before their time, the oldest first, because the store is as large as it may be.",
            ),
            size_bytes: registry.gauge("journal_size_bytes", "Size of the store's files."),
            names_stored: registry
                .counter("names_stored_total", "Queries that this process added to the record of names."),
            names_lost: registry.counter("names_lost_total", "Queries that the record of names had no room for."),
            first_attempts: registry.counters(
                "first_attempts_total",
                "Devices whose first lookup with such evidence of a ban was recorded by this process.",
                ["ban", "evidence"],
            ),
            lost: Loss::ALL.iter().map(|reason| lost.fixed([reason.as_str()])).collect(),
        }
    }

    /// Attempts lost for this reason.
    pub fn lost(&self, reason: Loss) -> &Cell {
        &self.lost[reason.index()]
    }

    /// First attempts of devices at a ban, with this evidence.
    pub fn first_attempts(&self, ban: &str, evidence: Evidence) -> Cell {
        self.first_attempts.fixed([ban, evidence.as_str()])
    }

    /// Attempts lost in all.
    pub fn lost_in_all(&self) -> u64 {
        self.lost.iter().map(Cell::value).sum()
    }
}

/// Metrics of the cache. Queries that ask it are counted by a [`Tally`](super::Tally).
#[derive(Debug)]
pub struct Cache {
    /// Answers kept.
    pub entries: Cell, // embargo_cache_entries
    /// Memory they take.
    pub bytes: Cell, // embargo_cache_bytes
    /// Questions kept because they failed.
    pub failures: Cell, // embargo_cache_failures
    /// Popular answers asked for again before they ran out.
    pub prefetches: Cell, // embargo_cache_prefetches_total
    /// Answers and failures thrown away by an operator, or because their zone is sent to other servers now.
    pub flushed: Cell, // embargo_cache_flushed_total
    /// Answers of the run before that are in the cache again.
    pub restored: Cell, // embargo_cache_restored_total
}

impl Cache {
    pub(super) fn new(registry: &Registry) -> Self {
        registry.total(
            "cache_requests_total", // embargo_cache_requests_total
            "Queries for which the cache was asked.",
            Place::CACHE_REQUESTS,
        );
        registry.total(
            "cache_hits_total", // embargo_cache_hits_total
            "Queries answered from the cache: fresh, stale, or with a failure that it keeps.",
            Place::CACHE_HITS,
        );
        registry.total(
            "cache_failure_hits_total", // embargo_cache_failure_hits_total
            "Queries answered with a failure that the cache keeps, since they failed a short while ago.",
            Place::CACHE_FAILURE_HITS,
        );
        Self {
            entries: registry.gauge("cache_entries", "Answers in the cache."),
            bytes: registry.gauge("cache_bytes", "Memory that the answers in the cache take."),
            failures: registry.gauge("cache_failures", "Questions in the cache that failed."),
            restored: registry
                .counter("cache_restored_total", "Answers of the run before that were put into the cache again."),
            flushed: registry.counter(
                "cache_flushed_total",
                "Answers and failures thrown away by an operator, or because their zone is sent to other servers now.",
            ),
            prefetches: registry
                .counter("cache_prefetches_total", "Popular answers that were asked for again before they ran out."),
        }
    }
}

/// Metrics of the upstreams.
#[derive(Debug)]
pub struct Upstreams {
    duration: HistogramVec, // embargo_upstream_request_duration_seconds{upstream}
    failures: Table<2>,     // embargo_upstream_failures_total{upstream, reason}
    ignored: Table<2>,      // embargo_upstream_ignored_packets_total{upstream, reason}
    healthy: Table<1>,      // embargo_upstream_healthy{upstream}
}

/// Metrics of one upstream, resolved once.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Time of exchanges that brought a response, in seconds.
    pub duration: Histogram,
    /// 1 while it is asked first, 0 while it is only probed.
    pub healthy: Cell,
    failures: Arc<[Cell]>,
    ignored: Arc<[Cell]>,
}

impl Upstream {
    /// Exchanges that failed for this reason.
    pub fn failed(&self, reason: UpstreamFailure) -> &Cell {
        &self.failures[reason.index()]
    }

    /// Packets not taken for a response, for this reason.
    pub fn ignored(&self, reason: IgnoredPacket) -> &Cell {
        &self.ignored[reason.index()]
    }
}

impl Upstreams {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            duration: registry.durations(
                "upstream_request_duration_seconds",
                "Time of exchanges with an upstream that brought a response.",
                "upstream",
            ),
            failures: registry.counters(
                "upstream_failures_total",
                "Exchanges with an upstream that failed, by reason.",
                ["upstream", "reason"],
            ),
            ignored: registry.counters(
                "upstream_ignored_packets_total",
                "Packets that were not taken for an upstream's response, by reason.",
                ["upstream", "reason"],
            ),
            healthy: registry.gauges(
                "upstream_healthy",
                "Whether an upstream is asked: 1, or 0 while it is only probed.",
                ["upstream"],
            ),
        }
    }

    /// The metrics of the upstream of this name, as it is written in the configuration. A new one is healthy.
    pub fn resolve(&self, upstream: &str) -> Upstream {
        let healthy = self.healthy.fixed([upstream]);
        healthy.set(1);
        Upstream {
            duration: self.duration.with_label_values(&[upstream]),
            healthy,
            failures: UpstreamFailure::ALL.iter().map(|why| self.failures.fixed([upstream, why.as_str()])).collect(),
            ignored: IgnoredPacket::ALL.iter().map(|why| self.ignored.fixed([upstream, why.as_str()])).collect(),
        }
    }

    /// Removes the gauges of upstreams that are none of these; their counters stay as long as the process.
    pub fn retain(&self, upstreams: &[&str]) {
        self.healthy.retain_first(&upstreams.iter().copied().collect::<BTreeSet<_>>());
    }
}

/// Metrics of the process: configuration, panics, logs.
#[derive(Debug)]
pub struct Process {
    /// 1 if the last reload was taken, 0 if the old state was kept.
    pub reload_successful: Cell, // embargo_config_last_reload_successful
    /// The last reload that was taken.
    pub reload_success: Moment, // embargo_config_last_reload_success_timestamp_seconds
    /// When the certificate that clients are shown expires.
    pub certificate_expiry: Moment, // embargo_tls_certificate_expiry_timestamp_seconds
    /// Panics caught.
    pub panics: Cell, // embargo_panics_total
    log_messages: Vec<Cell>, // embargo_log_messages_total{level}
}

impl Process {
    pub(super) fn new(registry: &Registry) -> Self {
        let messages = registry.counters(
            "log_messages_total",
            "Log messages by level, also those left out because they came too fast.",
            ["level"],
        );
        registry
            .gauges("build_info", "Which build this is; always 1.", ["version"])
            .fixed([env!("CARGO_PKG_VERSION")])
            .set(1);
        #[cfg(target_os = "linux")]
        registry.register(prometheus::process_collector::ProcessCollector::for_self());
        Self {
            reload_successful: registry.gauge(
                "config_last_reload_successful",
                "Whether the last reload of configuration and lists was taken whole: 1 or 0.",
            ),
            reload_success: Moment(registry.moment(
                "config_last_reload_success_timestamp_seconds",
                "When configuration and lists were last taken over, in seconds since 1970.",
            )),
            certificate_expiry: Moment(registry.moment(
                "tls_certificate_expiry_timestamp_seconds",
                "When the certificate that clients are shown expires, in seconds since 1970; 0 without one.",
            )),
            panics: registry.counter("panics_total", "Panics that were caught; each is a fault in Embargo."),
            log_messages: Level::ALL.iter().map(|level| messages.fixed([level.as_str()])).collect(),
        }
    }

    /// Log messages of this level.
    pub fn log_messages(&self, level: Level) -> &Cell {
        &self.log_messages[level.index()]
    }
}
