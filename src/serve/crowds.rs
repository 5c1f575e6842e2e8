//! Addresses that stand for many: a router that translates addresses, or a forwarder that nobody has declared.
//!
//! Behind one of them devices can't be told apart, and a client that is counted once may be a hundred. What gives it away is
//! that most of all queries come from it, and about many names. One query in sixteen is looked at, so that looking costs
//! nearly nothing; memory is bounded and taken once.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, TryLockError};

use arc_swap::ArcSwap;
use foldhash::quality::RandomState;

use crate::time::{Now, Timestamp};
use crate::wire::Query;

/// Of so many queries one is looked at; a power of two, 256 at most.
const ONE_OF: u8 = 16;
/// Seconds of a window.
const WINDOW: i64 = 3_600;
/// Addresses that are told apart in a window; others count for the whole alone.
const ADDRESSES_MAX: usize = 1_024;
/// Queries looked at in a window at least, or it says nothing: about two a second.
const QUERIES_MIN: u32 = 400;
/// Different names among them at least: more than one person asks for in an hour.
const NAMES_MIN: u32 = 200;
/// Bits of the set of an address's names.
const BITS: u32 = 512;

/// What the windows say.
#[derive(Debug)]
pub(super) struct Crowds {
    window: Mutex<Window>,
    found: ArcSwap<Vec<Crowd>>,
    hasher: RandomState,
}

/// An address that stands for many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crowd {
    /// The address.
    pub address: IpAddr,
    /// Of a hundred queries, those that came from it in the last window in which it did so.
    pub share_percent: u32,
    /// Different names at least that it asked for then.
    pub names: u32,
    /// The end of that window.
    pub seen: Timestamp,
    /// Whether it was not known before that window.
    pub is_new: bool,
}

#[derive(Debug)]
struct Window {
    number: i64,
    queries: u32,
    of: HashMap<IpAddr, Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    queries: u32,
    /// A bit for each name, by its hash.
    names: [u64; (BITS / 64) as usize],
}

impl Crowds {
    pub(super) fn new() -> Self {
        let window = Window { number: 0, queries: 0, of: HashMap::with_capacity(ADDRESSES_MAX) };
        Self { window: Mutex::new(window), found: ArcSwap::default(), hasher: RandomState::default() }
    }

    /// Looks at a query, if it is its turn; returns addresses that have stood for many in a window that is over. Waits for nobody.
    #[inline]
    pub(super) fn look(&self, query: &Query<'_>, address: IpAddr, now: Now) -> Vec<Crowd> {
        let turn = query.message.get(1).is_some_and(|low| low % ONE_OF == 0);
        if turn { self.count(query, address, now.wall) } else { Vec::new() }
    }

    #[inline(never)]
    fn count(&self, query: &Query<'_>, address: IpAddr, at: Timestamp) -> Vec<Crowd> {
        let name = self.hasher.hash_one(query.name.wire());
        let mut window = match self.window.try_lock() {
            Ok(window) => window,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Another thread looks: this query is one of many.
            Err(TryLockError::WouldBlock) => return Vec::new(),
        };
        let number = at.as_second().div_euclid(WINDOW);
        let told = if window.number == number { Vec::new() } else { self.close(&mut window, number, at) };
        window.queries += 1;
        let room = window.of.len() < ADDRESSES_MAX;
        // The host's own queries are of its own programs.
        if !address.is_loopback() && (room || window.of.contains_key(&address)) {
            let seen = window.of.entry(address).or_insert(Seen { queries: 0, names: [0; (BITS / 64) as usize] });
            seen.queries += 1;
            let bit = u32::try_from(name % u64::from(BITS)).unwrap_or_default();
            seen.names[(bit / 64) as usize] |= 1 << (bit % 64);
        }
        told
    }

    /// Ends a window; returns those that it shows.
    fn close(&self, window: &mut Window, number: i64, at: Timestamp) -> Vec<Crowd> {
        let known = self.found.load_full();
        let is_new = |address| known.iter().all(|known| known.address != address);
        let told: Vec<_> = window.crowds(at).map(|crowd| Crowd { is_new: is_new(crowd.address), ..crowd }).collect();
        window.number = number;
        window.queries = 0;
        window.of.clear();
        let others = known.iter().filter(|known| told.iter().all(|crowd| crowd.address != known.address)).copied();
        let all: Vec<_> = told.iter().copied().chain(others).take(ADDRESSES_MAX).collect();
        self.found.store(Arc::new(all));
        told
    }

    /// Those that are known.
    pub(super) fn found(&self) -> Arc<Vec<Crowd>> {
        self.found.load_full()
    }
}

impl Window {
    fn crowds(&self, at: Timestamp) -> impl Iterator<Item = Crowd> {
        let whole = self.queries;
        let many = move |seen: &Seen| whole >= QUERIES_MIN && seen.queries * 2 >= whole && seen.names() >= NAMES_MIN;
        self.of.iter().filter(move |(_address, seen)| many(seen)).map(move |(address, seen)| Crowd {
            address: *address,
            share_percent: seen.queries.saturating_mul(100) / whole.max(1),
            names: seen.names(),
            seen: at,
            is_new: true,
        })
    }
}

impl Seen {
    /// Different names, at least: two may share a bit.
    fn names(&self) -> u32 {
        self.names.iter().map(|bits| bits.count_ones()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Mono;

    /// Queries of an hour: by address, how many about how many names. Returns who is found when the next hour begins.
    #[track_caller]
    fn check(asked: &[(&str, u32, u32)], expected: &[&str]) {
        let crowds = Crowds::new();
        let now = |second: i64| Now { wall: Timestamp::from_second(second).unwrap(), mono: Mono(0) };
        let look = |address: &str, name: u32, at: Now| {
            let label = format!("n{name:06}");
            let name = [&[7], label.as_bytes(), b"\x07example\0"].concat();
            // An id that is looked at.
            let message = [b"\x12\x10\x01\0\0\x01\0\0\0\0\0\0", &name[..], &[0, 1, 0, 1]].concat();
            crowds.look(&Query::read(&message).unwrap(), address.parse().unwrap(), at)
        };
        for (address, queries, names) in asked {
            for number in 0..*queries {
                assert_eq!(look(address, number % names, now(10)), [], "before the hour is over");
            }
        }
        let new: Vec<_> = look("192.0.2.200", 0, now(WINDOW)).iter().map(|crowd| crowd.address.to_string()).collect();
        assert_eq!(new, expected);
        assert_eq!(crowds.found().len(), expected.len());
        assert_eq!(look("192.0.2.200", 0, now(2 * WINDOW)), [], "told once");
        assert_eq!(crowds.found().len(), expected.len(), "and kept");
    }

    #[test]
    fn whoever_sends_most_queries_about_many_names_stands_for_many() {
        check(&[("192.0.2.1", 600, 500), ("192.0.2.7", 100, 90)], &["192.0.2.1"]);
        check(&[("192.0.2.1", 600, 20), ("192.0.2.7", 100, 90)], &[]);
        check(&[("192.0.2.1", 300, 300), ("192.0.2.7", 400, 20)], &[]);
        check(&[("192.0.2.1", 300, 300)], &[]);
        check(&[("127.0.0.1", 900, 900)], &[]);
    }

    #[test]
    fn of_more_addresses_than_there_is_room_for_the_rest_counts_for_the_whole() {
        let crowds = Crowds::new();
        let message = b"\x12\x10\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";
        let query = Query::read(message).unwrap();
        for number in 0..2_000_u32 {
            crowds.look(&query, IpAddr::from(number.to_be_bytes()), Now { wall: Timestamp::UNIX_EPOCH, mono: Mono(0) });
        }
        let window = crowds.window.lock().unwrap();
        assert_eq!((window.of.len(), window.queries), (ADDRESSES_MAX, 2_000));
    }
}
