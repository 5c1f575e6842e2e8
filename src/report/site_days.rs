//! Of how many days of a site it is known who was active there.

use std::collections::{BTreeMap, HashMap};
use std::ops::{Range, RangeInclusive};

use roaring::RoaringBitmap;

use super::cohort::{Asked, Sets, within};

/// Days on which somebody was active, by the place of the site.
#[derive(Default)]
pub(super) struct SiteDays(HashMap<u32, RoaringBitmap>);

impl SiteDays {
    /// Adds what these sets say of these numbers of a site.
    pub(super) fn add(&mut self, sets: &Sets, (place, numbers): (u32, &Range<u32>), asked: &Asked) {
        let active = within(&sets.active, &asked.baseline).iter().chain(within(&sets.active, &asked.window));
        let there = active.filter(|(_day, bits)| bits.range_cardinality(numbers.clone()) > 0);
        self.0.entry(place).or_default().extend(there.map(|(day, _bits)| day.0.cast_unsigned()));
    }

    /// By site, how many there are in the baseline and in the window.
    pub(super) fn counts(&self, sites: &[&str], asked: &Asked) -> BTreeMap<String, (u32, u32)> {
        let of = |(place, days): (&u32, &RoaringBitmap)| {
            let count = |all: &RangeInclusive<crate::time::Day>| {
                let range = all.start().0.cast_unsigned()..=all.end().0.cast_unsigned();
                u32::try_from(days.range_cardinality(range)).unwrap_or(u32::MAX)
            };
            let site = sites.get(*place as usize)?;
            Some(((*site).to_owned(), (count(&asked.baseline), count(&asked.window))))
        };
        self.0.iter().filter_map(of).collect()
    }
}
