//! Answers of our own, written octet by octet: errors, blocked answers, local answers.
//!
//! The client's question is echoed as it came (its case is its proof against forgery), every owner name is a pointer
//! into it, and what does not fit is cut by the rules of RFC 2181 §9 and RFC 6891 §7.

use super::layout::HEADER;
use super::options::Extras;
use super::qtype;
use super::query::{CLASS_IN, Query};

/// The UDP payload that we announce and keep to: fits one unfragmented packet on nearly every path (RFC 9715).
pub const PAYLOAD: u16 = 1232;
/// EDNS option: extended DNS error (RFC 8914).
pub const OPTION_EDE: u16 = 15;
/// Octets of EXTRA-TEXT at most.
pub const EDE_TEXT_MAX: usize = 120;
/// Octets of an OPT record without options.
const OPT_EMPTY: usize = 11;

/// Response codes of the IANA registry that Embargo sends or tells apart.
#[allow(missing_docs, reason = "the names are those of the IANA registry")]
pub mod rcode {
    pub const NOERROR: u16 = 0;
    pub const FORMERR: u16 = 1;
    pub const SERVFAIL: u16 = 2;
    pub const NXDOMAIN: u16 = 3;
    pub const NOTIMP: u16 = 4;
    pub const REFUSED: u16 = 5;
    /// DNAME made the name too long (RFC 6672 §2.2).
    pub const YXDOMAIN: u16 = 6;
    pub const NOTAUTH: u16 = 9;
    pub const BADVERS: u16 = 16;
    /// The server cookie is not ours, or too old (RFC 7873 §8).
    pub const BADCOOKIE: u16 = 23;
}

/// Extended DNS error codes of RFC 8914 that Embargo sends, by itself or because a ban says so.
#[allow(missing_docs, reason = "the names are those of the IANA registry")]
pub mod ede {
    pub const OTHER: u16 = 0;
    pub const STALE_ANSWER: u16 = 3;
    pub const FORGED_ANSWER: u16 = 4;
    pub const DNSSEC_BOGUS: u16 = 6;
    pub const SIGNATURE_EXPIRED: u16 = 7;
    pub const SIGNATURE_NOT_YET_VALID: u16 = 8;
    pub const RRSIGS_MISSING: u16 = 10;
    pub const NSEC_MISSING: u16 = 12;
    pub const CACHED_ERROR: u16 = 13;
    pub const NOT_READY: u16 = 14;
    pub const BLOCKED: u16 = 15;
    pub const CENSORED: u16 = 16;
    pub const FILTERED: u16 = 17;
    pub const PROHIBITED: u16 = 18;
    pub const STALE_NXDOMAIN: u16 = 19;
    pub const NOT_AUTHORITATIVE: u16 = 20;
    pub const NO_REACHABLE_AUTHORITY: u16 = 22;
    pub const NETWORK_ERROR: u16 = 23;
    /// Those that say that an answer is known to be bogus; 5 says that nobody knows (RFC 8914 §4.6 to 4.13).
    pub const BOGUS: std::ops::RangeInclusive<u16> = DNSSEC_BOGUS..=NSEC_MISSING;
}

/// A response under construction. Allocates nothing but the message itself.
#[derive(Debug)]
pub struct Response<'t> {
    octets: Vec<u8>,
    question_end: usize,
    /// The OPT record to end with: the client sent one (RFC 6891 §6.1.1). `Some(dnssec_ok)`.
    opt: Option<bool>,
    extras: Option<&'t Extras<'t>>,
    rcode: u16,
    ede: Option<(u16, &'t str)>,
}

impl<'t> Response<'t> {
    /// A NOERROR response to `query` without records: id, opcode, RD and CD as asked, RA set, AA and AD clear.
    pub fn to(query: &Query<'t>) -> Self {
        Self::within(Vec::with_capacity(usize::from(PAYLOAD)), query)
    }

    /// The same, written into a buffer that was used before.
    pub fn within(mut room: Vec<u8>, query: &Query<'t>) -> Self {
        room.clear();
        room.extend_from_slice(&query.message[..query.question_end]);
        room[2] = 0x80 | (query.message[2] & 0x79);
        room[3] = 0x80 | (query.message[3] & 0x10);
        room[4..HEADER].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
        Self {
            octets: room,
            question_end: query.question_end,
            opt: query.edns.map(|edns| edns.dnssec_ok),
            extras: query.extras,
            rcode: rcode::NOERROR,
            ede: None,
        }
    }

    /// The response to `query` begun again, in the same buffer.
    #[must_use]
    pub fn anew(self, query: &Query<'t>) -> Self {
        Self::within(self.octets, query)
    }

    /// The response to a message that is no query: its header turned round, without a question (it may be no question).
    /// `message` has at least a header.
    pub fn to_unfit(message: &[u8], rcode: u16) -> Vec<u8> {
        let [high, low, flags] = [0, 1, 2].map(|at| message.get(at).copied().unwrap_or_default());
        let [_, code] = rcode.to_be_bytes();
        vec![high, low, 0x80 | (flags & 0x79), 0x80 | (code & 0x0F), 0, 0, 0, 0, 0, 0, 0, 0]
    }

    /// The same with NOERROR and TC.
    pub fn to_unfit_truncated(message: &[u8]) -> Vec<u8> {
        let mut header = Self::to_unfit(message, rcode::NOERROR);
        header[2] |= 0x02;
        header
    }

    /// The response to a cookie without a question: the header, and an OPT record with `extras` (RFC 7873 §5.4).
    pub fn to_cookie_only(message: &[u8], rcode: u16, extras: &Extras<'_>) -> Vec<u8> {
        let [extended, low] = (rcode << 4).to_be_bytes();
        let mut octets = Self::to_unfit(message, u16::from(low >> 4));
        octets[11] = 1;
        write_opt(&mut octets, (extended, false), Some(extras), usize::from(u16::MAX), |_octets| ());
        octets
    }

    /// Sets the response code; codes over 15 reach only clients with EDNS.
    #[must_use]
    pub fn rcode(mut self, rcode: u16) -> Self {
        self.rcode = rcode;
        self
    }

    /// Sets TC: there is more to be said than a datagram shall hold.
    #[must_use]
    pub fn truncated(mut self) -> Self {
        self.octets[2] |= 0x02;
        self
    }

    /// Sets the extended error; a client without EDNS is told nothing. Text over 120 octets is cut.
    #[must_use]
    pub fn ede(mut self, code: u16, text: &'t str) -> Self {
        self.ede = Some((code, text));
        self
    }

    /// Adds an answer record of class IN whose owner is the qname.
    #[must_use]
    pub fn answer(self, rtype: u16, ttl: u32, rdata: &[u8]) -> Self {
        self.answer_in(CLASS_IN, rtype, ttl, rdata)
    }

    /// The same of another class.
    #[must_use]
    pub fn answer_in(mut self, class: u16, rtype: u16, ttl: u32, rdata: &[u8]) -> Self {
        let record = [rtype, class];
        push_record(&mut self.octets, &[0xC0, 0x0C], record, ttl, |octets| octets.extend_from_slice(rdata));
        bump(&mut self.octets, 6);
        self
    }

    /// Adds an answer record of class IN with an owner of its own, on the wire, uncompressed.
    #[must_use]
    pub fn answer_at(mut self, owner: &[u8], rtype: u16, ttl: u32, rdata: &[u8]) -> Self {
        push_record(&mut self.octets, owner, [rtype, CLASS_IN], ttl, |octets| octets.extend_from_slice(rdata));
        bump(&mut self.octets, 6);
        self
    }

    /// Adds the SOA that lets a negative answer be cached (RFC 2308 §3). Its owner is `owner` on the wire; TTL and
    /// MINIMUM are `ttl`.
    #[must_use]
    pub fn soa(mut self, owner: &[u8], ttl: u32) -> Self {
        let pointer = self.pointer_to(owner);
        let owner = pointer.as_ref().map_or(owner, |pointer| pointer.as_slice());
        // MNAME is the owner itself and RNAME `nobody.invalid`: nothing to resolve, nobody to write to.
        let mut rest = *b"\x06nobody\x07invalid\0____________________";
        let values = [1, 3600, 1200, 604_800, ttl].map(u32::to_be_bytes);
        rest[16..].copy_from_slice(values.as_flattened());
        push_record(&mut self.octets, owner, [qtype::SOA, CLASS_IN], ttl, |octets| {
            octets.extend_from_slice(owner);
            octets.extend_from_slice(&rest);
        });
        bump(&mut self.octets, 8);
        self
    }

    /// Adds a record of class IN to the additional section, behind all others; its owner stands uncompressed.
    #[must_use]
    pub fn additional_at(mut self, owner: &[u8], rtype: u16, ttl: u32, rdata: &[u8]) -> Self {
        push_record(&mut self.octets, owner, [rtype, CLASS_IN], ttl, |octets| octets.extend_from_slice(rdata));
        bump(&mut self.octets, 10);
        self
    }

    /// Where a name stands in the question, if it ends the qname: the question is not compressed and comes first.
    fn pointer_to(&self, name: &[u8]) -> Option<[u8; 2]> {
        let start = (self.question_end - 4).checked_sub(name.len()).filter(|start| *start >= HEADER)?;
        let ends = name.len() > 1 && self.octets[start..self.question_end - 4].eq_ignore_ascii_case(name);
        u16::try_from(start).ok().filter(|_offset| ends).map(|offset| (0xC000 | offset).to_be_bytes())
    }

    /// The finished message of at most `limit` octets. The error text goes first, then the error, then the records with
    /// TC set; the OPT record stays (RFC 6891 §7).
    pub fn finish(mut self, limit: usize) -> Vec<u8> {
        let fits = |response: &Self| {
            response.octets.len() + response.opt.map_or(0, |_do| opt_size(response.extras) + response.ede_size())
                <= limit
        };
        if !fits(&self) {
            self.ede = self.ede.map(|(code, _text)| (code, ""));
        }
        if !fits(&self) {
            self.ede = None;
        }
        if !fits(&self) {
            self.octets.truncate(self.question_end);
            self.octets[6..HEADER].fill(0);
            self.octets[2] |= 0x02;
        }
        let [extended, low] = (self.rcode << 4).to_be_bytes();
        self.octets[3] = (self.octets[3] & 0xF0) | (low >> 4);
        if let Some(dnssec_ok) = self.opt {
            bump(&mut self.octets, 10);
            let ede = self.ede;
            write_opt(&mut self.octets, (extended, dnssec_ok), self.extras, limit, |octets| {
                if let Some((code, text)) = ede {
                    push_ede(octets, code, text.as_bytes());
                }
            });
        }
        self.octets
    }

    /// Octets of the extended error as an option.
    fn ede_size(&self) -> usize {
        self.ede.map_or(0, |(_code, text)| 6 + cut_text(text.as_bytes()).len())
    }
}

/// The text, cut at a character boundary to what is sent at most.
fn cut_text(text: &[u8]) -> &[u8] {
    let mut end = text.len().min(EDE_TEXT_MAX);
    while end < text.len() && end > 0 && text[end] & 0xC0 == 0x80 {
        end -= 1;
    }
    &text[..end]
}

/// Appends one EDE option: code and text, cut to what is sent at most.
pub(super) fn push_ede(options: &mut Vec<u8>, code: u16, text: &[u8]) {
    let text = cut_text(text);
    let size = u16::try_from(2 + text.len()).unwrap_or(2);
    options.extend_from_slice(&OPTION_EDE.to_be_bytes());
    options.extend_from_slice(&size.to_be_bytes());
    options.extend_from_slice(&code.to_be_bytes());
    options.extend_from_slice(text);
}

/// The same EDE options, codes only.
pub(super) fn without_texts(options: &[u8]) -> Vec<u8> {
    let mut bare = Vec::new();
    for (code, value) in super::edns_options(options) {
        if let (OPTION_EDE, Some(&[high, low])) = (code, value.first_chunk::<2>()) {
            push_ede(&mut bare, u16::from_be_bytes([high, low]), b"");
        }
    }
    bare
}

/// Octets of an OPT record with these options, padding left out.
pub(super) fn opt_size(extras: Option<&Extras<'_>>) -> usize {
    OPT_EMPTY + extras.map_or(0, Extras::size)
}

/// Ends a message with its OPT record: our payload, the upper rcode bits, DO as the client had it (RFC 3225 §3), the options
/// of this hop, what `more` appends, and padding up to `limit` for the whole message.
pub(super) fn write_opt(
    octets: &mut Vec<u8>,
    (extended_rcode, dnssec_ok): (u8, bool),
    extras: Option<&Extras<'_>>,
    limit: usize,
    more: impl FnOnce(&mut Vec<u8>),
) {
    octets.push(0);
    octets.extend_from_slice(&qtype::OPT.to_be_bytes());
    octets.extend_from_slice(&PAYLOAD.to_be_bytes());
    octets.extend_from_slice(&[extended_rcode, 0, if dnssec_ok { 0x80 } else { 0 }, 0, 0, 0]);
    let start = octets.len();
    if let Some(extras) = extras {
        extras.write(octets);
    }
    more(octets);
    if let Some(extras) = extras {
        extras.pad(octets, limit);
    }
    let size = u16::try_from(octets.len() - start).unwrap_or_default();
    octets[start - 2..start].copy_from_slice(&size.to_be_bytes());
}

fn push_record(
    octets: &mut Vec<u8>,
    owner: &[u8],
    [rtype, class]: [u16; 2],
    ttl: u32,
    rdata: impl FnOnce(&mut Vec<u8>),
) {
    octets.extend_from_slice(owner);
    let mut head = [0; 10];
    head[..2].copy_from_slice(&rtype.to_be_bytes());
    head[2..4].copy_from_slice(&class.to_be_bytes());
    head[4..8].copy_from_slice(&ttl.to_be_bytes());
    octets.extend_from_slice(&head);
    let start = octets.len();
    rdata(octets);
    let size = u16::try_from(octets.len() - start).unwrap_or(u16::MAX);
    octets[start - 2..start].copy_from_slice(&size.to_be_bytes());
}

/// Adds one to the section count at `at`.
pub(super) fn bump(octets: &mut [u8], at: usize) {
    let count = u16::from_be_bytes([octets[at], octets[at + 1]]).saturating_add(1);
    octets[at..at + 2].copy_from_slice(&count.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Layout, Section, edns_options};

    const PLAIN: &[u8] = b"\x12\x34\x01\x10\0\x01\0\0\0\0\0\0\x01A\x07eXample\0\0\x1c\0\x01";

    fn with_edns() -> Vec<u8> {
        let mut message = PLAIN.to_vec();
        message[11] = 1;
        message.extend_from_slice(b"\0\0\x29\x10\0\0\0\x80\0\0\0");
        message
    }

    #[test]
    fn a_blocked_answer_has_soa_and_extended_error() {
        let message = with_edns();
        let query = Query::read(&message).unwrap();
        let response =
            Response::to(&query).rcode(rcode::NXDOMAIN).soa(query.name.suffix(1), 30).ede(15, "banned").finish(512);
        let layout = Layout::read(&response).unwrap();
        assert_eq!(response[..4], [0x12, 0x34, 0x81, 0x93]);
        assert_eq!(&response[12..23], b"\x01A\x07eXample\0");
        let soa = layout.section(Section::Authority).next().unwrap();
        assert_eq!((soa.rtype, soa.ttl), (qtype::SOA, 30));
        let opt = layout.opt().unwrap();
        assert_eq!((opt.class, opt.ttl), (PAYLOAD, 0x8000));
        let options: Vec<_> = edns_options(&response[opt.rdata.clone()]).collect();
        assert_eq!(options, [(OPTION_EDE, b"\0\x0fbanned".as_slice())]);
    }

    #[test]
    fn what_does_not_fit_goes_in_order_text_then_error_then_records() {
        let message = with_edns();
        let query = Query::read(&message).unwrap();
        let build =
            |limit| Response::to(&query).answer(qtype::AAAA, 1, &[0; 16]).ede(15, &"x".repeat(100)).finish(limit);
        let whole = build(1232).len();
        assert_eq!(build(whole - 1).len(), whole - 100);
        assert_eq!(build(whole - 101).len(), whole - 106);
        let cut = build(whole - 107);
        assert_eq!(cut.len(), query.question_end + OPT_EMPTY);
        assert_eq!(cut[2] & 0x02, 0x02);
        assert!(Layout::read(&cut).unwrap().section(Section::Answer).next().is_none());
    }

    #[test]
    fn extended_codes_are_split_between_header_and_opt() {
        let message = with_edns();
        let response = Response::to(&Query::read(&message).unwrap()).rcode(rcode::BADVERS).finish(512);
        let layout = Layout::read(&response).unwrap();
        assert_eq!(response[3] & 0x0F, 0);
        assert_eq!(layout.opt().unwrap().ttl >> 24, 1);
    }

    #[test]
    fn extras_stand_in_front_of_the_error_and_stay_when_it_goes() {
        let message = with_edns();
        let extras = Extras { cookie: Some([7; 24]), nsid: Some(b"ns1"), ..Extras::default() };
        let query = Query::read(&message).unwrap().with(&extras);
        let codes = |limit| {
            let response = Response::to(&query).answer(qtype::AAAA, 1, &[0; 16]).ede(15, "banned").finish(limit);
            assert!(response.len() <= limit);
            let layout = Layout::read(&response).unwrap();
            assert_eq!(layout.end, response.len());
            let options = edns_options(&response[layout.opt().unwrap().rdata.clone()]).map(|(code, _)| code);
            (options.collect::<Vec<_>>(), response[2] & 0x02 != 0)
        };
        let whole = query.question_end + 28 + OPT_EMPTY + 28 + 7 + 12;
        assert_eq!(codes(whole), (vec![10, 3, OPTION_EDE], false));
        assert_eq!(codes(whole - 7), (vec![10, 3], false), "neither text nor code");
        assert_eq!(codes(whole - 13), (vec![10, 3], true));
    }

    #[test]
    fn a_padded_response_is_as_long_as_many_others() {
        let message = with_edns();
        let extras = Extras { padded: true, ..Extras::default() };
        let query = Query::read(&message).unwrap().with(&extras);
        for text in ["", "banned", "banned, and more is said about it"] {
            assert_eq!(Response::to(&query).ede(15, text).finish(65_535).len(), 468);
        }
    }

    #[test]
    fn a_client_without_edns_gets_none() {
        let response = Response::to(&Query::read(PLAIN).unwrap()).ede(15, "banned").finish(512);
        assert_eq!(response.len(), PLAIN.len());
    }
}
