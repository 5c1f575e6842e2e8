//! A response taken apart by rules of its own, so that the server's reader is not its own judge.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

/// Bits of the second word of the header.
pub(super) const AA: u16 = 0x0400;
pub(super) const TC: u16 = 0x0200;
pub(super) const RA: u16 = 0x0080;

const OPT: u16 = 41;
/// EDNS option: extended error.
const EDE: u16 = 15;
/// Extended error: the failure is one that is remembered (RFC 8914 §4.14).
const CACHED: u16 = 13;

/// A record without its TTL: owner and every name in the data whole and in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Record {
    owner: Vec<u8>,
    rtype: u16,
    class: u16,
    rdata: Vec<u8>,
}

impl Record {
    /// Whether it is an alias.
    pub(super) fn is_cname(&self) -> bool {
        self.rtype == 5
    }
}

/// What a response says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Octets.
    pub(super) length: usize,
    /// The header's second word without the rcode.
    pub(super) flags: u16,
    /// With the upper bits of the OPT record.
    pub(super) rcode: u16,
    /// Octet by octet, as it came.
    pub(super) question: Vec<u8>,
    /// Answer, authority and additional section: each record and its TTL.
    pub(super) sections: [Vec<(Record, u32)>; 3],
    /// Version and flags of the OPT record.
    pub(super) edns: Option<(u8, u16)>,
    /// Every extended error.
    pub(super) errors: BTreeSet<Vec<u8>>,
    /// Codes of all other EDNS options.
    pub(super) options: BTreeSet<u16>,
}

impl Seen {
    /// Reads a whole message with one question.
    pub(super) fn read(message: &[u8]) -> Self {
        let word = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
        assert_eq!(word(4), 1, "one question: {message:02x?}");
        let (_name, end) = name(message, 12);
        let mut seen = Self {
            length: message.len(),
            flags: word(2) & !0x000F,
            rcode: word(2) & 0x000F,
            question: message[12..end + 4].to_vec(),
            sections: Default::default(),
            edns: None,
            errors: BTreeSet::new(),
            options: BTreeSet::new(),
        };
        let mut at = end + 4;
        for (section, count) in [6, 8, 10].map(word).into_iter().enumerate() {
            for _record in 0..count {
                let (owner, fields) = name(message, at);
                let (rtype, class) = (word(fields), word(fields + 2));
                let ttl = u32::from(word(fields + 4)) << 16 | u32::from(word(fields + 6));
                let data = fields + 10..fields + 10 + usize::from(word(fields + 8));
                at = data.end;
                if rtype == OPT {
                    seen.opt(ttl, &message[data]);
                } else {
                    let record = Record { owner, rtype, class, rdata: rdata(message, rtype, data) };
                    seen.sections[section].push((record, ttl));
                }
            }
        }
        assert_eq!(at, message.len(), "nothing behind the last record");
        seen
    }

    fn opt(&mut self, ttl: u32, mut options: &[u8]) {
        assert_eq!(self.edns, None, "one OPT record");
        let [upper, version, flags @ ..] = ttl.to_be_bytes();
        self.rcode |= u16::from(upper) << 4;
        self.edns = Some((version, u16::from_be_bytes(flags)));
        while let [a, b, c, d, rest @ ..] = options {
            let (value, rest) = rest.split_at(usize::from(u16::from_be_bytes([*c, *d])));
            match u16::from_be_bytes([*a, *b]) {
                EDE => drop(self.errors.insert(value.to_vec())),
                other => drop(self.options.insert(other)),
            }
            options = rest;
        }
        assert!(options.is_empty(), "whole options: {options:02x?}");
    }

    /// The extended errors without their texts: those of validation (RFC 8914 §4.6 to §4.13) as one, a remembered one left out.
    pub(super) fn errors_alike(&self) -> BTreeSet<u16> {
        let codes = self.errors.iter().map(|error| u16::from_be_bytes([error[0], error[1]]));
        codes.filter(|code| *code != CACHED).map(|code| if (5..=12).contains(&code) { 6 } else { code }).collect()
    }

    /// Whether it only says whom to ask: NS records, no SOA, no answer, and no authority of its own.
    pub(super) fn is_referral(&self) -> bool {
        let has = |rtype| self.sections[1].iter().any(|(record, _ttl)| record.rtype == rtype);
        self.rcode == 0 && self.sections[0].is_empty() && has(2) && !has(6) && self.flags & AA == 0
    }

    /// The record sets of the answer section in the order in which they begin: a chain is followed from its start.
    pub(super) fn order(&self) -> Vec<(&[u8], u16)> {
        let mut order = Vec::new();
        for (record, _ttl) in &self.sections[0] {
            if !order.contains(&(&*record.owner, record.rtype)) {
                order.push((&*record.owner, record.rtype));
            }
        }
        order
    }

    /// Each section without order.
    pub(super) fn sorted(&self) -> [Vec<&(Record, u32)>; 3] {
        self.sections.each_ref().map(|section| {
            let mut records: Vec<_> = section.iter().collect();
            records.sort();
            records
        })
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { flags, rcode, edns, errors, options, .. } = self;
        write!(f, "flags {flags:04x} rcode {rcode} edns {edns:?} errors {errors:02x?} options {options:?}")?;
        for (name, section) in ["answer", "authority", "additional"].iter().zip(&self.sections) {
            for (record, ttl) in section {
                let (owner, data) = (record.owner.escape_ascii(), record.rdata.escape_ascii());
                write!(f, "\n  {name}: {owner} {ttl} CLASS{} TYPE{} {data:.80}", record.class, record.rtype)?;
            }
        }
        Ok(())
    }
}

/// The name at `at` in lower case, and where the octets behind it stand.
fn name(message: &[u8], mut at: usize) -> (Vec<u8>, usize) {
    let (mut whole, mut end) = (Vec::new(), None);
    loop {
        let size = usize::from(message[at]);
        if size >= 0xC0 {
            end.get_or_insert(at + 2);
            at = (size & 0x3F) << 8 | usize::from(message[at + 1]);
            continue;
        }
        whole.extend(message[at..=at + size].to_ascii_lowercase());
        at += 1 + size;
        if size == 0 {
            return (whole, end.unwrap_or(at));
        }
    }
}

/// RDATA with its names whole, for the types whose names may be compressed or are compared without case.
fn rdata(message: &[u8], rtype: u16, data: Range<usize>) -> Vec<u8> {
    let (before, names) = match rtype {
        // NS, CNAME, PTR, DNAME; MX; SRV; SOA.
        2 | 5 | 12 | 39 => (0, 1),
        15 => (2, 1),
        33 => (6, 1),
        6 => (0, 2),
        _ => return message[data].to_vec(),
    };
    let mut at = data.start + before;
    let mut whole = message[data.start..at].to_vec();
    for _name in 0..names {
        let (name, end) = name(message, at);
        whole.extend(name);
        at = end;
    }
    whole.extend(&message[at..data.end]);
    whole
}
