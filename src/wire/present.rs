//! The printable form of names.

use std::fmt;

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

/// Presentation form without the last dot: everything but letters, digits, `-`, `_`, `*` and `/` is escaped, in decimal
/// (RFC 4343 §2.1), so that a hostile name is inert in a log, a terminal, JSON, HTML and a metric. The root is `.`.
pub(super) fn present(wire: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if wire.len() <= 1 {
        return f.write_str(".");
    }
    let mut at = 0;
    while let Some(&size) = wire.get(at).filter(|&&size| size != 0) {
        if at > 0 {
            f.write_str(".")?;
        }
        let label = &wire[at + 1..at + 1 + usize::from(size)];
        // What stands for itself is written at once: names hold little else.
        for run in label.chunk_by(|a, b| is_plain(*a) == is_plain(*b)) {
            match str::from_utf8(run).ok().filter(|_run| run.first().copied().is_some_and(is_plain)) {
                Some(plain) => f.write_str(plain)?,
                None => run.iter().try_for_each(|&octet| escape(octet, f))?,
            }
        }
        at += 1 + usize::from(size);
    }
    Ok(())
}

fn escape(octet: u8, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match octet {
        b'.' | b'\\' => write!(f, "\\{}", char::from(octet)),
        other => write!(f, "\\{other:03}"),
    }
}

/// Whether an octet stands for itself in presentation form.
fn is_plain(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'*' | b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_labels_of_a_name_are_shown_like_the_name() {
        let check = |wire: &[u8], expected: &str| assert_eq!(Presented(wire).to_string(), expected, "{wire:?}");
        check(b"\x01a\x02b.\x00", r"a.b\.");
        check(b"\x01a\x02b.", r"a.b\.");
        check(b"\x04a\x07-_", r"a\007-_");
        check(b"\x00", ".");
    }
}
