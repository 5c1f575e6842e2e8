//! The log of dnsmasq with `log-queries`, and so that of Pi-hole.
//!
//! ```text
//! Nov 28 10:00:00 dnsmasq[123]: query[A] www.example.org from 192.0.2.7
//! Nov 28 10:00:00 dnsmasq[123]: 17 192.0.2.7/53124 query[type=65] www.example.org from 192.0.2.7
//! Nov 28 10:00:00 dnsmasq[123]: UDP 17 192.0.2.7/53124 query[A] www.example.org from 192.0.2.7
//! ```
//! dnsmasq(8), "--log-queries": the second form is that of `extra`, the third that of `proto`. A name ends where ` from ` begins
//! for the last time: what others put into a name can't be taken for the client.

use super::super::entry::{Entry, Fault, Told};
use super::super::names;
use super::super::times::Times;
use super::{address, behind, qtype};
use crate::wire::{LowerName, Transport};

pub(super) fn read(line: &[u8], times: &Times) -> Told {
    let Some(rest) = behind(line, b"dnsmasq").and_then(|rest| behind(rest, b": ")) else { return Ok(None) };
    let (transport, rest) = over(rest);
    let Some(rest) = query(rest) else { return Ok(None) };
    let end = memchr::memchr(b']', rest).ok_or(Fault::Unread("the query type"))?;
    let (word, rest) = (&rest[..end], rest[end + 1..].trim_ascii_start());
    let from = memchr::memmem::rfind(rest, b" from ").ok_or(Fault::Missing("client"))?;
    let (name, client) = (&rest[..from], rest[from + b" from ".len()..].trim_ascii());
    let (at, _rest) = times.leading(line)?;
    let entry = Entry::new(at, address(client)?, name_of(name)?, type_of(word)?);
    Ok(Some(match transport {
        Some(transport) => entry.over(transport),
        None => entry,
    }))
}

/// How it came, where that stands in front.
fn over(rest: &[u8]) -> (Option<Transport>, &[u8]) {
    let behind = |word: &[u8], transport| rest.strip_prefix(word).map(|rest| (Some(transport), rest));
    behind(b"UDP ", Transport::Udp).or_else(|| behind(b"TCP ", Transport::Tcp)).unwrap_or((None, rest))
}

/// What is behind `query[`, which stands at the beginning or behind the number and the client.
fn query(rest: &[u8]) -> Option<&[u8]> {
    let start = rest.strip_prefix(b"query[");
    start.or_else(|| {
        let rest = behind(rest, b" ").filter(|_behind| rest.first().is_some_and(u8::is_ascii_digit))?;
        behind(rest, b" ")?.strip_prefix(b"query[")
    })
}

/// The root is an empty name, and `<name unprintable>` one that is not told.
fn name_of(name: &[u8]) -> Result<LowerName, Fault> {
    match name {
        b"<name unprintable>" => Err(Fault::Unread("the name")),
        b"<Root>" => names::literal(b""),
        name => names::literal(name),
    }
}

fn type_of(word: &[u8]) -> Result<u16, Fault> {
    match word.strip_prefix(b"type=") {
        Some(number) => {
            let number = str::from_utf8(number).ok().and_then(|number| number.parse().ok());
            number.or_else(|| qtype(word.get(5..)?).ok()).ok_or(Fault::Unread("the query type"))
        }
        None => qtype(word),
    }
}

#[cfg(test)]
mod tests {
    use super::super::test::{Read, check, fault};
    use crate::scan::Format;

    fn read(name: &'static str, qtype: &'static str, client: &'static str) -> Read<'static> {
        Read { at: "2026-11-28T10:00:00.000Z", client, name, qtype, transport: "", verified: false }
    }

    #[test]
    fn queries_are_read_with_and_without_their_number() {
        let check = |line: &str, expected| check(Format::Dnsmasq, line, expected);
        check(
            "Nov 28 10:00:00 dnsmasq[123]: query[A] www.Example.org from 192.0.2.7",
            Some(read("www.example.org", "A", "192.0.2.7")),
        );
        check(
            "Nov 28 10:00:00 gw dnsmasq[123]: 17 2001:db8::7/53124 query[type=65] www.example.org from 2001:db8::7",
            Some(read("www.example.org", "HTTPS", "2001:db8::7")),
        );
        check(
            "2026-11-28T10:00:00+00:00 gw dnsmasq[1]: query[PTR] 7.2.0.192.in-addr.arpa from 192.0.2.7",
            Some(read("7.2.0.192.in-addr.arpa", "PTR", "192.0.2.7")),
        );
        let over = |transport: &'static str| {
            let verified = transport == "tcp";
            Some(Read { transport, verified, ..read("www.example.org", "A", "192.0.2.7") })
        };
        check(
            "Nov 28 10:00:00 dnsmasq[1]: UDP 17 192.0.2.7/53124 query[A] www.example.org from 192.0.2.7",
            over("udp"),
        );
        check(
            "Nov 28 10:00:00 dnsmasq[1]: TCP 18 192.0.2.7/53124 query[A] www.example.org from 192.0.2.7",
            over("tcp"),
        );
        check(
            "Sat Nov 28 10:00:00 2026 daemon.info dnsmasq[1]: 17 192.0.2.7/53124 query[A] www.example.org from 192.0.2.7",
            Some(read("www.example.org", "A", "192.0.2.7")),
        );
        for other in [
            "Nov 28 10:00:00 dnsmasq[123]: UDP 17 192.0.2.7/53124 forwarded www.example.org to 192.0.2.53",
            "Nov 28 10:00:00 dnsmasq[123]: forwarded www.example.org to 192.0.2.53",
            "Nov 28 10:00:00 dnsmasq[123]: reply www.example.org is 192.0.2.1",
            "Nov 28 10:00:00 dnsmasq-dhcp[123]: DHCPACK(eth0) 192.0.2.7 02:00:00:00:00:01 laptop",
            "Nov 28 10:00:00 dnsmasq[123]: 17 192.0.2.7/53124 cached www.example.org is query[A] x from 192.0.2.8",
        ] {
            check(other, None);
        }
    }

    #[test]
    fn a_hostile_name_is_a_name() {
        check(
            Format::Dnsmasq,
            "Nov 28 10:00:00 dnsmasq[123]: query[A] a from 192.0.2.9.example from 192.0.2.7",
            Some(read(r"a\032from\032192.0.2.9.example", "A", "192.0.2.7")),
        );
    }

    #[test]
    fn what_is_broken_is_a_fault() {
        for line in [
            "Nov 28 10:00:00 dnsmasq[123]: query[A] www.example.org",
            "Nov 28 10:00:00 dnsmasq[123]: query[A www.example.org from 192.0.2.7",
            "Nov 31 10:00:00 dnsmasq[123]: query[A] www.example.org from 192.0.2.7",
            "Nov 28 10:00:00 dnsmasq[123]: query[A] <name unprintable> from 192.0.2.7",
            "Nov 28 10:00:00 dnsmasq[123]: query[A] www.example.org from 192.0.2",
        ] {
            fault(Format::Dnsmasq, line);
        }
    }
}
