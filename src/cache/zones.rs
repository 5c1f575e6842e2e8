//! Zones whose answers are not kept.

use std::collections::HashSet;

use super::Key;
use crate::wire::{LowerName, Name};

/// Zones, each with all below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Zones(HashSet<Box<[u8]>>);

impl Zones {
    /// Whether one of them holds the name.
    pub(super) fn hold(&self, key: &Key) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let name = key.lower();
        (0..=name.labels()).any(|labels| self.0.contains(name.suffix(labels)))
    }
}

impl<'n> FromIterator<&'n Name> for Zones {
    fn from_iter<I: IntoIterator<Item = &'n Name>>(names: I) -> Self {
        Self(names.into_iter().map(|name| LowerName::from(name).wire().into()).collect())
    }
}

impl FromIterator<LowerName> for Zones {
    fn from_iter<I: IntoIterator<Item = LowerName>>(names: I) -> Self {
        Self(names.into_iter().map(|name| name.wire().into()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::key;
    use super::*;

    #[test]
    fn a_zone_holds_its_apex_and_what_is_below_in_any_case_and_nothing_beside() {
        let names = ["Corp.Example", "other.test"].map(|name| Name::parse(name).unwrap());
        let zones: Zones = names.iter().collect();
        let held = |name: &str| zones.hold(&key(name));
        assert!(held("corp.example") && held("a.b.corp.example") && held("x.other.test"));
        assert!(!held("example") && !held("xcorp.example") && !held("corp.example.org"));
        assert!(!Zones::default().hold(&key("corp.example")));
    }

    #[test]
    fn the_root_holds_every_name() {
        let zones: Zones = [Name::from(&LowerName::ROOT)].iter().collect();
        assert!(zones.hold(&key("a.example")));
    }
}
