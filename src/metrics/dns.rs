//! Queries and responses: the ledger in which every message read ends exactly once.

use std::ops::Deref;
use std::sync::Arc;

use prometheus::Histogram;

use super::Metrics;
use super::labels::{DropReason, Family, Outcome, QTYPE_NONE, qtype_index, qtype_labels, rcode_index, rcode_labels};
use super::labels::{QTYPE_COUNT, RCODE_COUNT};
use super::registry::Registry;
use super::table::Cell;
use crate::time::Mono;
use crate::wire::Transport;

/// What happens to messages from clients. At rest, requests = responses + dropped.
#[derive(Debug)]
pub struct Dns {
    requests: Vec<Cell>,      // embargo_dns_requests_total{proto, family, qtype}
    responses: Vec<Cell>,     // embargo_dns_responses_total{outcome, rcode}
    dropped: Vec<Cell>,       // embargo_dns_dropped_total{reason}
    duration: Vec<Histogram>, // embargo_dns_request_duration_seconds{outcome}
    /// Datagrams that the kernel threw away before Embargo could read them.
    pub receive_overflow: Cell, // embargo_dns_receive_overflow_total
    /// TCP connections open now.
    pub tcp_connections: Cell, // embargo_dns_tcp_connections
    /// TCP connections closed at once, because there were too many.
    pub tcp_refused: Cell, // embargo_dns_tcp_refused_total
}

impl Dns {
    pub(super) fn new(registry: &Registry) -> Self {
        let requests = registry.counters(
            "dns_requests_total",
            "Messages read from clients, by transport, address family (1 = IPv4, 2 = IPv6) and query type.",
            ["proto", "family", "qtype"],
        );
        let responses = registry.counters(
            "dns_responses_total",
            "Responses handed to the kernel, by how they were made and their rcode.",
            ["outcome", "rcode"],
        );
        let dropped = registry.counters(
            "dns_dropped_total",
            "Messages read from clients that got no response, by reason.",
            ["reason"],
        );
        let duration = registry.durations(
            "dns_request_duration_seconds",
            "Time from reading a query to handing over its response.",
            "outcome",
        );
        Self {
            requests: Transport::ALL
                .iter()
                .flat_map(|proto| Family::ALL.iter().map(move |family| (proto.as_str(), family.as_str())))
                .flat_map(|(proto, family)| qtype_labels().map(move |qtype| [proto, family, qtype]))
                .map(|labels| requests.fixed(labels))
                .collect(),
            responses: Outcome::ALL
                .iter()
                .flat_map(|outcome| rcode_labels().map(|rcode| [outcome.as_str(), rcode]))
                .map(|labels| responses.fixed(labels))
                .collect(),
            dropped: DropReason::ALL.iter().map(|reason| dropped.fixed([reason.as_str()])).collect(),
            duration: Outcome::ALL.iter().map(|outcome| duration.with_label_values(&[outcome.as_str()])).collect(),
            receive_overflow: registry
                .counter("dns_receive_overflow_total", "Datagrams the kernel dropped because its buffer was full."),
            tcp_connections: registry.gauge("dns_tcp_connections", "TCP connections from clients open now."),
            tcp_refused: registry
                .counter("dns_tcp_refused_total", "TCP connections closed at once because there were too many."),
        }
    }

    fn request(&self, transport: Transport, family: Family, qtype: usize) {
        let place = (transport as usize * Family::ALL.len() + family.index()) * QTYPE_COUNT + qtype;
        self.requests[place].inc();
    }
}

/// One message read, until it is answered or dropped.
///
/// It counts the request once and its end once, whatever happens: a `Ledger` that is dropped without an end (its task
/// was aborted, its connection closed, its code panicked) is a request that ended as `client_gone`.
/// `M` is how it holds the metrics: by a count of its own to outlive its caller, or by reference to cost nothing.
#[derive(Debug)]
#[must_use = "a ledger that is not used counts its query as dropped"]
pub struct Ledger<M: Deref<Target = Metrics> = Arc<Metrics>> {
    metrics: M,
    start: Mono,
    transport: Transport,
    family: Family,
    asked: bool,
    ended: bool,
}

impl Metrics {
    /// Opens the ledger of one message, read at `start`, before anything about it is checked.
    pub fn received(self: &Arc<Self>, transport: Transport, family: Family, start: Mono) -> Ledger {
        Ledger { metrics: Arc::clone(self), start, transport, family, asked: false, ended: false }
    }

    /// The same for a message that is answered before its reader goes on.
    pub fn received_here(&self, transport: Transport, family: Family, start: Mono) -> Ledger<&Self> {
        Ledger { metrics: self, start, transport, family, asked: false, ended: false }
    }
}

impl Ledger<&Metrics> {
    /// Hands the entry to whoever answers later; it still counts once.
    pub fn keep(mut self, metrics: &Arc<Metrics>) -> Ledger {
        let (start, transport, family, asked) = (self.start, self.transport, self.family, self.asked);
        (self.asked, self.ended) = (true, true);
        Ledger { metrics: Arc::clone(metrics), start, transport, family, asked, ended: false }
    }
}

impl<M: Deref<Target = Metrics>> Ledger<M> {
    /// Counts the request under its query type. Only the first call counts; without one the type is `none`.
    pub fn asked(&mut self, qtype: u16) {
        self.count_request(qtype_index(qtype));
    }

    /// Ends as a response that was handed to the kernel at `now`; `rcode` is the extended one (RFC 6891 §6.1.3).
    pub fn responded(mut self, outcome: Outcome, rcode: u16, now: Mono) {
        self.count_request(QTYPE_NONE);
        self.ended = true;
        let dns = &self.metrics.dns;
        dns.responses[outcome.index() * RCODE_COUNT + rcode_index(rcode)].inc();
        dns.duration[outcome.index()].observe(now.since(self.start).as_secs_f64());
    }

    /// Ends without a response.
    pub fn dropped(mut self, reason: DropReason) {
        self.end_dropped(reason);
    }

    fn count_request(&mut self, qtype: usize) {
        if !self.asked {
            self.asked = true;
            self.metrics.dns.request(self.transport, self.family, qtype);
        }
    }

    fn end_dropped(&mut self, reason: DropReason) {
        self.count_request(QTYPE_NONE);
        self.ended = true;
        self.metrics.dns.dropped[reason.index()].inc();
    }
}

impl<M: Deref<Target = Metrics>> Drop for Ledger<M> {
    fn drop(&mut self) {
        if !self.ended {
            self.end_dropped(DropReason::ClientGone);
        }
    }
}
