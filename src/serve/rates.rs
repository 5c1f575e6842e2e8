//! Response rate limiting: how many responses an address that proves nothing may be sent, so that this server is of no use to
//! who forges addresses.
//!
//! A limited client is told to come over TCP, never left without an answer: the empty response is no larger than the query,
//! and who is really there loses one round trip. Memory is fixed however many addresses are made up.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::quality::RandomState;
use ipnet::IpNet;

use crate::time::Mono;

/// What is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateConfig {
    /// Responses a second to one client; as many at once after a second of silence.
    pub per_second: NonZeroU32,
    /// Bits of an IPv4 address that make a client.
    pub v4_prefix: u8,
    /// The same of IPv6: a host has a whole /64 to itself.
    pub v6_prefix: u8,
    /// Networks that are not limited.
    pub exempt: Vec<IpNet>,
    /// Networks behind one address, and how many clients each of their addresses stands for.
    pub shared: Vec<(IpNet, NonZeroU32)>,
}

/// Slots in which one client may be kept.
const WAYS: usize = 4;
/// Sets of slots: with 8 octets a slot, 512 KiB.
const SETS: usize = 1 << 14;
/// Bits of a slot that hold a time.
const TIME_BITS: u32 = 40;
const TIME: u64 = (1 << TIME_BITS) - 1;
/// A second, in microseconds.
const SECOND: u64 = 1_000_000;
/// Another thread may change a slot in between so many times; then the response is let through.
const TRIES: usize = 4;

/// Who was sent how much, in the form of the generic cell rate algorithm (ITU-T I.371): one moment for each client, at which
/// what it was sent will be paid off.
pub(super) struct Rates {
    config: RateConfig,
    hasher: RandomState,
    /// Each slot: which client in the upper bits, its moment in microseconds, modulo 12 days, in the lower. 0: nobody.
    sets: Box<[[AtomicU64; WAYS]]>,
}

impl Rates {
    pub(super) fn new(config: RateConfig) -> Self {
        let sets = (0..SETS).map(|_set| [const { AtomicU64::new(0) }; WAYS]).collect();
        Self { config, hasher: RandomState::default(), sets }
    }

    pub(super) fn config(&self) -> &RateConfig {
        &self.config
    }

    /// Whether one more response may be sent to `address` now; if so, it is counted.
    pub(super) fn allows(&self, address: IpAddr, now: Mono) -> bool {
        if self.config.exempt.iter().any(|network| network.contains(&address)) {
            return true;
        }
        let stands_for = self.config.shared.iter().find(|(network, _clients)| network.contains(&address));
        let clients = stands_for.map_or(1, |(_network, clients)| clients.get());
        let rate = u64::from(self.config.per_second.get()) * u64::from(clients);
        let cost = (SECOND / rate).max(1);
        let hash = self.hasher.hash_one(self.client(address));
        #[expect(clippy::cast_possible_truncation, reason = "the lower bits are meant")]
        let set = &self.sets[hash as usize % SETS];
        // Never 0, so that nobody is taken for an empty slot.
        let tag = (hash >> TIME_BITS) | 1;
        take(set, tag, cost, now.0 & TIME)
    }

    /// The address with the bits that do not tell clients apart taken away.
    fn client(&self, address: IpAddr) -> IpAddr {
        let prefix = if address.is_ipv4() { self.config.v4_prefix } else { self.config.v6_prefix };
        IpNet::new(address, prefix).map_or(address, |network| network.network())
    }
}

/// Adds `cost` to what `tag` owes, if that is not more than a second then.
fn take(set: &[AtomicU64; WAYS], tag: u64, cost: u64, now: u64) -> bool {
    for _ in 0..TRIES {
        let seen: [u64; WAYS] = std::array::from_fn(|way| set[way].load(Ordering::Relaxed));
        let own = seen.iter().position(|slot| slot >> TIME_BITS == tag);
        // A stranger takes the place of whoever owes least: one who is being sent much keeps its own.
        let least = (0..WAYS).min_by_key(|way| owes(seen[*way], now)).unwrap_or_default();
        let owed = own.map_or(0, |way| owes(seen[way], now));
        if owed + cost > SECOND.max(cost) {
            return false;
        }
        let way = own.unwrap_or(least);
        let slot = tag << TIME_BITS | (now + owed + cost) & TIME;
        if set[way].compare_exchange(seen[way], slot, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            return true;
        }
    }
    true
}

/// Microseconds until a client is paid off. More than is ever owed means that the moment is long past.
fn owes(slot: u64, now: u64) -> u64 {
    let ahead = (slot & TIME).wrapping_sub(now) & TIME;
    if slot == 0 || ahead > SECOND { 0 } else { ahead }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(per_second: u32) -> Rates {
        Rates::new(RateConfig {
            per_second: NonZeroU32::new(per_second).unwrap(),
            v4_prefix: 32,
            v6_prefix: 64,
            exempt: vec!["198.51.100.0/24".parse().unwrap()],
            shared: vec![("203.0.113.7/32".parse().unwrap(), NonZeroU32::new(10).unwrap())],
        })
    }

    fn allowed(rates: &Rates, address: &str, at: u64, tries: usize) -> usize {
        (0..tries).filter(|_try| rates.allows(address.parse().unwrap(), Mono(at))).count()
    }

    #[test]
    fn a_client_gets_its_rate_and_no_more_however_long_it_was_silent() {
        let rates = rates(10);
        for at in [5, 5 + SECOND, 1 << 39, (1 << 40) + 7, 1 << 45] {
            assert_eq!(allowed(&rates, "192.0.2.1", at, 100), 10, "{at}");
        }
        let steady =
            (0..100).filter(|step| allowed(&rates, "192.0.2.2", (1 << 46) + step * SECOND / 20, 1) == 1).count();
        assert_eq!(steady, 10 + 49, "at twice the rate: the first ten, then every other one");
    }

    #[test]
    fn a_client_is_an_address_of_ipv4_and_a_64_of_ipv6() {
        let rates = rates(5);
        assert_eq!(allowed(&rates, "192.0.2.1", 0, 9), 5);
        assert_eq!(allowed(&rates, "192.0.2.2", 0, 9), 5);
        assert_eq!(allowed(&rates, "2001:db8:1:1::1", 0, 9), 5);
        assert_eq!(allowed(&rates, "2001:db8:1:1:ffff::9", 0, 9), 0);
        assert_eq!(allowed(&rates, "2001:db8:1:2::1", 0, 9), 5);
    }

    #[test]
    fn networks_behind_one_address_get_multiples_and_exempt_ones_anything() {
        let rates = rates(5);
        assert_eq!(allowed(&rates, "203.0.113.7", 0, 999), 50);
        assert_eq!(allowed(&rates, "203.0.113.8", 0, 999), 5);
        assert_eq!(allowed(&rates, "198.51.100.1", 0, 999), 999);
    }

    #[test]
    fn made_up_addresses_do_not_wash_out_what_a_victim_was_sent() {
        let rates = rates(5);
        let mut sent = 0;
        for number in 0..200_000_u32 {
            let address = IpAddr::from((0x0A00_0000 + number).to_be_bytes());
            rates.allows(address, Mono(u64::from(number)));
            if number.is_multiple_of(100) {
                sent += allowed(&rates, "192.0.2.1", u64::from(number), 1);
            }
        }
        assert!(sent <= 7, "{sent} in a fifth of a second");
    }
}
