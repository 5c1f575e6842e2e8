//! Devices that servers name when they hand on a query: a number for each, so that the query carries no more.

use std::collections::HashMap;
use std::num::NonZeroU32;

use super::Identifier;

/// Devices at most; one that comes later is known by the address that its query came from alone.
const TOLD_MAX: usize = 1 << 16;

/// The number of a device that somebody has named in handing over a query; good as long as the process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ToldId(pub NonZeroU32);

/// All such devices.
#[derive(Debug, Default)]
pub(super) struct Told {
    numbers: HashMap<Identifier, ToldId>,
    identifiers: Vec<Identifier>,
}

impl Told {
    pub(super) fn known(&self, identifier: &Identifier) -> Option<ToldId> {
        self.numbers.get(identifier).copied()
    }

    pub(super) fn number(&mut self, identifier: &Identifier) -> Option<ToldId> {
        // Somebody may have been faster.
        if let Some(known) = self.known(identifier) {
            return Some(known);
        }
        let next = self.identifiers.len();
        let number = u32::try_from(next + 1).ok().and_then(NonZeroU32::new).filter(|_number| next < TOLD_MAX)?;
        self.identifiers.push(identifier.clone());
        self.numbers.insert(identifier.clone(), ToldId(number));
        Some(ToldId(number))
    }

    pub(super) fn identifier(&self, ToldId(number): ToldId) -> Option<&Identifier> {
        self.identifiers.get(number.get() as usize - 1)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (ToldId, &Identifier)> {
        let numbers = (1..).filter_map(NonZeroU32::new).map(ToldId);
        numbers.zip(&self.identifiers)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.identifiers.is_empty()
    }
}
