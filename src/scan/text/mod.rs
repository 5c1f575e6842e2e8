//! Formats of lines. Each has a function from one line to what it tells; none remembers the line before.

mod bind;
mod columns;
mod csv;
mod dnsmasq;
mod flows;
mod json;
mod umbrella;
mod unbound;
mod windows;
mod zeek;

use std::net::IpAddr;
use std::sync::Arc;

pub(super) use columns::Columns;
pub(super) use flows::columns as conn_columns;
pub use json::{Fields, PARTS};
pub(super) use unbound::is_query as is_unbound_query;
pub(super) use windows::{has_day_first, is_dated};
pub(super) use zeek::columns as zeek_columns;

use super::entry::{Fault, Told};
use super::format::Format;
use super::times::Times;

/// What all lines of a log share.
#[derive(Clone, Debug)]
pub(super) struct Context {
    pub(super) format: Format,
    pub(super) times: Times,
    /// Of formats that name their columns at their head.
    pub(super) columns: Option<Arc<Columns>>,
    /// Of JSON, what the fields are called.
    pub(super) fields: Arc<Fields>,
    /// Whether only responses are logged, so that these count.
    pub(super) replies: bool,
}

impl Context {
    pub(super) fn new(format: Format, times: Times) -> Self {
        Self { format, times, columns: None, fields: Arc::default(), replies: false }
    }

    /// What a line tells; nothing in a format that has no lines.
    pub(super) fn read(&self, line: &[u8]) -> Told {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        // What some write at the beginning of a file.
        let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        if line.is_empty() {
            return Ok(None);
        }
        match self.format {
            Format::Bind => bind::read(line, &self.times),
            Format::Unbound => unbound::read(line, self),
            Format::Dnsmasq => dnsmasq::read(line, &self.times),
            Format::Windows => windows::read(line, self),
            Format::Zeek => zeek::read(line, self),
            Format::Umbrella => umbrella::read(line, &self.times),
            Format::Json => json::read(line, &self.times, &self.fields),
            Format::Nftables => flows::kernel(line, &self.times),
            Format::ZeekConn => flows::zeek(line, self),
            Format::Dnstap | Format::Pcap | Format::Pcapng => Ok(None),
        }
    }
}

/// The address that a text is, without the zone that some write behind it.
fn address(text: &[u8]) -> Result<IpAddr, Fault> {
    let text = memchr::memchr(b'%', text).map_or(text, |zone| &text[..zone]);
    match str::from_utf8(text).map(str::parse) {
        Ok(Ok(address)) => Ok(address),
        _ => Err(Fault::Unread("the client's address")),
    }
}

/// The type that a word means.
fn qtype(word: &[u8]) -> Result<u16, Fault> {
    const NONE: Fault = Fault::Unread("the query type");
    match word {
        b"A" => Ok(crate::wire::qtype::A),
        b"AAAA" => Ok(crate::wire::qtype::AAAA),
        b"*" | b"ALL" => Ok(crate::wire::qtype::ANY),
        _ => str::from_utf8(word).ok().and_then(crate::wire::rtype::parse).ok_or(NONE),
    }
}

/// Whether a port is one at which neighbours ask each other: `NetBIOS`, multicast DNS (RFC 6762) and LLMNR (RFC 4795).
fn is_of_neighbours(port: u16) -> bool {
    matches!(port, 137 | 5353 | 5355)
}

/// The words of a line, however many spaces are between them.
fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// What stands behind the first place where `needle` does.
fn behind<'t>(text: &'t [u8], needle: &[u8]) -> Option<&'t [u8]> {
    memchr::memmem::find(text, needle).and_then(|at| text.get(at + needle.len()..))
}

/// What the line begins with that names the columns of a log of Zeek.
pub(super) fn zeek_head() -> &'static [u8] {
    zeek::HEAD
}

#[cfg(test)]
pub(super) mod test {
    //! What the tests of all formats ask.

    use super::*;
    use crate::scan::detect::about;
    use crate::wire::rtype::mnemonic;

    /// What a line is to tell.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Read<'t> {
        pub(crate) at: &'t str,
        pub(crate) client: &'t str,
        pub(crate) name: &'t str,
        pub(crate) qtype: &'t str,
        pub(crate) transport: &'t str,
        pub(crate) verified: bool,
    }

    /// The context of a log that begins so, in UTC, written on 2026-11-28.
    pub(crate) fn context(format: Format, head: &str) -> Context {
        let now = "2026-11-28T12:00:00Z".parse().unwrap();
        about(head.as_bytes(), Context::new(format, Times::new(jiff::tz::TimeZone::UTC, now, now)))
    }

    /// The last line of a text tells this; `None`: nothing of a query.
    #[track_caller]
    pub(crate) fn check(format: Format, text: &str, expected: Option<Read<'_>>) {
        let line = text.lines().next_back().unwrap();
        let read = context(format, text).read(line.as_bytes()).unwrap();
        let Some(entry) = read else { return assert_eq!(expected, None, "{line}") };
        let (at, client, name) = (crate::time::rfc3339(entry.at), entry.client.to_string(), entry.name.to_string());
        let transport = entry.transport.map_or("", crate::wire::Transport::as_str);
        let qtype = mnemonic(entry.qtype);
        let read = Read { at: &at, client: &client, name: &name, qtype: &qtype, transport, verified: entry.verified };
        assert_eq!(Some(read), expected, "{line}");
    }

    /// The last line of a text is a fault.
    #[track_caller]
    pub(crate) fn fault(format: Format, text: &str) {
        let line = text.lines().next_back().unwrap();
        let read = context(format, text).read(line.as_bytes());
        assert!(read.is_err(), "{line}: {read:?}");
    }
}
