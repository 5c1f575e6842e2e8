//! Upstream's answers, bounded by octets: fresh while their TTLs last, stale for some time after.
//!
//! It holds what upstream said, unfiltered: policy stands before it and screens what comes out, so a new ban needs no
//! flush. A function of the moment it is given; it reads no clock.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache as Store;
use quick_cache::{Equivalent, Weighter};
use smallvec::SmallVec;

use crate::time::Mono;
use crate::wire::{Answer, LowerName, Name, Query};

/// Octets that one entry costs beside its answer and key: hash table slot, queue slot, reference counts (estimate).
const ENTRY_OVERHEAD: usize = 96;
/// Octets that one entry is expected to take; only sizes the table at start.
const ENTRY_EXPECTED: u64 = 512;

/// Octets of a name that are kept within its key; a longer one is kept beside it.
const NAME_INLINE: usize = 46;

/// Limits of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Octets at most, keys and overhead included.
    pub bytes_max: u64,
    /// An answer is fresh no longer than this, whatever its TTL.
    pub ttl_max: Duration,
    /// A negative answer is fresh no longer than this (RFC 2308 §5 suggests at most 3 hours).
    pub negative_ttl_max: Duration,
    /// An answer is kept this long beyond its freshness, for the time when no upstream answers (RFC 8767 §5: 1 to 3 days).
    pub stale_max: Duration,
}

/// What an answer is kept under. DO and CD are part of it: they change what an upstream says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// QNAME in lower case on the wire. Most fit here, so that to compare them waits for no other piece of memory.
    name: SmallVec<[u8; NAME_INLINE]>,
    /// QTYPE, QCLASS, DO and CD.
    pub rest: KeyRest,
}

/// The part of a [`Key`] that is not the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyRest {
    /// QTYPE.
    pub qtype: u16,
    /// QCLASS.
    pub qclass: u16,
    /// DO of the query.
    pub dnssec_ok: bool,
    /// CD of the query.
    pub checking_disabled: bool,
}

/// A [`Key`] that borrows its name from a query, so that a lookup allocates nothing.
#[derive(Clone, Copy, Debug)]
pub struct KeyRef<'q> {
    /// QNAME in lower case.
    pub name: &'q LowerName,
    /// The rest.
    pub rest: KeyRest,
}

impl<'q> KeyRef<'q> {
    /// The key of a query.
    pub fn of(query: &'q Query<'_>) -> Self {
        let rest = KeyRest {
            qtype: query.qtype,
            qclass: query.qclass,
            dnssec_ok: query.dnssec_ok(),
            checking_disabled: query.checking_disabled(),
        };
        Self { name: &query.name, rest }
    }

    /// The same key with a name of its own.
    pub fn to_key(self) -> Key {
        Key { name: SmallVec::from_slice(self.name.wire()), rest: self.rest }
    }
}

impl Key {
    /// QNAME.
    pub fn name(&self) -> Name {
        // It was read as a name once; the root is the safe other end.
        Name::from(&LowerName::read(&self.name, 0).map_or(LowerName::ROOT, |(name, _end)| name))
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.rest.hash(state);
    }
}

impl Hash for KeyRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.wire().hash(state);
        self.rest.hash(state);
    }
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.rest == key.rest && self.name.wire() == &key.name[..]
    }
}

/// One kept answer.
#[derive(Debug)]
pub struct Entry {
    /// What the upstream said.
    pub answer: Answer,
    /// Whether the upstream's AD bit is believed.
    pub authentic: bool,
    /// No TTL is given that would outlast this, counted from `born`.
    longest: Duration,
    born: Mono,
    fresh_until: Mono,
    stale_until: Mono,
}

impl Entry {
    /// An answer that is given to its client and not kept.
    pub fn unkept(answer: Answer, now: Mono) -> Self {
        Self { answer, authentic: true, longest: Duration::MAX, born: now, fresh_until: now, stale_until: now }
    }

    /// The TTL, in seconds, that no record of it may be given with any more: what the cache's own limit leaves.
    pub fn ttl_max(&self, now: Mono) -> u32 {
        u32::try_from(self.longest.saturating_sub(now.since(self.born)).as_secs()).unwrap_or(u32::MAX)
    }

    /// Seconds since the upstream sent it.
    pub fn age(&self, now: Mono) -> u32 {
        u32::try_from(now.since(self.born).as_secs()).unwrap_or(u32::MAX)
    }
}

/// What the cache knows about a question.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// An answer within its TTL.
    Fresh(Arc<Entry>),
    /// An answer beyond its TTL, good only while no upstream answers.
    Stale(Arc<Entry>),
    /// Nothing.
    Miss,
}

/// The cache; shared by reference between all threads.
#[derive(Debug)]
pub struct Cache {
    config: Config,
    store: Store<Key, Arc<Entry>, Octets>,
}

#[derive(Clone, Debug)]
struct Octets;

impl Weighter<Key, Arc<Entry>> for Octets {
    fn weight(&self, key: &Key, entry: &Arc<Entry>) -> u64 {
        let octets = if key.name.spilled() { key.name.len() } else { 0 }
            + size_of::<Key>()
            + entry.answer.memory_bytes()
            + ENTRY_OVERHEAD;
        u64::try_from(octets).unwrap_or(u64::MAX)
    }
}

impl Cache {
    /// An empty cache.
    pub fn new(config: Config) -> Self {
        let expected = usize::try_from(config.bytes_max / ENTRY_EXPECTED).unwrap_or(usize::MAX);
        Self { config, store: Store::with_weighter(expected.min(1 << 16), config.bytes_max, Octets) }
    }

    /// What is known about a question at `now`.
    pub fn get(&self, key: &KeyRef<'_>, now: Mono) -> Lookup {
        match self.store.get(key) {
            Some(entry) if now < entry.fresh_until => Lookup::Fresh(entry),
            Some(entry) if now < entry.stale_until => Lookup::Stale(entry),
            Some(_) | None => Lookup::Miss,
        }
    }

    /// Wraps an upstream's answer received at `now`, and keeps it if it may be kept. A failure never takes the place of an
    /// answer that may still serve as stale.
    pub fn insert(&self, key: Key, answer: Answer, authentic: bool, now: Mono) -> Arc<Entry> {
        let lifetime = answer.lifetime().map(u64::from).map(Duration::from_secs);
        let longest = self.longest(&answer);
        let fresh = lifetime.unwrap_or_default().min(longest);
        let fresh_until = now.plus(fresh);
        let stale_until = fresh_until.plus(self.config.stale_max);
        let entry = Arc::new(Entry { answer, authentic, longest, born: now, fresh_until, stale_until });
        // TTL 0 is for the clients that wait now, not for later ones (RFC 1035 §3.2.1).
        if !fresh.is_zero() {
            self.store.insert(key, Arc::clone(&entry));
        }
        entry
    }

    fn longest(&self, answer: &Answer) -> Duration {
        if answer.is_negative() { self.config.negative_ttl_max.min(self.config.ttl_max) } else { self.config.ttl_max }
    }

    /// Number of answers kept.
    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.store.is_empty()
    }

    /// Octets held, as counted against [`Config::bytes_max`].
    pub fn bytes(&self) -> u64 {
        self.store.weight()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Layout, Response, qtype, rcode};

    const CONFIG: Config = Config {
        bytes_max: 64 * 1024,
        ttl_max: Duration::from_secs(3600),
        negative_ttl_max: Duration::from_secs(60),
        stale_max: Duration::from_secs(100),
    };

    fn millis(moment: u64) -> Mono {
        Mono(moment * 1000)
    }

    fn question(name: &str) -> Vec<u8> {
        let mut message = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0".to_vec();
        message.extend_from_slice(Name::parse(name).unwrap().wire());
        message.extend_from_slice(b"\0\x01\0\x01");
        message
    }

    fn keep(message: &[u8]) -> Answer {
        Answer::keep(message, &Layout::read(message).unwrap()).unwrap()
    }

    fn put(cache: &Cache, name: &str, ttl: u32, now: u64) {
        let message = question(name);
        let query = Query::read(&message).unwrap();
        let answer = keep(&Response::to(&query).answer(qtype::A, ttl, &[192, 0, 2, 1]).finish(512));
        cache.insert(KeyRef::of(&query).to_key(), answer, true, millis(now));
    }

    fn look(cache: &Cache, name: &str, now: u64) -> &'static str {
        let message = question(name);
        match cache.get(&KeyRef::of(&Query::read(&message).unwrap()), millis(now)) {
            Lookup::Fresh(_) => "fresh",
            Lookup::Stale(_) => "stale",
            Lookup::Miss => "miss",
        }
    }

    #[test]
    fn an_answer_is_fresh_then_stale_then_gone() {
        let cache = Cache::new(CONFIG);
        put(&cache, "a.example", 10, 5_000);
        assert_eq!(look(&cache, "A.example", 14_999), "fresh");
        assert_eq!(look(&cache, "a.example", 15_000), "stale");
        assert_eq!(look(&cache, "a.example", 114_999), "stale");
        assert_eq!(look(&cache, "a.example", 115_000), "miss");
        assert_eq!(look(&cache, "b.example", 5_000), "miss");
    }

    #[test]
    fn ttl_0_is_not_kept_and_a_long_ttl_is_capped() {
        let cache = Cache::new(CONFIG);
        put(&cache, "zero.example", 0, 0);
        put(&cache, "long.example", 1_000_000, 0);
        assert_eq!(look(&cache, "zero.example", 0), "miss");
        assert_eq!(look(&cache, "long.example", 3_599_999), "fresh");
        assert_eq!(look(&cache, "long.example", 3_600_000), "stale");
    }

    #[test]
    fn a_negative_answer_has_a_limit_of_its_own() {
        let cache = Cache::new(CONFIG);
        let message = question("no.example");
        let query = Query::read(&message).unwrap();
        let owner = Name::parse("example").unwrap();
        let answer = keep(&Response::to(&query).rcode(rcode::NXDOMAIN).soa(owner.wire(), 900).finish(512));
        cache.insert(KeyRef::of(&query).to_key(), answer, true, Mono(0));
        assert_eq!(look(&cache, "no.example", 59_999), "fresh");
        assert_eq!(look(&cache, "no.example", 60_000), "stale");
    }

    #[test]
    fn do_and_cd_are_kept_apart() {
        let cache = Cache::new(CONFIG);
        put(&cache, "a.example", 10, 0);
        let mut message = question("a.example");
        message[3] |= 0x10;
        let with_cd = Query::read(&message).unwrap();
        assert!(matches!(cache.get(&KeyRef::of(&with_cd), Mono(0)), Lookup::Miss));
    }

    #[test]
    fn a_flood_of_names_stays_within_the_limit() {
        let cache = Cache::new(CONFIG);
        for number in 0..5_000 {
            put(&cache, &format!("n{number}.example"), 60, 0);
        }
        assert!(
            cache.bytes() <= CONFIG.bytes_max && cache.len() > 50,
            "{} octets, {} answers",
            cache.bytes(),
            cache.len()
        );
    }
}
