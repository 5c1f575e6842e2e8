//! The debug log of the DNS server of Windows.
//!
//! ```text
//! 11/28/2026 10:00:00 AM 0E4C PACKET  000001D2AF3C7D10 UDP Rcv 192.0.2.7       8d3a   Q [0001   D   NOERROR] A      (3)www(7)example(3)org(0)
//! ```
//! Microsoft, "DNS Logging and Diagnostics" and the message key that the log itself has at its head: `Rcv` or `Snd`, then the
//! peer, the id, `R` for a response, `Q` for a standard query, flags, the type and the question's name by lengths. Dates are those
//! of the server's country.

use super::super::entry::{Entry, Fault, Told};
use super::{Context, address, behind, qtype, words};
use crate::wire::{LowerName, NameError, Transport};

pub(super) fn read(line: &[u8], context: &Context) -> Told {
    let Some(rest) = behind(line, b" PACKET ") else { return Ok(None) };
    // The packet's place in memory stands before, in logs since 2008 R2.
    let (transport, rest) = match (behind(rest, b"UDP "), behind(rest, b"TCP ")) {
        (Some(udp), _) => (Transport::Udp, udp),
        (None, Some(tcp)) => (Transport::Tcp, tcp),
        (None, None) => return Err(Fault::Missing("protocol")),
    };
    let Some(rest) = rest.strip_prefix(b"Rcv ") else { return Ok(None) };
    let mut fields = words(rest);
    let (client, _id) = (fields.next().unwrap_or_default(), fields.next());
    // A response, or another opcode than that of queries.
    if fields.next() != Some(b"Q") {
        return Ok(None);
    }
    let rest = behind(rest, b"]").ok_or(Fault::Missing("question"))?;
    let mut fields = words(rest);
    let word = fields.next().ok_or(Fault::Missing("question"))?;
    let name = behind(rest, word).map(<[u8]>::trim_ascii).ok_or(Fault::Missing("name"))?;
    let (at, _rest) = context.times.of_windows(line)?;
    Ok(Some(Entry::new(at, address(client)?, name_of(name)?, qtype(word)?).over(transport)))
}

/// `(3)www(7)example(3)org(0)`: labels by their lengths, so that no octet in them means anything.
fn name_of(text: &[u8]) -> Result<LowerName, Fault> {
    const CUT: Fault = Fault::Name(NameError::Cut);
    let (mut wire, mut rest) = (Vec::with_capacity(text.len()), text);
    loop {
        let inner = rest.strip_prefix(b"(").ok_or(CUT)?;
        let end = memchr::memchr(b')', inner).ok_or(CUT)?;
        let size: u8 = str::from_utf8(&inner[..end]).ok().and_then(|size| size.parse().ok()).ok_or(CUT)?;
        wire.push(size);
        if size == 0 {
            return Ok(LowerName::read(&wire, 0)?.0);
        }
        let (label, behind) = inner[end + 1..].split_at_checked(size.into()).ok_or(CUT)?;
        wire.extend_from_slice(label);
        rest = behind;
    }
}

/// Whether a date that a line begins with can only have its day first, or only its month; `None`: both or neither.
pub(in crate::scan) fn has_day_first(line: &[u8]) -> Option<bool> {
    let (first, second) = date(line)?;
    match (first > 12, second > 12) {
        (true, false) => Some(true),
        (false, true) => Some(false),
        // Whoever counts to twelve twice a day writes the month first.
        _ if line.windows(4).take(30).any(|four| matches!(four, b" AM " | b" PM ")) => Some(false),
        // Nobody who writes the month first has dots behind its numbers.
        _ if line.iter().find(|octet| !octet.is_ascii_digit()) == Some(&b'.') => Some(true),
        _ => None,
    }
}

/// Whether a line begins with a date of which it may be asked whether its day is first.
pub(in crate::scan) fn is_dated(line: &[u8]) -> bool {
    date(line).is_some()
}

/// The two numbers before a year that a line begins with.
fn date(line: &[u8]) -> Option<(u16, u16)> {
    let mut numbers = line.split(|octet| !octet.is_ascii_digit());
    let mut number = || str::from_utf8(numbers.next()?).ok()?.parse::<u16>().ok();
    let (first, second, year) = (number()?, number()?, number()?);
    (1900..=9999).contains(&year).then_some((first, second))
}

#[cfg(test)]
mod tests {
    use super::super::test::{Read, check, fault};
    use super::*;
    use crate::scan::Format;

    fn read(name: &'static str, qtype: &'static str, transport: &'static str) -> Read<'static> {
        let (at, client) = ("2026-11-28T10:00:00.000Z", "192.0.2.7");
        Read { at, client, name, qtype, transport, verified: transport == "tcp" }
    }

    #[test]
    fn queries_that_come_in_are_read_in_the_dates_of_all_countries() {
        let tail = "0E4C PACKET  000001D2AF3C7D10 UDP Rcv 192.0.2.7       8d3a   Q [0001   D   NOERROR] A      (3)WWW(7)example(3)org(0)";
        for date in ["11/28/2026 10:00:00 AM", "28/11/2026 10:00:00", "28.11.2026 10:00:00", "2026-11-28 10:00:00"] {
            check(Format::Windows, &format!("{date} {tail}"), Some(read("www.example.org", "A", "udp")));
        }
        check(
            Format::Windows,
            "28/11/2026 10:00:00 0E4C PACKET  000001D2AF3C7D10 TCP Rcv 192.0.2.7 8d3a Q [0001   D   NOERROR] AAAA (5)a b(1(0)",
            Some(read(r"a\032b\0401", "AAAA", "tcp")),
        );
        for other in [
            "11/28/2026 10:00:00 AM 0E4C PACKET  00 UDP Snd 192.0.2.7 8d3a R Q [8081   DR  NOERROR] A (3)www(0)",
            "11/28/2026 10:00:00 AM 0E4C PACKET  00 UDP Rcv 192.0.2.53 8d3a R Q [8081   DR  NOERROR] A (3)www(0)",
            "Message logging key (for packets - other items use a subset of these fields):",
        ] {
            check(Format::Windows, other, None);
        }
    }

    #[test]
    fn a_day_that_tells_its_place_tells_it_for_all_lines() {
        let tail = "0E4C PACKET  00 UDP Rcv 192.0.2.7 8d3a Q [0001   D   NOERROR] A (1)a(0)";
        let text = format!("28/11/2026 09:59:59 {tail}\n05/11/2026 10:00:00 {tail}");
        let expected = Read { at: "2026-11-05T10:00:00.000Z", ..read("a", "A", "udp") };
        check(Format::Windows, &text, Some(expected));
    }

    #[test]
    fn what_is_broken_is_a_fault() {
        let start = "11/28/2026 10:00:00 AM 0E4C PACKET  00 UDP Rcv 192.0.2.7 8d3a Q [0001   D   NOERROR]";
        for line in [
            format!("{start} A (3)www(7)exam"),
            format!("{start} A (3)www"),
            format!("{start} A"),
            format!("{start} A (999)a(0)"),
            "11/28/2026 10:00:00 AM 0E4C PACKET  00 Rcv 192.0.2.7 8d3a Q [0001   D   NOERROR] A (1)a(0)".to_owned(),
        ] {
            fault(Format::Windows, &line);
        }
        assert_eq!(has_day_first(b"05/06/2026 10:00:00"), None);
        assert_eq!(has_day_first(b"05.06.2026 10:00:00"), Some(true));
    }
}
