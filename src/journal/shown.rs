//! What a response of somebody else's server shows: whether its client was kept from what it asked for, and how.

use crate::dnstap::PolicyAction;
use crate::metrics::Did;
use crate::wire::{HEADER, Layout, LowerName, Section, ede, extended_errors, qtype, rcode};

/// Flags of a header's third octet.
const AUTHORITATIVE: u8 = 0x04;
const TRUNCATED: u8 = 0x02;

impl Did {
    /// What this response of a resolver did to its client; [`Did::Observe`] where nothing shows that a policy made it.
    ///
    /// Resolvers say so each in their way. BIND adds the SOA of its response policy zone to the additional section; Unbound
    /// answers from one, and from local zones, with AA, which no resolver has on what it was told by others; others deny a name
    /// without any SOA (dnsdist), refuse, or say so in words (RFC 8914).
    pub fn shown_by(response: &[u8]) -> Self {
        let Ok(layout) = Layout::read(response) else { return Self::Observe };
        let Some([_id, _low, flags, more]) = response.first_chunk::<4>() else { return Self::Observe };
        let mut errors = extended_errors(response, &layout);
        let (flags, rcode) = (*flags, u16::from(more & 0x0F));
        let told = errors.any(|code| matches!(code, ede::BLOCKED | ede::CENSORED | ede::FILTERED));
        let soa = |section| layout.section(section).any(|record| record.rtype == qtype::SOA);
        let has_answers = layout.section(Section::Answer).next().is_some();
        let denied_by_itself = rcode == rcode::NXDOMAIN && !has_answers && !soa(Section::Authority);
        if rcode == rcode::REFUSED {
            return Self::Refuse;
        }
        if !(told || flags & AUTHORITATIVE != 0 || soa(Section::Additional) || denied_by_itself) {
            return Self::Observe;
        }
        match rcode {
            rcode::NXDOMAIN => Self::Nxdomain,
            rcode::NOERROR if flags & TRUNCATED != 0 => Self::TcpOnly,
            rcode::NOERROR if has_answers => Self::Sinkhole,
            rcode::NOERROR => Self::Nodata,
            // It may have failed to ask whom it would have asked.
            _ => Self::Observe,
        }
    }
}

/// What somebody else's policy did, in its own words; that a server says it let a query through tells that the client got its answer.
impl From<PolicyAction> for Did {
    fn from(action: PolicyAction) -> Self {
        match action {
            PolicyAction::Nxdomain => Self::Nxdomain,
            PolicyAction::Nodata => Self::Nodata,
            PolicyAction::Pass => Self::Observe,
            PolicyAction::Drop => Self::Drop,
            PolicyAction::Truncate => Self::TcpOnly,
            PolicyAction::LocalData => Self::Sinkhole,
        }
    }
}

/// The question of a message: id, name and type; `None`: it is no query nor the answer to one.
pub fn question(message: &[u8]) -> Option<(u16, LowerName, u16)> {
    let [id, low, flags, ..] = *message.first_chunk::<HEADER>()?;
    let questions = message.get(4..6)?;
    if flags & 0x78 != 0 || questions != [0, 1] {
        return None;
    }
    let (name, end) = LowerName::read(message, HEADER).ok()?;
    let qtype = message.get(end..)?.first_chunk::<2>()?;
    Some((u16::from_be_bytes([id, low]), name, u16::from_be_bytes(*qtype)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Query, Response};

    const ASKED: &[u8] = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x01A\x07example\0\0\x1c\0\x01";
    /// An OPT record with this extended error.
    const BLOCKED: &[u8] = b"\0\0\x29\x04\xd0\0\0\0\0\0\x06\0\x0f\0\x02\0\x0f";

    fn response(build: impl FnOnce(Response<'_>) -> Response<'_>) -> Vec<u8> {
        let query = Query::read(ASKED).unwrap();
        let mut message = build(Response::to(&query)).finish(1232);
        // As a resolver of others would: not ours to be authoritative.
        message[2] &= !AUTHORITATIVE;
        message
    }

    fn check(message: &[u8], expected: Did) {
        assert_eq!(Did::shown_by(message), expected, "{}", message.escape_ascii());
    }

    fn aa(mut message: Vec<u8>) -> Vec<u8> {
        message[2] |= AUTHORITATIVE;
        message
    }

    #[test]
    fn what_others_answer_from_the_name_space_is_no_policy() {
        check(&response(|response| response.answer(1, 60, &[192, 0, 2, 1])), Did::Observe);
        check(&response(|response| response.rcode(3).soa(b"\x07example\0", 60)), Did::Observe);
        check(&response(|response| response.soa(b"\x07example\0", 60)), Did::Observe);
        check(&response(|response| response), Did::Observe);
        check(&response(|response| response.rcode(2)), Did::Observe);
        check(b"", Did::Observe);
        check(&[0; 12], Did::Observe);
    }

    #[test]
    fn what_a_policy_answers_is_known_by_the_way_of_each_resolver() {
        // Unbound.
        check(&aa(response(|response| response.rcode(3))), Did::Nxdomain);
        check(&aa(response(|response| response)), Did::Nodata);
        check(&aa(response(|response| response.answer(1, 60, &[192, 0, 2, 99]))), Did::Sinkhole);
        check(&aa(response(|response| response.truncated().rcode(0))), Did::TcpOnly);
        check(&aa(response(|response| response.rcode(2))), Did::Observe);
        // BIND: the SOA of the zone stands behind the answer.
        let bind = |response: Vec<u8>| {
            let mut message = response;
            message[11] += 1;
            message.extend_from_slice(b"\x03rpz\x05local\0\0\x06\0\x01\0\0\0\x3c\0\x16\0\0");
            message.extend_from_slice(&[0; 20]);
            message
        };
        check(&bind(response(|response| response.rcode(3))), Did::Nxdomain);
        check(&bind(response(|response| response)), Did::Nodata);
        check(&bind(response(|response| response.answer(1, 5, &[192, 0, 2, 99]))), Did::Sinkhole);
        // dnsdist, and whoever says so.
        check(&response(|response| response.rcode(3)), Did::Nxdomain);
        check(&response(|response| response.rcode(5)), Did::Refuse);
        let mut told = response(|response| response.soa(b"\x07example\0", 60));
        told[11] += 1;
        told.extend_from_slice(BLOCKED);
        check(&told, Did::Nodata);
    }

    #[test]
    fn a_question_is_read_from_queries_and_answers() {
        let expected = Some((0x1234, LowerName::parse("a.example").unwrap(), 28));
        assert_eq!(question(ASKED), expected);
        assert_eq!(question(&response(|response| response.rcode(3))), expected);
        for cut in 0..ASKED.len() - 2 {
            assert_eq!(question(&ASKED[..cut]), None, "{cut}");
        }
        let mut update = ASKED.to_vec();
        update[2] |= 5 << 3;
        assert_eq!(question(&update), None);
    }
}
