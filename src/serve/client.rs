//! Who asks, and whether it may.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

use crate::identity::ToldId;
use crate::policy::{self, Entrance, Named};
use crate::wire::{NoHeader, PROXY_SIGNATURE, Proxied, Transport};

/// The sender of one query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its address and port; IPv4 in IPv6 is plain IPv4 here, so that one client has one address.
    pub socket: SocketAddr,
    /// How the query came.
    pub transport: Transport,
    /// For how many tenths of a second it may leave its connection idle, which it is told if it asks (RFC 7828); `None` without
    /// a connection.
    pub idle: Option<u16>,
    /// Whether it has shown a server cookie of ours that was made for its address.
    pub(super) cookie_is_good: bool,
    /// By what door the query came.
    pub(super) entrance: Entrance,
    /// The device that whoever handed the query over has named.
    pub(super) told: Option<ToldId>,
    via: Via,
}

/// Who handed the query over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Via {
    /// Nobody: the sender itself.
    Itself,
    /// A proxy, to which the sender's address is proven or not.
    Proxy { address: IpAddr, proven: bool },
    /// The sender is a proxy that looks whether we are well.
    HealthCheck,
}

impl Client {
    /// The sender at `socket` over `transport`.
    pub fn new(socket: SocketAddr, transport: Transport) -> Self {
        let socket = SocketAddr::new(socket.ip().to_canonical(), socket.port());
        let (entrance, via) = (Entrance::UNKNOWN, Via::Itself);
        Self { socket, transport, idle: None, cookie_is_good: false, entrance, told: None, via }
    }

    /// The same, which came by this door.
    #[must_use]
    pub(super) fn by(self, entrance: Entrance) -> Self {
        Self { entrance, ..self }
    }

    /// The same, over TLS in whose greeting it has named us so, if it has.
    #[must_use]
    pub(super) fn by_tls_name(self, name: Option<&str>) -> Self {
        name.map_or(self, |name| self.by(self.entrance.by_tls_name(name)))
    }

    /// The same on a connection that it may leave idle for so long.
    #[must_use]
    pub fn with_idle(self, idle: Duration) -> Self {
        Self { idle: Some(tenths(idle)), ..self }
    }

    /// Whom this one, a proxy, speaks for.
    pub(super) fn speaks_for(self, proxied: Proxied) -> Self {
        match proxied {
            Proxied::Itself => Self { via: Via::HealthCheck, ..self },
            Proxied::Client { source, over_stream } => {
                // Over UDP the proxy's own address is proven to nobody.
                let proven = over_stream && self.transport.proves_address();
                Self { socket: source, via: Via::Proxy { address: self.address(), proven }, ..self }
            }
        }
    }

    /// The client at `source`, whose request this one, a reverse proxy, hands on. Such a proxy was asked over a stream.
    pub(super) fn hands_on(self, source: IpAddr) -> Self {
        let via = Via::Proxy { address: self.address(), proven: self.verified() };
        Self { socket: SocketAddr::new(source, 0), via, ..self }
    }

    /// Its address.
    pub fn address(&self) -> IpAddr {
        self.socket.ip()
    }

    /// Whether the address is proven and not just claimed: UDP sources can be forged.
    pub fn verified(&self) -> bool {
        self.is_over_stream() || self.cookie_is_good
    }

    /// Whether it is no client but a proxy's question whether we are well.
    pub(super) fn is_health_check(&self) -> bool {
        self.via == Via::HealthCheck
    }

    /// What policy needs to know of it, but for what device it is.
    pub(super) fn for_policy(&self) -> policy::Client {
        let sender = match self.via {
            Via::Itself | Via::HealthCheck => self.address(),
            Via::Proxy { address, .. } => address,
        };
        let (address, over_stream) = (self.address(), self.is_over_stream());
        policy::Client { address, sender, over_stream, entrance: self.entrance, device: Named::NOBODY }
    }

    /// Whether its address is proven by the way its queries come, which a cookie does not change.
    fn is_over_stream(&self) -> bool {
        match self.via {
            Via::Itself | Via::HealthCheck => self.transport.proves_address(),
            Via::Proxy { proven, .. } => proven,
        }
    }
}

/// A duration in the unit of edns-tcp-keepalive (RFC 7828 §3.1).
fn tenths(idle: Duration) -> u16 {
    u16::try_from(idle.as_millis() / 100).unwrap_or(u16::MAX)
}

/// The networks that are served, and the proxies that may speak for clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    networks: Vec<IpNet>,
    proxies: Vec<IpNet>,
    web_proxies: Vec<IpNet>,
    forwarders: Vec<IpNet>,
}

impl Admission {
    /// Serves these networks and nobody else. An open resolver harms others (RFC 5358).
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self { networks, proxies: Vec::new(), web_proxies: Vec::new(), forwarders: Vec::new() }
    }

    /// Has proxies in these networks say by a PROXY header for whom they speak, and believes nobody else who says so.
    #[must_use]
    pub fn behind(self, proxies: Vec<IpNet>) -> Self {
        Self { proxies, ..self }
    }

    /// Has reverse proxies in these networks say by `X-Forwarded-For` whose requests they hand on, and believes nobody else.
    #[must_use]
    pub fn behind_web(self, web_proxies: Vec<IpNet>) -> Self {
        Self { web_proxies, ..self }
    }

    /// Has forwarders in these networks say by EDNS options whom they ask for, and believes nobody else.
    #[must_use]
    pub fn told_by(self, forwarders: Vec<IpNet>) -> Self {
        Self { forwarders, ..self }
    }

    /// Whether what `address` says of whom it asks for is believed.
    #[inline]
    pub(super) fn is_told_by(&self, address: IpAddr) -> bool {
        self.forwarders.iter().any(|network| network.contains(&address))
    }

    /// Whether `address` is served.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// Whether a query of `client` is served: it has to be, and so has the proxy that hands it over.
    #[inline]
    pub(super) fn admits(&self, client: &Client) -> bool {
        let by_way_of = match client.via {
            Via::Itself | Via::HealthCheck => None,
            Via::Proxy { address, .. } => Some(address),
        };
        self.allows(client.address()) && by_way_of.is_none_or(|proxy| self.allows(proxy))
    }

    /// Whether `address` has to say for whom it speaks.
    pub(super) fn is_proxy(&self, address: IpAddr) -> bool {
        self.proxies.iter().any(|network| network.contains(&address))
    }

    /// Whether `address` is that of a reverse proxy.
    pub(super) fn is_web_proxy(&self, address: IpAddr) -> bool {
        self.web_proxies.iter().any(|network| network.contains(&address))
    }

    /// The message in a datagram of `sender`, who becomes the client that asks.
    ///
    /// # Errors
    /// A proxy does not say for whom it speaks, or somebody else does.
    #[inline]
    pub(super) fn unwrap<'o>(&self, sender: &mut Client, octets: &'o [u8]) -> Result<&'o [u8], NoHeader> {
        if self.proxies.is_empty() { Ok(octets) } else { self.unwrap_any(sender, octets) }
    }

    fn unwrap_any<'o>(&self, sender: &mut Client, octets: &'o [u8]) -> Result<&'o [u8], NoHeader> {
        if self.is_proxy(sender.address()) {
            let (proxied, message) = Proxied::read(octets)?;
            *sender = sender.speaks_for(proxied);
            return Ok(message);
        }
        if octets.starts_with(&PROXY_SIGNATURE) { Err(NoHeader) } else { Ok(octets) }
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

    const HEADER: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0C\xC0\0\x02\x07\xC6\x33\x64\x35\x10\x92\0\x35message";

    #[test]
    fn a_listed_proxy_has_to_say_for_whom_it_speaks_and_nobody_else_may() {
        let networks = vec!["192.0.2.0/24".parse().unwrap(), "198.51.100.0/24".parse().unwrap()];
        let open = Admission::new(networks);
        let behind = open.clone().behind(vec!["198.51.100.0/28".parse().unwrap()]);
        let sender = |address: &str| Client::new(SocketAddr::new(address.parse().unwrap(), 4242), Transport::Udp);
        let (proxy, other) = (sender("198.51.100.3"), sender("198.51.100.99"));

        let unwrap = |admission: &Admission, mut sender: Client, octets: &'static [u8]| {
            admission.unwrap(&mut sender, octets).map(|message| (sender, message))
        };
        let (client, message) = unwrap(&behind, proxy, HEADER).unwrap();
        assert_eq!((client.socket, message), ("192.0.2.7:4242".parse().unwrap(), &b"message"[..]));
        assert!(behind.admits(&client) && !client.verified());
        assert_eq!(unwrap(&behind, proxy, b"message"), Err(NoHeader));
        assert_eq!(unwrap(&behind, other, b"message"), Ok((other, &b"message"[..])));
        assert_eq!(unwrap(&behind, other, HEADER), Err(NoHeader));
        assert_eq!(unwrap(&open, proxy, HEADER), Ok((proxy, HEADER)), "without proxies nothing is looked at");
    }

    #[test]
    fn both_a_client_and_its_proxy_have_to_be_served() {
        let admission = |networks: &[&str]| {
            Admission::new(networks.iter().map(|network| network.parse().unwrap()).collect())
                .behind(vec!["198.51.100.0/24".parse().unwrap()])
        };
        let proxy = Client::new("198.51.100.3:1".parse().unwrap(), Transport::Tcp);
        let mut client = proxy;
        admission(&[]).unwrap(&mut client, HEADER).unwrap();
        assert!(admission(&["192.0.2.0/24", "198.51.100.0/24"]).admits(&client));
        assert!(!admission(&["192.0.2.0/24"]).admits(&client));
        assert!(!admission(&["198.51.100.0/24"]).admits(&client));
    }

    #[test]
    fn an_address_is_proven_by_a_proxy_if_it_is_proven_to_it_and_the_proxys_is_to_us() {
        let proven = |transport, over_stream| {
            let proxied = Proxied::Client { source: "192.0.2.7:1".parse().unwrap(), over_stream };
            Client::new("198.51.100.3:1".parse().unwrap(), transport).speaks_for(proxied).verified()
        };
        assert!(proven(Transport::Tcp, true));
        assert!(!proven(Transport::Tcp, false) && !proven(Transport::Udp, true));
    }
}
