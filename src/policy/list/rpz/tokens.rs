//! The words of a line of a zone file, and records that parentheses spread over several lines.

use std::ops::Range;

use super::super::{Fault, LINE_MAX};

/// One word: what stands between blanks, or a text in quotes without them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token<'t> {
    pub(super) span: Range<usize>,
    pub(super) word: &'t str,
}

/// The words of a line up to its comment. Parentheses only join lines, and stand between words.
pub(super) fn tokens(text: &str) -> impl Iterator<Item = Token<'_>> {
    let octets = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        at += octets.get(at..)?.iter().position(|octet| !is_between(*octet))?;
        let start = at;
        let (span, next) = match octets.get(start)? {
            b';' => {
                at = octets.len();
                return None;
            }
            b'"' => {
                let end = end_of_quoted(octets, start + 1);
                (start + 1..end, end + 1)
            }
            _ => {
                let end = end_of_word(octets, start);
                (start..end, end)
            }
        };
        at = next.min(octets.len());
        Some(Token { word: text.get(span.clone())?, span })
    })
}

fn is_between(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'(' | b')')
}

fn end_of_word(octets: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(octet) = octets.get(at) {
        match octet {
            b'\\' => at += 1,
            b';' | b'"' => break,
            octet if is_between(*octet) => break,
            _ => (),
        }
        at += 1;
    }
    at.min(octets.len())
}

fn end_of_quoted(octets: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(octet) = octets.get(at) {
        match octet {
            b'\\' => at += 1,
            b'"' => break,
            _ => (),
        }
        at += 1;
    }
    at.min(octets.len())
}

/// The lines of one record in parentheses, as one line.
pub(super) struct Joined {
    text: String,
    number: usize,
    depth: usize,
}

impl Joined {
    /// A record that begins on this line.
    pub(super) fn new(number: usize) -> Self {
        Self { text: String::new(), number, depth: 0 }
    }

    /// Adds a line. What is too long ends at once, so that one missing `)` does not swallow the rest of the file.
    pub(super) fn add(&mut self, text: &str) -> Result<(), Fault> {
        let octets = text.as_bytes();
        let mut at = 0;
        while let Some(octet) = octets.get(at) {
            match octet {
                b';' => break,
                b'"' => at = end_of_quoted(octets, at + 1),
                b'\\' => at += 1,
                b'(' => self.depth += 1,
                b')' if self.depth == 0 => return Err(Fault::new(at..at + 1, "no `(` stands before this")),
                b')' => self.depth -= 1,
                _ => (),
            }
            at += 1;
        }
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(text.get(..at).unwrap_or(text));
        if self.text.len() > LINE_MAX {
            let message = format!("the record that begins on line {} is longer than {LINE_MAX} octets", self.number);
            return Err(Fault::new(0..1, message));
        }
        Ok(())
    }

    /// Whether every `(` has its `)`.
    pub(super) fn is_whole(&self) -> bool {
        self.depth == 0
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where the record begins.
    pub(super) fn number(&self) -> usize {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, words: &[&str]) {
        assert_eq!(tokens(text).map(|token| token.word).collect::<Vec<_>>(), words, "{text:?}");
        for token in tokens(text) {
            assert_eq!(text.get(token.span), Some(token.word));
        }
    }

    #[test]
    fn words_end_at_blanks_comments_and_quotes() {
        check("", &[]);
        check("  ; a", &[]);
        check("a\tIN  CNAME . ; why", &["a", "IN", "CNAME", "."]);
        check(r"a\ b\;c.d CNAME .;x", &[r"a\ b\;c.d", "CNAME", "."]);
        check(r#"a TXT "b ; \" c" "" "d"#, &["a", "TXT", r#"b ; \" c"#, "", "d"]);
        check("@ SOA ( a b) c", &["@", "SOA", "a", "b", "c"]);
        check("a\\", &["a\\"]);
        check("\"a\\", &["a\\"]);
        check("é \"é", &["é", "é"]);
    }
}
