//! Every rule without `*` in a label: found by the hash of its name, proven by the name itself.

use super::arena::{Arena, Compaction, Offset};
use super::hash::Key;
use super::slots::{Run, Slots};

/// The compiled literal rules.
#[derive(Debug)]
pub(super) struct Literals {
    arena: Arena,
    slots: Slots,
    depths: u128,
}

impl Literals {
    /// Compiles `count` rules. `stands` says of two rules of one name (older, newer, name) whether the older makes the
    /// newer superfluous; such a rule is dropped. `kept` sees the others: attributes and number of labels.
    pub(super) fn build(
        key: Key,
        mut arena: Arena,
        count: usize,
        mut stands: impl FnMut(u16, u16, &[u8]) -> bool,
        mut kept: impl FnMut(u16, usize),
    ) -> Self {
        let mut slots = Slots::for_entries(count);
        let mut depths = 0;
        let mut compaction = Compaction::new();
        while let Some((from, attributes, name)) = compaction.next(&arena) {
            let (labels, hash) = key.whole_wire(name);
            let older = |offset| arena.find(Offset(offset), name).map(|(older, _name)| older);
            if slots.find(hash).filter_map(older).any(|older| stands(older, attributes, name)) {
                continue;
            }
            let to = compaction.keep(&mut arena, from);
            slots.insert(hash, to.0);
            depths |= 1 << labels;
            kept(attributes, labels);
        }
        compaction.finish(&mut arena);
        Self { arena, slots, depths }
    }

    /// Bit n: some rule's name has n labels.
    pub(super) fn depths(&self) -> u128 {
        self.depths
    }

    /// Reads what lookups of these hashes will read, one kind after the other, each for all; `hashes` is used up. Returns
    /// how many rules were read.
    pub(super) fn fetch(&self, hashes: &mut Vec<u64>) -> usize {
        for &hash in &*hashes {
            self.slots.fetch_tags(hash);
        }
        hashes.retain(|&hash| self.slots.fetch_slots(hash));
        let offsets = hashes.drain(..).flat_map(|hash| self.slots.find(hash));
        offsets.map(|offset| self.arena.fetch(Offset(offset))).count()
    }

    /// Where rules may stand at the name of this hash.
    #[inline]
    pub(super) fn offsets(&self, hash: u64) -> Run<'_> {
        self.slots.find(hash)
    }

    /// The attributes of the rule that stands there, and the name `wire` as it is held here, if that is the rule's.
    #[inline]
    pub(super) fn rule(&self, offset: u64, wire: &[u8]) -> Option<(u16, &[u8])> {
        self.arena.find(Offset(offset), wire)
    }

    /// The attributes of every rule at the name `wire`, and the name as it is held here.
    pub(super) fn at<'p, 'n>(
        &'p self,
        hash: u64,
        wire: &'n [u8],
    ) -> impl Iterator<Item = (u16, &'p [u8])> + use<'p, 'n> {
        self.offsets(hash).filter_map(|offset| self.rule(offset, wire))
    }

    /// Every rule: attributes and name.
    pub(super) fn entries(&self) -> impl Iterator<Item = (u16, &[u8])> {
        self.arena.entries()
    }

    /// Octets held.
    pub(super) fn memory_bytes(&self) -> usize {
        self.arena.memory_bytes() + self.slots.memory_bytes()
    }
}
