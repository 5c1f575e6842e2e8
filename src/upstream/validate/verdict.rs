//! From the validator's proofs to what a client is told.

use std::collections::HashMap;

use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::dnssec::Proof;
use hickory_resolver::proto::op::{DnsResponse, Message};
use hickory_resolver::proto::rr::{Name as HickoryName, Record, RecordType};
use hickory_resolver::proto::serialize::binary::BinEncodable;

use super::super::UpstreamError;
use super::super::ask::Ask;
use super::super::message::Response;
use super::handle::hickory_name;
use super::led::{Fault, Led};
use crate::time::Timestamp;
use crate::wire::{Layout, LowerName, Malformed, Name, RecordAt, Section, be16, be32, ede, qtype, rcode, without};

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Secure,
    Insecure,
    /// With the name of the record, or of what is not there, which is to blame.
    Bogus(Bogus, Option<Name>),
}

/// What hickory's validator said of an answer.
pub(super) struct Proven {
    /// Each record with its proof. What it says of names and records that are not there is not asked: see
    /// [`denial`](super::denial).
    pub(super) message: Box<Message>,
    /// Whether it took the whole: without records in the authority section it does so only where the name asked for has an
    /// answer, or is proven to be in a zone that is not signed.
    pub(super) taken: bool,
}

impl Proven {
    /// `None`: it could not be read or followed.
    pub(super) fn read(said: Result<DnsResponse, NetError>) -> Option<Self> {
        let (response, taken) = match said {
            Ok(response) => (response, true),
            Err(NetError::Dns(DnsError::Nsec { response, .. })) => (*response, false),
            Err(_error) => return None,
        };
        Some(Self { message: Box::new(response.into_parts().0), taken })
    }

    /// The TTLs of proven `RRsets`, by owner and type: the validator has lowered them to what the signature allows.
    fn ttls(&self) -> HashMap<(Name, u16), u32> {
        let proven = self.message.all_sections().filter(|record| record.proof.is_secure());
        proven.filter_map(|record| Some(((our_name(&record.name)?, record.record_type().into()), record.ttl))).collect()
    }

    /// Records beside the answer that a secure answer is given without, by owner and type: what is not proven in the authority
    /// section, which AD speaks of too (RFC 4035 §3.2.3), and what is false in the additional.
    fn unproven_beside(&self) -> Vec<(Name, u16)> {
        let authorities = self.message.authorities.iter().filter(|record| !record.proof.is_secure());
        let false_one = |record: &&Record| matches!(record.proof, Proof::Bogus | Proof::Indeterminate);
        let beside = authorities.chain(self.message.additionals.iter().filter(false_one));
        let rrset = |record: &Record| Some((our_name(&record.name)?, u16::from(record.record_type())));
        beside.filter(|record| record.record_type() != RecordType::RRSIG).filter_map(rrset).collect()
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
    pub(super) fn verdict(&self, proven: Option<&Proven>, exempt: impl Fn(&Name) -> bool) -> Verdict {
        let (Some(proven), Some(name)) = (proven, hickory_name(&self.ask.name)) else {
            return Verdict::Bogus(self.why(Bogus::FALSE), None);
        };
        let led = Led::new(proven, |name: &HickoryName| our_name(name).is_some_and(|name| exempt(&name)));
        match led.is_secure(&name, RecordType::from(self.ask.qtype)) {
            Ok(true) => Verdict::Secure,
            Ok(false) => Verdict::Insecure,
            Err(Fault::False(name)) => Verdict::Bogus(self.why(Bogus::FALSE), our_name(&name)),
            Err(Fault::Unproven(name)) => Verdict::Bogus(self.why(Bogus::UNPROVEN), our_name(&name)),
        }
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

    /// The response as the upstream gave it, of which nothing is proven.
    pub(super) fn unjudged(mut self) -> Response {
        self.response.message[3] &= !AD;
        self.response
    }

    /// The answer, proven. No TTL is more than the signature allows that the validator found good (RFC 4035 §5.3.3): neither
    /// its time left nor the TTL that the zone has signed.
    pub(super) fn secure(mut self, proven: Option<&Proven>) -> Result<Response, UpstreamError> {
        let unproven = proven.map(Proven::unproven_beside).unwrap_or_default();
        if !unproven.is_empty() {
            self.drop_beside(&unproven)?;
        }
        let allowed = proven.map(Proven::ttls).unwrap_or_default();
        let Response { message, layout, .. } = &mut self.response;
        for record in layout.records.iter_mut().filter(|record| record.rtype != qtype::OPT) {
            let Some(&allowed) = rrset_of(message, record).and_then(|rrset| allowed.get(&rrset)) else { continue };
            record.ttl = record.ttl.min(allowed);
            let at = record.ttl_offset();
            message[at..at + 4].copy_from_slice(&record.ttl.to_be_bytes());
        }
        message[3] |= AD;
        self.for_client()
    }

    /// Leaves out record sets of the authority and additional sections, with their signatures.
    fn drop_beside(&mut self, sets: &[(Name, u16)]) -> Result<(), UpstreamError> {
        let Response { message, layout, .. } = &mut self.response;
        let dropped = |record: &RecordAt| {
            record.section != Section::Answer && rrset_of(message, record).is_some_and(|rrset| sets.contains(&rrset))
        };
        let without = without(message, layout, dropped).map_err(unusable)?;
        (*layout, *message) = (Layout::read(&without).map_err(unusable)?, without);
        Ok(())
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
        response.message = without(&response.message, &response.layout, unasked).map_err(unusable)?;
        response.layout = Layout::read(&response.message).map_err(unusable)?;
        Ok(response)
    }
}

/// Owner and type of the `RRset` that a record belongs to; a signature goes with what it covers.
fn rrset_of(message: &[u8], record: &RecordAt) -> Option<(Name, u16)> {
    let (owner, _end) = LowerName::read_compressed(message, record.start).ok()?;
    let rtype = if record.rtype == qtype::RRSIG { be16(message, record.rdata.start).ok()? } else { record.rtype };
    Some((Name::from(&owner), rtype))
}

fn unusable(_malformed: Malformed) -> UpstreamError {
    UpstreamError::Unusable
}

/// One of hickory's names as one of ours.
fn our_name(name: &HickoryName) -> Option<Name> {
    let wire = name.to_lowercase().to_bytes().ok()?;
    LowerName::read(&wire, 0).ok().map(|(name, _end)| Name::from(&name))
}
