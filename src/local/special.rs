//! Special-use names that are no business of the public DNS, and the zones that take their place.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::wire::{LowerName, Name};

/// Zones that are always answered here: whatever asks for `.onion` over DNS gives a secret away (RFC 7686 §2), and from
/// `resolver.arpa` of another server a client would go there and past this one (RFC 9462 §6.4).
pub const FIXED: [&str; 2] = ["onion", "resolver.arpa"];

/// The loopback addresses that have names.
pub(super) const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// Top-level names: RFC 6761 §6.2 and §6.4, RFC 7686, RFC 9476.
const ABSENT: [&str; 4] = ["invalid", "test", "onion", "alt"];
/// Names of the network at hand: RFC 6762 §22.1, the reservation of `.internal` by ICANN in 2024.
const OF_NETWORK: [&str; 2] = ["local", "internal"];
/// Names of the network at hand that the public DNS delegates without signature: RFC 8375.
const OF_NETWORK_DELEGATED: [&str; 1] = ["home.arpa"];

/// Reverse zones of networks that are somebody's own: RFC 6303 §4.1, §4.2, §4.4, §4.5. The 16 zones of 172.16.0.0/12 and the 64
/// of 100.64.0.0/10 (RFC 7793) are made of their numbers.
const REVERSE_PRIVATE: [&str; 8] = [
    "10.in-addr.arpa",
    "168.192.in-addr.arpa",
    "254.169.in-addr.arpa",
    "d.f.ip6.arpa",
    "8.e.f.ip6.arpa",
    "9.e.f.ip6.arpa",
    "a.e.f.ip6.arpa",
    "b.e.f.ip6.arpa",
];
/// Reverse zones of what is no network at all: this host, loopback, documentation, broadcast (RFC 6303 §4.2, §4.3, §4.6).
const REVERSE_NOBODY: [&str; 9] = [
    "0.in-addr.arpa",
    "127.in-addr.arpa",
    "2.0.192.in-addr.arpa",
    "100.51.198.in-addr.arpa",
    "113.0.203.in-addr.arpa",
    "255.255.255.255.in-addr.arpa",
    "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
    "8.b.d.0.1.0.0.2.ip6.arpa",
];

/// One zone that is answered here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Zone {
    pub(super) name: Name,
    pub(super) kind: Kind,
    /// Whether a private upstream may know it.
    pub(super) private: bool,
    /// Whether no setting takes it away.
    pub(super) fixed: bool,
}

/// What is in a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The loopback addresses, at each of its names.
    Localhost,
    /// Our own encrypted endpoints.
    Resolver,
    /// Nothing but its apex and what is added; `delegated`: the zone above is signed and says that this one is not.
    Empty {
        /// Whether the public DNS delegates it.
        delegated: bool,
    },
}

/// The names of all special-use zones, as an operator writes them.
pub fn special_use() -> Vec<String> {
    zones().iter().map(|zone| zone.name.to_string()).collect()
}

/// All zones.
pub(super) fn zones() -> Vec<Zone> {
    let empty = |delegated| Kind::Empty { delegated };
    let shared = (64..=127).map(|octet| format!("{octet}.100.in-addr.arpa"));
    let middle = (16..=31).map(|octet| format!("{octet}.172.in-addr.arpa"));
    let private = REVERSE_PRIVATE.iter().map(|&name| name.to_owned()).chain(middle).chain(shared);
    let named = |names: &[&'static str], kind, private| {
        names.iter().filter_map(move |name| zone(name, kind, private)).collect::<Vec<_>>()
    };
    let mut zones = named(&["localhost"], Kind::Localhost, false);
    zones.extend(named(&ABSENT, empty(false), false));
    zones.extend(named(&OF_NETWORK, empty(false), true));
    zones.extend(named(&OF_NETWORK_DELEGATED, empty(true), true));
    zones.extend(named(&["resolver.arpa"], Kind::Resolver, false));
    zones.extend(private.filter_map(|name| zone(&name, empty(true), true)));
    zones.extend(named(&REVERSE_NOBODY, empty(true), false));
    zones
}

/// `None` never happens: the names above are names.
fn zone(name: &str, kind: Kind, private: bool) -> Option<Zone> {
    let fixed = FIXED.contains(&name);
    Name::parse(name).ok().map(|name| Zone { name, kind, private, fixed })
}

/// Whether a name is one of the network at hand by its ending.
pub(super) fn is_private(name: &LowerName) -> bool {
    let ends_in = |zone: &str| LowerName::parse(zone).is_ok_and(|zone| name.is_below(&zone));
    OF_NETWORK.iter().chain(&OF_NETWORK_DELEGATED).any(|zone| ends_in(zone))
}

/// The data of the SOA record of an empty zone (RFC 6303 §3).
pub(super) fn soa(apex: &[u8]) -> Vec<u8> {
    let mut rdata = apex.to_vec();
    rdata.extend_from_slice(b"\x06nobody\x07invalid\0");
    for value in [1, 3600, 1200, 604_800, super::EMPTY_TTL] {
        rdata.extend_from_slice(&u32::to_be_bytes(value));
    }
    rdata
}
