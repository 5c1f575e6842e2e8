//! One record of our own, as a line of a zone file.

use std::collections::HashMap;
use std::net::IpAddr;

use super::rdata;
use crate::wire::rtype::{self, mnemonic};
use crate::wire::{Answer, Layout, LowerName, Name, NameError, Query, Response, qtype};

/// Seconds of a TTL at most: a week.
pub const TTL_MAX: u32 = 604_800;
/// Types that say something about a whole zone, or are made by whoever asks.
const NOT_OURS: [u16; 9] = [
    qtype::SOA,
    qtype::NS,
    qtype::DNAME,
    qtype::OPT,
    qtype::DS,
    qtype::RRSIG,
    qtype::DNSKEY,
    qtype::NSEC,
    qtype::NSEC3,
];
/// Types from here to the end of their block are questions, not records (RFC 6895 §3.1).
const QUESTIONS: std::ops::RangeInclusive<u16> = 128..=255;

/// A record of our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Whose it is.
    pub owner: Name,
    /// Its type.
    pub rtype: u16,
    /// Seconds; `None`: as long as all that have none.
    pub ttl: Option<u32>,
    /// Its data on the wire, without compression.
    pub rdata: Vec<u8>,
}

/// Why a line is no record of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The line has no type.
    #[error("no record; write a name, a type and a value: \"nas.home.arpa A 192.0.2.10\"")]
    Short,
    /// The name of its owner.
    #[error("{0}")]
    Owner(NameError),
    /// A `*` as label.
    #[error("a wildcard is not answered here; write each name")]
    Wildcard,
    /// Below `resolver.arpa`.
    #[error("`resolver.arpa` speaks of this server's own encrypted endpoints and of nothing else")]
    Resolver,
    /// A word that is no type.
    #[error("unknown type `{0}`; write for example A, AAAA, CNAME, PTR, TXT, MX, SRV, HTTPS or TYPE65280")]
    Type(String),
    /// A type that no single record can have here.
    #[error("{0} records can't be written here")]
    NotOurs(String),
    /// A TTL above the limit.
    #[error("the TTL is above a week")]
    Ttl,
    /// The value does not fit the type.
    #[error("no value of type {rtype}; write {form}")]
    Value {
        /// The type.
        rtype: String,
        /// How a value of it looks.
        form: &'static str,
    },
}

impl Record {
    /// Reads `NAME [TTL] [IN] TYPE VALUE`, names always whole; for PTR an address may stand as the name.
    ///
    /// # Errors
    /// [`RecordError`] names the part that is wrong.
    pub fn parse(line: &str) -> Result<Self, RecordError> {
        let (owner, mut rest) = first_word(line).ok_or(RecordError::Short)?;
        let mut ttl = None;
        let (word, value) = loop {
            let (word, behind) = first_word(rest).ok_or(RecordError::Short)?;
            match word.parse::<u32>() {
                Ok(seconds) if seconds <= TTL_MAX => ttl = Some(seconds),
                Ok(_longer) => return Err(RecordError::Ttl),
                Err(_no_number) if word.eq_ignore_ascii_case("IN") => (),
                Err(_no_number) => break (word, behind.trim()),
            }
            rest = behind;
        };
        let rtype = rtype::parse(word).ok_or_else(|| RecordError::Type(word.chars().take(20).collect()))?;
        if NOT_OURS.contains(&rtype) || QUESTIONS.contains(&rtype) || rtype == 0 {
            return Err(RecordError::NotOurs(mnemonic(rtype).into_owned()));
        }
        let owner = read_owner(owner, rtype)?;
        let rdata = rdata::read(rtype, value).filter(|rdata| is_well_formed(&owner, rtype, rdata));
        let rdata = rdata.ok_or_else(|| {
            let rtype_word = mnemonic(rtype).into_owned();
            RecordError::Value { rtype: rtype_word, form: rdata::form(rtype) }
        })?;
        Ok(Self { owner, rtype, ttl, rdata })
    }

    /// The name that an alias stands for.
    pub fn alias_of(&self) -> Option<Name> {
        let target = (self.rtype == qtype::CNAME).then(|| LowerName::read(&self.rdata, 0).ok()).flatten();
        target.map(|(name, _end)| Name::from(&name))
    }
}

/// The places of records that stand beside an alias of the same name, where nothing else may (RFC 2181 §10.1).
pub fn clashes(records: &[&Record]) -> Vec<usize> {
    // Of each name: its alias, and whether it has anything else.
    let mut names: HashMap<&Name, (Option<&[u8]>, bool)> = HashMap::new();
    let mut found = Vec::new();
    for (at, record) in records.iter().enumerate() {
        let (alias, others) = names.entry(&record.owner).or_default();
        if record.rtype == qtype::CNAME {
            let second = alias.replace(&record.rdata).is_some_and(|first| *first != *record.rdata);
            found.extend((second || *others).then_some(at));
        } else {
            *others = true;
            found.extend(alias.map(|_alias| at));
        }
    }
    found
}

/// The places of aliases that never come to an end, or only behind more links than are followed.
pub fn endless(records: &[&Record]) -> Vec<usize> {
    let aliases: HashMap<&Name, Name> =
        records.iter().filter_map(|record| Some((&record.owner, record.alias_of()?))).collect();
    let is_endless = |record: &Record| {
        let mut name = aliases.get(&record.owner);
        let mut links = 0;
        while let Some(target) = name.filter(|_target| links + 1 < super::CHAIN_MAX) {
            (name, links) = (aliases.get(target), links + 1);
        }
        name.is_some()
    };
    let aliases = records.iter().enumerate().filter(|(_at, record)| record.rtype == qtype::CNAME);
    aliases.filter(|(_at, record)| is_endless(record)).map(|(at, _record)| at).collect()
}

fn read_owner(text: &str, rtype: u16) -> Result<Name, RecordError> {
    if let (qtype::PTR, Ok(address)) = (rtype, text.parse::<IpAddr>()) {
        return Ok(reverse(address));
    }
    let name = LowerName::parse(text).map_err(RecordError::Owner)?;
    if (0..name.labels()).any(|label| name.label(label) == b"*") {
        return Err(RecordError::Wildcard);
    }
    if name.labels() >= 2 && name.suffix(2) == b"\x08resolver\x04arpa\0" {
        return Err(RecordError::Resolver);
    }
    Ok(Name::from(&name))
}

/// Whether a response with this record is one that this server would take from an upstream.
fn is_well_formed(owner: &Name, rtype: u16, rdata: &[u8]) -> bool {
    let mut question = b"\0\0\x01\0\0\x01\0\0\0\0\0\0".to_vec();
    question.extend_from_slice(owner.wire());
    question.extend_from_slice(&[rtype.to_be_bytes(), [0, 1]].concat());
    let Ok(query) = Query::read(&question) else { return false };
    let message = Response::to(&query).answer(rtype, 0, rdata).finish(usize::from(u16::MAX));
    let whole = message.get(2).is_some_and(|flags| flags & 0x02 == 0);
    whole && Layout::read(&message).is_ok_and(|layout| Answer::keep(&message, &layout).is_ok())
}

fn first_word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let end = text.find(|character: char| character.is_ascii_whitespace()).unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end)?;
    (!word.is_empty()).then_some((word, rest))
}

/// Type and data of an address record.
pub(super) fn address(address: IpAddr) -> (u16, Vec<u8>) {
    match address.to_canonical() {
        IpAddr::V4(address) => (qtype::A, address.octets().to_vec()),
        IpAddr::V6(address) => (qtype::AAAA, address.octets().to_vec()),
    }
}

/// The name below which an address is looked up (RFC 1035 §3.5, RFC 3596 §2.5).
pub fn reverse(address: IpAddr) -> Name {
    let text = match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let nibbles = address.octets().into_iter().rev().flat_map(|octet| [octet & 0x0F, octet >> 4]);
            let mut text = String::with_capacity(72);
            for nibble in nibbles {
                text.extend([char::from_digit(u32::from(nibble), 16).unwrap_or('0'), '.']);
            }
            text + "ip6.arpa"
        }
    };
    Name::parse(&text).unwrap_or_else(|_never| Name::from(&LowerName::ROOT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, owner: &str, rtype: u16, ttl: Option<u32>, rdata: &[u8]) {
        let record = Record::parse(line).unwrap();
        assert_eq!((record.owner.to_string().as_str(), record.rtype, record.ttl), (owner, rtype, ttl), "{line}");
        assert_eq!(record.rdata, rdata, "{line}");
    }

    #[track_caller]
    fn wrong(line: &str, message: &str) {
        let error = Record::parse(line).unwrap_err().to_string();
        assert!(error.contains(message), "{line}: {error}");
    }

    #[test]
    fn a_line_is_read_as_in_a_zone_file() {
        check("NAS.home.arpa. 300 IN A 192.0.2.10", "nas.home.arpa", 1, Some(300), &[192, 0, 2, 10]);
        check("nas.home.arpa IN 300 A 192.0.2.10", "nas.home.arpa", 1, Some(300), &[192, 0, 2, 10]);
        check(
            "\tx.example aaaa 2001:db8::1",
            "x.example",
            28,
            None,
            &[0x20, 1, 0xD, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        );
        check("www.example CNAME x.example.", "www.example", 5, None, b"\x01x\x07example\0");
        check("192.0.2.10 PTR nas.example", "10.2.0.192.in-addr.arpa", 12, None, b"\x03nas\x07example\0");
        check("x.example MX 10 mail.example", "x.example", 15, None, b"\0\x0a\x04mail\x07example\0");
        check(
            "_sip._udp.x.example SRV 1 2 5060 s.example",
            "_sip._udp.x.example",
            33,
            None,
            b"\0\x01\0\x02\x13\xC4\x01s\x07example\0",
        );
        check(r#"x.example TXT "a b" "c\"d\065""#, "x.example", 16, None, b"\x03a b\x04c\"dA");
        check("x.example TXT v=spf1 -all", "x.example", 16, None, b"\x0bv=spf1 -all");
        check(r"x.example TYPE65280 \# 3 0a00 ff", "x.example", 65_280, None, &[10, 0, 255]);
        check(
            "x.example HTTPS 1 . alpn=h2,h3 port=8443",
            "x.example",
            65,
            None,
            b"\0\x01\0\0\x01\0\x06\x02h2\x02h3\0\x03\0\x02\x20\xFB",
        );
        check(
            "x.example SVCB 2 s.example ipv4hint=192.0.2.1 alpn=dot",
            "x.example",
            64,
            None,
            b"\0\x02\x01s\x07example\0\0\x01\0\x04\x03dot\0\x04\0\x04\xC0\0\x02\x01",
        );
        check(r"x.example HTTPS \# 3 000000", "x.example", 65, None, &[0, 0, 0]);
    }

    #[test]
    fn a_line_that_is_no_record_says_why() {
        wrong("", "no record");
        wrong("x.example", "no record");
        wrong("x.example 300", "no record");
        wrong("x..example A 192.0.2.1", "label is empty");
        wrong("*.example A 192.0.2.1", "wildcard");
        wrong("_dns.resolver.arpa SVCB 1 .", "encrypted endpoints");
        wrong("x.example ADDRESS 192.0.2.1", "unknown type");
        wrong("x.example SOA x", "can't be written");
        wrong("x.example ANY x", "can't be written");
        wrong("x.example 604801 A 192.0.2.1", "above a week");
        wrong("x.example A 192.0.2", "no value of type A; write an IPv4 address");
        wrong("x.example A", "no value of type A");
        wrong("x.example AAAA 192.0.2.1", "no value of type AAAA");
        wrong("x.example CNAME a b", "no value of type CNAME");
        wrong("x.example MX mail.example", "no value of type MX");
        wrong(r"x.example TYPE65280 \# 4 0a00ff", "no value of type TYPE65280");
        wrong("x.example TYPE65280 x", "RFC 3597");
        wrong(r"x.example A \# 3 0a0000", "no value of type A");
        wrong(r"x.example HTTPS \# 2 0001", "no value of type HTTPS");
        wrong("x.example HTTPS 1 . alpn=h2 alpn=h3", "no value of type HTTPS");
        wrong(r#"x.example TXT "open"#, "no value of type TXT");
    }

    #[test]
    fn an_alias_stands_alone() {
        let records: Vec<Record> =
            ["a.test A 192.0.2.1", "a.test AAAA ::2", "b.test CNAME a.test", "b.test TXT x", "a.test CNAME c.test"]
                .map(|line| Record::parse(line).unwrap())
                .into();
        assert_eq!(clashes(&records.iter().collect::<Vec<_>>()), [3, 4]);
    }

    #[test]
    fn aliases_that_never_end_are_found() {
        let chain = |links: usize| {
            let lines = (0..links).map(|link| format!("n{link}.test CNAME n{}.test", link + 1));
            lines.map(|line| Record::parse(&line).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(endless(&chain(7).iter().collect::<Vec<_>>()), Vec::<usize>::new());
        assert_eq!(endless(&chain(8).iter().collect::<Vec<_>>()), [0]);
        let two = ["a.test CNAME b.test", "b.test CNAME a.test", "c.test A 192.0.2.1"];
        let two: Vec<Record> = two.map(|line| Record::parse(line).unwrap()).into();
        assert_eq!(endless(&two.iter().collect::<Vec<_>>()), [0, 1]);
    }

    #[test]
    fn an_address_is_looked_up_below_its_family_s_zone() {
        assert_eq!(reverse("192.0.2.1".parse().unwrap()).to_string(), "1.2.0.192.in-addr.arpa");
        let v6 = reverse("2001:db8::1".parse().unwrap()).to_string();
        assert_eq!(v6, format!("1.{}8.b.d.0.1.0.0.2.ip6.arpa", "0.".repeat(23)));
    }
}
