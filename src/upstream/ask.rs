//! Our query as octets.

use crate::wire::{LowerName, Name, OPTION_PADDING, PAYLOAD, Subnet, qtype};

/// Bits of the second 16 in a header (RFC 1035 §4.1.1, RFC 4035 §3).
const RD: u16 = 0x0100;
const AD: u16 = 0x0020;
const CD: u16 = 0x0010;
/// Bit of an OPT record's flags (RFC 3225).
const DO: u16 = 0x8000;
/// Queries are padded to a multiple of so many octets (RFC 8467 §4.1).
const PADDED: usize = 128;

/// A question for an upstream. Equal values are the same query on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ask {
    /// QNAME.
    pub name: Name,
    /// QTYPE.
    pub qtype: u16,
    /// QCLASS.
    pub qclass: u16,
    /// DO: the answer shall carry DNSSEC records (RFC 3225).
    pub dnssec_ok: bool,
    /// CD: the upstream shall not validate (RFC 4035 §3.2.2).
    pub checking_disabled: bool,
    /// For a client in which network (RFC 7871); the answer is for no other, unless it says so.
    pub subnet: Option<Subnet>,
}

/// A question that borrows its name, so that asking it allocates nothing.
#[derive(Clone, Copy, Debug)]
pub struct AskRef<'n> {
    /// In lower case on the wire.
    name: &'n [u8],
    qtype: u16,
    qclass: u16,
    dnssec_ok: bool,
    checking_disabled: bool,
}

impl<'n> AskRef<'n> {
    /// The question of these parts, which are those of [`Ask`].
    pub fn new(name: &'n LowerName, qtype: u16, qclass: u16, dnssec_ok: bool, checking_disabled: bool) -> Self {
        Self { name: name.wire(), qtype, qclass, dnssec_ok, checking_disabled }
    }

    /// Appends the query in octets: RD, AD (so that AD in the response is meaningful, RFC 6840 §5.7), CD as given, and with
    /// `edns` an OPT record with DO as given and no option. Nothing else of a client reaches an upstream. Returns the
    /// offset behind the question.
    pub(super) fn write(&self, octets: &mut Vec<u8>, id: u16, edns: bool) -> usize {
        let flags = RD | AD | if self.checking_disabled { CD } else { 0 };
        for word in [id, flags, 1, 0, 0, u16::from(edns)] {
            octets.extend_from_slice(&word.to_be_bytes());
        }
        octets.extend_from_slice(self.name);
        octets.extend_from_slice(&self.qtype.to_be_bytes());
        octets.extend_from_slice(&self.qclass.to_be_bytes());
        let question_end = octets.len();
        if edns {
            let flags = if self.dnssec_ok { DO } else { 0 };
            octets.push(0);
            for word in [qtype::OPT, PAYLOAD, 0, flags, 0] {
                octets.extend_from_slice(&word.to_be_bytes());
            }
        }
        question_end
    }
}

impl<'n> From<&'n Ask> for AskRef<'n> {
    fn from(ask: &'n Ask) -> Self {
        let Ask { name, qtype, qclass, dnssec_ok, checking_disabled, subnet: _ } = ask;
        let (qtype, qclass) = (*qtype, *qclass);
        Self { name: name.wire(), qtype, qclass, dnssec_ok: *dnssec_ok, checking_disabled: *checking_disabled }
    }
}

impl Ask {
    /// The query in octets, as [`AskRef::write`] has it, with the client's subnet if it has an OPT record; `padded` then, so
    /// that its length says little about the name.
    pub(super) fn query(&self, id: u16, edns: bool, padded: bool) -> Vec<u8> {
        let mut octets = Vec::with_capacity(2 * PADDED);
        let _question_end = AskRef::from(self).write(&mut octets, id, edns);
        if !edns {
            return octets;
        }
        let options = octets.len();
        if let Some(subnet) = &self.subnet {
            subnet.write(&mut octets);
        }
        if padded {
            pad(&mut octets);
        }
        // Less than a datagram, so it fits.
        let size = u16::try_from(octets.len() - options).unwrap_or_default();
        octets[options - 2..options].copy_from_slice(&size.to_be_bytes());
        octets
    }
}

/// Appends the option that pads a query (RFC 7830); it has to be the last one.
fn pad(octets: &mut Vec<u8>) {
    let unpadded = octets.len() + 4;
    let padding = unpadded.next_multiple_of(PADDED) - unpadded;
    octets.extend_from_slice(&OPTION_PADDING.to_be_bytes());
    // Less than PADDED, so it fits.
    octets.extend_from_slice(&u16::try_from(padding).unwrap_or_default().to_be_bytes());
    octets.resize(unpadded + padding, 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Layout, Query, edns_options};

    fn ask() -> Ask {
        let name = Name::parse("a.example").unwrap();
        Ask { name, qtype: 1, qclass: 1, dnssec_ok: true, checking_disabled: true, subnet: None }
    }

    #[test]
    fn the_query_carries_the_question_and_our_own_edns() {
        let expected =
            b"\x12\x34\x01\x30\0\x01\0\0\0\0\0\x01\x01a\x07example\0\0\x01\0\x01\0\0\x29\x04\xD0\0\0\x80\0\0\0";
        assert_eq!(ask().query(0x1234, true, false), expected);
        let plain = Ask { dnssec_ok: false, checking_disabled: false, ..ask() }.query(0x1234, false, true);
        assert_eq!(plain, b"\x12\x34\x01\x20\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x01\0\x01");
    }

    #[test]
    fn a_padded_query_has_a_length_that_says_little() {
        for letters in 1..=60 {
            let name = Name::parse(&format!("{}.{}.example", "a".repeat(letters), "b".repeat(letters))).unwrap();
            let octets = Ask { name, ..ask() }.query(0, true, true);
            assert_eq!(octets.len() % 128, 0, "{letters}");
            let layout = Layout::read(&octets).unwrap();
            let (option, value) = edns_options(&octets[layout.opt().unwrap().rdata.clone()]).next().unwrap();
            assert!(option == 12 && value.iter().all(|&octet| octet == 0));
        }
    }

    #[test]
    fn the_subnet_of_a_client_stands_before_the_padding_and_goes_with_the_edns() {
        let query = b"\0\0\x01\0\0\x01\0\0\0\0\0\x01\x01a\x07example\0\0\x01\0\x01\
                      \0\0\x29\x04\xD0\0\0\0\0\0\x0B\0\x08\0\x07\0\x01\x18\0\xC0\0\x02";
        let subnet = Query::read(query).unwrap().subnet();
        assert!(subnet.is_some());
        let ask = Ask { subnet, ..ask() };
        let codes = |octets: &[u8]| {
            let layout = Layout::read(octets).unwrap();
            assert_eq!(layout.end, octets.len());
            let options = edns_options(&octets[layout.opt().unwrap().rdata.clone()]);
            options.map(|(code, value)| (code, value.len())).collect::<Vec<_>>()
        };
        assert_eq!(codes(&ask.query(7, true, false)), [(8, 7)]);
        let padded = ask.query(7, true, true);
        assert_eq!((codes(&padded)[0], padded.len() % PADDED), ((8, 7), 0));
        assert!(Layout::read(&ask.query(7, false, true)).unwrap().opt().is_none());
    }
}
