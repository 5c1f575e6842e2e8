//! One hash for each suffix of a name, from the root to the left, so that one pass over the labels finds them all.
//!
//! The key is random for each build: whoever writes a list or asks for names can't choose names that collide.

use crate::wire::LowerName;

/// Odd, with bits in no pattern: the first 64 bits of the fraction of the golden ratio.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// A secret key for hashes of names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    root: u64,
    factor: u64,
}

impl Key {
    pub(super) fn new(seed: u64) -> Self {
        // Two unlike words from one seed; the factor is odd, so that no bit of a word is lost.
        Self { root: fold(seed ^ SPREAD, SPREAD), factor: fold(seed, !SPREAD) | 1 }
    }

    /// The hash of the root.
    #[inline]
    pub(super) fn root(self) -> u64 {
        self.root
    }

    /// The hashes of every suffix, beginning with the root, with their number of labels.
    pub(super) fn suffixes(self, name: &LowerName) -> impl Iterator<Item = (usize, u64)> {
        let labels = name.labels();
        let mut hash = self.root;
        (0..=labels).map(move |depth| {
            if depth > 0 {
                hash = self.below(hash, name, labels - depth);
            }
            (depth, hash)
        })
    }

    /// The hash of the whole name.
    pub(super) fn whole(self, name: &LowerName) -> u64 {
        (0..name.labels()).rev().fold(self.root, |hash, index| self.below(hash, name, index))
    }

    /// The labels and the hash of a whole name on the wire.
    pub(super) fn whole_wire(self, wire: &[u8]) -> (usize, u64) {
        let mut starts = [0_u8; 128];
        let (mut labels, mut at) = (0, 0);
        while let Some(&size) = wire.get(at).filter(|&&size| size != 0) {
            starts[labels] = u8::try_from(at).unwrap_or_default();
            labels += 1;
            at += 1 + usize::from(size);
        }
        let label = |start: &u8| {
            let rest = &wire[usize::from(*start)..];
            &rest[..=usize::from(rest[0])]
        };
        (labels, starts[..labels].iter().rev().fold(self.root, |hash, start| self.below_wire(hash, label(start))))
    }

    /// The hash of the suffix of `name` that begins with the label at `index`, given that of the suffix behind it.
    #[inline]
    pub(super) fn below(self, hash: u64, name: &LowerName, index: usize) -> u64 {
        name.fold_label(index, hash, |hash, word| fold(hash ^ word, self.factor))
    }

    /// The same, given the label with its length octet in front. The length says where a label ends, so filling up the last
    /// word makes no two labels equal.
    fn below_wire(self, hash: u64, label: &[u8]) -> u64 {
        let (words, rest) = label.as_chunks::<8>();
        let hash = words.iter().fold(hash, |hash, word| fold(hash ^ u64::from_le_bytes(*word), self.factor));
        if rest.is_empty() {
            return hash;
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        fold(hash ^ u64::from_le_bytes(last), self.factor)
    }
}

/// Both halves of the product, so that every bit of both factors reaches every bit of the result.
#[inline]
fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    high(product) ^ low(product)
}

/// The upper half of a product.
#[inline]
pub(super) fn high(product: u128) -> u64 {
    low(product >> 64)
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is asked for")]
fn low(product: u128) -> u64 {
    product as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn name(text: &str) -> LowerName {
        LowerName::parse(text).unwrap()
    }

    #[test]
    fn a_suffix_hashes_like_the_name_it_is() {
        let key = Key::new(7);
        let hashes: Vec<_> = key.suffixes(&name("a.longer-label-than-eight.example")).collect();
        assert_eq!(hashes[3], (3, key.whole(&name("a.longer-label-than-eight.example"))));
        assert_eq!(hashes[1], (1, key.whole(&name("example"))));
        assert_eq!(hashes[0], (0, key.whole(&LowerName::ROOT)));
        for text in [".", "example", "seven77.example", "eight888.example", "a.longer-label-than-eight.example"] {
            let name = name(text);
            assert_eq!(key.whole_wire(name.wire()), (name.labels(), key.whole(&name)), "{text}");
        }
    }

    #[test]
    fn names_that_differ_little_hash_apart_and_another_seed_hashes_otherwise() {
        let key = Key::new(7);
        let texts =
            (0..100_000).map(|index| format!("{index}.example")).chain([r"a.\000.example".into(), "a.example".into()]);
        let mut seen = HashSet::new();
        for text in texts {
            assert!(seen.insert(key.whole(&name(&text)) & 0xFFFF_FFFF_FFFF), "{text}");
        }
        assert_ne!(key.whole(&name("a.example")), Key::new(8).whole(&name("a.example")));
    }
}
