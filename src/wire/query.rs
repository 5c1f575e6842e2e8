//! A client's message read in place: what is asked, with which flags, and what makes it unfit to be answered.
//!
//! Copies the name (255 octets on the stack) and allocates nothing.

use super::layout::{HEADER, Malformed, be16, read_record};
use super::name::LowerName;
use super::options::{Asked, Extras};
use super::{Section, Subnet, qtype};

/// QCLASS IN.
pub const CLASS_IN: u16 = 1;
/// QCLASS CH.
pub const CLASS_CH: u16 = 3;
/// QCLASS that asks for every class (RFC 1035 §3.2.5).
pub const CLASS_ANY: u16 = 255;
/// Octets of a query at most, over every transport: a name, an OPT record and room to spare. A stream could carry 65535,
/// which each query that waits for its answer would hold.
pub const QUERY_MAX: usize = 4096;
/// UDP payload that every client accepts (RFC 1035 §2.3.4).
const PAYLOAD_MIN: u16 = 512;

/// A message with one question that can be answered.
#[derive(Clone, Debug)]
pub struct Query<'m> {
    /// The whole message as it came.
    pub message: &'m [u8],
    /// QNAME in lower case; the client's own case stands in `message`.
    pub name: LowerName,
    /// QTYPE.
    pub qtype: u16,
    /// QCLASS.
    pub qclass: u16,
    /// Offset behind the question.
    pub question_end: usize,
    /// The client's EDNS, if it sent an OPT record.
    pub edns: Option<Edns>,
    /// Whether the message ends in a TSIG record (RFC 8945), which a forwarder can't honour.
    pub signed: bool,
    /// What every response to it carries beside the answer; see [`Query::with`].
    pub(super) extras: Option<&'m Extras<'m>>,
}

/// What a client says in its OPT record (RFC 6891).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    /// Octets that the client takes over UDP, at least 512.
    pub payload: u16,
    /// EDNS version; only 0 exists.
    pub version: u8,
    /// DO: the client wants DNSSEC records (RFC 3225).
    pub dnssec_ok: bool,
    /// What its options ask for; `None`: it has none, or those of another version, which may mean anything.
    pub options: Option<Asked>,
}

/// Why a message is not answered as a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// Shorter than a header: silence.
    Short,
    /// QR=1: silence, or two servers could answer each other for ever.
    Response,
    /// An opcode other than QUERY: NOTIMP.
    Opcode,
    /// Malformed, longer than [`QUERY_MAX`], or a question count other than one (RFC 9619): FORMERR.
    FormErr,
    /// No question, but a COOKIE option: an empty response with a server cookie (RFC 7873 §5.4).
    CookieOnly(Asked),
}

impl<'m> Query<'m> {
    /// Reads a client's message.
    ///
    /// # Errors
    /// [`Unfit`] says how a message that is no query is to be met.
    #[inline]
    pub fn read(message: &'m [u8]) -> Result<Self, Unfit> {
        let mut query = Self::unread(message);
        query.read_in_place().map(|()| query)
    }

    /// A query that is still to be read, by [`Query::read_in_place`].
    #[inline]
    pub(crate) fn unread(message: &'m [u8]) -> Self {
        let name = LowerName::ROOT;
        Self { message, name, qtype: 0, qclass: 0, question_end: 0, edns: None, signed: false, extras: None }
    }

    /// [`Query::read`] where it stands, since the name is the largest thing on the way of a query; of no use after an error.
    #[inline]
    pub(crate) fn read_in_place(&mut self) -> Result<(), Unfit> {
        let counts = counts_of_one_question(self.message)?;
        self.read_one(counts).map_err(|_malformed| Unfit::FormErr)
    }

    /// The name that a message asks for, if there is one where a query has it; nothing else of the message is looked at.
    #[inline]
    pub fn name_in(message: &[u8]) -> Option<LowerName> {
        LowerName::read(message, HEADER).ok().map(|(name, _end)| name)
    }

    #[inline]
    fn read_one(&mut self, (authority, additional): (u16, u16)) -> Result<(), Malformed> {
        let after = self.name.read_in_place(self.message, HEADER)?;
        (self.qtype, self.qclass) = (be16(self.message, after)?, be16(self.message, after + 2)?);
        self.question_end = after + 4;
        if (authority, additional) == (0, 0) && self.question_end == self.message.len() {
            return Ok(());
        }
        let mut end = self.question_end;
        if authority > 0 {
            let record = read_record(self.message, end, Section::Authority)?;
            if (self.qtype, record.rtype) != (qtype::IXFR, qtype::SOA) {
                return Err(Malformed::Questions);
            }
            end = record.rdata.end;
        }
        let tail = Tail::read(self.message, end, additional)?;
        (self.edns, self.signed) = (tail.edns, tail.signed);
        Ok(())
    }

    /// The same query, every response to which carries `extras` if the client speaks EDNS.
    #[must_use]
    pub fn with<'e>(&self, extras: &'e Extras<'e>) -> Query<'e>
    where
        'm: 'e,
    {
        Query { extras: Some(extras), ..self.clone() }
    }

    /// The extras of a response that is cut down to next to nothing: our half of the cookie alone, without which its client
    /// could never prove itself.
    pub fn least_extras(&self) -> Extras<'static> {
        Extras { cookie: self.extras.and_then(|extras| extras.cookie), ..Extras::default() }
    }

    /// The message id.
    pub fn id(&self) -> u16 {
        u16::from_be_bytes([self.message[0], self.message[1]])
    }

    /// RD: the client wants recursion.
    pub fn recursion_desired(&self) -> bool {
        self.message[2] & 0x01 != 0
    }

    /// CD: the client does its own validation (RFC 4035 §3.2.2).
    pub fn checking_disabled(&self) -> bool {
        self.message[3] & 0x10 != 0
    }

    /// Whether AD may stand in the response: the query had AD or DO (RFC 6840 §5.7, §5.8).
    pub fn wants_authentic_data(&self) -> bool {
        self.message[3] & 0x20 != 0 || self.dnssec_ok()
    }

    /// DO: the client wants DNSSEC records.
    pub fn dnssec_ok(&self) -> bool {
        self.edns.is_some_and(|edns| edns.dnssec_ok)
    }

    /// In which network the client says that it is (RFC 7871).
    #[inline]
    pub fn subnet(&self) -> Option<Subnet> {
        self.edns?.options?.subnet(self.message)
    }

    /// The question's name as the client wrote it, on the wire.
    pub fn qname_as_sent(&self) -> &'m [u8] {
        &self.message[HEADER..self.question_end - 4]
    }

    /// Octets of a UDP response at most: what the client takes, but never more than `server_max`.
    pub fn udp_limit(&self, server_max: u16) -> usize {
        usize::from(self.edns.map_or(PAYLOAD_MIN, |edns| edns.payload.clamp(PAYLOAD_MIN, server_max.max(PAYLOAD_MIN))))
    }
}

/// What stands behind the question.
struct Tail {
    edns: Option<Edns>,
    signed: bool,
}

impl Tail {
    /// Reads the additional section to the last octet of the message.
    fn read(message: &[u8], start: usize, additional: u16) -> Result<Self, Malformed> {
        let mut tail = Self { edns: None, signed: false };
        let mut end = start;
        for _ in 0..additional {
            let record = read_record(message, end, Section::Additional)?;
            end = record.rdata.end;
            if record.rtype == qtype::OPT {
                // A second OPT could hide from the filter what the next server reads (RFC 6891 §6.1.1).
                if tail.edns.is_some() || message.get(record.start) != Some(&0) {
                    return Err(Malformed::Opt);
                }
                let [_extended_rcode, version, flags, _] = record.ttl.to_be_bytes();
                let options = if version == 0 { Asked::read(message, record.rdata)? } else { None };
                let payload = record.class.max(PAYLOAD_MIN);
                tail.edns = Some(Edns { payload, version, dnssec_ok: flags & 0x80 != 0, options });
            } else {
                tail.signed |= record.rtype == qtype::TSIG;
            }
        }
        if end == message.len() { Ok(tail) } else { Err(Malformed::Cut) }
    }
}

/// The numbers of authority and additional records of a message that is a query with one question.
fn counts_of_one_question(message: &[u8]) -> Result<(u16, u16), Unfit> {
    if message.len() < HEADER {
        return Err(Unfit::Short);
    }
    if message[2] & 0x80 != 0 {
        return Err(Unfit::Response);
    }
    if message[2] & 0x78 != 0 {
        return Err(Unfit::Opcode);
    }
    if message.len() > QUERY_MAX {
        return Err(Unfit::FormErr);
    }
    // AN and NS counts have no place in a query, but for the SOA record of who asks for what has changed since (RFC 1995 §3); a
    // huge count costs nothing, for nothing is reserved by it.
    match [4, 6, 8, 10].map(|at| be16(message, at).unwrap_or_default()) {
        [1, 0, authority @ (0 | 1), additional] => Ok((authority, additional)),
        [0, 0, 0, additional] => Err(unfit_without_question(message, additional)),
        _ => Err(Unfit::FormErr),
    }
}

fn unfit_without_question(message: &[u8], additional: u16) -> Unfit {
    let options = Tail::read(message, HEADER, additional).ok().and_then(|tail| tail.edns?.options);
    options.filter(Asked::has_cookie).map_or(Unfit::FormErr, Unfit::CookieOnly)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::Cookie;

    const PLAIN: &[u8] = b"\x12\x34\x01\x10\0\x01\0\0\0\0\0\0\x01A\x07eXample\0\0\x1c\0\x01";
    const OPT: &[u8] = b"\0\0\x29\x04\xD0\0\0\x80\0\0\0";

    fn with_additional(count: u8, records: &[&[u8]]) -> Vec<u8> {
        let mut message = PLAIN.to_vec();
        message[11] = count;
        for record in records {
            message.extend_from_slice(record);
        }
        message
    }

    #[track_caller]
    fn check(message: &[u8], expected: Result<(), Unfit>) {
        assert_eq!(Query::read(message).map(|_query| ()), expected, "{message:02x?}");
    }

    #[test]
    fn a_query_is_read_in_place() {
        let query = Query::read(PLAIN).unwrap();
        assert_eq!((query.id(), query.qtype, query.qclass), (0x1234, qtype::AAAA, CLASS_IN));
        assert_eq!(query.name.to_string(), "a.example");
        assert_eq!(query.qname_as_sent(), b"\x01A\x07eXample\0");
        assert!(query.recursion_desired() && query.checking_disabled() && !query.wants_authentic_data());
        assert_eq!(query.udp_limit(1232), 512);
    }

    #[test]
    fn the_client_payload_is_honoured_between_512_and_the_servers_own_limit() {
        let message = with_additional(1, &[OPT]);
        let query = Query::read(&message).unwrap();
        assert_eq!(query.edns, Some(Edns { payload: 1232, version: 0, dnssec_ok: true, options: None }));
        assert_eq!(query.udp_limit(1232), 1232);
        assert_eq!(query.udp_limit(600), 600);
        let small = with_additional(1, &[b"\0\0\x29\0\x01\0\0\0\0\0\0"]);
        assert_eq!(Query::read(&small).unwrap().udp_limit(1232), 512);
    }

    #[test]
    fn what_is_no_query_is_told_apart() {
        check(&PLAIN[..11], Err(Unfit::Short));
        check(&[0x12, 0x34, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0], Err(Unfit::Response));
        check(&[0x12, 0x34, 0x28, 0, 0, 0, 0, 0, 0, 0, 0, 0], Err(Unfit::Opcode));
        check(&[0x12, 0x34, 0x01, 0, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0], Err(Unfit::FormErr));
        check(&[0x12, 0x34, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0], Err(Unfit::FormErr));
        let cookie_only = b"\x12\x34\x01\0\0\0\0\0\0\0\0\x01\0\0\x29\x04\xD0\0\0\0\0\0\x0c\0\x0a\0\x0812345678";
        let Err(Unfit::CookieOnly(asked)) = Query::read(cookie_only) else { panic!("not told apart") };
        assert_eq!(asked.cookie(cookie_only), Ok(Cookie::read(b"12345678")));
        check(&with_additional(2, &[OPT, OPT]), Err(Unfit::FormErr));
        check(&with_additional(0, &[b"x"]), Err(Unfit::FormErr));
        check(&with_additional(1, &[]), Err(Unfit::FormErr));
        check(b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\xC0\x0C\0\x01\0\x01", Err(Unfit::FormErr));
    }

    #[test]
    fn options_are_read_in_version_0_only_and_a_cut_one_is_malformed() {
        let with = |version: u8, options: &[u8]| {
            let opt = [&b"\0\0\x29\x04\xD0\0"[..], &[version, 0, 0, 0, u8::try_from(options.len()).unwrap()], options];
            with_additional(1, &[&opt.concat()])
        };
        let options = |message: &[u8]| Query::read(message).map(|query| query.edns.unwrap().options);
        assert!(options(&with(0, b"\0\x03\0\0")).unwrap().unwrap().nsid);
        assert_eq!(options(&with(0, b"")), Ok(None));
        assert_eq!(options(&with(0, b"\0\x03\0\x01")), Err(Unfit::FormErr));
        assert_eq!(options(&with(1, b"\0\x03\0\x01")), Ok(None), "a later version may say anything there");
    }

    #[test]
    fn a_query_is_no_longer_than_its_limit() {
        let padded = |size: usize| {
            let size = u16::try_from(size - PLAIN.len() - 11 - 4).unwrap();
            let mut message = with_additional(1, &[&OPT[..9], &(size + 4).to_be_bytes(), b"\0\x0c"]);
            message.extend_from_slice(&size.to_be_bytes());
            message.resize(message.len() + usize::from(size), 0);
            message
        };
        check(&padded(QUERY_MAX), Ok(()));
        check(&padded(QUERY_MAX + 1), Err(Unfit::FormErr));
    }

    #[test]
    fn who_asks_for_changes_says_which_version_it_has_and_nobody_else_says_so() {
        let soa = b"\xC0\x0C\0\x06\0\x01\0\0\0\0\0\x16\0\0\0\0\0\x09\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        let with = |qtype: u16, soas: usize| {
            let mut message = PLAIN.to_vec();
            let at = message.len() - 4;
            message[at..at + 2].copy_from_slice(&qtype.to_be_bytes());
            message[9] = u8::try_from(soas).unwrap();
            message.extend(soa.repeat(soas));
            message[11] = 1;
            message.extend_from_slice(OPT);
            message
        };
        check(&with(qtype::IXFR, 1), Ok(()));
        check(&with(qtype::IXFR, 0), Ok(()));
        assert!(Query::read(&with(qtype::IXFR, 1)).unwrap().edns.is_some());
        check(&with(qtype::IXFR, 2), Err(Unfit::FormErr));
        check(&with(qtype::A, 1), Err(Unfit::FormErr));
        check(&with(qtype::AXFR, 1), Err(Unfit::FormErr));
    }

    #[test]
    fn every_cut_of_a_query_is_refused() {
        let message = with_additional(1, &[OPT]);
        for end in 0..message.len() {
            assert!(Query::read(&message[..end]).is_err(), "{end}");
        }
    }

    proptest! {
        #[test]
        fn rubbish_never_panics(octets in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _any = Query::read(&octets);
            let mut message = PLAIN.to_vec();
            message.extend_from_slice(&octets);
            let _any = Query::read(&message);
        }
    }
}
