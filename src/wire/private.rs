//! Addresses that mean something within one network only.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::layout::{Layout, Section, be16};
use super::name::LowerName;
use super::{qtype, svc_param};

/// Whether an address belongs to this host or to a private network: unspecified, loopback, link-local, private (RFC 1918,
/// RFC 4193), shared (RFC 6598), and those within IPv6 that stand for one of IPv4.
pub fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_private_v4(address),
        IpAddr::V6(address) => match embedded(address) {
            Some(embedded) => is_private_v4(embedded),
            None => address.is_unique_local() || address.is_unicast_link_local(),
        },
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    // The whole of 0.0.0.0/8 and of 127.0.0.0/8 leads to the host itself.
    first == 0
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || (first == 100 && (64..128).contains(&second))
}

/// The IPv4 address that one of IPv6 stands for: mapped (`::ffff:0:0/96`), compatible (`::/96`, with :: and `::1`
/// among them) or translated by the well-known prefix (`64:ff9b::/96`, RFC 6052).
pub(super) fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0xFFFF | 0, high, low] | [0x64, 0xFF9B, 0, 0, 0, 0, high, low] => Some(embedded(high, low)),
        _ => None,
    }
}

/// Whether a response holds a private address where a client would find one to go to: in an address record, or as a hint of
/// SVCB and HTTPS (RFC 9460 §7.3).
pub(super) fn holds_private(message: &[u8], layout: &Layout) -> bool {
    let beside_authority = layout.records.iter().filter(|record| record.section != Section::Authority);
    beside_authority.filter_map(|record| Some((record.rtype, message.get(record.rdata.clone())?))).any(
        |(rtype, rdata)| match rtype {
            qtype::A | qtype::AAAA => addresses(rtype == qtype::A, rdata).any(is_private),
            qtype::SVCB | qtype::HTTPS => hints(rdata).any(is_private),
            _ => false,
        },
    )
}

/// Addresses in a row.
pub(super) fn addresses(v4: bool, octets: &[u8]) -> impl Iterator<Item = IpAddr> {
    let v4s = if v4 { octets } else { &[] }.as_chunks::<4>().0;
    let v6s = if v4 { &[] } else { octets }.as_chunks::<16>().0;
    v4s.iter().copied().map(IpAddr::from).chain(v6s.iter().copied().map(IpAddr::from))
}

/// The addresses of `ipv4hint` and `ipv6hint`. The target is not compressed (RFC 9460 §2.2); where it is, nothing behind it can
/// be read here, nor by a client.
pub(super) fn hints(rdata: &[u8]) -> impl Iterator<Item = IpAddr> {
    const PRIORITY: usize = 2;
    let mut at = LowerName::pass_compressed(rdata, PRIORITY).unwrap_or(rdata.len());
    let parameters = std::iter::from_fn(move || {
        let (key, size) = (be16(rdata, at).ok()?, usize::from(be16(rdata, at + 2).ok()?));
        let value = rdata.get(at + 4..at + 4 + size)?;
        at += 4 + size;
        Some((key, value))
    });
    let of_key = |(key, value)| match key {
        svc_param::IPV4HINT => Some(addresses(true, value)),
        svc_param::IPV6HINT => Some(addresses(false, value)),
        _ => None,
    };
    parameters.filter_map(of_key).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_told_from_public_ones_in_whatever_form() {
        let private = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "127.1.2.3",
            "169.254.1.1",
            "172.31.0.1",
            "192.168.0.1",
            "100.64.0.1",
            "::",
            "::1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
            "::10.0.0.1",
            "64:ff9b::192.168.0.1",
        ];
        let public = [
            "192.0.2.1",
            "172.32.0.1",
            "100.128.0.1",
            "11.0.0.1",
            "2001:db8::1",
            "::ffff:192.0.2.1",
            "64:ff9b::192.0.2.1",
            "ff02::1",
        ];
        for address in private {
            assert!(is_private(address.parse().unwrap()), "{address}");
        }
        for address in public {
            assert!(!is_private(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn a_private_address_is_found_wherever_a_client_would_look_for_one() {
        use crate::wire::{Query, Response};
        let question = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x01\0\x01";
        let query = Query::read(question).unwrap();
        let holds = |response: Response<'_>| {
            let message = response.finish(512);
            holds_private(&message, &Layout::read(&message).unwrap())
        };
        let answer = |rtype, rdata: &[u8]| holds(Response::to(&query).answer(rtype, 60, rdata));
        assert!(!holds(Response::to(&query).soa(b"\x07example\0", 5)));
        assert!(answer(qtype::A, &[10, 0, 0, 1]) && !answer(qtype::A, &[192, 0, 2, 1]));
        let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 192, 168, 0, 1];
        assert!(answer(qtype::AAAA, &mapped));
        let service =
            |hint: [u8; 4]| [b"\0\x01\x01s\0\0\x01\0\x03\x02h2\0\x04\0\x08\xC0\0\x02\x01".as_slice(), &hint].concat();
        assert!(answer(qtype::HTTPS, &service([127, 0, 0, 1])) && !answer(qtype::HTTPS, &service([192, 0, 2, 2])));
        let v6 = [b"\0\x01\0\0\x06\0\x10\xFD".as_slice(), &[0; 15]].concat();
        assert!(answer(qtype::SVCB, &v6));
        let beside = Response::to(&query).answer(qtype::TXT, 60, b"\x01x").additional_at(
            b"\x01s\0",
            qtype::A,
            60,
            &[10, 0, 0, 1],
        );
        assert!(holds(beside));
    }
}
