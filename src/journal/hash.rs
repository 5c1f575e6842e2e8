//! The hash of attempts: a few instructions for each eight octets, made where they are, for every blocked query.
//!
//! Keyed with a secret of this process, so that nobody outside can choose attempts that collide. Equal hashes are no
//! proof: rows compare what they stand for.

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;

use super::asked::{Asked, Detail};
use crate::identity::ToldId;

/// A secret key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hashes {
    rule: u64,
    line: u64,
    factor: u64,
}

impl Hashes {
    /// A key that no other process has.
    pub(super) fn new() -> Self {
        let random = DefaultHashBuilder::default();
        // Odd, so that no bit of a word is lost.
        Self { rule: random.hash_one(1), line: random.hash_one(2), factor: random.hash_one(3) | 1 }
    }

    /// Who, in which minute, and by which rule.
    #[inline]
    pub(super) fn rule(&self, asked: &Asked<'_>) -> u64 {
        let told = u64::from(asked.told.map_or(0, |ToldId(number)| number.get()));
        let client = self.pair(self.rule ^ told, high(asked.client), low(asked.client));
        let pattern = u64::from(asked.pattern.allow) << 32 | (asked.pattern.kind as u64) << 33;
        let hash = self.pair(client, asked.when, pattern ^ asked.pattern.wire.len() as u64);
        self.octets(hash, asked.pattern.wire)
    }

    /// What was asked how, of that client, minute and rule.
    #[inline]
    pub(super) fn line(&self, rule: u64, asked: &Asked<'_>, detail: Detail) -> u64 {
        let name = asked.name(detail);
        // Nearly every pattern ends the names that it matches, and is in the hash already. Of others, those of one length
        // that differ only at their end share a hash; they are as few as lines of one client and rule can be.
        let front = name.len().saturating_sub(asked.pattern.wire.len());
        let hash = self.pair(rule, u64::from(asked.bits(detail)), name.len() as u64);
        self.octets(hash, name.get(..front).unwrap_or(name))
    }

    /// The name alone.
    pub(super) fn name(&self, asked: &Asked<'_>) -> u32 {
        let hash = self.octets(self.pair(self.line, 0, asked.qname.len() as u64), asked.qname);
        u32::try_from(hash >> 32).unwrap_or_default()
    }

    /// One more pair of words.
    #[inline]
    fn pair(&self, hash: u64, a: u64, b: u64) -> u64 {
        let product = u128::from(hash ^ a) * u128::from(self.factor ^ b);
        high(product) ^ low(product)
    }

    /// More octets, whose number is already in the hash.
    #[inline]
    fn octets(&self, hash: u64, octets: &[u8]) -> u64 {
        let (pairs, rest) = octets.as_chunks::<16>();
        let hash = pairs.iter().fold(hash, |hash, pair| {
            let pair = u128::from_le_bytes(*pair);
            self.pair(hash, high(pair), low(pair))
        });
        match (rest.first_chunk::<8>(), rest.last_chunk::<8>()) {
            (Some(first), Some(last)) => self.pair(hash, u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
            _ if rest.is_empty() => hash,
            _ => match (rest.first_chunk::<4>(), rest.last_chunk::<4>()) {
                (Some(first), Some(last)) => {
                    self.pair(hash, u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into())
                }
                _ => self.pair(hash, rest.iter().fold(0, |word, octet| word << 8 | u64::from(*octet)), 0),
            },
        }
    }
}

/// The upper half.
#[inline]
fn high(number: u128) -> u64 {
    low(number >> 64)
}

/// The lower half.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is asked for")]
fn low(number: u128) -> u64 {
    number as u64
}
