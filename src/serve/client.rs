//! Who asks, and whether it may.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

use crate::policy;
use crate::wire::Transport;

/// The sender of one query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its address and port; IPv4 in IPv6 is plain IPv4 here, so that one client has one address.
    pub socket: SocketAddr,
    /// How the query came.
    pub transport: Transport,
    /// For how long it may leave its connection idle, which it is told if it asks (RFC 7828); `None` without a connection.
    pub idle: Option<Duration>,
    /// Whether it has shown a server cookie of ours that was made for its address.
    pub(super) cookie_is_good: bool,
}

impl Client {
    /// The sender at `socket` over `transport`.
    pub fn new(socket: SocketAddr, transport: Transport) -> Self {
        let socket = SocketAddr::new(socket.ip().to_canonical(), socket.port());
        Self { socket, transport, idle: None, cookie_is_good: false }
    }

    /// The same on a connection that it may leave idle for so long.
    #[must_use]
    pub fn with_idle(self, idle: Duration) -> Self {
        Self { idle: Some(idle), ..self }
    }

    /// Its address.
    pub fn address(&self) -> IpAddr {
        self.socket.ip()
    }

    /// Whether the address is proven and not just claimed: UDP sources can be forged.
    pub fn verified(&self) -> bool {
        self.transport.proves_address() || self.cookie_is_good
    }

    /// What policy needs to know of it.
    pub(super) fn for_policy(&self) -> policy::Client {
        policy::Client { address: self.address() }
    }
}

/// The networks that are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    networks: Vec<IpNet>,
}

impl Admission {
    /// Serves these networks and nobody else. An open resolver harms others (RFC 5358).
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self { networks }
    }

    /// Whether `address` is served.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }
}

impl fmt::Display for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let networks: Vec<String> = self.networks.iter().map(ToString::to_string).collect();
        f.write_str(&networks.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_client_on_an_ipv6_socket_is_the_same_client() {
        let mapped = Client::new("[::ffff:192.0.2.1]:53".parse().unwrap(), Transport::Udp);
        assert_eq!(mapped.address(), "192.0.2.1".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn only_listed_networks_are_served() {
        let admission = Admission::new(vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()]);
        let allows = |address: &str| admission.allows(address.parse().unwrap());
        assert!(allows("192.0.2.9") && allows("::ffff:192.0.2.9") && allows("2001:db8::1"));
        assert!(!allows("198.51.100.1") && !allows("::1"));
    }
}
