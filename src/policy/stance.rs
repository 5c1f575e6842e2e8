//! What a ban does to a client at a moment: a mode, lowered by dates, hours and rollout, and an action.

use std::fmt;
use std::net::IpAddr;

use super::ban::{Action, Mode};
use super::schedule::Schedule;
use super::who::{GroupIndex, Member};
use crate::time::Timestamp;

/// What a ban does to all clients, or to some.
#[derive(Clone, Debug, PartialEq)]
pub struct Stance {
    /// The ceiling for every rule.
    pub mode: Mode,
    /// Before this moment the ban is off; `None`: always on.
    pub observe_from: Option<Timestamp>,
    /// Before this moment the ban only observes; `None`: always enforced.
    pub enforce_from: Option<Timestamp>,
    /// Outside these hours the ban only observes; `None`: no hours.
    pub schedule: Option<Schedule>,
    /// The share of clients that the ban enforces on, the others being observed; `None`: all.
    pub rollout: Option<Share>,
    /// What is done where a rule names no action of its own.
    pub action: Action,
}

/// A stance towards the clients of some groups.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// Any of these.
    pub groups: Vec<GroupIndex>,
    /// What the ban does to them.
    pub stance: Stance,
}

/// Whole percent of all clients, always the same ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(u8);

/// Who asks, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker<'p> {
    pub(super) address: IpAddr,
    pub(super) member: Member<'p>,
    pub(super) over_stream: bool,
    /// Whether it is a forwarder that gives other clients what it was given.
    pub(super) forwards: bool,
    pub(super) at: Timestamp,
}

/// What a ban does of which nothing is said: it enforces at every time on every client, by NXDOMAIN.
impl Default for Stance {
    fn default() -> Self {
        let (mode, action) = (Mode::Enforce, Action::Nxdomain);
        Self { mode, observe_from: None, enforce_from: None, schedule: None, rollout: None, action }
    }
}

impl Stance {
    /// The mode in force at `at` for clients that a rollout has reached.
    pub fn mode_at(&self, at: Timestamp) -> Mode {
        let dated = if self.observe_from.is_some_and(|from| at < from) {
            Mode::Off
        } else if self.enforce_from.is_some_and(|from| at < from) || !self.is_hour(at) {
            Mode::Observe
        } else {
            Mode::Enforce
        };
        dated.min(self.mode)
    }

    /// The mode in force for one client of the ban with this id.
    pub(super) fn mode_for(&self, ban: &str, address: IpAddr, at: Timestamp) -> Mode {
        let reached = self.rollout.is_none_or(|share| share.holds(ban, address));
        self.mode_at(at).min(if reached { Mode::Enforce } else { Mode::Observe })
    }

    /// The next moment after `at` at which [`Stance::mode_at`] changes, if any.
    pub fn next_change(&self, at: Timestamp) -> Option<Timestamp> {
        let mode = self.mode_at(at);
        let dates = [self.observe_from, self.enforce_from].into_iter().flatten();
        let hours = self.schedule.iter().flat_map(|schedule| {
            // A date may come between: then the hours before it change nothing.
            let first = [Some(at), self.observe_from, self.enforce_from].into_iter().flatten().max();
            [at].into_iter().chain(first).filter_map(|from| schedule.next_change(from))
        });
        dates.chain(hours).filter(|&from| from > at && self.mode_at(from) != mode).min()
    }

    /// Whether it is the same at every moment and for every client.
    pub(super) fn is_constant(&self) -> bool {
        let Self { mode: _, observe_from, enforce_from, schedule, rollout, action: _ } = self;
        observe_from.is_none() && enforce_from.is_none() && schedule.is_none() && rollout.is_none()
    }

    fn is_hour(&self, at: Timestamp) -> bool {
        self.schedule.as_ref().is_none_or(|schedule| schedule.is_open(at))
    }
}

impl Share {
    /// From 1 to 99 percent; `None` for any other number.
    pub fn new(percent: u8) -> Option<Self> {
        (1..100).contains(&percent).then_some(Self(percent))
    }

    /// Whether a client is of the share for the ban with this id.
    ///
    /// Every server with the same share and ban says the same, and a greater share holds all of a smaller one. Clients in one
    /// IPv6 /64 are one (RFC 8981: a host changes its address there). Nobody, the unspecified address, is of every share.
    pub fn holds(self, ban: &str, address: IpAddr) -> bool {
        if address.is_unspecified() {
            return true;
        }
        let (v4, v6);
        let client: &[u8] = match address {
            IpAddr::V4(address) => {
                v4 = address.octets();
                &v4
            }
            IpAddr::V6(address) => {
                v6 = address.octets();
                &v6[..8]
            }
        };
        let octets = ban.bytes().chain([0]).chain(client.iter().copied());
        mixed(octets.fold(FNV_BASIS, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(FNV_PRIME))) % 100
            < u64::from(self.0)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

/// FNV-1a (draft-eastlake-fnv). Nobody gains by a collision here, and it is the same everywhere.
const FNV_BASIS: u64 = 0xCBF2_9CE4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01B3;

/// The finish of `SplitMix64`: neighbours differ in their last octet only, which FNV spreads badly.
fn mixed(hash: u64) -> u64 {
    let hash = (hash ^ hash >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let hash = (hash ^ hash >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    hash ^ hash >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients() -> impl Iterator<Item = IpAddr> {
        (0..=255).flat_map(|third| (1..=254).map(move |last| IpAddr::from([10, 1, third, last])))
    }

    #[test]
    fn a_share_is_that_share_of_all_clients_and_a_greater_one_holds_it() {
        let shares = [1, 5, 25, 50, 99].map(|percent| Share::new(percent).unwrap());
        for (share, percent) in shares.iter().zip([1, 5, 25, 50, 99]) {
            let held = clients().filter(|client| share.holds("kaspersky", *client)).count();
            let expected = 256 * 254 * percent / 100;
            assert!(held.abs_diff(expected) < 256 * 254 / 200, "{percent} %: {held}");
        }
        for pair in shares.windows(2) {
            assert!(clients().all(|client| pair[1].holds("b", client) || !pair[0].holds("b", client)));
        }
    }

    #[test]
    fn a_share_is_the_same_on_every_server_and_another_for_every_ban() {
        let quarter = Share::new(25).unwrap();
        let held = |ban: &str| -> Vec<u8> {
            (0..32).filter(|last| quarter.holds(ban, IpAddr::from([192, 0, 2, *last]))).collect()
        };
        // From the same steps written down in another language.
        assert_eq!(held("kaspersky"), [4, 5, 7, 8, 9, 10, 11, 12, 22, 23, 30]);
        assert_ne!(held("huawei"), held("kaspersky"));
    }

    #[test]
    fn a_host_that_changes_its_address_in_its_network_stays_what_it_was() {
        let quarter = Share::new(25).unwrap();
        let of = |last: u16| {
            (0..1000_u16)
                .map(|net| quarter.holds("v", IpAddr::from([0x2001, 0xDB8, 0, net, 0, 0, 0, last])))
                .collect::<Vec<_>>()
        };
        assert_eq!(of(1), of(2));
        assert!(of(1).contains(&true) && of(1).contains(&false));
    }

    #[test]
    fn nobody_is_of_every_share() {
        let least = Share::new(1).unwrap();
        assert!(["a", "b", "c", "d"].iter().all(|ban| least.holds(ban, super::super::verdict::Client::NOBODY.address)));
    }

    #[test]
    fn all_and_none_are_no_shares() {
        assert_eq!([0, 100, 255].map(Share::new), [None; 3]);
    }
}
