//! Who holds which address, shared by whoever learns of it and whoever writes the record.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use super::holdings::Holdings;
use super::told::{Told, ToldId};
use super::{Binding, Bindings, Identifier, Joins, Lease, Word};
use crate::policy::{Holder, Roster};
use crate::time::Timestamp;

/// Bindings as they are, those of them that have changed since somebody took note, and which identifiers are of one device.
#[derive(Debug, Default)]
pub struct Devices {
    inner: Mutex<Inner>,
    /// Locked apart from the rest, since queries that are being answered ask for it.
    told: RwLock<Told>,
}

#[derive(Debug, Default)]
struct Inner {
    bindings: Bindings,
    /// A binding that changes often is noted once, as it is now.
    changed: HashMap<(IpAddr, Timestamp), Binding>,
    joins: Joins,
}

impl Devices {
    /// Adds what was known before.
    pub fn restore(&self, known: impl IntoIterator<Item = Binding>) {
        let mut inner = self.lock();
        inner.bindings.restore(known);
        inner.learn();
    }

    /// Adds all that was known before, for whoever asks of a time long ago.
    pub fn restore_all(&self, known: impl IntoIterator<Item = Binding>) {
        let mut inner = self.lock();
        inner.bindings.restore_all(known);
        inner.learn();
    }

    /// Adds what was said together before, by those whose bindings are over.
    pub fn remember(&self, together: &[Vec<Identifier>]) {
        self.lock().joins.learn(together.iter().map(Vec::as_slice));
    }

    /// Takes over the inventory as it is now.
    pub fn take_assets(&self, assets: Vec<Vec<Identifier>>) {
        self.lock().joins.take_assets(assets);
    }

    /// Takes over what operators say of devices, in the order in which they said it.
    pub fn take_words(&self, words: Vec<Word>) {
        self.lock().joins.take_words(words);
    }

    /// Whether [`Devices::take`] would end a binding that goes on ([`Bindings::ends`]).
    pub fn ends<'l>(&self, leases: impl IntoIterator<Item = &'l Lease>, now: Timestamp) -> bool {
        self.lock().bindings.ends(leases, now)
    }

    /// Takes over what all lease files say now ([`Bindings::take`]).
    pub fn take<'l>(&self, leases: impl IntoIterator<Item = &'l Lease>, now: Timestamp) {
        let mut inner = self.lock();
        let changes = inner.bindings.take(leases, now);
        inner.joins.learn(changes.iter().map(|binding| &*binding.identifiers));
        for binding in changes {
            inner.changed.insert((binding.address, binding.from), binding);
        }
    }

    /// The number of a device that somebody has named in handing over its query; `None`: too many are known already.
    pub fn told(&self, identifier: &Identifier) -> Option<ToldId> {
        let known = self.told.read().unwrap_or_else(PoisonError::into_inner).known(identifier);
        known.or_else(|| self.told.write().unwrap_or_else(PoisonError::into_inner).number(identifier))
    }

    fn told_all(&self) -> RwLockReadGuard<'_, Told> {
        self.told.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The device of each query in words, by who has named it or else by who held its address at its moment; an empty text
    /// where that is not known.
    pub fn who<T>(&self, asked: impl Iterator<Item = Asked>, tell: impl FnMut(&str) -> T) -> Vec<T> {
        let (told_all, inner, mut tell) = (self.told_all(), self.lock(), tell);
        asked
            .map(|Asked { address, told, at }| {
                let device = match told.and_then(|told| told_all.identifier(told)) {
                    Some(identifier) => Some(inner.told(identifier, at)),
                    None => inner.holder(address, at),
                };
                tell(&device.map(ToString::to_string).unwrap_or_default())
            })
            .collect()
    }

    /// What stands for the device that held an address at a moment.
    pub fn at(&self, address: IpAddr, at: Timestamp) -> Option<Identifier> {
        self.lock().holder(address, at).cloned()
    }

    /// What stands for the device that an identifier is of.
    pub fn device_of(&self, identifier: &Identifier) -> Identifier {
        self.lock().joins.device_of(identifier).clone()
    }

    /// In words, what stands for each device of the inventory.
    pub fn inventory(&self) -> BTreeSet<String> {
        self.lock().joins.inventory().map(ToString::to_string).collect()
    }

    /// In words, every identifier that another one stands for, and that one.
    pub fn stand_ins(&self) -> Vec<(String, String)> {
        let inner = self.lock();
        let joined = inner.joins.joined();
        joined.map(|recorded| (recorded.to_string(), inner.joins.device_of(recorded).to_string())).collect()
    }

    /// The name that stands now for the device that was recorded under this one.
    pub fn now_called(&self, recorded: &str) -> String {
        let now = recorded.parse().map(|identifier| self.device_of(&identifier).to_string());
        now.unwrap_or_else(|()| recorded.to_owned())
    }

    /// All identifiers of a device that are known, by what stands for it.
    pub fn all_of(&self, device: &Identifier) -> Vec<Identifier> {
        let inner = self.lock();
        let held = inner.bindings.all().flat_map(|binding| &*binding.identifiers);
        let of_it = |identifier: &&Identifier| inner.joins.device_of(identifier) == device;
        let mut all: Vec<_> = held.chain(inner.joins.joined()).filter(of_it).cloned().collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// What stands for the device that has these; `None` if there are none.
    pub fn device(&self, identifiers: &[Identifier]) -> Option<Identifier> {
        self.lock().joins.device(identifiers).cloned()
    }

    /// By what these devices, which exemptions and groups name, are known now.
    pub fn roster<'n>(&self, names: impl IntoIterator<Item = &'n Arc<str>>, now: Timestamp) -> Roster {
        let (told_all, inner) = (self.told_all(), self.lock());
        let mut wanted: BTreeMap<&Identifier, (Vec<Arc<str>>, Vec<Holder>)> = BTreeMap::new();
        let parsed: Vec<_> =
            names.into_iter().filter_map(|name| Some((name, name.parse::<Identifier>().ok()?))).collect();
        for (name, identifier) in &parsed {
            let names = &mut wanted.entry(inner.joins.device_of(identifier)).or_default().0;
            if !names.contains(name) {
                names.push(Arc::clone(name));
            }
        }
        if wanted.is_empty() {
            return Roster::default();
        }
        for held in inner.bindings.held(now) {
            let device = inner.joins.device(&held.identifiers);
            if let Some((_names, holders)) = device.and_then(|device| wanted.get_mut(device)) {
                holders.push(Holder::Address(held.address));
            }
        }
        for (told, identifier) in told_all.all() {
            if let Some((_names, holders)) = wanted.get_mut(inner.told(identifier, now)) {
                holders.push(Holder::Told(told.0.get()));
            }
        }
        Roster::new(wanted.into_values())
    }

    /// Which of these devices, which exemptions and groups name, held which address when, and the devices by their numbers there.
    pub fn holdings<'n>(&self, names: impl IntoIterator<Item = &'n Arc<str>>) -> (Holdings, Roster) {
        let inner = self.lock();
        Holdings::new(names, (&inner.bindings, &inner.joins))
    }

    /// Whether nothing at all is known of any address.
    pub fn is_empty(&self) -> bool {
        self.lock().bindings.is_empty()
    }

    /// Whether nobody is known, by address or otherwise.
    pub fn knows_nobody(&self) -> bool {
        self.is_empty() && self.told_all().is_empty()
    }

    /// Bindings that have begun or changed since the last call, each as it is now.
    pub fn changed(&self) -> Vec<Binding> {
        std::mem::take(&mut self.lock().changed).into_values().collect()
    }

    /// Gives back what could not be noted; what has changed since stays as it is.
    pub fn give_back(&self, changed: Vec<Binding>) {
        let mut inner = self.lock();
        for binding in changed {
            inner.changed.entry((binding.address, binding.from)).or_insert(binding);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A query of which the device is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Where it came from.
    pub address: IpAddr,
    /// The device that whoever handed it over has named.
    pub told: Option<ToldId>,
    /// When it came.
    pub at: Timestamp,
}

impl Inner {
    /// What stands for the device that held an address at a moment.
    fn holder(&self, address: IpAddr, at: Timestamp) -> Option<&Identifier> {
        self.joins.device(&self.bindings.at(address, at)?.identifiers)
    }

    /// What stands for the device that somebody has named: an address is whoever held it at that moment.
    fn told<'i>(&'i self, identifier: &'i Identifier, at: Timestamp) -> &'i Identifier {
        match identifier {
            Identifier::Address(address) => self.holder(*address, at).unwrap_or(identifier),
            _ => self.joins.device_of(identifier),
        }
    }

    fn learn(&mut self) {
        let Self { bindings, joins, .. } = self;
        joins.learn(bindings.all().map(|binding| &*binding.identifiers));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Source;
    use crate::identity::LeaseFormat;

    fn moment(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn read(rows: &str) -> Vec<Lease> {
        LeaseFormat::Csv.leases(&Source::new("t", format!("address,mac,duid\n{rows}"))).0
    }

    const A: &str = "00:16:3e:00:00:0a";
    const B: &str = "00:16:3e:00:00:0b";

    #[test]
    fn a_device_that_is_named_is_found_at_all_its_addresses_and_only_there() {
        let devices = Devices::default();
        let rows = format!("192.0.2.7,{A},00:03\n2001:db8::7,,00:03\n192.0.2.8,{B},\n");
        devices.take(&read(&rows), moment(10));
        let named: Arc<str> = format!("mac:{A}").into();
        let roster = devices.roster([&named], moment(11));
        let is_named = |roster: &Roster, text: &str| {
            roster.named(Holder::Address(text.parse().unwrap())) != crate::policy::Named::NOBODY
        };
        assert!(is_named(&roster, "192.0.2.7") && is_named(&roster, "2001:db8::7") && !is_named(&roster, "192.0.2.8"));

        devices.take(&read(&format!("192.0.2.8,{A},00:03\n192.0.2.7,{B},\n")), moment(20));
        let roster = devices.roster([&named], moment(21));
        assert!(is_named(&roster, "192.0.2.8") && !is_named(&roster, "192.0.2.7"));
    }

    #[test]
    fn whoever_is_named_in_the_query_is_nobody_at_the_address_it_came_from() {
        let devices = Devices::default();
        devices.take(&read(&format!("192.0.2.7,{A},\n")), moment(10));
        let told = devices.told(&format!("mac:{B}").parse().unwrap());
        let asked = |told| Asked { address: "192.0.2.7".parse().unwrap(), told, at: moment(12) };
        let who = devices.who([asked(None), asked(told)].into_iter(), str::to_owned);
        assert_eq!(who, [format!("mac:{A}"), format!("mac:{B}")]);
    }
}
