//! Where our questions come from: addresses and ports of ours.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;

use rand::Rng;

use crate::socket::connected_udp;

/// Ports that need no privilege.
const PORTS: RangeInclusive<u16> = 1024..=u16::MAX;
/// Ports that are drawn before it is given up: of so many as there are nearly all are free.
const TRIES: usize = 16;

/// Addresses and ports that questions are asked from.
///
/// The port is half of what a forger must guess who can't see our packets (RFC 5452 §4.5): 64,512 are 15.98 bits, 4,096 are
/// 12, 1,024 are 10; the id adds 16 and each letter of the name one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// For upstreams reached over IPv4; unspecified: as the system routes.
    pub v4: Ipv4Addr,
    /// For upstreams reached over IPv6; unspecified: as the system routes.
    pub v6: Ipv6Addr,
    /// Ports of questions over UDP. Connections take what the system gives: nothing can be slipped into them.
    pub ports: RangeInclusive<u16>,
}

impl Default for Source {
    fn default() -> Self {
        Self { v4: Ipv4Addr::UNSPECIFIED, v6: Ipv6Addr::UNSPECIFIED, ports: PORTS }
    }
}

impl Source {
    /// Bits that a forger has to guess for the port, if there are fewer than without a setting.
    pub fn narrowed_bits(&self) -> Option<f64> {
        (self.ports != PORTS).then(|| f64::from(u32::try_from(self.ports.len()).unwrap_or(u32::MAX)).log2())
    }

    /// The address to ask this peer from, with a port.
    pub(super) fn at(&self, peer: SocketAddr, port: u16) -> SocketAddr {
        match peer {
            SocketAddr::V4(_) => (self.v4, port).into(),
            SocketAddr::V6(_) => (self.v6, port).into(),
        }
    }

    /// A socket on a port at random, connected to this peer; it never blocks.
    ///
    /// # Errors
    /// The operating system's: no port drawn is free, no file descriptor is left, no route leads there.
    pub(super) fn connected(&self, peer: SocketAddr) -> io::Result<UdpSocket> {
        for _try in 0..TRIES {
            let port = rand::rng().random_range(self.ports.clone());
            match connected_udp(self.at(peer, port), peer) {
                Err(error) if matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied) => (),
                socket => return socket,
            }
        }
        // A firewall may let no others out, if these were chosen.
        if self.ports == PORTS { connected_udp(self.at(peer, 0), peer) } else { Err(io::ErrorKind::AddrInUse.into()) }
    }
}

/// Whether an address is one of this host's: only then can a socket be bound to it.
pub fn is_local(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_come_from_the_address_and_the_ports_that_are_set() {
        for (loopback, ip) in [("127.0.0.1:0", "127.0.0.7"), ("[::1]:0", "::1")] {
            let peer = UdpSocket::bind(loopback).unwrap().local_addr().unwrap();
            let source = Source { v4: "127.0.0.7".parse().unwrap(), v6: Ipv6Addr::LOCALHOST, ports: 20_000..=21_023 };
            let sockets: Vec<_> =
                (0..100).map(|_socket| source.connected(peer).unwrap().local_addr().unwrap()).collect();
            assert!(sockets.iter().all(|address| address.ip() == ip.parse::<IpAddr>().unwrap()));
            assert!(sockets.iter().all(|address| source.ports.contains(&address.port())));
            let (low, high) = (sockets.iter().map(SocketAddr::port).min(), sockets.iter().map(SocketAddr::port).max());
            assert!(high.unwrap() - low.unwrap() > 500, "the whole range is used");
        }
    }

    #[test]
    fn ports_that_are_all_taken_are_an_error_and_no_other_port_is_taken_instead() {
        let held = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = held.local_addr().unwrap().port();
        let source = Source { ports: port..=port, ..Source::default() };
        let error = source.connected("127.0.0.1:53".parse().unwrap()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn what_a_narrow_range_leaves_to_guess_is_said_in_bits() {
        let bits = |ports| Source { ports, ..Source::default() }.narrowed_bits();
        assert_eq!(bits(1024..=65_535), None);
        assert_eq!(bits(40_000..=41_023).map(f64::round), Some(10.0));
    }
}
