//! Connections from clients, over every stream transport.

use super::labels::{Cut, HttpFault};
use super::registry::Registry;
use super::table::Cell;
use crate::wire::Transport;

/// Connections from clients. What comes on them is counted with all other messages, by [`Dns`](super::Dns).
#[derive(Debug)]
pub struct Connections {
    open: Vec<Cell>,        // embargo_dns_connections{proto}
    cut: Vec<Cell>,         // embargo_dns_connections_cut_total{reason}
    http_faults: Vec<Cell>, // embargo_dns_http_faults_total{reason}
    /// Listening sockets that died and were bound anew.
    pub rebound: Cell, // embargo_dns_listeners_rebound_total
}

impl Connections {
    pub(super) fn new(registry: &Registry) -> Self {
        let open = registry.gauges("dns_connections", "Connections from clients open now, by transport.", ["proto"]);
        let cut = registry.counters(
            "dns_connections_cut_total",
            "Connections that Embargo closed before their clients had done with them, by reason.",
            ["reason"],
        );
        let http_faults = registry.counters(
            "dns_http_faults_total",
            "HTTP requests that were answered without DNS, by reason.",
            ["reason"],
        );
        Self {
            open: Transport::ALL
                .iter()
                .map(|transport| match transport {
                    // Datagrams have no connections; a series for them would only ever be 0.
                    Transport::Udp => Cell::default(),
                    stream => open.fixed([stream.as_str()]),
                })
                .collect(),
            cut: Cut::ALL.iter().map(|reason| cut.fixed([reason.as_str()])).collect(),
            http_faults: HttpFault::ALL.iter().map(|fault| http_faults.fixed([fault.as_str()])).collect(),
            rebound: registry
                .counter("dns_listeners_rebound_total", "Listening sockets that died and were bound anew."),
        }
    }

    /// Connections open now.
    pub fn open(&self, transport: Transport) -> &Cell {
        &self.open[transport as usize]
    }

    /// HTTP requests with this fault.
    pub fn http_fault(&self, fault: HttpFault) -> &Cell {
        &self.http_faults[fault.index()]
    }

    /// Connections closed for this reason.
    pub fn cut(&self, reason: Cut) -> &Cell {
        &self.cut[reason.index()]
    }
}
