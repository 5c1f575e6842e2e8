//! Devices that have several numbers: seen at several sites, or under several names. They are taken out of the pieces in which
//! everybody else is counted, and counted here as one wherever they count.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;

use roaring::RoaringBitmap;

use super::cohort::{Asked, Sets, cohort, within};
use super::figures::Counts;
use crate::journal::{BLOCK, Numbered, SameDevice, Set};
use crate::policy::Evidence;
use crate::time::Day;

/// One of the numbers.
#[derive(Clone, Copy, Debug)]
struct Slot {
    number: u32,
    /// The place of its device.
    device: u32,
    /// The place of its site.
    site: u32,
}

/// What was read of one kind: by day, the places of numbers.
type Days = BTreeMap<Day, RoaringBitmap>;

/// Devices that have several numbers, and what was read of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Roaming {
    /// In the order of numbers.
    slots: Vec<Slot>,
    /// By place: all numbers of a device.
    devices: Vec<Vec<u32>>,
    /// By place: the sites, in their order.
    sites: Vec<String>,
    /// By place of the number; complete when [`Roaming::finish`] was called.
    sets: Sets,
    gathered: [Days; 7],
    /// By grade, places of numbers seen in the baseline and in the window.
    evidence: BTreeMap<Evidence, (RoaringBitmap, RoaringBitmap)>,
}

impl Roaming {
    /// Those of these devices that have several numbers in these ranges.
    pub(super) fn of(same: &[SameDevice], numbered: &[Numbered], sites: &[&str]) -> Self {
        let mut roaming = Self { sites: sites.iter().map(|site| (*site).to_owned()).collect(), ..Self::default() };
        let site = |number: u32| {
            let at = numbered.partition_point(|range| range.first <= number).checked_sub(1)?;
            let range = numbered.get(at).filter(|range| number < range.end)?;
            u32::try_from(sites.binary_search(&&*range.site).ok()?).ok()
        };
        for device in same {
            let here: Vec<_> = device.numbers.iter().filter_map(|number| Some((*number, site(*number)?))).collect();
            if here.len() < 2 {
                continue;
            }
            let place = u32::try_from(roaming.devices.len()).unwrap_or(u32::MAX);
            roaming.devices.push(here.iter().map(|(number, _site)| *number).collect());
            roaming.slots.extend(here.into_iter().map(|(number, site)| Slot { number, device: place, site }));
        }
        roaming.slots.sort_unstable_by_key(|slot| slot.number);
        roaming
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Takes out of a piece what is of these devices.
    pub(super) fn take(&mut self, block: u32, sets: &mut Sets) {
        let here = Here::of(&self.slots, block);
        if here.mask.is_empty() {
            return;
        }
        let Sets { seen, verified, confirmed, exempt, active, connected, crowd } = sets;
        let kinds = [seen, verified, confirmed, exempt, active, connected, crowd];
        for (kind, gathered) in kinds.into_iter().zip(&mut self.gathered) {
            for (day, bits) in kind {
                let taken = here.take(bits);
                if !taken.is_empty() {
                    *gathered.entry(*day).or_default() |= taken;
                }
            }
        }
    }

    /// Takes out of who was seen with some evidence in the baseline and in the window who is of these devices.
    pub(super) fn take_seen(
        &mut self,
        block: u32,
        evidence: Evidence,
        (before, now): (&mut RoaringBitmap, &mut RoaringBitmap),
    ) {
        let here = Here::of(&self.slots, block);
        let sum = self.evidence.entry(evidence).or_default();
        sum.0 |= here.take(before);
        sum.1 |= here.take(now);
    }

    /// To be called when all is taken.
    pub(super) fn finish(&mut self) {
        let [seen, verified, confirmed, exempt, active, connected, crowd] =
            std::mem::take(&mut self.gathered).map(|days| days.into_iter().collect::<Vec<Set>>());
        self.sets = Sets { seen, verified, confirmed, exempt, active, connected, crowd };
    }

    /// The sets of these devices, each by its place.
    pub(super) fn whole(&self) -> Sets {
        self.united(&self.slots.iter().map(|slot| Some(slot.device)).collect::<Vec<_>>())
    }

    /// How many of them were seen with this evidence, in the baseline and in the window.
    pub(super) fn seen(&self, evidence: Evidence) -> (u64, u64) {
        let devices = |slots: &RoaringBitmap| {
            slots.iter().filter_map(|at| Some(self.slots.get(at as usize)?.device)).collect::<RoaringBitmap>().len()
        };
        self.evidence.get(&evidence).map_or((0, 0), |(before, now)| (devices(before), devices(now)))
    }

    /// The figures of these devices by what their sites are put together as; one that was at several such sites counts once.
    pub(super) fn by<'n>(
        &'n self,
        asked: &Asked,
        name: impl Fn(&'n str) -> Option<&'n str>,
    ) -> BTreeMap<&'n str, Counts> {
        let names: Vec<_> = self.sites.iter().map(|site| name(site)).collect();
        let of = |slot: &Slot| Some((names.get(slot.site as usize).copied().flatten()?, slot.device));
        let mut pairs: Vec<_> = self.slots.iter().filter_map(of).collect();
        pairs.sort_unstable();
        pairs.dedup();
        let place = |pair| u32::try_from(pairs.binary_search(&pair).ok()?).ok();
        let by: Vec<_> = self.slots.iter().map(|slot| place(of(slot)?)).collect();
        let cohort = cohort(&self.united(&by), asked);
        let mut counts = BTreeMap::new();
        let mut first = 0;
        for all in pairs.chunk_by(|one, next| one.0 == next.0) {
            let end = first + u32::try_from(all.len()).unwrap_or(u32::MAX);
            counts.extend(all.first().map(|(name, _device)| (*name, Counts::of(&cohort, &(first..end)))));
            first = end;
        }
        counts
    }

    /// All numbers of the device with this place.
    pub(super) fn numbers(&self, place: u32) -> &[u32] {
        self.devices.get(place as usize).map_or(&[], Vec::as_slice)
    }

    /// How many devices there are.
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.devices.len()).unwrap_or(u32::MAX)
    }

    /// Of the device with this place the number under which it was seen last in these days.
    pub(super) fn last(&self, place: u32, days: &RangeInclusive<Day>) -> Option<u32> {
        let numbers = self.numbers(place);
        let slots =
            numbers.iter().filter_map(|number| self.slots.binary_search_by_key(number, |slot| slot.number).ok());
        let slots: Vec<_> = slots.filter_map(|at| u32::try_from(at).ok()).collect();
        let mut seen = within(&self.sets.seen, days).iter().rev();
        let last = seen.find_map(|(_day, bits)| slots.iter().find(|at| bits.contains(**at)));
        last.map_or_else(|| numbers.first().copied(), |at| Some(self.slots.get(*at as usize)?.number))
    }

    /// The sets with other numbers in the place of these: by place, which; `None`: left out.
    fn united(&self, by: &[Option<u32>]) -> Sets {
        let one =
            |(day, bits): &Set| (*day, bits.iter().filter_map(|at| *by.get(at as usize)?).collect::<RoaringBitmap>());
        let all = |sets: &[Set]| sets.iter().map(one).collect::<Vec<_>>();
        let Sets { seen, verified, confirmed, exempt, active, connected, crowd } = &self.sets;
        Sets {
            seen: all(seen),
            verified: all(verified),
            confirmed: all(confirmed),
            exempt: all(exempt),
            active: all(active),
            connected: all(connected),
            crowd: all(crowd),
        }
    }
}

/// Those of one piece.
struct Here {
    mask: RoaringBitmap,
    places: HashMap<u32, u32>,
}

impl Here {
    fn of(slots: &[Slot], block: u32) -> Self {
        let first = slots.partition_point(|slot| slot.number / BLOCK < block);
        let here = slots.iter().zip(0..).skip(first).take_while(|(slot, _place)| slot.number / BLOCK == block);
        let places: HashMap<u32, u32> = here.map(|(slot, place)| (slot.number % BLOCK, place)).collect();
        Self { mask: places.keys().copied().collect(), places }
    }

    /// Takes them out of a set; their places.
    fn take(&self, bits: &mut RoaringBitmap) -> RoaringBitmap {
        let taken = &*bits & &self.mask;
        if !taken.is_empty() {
            *bits -= &self.mask;
        }
        taken.iter().filter_map(|low| self.places.get(&low).copied()).collect()
    }
}
