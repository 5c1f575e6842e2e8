//! The devices that exemptions and groups name, and by what the query of one is known now.
//!
//! A device is named by an identifier that stays, and asks from addresses that do not: whoever knows who holds which address
//! makes a new roster when that changes. Leaves knowing it to [`identity`](crate::identity).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::who::{GroupIndex, Who};

/// By what the query of a device is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// It comes from this address.
    Address(IpAddr),
    /// Whoever handed it over has named the device, which has this number.
    Told(u32),
}

/// Devices that somebody names, with all that each is known by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    /// Their names, as exemptions and groups have them; one device may have several.
    names: Vec<Vec<Arc<str>>>,
    of: HashMap<Holder, Named>,
}

/// The device that asks, if it is one that exemptions or groups name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Its place in the roster and one; 0: nobody names it.
    number: u16,
    groups: OfDevice,
}

/// Groups that name a device, as bits by their place among those that name any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct OfDevice(u64);

impl Named {
    /// A client that nobody names as a device.
    pub const NOBODY: Self = Self { number: 0, groups: OfDevice(0) };

    pub(super) fn groups(self) -> OfDevice {
        self.groups
    }

    /// Its number in the roster.
    pub(super) fn number(self) -> Option<u16> {
        self.number.checked_sub(1)
    }
}

impl Roster {
    /// Devices at most; of more the rest is nobody's: each is named by an exemption or a group, and those have limits.
    pub const MAX: usize = u16::MAX as usize - 1;

    /// These devices: the names of each, and all that it is known by now.
    pub fn new(devices: impl IntoIterator<Item = (Vec<Arc<str>>, Vec<Holder>)>) -> Self {
        let mut roster = Self::default();
        for ((names, holders), number) in devices.into_iter().take(Self::MAX).zip(1..) {
            roster.names.push(names);
            roster.of.extend(holders.into_iter().map(|holder| (holder, Named { number, groups: OfDevice::default() })));
        }
        roster
    }

    /// The same, where each device is of the groups that name it.
    #[must_use]
    pub(super) fn in_groups(mut self, who: &Who) -> Self {
        let of = |names: &Vec<Arc<str>>| OfDevice::of(who.device_groups(), names);
        let groups: Vec<_> = self.names.iter().map(of).collect();
        for named in self.of.values_mut() {
            named.groups = named.number().and_then(|at| groups.get(usize::from(at)).copied()).unwrap_or_default();
        }
        self
    }

    /// Whether nobody is named, or none of those named is known by anything.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// Who that is.
    pub fn named(&self, holder: Holder) -> Named {
        self.of.get(&holder).copied().unwrap_or_default()
    }

    /// The number of the device with this name.
    pub(super) fn number(&self, name: &str) -> Option<u16> {
        let at = self.names.iter().position(|names| names.iter().any(|known| **known == *name))?;
        u16::try_from(at).ok()
    }
}

impl OfDevice {
    /// Groups that name devices at most.
    pub(super) const GROUPS_MAX: usize = 64;

    fn of(groups: &[(GroupIndex, Vec<Arc<str>>)], names: &[Arc<str>]) -> Self {
        let is_in = |devices: &[Arc<str>]| devices.iter().any(|device| names.contains(device));
        let bits = groups.iter().take(Self::GROUPS_MAX).enumerate();
        Self(bits.filter(|(_, (_group, devices))| is_in(devices)).fold(0, |bits, (at, _group)| bits | 1 << at))
    }

    /// The groups.
    pub(super) fn groups(self, all: &[(GroupIndex, Vec<Arc<str>>)]) -> impl Iterator<Item = GroupIndex> {
        let all = all.iter().take(Self::GROUPS_MAX).enumerate();
        all.filter(move |(at, _group)| self.0 >> at & 1 == 1).map(|(_at, (group, _devices))| *group)
    }
}
