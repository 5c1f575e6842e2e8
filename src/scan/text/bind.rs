//! The query log of BIND 9, from its own file or through syslog.
//!
//! ```text
//! 28-Nov-2026 10:00:00.123 queries: info: client @0x7f0c 192.0.2.7#53124 (www.example.org): query: www.example.org IN A +E(0)K (192.0.2.53)
//! ```
//! BIND 9 Administrator Reference Manual, "The querylog Category": `+` recursion desired, `S` signed, `E` EDNS, `T` TCP, `D` DO,
//! `C` CD, `V` a valid server cookie, `K` a cookie without one.

use super::super::entry::{Entry, Fault, Told};
use super::super::names;
use super::super::times::Times;
use super::{address, behind, qtype, words};
use crate::wire::Transport;

/// What stands before the question.
const QUERY: &[u8] = b": query: ";

pub(super) fn read(line: &[u8], times: &Times) -> Told {
    let Some(at) = memchr::memmem::find(line, QUERY) else { return Ok(None) };
    let (before, question) = (&line[..at], &line[at + QUERY.len()..]);
    let client = behind(before, b"client ").ok_or(Fault::Missing("client"))?;
    let mut client = words(client);
    let first = client.next().unwrap_or_default();
    // The client's place in memory, since 9.11.
    let client = if first.starts_with(b"@") { client.next().unwrap_or_default() } else { first };
    let client = client.split(|&octet| octet == b'#').next().unwrap_or_default();
    let mut question = words(question);
    let (Some(name), Some(_class), Some(word)) = (question.next(), question.next(), question.next()) else {
        return Err(Fault::Missing("question"));
    };
    let (at, _rest) = times.leading(line)?;
    let entry = Entry::new(at, address(client)?, names::presented(name)?, qtype(word)?);
    let flags = question.next().filter(|flags| matches!(flags.first(), Some(b'+' | b'-'))).unwrap_or_default();
    Ok(Some(with_flags(entry, flags)))
}

fn with_flags(entry: Entry, flags: &[u8]) -> Entry {
    let entry = entry.over(if flags.contains(&b'T') { Transport::Tcp } else { Transport::Udp });
    Entry { verified: entry.verified || flags.contains(&b'V'), ..entry }
}

#[cfg(test)]
mod tests {
    use super::super::test::{Read, check};
    use crate::scan::Format;

    #[test]
    fn queries_are_read_in_the_forms_of_all_versions() {
        let read =
            |at, client, name, qtype, transport, verified| Some(Read { at, client, name, qtype, transport, verified });
        let at = "2026-11-28T10:00:00.123Z";
        for (line, expected) in [
            (
                "28-Nov-2026 10:00:00.123 queries: info: client @0x7f0c 192.0.2.7#53124 (www.example.org): query: www.example.org IN A +E(0)K (192.0.2.53)",
                read(at, "192.0.2.7", "www.example.org", "A", "udp", false),
            ),
            (
                "28-Nov-2026 10:00:00.123 client 2001:db8::7#53124 (WWW.example.org): view inside: query: WWW.example.org IN HTTPS +E(0)TDCV (2001:db8::53)",
                read(at, "2001:db8::7", "www.example.org", "HTTPS", "tcp", true),
            ),
            (
                "2026-11-28T10:00:00.123Z client @0x1 fe80::1%eth0#5 (a): query: a IN TYPE65280 -V (::1)",
                read(at, "fe80::1", "a", "TYPE65280", "udp", true),
            ),
            (
                r"<30>Nov 28 10:00:00 ns1 named[7]: client @0x1 192.0.2.7#5/key k (a\010\;b.example): query: a\010\;b.example IN ANY + (192.0.2.53)",
                read("2026-11-28T10:00:00.000Z", "192.0.2.7", r"a\010\059b.example", "ANY", "udp", false),
            ),
            ("28-Nov-2026 10:00:00.123 general: info: zone example.org/IN: loaded serial 7", None),
        ] {
            check(Format::Bind, line, expected);
        }
    }

    #[test]
    fn a_query_that_is_cut_is_a_fault() {
        for line in [
            "28-Nov-2026 10:00:00.123 client @0x1 192.0.2.7#5 (a.example): query: a.example IN",
            "28-Nov-2026 10:00:00.123 client @0x1 192.0.2.777#5 (a.example): query: a.example IN A +",
            "28-Nov-2026 10:00:00.123 : query: a.example IN A +",
            "client @0x1 192.0.2.7#5 (a.example): query: a.example IN A +",
            "28-Nov-2026 10:00:00.123 client @0x1 192.0.2.7#5 (a..example): query: a..example IN A +",
            "28-Nov-2026 10:00:00.123 client @0x1 192.0.2.7#5 (a.example): query: a.example IN NONSENSE +",
        ] {
            super::super::test::fault(Format::Bind, line);
        }
    }
}
