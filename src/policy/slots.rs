//! Where the rules of a name stand: an open-addressed table of any length, one word a slot.
//!
//! A slot holds 24 bits of the hash and 40 bits of an offset, so that a miss almost never leaves the table. Whoever
//! looks up compares the name itself: equal bits are no proof.

use super::hash::high;

/// Bits of a slot that hold the offset.
const OFFSET_BITS: u32 = 40;
const OFFSET_MASK: u64 = (1 << OFFSET_BITS) - 1;

/// Slots by hash; 0 is an empty one.
#[derive(Debug)]
pub(super) struct Slots {
    slots: Box<[u64]>,
}

impl Slots {
    /// A table for `entries` at a load of three quarters; there is always an empty slot.
    pub(super) fn for_entries(entries: usize) -> Self {
        Self { slots: vec![0; entries + entries / 3 + 1].into() }
    }

    /// Puts `offset`, which is not 0 and below 2^40, under `hash`. One more than the table was made for is let go.
    pub(super) fn insert(&mut self, hash: u64, offset: u64) {
        debug_assert!((1..=OFFSET_MASK).contains(&offset), "{offset} does not fit");
        let (before, behind) = self.slots.split_at_mut(home(hash, self.slots.len()));
        if let Some(empty) = behind.iter_mut().chain(before).find(|slot| **slot == 0) {
            *empty = hash << OFFSET_BITS | offset;
        }
    }

    /// The offsets that may belong to `hash`, oldest first.
    pub(super) fn find(&self, hash: u64) -> impl Iterator<Item = u64> {
        let (before, behind) = self.slots.split_at(home(hash, self.slots.len()));
        let run = behind.iter().chain(before).take_while(|slot| **slot != 0);
        run.filter(move |slot| (**slot ^ hash << OFFSET_BITS) >> OFFSET_BITS == 0).map(|slot| slot & OFFSET_MASK)
    }

    /// Octets held.
    pub(super) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.slots)
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
        let mut slots = Slots::for_entries(0);
        slots.insert(5, 1);
        slots.insert(5, 2);
        assert_eq!(slots.find(6).count(), 0);
        assert_eq!(slots.find(5).count(), 1);
    }
}
