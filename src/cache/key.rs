//! What an answer is kept under.

use std::hash::{Hash, Hasher};

use quick_cache::Equivalent;
use smallvec::SmallVec;

use crate::wire::{LowerName, Name, Query};

/// Octets of a name that are kept within its key; a longer one is kept beside it.
const NAME_INLINE: usize = 46;

/// What an answer is kept under. DO and CD are part of it: they change what an upstream says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// QNAME in lower case on the wire. Most fit here, so that to compare them waits for no other piece of memory.
    name: SmallVec<[u8; NAME_INLINE]>,
    /// QTYPE, QCLASS, DO and CD.
    pub rest: KeyRest,
}

/// The part of a [`Key`] that is not the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyRest {
    /// QTYPE.
    pub qtype: u16,
    /// QCLASS.
    pub qclass: u16,
    /// DO of the query.
    pub dnssec_ok: bool,
    /// CD of the query.
    pub checking_disabled: bool,
}

/// A [`Key`] that borrows its name from a query, so that a lookup allocates nothing.
#[derive(Clone, Copy, Debug)]
pub struct KeyRef<'q> {
    /// QNAME in lower case.
    pub name: &'q LowerName,
    /// The rest.
    pub rest: KeyRest,
}

impl<'q> KeyRef<'q> {
    /// The key of a query.
    pub fn of(query: &'q Query<'_>) -> Self {
        let rest = KeyRest {
            qtype: query.qtype,
            qclass: query.qclass,
            dnssec_ok: query.dnssec_ok(),
            checking_disabled: query.checking_disabled(),
        };
        Self { name: &query.name, rest }
    }

    /// The same key with a name of its own.
    pub fn to_key(self) -> Key {
        Key { name: SmallVec::from_slice(self.name.wire()), rest: self.rest }
    }
}

impl Key {
    /// QNAME in lower case on the wire.
    pub fn wire(&self) -> &[u8] {
        &self.name
    }

    /// Octets that it holds beside itself.
    pub(super) fn spilled_bytes(&self) -> usize {
        if self.name.spilled() { self.name.len() } else { 0 }
    }

    /// QNAME.
    pub fn name(&self) -> Name {
        Name::from(&self.lower())
    }

    /// The same, to look at its labels.
    pub fn lower(&self) -> LowerName {
        // It was read as a name once; the root is the safe other end.
        LowerName::read(&self.name, 0).map_or(LowerName::ROOT, |(name, _end)| name)
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.rest.hash(state);
    }
}

impl Hash for KeyRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.wire().hash(state);
        self.rest.hash(state);
    }
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.rest == key.rest && self.name.wire() == &key.name[..]
    }
}
