//! A small world of zones, signed with keys made for each run, and whoever is asked about it.

use std::collections::HashMap;
use std::str::FromStr as _;
use std::sync::Mutex;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use hickory_resolver::proto::dnssec::crypto::EcdsaSigningKey;
use hickory_resolver::proto::dnssec::rdata::{DNSKEY, DNSSECRData, DS, NSEC, RRSIG, SigInput};
use hickory_resolver::proto::dnssec::{Algorithm, DigestType, SigningKey as _, TBS};
use hickory_resolver::proto::op::{Message, OpCode, Query, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, CNAME, NAPTR, NS, SOA};
use hickory_resolver::proto::rr::{DNSClass, Name as HickoryName, RData, Record, RecordType, SerialNumber};

use super::super::{Anchors, Questions};
use crate::clock::Clock;
use crate::upstream::UpstreamError;
use crate::upstream::ask::Ask;
use crate::wire::Name;

/// TTL of every record.
pub(super) const TTL: u32 = 3600;
/// Seconds of a day.
const DAY: i64 = 86_400;

pub(super) fn name(text: &str) -> HickoryName {
    HickoryName::from_str(&format!("{}.", text.trim_end_matches('.'))).unwrap()
}

/// When a signature is valid.
#[derive(Clone, Copy)]
pub(super) enum When {
    Now,
    Past,
    Future,
    /// Now, and for so many seconds more.
    For(i64),
}

/// A zone's name and key.
pub(super) struct Zone {
    apex: HickoryName,
    key: EcdsaSigningKey,
}

impl Zone {
    pub(super) fn new(apex: &str) -> Self {
        let pkcs8 = EcdsaSigningKey::generate_pkcs8(Algorithm::ECDSAP256SHA256).unwrap();
        Self { apex: name(apex), key: EcdsaSigningKey::from_pkcs8(&pkcs8, Algorithm::ECDSAP256SHA256).unwrap() }
    }

    fn dnskey(&self) -> DNSKEY {
        DNSKEY::from_key(&self.key.to_public_key().unwrap())
    }

    /// The key as an anchor.
    pub(super) fn anchors(&self) -> Anchors {
        let line = format!("{} {TTL} IN DNSKEY {}\n", self.apex, self.dnskey());
        Anchors::from_text(&line).unwrap()
    }

    pub(super) fn keys(&self) -> Vec<Record> {
        vec![self.at("", RData::DNSSEC(DNSSECRData::DNSKEY(self.dnskey())))]
    }

    /// What the zone above says of this one.
    pub(super) fn ds(&self) -> RData {
        let ds = DS::from_key(&self.key.to_public_key().unwrap(), &self.apex, DigestType::SHA256).unwrap();
        RData::DNSSEC(DNSSECRData::DS(ds))
    }

    pub(super) fn soa(&self) -> Record {
        let host = name("host.invalid");
        self.at("", RData::SOA(SOA::new(host.clone(), host, 1, 3600, 600, 86_400, 300)))
    }

    /// A record at a name of this zone; "" is the apex.
    pub(super) fn at(&self, label: &str, data: RData) -> Record {
        let owner = if label.is_empty() { self.apex.clone() } else { name(label).append_domain(&self.apex).unwrap() };
        Record::from_rdata(owner, TTL, data)
    }

    /// That between this name and the next nothing is, and at this one only these types.
    pub(super) fn nsec(&self, label: &str, next: &str, types: &[RecordType]) -> Record {
        let next = name(next).append_domain(&self.apex).unwrap();
        let nsec = NSEC::new_cover_self(next, types.iter().copied());
        self.at(label, RData::DNSSEC(DNSSECRData::NSEC(nsec)))
    }

    /// The records with their signature.
    pub(super) fn signed(&self, records: Vec<Record>, when: When) -> Vec<Record> {
        let owner = records[0].name.clone();
        let labels = owner.num_labels();
        self.signed_as(records, &owner, labels, when)
    }

    /// The records with the signature of a wildcard, `owner`.
    pub(super) fn signed_as(
        &self,
        mut records: Vec<Record>,
        owner: &HickoryName,
        labels: u8,
        when: When,
    ) -> Vec<Record> {
        let now = Clock::system().now().wall.as_second();
        let (from, until) = match when {
            When::Now => (now - DAY, now + DAY),
            When::Past => (now - 3 * DAY, now - DAY),
            When::Future => (now + DAY, now + 3 * DAY),
            When::For(seconds) => (now - DAY, now + seconds),
        };
        let serial = |second: i64| SerialNumber::new(u32::try_from(second).unwrap());
        let input = SigInput {
            type_covered: records[0].record_type(),
            algorithm: self.key.algorithm(),
            num_labels: labels,
            original_ttl: TTL,
            sig_expiration: serial(until),
            sig_inception: serial(from),
            key_tag: self.dnskey().calculate_key_tag().unwrap(),
            signer_name: self.apex.clone(),
        };
        let tbs = TBS::from_input(owner, DNSClass::IN, &input, records.iter()).unwrap();
        let signature = RRSIG::from_sig(input, self.key.sign(&tbs).unwrap());
        let data = RData::DNSSEC(DNSSECRData::RRSIG(signature));
        records.push(Record::from_rdata(records[0].name.clone(), TTL, data));
        records
    }
}

pub(super) fn address(last: u8) -> RData {
    RData::A(A::new(192, 0, 2, last))
}

pub(super) fn alias(target: &str) -> RData {
    RData::CNAME(CNAME(name(target)))
}

pub(super) fn server(target: &str) -> RData {
    RData::NS(NS(name(target)))
}

pub(super) fn rewriting(to: &str) -> RData {
    let text = |text: &str| text.as_bytes().into();
    RData::NAPTR(NAPTR::new(1, 2, text("s"), text("SIP+D2U"), text(""), name(to)))
}

/// What is answered to whom asks; every other question has no answer.
#[derive(Default)]
pub(super) struct World {
    answers: HashMap<(String, u16), Vec<u8>>,
    /// Names that nothing is asked about, their DS left out.
    pub(super) barred: Vec<&'static str>,
    /// Names that whoever is asked about says nothing of, for ever.
    pub(super) silent: Vec<&'static str>,
    /// What was asked, in order.
    pub(super) asked: Mutex<Vec<String>>,
}

impl World {
    /// Gives an answer to a question.
    pub(super) fn says(
        &mut self,
        question: (&str, RecordType),
        code: ResponseCode,
        answers: Vec<Record>,
        authorities: Vec<Record>,
    ) {
        let mut message = Message::response(0, OpCode::Query);
        message.add_query(Query::query(name(question.0), question.1));
        message.metadata.response_code = code;
        message.metadata.recursion_available = true;
        // An upstream's word for it is worth nothing here.
        message.metadata.authentic_data = true;
        message.insert_answers(answers);
        message.insert_authorities(authorities);
        self.answers.insert((question.0.to_owned(), question.1.into()), message.to_vec().unwrap());
    }

    /// Gives records as the answer.
    pub(super) fn has(&mut self, question: (&str, RecordType), answers: Vec<Record>) {
        self.says(question, ResponseCode::NoError, answers, Vec::new());
    }
}

impl Questions for World {
    fn ask(&self, ask: Ask) -> BoxFuture<'_, Result<Vec<u8>, UpstreamError>> {
        assert!(ask.dnssec_ok && ask.checking_disabled, "{ask:?}");
        let text = Name::to_string(&ask.name);
        self.asked.lock().unwrap().push(format!("{text} {}", ask.qtype));
        let answer = self.answers.get(&(text, ask.qtype)).cloned();
        if self.silent.iter().any(|silent| *silent == Name::to_string(&ask.name)) {
            return std::future::pending().boxed();
        }
        async move { answer.ok_or(UpstreamError::Timeout { asked: 1 }) }.boxed()
    }

    fn bars(&self, name: &Name, qtype: u16) -> bool {
        let barred = self.barred.iter().any(|barred| barred == &name.to_string());
        barred && qtype != crate::wire::qtype::DS
    }
}
