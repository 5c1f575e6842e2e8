//! Every metric of the server, in one place.
//!
//! What happens on the way of a query is counted in blocks: each [`Worker`] has one of its own, so that no thread waits for
//! another to count, and the page shows their sums. All else is a [`Cell`], resolved once and shared. Label values come
//! only from enums and from the configuration; a qname or a client's address belongs to the journal.

mod admin;
mod block;
mod block_page;
mod connections;
mod dns;
mod fetches;
mod intakes;
mod labels;
mod latency;
mod ledger;
mod page;
mod parts;
mod place;
mod policy;
mod registry;
mod reports;
mod sinks;
mod table;
mod tallied;
mod tally;
mod zones;

use std::sync::Arc;

pub use admin::Admin;
pub use block_page::BlockPage;
pub use connections::Connections;
pub use dns::Dns;
pub use fetches::{FetchResult, Fetches};
pub use intakes::{IntakeCells, Intakes};
pub use labels::{
    BlockPageEnd, Cut, Did, DropReason, Family, HttpFault, IgnoredPacket, IntakeOutcome, IntakeRefusal, Level, Loss,
    Outcome, Shed, SinkLoss, TransferEnd, UpstreamFailure, Window,
};
pub use ledger::Ledger;
pub use parts::{Cache, Moment, Process, Record, Upstream, Upstreams};
pub use place::Place;
pub use policy::{AttemptCounters, Banned, ClientFigures, DEFAULT_SITE, ListFigures, Series, list_label};
pub use reports::{ReportCells, Reports};
pub use sinks::{SinkCells, Sinks};
pub use table::Cell;
pub use tallied::Total;
pub use tally::{Tally, Worker};
pub use zones::{ZoneCells, Zones};

/// `Content-Type` of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics, in a registry of their own.
#[derive(Debug)]
pub struct Metrics {
    registry: registry::Registry,
    blocks: Arc<block::Blocks>,
    /// Queries and responses.
    pub dns: Dns,
    /// Connections.
    pub connections: Connections,
    /// Bans, lists, attempts.
    pub banned: Banned,
    /// Lists that come from elsewhere.
    pub fetches: Fetches,
    /// The journal.
    pub record: Record,
    /// The cache.
    pub cache: Cache,
    /// The upstreams.
    pub upstreams: Upstreams,
    /// Configuration, panics, logs.
    pub process: Process,
    /// Policy zones that travel.
    pub zones: Zones,
    /// Where attempts are sent to.
    pub sinks: Sinks,
    /// What other resolvers tell.
    pub intakes: Intakes,
    /// Connections of those who were sent to the block page.
    pub block_page: BlockPage,
    /// The admin server.
    pub admin: Admin,
    /// Reports that are made by themselves.
    pub reports: Reports,
}

impl Metrics {
    /// All metrics at zero. One for each process; tests make as many as they like.
    pub fn new() -> Self {
        let blocks = Arc::new(block::Blocks::new());
        let registry = registry::Registry::new(Arc::clone(&blocks));
        Self {
            dns: Dns::new(&registry),
            connections: Connections::new(&registry),
            banned: Banned::new(&registry),
            fetches: Fetches::new(&registry),
            record: Record::new(&registry),
            cache: Cache::new(&registry),
            upstreams: Upstreams::new(&registry),
            process: Process::new(&registry),
            zones: Zones::new(&registry),
            sinks: Sinks::new(&registry),
            intakes: Intakes::new(&registry),
            block_page: BlockPage::new(&registry),
            admin: Admin::new(&registry),
            reports: Reports::new(&registry),
            registry,
            blocks,
        }
    }

    /// The page that Prometheus reads, in text format 0.0.4.
    pub fn render(&self) -> String {
        self.registry.render().unwrap_or_else(|error| format!("# {error}\n"))
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
