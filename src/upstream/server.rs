//! One server to forward to.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use super::peer::Peer;
use super::spec::{Protocol, write_server};

/// One server to forward to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    place: Place,
    protocol: Protocol,
    /// What an encrypted server is known by; `None` for the others.
    peer: Option<Arc<Peer>>,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// At an address.
    Address(SocketAddr),
    /// Wherever its name leads.
    Host {
        /// In lower case, without the last dot.
        name: Arc<str>,
        /// Its port.
        port: u16,
    },
}

impl Server {
    /// A server that is asked over UDP, and over TCP when the answer is truncated.
    pub fn plain(address: SocketAddr) -> Self {
        Self { place: Place::Address(address), protocol: Protocol::Plain, peer: None }
    }

    /// A server that is asked over TCP.
    pub fn tcp(address: SocketAddr) -> Self {
        Self { place: Place::Address(address), protocol: Protocol::Tcp, peer: None }
    }

    pub(super) fn new(place: Place, protocol: Protocol, peer: Option<Peer>) -> Self {
        Self { place, protocol, peer: peer.map(Arc::new) }
    }

    /// How it is asked.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Where it listens, if it is written by address.
    pub fn address(&self) -> Option<SocketAddr> {
        match self.place {
            Place::Address(address) => Some(address),
            Place::Host { .. } => None,
        }
    }

    /// Where it listens.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Whether nobody between it and us can change what it says: it is on this host, or its transport is encrypted.
    pub(super) fn is_out_of_reach(&self) -> bool {
        self.peer.is_some() || self.address().is_some_and(|address| address.ip().to_canonical().is_loopback())
    }

    /// What it is known by, if it is encrypted.
    pub(super) fn peer(&self) -> Option<&Arc<Peer>> {
        self.peer.as_ref()
    }
}

/// As an operator writes it.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (place, port) = match &self.place {
            // Without the port, which is written behind it or not at all.
            Place::Address(SocketAddr::V4(address)) => (address.ip().to_string(), address.port()),
            Place::Address(SocketAddr::V6(address)) if address.scope_id() == 0 => {
                (format!("[{}]", address.ip()), address.port())
            }
            Place::Address(SocketAddr::V6(address)) => {
                (format!("[{}%{}]", address.ip(), address.scope_id()), address.port())
            }
            Place::Host { name, port } => (name.to_string(), *port),
        };
        write_server(f, self.protocol, &place, port, self.peer.as_deref())
    }
}
