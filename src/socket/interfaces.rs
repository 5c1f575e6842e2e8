//! The networks that this host has a leg in.

use std::io;
use std::net::{IpAddr, SocketAddr};

use if_addrs::IfAddr;
use ipnet::IpNet;

/// One address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Leg {
    interface: String,
    /// The address with the length of its prefix.
    net: IpNet,
}

/// The prefixes that are on-link on the interfaces that `listening` is served on, each once, in order: all of them for a
/// wildcard address, else the one that has the address.
///
/// # Errors
/// The system's, when it does not tell its addresses.
pub fn on_link(listening: &[SocketAddr]) -> io::Result<Vec<IpNet>> {
    let legs: Vec<Leg> = if_addrs::get_if_addrs()?
        .into_iter()
        .filter_map(|interface| {
            let (ip, length) = match &interface.addr {
                IfAddr::V4(address) => (IpAddr::V4(address.ip), address.prefixlen),
                IfAddr::V6(address) => (IpAddr::V6(address.ip), address.prefixlen),
            };
            IpNet::new(ip, length).ok().map(|net| Leg { interface: interface.name, net })
        })
        .collect();
    Ok(prefixes(&legs, listening))
}

/// The addresses of this host, on all its interfaces.
///
/// # Errors
/// The system's, when it does not tell them.
pub fn own_addresses() -> io::Result<Vec<IpAddr>> {
    Ok(if_addrs::get_if_addrs()?.into_iter().map(|interface| interface.ip()).collect())
}

fn prefixes(legs: &[Leg], listening: &[SocketAddr]) -> Vec<IpNet> {
    let serves = |leg: &Leg| {
        listening.iter().any(|own| match own.ip().to_canonical() {
            IpAddr::V4(ip) if ip.is_unspecified() => leg.net.addr().is_ipv4(),
            // Such a socket takes IPv4 too.
            IpAddr::V6(ip) if ip.is_unspecified() => true,
            ip => legs.iter().any(|other| other.interface == leg.interface && other.net.addr() == ip),
        })
    };
    // A prefix of no length would be everybody.
    let with_length = legs.iter().filter(|leg| leg.net.prefix_len() > 0);
    let mut found: Vec<IpNet> = with_length.filter(|leg| serves(leg)).map(|leg| leg.net.trunc()).collect();
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(listening: &[&str], expected: &[&str]) {
        let legs = [
            ("lo", "127.0.0.1/8"),
            ("lan", "192.168.1.2/24"),
            ("lan", "2001:db8:1:2::2/64"),
            ("lan", "2001:db8:1:2::3/64"),
            ("wan", "203.0.113.9/30"),
            ("odd", "198.51.100.1/0"),
        ]
        .map(|(interface, net)| Leg { interface: interface.to_owned(), net: net.parse().unwrap() });
        let listening: Vec<SocketAddr> = listening.iter().map(|address| address.parse().unwrap()).collect();
        let expected: Vec<IpNet> = expected.iter().map(|net| net.parse().unwrap()).collect();
        assert_eq!(prefixes(&legs, &listening), expected, "{listening:?}");
    }

    #[test]
    fn the_prefixes_are_those_of_the_interfaces_that_are_listened_on() {
        check(&["192.168.1.2:53"], &["192.168.1.0/24", "2001:db8:1:2::/64"]);
        check(&["[2001:db8:1:2::2]:53"], &["192.168.1.0/24", "2001:db8:1:2::/64"]);
        check(&["127.0.0.1:53"], &["127.0.0.0/8"]);
        check(&["0.0.0.0:53"], &["127.0.0.0/8", "192.168.1.0/24", "203.0.113.8/30"]);
        check(&["[::]:53"], &["127.0.0.0/8", "192.168.1.0/24", "203.0.113.8/30", "2001:db8:1:2::/64"]);
        check(&["192.0.2.1:53"], &[]);
    }

    #[test]
    fn this_host_tells_its_own() {
        let loopback: IpAddr = "127.0.0.1".parse().unwrap();
        assert!(on_link(&["127.0.0.1:53".parse().unwrap()]).unwrap().iter().any(|net| net.contains(&loopback)));
    }
}
