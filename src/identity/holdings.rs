//! Which of some devices held an address, at any time of which that is known.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use super::{Bindings, Identifier, Joins};
use crate::policy::{Holder, Roster};
use crate::time::Timestamp;

/// Which of the devices that exemptions and groups name held which address when. It is no longer than it is asked for: what
/// becomes known later is not in it.
#[derive(Clone, Debug, Default)]
pub struct Holdings {
    /// By address, the newest last: from when to when, and the number of the device, if it is one of them.
    of: HashMap<IpAddr, Vec<Held>>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    from: Timestamp,
    until: Option<Timestamp>,
    device: Option<u32>,
}

impl Holdings {
    /// Those of the devices with these names, and the devices by their numbers.
    pub(super) fn new<'n>(
        names: impl IntoIterator<Item = &'n Arc<str>>,
        (bindings, joins): (&Bindings, &Joins),
    ) -> (Self, Roster) {
        let mut wanted = BTreeMap::<Identifier, Vec<Arc<str>>>::new();
        for name in names {
            let Ok(identifier) = name.parse::<Identifier>() else { continue };
            let known = wanted.entry(joins.device_of(&identifier).clone()).or_default();
            if !known.contains(name) {
                known.push(Arc::clone(name));
            }
        }
        let numbers: HashMap<&Identifier, u32> = wanted.keys().zip(0..).collect();
        let mut of = HashMap::<IpAddr, Vec<Held>>::new();
        if !numbers.is_empty() {
            for binding in bindings.all() {
                let device = joins.device(&binding.identifiers).and_then(|device| numbers.get(device).copied());
                of.entry(binding.address).or_default().push(Held { from: binding.from, until: binding.until, device });
            }
        }
        of.retain(|_address, held| held.iter().any(|held| held.device.is_some()));
        for held in of.values_mut() {
            held.sort_by_key(|held| held.from);
        }
        let roster =
            Roster::new(wanted.into_values().zip(0..).map(|(names, number)| (names, vec![Holder::Told(number)])));
        (Self { of }, roster)
    }

    /// The number of the device that held an address at a moment, if it is one of them.
    #[inline]
    pub fn at(&self, address: IpAddr, at: Timestamp) -> Option<u32> {
        if self.of.is_empty() {
            return None;
        }
        let holds = |held: &&Held| held.from <= at && held.until.is_none_or(|until| at < until);
        self.of.get(&address)?.iter().rev().find(holds)?.device
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Source;
    use crate::identity::{Devices, LeaseFormat};

    #[test]
    fn an_address_is_of_whoever_held_it_at_the_moment_that_is_asked_for() {
        let devices = Devices::default();
        let moment = |second| Timestamp::from_second(second).unwrap();
        let (a, b) = ("00:16:3e:00:00:0a", "00:16:3e:00:00:0b");
        for (second, mac) in [(10, a), (20, b), (30, a)] {
            let source = Source::new("t", format!("address,mac\n192.0.2.7,{mac}\n"));
            devices.take(&LeaseFormat::Csv.leases(&source).0, moment(second));
        }
        devices.take_assets(vec![vec!["asset:7".parse().unwrap(), format!("mac:{a}").parse().unwrap()]]);
        let name: Arc<str> = format!("mac:{a}").into();
        let (holdings, roster) = devices.holdings([&name]);
        let held = [5, 10, 19, 20, 29, 30, 99].map(|second| holdings.at("192.0.2.7".parse().unwrap(), moment(second)));
        assert_eq!(held, [None, Some(0), Some(0), None, None, Some(0), Some(0)]);
        assert!(!roster.is_empty());
        assert_eq!(holdings.at("192.0.2.8".parse().unwrap(), moment(10)), None);
    }
}
