//! The names of hosts in presentation form: what lists are made of, by the million.

use super::LowerName;
use super::name::{MAX_LABEL, MAX_OCTETS};

/// What becomes of an octet of a host name, dots included; 0: it is in none.
const HOST: [u8; 256] = {
    let (mut table, mut octet) = ([0; 256], 0_u8);
    while octet.is_ascii() {
        if octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.') {
            table[octet as usize] = octet.to_ascii_lowercase();
        }
        octet += 1;
    }
    table
};

impl LowerName {
    /// Reads a name of letters, digits, `-` and `_`, with or without the last dot, in a fraction of the time that
    /// [`LowerName::parse`] takes. `None` of all else, and of what ends in a digit, which may be an address: whoever reads such
    /// a text knows what is to be said of it.
    #[inline]
    pub fn of_host(text: &[u8]) -> Option<Self> {
        let mut name = Self::ROOT;
        name.set_host(text).then_some(name)
    }

    /// The same, over this value, which is of no use where `false` is returned: a value of this size is better not moved for every
    /// line of a list.
    #[inline]
    pub fn set_host(&mut self, text: &[u8]) -> bool {
        self.read_host(text).is_some()
    }

    #[inline]
    fn read_host(&mut self, text: &[u8]) -> Option<()> {
        let text = text.strip_suffix(b".").unwrap_or(text);
        if text.len() > MAX_OCTETS - 2 || text.last().is_none_or(u8::is_ascii_digit) {
            return None;
        }
        let name = self;
        let (mut start, mut labels) = (0, 0);
        for (at, &octet) in (1..).zip(text) {
            let lower = HOST[usize::from(octet)];
            *name.octets.get_mut(at)? = lower;
            if lower <= b'.' && lower != b'-' {
                let size = at - start - 1;
                if lower == 0 || size == 0 || size > MAX_LABEL {
                    return None;
                }
                name.end_label(start, size, labels)?;
                (start, labels) = (at, labels + 1);
            }
        }
        let size = text.len() - start;
        if size == 0 || size > MAX_LABEL {
            return None;
        }
        name.end_label(start, size, labels)?;
        name.labels = u8::try_from(labels + 1).ok()?;
        name.len = u8::try_from(text.len() + 2).ok()?;
        *name.octets.get_mut(text.len() + 1)? = 0;
        Some(())
    }

    /// Writes how long the label is that begins at `start`, the one of this number.
    #[inline]
    fn end_label(&mut self, start: usize, size: usize, number: usize) -> Option<()> {
        *self.octets.get_mut(start)? = u8::try_from(size).ok()?;
        *self.starts.get_mut(number)? = u8::try_from(start).ok()?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_host_name_is_read_as_any_other_or_left_to_others(text in "[a-cA-C0-9_.*!\\\\/ -]{0,12}|([a-z]{1,70}\\.){0,6}[a-z]{0,3}\\.?|(ab\\.){80,90}c{1,2}") {
            match LowerName::of_host(text.as_bytes()) {
                Some(name) => prop_assert_eq!(Ok((name.labels(), name.clone())), LowerName::parse(&text).map(|name| (name.labels(), name))),
                None => prop_assert!(
                    LowerName::parse(&text).is_err() || text.contains(['\\', '*', '!', '/', ' ']) || text == "."
                        || text.trim_end_matches('.').ends_with(|last: char| last.is_ascii_digit()),
                    "{}", text
                ),
            }
        }
    }
}
