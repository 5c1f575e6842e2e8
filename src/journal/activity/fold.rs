//! Who was active, in memory until it is written.
//!
//! Asked for every query, so the usual answer, that this client is known for this hour, is one read of a word that nobody
//! writes meanwhile.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::{DefaultHashBuilder, HashMap};

use crate::identity::ToldId;
use crate::time::Timestamp;

/// Words by which clients are known again: half a MiB. A power of two.
const WORDS: usize = 1 << 16;
/// Parts of what is new that are locked apart. A power of two.
const PARTS: usize = 16;
/// Clients of one part at most, between two times of writing.
const CLIENTS_MAX: usize = 16_384;

/// A client, as an IPv6 address, what device it was named as, and an hour since 1970.
type Key = (u128, Option<ToldId>, i64);

/// Somebody who was active in an hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Seen {
    /// As an IPv6 address, IPv4 mapped.
    pub(in super::super) client: u128,
    pub(in super::super) told: Option<ToldId>,
    /// The first query that told of it.
    pub(in super::super) at: Timestamp,
    pub(in super::super) site: Arc<str>,
}

/// What is new, with cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Part(Mutex<New>);

/// What is new in a part.
#[derive(Debug, Default)]
struct New {
    seen: HashMap<Key, (Timestamp, Arc<str>)>,
    /// Those whose address has passed to somebody else meanwhile.
    passed: Vec<(Key, (Timestamp, Arc<str>))>,
}

impl Part {
    fn lock(&self) -> MutexGuard<'_, New> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Clients by hour that the writer has not taken.
#[derive(Debug)]
pub(in super::super) struct Fold {
    words: Box<[AtomicU64]>,
    parts: [Part; PARTS],
    /// Keyed with a secret of this process, so that nobody outside can choose addresses that stand for each other.
    hashes: DefaultHashBuilder,
    /// Queries of clients for which there was no room.
    lost: AtomicU64,
}

impl Default for Fold {
    fn default() -> Self {
        let words = (0..WORDS).map(|_word| AtomicU64::new(0)).collect();
        let parts = std::array::from_fn(|_part| Part::default());
        Self { words, parts, hashes: DefaultHashBuilder::default(), lost: AtomicU64::new(0) }
    }
}

impl Fold {
    /// Notes that a client was active; `site` is asked only if that is new.
    #[inline]
    pub(in super::super) fn add(
        &self,
        (client, told): (IpAddr, Option<ToldId>),
        at: Timestamp,
        site: impl FnOnce() -> Arc<str>,
    ) {
        let client = bits(client);
        let key = (client, told, hour(at));
        let word = self.word(&key);
        let known = &self.words[(word >> 32) as usize % WORDS];
        if known.load(Ordering::Relaxed) != word {
            self.add_new(key, (at, site()), word);
        }
    }

    /// Notes that an address has passed to somebody else: whoever has it now is new, in this hour too.
    pub(in super::super) fn pass_on(&self, client: IpAddr, at: Timestamp) {
        let key = (bits(client), None, hour(at));
        let word = self.word(&key);
        let mut part = self.parts[(word >> 8) as usize % PARTS].lock();
        let seen = part.seen.remove(&key);
        part.passed.extend(seen.map(|seen| (key, seen)));
        drop(part);
        // If it is another's by now, that one is told of again, which changes nothing.
        self.words[(word >> 32) as usize % WORDS].store(0, Ordering::Relaxed);
    }

    /// Two clients of one hour have the same word by chance once in 2^63.
    fn word(&self, key: &Key) -> u64 {
        self.hashes.hash_one(key) | 1
    }

    /// The rest, out of the way of the usual case.
    #[cold]
    fn add_new(&self, key: Key, seen: (Timestamp, Arc<str>), word: u64) {
        let mut part = self.parts[(word >> 8) as usize % PARTS].lock();
        if part.seen.len() + part.passed.len() >= CLIENTS_MAX && !part.seen.contains_key(&key) {
            // Not known, so that its next query tells of it again.
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        part.seen.entry(key).or_insert(seen);
        drop(part);
        self.words[(word >> 32) as usize % WORDS].store(word, Ordering::Relaxed);
    }

    /// Takes what is new, in the order of addresses: neighbours get neighbouring numbers.
    pub(in super::super) fn take(&self) -> Vec<Seen> {
        let take = |part: &Part| {
            let New { seen, passed } = std::mem::take(&mut *part.lock());
            seen.into_iter().chain(passed)
        };
        let seen = |((client, told, _hour), (at, site)): (Key, (Timestamp, Arc<str>))| Seen { client, told, at, site };
        let mut all: Vec<_> = self.parts.iter().flat_map(take).map(seen).collect();
        all.sort_unstable_by_key(|seen| (seen.client, seen.at));
        all
    }

    /// Queries of clients for which there was no room.
    pub(in super::super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// As an IPv6 address, IPv4 mapped.
pub(super) fn bits(client: IpAddr) -> u128 {
    match client {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// Hours since 1970.
fn hour(at: Timestamp) -> i64 {
    at.as_second().div_euclid(3_600)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(fold: &Fold, client: u32, second: i64) {
        let site = || Arc::from("berlin");
        fold.add((IpAddr::V4(client.into()), None), Timestamp::from_second(second).unwrap(), site);
    }

    #[test]
    fn a_client_is_new_once_an_hour() {
        let fold = Fold::default();
        for second in [0, 1, 3_599, 3_600, 7_199] {
            note(&fold, 7, second);
            note(&fold, 8, second);
        }
        let mut seen: Vec<_> = fold.take().into_iter().map(|seen| (seen.client & 0xff, seen.at.as_second())).collect();
        seen.sort_unstable();
        assert_eq!(seen, [(7, 0), (7, 3_600), (8, 0), (8, 3_600)]);
        note(&fold, 7, 7_198);
        assert_eq!(fold.take(), []);
    }

    #[test]
    fn an_address_that_has_passed_to_somebody_else_is_new_in_the_same_hour() {
        let fold = Fold::default();
        note(&fold, 7, 10);
        fold.pass_on(IpAddr::V4(7.into()), Timestamp::from_second(20).unwrap());
        note(&fold, 7, 30);
        note(&fold, 7, 40);
        let seen: Vec<_> = fold.take().into_iter().map(|seen| (seen.client & 0xff, seen.at.as_second())).collect();
        assert_eq!(seen, [(7, 10), (7, 30)]);
        fold.pass_on(IpAddr::V4(9.into()), Timestamp::from_second(50).unwrap());
        assert_eq!(fold.take(), []);
    }

    #[test]
    fn clients_beyond_the_room_are_counted_and_told_of_by_their_next_query() {
        let fold = Fold::default();
        let all = u32::try_from(PARTS * CLIENTS_MAX).unwrap() + 50_000;
        (0..all).for_each(|client| note(&fold, client, 0));
        let taken = fold.take().len() as u64;
        assert!(fold.lost() >= 50_000 && taken + fold.lost() == u64::from(all), "{taken} {}", fold.lost());
        // Whoever had no room has it now; of the others some are told of again, because their word is another's.
        let (before, mut clients) = (fold.lost(), hashbrown::HashSet::new());
        (0..all).for_each(|client| note(&fold, client, 1));
        clients.extend(fold.take().into_iter().map(|seen| seen.client));
        assert!(clients.len() as u64 >= before.min(50_000));
    }
}
