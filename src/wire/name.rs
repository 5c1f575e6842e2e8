//! Domain names as lower-case octets on the wire, and their one printable form.
//!
//! Two kinds: [`LowerName`] lives on the stack and knows where its labels start (queries, CNAME targets); [`Name`] is
//! small and owned (rules, keys, rows).

use std::fmt;

use super::octets::write_lower;
use super::present::present;

/// Octets of a name on the wire at most, the root's zero included (RFC 1035 §3.1).
pub(super) const MAX_OCTETS: usize = 255;
/// Octets kept for a name: behind the last of its own, enough to read a word from any of them.
const ROOM: usize = MAX_OCTETS + 9;
/// Labels of a name at most, the root not counted: 127 of one octet each.
const MAX_LABELS: usize = 127;
/// Octets of a label at most (RFC 1035 §3.1).
pub(super) const MAX_LABEL: usize = 63;

/// Why octets or text are no domain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The octets end inside the name.
    #[error("name is cut off")]
    Cut,
    /// A compression pointer where none may stand, one that does not point backwards, or more of them than labels.
    #[error("name has a bad compression pointer")]
    Pointer,
    /// A label of more than 63 octets.
    #[error("label is longer than 63 octets")]
    LongLabel,
    /// More than 255 octets in all.
    #[error("name is longer than 255 octets")]
    LongName,
    /// Two dots in a row, or a dot in front.
    #[error("label is empty")]
    EmptyLabel,
    /// A backslash that is not followed by a character or three decimal digits up to 255.
    #[error("escape is not `\\X` or `\\DDD` with DDD up to 255")]
    Escape,
    /// A character outside ASCII.
    #[error("name has a character outside ASCII; write its A-label (`xn--…`)")]
    NotAscii,
}

/// A name in lower case on the stack, with the offsets of its labels. Case folds for ASCII letters only (RFC 4343).
#[derive(Clone)]
pub struct LowerName {
    pub(super) octets: [u8; ROOM],
    pub(super) len: u8,
    pub(super) starts: [u8; MAX_LABELS],
    pub(super) labels: u8,
}

impl LowerName {
    /// The root.
    pub const ROOT: Self = Self { octets: [0; ROOM], len: 1, starts: [0; MAX_LABELS], labels: 0 };

    /// Reads an uncompressed name at `offset`; returns it and the offset behind it.
    ///
    /// # Errors
    /// [`NameError`] when the octets are no uncompressed name.
    pub fn read(message: &[u8], offset: usize) -> Result<(Self, usize), NameError> {
        let mut name = Self::ROOT;
        let end = name.read_in_place(message, offset)?;
        Ok((name, end))
    }

    /// The same, over this value, which is of no use after an error: a value of this size is better not moved for every query.
    #[inline]
    pub(super) fn read_in_place(&mut self, message: &[u8], offset: usize) -> Result<usize, NameError> {
        let (mut at, mut labels) = (offset, 0);
        loop {
            let size = *message.get(at).ok_or(NameError::Cut)?;
            let len = at - offset;
            if usize::from(size) > MAX_LABEL {
                return Err(NameError::Pointer);
            }
            if len + 1 + usize::from(size) > MAX_OCTETS {
                return Err(NameError::LongName);
            }
            at += 1 + usize::from(size);
            if size == 0 {
                break;
            }
            // Within 255 octets there is no room for a 128th label of one octet and the root's zero.
            let start = self.starts.get_mut(labels).ok_or(NameError::LongName)?;
            *start = u8::try_from(len).map_err(|_too_long| NameError::LongName)?;
            labels += 1;
        }
        let name = message.get(offset..at).ok_or(NameError::Cut)?;
        // The octets that hold a label's length are below `A`, so all of them go through at once.
        write_lower(&mut self.octets, name);
        self.len = u8::try_from(name.len()).map_err(|_too_long| NameError::LongName)?;
        self.labels = u8::try_from(labels).map_err(|_too_long| NameError::LongName)?;
        Ok(at)
    }

    /// Reads a name that may be compressed (RFC 1035 §4.1.4); returns it and the offset behind it where it stands.
    /// Every pointer must point before the name or pointer that holds it, so there is no loop to follow.
    ///
    /// # Errors
    /// [`NameError`] when the octets are no name.
    pub fn read_compressed(message: &[u8], offset: usize) -> Result<(Self, usize), NameError> {
        let mut name = Self::ROOT;
        let mut len = 0;
        let end = follow(message, offset, |label| {
            len = name.push(len, label)?;
            Ok(())
        })?;
        name.octets[len] = 0;
        name.len = u8::try_from(len + 1).map_err(|_too_long| NameError::LongName)?;
        Ok((name, end))
    }

    /// The same where only the offset behind the name is wanted.
    ///
    /// # Errors
    /// As [`LowerName::read_compressed`].
    pub fn pass_compressed(message: &[u8], offset: usize) -> Result<usize, NameError> {
        let mut len = 1;
        follow(message, offset, |label| {
            len += 1 + label.len();
            if len > MAX_OCTETS { Err(NameError::LongName) } else { Ok(()) }
        })
    }

    /// Appends one label in lower case at `len`; returns the new length without the root's zero.
    fn push(&mut self, len: usize, label: &[u8]) -> Result<usize, NameError> {
        let end = len + 1 + label.len();
        if end + 1 > MAX_OCTETS {
            return Err(NameError::LongName);
        }
        self.starts[usize::from(self.labels)] = u8::try_from(len).map_err(|_too_long| NameError::LongName)?;
        self.labels += 1;
        self.octets[len] = u8::try_from(label.len()).map_err(|_too_long| NameError::LongLabel)?;
        for (to, from) in self.octets[len + 1..end].iter_mut().zip(label) {
            *to = from.to_ascii_lowercase();
        }
        Ok(end)
    }

    /// Reads presentation form, with or without the last dot; `\X` and `\DDD` escape.
    ///
    /// # Errors
    /// [`NameError`] when the text is no name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let mut name = Self::ROOT;
        if text == "." {
            return Ok(name);
        }
        let mut len = 0;
        let mut label = Vec::with_capacity(MAX_LABEL);
        let mut octets = text.bytes().peekable();
        loop {
            let octet = octets.next();
            match octet {
                None | Some(b'.') => {
                    if label.is_empty() {
                        return Err(NameError::EmptyLabel);
                    }
                    len = name.push(len, &label)?;
                    label.clear();
                    if octets.peek().is_none() {
                        break;
                    }
                }
                Some(b'\\') => label.push(unescape(&mut octets)?),
                Some(plain) if plain.is_ascii() => label.push(plain),
                Some(_) => return Err(NameError::NotAscii),
            }
            if label.len() > MAX_LABEL {
                return Err(NameError::LongLabel);
            }
        }
        name.octets[len] = 0;
        name.len = u8::try_from(len + 1).map_err(|_too_long| NameError::LongName)?;
        Ok(name)
    }

    /// The octets on the wire, lower case, the root's zero included.
    #[inline]
    pub fn wire(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }

    /// Number of labels, the root not counted.
    #[inline]
    pub fn labels(&self) -> usize {
        usize::from(self.labels)
    }

    /// The wire octets of the ancestor (or the name itself) that has `labels` labels; the root for 0.
    #[inline]
    pub fn suffix(&self, labels: usize) -> &[u8] {
        let skip = self.labels().saturating_sub(labels);
        let start = if skip == self.labels() { usize::from(self.len) - 1 } else { usize::from(self.starts[skip]) };
        &self.octets[start..usize::from(self.len)]
    }

    /// The label at `index` counted from the left, without its length octet.
    pub fn label(&self, index: usize) -> &[u8] {
        let start = usize::from(self.starts[index]);
        &self.octets[start + 1..start + 1 + usize::from(self.octets[start])]
    }

    /// Folds the label at `index`, counted from the left, with its length octet in front: as words of eight octets in
    /// little-endian order, the last one filled up with zeros. No two labels have the same words, as a hash needs it.
    #[inline]
    pub(crate) fn fold_label<T>(&self, index: usize, start: T, fold: impl Fn(T, u64) -> T) -> T {
        let mut at = usize::from(self.starts[index]);
        let mut left = 1 + u32::from(self.octets[at]);
        let mut folded = start;
        while let Some(word) = self.octets.get(at..at + 8).and_then(<[u8]>::first_chunk) {
            let word = u64::from_le_bytes(*word);
            if left <= 8 {
                return fold(folded, word & u64::MAX >> (64 - 8 * left));
            }
            folded = fold(folded, word);
            (at, left) = (at + 8, left - 8);
        }
        folded
    }

    /// Whether this name is `ancestor` or below it.
    pub fn is_below(&self, ancestor: &Self) -> bool {
        self.labels >= ancestor.labels && self.suffix(ancestor.labels()) == ancestor.wire()
    }
}

/// Follows a name that may be compressed from label to label; returns the offset behind it where it stands. No more pointers
/// than a name can have labels: a chain of pointers to pointers says nothing, and costs whoever reads it.
#[inline]
fn follow(
    message: &[u8],
    offset: usize,
    mut met: impl FnMut(&[u8]) -> Result<(), NameError>,
) -> Result<usize, NameError> {
    let mut at = offset;
    let (mut floor, mut end) = (offset, None);
    let mut pointers = 0;
    loop {
        let size = usize::from(*message.get(at).ok_or(NameError::Cut)?);
        match size {
            0 => return Ok(end.unwrap_or(at + 1)),
            1..=MAX_LABEL => {
                met(message.get(at + 1..at + 1 + size).ok_or(NameError::Cut)?)?;
                at += 1 + size;
            }
            0xC0..=0xFF => {
                let low = usize::from(*message.get(at + 1).ok_or(NameError::Cut)?);
                let target = ((size & 0x3F) << 8) | low;
                pointers += 1;
                if target >= floor || pointers > MAX_LABELS {
                    return Err(NameError::Pointer);
                }
                end = end.or(Some(at + 2));
                (floor, at) = (target, target);
            }
            _ => return Err(NameError::Pointer),
        }
    }
}

/// The octet that an escape stands for; the backslash is already read.
fn unescape(octets: &mut impl Iterator<Item = u8>) -> Result<u8, NameError> {
    let first = octets.next().ok_or(NameError::Escape)?;
    if !first.is_ascii_digit() {
        return if first.is_ascii() { Ok(first) } else { Err(NameError::NotAscii) };
    }
    let mut value = u16::from(first - b'0');
    for _ in 0..2 {
        let digit = octets.next().filter(u8::is_ascii_digit).ok_or(NameError::Escape)?;
        value = value * 10 + u16::from(digit - b'0');
    }
    u8::try_from(value).map_err(|_above_255| NameError::Escape)
}

impl PartialEq for LowerName {
    fn eq(&self, other: &Self) -> bool {
        self.wire() == other.wire()
    }
}

impl Eq for LowerName {}

impl fmt::Debug for LowerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LowerName({self})")
    }
}

impl fmt::Display for LowerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        present(self.wire(), f)
    }
}

/// An owned name in lower case: its wire octets, the root's zero included.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Box<[u8]>);

impl Name {
    /// Reads presentation form, as [`LowerName::parse`].
    ///
    /// # Errors
    /// [`NameError`] when the text is no name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        LowerName::parse(text).map(|name| Self::from(&name))
    }

    /// The octets on the wire, lower case, the root's zero included.
    pub fn wire(&self) -> &[u8] {
        &self.0
    }
}

impl From<&LowerName> for Name {
    fn from(name: &LowerName) -> Self {
        Self(name.wire().into())
    }
}

impl From<&Name> for LowerName {
    fn from(name: &Name) -> Self {
        // A `Name` is only ever made from a `LowerName`, so reading it back can't fail; the root is the safe other end.
        Self::read(&name.0, 0).map_or(Self::ROOT, |(name, _end)| name)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        present(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, NameError>) {
        assert_eq!(LowerName::parse(text).map(|name| name.to_string()), expected.map(str::to_owned), "{text:?}");
    }

    #[test]
    fn a_chain_of_pointers_is_followed_no_further_than_a_name_has_labels() {
        // The root, then pointers each to the one before.
        let chain = |pointers: u16| {
            let mut message = vec![0; 2];
            (0..pointers).for_each(|number| message.extend((0xC000 | (number * 2)).to_be_bytes()));
            LowerName::read_compressed(&message, usize::from(pointers) * 2).map(|(name, end)| (name.labels(), end))
        };
        assert_eq!(chain(127), Ok((0, 256)));
        assert_eq!(chain(128), Err(NameError::Pointer));
    }

    #[test]
    fn presentation_form_is_read_and_printed() {
        check(".", Ok("."));
        check("Example.ORG.", Ok("example.org"));
        check(r"a\.b.example", Ok(r"a\.b.example"));
        check(r"a\010b.example", Ok(r"a\010b.example"));
        check(r"\065.example", Ok("a.example"));
        check("<b>.example", Ok(r"\060b\062.example"));
        check("", Err(NameError::EmptyLabel));
        check("a..b", Err(NameError::EmptyLabel));
        check(".a", Err(NameError::EmptyLabel));
        check(r"a\256.b", Err(NameError::Escape));
        check(r"a\1", Err(NameError::Escape));
        check("bücher.example", Err(NameError::NotAscii));
        check(&"a".repeat(64), Err(NameError::LongLabel));
        check(&["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(62)].join("."), Err(NameError::LongName));
    }

    #[test]
    fn a_name_of_255_octets_is_whole() {
        let text = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)].join(".");
        let name = LowerName::parse(&text).unwrap();
        assert_eq!(name.wire().len(), 255);
        assert_eq!(LowerName::read(name.wire(), 0).unwrap(), (name, 255));
    }

    #[test]
    fn suffixes_are_counted_from_the_right() {
        let name = LowerName::parse("a.bc.example").unwrap();
        assert_eq!(name.suffix(0), b"\0");
        assert_eq!(name.suffix(1), b"\x07example\0");
        assert_eq!(name.suffix(3), name.wire());
        assert!(name.is_below(&LowerName::parse("bc.example").unwrap()));
        assert!(!name.is_below(&LowerName::parse("c.example").unwrap()));
    }

    #[test]
    fn the_words_of_a_label_are_its_octets_and_no_others() {
        let words = |name: &LowerName, index| {
            name.fold_label(index, Vec::new(), |words, word| [words, vec![word.to_le_bytes()]].concat())
        };
        let name = LowerName::parse("a.seven77.eight888.sixteen-16-16-16").unwrap();
        assert_eq!(words(&name, 0), [*b"\x01a\0\0\0\0\0\0"]);
        assert_eq!(words(&name, 1), [*b"\x07seven77"]);
        assert_eq!(words(&name, 2), [*b"\x08eight88", *b"8\0\0\0\0\0\0\0"]);
        assert_eq!(words(&name, 3), [*b"\x10sixteen", *b"-16-16-1", *b"6\0\0\0\0\0\0\0"]);
        let long =
            LowerName::parse(&["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)].join(".")).unwrap();
        assert_eq!(words(&long, 3).concat(), [&[61][..], &[b'd'; 61], &[0; 2]].concat());
        assert_eq!(words(&LowerName::parse(&["a"; 127].join(".")).unwrap(), 126), [*b"\x01a\0\0\0\0\0\0"]);
    }

    #[test]
    fn compression_loops_and_forward_pointers_are_refused() {
        assert_eq!(LowerName::read_compressed(b"\xC0\x00", 0), Err(NameError::Pointer));
        assert_eq!(LowerName::read_compressed(b"\x01a\xC0\x00", 0), Err(NameError::Pointer));
        assert_eq!(LowerName::read_compressed(b"\xC0\x02\x00", 0), Err(NameError::Pointer));
        let (name, end) = LowerName::read_compressed(b"\x01b\x00\x01A\xC0\x00", 3).unwrap();
        assert_eq!((name.to_string().as_str(), end), ("a.b", 7));
    }

    proptest! {
        #[test]
        fn a_name_is_passed_as_it_is_read(octets in proptest::collection::vec(prop_oneof![0..5_u8, Just(63), Just(0xC0), any::<u8>()], 0..400), at in 0..64_usize) {
            let read = LowerName::read_compressed(&octets, at);
            prop_assert_eq!(LowerName::pass_compressed(&octets, at), read.map(|(_name, end)| end));
        }

        #[test]
        fn any_name_survives_printing_and_reading(labels in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..20), 1..8)) {
            let mut wire = Vec::new();
            for label in &labels {
                wire.push(u8::try_from(label.len()).unwrap());
                wire.extend_from_slice(label);
            }
            wire.push(0);
            let (name, _) = LowerName::read(&wire, 0).unwrap();
            prop_assert_eq!(LowerName::parse(&name.to_string()).unwrap(), name.clone());
            prop_assert!(name.to_string().bytes().all(|b| b.is_ascii_graphic()));
        }

        #[test]
        fn rubbish_never_panics(octets in proptest::collection::vec(any::<u8>(), 0..300), at in 0..300_usize) {
            let _any = LowerName::read(&octets, at);
            let read = LowerName::read_compressed(&octets, at);
            prop_assert_eq!(LowerName::pass_compressed(&octets, at), read.map(|(_name, end)| end));
        }
    }
}
