//! EDNS client subnet (RFC 7871): in which network a query says that its client is, and for which networks an answer is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::layout::{Layout, Malformed, be16, edns_options};

/// The option's code.
pub(super) const OPTION_SUBNET: u16 = 8;
/// Octets in front of the address.
const FIXED: usize = 4;
/// Octets of an address at most.
const ADDRESS: usize = 16;

/// A network, and for how much of it an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subnet {
    /// 1 = IPv4, 2 = IPv6.
    family: u16,
    /// Bits of the address that the client gives.
    source: u8,
    /// Bits of it that the answer depends on; 0 in a query.
    scope: u8,
    /// As many octets of it as `source` needs; the rest is 0.
    address: [u8; ADDRESS],
}

impl Subnet {
    /// Reads the option's data, that of a query or of a response; `None`: it is malformed, or of no family of addresses.
    pub(super) fn read(data: &[u8]) -> Option<Self> {
        let family = be16(data, 0).ok()?;
        let (&[source, scope], prefix) = data.get(2..)?.split_first_chunk()?;
        let bits = match family {
            1 => 32,
            2 => 128,
            _ => return None,
        };
        if source > bits || scope > bits || prefix.len() != usize::from(source.div_ceil(8)) {
            return None;
        }
        // What stands behind the prefix has to be 0 (RFC 7871 §6).
        let behind = u8::MAX.checked_shr(u32::from(source % 8)).filter(|_whole| source % 8 != 0);
        if prefix.last().zip(behind).is_some_and(|(last, behind)| last & behind != 0) {
            return None;
        }
        let mut address = [0; ADDRESS];
        address[..prefix.len()].copy_from_slice(prefix);
        Some(Self { family, source, scope, address })
    }

    /// That of a query that an upstream is to be asked with.
    pub(super) fn of_query(data: &[u8]) -> Option<Self> {
        Self::read(data).filter(|subnet| subnet.scope == 0)
    }

    /// The address, if it is a network of one.
    pub(super) fn one_address(&self) -> Option<IpAddr> {
        let [a, b, c, d, ..] = self.address;
        match (self.family, self.source) {
            (1, 32) => Some(Ipv4Addr::new(a, b, c, d).into()),
            (2, 128) => Some(Ipv6Addr::from(self.address).to_canonical()),
            _ => None,
        }
    }

    /// The first one in a response.
    ///
    /// # Errors
    /// [`Malformed::Options`] when it can't be read.
    pub fn of_response(message: &[u8], layout: &Layout) -> Result<Option<Self>, Malformed> {
        let Some(opt) = layout.opt() else { return Ok(None) };
        let found = edns_options(&message[opt.rdata.clone()]).find(|(code, _data)| *code == OPTION_SUBNET);
        found.map(|(_code, data)| Self::read(data).ok_or(Malformed::Options)).transpose()
    }

    /// Whether it is about the same network as `other`, whatever their scopes.
    pub fn is_for(&self, other: &Self) -> bool {
        Self { scope: 0, ..*self } == Self { scope: 0, ..*other }
    }

    /// Octets of the whole option.
    pub(super) fn size(&self) -> usize {
        4 + FIXED + self.prefix().len()
    }

    /// Appends the whole option.
    pub fn write(&self, octets: &mut Vec<u8>) {
        let size = FIXED + self.prefix().len();
        for word in [OPTION_SUBNET, u16::try_from(size).unwrap_or_default(), self.family] {
            octets.extend_from_slice(&word.to_be_bytes());
        }
        octets.extend_from_slice(&[self.source, self.scope]);
        octets.extend_from_slice(self.prefix());
    }

    fn prefix(&self) -> &[u8] {
        &self.address[..usize::from(self.source.div_ceil(8))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written() {
        for data in [
            &b"\0\x01\x18\0\xC0\0\x02"[..],
            b"\0\x01\x00\0",
            b"\0\x01\x20\x20\xC0\0\x02\x07",
            b"\0\x01\x11\x18\xC0\0\x80",
            b"\0\x02\x38\0\x20\x01\x0d\xb8\0\0\x01",
            b"\0\x02\x80\x40\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01",
        ] {
            let subnet = Subnet::read(data).unwrap();
            let mut octets = Vec::new();
            subnet.write(&mut octets);
            assert_eq!((&octets[..4], &octets[4..]), (&[0, 8, 0, u8::try_from(data.len()).unwrap()][..], data));
            assert_eq!(subnet.size(), octets.len());
        }
    }

    #[test]
    fn what_is_no_network_is_not_read() {
        for data in [
            &b""[..],
            b"\0\x01\x18",
            b"\0\x01\x18\0\xC0\0",
            b"\0\x01\x18\0\xC0\0\x02\0",
            b"\0\x01\x11\0\xC0\0\x40",
            b"\0\x01\x21\0\xC0\0\x02\x07\0",
            b"\0\x01\x18\x21\xC0\0\x02",
            b"\0\x02\x81\0\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x80",
            b"\0\x03\x08\0\x0a",
            b"\0\0\0\0",
        ] {
            assert_eq!(Subnet::read(data), None, "{data:02x?}");
        }
    }

    #[test]
    fn a_query_has_no_scope_and_an_answer_is_for_the_network_that_was_asked_for() {
        let (asked, told) = (b"\0\x01\x18\0\xC0\0\x02", b"\0\x01\x18\x10\xC0\0\x02");
        let asked = Subnet::of_query(asked).unwrap();
        assert_eq!(Subnet::of_query(told), None);
        assert!(Subnet::read(told).unwrap().is_for(&asked));
        for other in [&b"\0\x01\x18\x10\xC0\0\x03"[..], b"\0\x01\x10\x10\xC0\0", b"\0\x02\x18\x10\xC0\0\x02"] {
            assert!(!Subnet::read(other).unwrap().is_for(&asked));
        }
    }
}
