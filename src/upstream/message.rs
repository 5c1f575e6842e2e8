//! The judgement of what came back for a query of ours.

use std::ops::RangeInclusive;

use super::ask::Ask;
use crate::wire::{
    HEADER, Layout, LowerName, Malformed, Section, Subnet, aliases_circle, be16, extended_errors, qtype, rcode,
};

/// Bits of the second 16 in a header (RFC 1035 §4.1.1, RFC 4035 §3).
const QR: u16 = 0x8000;
const OPCODE: u16 = 0x7800;
const AA: u16 = 0x0400;
const TC: u16 = 0x0200;
const RA: u16 = 0x0080;
const RCODE: u16 = 0x000F;
/// Errors of validation: another upstream that does not validate would only hide them (RFC 8914 §4.6 to 4.13).
const EDE_VALIDATION: RangeInclusive<u16> = 5..=12;

/// An upstream's response.
#[derive(Clone, Debug)]
pub struct Response {
    /// The whole message as received, the id included, which is ours and no client's.
    pub message: Vec<u8>,
    /// Where everything stands in it.
    pub layout: Layout,
    /// RCODE with the upper bits from the OPT record (RFC 6891 §6.1.3).
    pub rcode: u16,
    /// Index of the upstream in the configuration.
    pub upstream: usize,
}

/// A [`Response`] that stands in the buffer it was received into.
#[derive(Clone, Copy, Debug)]
pub struct ResponseRef<'r> {
    /// As [`Response::message`]; the case of our question is taken back to lower.
    pub message: &'r [u8],
    /// As [`Response::layout`].
    pub layout: &'r Layout,
    /// As [`Response::rcode`].
    pub rcode: u16,
    /// As [`Response::upstream`].
    pub upstream: usize,
    /// Whether its AD bit is believed.
    pub authentic: bool,
}

/// Why a datagram was no response to our query and was ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BadPacket {
    /// Shorter than a header; empty too.
    Short,
    /// From another address than the upstream's: it came before the socket was connected.
    Source,
    /// Another id: a guess of a forger, or a very late answer of someone else.
    Id,
    /// QR is 0: a query.
    Query,
    /// An opcode other than ours.
    Opcode,
    /// Another question, none, or more than one.
    Question,
    /// Our question in another case than we asked it in: a guess of a forger, or a server that does not keep case.
    Case,
    /// The records are no records.
    Malformed,
}

impl BadPacket {
    /// Every reason.
    pub const ALL: [Self; 8] =
        [Self::Short, Self::Source, Self::Id, Self::Query, Self::Opcode, Self::Question, Self::Case, Self::Malformed];

    /// The word for it in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Source => "source",
            Self::Id => "id",
            Self::Query => "query",
            Self::Opcode => "opcode",
            Self::Question => "question",
            Self::Case => "case",
            Self::Malformed => "malformed",
        }
    }
}

/// What a response to our query is.
#[derive(Debug)]
pub(super) enum Judged {
    /// A whole response.
    Whole(Box<Response>),
    /// The answer did not fit a datagram; ask over TCP.
    Truncated,
    /// A header that says FORMERR or NOTIMP and nothing else: a server from before EDNS (RFC 6891 §7).
    Bare(u16),
    /// A whole response that leads nowhere: a referral, or aliases in a circle. Another upstream may know better.
    Useless,
}

impl Ask {
    /// Judges octets that may be the response to this question. `id` is that of our query, or `None` where the
    /// transport has matched it. `cut` says that the octets are only the beginning of the message.
    pub(super) fn judge(
        &self,
        message: Vec<u8>,
        id: Option<u16>,
        cut: bool,
        upstream: usize,
    ) -> Result<Judged, BadPacket> {
        let their_id = id_of(&message)?;
        if id.is_some_and(|id| id != their_id) {
            return Err(BadPacket::Id);
        }
        let ours = |message: &[u8]| if self.is_question_of(message) { Ok(()) } else { Err(BadPacket::Question) };
        let mut layout = Layout::empty();
        Ok(match judge(&message, cut, &mut layout, ours)? {
            // The network is part of the question (RFC 7871 §7.3).
            Found::Whole(_) if !self.is_for_subnet(&message, &layout) => return Err(BadPacket::Question),
            Found::Whole(rcode) => Judged::Whole(Box::new(Response { message, layout, rcode, upstream })),
            Found::Truncated => Judged::Truncated,
            Found::Bare(rcode) => Judged::Bare(rcode),
            Found::Useless => Judged::Useless,
        })
    }

    /// Whether a response is for the network that was asked for, if it says for which it is.
    fn is_for_subnet(&self, message: &[u8], layout: &Layout) -> bool {
        let Some(asked) = &self.subnet else { return true };
        Subnet::of_response(message, layout).is_ok_and(|told| told.is_none_or(|told| told.is_for(asked)))
    }

    /// Whether the message's first question is ours; the name may differ in case (RFC 4343).
    fn is_question_of(&self, message: &[u8]) -> bool {
        LowerName::read(message, HEADER).is_ok_and(|(name, end)| {
            name.wire() == self.name.wire()
                && be16(message, end) == Ok(self.qtype)
                && be16(message, end + 2) == Ok(self.qclass)
        })
    }
}

/// The id of a message that is long enough to be one.
pub(super) fn id_of(message: &[u8]) -> Result<u16, BadPacket> {
    match message.first_chunk::<HEADER>() {
        Some(header) => Ok(u16::from_be_bytes([header[0], header[1]])),
        None => Err(BadPacket::Short),
    }
}

/// What octets are that have the right id.
pub(super) enum Found {
    /// As [`Judged::Whole`], with this RCODE.
    Whole(u16),
    /// As [`Judged::Truncated`].
    Truncated,
    /// As [`Judged::Bare`].
    Bare(u16),
    /// As [`Judged::Useless`].
    Useless,
}

/// Judges octets whose id is right. `is_ours` compares the question, of which it finds exactly one; `layout` is filled when
/// the response is whole, and `cut` says that the octets are only the beginning of the message.
pub(super) fn judge(
    message: &[u8],
    cut: bool,
    layout: &mut Layout,
    is_ours: impl FnOnce(&[u8]) -> Result<(), BadPacket>,
) -> Result<Found, BadPacket> {
    let short = |_malformed: Malformed| BadPacket::Short;
    let (flags, questions) = (be16(message, 2).map_err(short)?, be16(message, 4).map_err(short)?);
    if flags & QR == 0 {
        return Err(BadPacket::Query);
    }
    if flags & OPCODE != 0 {
        return Err(BadPacket::Opcode);
    }
    let rcode = flags & RCODE;
    if questions == 0 && matches!(rcode, rcode::FORMERR | rcode::NOTIMP) {
        return Ok(Found::Bare(rcode));
    }
    if questions != 1 {
        return Err(BadPacket::Question);
    }
    is_ours(message)?;
    if cut || flags & TC != 0 {
        return Ok(Found::Truncated);
    }
    layout.read_over(message).map_err(|_malformed| BadPacket::Malformed)?;
    let rcode = layout.opt().map_or(rcode, |opt| rcode | (upper_rcode(opt.ttl) << 4));
    let useless = is_answer(rcode) && (is_lame(layout, flags, rcode) || aliases_circle(message, layout));
    Ok(if useless { Found::Useless } else { Found::Whole(rcode) })
}

/// Whether a server has sent us elsewhere, or nowhere, instead of asking for us: NOERROR with nothing in it but name servers
/// is a referral (RFC 2308 §2.2), and with nothing at all it is the word of one that offers no recursion. One that has
/// authority may say either.
fn is_lame(layout: &Layout, flags: u16, rcode: u16) -> bool {
    if rcode != rcode::NOERROR || flags & AA != 0 || layout.section(Section::Answer).next().is_some() {
        return false;
    }
    let has = |rtype| layout.section(Section::Authority).any(|record| record.rtype == rtype);
    !has(qtype::SOA) && (has(qtype::NS) || flags & RA == 0)
}

/// The upper eight bits of the RCODE, which stand where an ordinary record has the top of its TTL.
fn upper_rcode(ttl: u32) -> u16 {
    u16::from(ttl.to_be_bytes()[0])
}

/// Whether this is an answer: the name exists, does not, or can't. Every other RCODE speaks of the upstream rather than of
/// the name.
pub(super) fn is_answer(rcode: u16) -> bool {
    matches!(rcode, rcode::NOERROR | rcode::NXDOMAIN | rcode::YXDOMAIN)
}

/// Whether this RCODE may be about our OPT record, so that the question is worth asking without it (RFC 6891 §7).
pub(super) fn dislikes_edns(rcode: u16) -> bool {
    matches!(rcode, rcode::FORMERR | rcode::NOTIMP | rcode::BADVERS)
}

impl Response {
    /// For which networks it says that it is (RFC 7871).
    pub fn subnet(&self) -> Option<Subnet> {
        Subnet::of_response(&self.message, &self.layout).ok().flatten()
    }

    /// The codes of its extended DNS errors (RFC 8914).
    pub fn extended_errors(&self) -> impl Iterator<Item = u16> {
        self.borrow().extended_errors()
    }

    /// Whether no other upstream may overrule this response: validation failed.
    pub(super) fn is_final_failure(&self) -> bool {
        self.borrow().is_final_failure()
    }

    fn borrow(&self) -> ResponseRef<'_> {
        let Self { message, layout, rcode, upstream } = self;
        ResponseRef { message, layout, rcode: *rcode, upstream: *upstream, authentic: false }
    }
}

impl<'r> ResponseRef<'r> {
    /// The codes of its extended DNS errors (RFC 8914).
    pub fn extended_errors(self) -> impl Iterator<Item = u16> + use<'r> {
        extended_errors(self.message, self.layout)
    }

    /// Whether no other upstream may overrule this response: validation failed.
    pub(super) fn is_final_failure(self) -> bool {
        self.rcode == rcode::SERVFAIL && self.extended_errors().any(|code| EDE_VALIDATION.contains(&code))
    }

    /// The same with octets of its own.
    pub(super) fn to_response(self) -> Response {
        let Self { message, layout, rcode, upstream, authentic: _ } = self;
        Response { message: message.to_vec(), layout: layout.clone(), rcode, upstream }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::Name;

    fn ask() -> Ask {
        let name = Name::parse("a.example").unwrap();
        Ask { name, qtype: 1, qclass: 1, dnssec_ok: true, checking_disabled: true, subnet: None }
    }

    /// A response to [`ask`] with id 7: one address, one OPT record.
    fn response() -> Vec<u8> {
        let mut message = b"\0\x07\x81\x80\0\x01\0\x01\0\0\0\x01\x01A\x07eXample\0\0\x01\0\x01".to_vec();
        message.extend_from_slice(b"\xC0\x0C\0\x01\0\x01\0\0\0\x3C\0\x04\xC0\0\x02\x01");
        message.extend_from_slice(b"\0\0\x29\x04\xD0\x01\0\0\0\0\x06\0\x0F\0\x02\0\x06");
        message
    }

    fn judge(message: Vec<u8>) -> Result<Judged, BadPacket> {
        ask().judge(message, Some(7), false, 0)
    }

    #[test]
    fn a_response_is_whole_in_any_case_and_its_rcode_has_twelve_bits() {
        let Ok(Judged::Whole(whole)) = judge(response()) else { panic!("not whole") };
        assert_eq!(whole.rcode, 16);
        assert_eq!(whole.extended_errors().collect::<Vec<_>>(), [6]);
        assert_eq!(whole.layout.records.len(), 2);
    }

    #[test]
    fn each_lie_is_told_apart() {
        let change = |at: usize, value: u8| {
            let mut message = response();
            message[at] = value;
            judge(message).map(|_judged| ())
        };
        assert_eq!(judge(Vec::new()).unwrap_err(), BadPacket::Short);
        assert_eq!(judge(response()[..11].to_vec()).unwrap_err(), BadPacket::Short);
        assert_eq!(change(1, 8), Err(BadPacket::Id));
        assert_eq!(change(2, 0x01), Err(BadPacket::Query));
        assert_eq!(change(2, 0xA9), Err(BadPacket::Opcode));
        assert_eq!(change(5, 0), Err(BadPacket::Question));
        assert_eq!(change(5, 2), Err(BadPacket::Question));
        assert_eq!(change(13, b'b'), Err(BadPacket::Question));
        assert_eq!(change(24, 28), Err(BadPacket::Question));
        assert_eq!(change(26, 3), Err(BadPacket::Question));
        assert_eq!(change(6, 0xFF), Err(BadPacket::Malformed));
        assert_eq!(change(38, 0xFF), Err(BadPacket::Malformed));
        assert_eq!(change(0, 0), Ok(()));
    }

    #[test]
    fn truncated_needs_only_the_question_to_be_ours() {
        let mut message = response();
        message[2] |= 0x02;
        message.truncate(30);
        assert!(matches!(judge(message), Ok(Judged::Truncated)));
        assert!(matches!(ask().judge(response(), Some(7), true, 0), Ok(Judged::Truncated)));
    }

    #[test]
    fn only_a_bare_formerr_or_notimp_may_lack_the_question() {
        let bare = |rcode: u8| judge(vec![0, 7, 0x81, rcode, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert!(matches!(bare(1), Ok(Judged::Bare(rcode::FORMERR))));
        assert!(matches!(bare(4), Ok(Judged::Bare(rcode::NOTIMP))));
        for rcode in [0, 2, 3, 5] {
            assert_eq!(bare(rcode).unwrap_err(), BadPacket::Question);
        }
    }

    #[test]
    fn a_referral_and_aliases_in_a_circle_are_of_no_use() {
        let useless = |flags: &[u8; 2], counts: &[u8; 3], records: &[u8]| {
            let [answers, authorities, additionals] = *counts;
            let mut message = vec![0, 7, flags[0], flags[1], 0, 1, 0, answers, 0, authorities, 0, additionals];
            message.extend_from_slice(b"\x01a\x07example\0\0\x01\0\x01");
            message.extend_from_slice(records);
            match judge(message) {
                Ok(Judged::Useless) => true,
                Ok(Judged::Whole(_)) => false,
                other => panic!("{other:?}"),
            }
        };
        let (recursive, lame, authoritative) = (b"\x81\x80", b"\x81\0", b"\x85\0");
        let ns = b"\xC0\x0E\0\x02\0\x01\0\0\0\x3C\0\x02\xC0\x0C";
        let soa = [&b"\xC0\x0E\0\x06\0\x01\0\0\0\x3C\0\x18\xC0\x0C\xC0\x0C"[..], &[0; 20]].concat();
        let address = b"\xC0\x0C\0\x01\0\x01\0\0\0\x3C\0\x04\xC0\0\x02\x01";
        let circle = b"\xC0\x0C\0\x05\0\x01\0\0\0\x3C\0\x02\xC0\x0C";
        assert!(useless(recursive, &[0, 1, 0], ns) && useless(lame, &[0, 1, 0], ns) && useless(lame, &[0, 0, 0], &[]));
        assert!(useless(recursive, &[1, 0, 0], circle));
        // NODATA without SOA (RFC 2308 §2.2, type 3), with it, from the zone's own server, and an answer with the zone's servers.
        assert!(!useless(recursive, &[0, 0, 0], &[]) && !useless(lame, &[0, 1, 0], &soa));
        assert!(!useless(recursive, &[0, 2, 0], &[&ns[..], &soa].concat()));
        assert!(!useless(authoritative, &[0, 1, 0], ns) && !useless(authoritative, &[0, 0, 0], &[]));
        assert!(!useless(lame, &[1, 1, 0], &[&address[..], ns].concat()));
        // NXDOMAIN and failures say what they say.
        assert!(!useless(b"\x81\x03", &[0, 1, 0], ns) && !useless(b"\x81\x05", &[0, 1, 0], ns));
    }

    #[test]
    fn only_failed_validation_is_final() {
        let final_failure = |rcode: u8, code: u8| {
            let mut message = response();
            message[3] = 0x80 | rcode;
            message[48] = 0;
            *message.last_mut().unwrap() = code;
            let Ok(Judged::Whole(whole)) = judge(message) else { panic!("not whole") };
            whole.is_final_failure()
        };
        assert!(final_failure(2, 6));
        assert!(final_failure(2, 12));
        assert!(!final_failure(2, 22));
        assert!(!final_failure(0, 6));
    }

    proptest! {
        #[test]
        fn rubbish_never_panics(octets in proptest::collection::vec(any::<u8>(), 0..200), flips in proptest::collection::vec((0..60_usize, any::<u8>()), 0..6)) {
            let _judged = judge(octets);
            let mut message = response();
            for (at, value) in flips {
                message[at] = value;
            }
            if let Ok(Judged::Whole(whole)) = judge(message) {
                let _codes = whole.extended_errors().count();
            }
        }
    }
}
