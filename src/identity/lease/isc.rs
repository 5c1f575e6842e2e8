//! `dhcpd.leases` of ISC DHCP (dhcpd.leases(5)): blocks in braces, statements that end in a semicolon, appended to; the last
//! block about an address holds.
//!
//! ```text
//! lease 10.0.0.7 { starts 0 2024/09/29 08:00:00; ends never; binding state active; hardware ethernet 52:54:00:12:34:56; }
//! ia-na "…" { iaaddr 2001:db8::7 { binding state active; ends 0 2024/09/29 09:00:00; } }
//! ```

use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::Range;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::{Found, Held, Lease, moment, named};
use crate::diag::Source;
use crate::identity::{ClientId, Identifier, Mac};
use crate::time::Timestamp;

/// Blocks within blocks at most.
const DEPTH_MAX: usize = 8;
/// Octets in front of the DUID in the name of an association (the number of it, RFC 8415 §21.4).
const IAID: usize = 4;

pub(super) fn read(source: &Source, found: &mut Found) {
    let mut blocks: Vec<Block> = Vec::new();
    for (number, line) in (1..).zip(source.text.lines()) {
        for piece in pieces(line) {
            match piece {
                Piece::Opens(words) => {
                    if blocks.len() == DEPTH_MAX {
                        found.warn(source, number, line, 0..line.len(), "too many blocks in one another");
                        return;
                    }
                    let block = Block::new(&words, blocks.last());
                    blocks.push(block);
                }
                Piece::Says(words) => {
                    if let Some(Err(why)) = blocks.last_mut().map(|block| block.says(&words)) {
                        found.warn(source, number, line, 0..line.len(), why);
                    }
                }
                Piece::Closes(place) => match blocks.pop() {
                    Some(block) => found.add(block.lease()),
                    None => found.warn(source, number, line, place, "no block is open here"),
                },
                Piece::Broken(place) => found.warn(source, number, line, place, "a text in quotes has no end"),
            }
        }
    }
    // A block that is being written is no lease yet; the next look will find it whole.
}

/// A piece of a line.
enum Piece {
    /// Words and an opening brace.
    Opens(Vec<Word>),
    /// Words and a semicolon.
    Says(Vec<Word>),
    /// A closing brace.
    Closes(Range<usize>),
    /// A text in quotes without its end.
    Broken(Range<usize>),
}

/// A word, or the octets of a text in quotes.
type Word = Vec<u8>;

/// The pieces of a line. A statement never goes on in the next line.
fn pieces(line: &str) -> Vec<Piece> {
    let octets = line.as_bytes();
    let (mut pieces, mut words, mut at) = (Vec::new(), Vec::new(), 0);
    while let Some(&octet) = octets.get(at) {
        let start = at;
        at += 1;
        match octet {
            b'#' => break,
            b'{' => pieces.push(Piece::Opens(std::mem::take(&mut words))),
            b';' => pieces.push(Piece::Says(std::mem::take(&mut words))),
            b'}' => pieces.push(Piece::Closes(start..at)),
            b'"' => {
                let Some((text, end)) = quoted(octets, at) else {
                    pieces.push(Piece::Broken(start..octets.len()));
                    break;
                };
                words.push(text);
                at = end;
            }
            space if space.is_ascii_whitespace() => (),
            _ => {
                let ends = |octet: &u8| octet.is_ascii_whitespace() || b"{};\"".contains(octet);
                at = octets.iter().skip(start).position(ends).map_or(octets.len(), |length| start + length);
                words.extend(octets.get(start..at).map(<[u8]>::to_vec));
            }
        }
    }
    pieces
}

/// The octets of a text up to its closing quote, and the place behind that; `\ooo` is an octet in octal, `\x` is x.
fn quoted(octets: &[u8], start: usize) -> Option<(Word, usize)> {
    let (mut text, mut at) = (Vec::new(), start);
    loop {
        let octet = *octets.get(at)?;
        at += 1;
        match octet {
            b'"' => return Some((text, at)),
            b'\\' => {
                let (octet, size) = octal(octets.get(at..at + 3)).map_or((*octets.get(at)?, 1), |octet| (octet, 3));
                text.push(octet);
                at += size;
            }
            octet => text.push(octet),
        }
    }
}

fn octal(digits: Option<&[u8]>) -> Option<u8> {
    let digits = std::str::from_utf8(digits?).ok()?;
    let is_octal = digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    u8::from_str_radix(digits, 8).ok().filter(|_octet| is_octal)
}

/// A block that was opened.
#[derive(Default)]
struct Block {
    /// `None`: a block of another kind.
    address: Option<IpAddr>,
    /// Of the association that this is, or is in.
    duid: Option<ClientId>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    /// Whether its state is another than `active`.
    free: bool,
    mac: Option<Mac>,
    client_id: Option<ClientId>,
    host_name: Option<Identifier>,
}

impl Block {
    fn new(words: &[Word], outer: Option<&Self>) -> Self {
        let mut block = Self::default();
        if let Some(outer) = outer {
            (block.duid, block.since) = (outer.duid.clone(), outer.since);
        }
        match words {
            [kind, address] if matches!(&**kind, b"lease" | b"iaaddr") => block.address = text(address).parse().ok(),
            [kind, association] if matches!(&**kind, b"ia-na" | b"ia-ta") => {
                block.duid = association.get(IAID..).and_then(ClientId::new);
            }
            _ => (),
        }
        block
    }

    fn says(&mut self, words: &[Word]) -> Result<(), &'static str> {
        let words: Vec<&[u8]> = words.iter().map(|word| &**word).collect();
        match words[..] {
            [b"starts" | b"cltt", ref when @ ..] => self.since = time(when)?,
            [b"ends", ref when @ ..] => self.until = time(when)?,
            [b"binding", b"state", state] => self.free = state != b"active",
            [b"abandoned"] => self.free = true,
            [b"hardware", b"ethernet", mac] => self.mac = text(mac).parse().ok(),
            // In quotes the octets themselves, else in hexadecimal.
            [b"uid", id] => self.client_id = ClientId::parse(&text(id)).or_else(|| ClientId::new(id)),
            [b"client-hostname", name] => self.host_name = named(&text(name)),
            _ => (),
        }
        Ok(())
    }

    fn lease(self) -> Option<Lease> {
        let held = if self.free { Held::Not } else { Held::By { since: self.since, until: self.until } };
        let identifiers = [
            self.duid.map(Identifier::Duid),
            self.client_id.map(Identifier::of_client_id),
            self.mac.map(Identifier::Mac),
            self.host_name,
        ];
        Lease::new(self.address?, held, identifiers.into_iter().flatten())
    }
}

fn text(octets: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(octets)
}

/// `never`, `epoch SECONDS`, or a day of the week, a date and a time in UTC.
fn time(words: &[&[u8]]) -> Result<Option<Timestamp>, &'static str> {
    let words: Vec<_> = words.iter().map(|word| text(word)).collect();
    let words: Vec<&str> = words.iter().map(|word| &**word).collect();
    let time = match words[..] {
        ["never"] => return Ok(None),
        ["epoch", seconds] => moment(seconds),
        [_day, date, time] => {
            let civil = DateTime::strptime("%Y/%m/%d %H:%M:%S", format!("{date} {time}")).ok();
            civil.and_then(|civil| civil.to_zoned(TimeZone::UTC).ok()).map(|zoned| zoned.timestamp())
        }
        _ => None,
    };
    time.map(Some).ok_or("no time: `never`, `epoch SECONDS` or `DAY YYYY/MM/DD HH:MM:SS`")
}

#[cfg(test)]
mod tests {
    use super::super::LeaseFormat::Isc;
    use super::super::tests::check;

    #[test]
    fn a_block_is_a_lease_of_version_4() {
        let text = r#"
# The format of this file is documented in the dhcpd.leases(5) manual page.
authoring-byte-order little-endian;
server-duid "\000\001";
lease 10.0.0.9 {
  starts 0 2024/09/29 08:00:00;
  ends 0 2024/09/29 09:00:00;
  cltt 0 2024/09/29 08:10:00;
  binding state active;
  next binding state free;
  hardware ethernet 52:54:00:12:34:56;
  uid "\001RT\000\0224V";
  set vendor-class-identifier = "MSFT 5.0";
  client-hostname "Anna \"PC\"; }";
}
lease 10.0.0.7 { hardware ethernet 52:54:00:12:34:56; }
lease 10.0.0.8 { starts epoch 1727596400; # Sun
  ends never; uid 00:61; hardware ethernet 52:54:00:12:34:57; }
lease 10.0.0.7 { binding state free; hardware ethernet 52:54:00:12:34:56; }
"#;
        let expected = [
            "10.0.0.9 1727597400..1727600400 mac:52:54:00:12:34:56 host:anna??pc????",
            "10.0.0.7 free mac:52:54:00:12:34:56",
            "10.0.0.8 1727596400..- client-id:00:61 mac:52:54:00:12:34:57",
        ];
        check(Isc, text, &expected, &[]);
    }

    #[test]
    fn an_address_in_an_association_is_a_lease_of_version_6() {
        let text = r#"
ia-na "\001\000\000\000\000\003\000\001RT\000\0224V" {
  cltt 0 2024/09/29 08:00:00;
  iaaddr 2001:db8::7 {
    binding state active;
    preferred-life 375;
    max-life 600;
    ends 0 2024/09/29 08:10:00;
  }
}
ia-pd "\001\000\000\000\000\003\000\001RT\000\0224V" { iaprefix 2001:db8:1::/56 { binding state active; } }
"#;
        let expected = "2001:db8::7 1727596800..1727597400 duid:00:03:00:01:52:54:00:12:34:56";
        check(Isc, text, &[expected], &[]);
    }

    #[test]
    fn what_is_broken_is_named_and_a_block_without_its_end_is_none_yet() {
        let text = "}\nlease 10.0.0.7 { ends soon; hardware ethernet 52:54:00:12:34:56; }\n\
                    lease 10.0.0.8 { uid \"abc\n; hardware ethernet 52:54:00:12:34:57;";
        let messages = [
            "leases:1:1: warning: no block is open here",
            "leases:2:1: warning: no time: `never`, `epoch SECONDS` or `DAY YYYY/MM/DD HH:MM:SS`",
            "leases:3:22: warning: a text in quotes has no end",
        ];
        check(Isc, text, &["10.0.0.7 -..- mac:52:54:00:12:34:56"], &messages);
        check(Isc, &"a {".repeat(9), &[], &["leases:1:1: warning: too many blocks in one another"]);
    }
}
