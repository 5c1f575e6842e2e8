//! Upstream's answers, bounded by octets: fresh while their TTLs last, stale for some time after; and the questions that
//! upstreams could not answer a short while ago.
//!
//! ```text
//! key       what an answer is kept under
//! entry     one kept answer: its age, and whether it is to be asked for again
//! failures  questions that failed (RFC 9520)
//! zones     whose answers are not kept
//! selection what an operator means: to look at, to throw away
//! saved     answers as octets, to outlive the process
//! ```
//! It holds what upstream said, unfiltered: policy stands before it and screens what comes out, so a new ban needs no
//! flush. A function of the moment it is given; it reads no clock.
//!
//! # The life of an answer
//! ```text
//! fresh ──────────► due ────────► stale ─────────────────────────► gone
//!   given at once    (the last     asked for again when a client wants it; given when that fails, or takes too long
//!                     tenth; asked   └► resting: given at once, for some time after it was asked for again in vain
//!                     for again if
//!                     popular)
//! ```

mod entry;
mod failures;
mod key;
mod saved;
mod selection;
#[cfg(test)]
mod tests;
mod zones;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quick_cache::Weighter;
use quick_cache::sync::Cache as Store;

pub use entry::Entry;
pub use failures::Cause;
pub use key::{Key, KeyRef, KeyRest};
pub use saved::SAVED_MAX;
pub use selection::{Removed, Row, Selection, State};
pub use zones::Zones;

use failures::Failures;

use crate::time::Mono;
use crate::wire::Answer;

/// Octets that one entry costs beside its answer and key: hash table slot, queue slot, reference counts (estimate).
const ENTRY_OVERHEAD: usize = 96;
/// Octets that one entry is expected to take; only sizes the table at start.
const ENTRY_EXPECTED: u64 = 512;
/// The part of all octets that failures may take.
const FAILURES_PART: u64 = 16;

/// Limits of the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Octets at most, keys and overhead included.
    pub bytes_max: u64,
    /// A positive answer is fresh for at least this, whatever its TTL.
    pub ttl_min: Duration,
    /// An answer is fresh no longer than this, whatever its TTL.
    pub ttl_max: Duration,
    /// A negative answer is fresh no longer than this (RFC 2308 §5 suggests at most 3 hours).
    pub negative_ttl_max: Duration,
    /// An answer is kept this long beyond its freshness, for the time when no upstream answers (RFC 8767 §5: 1 to 3 days).
    pub stale_max: Duration,
    /// A stale answer that was asked for again in vain is given at once for so long (RFC 8767 §5: the failure recheck timer).
    pub stale_rest: Duration,
    /// A failure is kept so long, each further one in a row twice as long as the one before (RFC 9520 §3.2: 1 s at least).
    pub failure_ttl: Duration,
    /// And no longer than this (RFC 9520 §3.2: 5 minutes at most).
    pub failure_ttl_max: Duration,
    /// An answer that was given so often before the last tenth of its life is asked for again then; 0: never.
    pub prefetch_hits: u32,
    /// Nothing is kept of these, neither answers nor failures.
    pub bypass: Zones,
}

impl Config {
    /// So many octets, with the times that the RFCs suggest.
    pub fn new(bytes_max: u64) -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            bytes_max,
            ttl_min: Duration::ZERO,
            ttl_max: DAY,
            negative_ttl_max: DAY / 24,
            stale_max: DAY,
            stale_rest: Duration::from_secs(30),
            failure_ttl: Duration::from_secs(1),
            failure_ttl_max: Duration::from_secs(5 * 60),
            prefetch_hits: 3,
            bypass: Zones::default(),
        }
    }
}

/// What the cache knows about a question.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// An answer within its TTL.
    Fresh(Arc<Entry>),
    /// An answer beyond its TTL, good only while no upstream answers.
    Stale(Arc<Entry>),
    /// The same, and it was asked for again in vain a short while ago: not to be asked for now.
    Resting(Arc<Entry>),
    /// No answer, and a SERVFAIL that says why there was none a short while ago: not to be asked for now.
    Failed(Arc<Entry>),
    /// Nothing.
    Miss,
}

/// The cache; shared by reference between all threads.
#[derive(Debug)]
pub struct Cache {
    config: Config,
    answers: Store<Key, Arc<Entry>, Octets>,
    failures: Failures,
    /// When an upstream last recovered: what failed before may succeed now.
    recovered: AtomicU64,
    /// When something was last thrown away; 0: never.
    flushed: AtomicU64,
}

#[derive(Clone, Debug)]
struct Octets;

impl Weighter<Key, Arc<Entry>> for Octets {
    fn weight(&self, key: &Key, entry: &Arc<Entry>) -> u64 {
        let octets = key.spilled_bytes() + size_of::<Key>() + entry.memory_bytes() + ENTRY_OVERHEAD;
        u64::try_from(octets).unwrap_or(u64::MAX)
    }
}

impl Cache {
    /// An empty cache.
    pub fn new(config: Config) -> Self {
        let for_failures = config.bytes_max / FAILURES_PART;
        let for_answers = config.bytes_max - for_failures;
        let expected = usize::try_from(for_answers / ENTRY_EXPECTED).unwrap_or(usize::MAX);
        Self {
            answers: Store::with_weighter(expected.min(1 << 16), for_answers, Octets),
            failures: Failures::new(&config, for_failures),
            recovered: AtomicU64::new(0),
            flushed: AtomicU64::new(0),
            config,
        }
    }

    /// What is known about a question at `now`.
    pub fn get(&self, key: &KeyRef<'_>, now: Mono) -> Lookup {
        match self.answers.get(key) {
            Some(entry) if entry.is_fresh(now) => Lookup::Fresh(entry),
            Some(entry) if entry.is_usable(now) => {
                if entry.rests(self.config.stale_rest, self.recovered(), now) {
                    Lookup::Resting(entry)
                } else {
                    Lookup::Stale(entry)
                }
            }
            Some(_) | None => self.failures.get(key, self.recovered(), now).map_or(Lookup::Miss, Lookup::Failed),
        }
    }

    /// Whether there is an answer beyond its TTL that may serve while no upstream answers.
    pub fn is_stale(&self, key: &Key, now: Mono) -> bool {
        self.answers.peek(key).is_some_and(|entry| !entry.is_fresh(now) && entry.is_usable(now))
    }

    /// Wraps an upstream's answer received at `now`, and keeps it if it may be kept.
    pub fn insert(&self, key: Key, answer: Answer, authentic: bool, now: Mono) -> Arc<Entry> {
        if self.config.bypass.hold(&key) {
            return Arc::new(Entry::unkept(answer, authentic, now));
        }
        let entry = Arc::new(Entry::kept(&self.config, answer, authentic, Duration::ZERO, now));
        self.failures.forget(&key);
        // TTL 0 is for the clients that wait now, not for later ones (RFC 1035 §3.2.1).
        if entry.is_fresh(now) {
            self.answers.insert(key, Arc::clone(&entry));
        }
        entry
    }

    /// Wraps a SERVFAIL received or made at `now`. An answer that may still serve is not asked for again for some time; where
    /// there is none, the failure is kept in its place. Staleness bridges what can't be asked for, not what is known to be false
    /// (RFC 4035 §5.5): no answer beyond its TTL serves in place of one that is bogus.
    pub fn fail(&self, key: Key, servfail: Answer, cause: Cause, now: Mono) -> Arc<Entry> {
        let entry = Arc::new(Entry::unkept(servfail, false, now));
        if cause == Cause::Bogus
            && let Some(kept) = self.answers.peek(&key)
        {
            kept.disprove();
        }
        if !self.rest(&key, now) && !self.config.bypass.hold(&key) {
            self.failures.note(key, Arc::clone(&entry), cause, self.recovered(), now);
        }
        entry
    }

    /// Has an answer that may still serve rest, since it is asked for again in vain; says whether there is one.
    pub fn rest(&self, key: &Key, now: Mono) -> bool {
        let kept = self.answers.peek(key).filter(|entry| entry.is_usable(now));
        kept.inspect(|entry| entry.failed(now)).is_some()
    }

    /// An upstream answers again, or another one is asked now: what failed before is asked for again.
    pub fn upstream_recovered(&self, now: Mono) {
        self.recovered.fetch_max(now.0, Ordering::Relaxed);
    }

    fn recovered(&self) -> Mono {
        Mono(self.recovered.load(Ordering::Relaxed))
    }

    /// Number of answers kept.
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// Number of failures kept.
    pub fn failures(&self) -> usize {
        self.failures.len()
    }

    /// Whether no answer is kept.
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// Octets held, as counted against [`Config::bytes_max`].
    pub fn bytes(&self) -> u64 {
        self.answers.weight() + self.failures.bytes()
    }
}
