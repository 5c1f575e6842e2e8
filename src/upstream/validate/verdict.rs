//! From the validator's proofs to what a client is told.

use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::dnssec::Proof;
use hickory_resolver::proto::op::{DnsResponse, Message};
use hickory_resolver::proto::rr::{Record, RecordType};
use hickory_resolver::proto::serialize::binary::BinEncodable;

use super::super::UpstreamError;
use super::super::message::{Ask, Response};
use super::wildcard;
use crate::time::Timestamp;
use crate::wire::{Layout, LowerName, Malformed, Name, RecordAt, Section, be32, ede, qtype, rcode, without};

/// Signatures of one message that are looked at; more is an attack (CVE-2023-50387).
const SIGNATURES_MAX: usize = 64;
/// Keys of one message that are looked at. The largest zones have fewer than ten.
const KEYS_MAX: usize = 32;
/// The AD bit, in the fourth octet of a header (RFC 4035 §3.2.3).
const AD: u8 = 0x20;

/// An answer that is not what its zone has signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .text)]
pub struct Bogus {
    /// The extended error (RFC 8914 §4.6 to 4.13).
    pub code: u16,
    /// The same in words.
    pub text: &'static str,
}

impl Bogus {
    const FALSE: Self = Self { code: ede::DNSSEC_BOGUS, text: "a signature of the answer is not valid" };
    const EXPIRED: Self = Self { code: ede::SIGNATURE_EXPIRED, text: "the answer's signatures have expired" };
    const EARLY: Self = Self { code: ede::SIGNATURE_NOT_YET_VALID, text: "the answer's signatures are not valid yet" };
    const UNSIGNED: Self = Self { code: ede::RRSIGS_MISSING, text: "the zone is signed and the answer is not" };
    const UNPROVEN: Self = Self { code: ede::NSEC_MISSING, text: "nothing proves that there is no such record" };
    const EXCESS: Self = Self { code: ede::DNSSEC_BOGUS, text: "the answer has more signatures than are looked at" };
}

/// What the proofs come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Secure,
    Insecure,
    Bogus(Bogus),
}

/// What the validator said of an answer.
pub(super) enum Proven {
    /// Each record with its proof.
    Records(Box<Message>),
    /// What it says of names or records that are not there has this proof; beside it, each record with its own.
    Absence(Proof, Box<Message>),
    /// It could not be read or followed.
    Not,
}

impl Proven {
    pub(super) fn unreadable() -> Self {
        Self::Not
    }
}

impl From<Result<DnsResponse, NetError>> for Proven {
    fn from(proven: Result<DnsResponse, NetError>) -> Self {
        match proven {
            Ok(response) => Self::Records(Box::new(response.into_parts().0)),
            Err(NetError::Dns(DnsError::Nsec { proof, response, .. })) => {
                Self::Absence(proof, Box::new(response.into_parts().0))
            }
            Err(_error) => Self::Not,
        }
    }
}

/// Whether a message has more keys or signatures than an honest one.
pub(super) fn too_much_to_verify(message: &Message) -> bool {
    let count = |rtype| message.all_sections().filter(|record| record.record_type() == rtype).count();
    count(RecordType::RRSIG) > SIGNATURES_MAX || count(RecordType::DNSKEY) > KEYS_MAX
}

/// One answer before its judgement.
pub(super) struct Judge<'a> {
    ask: &'a Ask,
    response: Response,
    now: Timestamp,
}

impl<'a> Judge<'a> {
    pub(super) fn new(ask: &'a Ask, response: Response, now: Timestamp) -> Self {
        Self { ask, response, now }
    }

    pub(super) fn message(&self) -> &[u8] {
        &self.response.message
    }

    /// Whether it says that something is there or is not there.
    pub(super) fn is_answer(&self) -> bool {
        matches!(self.response.rcode, rcode::NOERROR | rcode::NXDOMAIN)
    }

    /// Looks at how much there is to verify, before anything is.
    pub(super) fn bounded(&self) -> Result<(), Bogus> {
        let signatures = self.response.layout.records.iter().filter(|record| record.rtype == qtype::RRSIG).count();
        if signatures > SIGNATURES_MAX { Err(Bogus::EXCESS) } else { Ok(()) }
    }

    /// What the proofs come to. `exempt` says which names are not validated.
    pub(super) fn verdict(&self, proven: &Proven, exempt: impl Fn(&Name) -> bool) -> Verdict {
        match proven {
            Proven::Records(message) => self.of_records(message, exempt),
            Proven::Absence(Proof::Insecure, _) => Verdict::Insecure,
            Proven::Absence(_, message) if wildcard::are_closest(message) => self.of_records(message, exempt),
            Proven::Absence(..) | Proven::Not if self.ends_exempt(&exempt) => Verdict::Insecure,
            Proven::Absence(..) => Verdict::Bogus(self.why(Bogus::UNPROVEN)),
            Proven::Not => Verdict::Bogus(self.why(Bogus::FALSE)),
        }
    }

    /// A positive answer stands and falls with its answer section, a negative one with what proves it.
    fn of_records(&self, message: &Message, exempt: impl Fn(&Name) -> bool) -> Verdict {
        let signed = |record: &&Record| record.record_type() != RecordType::RRSIG;
        let of = |records: &[Record]| -> Vec<Proof> {
            let proof = |record: &Record| {
                let covered = our_name(record).is_some_and(|name| exempt(&name));
                if covered { Proof::Insecure } else { record.proof }
            };
            records.iter().filter(signed).map(proof).collect()
        };
        let mut proofs = of(&message.answers);
        let negative = proofs.is_empty() || !self.has_what_was_asked(message);
        if negative {
            proofs.extend(of(&message.authorities));
        }
        // A proof that is neither was never looked for: such a record may have been slipped in.
        if proofs.iter().any(|proof| matches!(proof, Proof::Bogus | Proof::Indeterminate)) {
            return Verdict::Bogus(self.why(Bogus::FALSE));
        }
        let secure = !proofs.is_empty() && proofs.iter().all(Proof::is_secure);
        if secure { Verdict::Secure } else { Verdict::Insecure }
    }

    fn has_what_was_asked(&self, message: &Message) -> bool {
        let asked = |record: &Record| u16::from(record.record_type()) == self.ask.qtype || self.ask.qtype == qtype::ANY;
        message.answers.iter().any(asked)
    }

    /// Whether the chain of the answer ends at a name that is exempt.
    fn ends_exempt(&self, exempt: &impl Fn(&Name) -> bool) -> bool {
        let cnames = self.response.layout.section(Section::Answer).filter(|record| record.rtype == qtype::CNAME);
        let targets =
            cnames.filter_map(|record| LowerName::read_compressed(&self.response.message, record.rdata.start).ok());
        targets.into_iter().any(|(target, _end)| exempt(&Name::from(&target)))
    }

    /// The reason that an operator can act on, as far as the signatures show it; else `otherwise`.
    fn why(&self, otherwise: Bogus) -> Bogus {
        let now = self.now.as_second();
        let times: Vec<(i64, i64)> = self.signatures().filter_map(|record| self.validity(record)).collect();
        match times.as_slice() {
            [] => Bogus::UNSIGNED,
            times if times.iter().all(|(_from, until)| *until < now) => Bogus::EXPIRED,
            times if times.iter().all(|(from, _until)| *from > now) => Bogus::EARLY,
            _ => otherwise,
        }
    }

    fn signatures(&self) -> impl Iterator<Item = &RecordAt> {
        self.response.layout.records.iter().filter(|record| record.rtype == qtype::RRSIG)
    }

    /// From when until when a signature is valid, in seconds since 1970. The field has 32 bits and goes round
    /// (RFC 4034 §3.1.5): it means the moment closest to now.
    fn validity(&self, record: &RecordAt) -> Option<(i64, i64)> {
        let now = self.now.as_second();
        let moment = |at: usize| {
            let seconds = i64::from(be32(&self.response.message, record.rdata.start + at).ok()?);
            let turn = 1_i64 << 32;
            Some(now + (seconds - now + turn / 2).rem_euclid(turn) - turn / 2)
        };
        Some((moment(12)?, moment(8)?))
    }

    /// The response as the upstream gave it.
    pub(super) fn unjudged(self) -> Response {
        self.response
    }

    /// The answer, proven. No TTL outlasts a signature (RFC 4035 §5.3.3).
    pub(super) fn secure(mut self) -> Result<Response, UpstreamError> {
        let now = self.now.as_second();
        let left = self.signatures().filter_map(|record| self.validity(record)).map(|(_from, until)| until - now).min();
        let ttl_max = u32::try_from(left.unwrap_or(i64::from(u32::MAX)).max(0)).unwrap_or(u32::MAX);
        let Response { message, layout, .. } = &mut self.response;
        for record in layout.records.iter_mut().filter(|record| record.rtype != qtype::OPT) {
            record.ttl = record.ttl.min(ttl_max);
            let at = record.ttl_offset();
            message[at..at + 4].copy_from_slice(&record.ttl.to_be_bytes());
        }
        message[3] |= AD;
        self.for_client()
    }

    /// The answer of a zone that is not signed.
    pub(super) fn insecure(mut self) -> Result<Response, UpstreamError> {
        self.response.message[3] &= !AD;
        self.for_client()
    }

    /// Without the DNSSEC records that a client without DO has not asked for (RFC 4035 §3.2.1).
    fn for_client(self) -> Result<Response, UpstreamError> {
        let Self { ask, mut response, .. } = self;
        let unasked = |record: &RecordAt| {
            matches!(record.rtype, qtype::RRSIG | qtype::NSEC | qtype::NSEC3) && record.rtype != ask.qtype
        };
        if ask.dnssec_ok || ask.qtype == qtype::ANY || !response.layout.records.iter().any(unasked) {
            return Ok(response);
        }
        let unusable = |_malformed: Malformed| UpstreamError::Unusable;
        response.message = without(&response.message, &response.layout, unasked).map_err(unusable)?;
        response.layout = Layout::read(&response.message).map_err(unusable)?;
        Ok(response)
    }
}

/// The owner of one of hickory's records.
fn our_name(record: &Record) -> Option<Name> {
    let wire = record.name.to_lowercase().to_bytes().ok()?;
    LowerName::read(&wire, 0).ok().map(|(name, _end)| Name::from(&name))
}
