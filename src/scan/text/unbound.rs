//! The query log of Unbound (`log-queries`), and its log of replies (`log-replies`) where there is no other.
//!
//! ```text
//! [1795860000] unbound[1234:0] info: 192.0.2.7 www.example.org. A IN
//! Nov 28 10:00:00 unbound[1234:0] query: 192.0.2.7 www.example.org. A IN
//! [1795860000] unbound[1234:0] info: 192.0.2.7 www.example.org. A IN NOERROR 0.000121 1 49
//! ```
//! unbound.conf(5): the last form is that of replies; `log-tag-queryreply` writes `query` or `reply` for `info`. A reply of
//! which the query is logged as well is not counted again.

use super::super::entry::{Entry, Told};
use super::super::names;
use super::super::times::Times;
use super::{Context, address, behind, qtype, words};

/// What a line logs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Query,
    Reply,
}

/// Whether a line is a query; `None`: it is neither that nor a reply.
pub(in crate::scan) fn is_query(line: &[u8]) -> Option<bool> {
    split(line).map(|(kind, _rest)| kind == Kind::Query)
}

pub(super) fn read(line: &[u8], context: &Context) -> Told {
    let Some((kind, rest)) = split(line) else { return Ok(None) };
    if (kind == Kind::Reply) != context.replies {
        return Ok(None);
    }
    let mut fields = words(rest);
    let mut next = || fields.next().unwrap_or_default();
    let (client, name, word) = (next(), next(), next());
    let at = time(line, &context.times)?;
    Ok(Some(Entry::new(at, address(client)?, names::literal(name)?, qtype(word)?)))
}

/// Unbound writes its own time only where nobody else does.
fn time(line: &[u8], times: &Times) -> Result<crate::time::Timestamp, super::Fault> {
    times.leading(line).map(|(at, _rest)| at)
}

/// What a line logs, and its fields.
fn split(line: &[u8]) -> Option<(Kind, &[u8])> {
    let rest = behind(line, b"unbound")?;
    // Its process and thread, and perhaps syslog's colon.
    let rest = behind(rest, b"] ").or_else(|| behind(rest, b"]: "))?;
    let rest = rest.strip_prefix(b"[").and_then(|inner| behind(inner, b"] ")).unwrap_or(rest);
    let (tag, rest) = rest.split_at_checked(memchr::memchr(b':', rest)?)?;
    let rest = rest.strip_prefix(b": ")?;
    let count = words(rest).take(8).count();
    // Whatever else is logged as `info` has no address at its beginning.
    address(words(rest).next()?).ok()?;
    match (tag, count) {
        (b"query", _) | (b"info", 4) => Some((Kind::Query, rest)),
        (b"reply", _) | (b"info", 8..) => Some((Kind::Reply, rest)),
        _ => None,
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
    fn queries_are_read_however_times_and_tags_are_written() {
        for line in [
            "[1795860000] unbound[1234:0] info: 192.0.2.7 www.Example.org. A IN",
            "Nov 28 10:00:00 unbound[1234:0] info: 192.0.2.7 www.example.org. A IN",
            "Nov 28 10:00:00 ns1 unbound: [1234:0] query: 192.0.2.7 www.example.org. A IN",
            "<30>Nov 28 10:00:00 ns1 unbound[1234]: [1234:0] info: 192.0.2.7 www.example.org. A IN",
            "2026-11-28T10:00:00.000+00:00 unbound[1234:0] query: 192.0.2.7 www.example.org. A IN",
        ] {
            check(Format::Unbound, line, Some(read("www.example.org", "A", "192.0.2.7")));
        }
        check(
            Format::Unbound,
            "[1795860000] unbound[1:0] info: 2001:db8::7 . NS IN",
            Some(read(".", "NS", "2001:db8::7")),
        );
        check(Format::Unbound, "[1795860000] unbound[1:0] info: start of service (unbound 1.22.0).", None);
    }

    #[test]
    fn replies_count_only_where_queries_are_not_logged() {
        let reply = "[1795860000] unbound[1:0] info: 192.0.2.7 www.example.org. A IN NOERROR 0.000121 1 49";
        let query = "[1795860000] unbound[1:0] info: 192.0.2.7 www.example.org. A IN";
        check(Format::Unbound, reply, Some(read("www.example.org", "A", "192.0.2.7")));
        check(Format::Unbound, &format!("{query}\n{reply}"), None);
        check(Format::Unbound, &format!("{reply}\n{query}"), Some(read("www.example.org", "A", "192.0.2.7")));
    }

    #[test]
    fn what_is_broken_is_a_fault() {
        for line in [
            "unbound[1:0] info: 192.0.2.7 www.example.org. A IN",
            "[1795860000] unbound[1:0] query: 192.0.2.7 www.example.org.",
            "[1795860000] unbound[1:0] info: 192.0.2.7 www..org. A IN",
        ] {
            fault(Format::Unbound, line);
        }
    }
}
