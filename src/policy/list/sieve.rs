//! Which lines of a list can have a say about one name, told without reading them: of ten million lines nearly none can.
//!
//! A rule has a say about a name if it is for that name, one above it or one below it. All of these end in the same two labels,
//! but for the rules of one label or none. Where a piece of a list holds anything by which its lines may say otherwise than they
//! look (capitals, escapes, other alphabets, `*`), they are looked at one by one, and lines with such a thing are read.

use memchr::memmem::Finder;

use super::ListFormat;
use crate::wire::LowerName;

/// Finds the lines that may have a say.
#[derive(Debug)]
pub(super) struct Sieve {
    /// The last label of the name.
    last: Finder<'static>,
    /// The label in front of it, with the dot between them; nothing if there is none.
    before: Box<[u8]>,
    /// Words that make a line count, whatever name it holds.
    words: &'static [&'static str],
}

impl Sieve {
    /// `None`: every line of this format has to be read.
    pub(super) fn new(format: ListFormat, name: &LowerName) -> Option<Self> {
        let words: &[&str] = match format {
            // Networks, and actions that a ban may not be able to take: these are mistakes of the whole list.
            ListFormat::Rules => &["answer:", "client:", "sinkhole"],
            ListFormat::Domains | ListFormat::Hosts | ListFormat::Adblock | ListFormat::Dnsmasq => &[],
            // Their lines lean on those before.
            ListFormat::Unbound | ListFormat::Rpz => return None,
        };
        let labels = name.labels();
        let last = Finder::new(name.label(labels.checked_sub(1)?)).into_owned();
        let before = labels.checked_sub(2).map_or_else(Vec::new, |index| [name.label(index), b"."].concat());
        Some(Self { last, before: before.into(), words })
    }

    /// Whether the text may hold a line that has a say though it does not look so, or one that counts in any case.
    pub(super) fn is_odd(&self, text: &[u8]) -> bool {
        let odd = |octet: u8| !octet.is_ascii() | octet.is_ascii_uppercase() | matches!(octet, b'\\' | b'*' | 0);
        let is_root = |before: u8, octet: u8| (octet == b'.') & !is_of_name(before);
        // Without a way out of the loops many octets are looked at at a time.
        let found = text.iter().fold(false, |found, octet| found | odd(*octet));
        let root = text.iter().zip(text.iter().skip(1)).fold(false, |found, (a, b)| found | is_root(*a, *b));
        let counts = |word: &&str| memchr::memmem::find(text, word.as_bytes()).is_some();
        found | root | text.starts_with(b".") || self.words.iter().any(counts)
    }

    /// The next place in a text that is not odd, at `from` or behind it, whose line may have a say.
    pub(super) fn find(&self, text: &[u8], from: usize) -> Option<usize> {
        let named = self.last.find_iter(text.get(from..)?).map(|at| from + at);
        named.into_iter().find(|at| self.is_named(text, *at))
    }

    /// Whether the last label, which stands at a place, is that of a name at, above or below the one asked for.
    fn is_named(&self, text: &[u8], at: usize) -> bool {
        let front = text.get(..at).unwrap_or_default();
        front.ends_with(&self.before) || !front.last().is_some_and(|octet| is_of_name(*octet))
    }
}

/// Whether an octet in front of a label is of the same name.
fn is_of_name(octet: u8) -> bool {
    octet.is_ascii_lowercase() | octet.is_ascii_digit() | matches!(octet, b'-' | b'_' | b'.')
}
