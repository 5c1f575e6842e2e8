//! The reader of queries against hickory's reader of messages: both say the same, or a reason named here is true.

use embargo::wire::{Edns, HEADER, QUERY_MAX, Query, Unfit, qtype};
use hickory_resolver::proto::op::{Message, MessageType, OpCode};
use hickory_resolver::proto::rr::{Name, Record, RecordType};
use hickory_resolver::proto::serialize::binary::{BinDecodable, BinDecoder, BinEncodable};

/// Why we refuse what hickory reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stricter {
    /// QR=1: two servers could answer each other for ever.
    Response,
    /// An opcode other than QUERY.
    Opcode,
    /// Longer than any query needs to be.
    Long,
    /// Not one question (RFC 9619).
    Questions,
    /// Records in the answer or authority section, where no query but IXFR has one.
    Records,
    /// Octets behind the last record, which hickory leaves unread.
    Trailing,
    /// A compressed QNAME: before it there is only the header to point at.
    CompressedQname,
    /// An OPT record whose root owner is written as a pointer to some zero.
    OptOwner,
    /// An EDNS option that is cut, for which hickory forgets all options.
    Options,
    /// A DNAME record, whose data hickory does not read.
    Dname,
}

/// Why hickory refuses what we read: it decodes what a forwarder has no use for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Laxer {
    /// A record beside OPT in the additional section: its owner and its data, or its place behind a signature.
    Record,
    /// The data of an EDNS option, or its length.
    Option,
}

/// Holds the property for one message.
pub(crate) fn check(octets: &[u8]) {
    let mut decoder = BinDecoder::new(octets);
    match (Query::read(octets), Message::read(&mut decoder)) {
        (Ok(query), Ok(message)) => {
            assert!(decoder.is_empty(), "we read to the last octet");
            same(&query, &message);
        }
        (Ok(query), Err(error)) => {
            assert!(laxer(&query).is_some(), "hickory refuses without a known reason: {error}");
        }
        (Err(unfit), Ok(message)) => {
            let reason = stricter(octets, &message, decoder.is_empty());
            let reason = reason.unwrap_or_else(|| panic!("we refuse without a known reason: {unfit:?}"));
            let fits = match unfit {
                Unfit::Short => false,
                Unfit::Response => reason == Stricter::Response,
                Unfit::Opcode => reason == Stricter::Opcode,
                Unfit::CookieOnly(_) => reason == Stricter::Questions && message.queries.is_empty(),
                Unfit::FormErr => !matches!(reason, Stricter::Response | Stricter::Opcode),
            };
            assert!(fits, "{unfit:?} for {reason:?}");
        }
        (Err(_), Err(_)) => (),
    }
}

/// Both have read the same.
fn same(query: &Query<'_>, message: &Message) {
    let [question] = &*message.queries else { panic!("{} questions", message.queries.len()) };
    let metadata = &message.metadata;
    assert_eq!((metadata.message_type, metadata.op_code), (MessageType::Query, OpCode::Query));
    assert_eq!(query.id(), metadata.id);
    assert_eq!(query.recursion_desired(), metadata.recursion_desired);
    assert_eq!(query.checking_disabled(), metadata.checking_disabled);
    assert_eq!(query.qtype, u16::from(question.query_type));
    assert_eq!(query.qclass, u16::from(question.query_class));
    assert_eq!(query.qname_as_sent(), wire(&question.name));
    assert_eq!(query.name.wire(), query.qname_as_sent().to_ascii_lowercase());
    let edns = message.edns.as_ref();
    assert_eq!(
        query.edns.map(|edns| (edns.version, edns.dnssec_ok, edns.payload)),
        edns.map(|edns| (edns.version(), edns.flags().dnssec_ok, edns.max_payload().max(512)))
    );
    let dnssec_ok = edns.is_some_and(|edns| edns.flags().dnssec_ok);
    assert_eq!(query.dnssec_ok(), dnssec_ok);
    assert_eq!(query.wants_authentic_data(), metadata.authentic_data || dnssec_ok);
    assert!((512..=1232).contains(&query.udp_limit(1232)));
    let signature = |record: &Record| record.record_type() == RecordType::from(qtype::TSIG);
    assert_eq!(query.signed, message.signature.is_some() || message.additionals.iter().any(signature));
}

/// The octets of a name, without compression.
fn wire(name: &Name) -> Vec<u8> {
    name.to_bytes().expect("a name that was read can be written")
}

/// The first reason that is true, found in hickory's own reading.
fn stricter(octets: &[u8], message: &Message, whole: bool) -> Option<Stricter> {
    let reasons = [
        (message.metadata.message_type == MessageType::Response, Stricter::Response),
        (message.metadata.op_code != OpCode::Query, Stricter::Opcode),
        (octets.len() > QUERY_MAX, Stricter::Long),
        (message.queries.len() != 1, Stricter::Questions),
        (octets[6..10] != [0; 4], Stricter::Records),
        (!whole, Stricter::Trailing),
    ];
    let plain = reasons.into_iter().find(|(holds, _reason)| *holds).map(|(_holds, reason)| reason);
    plain.or_else(|| compressed(octets, message)).or_else(|| in_additional(octets, message))
}

fn compressed(octets: &[u8], message: &Message) -> Option<Stricter> {
    let name = wire(&message.queries[0].name);
    (octets.get(HEADER..HEADER + name.len()) != Some(&*name)).then_some(Stricter::CompressedQname)
}

fn in_additional(octets: &[u8], message: &Message) -> Option<Stricter> {
    let mut decoder = BinDecoder::new(octets);
    let question = HEADER + wire(&message.queries[0].name).len() + 4;
    decoder.read_slice(question).ok()?;
    while !decoder.is_empty() {
        let start = decoder.index();
        let owner = octets[start];
        let record = Record::read(&mut decoder).ok()?;
        if record.record_type() == RecordType::OPT && owner != 0 {
            return Some(Stricter::OptOwner);
        }
        if record.record_type() == RecordType::OPT && is_cut(&octets[start + 11..decoder.index()]) {
            return Some(Stricter::Options);
        }
        if u16::from(record.record_type()) == qtype::DNAME {
            return Some(Stricter::Dname);
        }
    }
    None
}

/// Whether EDNS options end in one that is not whole.
fn is_cut(options: &[u8]) -> bool {
    let [_, _, high, low, rest @ ..] = options else { return !options.is_empty() };
    rest.get(usize::from(u16::from_be_bytes([*high, *low]))..).is_none_or(is_cut)
}

/// The reason why hickory refuses a query, if that is one we know: without the records beside OPT, and without options, it
/// reads the same query that we do.
fn laxer(query: &Query<'_>) -> Option<Laxer> {
    let (head, [_, _]) = query.message[..HEADER].split_last_chunk::<2>()?;
    let rest = &query.message[query.question_end..];
    let mut bare = [head, &[0, u8::from(query.edns.is_some())], &query.message[HEADER..query.question_end]].concat();
    if let Some(edns) = query.edns {
        bare.extend([0, 0, 41]);
        bare.extend(edns.payload.to_be_bytes());
        bare.extend([0, edns.version, u8::from(edns.dnssec_ok) << 7, 0, 0, 0]);
    }
    let message = Message::from_vec(&bare).expect("hickory reads the question and the OPT record");
    let bare = Query::read(&bare).expect("so do we");
    same(&bare, &message);
    let without_options = query.edns.map(|edns| Edns { options: None, ..edns });
    assert_eq!((&bare.name, bare.edns), (&query.name, without_options));
    let opt_only = query.edns.is_some() && query.message[10..HEADER] == [0, 1];
    // A whole OPT record without options leaves hickory nothing to dislike, and neither does nothing at all.
    match (opt_only, rest.len()) {
        (_, 0) | (true, 11) => None,
        (true, _) => Some(Laxer::Option),
        (false, _) => Some(Laxer::Record),
    }
}
