//! Queries and responses.

use super::Metrics;
use super::labels::{DropReason, Family, Outcome, Shed, qtype_labels, rcode_labels};
use super::place::Place;
use super::registry::Registry;
use super::table::Cell;
use super::tallied::Tallied;
use crate::wire::Transport;

/// What happens to messages from clients. At rest, requests = responses + dropped; both are counted by a
/// [`Ledger`](super::Ledger).
#[derive(Debug)]
pub struct Dns {
    /// Datagrams that the kernel threw away before Embargo could read them.
    pub receive_overflow: Cell, // embargo_dns_receive_overflow_total
    /// Answers held back because they gave a public name a private address.
    pub rebinding: Cell, // embargo_dns_rebinding_total
    /// Addresses that were seen to stand for many clients.
    pub crowds: Cell, // embargo_dns_crowded_addresses
    shed: Vec<Cell>, // embargo_dns_shed_total{reason}
}

impl Dns {
    pub(super) fn new(registry: &Registry) -> Self {
        show_requests(&registry.tallied(
            "dns_requests_total", // embargo_dns_requests_total{proto, family, qtype}
            "Messages read from clients, by transport, address family (1 = IPv4, 2 = IPv6) and query type.",
            ["proto", "family", "qtype"],
        ));
        show_responses(&registry.tallied(
            "dns_responses_total", // embargo_dns_responses_total{outcome, rcode}
            "Responses handed to the kernel, by how they were made and their rcode.",
            ["outcome", "rcode"],
        ));
        show_dropped(&registry.tallied(
            "dns_dropped_total", // embargo_dns_dropped_total{reason}
            "Messages read from clients that got no response, by reason.",
            ["reason"],
        ));
        registry.latencies(
            "dns_request_duration_seconds", // embargo_dns_request_duration_seconds{outcome}
            "Time from reading a query to handing over its response.",
            "outcome",
        );
        registry.total(
            "dns_rate_limited_total", // embargo_dns_rate_limited_total
            "Responses cut down to TC because their clients, which prove nothing, were sent many lately.",
            Place::RATE_LIMITED,
        );
        let shed = registry.counters(
            "dns_shed_total",
            "Queries answered with SERVFAIL because too much is open already, by reason.",
            ["reason"],
        );
        Self {
            shed: Shed::ALL.iter().map(|reason| shed.fixed([reason.as_str()])).collect(),
            rebinding: registry
                .counter("dns_rebinding_total", "Answers held back because they gave a public name a private address."),
            crowds: registry.gauge(
                "dns_crowded_addresses",
                "Addresses from which most queries of an hour came, about many names: each stands for many clients.",
            ),
            receive_overflow: registry
                .counter("dns_receive_overflow_total", "Datagrams the kernel dropped because its buffer was full."),
        }
    }
}

impl Dns {
    /// Queries for which nobody was asked for this reason.
    pub fn shed(&self, reason: Shed) -> &Cell {
        &self.shed[reason.index()]
    }
}

impl Metrics {
    /// Messages received, over all transports.
    pub fn queries(&self) -> u64 {
        let sums = self.blocks.sums();
        let ways = Transport::ALL.into_iter().flat_map(|transport| Family::ALL.map(|family| (transport, family)));
        let places = ways.flat_map(|(transport, family)| {
            (0..qtype_labels().count()).map(move |qtype| Place::request(transport, family, qtype))
        });
        places.map(|place| sums.of(place)).sum()
    }
}

fn show_requests(requests: &Tallied<3>) {
    for transport in Transport::ALL {
        for family in Family::ALL {
            for (qtype, word) in qtype_labels().enumerate() {
                let place = Place::request(transport, family, qtype);
                requests.show([transport.as_str(), family.as_str(), word], place);
            }
        }
    }
}

fn show_responses(responses: &Tallied<2>) {
    for outcome in Outcome::ALL {
        for (rcode, word) in rcode_labels().enumerate() {
            responses.show([outcome.as_str(), word], Place::response(outcome, rcode));
        }
    }
}

fn show_dropped(dropped: &Tallied<1>) {
    for reason in DropReason::ALL {
        dropped.show([reason.as_str()], Place::dropped(reason));
    }
}
