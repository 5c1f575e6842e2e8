//! Where the rules of a name stand: an open-addressed table of any length.
//!
//! A bucket has eight slots. A slot holds 24 bits of the hash and 40 bits of an offset; eight more bits, its tag, stand
//! apart: the tags of a million names are small enough to stay in the processor's cache, and for a name without rules one
//! word of them is nearly always enough. Whoever looks up compares the name itself: equal bits are no proof.

use std::hint::black_box;

use super::hash::high;
use super::pages::Pages;

/// Slots of a bucket: their tags fill a word, and they fill a line of the processor's cache.
const SLOTS: usize = 8;
/// Bits of a slot that hold the offset.
const OFFSET_BITS: u32 = 40;
const OFFSET_MASK: u64 = (1 << OFFSET_BITS) - 1;
/// The lowest bit of each octet of a word.
const LOW_BITS: u64 = 0x0101_0101_0101_0101;
/// All bits of each octet of a word but its highest.
const BUT_HIGH_BITS: u64 = 0x7F7F_7F7F_7F7F_7F7F;

/// Slots by hash; one is always empty.
#[derive(Debug)]
pub(super) struct Slots {
    /// By bucket, the first slot's tag in the lowest octet; 0 where a slot is empty.
    tags: Pages,
    /// By bucket, its slots in little-endian order.
    buckets: Pages,
    /// How many more entries leave a slot empty.
    room: usize,
}

/// Octets of a word.
const WORD: usize = 8;

/// The offsets under one hash.
pub(super) struct Run<'s> {
    slots: &'s Slots,
    hash: u64,
    bucket: usize,
    /// The tags of the bucket.
    tags: u64,
    /// The highest bit of every octet whose slot is still to be looked at.
    alike: u64,
}

impl Slots {
    /// A table for `entries` at a load of five sevenths.
    pub(super) fn for_entries(entries: usize) -> Self {
        let buckets = (entries + entries * 2 / 5) / SLOTS + 1;
        let (tags, empty) = (Pages::zeroed(buckets * WORD), Pages::zeroed(buckets * SLOTS * WORD));
        Self { tags, buckets: empty, room: entries + entries / 3 }
    }

    /// How many buckets.
    #[inline]
    fn len(&self) -> usize {
        self.tags.len() / WORD
    }

    /// The tags of a bucket.
    #[inline]
    fn tags(&self, bucket: usize) -> Option<u64> {
        self.tags.as_chunks().0.get(bucket).copied().map(u64::from_le_bytes)
    }

    /// A slot of a bucket.
    #[inline]
    fn slot(&self, bucket: usize, slot: usize) -> Option<u64> {
        let bucket = self.buckets.as_chunks::<{ SLOTS * WORD }>().0.get(bucket)?;
        bucket.as_chunks().0.get(slot).copied().map(u64::from_le_bytes)
    }

    /// Puts `offset`, which is below 2^40, under `hash`. What would fill the table is let go.
    pub(super) fn insert(&mut self, hash: u64, offset: u64) {
        debug_assert!(offset <= OFFSET_MASK, "{offset} does not fit");
        if self.room == 0 {
            return;
        }
        let home = home(hash, self.len());
        let empty = |bucket: usize| lowest(zeros(self.tags(bucket)?)).map(|slot| (bucket, slot));
        if let Some((bucket, slot)) = (home..self.len()).chain(0..home).find_map(empty) {
            let place = bucket * SLOTS + slot;
            self.tags[place] = tag(hash).to_le_bytes()[0];
            self.buckets.as_chunks_mut().0[place] = (hash << OFFSET_BITS | offset).to_le_bytes();
            self.room -= 1;
        }
    }

    /// The offsets that may belong to `hash`, oldest first.
    #[inline]
    pub(super) fn find(&self, hash: u64) -> Run<'_> {
        let bucket = home(hash, self.len());
        let tags = self.tags(bucket).unwrap_or_default();
        let alike = zeros(tags ^ (tag(hash) * LOW_BITS));
        if alike != 0 {
            // Where the processor foresees a rule, this fetches the bucket while the tags are still on their way; which slot
            // is wanted is known only from them.
            black_box(self.slot(bucket, 0));
        }
        Run { slots: self, hash, bucket, tags, alike }
    }

    /// Reads the tags where the search for `hash` begins.
    #[inline]
    pub(super) fn fetch_tags(&self, hash: u64) {
        black_box(self.tags(home(hash, self.len())));
    }

    /// Reads the slots where the search for `hash` begins, if its tag is there; says whether it is.
    #[inline]
    pub(super) fn fetch_slots(&self, hash: u64) -> bool {
        self.find(hash).alike != 0
    }

    /// Octets held.
    pub(super) fn memory_bytes(&self) -> usize {
        self.tags.len() + self.buckets.len()
    }
}

impl Iterator for Run<'_> {
    type Item = u64;

    #[inline]
    fn next(&mut self) -> Option<u64> {
        loop {
            while let Some(slot) = lowest(self.alike) {
                self.alike &= self.alike - 1;
                let slot = self.slots.slot(self.bucket, slot)?;
                if slot >> OFFSET_BITS == self.hash & (u64::MAX >> OFFSET_BITS) {
                    return Some(slot & OFFSET_MASK);
                }
            }
            // Ends, because one slot is always empty.
            if zeros(self.tags) != 0 {
                return None;
            }
            self.bucket = if self.bucket + 1 == self.slots.len() { 0 } else { self.bucket + 1 };
            self.tags = self.slots.tags(self.bucket)?;
            self.alike = zeros(self.tags ^ (tag(self.hash) * LOW_BITS));
        }
    }
}

/// The bucket where the search begins: the hash as a fraction of the table (Lemire, "Fast random integer generation in
/// an interval", 2019), so that a table of any length needs no division.
fn home(hash: u64, len: usize) -> usize {
    usize::try_from(high(u128::from(hash) * len as u128)).unwrap_or_default()
}

/// Bits of a hash that neither say much about its home nor stand in a slot; never 0.
#[inline]
fn tag(hash: u64) -> u64 {
    (hash >> 24 & 0xFF).max(1)
}

/// The highest bit of every octet that is 0, and no other bit (Warren, "Hacker's Delight", §6-1).
fn zeros(word: u64) -> u64 {
    !(((word & BUT_HIGH_BITS) + BUT_HIGH_BITS) | word | BUT_HIGH_BITS)
}

/// The lowest octet of which a bit is set.
fn lowest(bits: u64) -> Option<usize> {
    (bits != 0).then(|| bits.trailing_zeros() as usize / 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_inserted_is_found_in_order_also_around_the_end() {
        for hash in [0, 1, u64::MAX, u64::MAX - 1, 0x0123_4567_89AB_CDEF] {
            let mut slots = Slots::for_entries(15);
            for offset in 1..=10 {
                slots.insert(hash, offset);
                slots.insert(hash ^ 6, offset + (1 << 39));
            }
            assert_eq!(slots.find(hash).collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
            assert_eq!(
                slots.find(hash ^ 6).map(|offset| offset - (1 << 39)).collect::<Vec<_>>(),
                (1..=10).collect::<Vec<_>>()
            );
            assert_eq!(slots.find(hash ^ 0x18).count(), 0);
        }
    }

    #[test]
    fn an_empty_table_finds_nothing_and_a_full_one_ends() {
        assert_eq!(Slots::for_entries(0).find(5).count(), 0);
        let mut slots = Slots::for_entries(2);
        for offset in 1..9 {
            slots.insert(5, offset);
        }
        assert_eq!(slots.find(6).count(), 0);
        assert_eq!(slots.find(5).count(), 2);
        let mut slots = Slots::for_entries(30);
        for offset in 1..99 {
            slots.insert(5, offset);
        }
        assert_eq!(slots.find(6).count(), 0);
        assert_eq!(slots.find(5).count(), 40);
    }

    #[test]
    fn zeros_are_the_octets_that_are_zero() {
        for word in [0, 1, 0x0100, 0x0001_0000_0080_0001, 0x8000_0000_0000_0000, u64::MAX, 0x0101_0001_0101_0100] {
            let expected = u64::from_le_bytes(word.to_le_bytes().map(|octet| if octet == 0 { 0x80 } else { 0 }));
            assert_eq!(zeros(word), expected, "{word:x}");
        }
    }
}
