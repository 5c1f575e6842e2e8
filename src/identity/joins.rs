//! Which identifiers are of one device: what was said together joins, an inventory joins, and operators join and part.
//!
//! A device that is seen by its DUID over a cable and by a hardware address over the air is one, if anybody has said both in
//! one breath. What two devices have in common joins nothing: a docking station has a hardware address of its own, and
//! machines made from one image may have one DUID, which an operator then has to part from all others.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap, HashSet};

use super::Identifier;

/// Sets that are remembered at most; beyond, what is said together joins nothing new.
pub const LEARNED_MAX: usize = 200_000;

/// What an operator has said of devices.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Word {
    /// These two are of one device.
    Merge(Identifier, Identifier),
    /// This one tells nothing of any device but itself.
    Split(Identifier),
}

/// Who is who, among identifiers.
#[derive(Clone, Debug, Default)]
pub struct Joins {
    /// By row of the inventory.
    assets: Vec<Vec<Identifier>>,
    words: Vec<Word>,
    /// What was said together; two or more each, without names.
    learned: HashSet<Box<[Identifier]>>,
    /// The identifier that stands for the device, where it is another one.
    device: HashMap<Identifier, Identifier>,
    parted: HashSet<Identifier>,
}

impl Joins {
    /// Takes over the inventory as it is now.
    pub fn take_assets(&mut self, assets: Vec<Vec<Identifier>>) {
        if assets != self.assets {
            self.assets = assets;
            self.join();
        }
    }

    /// What stands for each device of the inventory.
    pub(super) fn inventory(&self) -> impl Iterator<Item = &Identifier> {
        self.assets.iter().filter_map(|asset| asset.first()).map(|first| self.device_of(first))
    }

    /// Takes over what operators say, in the order in which they said it.
    pub fn take_words(&mut self, words: Vec<Word>) {
        if words != self.words {
            self.words = words;
            self.join();
        }
    }

    /// Notes that these were said together, each set of one device.
    pub fn learn<'i>(&mut self, together: impl IntoIterator<Item = &'i [Identifier]>) {
        let before = self.learned.len();
        for identifiers in together {
            // Two devices may call themselves the same.
            let lasting = identifiers.iter().filter(|identifier| !matches!(identifier, Identifier::HostName(_)));
            let set: BTreeSet<_> = lasting.cloned().collect();
            if set.len() > 1 && self.learned.len() < LEARNED_MAX {
                self.learned.insert(set.into_iter().collect());
            }
        }
        if self.learned.len() > before {
            self.join();
        }
    }

    /// What stands for the device that has these; `None` if there are none.
    pub fn device<'i>(&'i self, identifiers: &'i [Identifier]) -> Option<&'i Identifier> {
        let told = identifiers.iter().filter(|identifier| !self.parted.contains(*identifier));
        let device = told.map(|identifier| self.device_of(identifier)).min_by_key(|device| device.strength());
        device.or_else(|| identifiers.first().map(|first| self.device_of(first)))
    }

    /// What stands for the device that this one is of.
    pub fn device_of<'i>(&'i self, identifier: &'i Identifier) -> &'i Identifier {
        self.device.get(identifier).unwrap_or(identifier)
    }

    /// Every identifier that another one stands for.
    pub(super) fn joined(&self) -> impl Iterator<Item = &Identifier> {
        self.device.keys()
    }

    /// Finds out anew who is who.
    fn join(&mut self) {
        let mut merges: Vec<(&Identifier, &Identifier)> = Vec::new();
        self.parted.clear();
        for word in &self.words {
            match word {
                Word::Merge(one, other) => merges.push((one, other)),
                // What was said before it is taken back by it; what is said later holds.
                Word::Split(alone) => {
                    merges.retain(|(one, other)| *one != alone && *other != alone);
                    self.parted.insert(alone.clone());
                }
            }
        }
        let mut sets = Sets::default();
        let mut owners = HashMap::new();
        for asset in &self.assets {
            let [first, rest @ ..] = asset.as_slice() else { continue };
            for identifier in rest.iter().filter(|identifier| !self.parted.contains(*identifier)) {
                // Of an inventory that gives one thing to two, the first row holds.
                if *owners.entry(identifier).or_insert(first) == first {
                    sets.unite(first, identifier);
                }
            }
        }
        let shared = shared(&self.learned);
        for together in &self.learned {
            let joins = |identifier: &&Identifier| !shared.contains(*identifier) && !self.parted.contains(*identifier);
            let mut joining = together.iter().filter(joins);
            let Some(first) = joining.next() else { continue };
            joining.for_each(|other| sets.unite(first, other));
        }
        for (one, other) in merges {
            sets.unite(one, other);
        }
        self.device = sets.devices();
    }
}

/// Identifiers that are no single device's: of the strongest kind that each was said with, it was said with several.
fn shared(learned: &HashSet<Box<[Identifier]>>) -> HashSet<&Identifier> {
    let mut with: HashMap<&Identifier, (&Identifier, bool)> = HashMap::new();
    for together in learned {
        for weak in together {
            let stronger = together.iter().filter(|strong| strong.strength().0 < weak.strength().0);
            for strong in stronger {
                let (known, several) = with.entry(weak).or_insert((strong, false));
                match strong.strength().0.cmp(&known.strength().0) {
                    Ordering::Less => (*known, *several) = (strong, false),
                    Ordering::Equal => *several |= *known != strong,
                    Ordering::Greater => (),
                }
            }
        }
    }
    with.into_iter().filter(|(_weak, (_strong, several))| *several).map(|(weak, _)| weak).collect()
}

/// Sets of identifiers that grow together.
#[derive(Default)]
struct Sets<'i> {
    places: HashMap<&'i Identifier, usize>,
    identifiers: Vec<&'i Identifier>,
    /// The place of another of the same set; its own if it stands for the set.
    above: Vec<usize>,
}

impl<'i> Sets<'i> {
    fn place(&mut self, identifier: &'i Identifier) -> usize {
        let next = self.identifiers.len();
        let place = *self.places.entry(identifier).or_insert(next);
        if place == next {
            self.identifiers.push(identifier);
            self.above.push(next);
        }
        self.top(place)
    }

    fn top(&mut self, mut place: usize) -> usize {
        while self.above[place] != place {
            self.above[place] = self.above[self.above[place]];
            place = self.above[place];
        }
        place
    }

    /// The strongest of both stands for all of them.
    fn unite(&mut self, one: &'i Identifier, other: &'i Identifier) {
        let (one, other) = (self.place(one), self.place(other));
        let strength = |place: usize| (self.identifiers[place].strength(), self.identifiers[place]);
        let (top, below) = if strength(one) <= strength(other) { (one, other) } else { (other, one) };
        self.above[below] = top;
    }

    fn devices(mut self) -> HashMap<Identifier, Identifier> {
        let mut devices = HashMap::new();
        for place in 0..self.identifiers.len() {
            let top = self.top(place);
            if top != place {
                devices.insert(self.identifiers[place].clone(), self.identifiers[top].clone());
            }
        }
        devices
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identifiers(text: &str) -> Vec<Identifier> {
        text.split(' ').map(|text| text.parse().unwrap_or_else(|()| panic!("{text}"))).collect()
    }

    fn one(text: &str) -> Identifier {
        text.parse().unwrap()
    }

    /// The device of each of the last, given what was said together, the inventory, and the words of operators.
    #[track_caller]
    fn check(learned: &[&str], assets: &[&str], words: &[Word], cases: &[(&str, &str)]) {
        let mut joins = Joins::default();
        joins.take_assets(assets.iter().map(|asset| identifiers(asset)).collect());
        joins.take_words(words.to_vec());
        let learned: Vec<_> = learned.iter().map(|set| identifiers(set)).collect();
        joins.learn(learned.iter().map(Vec::as_slice));
        for (asked, expected) in cases {
            assert_eq!(joins.device(&identifiers(asked)).unwrap().to_string(), *expected, "{asked}");
        }
    }

    const CABLE: &str = "mac:00:16:3e:00:00:0a";
    const AIR: &str = "mac:00:16:3e:00:00:0b";
    const DUID: &str = "duid:00:03:00:01";

    #[test]
    fn what_is_said_together_is_one_device_on_every_network_it_is_on() {
        let learned = [&format!("{DUID} {CABLE} host:pc"), &*format!("{DUID} {AIR} host:pc")];
        check(
            &learned,
            &[],
            &[],
            &[(CABLE, DUID), (AIR, DUID), ("host:pc", "host:pc"), (&format!("{AIR} host:x"), DUID)],
        );
    }

    #[test]
    fn names_join_nothing_unless_an_inventory_says_so() {
        let learned = [&format!("{CABLE} host:pc"), &*format!("{AIR} host:pc")];
        check(&learned, &[], &[], &[(CABLE, CABLE), (AIR, AIR)]);
        check(
            &learned,
            &[&format!("asset:7 {CABLE} host:pc")],
            &[],
            &[(CABLE, "asset:7"), (AIR, AIR), (&format!("{AIR} host:pc"), "asset:7")],
        );
    }

    #[test]
    fn a_hardware_address_that_two_devices_have_joins_neither() {
        let learned = [&format!("duid:01 {CABLE}"), &*format!("duid:02 {CABLE}")];
        let (first, second) = (format!("duid:01 {CABLE}"), format!("duid:02 {CABLE}"));
        check(&learned, &[], &[], &[(CABLE, CABLE), (&first, "duid:01"), (&second, "duid:02")]);
    }

    #[test]
    fn of_an_inventory_that_gives_one_thing_to_two_the_first_row_holds() {
        check(
            &[],
            &[&format!("asset:1 {CABLE}"), &format!("asset:2 {CABLE} {AIR}")],
            &[],
            &[(CABLE, "asset:1"), (AIR, "asset:2")],
        );
    }

    #[test]
    fn operators_merge_and_split_and_the_later_word_holds() {
        let (merge, split) = (Word::Merge(one(CABLE), one(AIR)), Word::Split(one(AIR)));
        check(&[], &[], std::slice::from_ref(&merge), &[(AIR, CABLE)]);
        check(&[], &[], &[merge.clone(), split.clone()], &[(AIR, AIR)]);
        check(&[], &[], &[split.clone(), merge], &[(AIR, CABLE)]);
        check(&[&format!("{DUID} {AIR}")], &[], &[split], &[(AIR, AIR), (&format!("{DUID} {AIR}"), DUID)]);
    }

    #[test]
    fn a_duid_of_many_machines_that_is_parted_names_none_of_them() {
        let learned = [&format!("{DUID} {CABLE}"), &*format!("{DUID} {AIR}")];
        let split = Word::Split(one(DUID));
        let (first, second) = (format!("{DUID} {CABLE}"), format!("{DUID} {AIR}"));
        check(&learned, &[], &[split], &[(&first, CABLE), (&second, AIR), (DUID, DUID)]);
    }

    #[test]
    fn a_made_up_hardware_address_never_stands_for_a_device_that_has_another() {
        let made_up = "mac:02:00:00:00:00:01";
        check(&[], &[], &[Word::Merge(one(made_up), one(CABLE))], &[(made_up, CABLE), (CABLE, CABLE)]);
    }
}
