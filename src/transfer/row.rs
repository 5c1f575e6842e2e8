//! One record of a policy zone: as a line of a file, and on the wire.
//!
//! Lines have their owner relative to the zone, in lower case, and no TTL: what is answered has that of its ban.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use data_encoding::HEXLOWER;

use crate::wire::{CLASS_IN, LowerName, Malformed, Presented, RecordAt, qtype};

/// Types that say something about a zone as a whole: the SOA record is dealt with by itself.
const ABOUT_THE_ZONE: [u16; 8] =
    [qtype::SOA, qtype::NS, qtype::RRSIG, qtype::NSEC, qtype::NSEC3, qtype::DNSKEY, NSEC3PARAM, ZONEMD];
const NSEC3PARAM: u16 = 51;
const ZONEMD: u16 = 63;

/// A record whose owner is relative to its zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The labels in front of the zone's name, without the root's zero.
    pub(super) owner: Vec<u8>,
    pub(super) rtype: u16,
    pub(super) rdata: Vec<u8>,
}

impl Row {
    /// Reads a line that an export has written; `None`: it is none.
    pub(super) fn read(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let (owner, rtype, value) = (words.next()?, words.next()?, words.next()?);
        let owner = if owner == "@" { Vec::new() } else { labels(owner)? };
        let (rtype, rdata) = match rtype {
            "CNAME" => (qtype::CNAME, LowerName::parse(value).ok()?.wire().to_vec()),
            "A" => (qtype::A, value.parse::<Ipv4Addr>().ok()?.octets().into()),
            "AAAA" => (qtype::AAAA, value.parse::<Ipv6Addr>().ok()?.octets().into()),
            _ => return None,
        };
        words.next().is_none().then_some(Self { owner, rtype, rdata })
    }
}

/// The line of a record that came; `None`: it says something about the zone itself, or is not of it.
pub(super) fn line(message: &[u8], record: &RecordAt, zone: &LowerName) -> Result<Option<String>, Malformed> {
    let (owner, _end) = LowerName::read_compressed(message, record.start)?;
    if record.class != CLASS_IN || ABOUT_THE_ZONE.contains(&record.rtype) || !owner.is_below(zone) {
        return Ok(None);
    }
    let owner = Presented(&owner.wire()[..owner.wire().len() - zone.wire().len()]);
    let owner: &dyn fmt::Display = if owner.0.is_empty() { &'@' } else { &owner };
    let rdata = message.get(record.rdata.clone()).ok_or(Malformed::Cut)?;
    Ok(Some(match record.rtype {
        qtype::CNAME => {
            let (target, _end) = LowerName::read_compressed(message, record.rdata.start)?;
            let dot = if target.labels() == 0 { "" } else { "." };
            format!("{owner} CNAME {target}{dot}")
        }
        qtype::A => {
            format!("{owner} A {}", Ipv4Addr::from(<[u8; 4]>::try_from(rdata).map_err(|_size| Malformed::Rdata)?))
        }
        qtype::AAAA => {
            format!("{owner} AAAA {}", Ipv6Addr::from(<[u8; 16]>::try_from(rdata).map_err(|_size| Malformed::Rdata)?))
        }
        other => format!("{owner} TYPE{other} \\# {} {}", rdata.len(), HEXLOWER.encode(rdata)),
    }))
}

/// A relative name on the wire.
fn labels(text: &str) -> Option<Vec<u8>> {
    let name = LowerName::parse(text).ok()?;
    Some(name.wire()[..name.wire().len() - 1].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_an_export_are_read() {
        let check = |line: &str, owner: &[u8], rtype: u16, rdata: &[u8]| {
            let expected = Row { owner: owner.to_vec(), rtype, rdata: rdata.to_vec() };
            assert_eq!(Row::read(line), Some(expected), "{line}");
        };
        check("a.example CNAME .", b"\x01a\x07example", qtype::CNAME, b"\0");
        check("*.example CNAME *.", b"\x01*\x07example", qtype::CNAME, b"\x01*\0");
        check("* CNAME rpz-drop.", b"\x01*", qtype::CNAME, b"\x08rpz-drop\0");
        check(r"a\.b A 192.0.2.1", b"\x03a.b", qtype::A, &[192, 0, 2, 1]);
        for line in ["", "a", "a CNAME", "a CNAME . .", "a A x", "a AAAA 192.0.2.1", "a MX .", "a..b CNAME ."] {
            assert_eq!(Row::read(line), None, "{line}");
        }
    }
}
