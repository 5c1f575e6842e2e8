//! The addresses that an answer sends a client to, read in place for every client anew: nothing of them is kept beside it.

use std::net::IpAddr;

use super::answer::Answer;
use super::layout::be16;
use super::private::{addresses, embedded, hints};
use super::qtype;

/// An address that an answer leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The record's type: A, AAAA, or SVCB and HTTPS where it is a hint, or goes with such a record.
    pub rtype: u16,
    /// The address; an IPv4 address within one of IPv6 is itself, since that is where packets go.
    pub address: IpAddr,
}

impl Answer {
    /// The addresses it leads to, as often as they stand there: those of its answer section, hints among them (RFC 9460 §7.3), and
    /// those beside SVCB and HTTPS records (RFC 9460 §4.1). Allocates nothing.
    pub fn addresses(&self) -> impl Iterator<Item = Held> {
        let body = self.body();
        let count = |at| be16(body, at).map_or(0, usize::from);
        let (answers, authority) = (count(6), count(8));
        let asked = self.qtype();
        let of_service = matches!(asked, qtype::SVCB | qtype::HTTPS);
        let record = move |(index, ttl_at): (usize, usize)| {
            let is_answer = index < answers;
            if !is_answer && (index < answers + authority || !of_service) {
                return None;
            }
            let rtype = be16(body, ttl_at.checked_sub(4)?).ok()?;
            let size = usize::from(be16(body, ttl_at + 4).ok()?);
            let rdata = body.get(ttl_at + 6..ttl_at + 6 + size)?;
            let service = matches!(rtype, qtype::SVCB | qtype::HTTPS);
            let of_address = matches!(rtype, qtype::A | qtype::AAAA);
            let plain = if of_address { rdata } else { &[] };
            let hinted = if service { rdata } else { &[] };
            // Beside a service, it is the service that is not to be reached so.
            let rtype = if is_answer { rtype } else { asked };
            let all = addresses(size == 4, plain).chain(hints(hinted));
            Some(all.map(move |address| Held { rtype, address: reached(address) }))
        };
        self.ttl_offsets().enumerate().filter_map(record).flatten()
    }
}

/// Where packets to an address go in the end: an IPv4 address within one of IPv6 is itself.
pub fn reached(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => embedded(v6).map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Layout, Query, Response};

    fn held(qtype: u16, build: impl Fn(Response<'_>) -> Response<'_>) -> Vec<String> {
        let question =
            [b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x07example\0".as_slice(), &qtype.to_be_bytes(), &[0, 1]];
        let question = question.concat();
        let query = Query::read(&question).unwrap();
        let message = build(Response::to(&query)).finish(512);
        let answer = Answer::keep(&message, &Layout::read(&message).unwrap()).unwrap();
        answer.addresses().map(|Held { rtype, address }| format!("{rtype} {address}")).collect()
    }

    const NAT64: [u8; 16] = [0, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0, 192, 0, 2, 9];

    #[test]
    fn every_address_that_a_client_may_go_to_is_found_and_no_other() {
        let of_name = held(qtype::A, |response| {
            let response = response.answer(qtype::A, 60, &[192, 0, 2, 1]).answer(qtype::A, 60, &[192, 0, 2, 2]);
            response.additional_at(b"\x01s\0", qtype::A, 60, &[192, 0, 2, 3])
        });
        assert_eq!(of_name, ["1 192.0.2.1", "1 192.0.2.2"]);
        assert_eq!(held(qtype::AAAA, |response| response.answer(qtype::AAAA, 60, &NAT64)), ["28 192.0.2.9"]);
        let hints = b"\0\x01\x01s\0\0\x04\0\x08\xC0\0\x02\x01\xC0\0\x02\x02\0\x06\0\x10\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x07";
        let of_service = held(qtype::HTTPS, |response| {
            response.answer(qtype::HTTPS, 60, hints).additional_at(b"\x01s\0", qtype::A, 60, &[192, 0, 2, 3])
        });
        assert_eq!(of_service, ["65 192.0.2.1", "65 192.0.2.2", "65 2001:db8::7", "65 192.0.2.3"]);
        assert_eq!(held(qtype::TXT, |response| response.answer(qtype::TXT, 60, b"\x04abcd")), [""; 0]);
        assert_eq!(held(qtype::NS, |response| response.soa(b"\x07example\0", 5)), [""; 0]);
    }

    #[test]
    fn an_answer_behind_a_chain_is_read_too() {
        let chained = held(qtype::A, |response| {
            let response = response.answer(qtype::CNAME, 60, b"\x01b\x07example\0");
            response.answer_at(b"\x01b\x07example\0", qtype::A, 60, &[192, 0, 2, 1])
        });
        assert_eq!(chained, ["1 192.0.2.1"]);
    }
}
