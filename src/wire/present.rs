//! The printable form of names.

use std::convert::Infallible;
use std::fmt;

use smallvec::SmallVec;

/// Octets on the wire that are shown in the one printable form: a name, or the first labels of one.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'w>(
    /// Labels, with or without the root's zero behind them.
    pub &'w [u8],
);

impl fmt::Display for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        present(self.0, f)
    }
}

impl Presented<'_> {
    /// Appends the same to `text`, which is ASCII then if it was before.
    pub(crate) fn append_to(self, text: &mut Vec<u8>) {
        let appended: Result<(), Infallible> = walk(self.0, |octets| {
            text.extend_from_slice(octets);
            Ok(())
        });
        appended.unwrap_or_else(|never| match never {});
    }
}

pub(super) fn present(wire: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    walk(wire, |octets| f.write_str(str::from_utf8(octets).map_err(|_not_ascii| fmt::Error)?))
}

/// Gives the presentation form without the last dot piece by piece, all of it ASCII: everything but letters, digits, `-`, `_`,
/// `*` and `/` is escaped, in decimal (RFC 4343 §2.1), so that a hostile name is inert in a log, a terminal, JSON, HTML and a
/// metric. The root is `.`.
#[inline]
fn walk<E>(wire: &[u8], mut put: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    if wire.len() <= 1 {
        return put(b".");
    }
    let mut at = 0;
    while let Some(&size) = wire.get(at).filter(|&&size| size != 0) {
        if at > 0 {
            put(b".")?;
        }
        let label = &wire[at + 1..at + 1 + usize::from(size)];
        // What stands for itself is given at once: names hold little else.
        if label.iter().all(|octet| is_plain(*octet)) {
            put(label)?;
        } else {
            label
                .iter()
                .try_for_each(|&octet| if is_plain(octet) { put(&[octet]) } else { put(escaped(octet).as_slice()) })?;
        }
        at += 1 + usize::from(size);
    }
    Ok(())
}

/// How an octet is written that does not stand for itself.
fn escaped(octet: u8) -> SmallVec<[u8; 4]> {
    match octet {
        b'.' | b'\\' => SmallVec::from_slice(&[b'\\', octet]),
        other => SmallVec::from_slice(&[b'\\', b'0' + other / 100, b'0' + other / 10 % 10, b'0' + other % 10]),
    }
}

/// Whether an octet stands for itself in presentation form.
#[inline]
fn is_plain(octet: u8) -> bool {
    const PLAIN: [bool; 256] = {
        let (mut plain, mut octet) = ([false; 256], 0_u8);
        while octet < 0x80 {
            plain[octet as usize] = octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'*' | b'/');
            octet += 1;
        }
        plain
    };
    PLAIN[usize::from(octet)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_labels_of_a_name_are_shown_like_the_name() {
        let check = |wire: &[u8], expected: &str| {
            let mut appended = b"x".to_vec();
            Presented(wire).append_to(&mut appended);
            assert_eq!(
                (Presented(wire).to_string().as_str(), &appended[1..]),
                (expected, expected.as_bytes()),
                "{wire:?}"
            );
        };
        check(b"\x01a\x02b.\x00", r"a.b\.");
        check(b"\x01a\x02b.", r"a.b\.");
        check(b"\x04a\x07-_", r"a\007-_");
        check(b"\x05a\xFF\x80*/\x00", r"a\255\128*/");
        check(b"\x00", ".");
    }
}
