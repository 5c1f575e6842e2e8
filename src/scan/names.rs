//! Names as others write them into their logs.

use std::borrow::Cow;

use crate::wire::LowerName;

use super::entry::Fault;

/// Octets of a name in any of these forms at most: each may be written as four.
const WRITTEN_MAX: usize = 1_100;

/// A name as it is presented, with `\DDD` and `\X` as escapes; octets outside ASCII stand for themselves.
pub(super) fn presented(text: &[u8]) -> Result<LowerName, Fault> {
    if let Some(name) = LowerName::of_host(text) {
        return Ok(name);
    }
    Ok(LowerName::parse(&ascii(text)?)?)
}

/// The text with every octet outside ASCII escaped.
fn ascii(text: &[u8]) -> Result<Cow<'_, str>, Fault> {
    if text.len() > WRITTEN_MAX {
        return Err(Fault::Unread("a name of so many octets"));
    }
    match str::from_utf8(text) {
        Ok(ascii) if ascii.is_ascii() => Ok(Cow::Borrowed(ascii)),
        _ => Ok(Cow::Owned(text.iter().map(|&octet| escaped(octet)).collect())),
    }
}

fn escaped(octet: u8) -> String {
    if octet.is_ascii() { char::from(octet).to_string() } else { format!("\\{octet:03}") }
}

/// A name as Zeek writes it: `\xHH` for what can't be printed, `\\` for a backslash, and dots between labels only.
pub(super) fn zeek(text: &[u8]) -> Result<LowerName, Fault> {
    if let Some(name) = LowerName::of_host(text) {
        return Ok(name);
    }
    if text.len() > WRITTEN_MAX {
        return Err(Fault::Unread("a name of so many octets"));
    }
    literal(&unescaped(text))
}

/// A name whose octets stand for themselves, dots between labels, and a last one or none.
pub(super) fn literal(text: &[u8]) -> Result<LowerName, Fault> {
    let text = text.strip_suffix(b".").unwrap_or(text);
    let mut wire = Vec::with_capacity(text.len() + 2);
    for label in text.split(|&octet| octet == b'.').filter(|_label| !text.is_empty()) {
        match u8::try_from(label.len()) {
            Ok(0) => return Err(crate::wire::NameError::EmptyLabel.into()),
            Ok(size @ 1..=63) => wire.push(size),
            _ => return Err(crate::wire::NameError::LongLabel.into()),
        }
        wire.extend_from_slice(label);
    }
    wire.push(0);
    Ok(LowerName::read(&wire, 0)?.0)
}

/// The octets that `\xHH` and `\\` stand for; what is no escape stays.
pub(super) fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let (octet, length) = match (first, after) {
            (b'\\', [b'\\', ..]) => (b'\\', 2),
            (b'\\', [b'x', high, low, ..]) => match hex(*high).zip(hex(*low)) {
                Some((high, low)) => (high << 4 | low, 4),
                None => (first, 1),
            },
            _ => (first, 1),
        };
        octets.push(octet);
        rest = rest.get(length..).unwrap_or_default();
    }
    octets
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(read: fn(&[u8]) -> Result<LowerName, Fault>, text: &[u8], expected: Option<&str>) {
        assert_eq!(read(text).ok().map(|name| name.to_string()).as_deref(), expected, "{}", text.escape_ascii());
    }

    #[test]
    fn names_are_read_in_the_form_of_whoever_wrote_them_and_shown_escaped() {
        check(presented, b"WWW.Example.", Some("www.example"));
        check(presented, b".", Some("."));
        check(presented, br"a\010b.example", Some(r"a\010b.example"));
        check(presented, b"b\xc3\xbccher.example", Some(r"b\195\188cher.example"));
        check(presented, b"host1.192-0-2-7", Some("host1.192-0-2-7"));
        check(presented, b"", None);
        check(presented, b"a..b", None);
        check(zeek, br"a\x0ab.example", Some(r"a\010b.example"));
        check(zeek, br"a\\b.example", Some(r"a\\b.example"));
        check(zeek, br"a\xzzb.example", Some(r"a\\xzzb.example"));
        check(zeek, b"<script>.example", Some(r"\060script\062.example"));
        check(literal, b"a b\x1b[31m.example.", Some(r"a\032b\027\09131m.example"));
        check(literal, b"", Some("."));
        check(literal, &[b'a'; 64], None);
    }
}
