//! Where the rules of a name stand: an open-addressed table of any length, one word a slot.
//!
//! A slot holds 24 bits of the hash and 40 bits of an offset, so that a miss almost never leaves the table. Whoever
//! looks up compares the name itself: equal bits are no proof.

use super::hash::high;

/// Bits of a slot that hold the offset.
const OFFSET_BITS: u32 = 40;
const OFFSET_MASK: u64 = (1 << OFFSET_BITS) - 1;

/// Slots by hash; 0 is an empty one, and one is always empty.
#[derive(Debug)]
pub(super) struct Slots {
    slots: Box<[u64]>,
    /// How many more entries leave a slot empty.
    room: usize,
}

/// The offsets under one hash.
pub(super) struct Run<'s> {
    slots: &'s [u64],
    at: usize,
    tag: u64,
}

impl Slots {
    /// A table for `entries` at a load of three quarters.
    pub(super) fn for_entries(entries: usize) -> Self {
        let room = entries + entries / 3;
        Self { slots: vec![0; room + 1].into(), room }
    }

    /// Puts `offset`, which is not 0 and below 2^40, under `hash`. What would fill the table is let go.
    pub(super) fn insert(&mut self, hash: u64, offset: u64) {
        debug_assert!((1..=OFFSET_MASK).contains(&offset), "{offset} does not fit");
        let (before, behind) = self.slots.split_at_mut(home(hash, self.slots.len()));
        let empty = behind.iter_mut().chain(before).find(|slot| **slot == 0);
        if let Some(slot) = empty.filter(|_slot| self.room > 0) {
            *slot = hash << OFFSET_BITS | offset;
            self.room -= 1;
        }
    }

    /// The offsets that may belong to `hash`, oldest first.
    pub(super) fn find(&self, hash: u64) -> Run<'_> {
        Run { slots: &self.slots, at: home(hash, self.slots.len()), tag: hash & (u64::MAX >> OFFSET_BITS) }
    }

    /// Octets held.
    pub(super) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.slots)
    }
}

impl Iterator for Run<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        // Ends, because one slot is always empty.
        while let Some(&slot) = self.slots.get(self.at).filter(|slot| **slot != 0) {
            self.at = if self.at + 1 == self.slots.len() { 0 } else { self.at + 1 };
            if slot >> OFFSET_BITS == self.tag {
                return Some(slot & OFFSET_MASK);
            }
        }
        None
    }
}

/// The slot where the search begins: the hash as a fraction of the table (Lemire, "Fast random integer generation in
/// an interval", 2019), so that a table of any length needs no division.
fn home(hash: u64, len: usize) -> usize {
    usize::try_from(high(u128::from(hash) * len as u128)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_inserted_is_found_in_order_also_around_the_end() {
        for hash in [0, 1, u64::MAX, u64::MAX - 1, 0x0123_4567_89AB_CDEF] {
            let mut slots = Slots::for_entries(6);
            for offset in 1..=3 {
                slots.insert(hash, offset);
                slots.insert(hash ^ 1, offset + 10);
            }
            assert_eq!(slots.find(hash).collect::<Vec<_>>(), [1, 2, 3]);
            assert_eq!(slots.find(hash ^ 1).collect::<Vec<_>>(), [11, 12, 13]);
            assert_eq!(slots.find(hash ^ 2).count(), 0);
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
    }
}
